// Writes the output of attempts: small ones together, large ones to a head and a rolling tail.
#include "io/logfile.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/limits.h"

#define PATH_MAX_SIZE 4096u
#define TAIL_FILES    2         // segments of the tail that are kept
#define NO_RUN        "workers" // where what belongs to no run is kept

struct fl_log_writer {
  char *dir, *run, *writer;
  int fd;         // the shared file, -1 until it is needed
  int64_t offset; // its end
  fl_buf path;    // relative to dir
};

struct fl_log_sink {
  fl_log_writer *writer;
  char *node;
  uint32_t number;
  int64_t size_max, head_max, segment_max;
  int64_t total;                  // bytes offered
  fl_buf memory;                  // what is in no file yet
  bool own;                       // has a file of its own
  int head_fd, tail_fd;           // -1: not open
  int64_t tail_begin[TAIL_FILES]; // positions at which the kept segments begin, newest last
  int tail_count;
  int disk_errno;
  fl_buf path; // of the shared or own file, relative to dir
};

fl_log_writer *fl_log_writer_open(const char *dir, const char *run_id, const char *writer) {
  fl_log_writer *w = fl_alloc_zero(1, sizeof *w);
  w->dir = fl_strdup(dir);
  w->run = fl_strdup(run_id[0] ? run_id : NO_RUN);
  w->writer = fl_strdup(writer);
  w->fd = -1;
  fl_buf_init(&w->path, PATH_MAX_SIZE);
  fl_buf_addf(&w->path, "logs/%s/%s.log", w->run, writer);
  return w;
}

void fl_log_writer_close(fl_log_writer *w) {
  if (!w) return;
  if (w->fd >= 0) close(w->fd);
  fl_buf_deinit(&w->path);
  free(w->dir);
  free(w->run);
  free(w->writer);
  free(w);
}

void fl_log_path(fl_buf *out, const char *run_id, const char *node, uint32_t number) {
  fl_buf_addf(out, "logs/%s/", run_id[0] ? run_id : NO_RUN);
  for (const char *p = node; *p; p++) {
    unsigned char c = (unsigned char)*p;
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '.' || c == '-';
    if (plain)
      fl_buf_add_char(out, (char)c);
    else
      fl_buf_addf(out, "%%%02X", c);
  }
  fl_buf_addf(out, ".%u.log", number);
}

// Opens `path` below the state directory; makes the folders when they are missing.
static int open_below(const fl_log_writer *w, const char *path, int flags) {
  fl_buf full;
  fl_buf_init(&full, 2 * PATH_MAX_SIZE);
  fl_buf_addf(&full, "%s/%s", w->dir, path);
  int fd = fl_fd_raise(open(fl_buf_cstr(&full), flags | O_CLOEXEC, 0600));
  if (fd < 0 && errno == ENOENT && flags & O_CREAT) {
    char *text = full.data + strlen(w->dir) + 1;
    for (char *slash = strchr(text, '/'); slash; slash = strchr(slash + 1, '/')) {
      *slash = '\0';
      mkdir(full.data, 0700);
      *slash = '/';
    }
    fd = fl_fd_raise(open(full.data, flags | O_CLOEXEC, 0600));
  }
  int errnum = errno;
  fl_buf_deinit(&full);
  errno = errnum;
  return fd;
}

static void unlink_below(const fl_log_writer *w, const char *path) {
  fl_buf full;
  fl_buf_init(&full, 2 * PATH_MAX_SIZE);
  fl_buf_addf(&full, "%s/%s", w->dir, path);
  unlink(fl_buf_cstr(&full));
  fl_buf_deinit(&full);
}

// Returns an errno. What a full disk took of it stays.
static int write_all(int fd, const char *data, size_t size) {
  while (size) {
    ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    data += n;
    size -= (size_t)n;
  }
  return 0;
}

fl_log_sink *fl_log_sink_open(fl_log_writer *w, const char *node, uint32_t number,
                              int64_t size_max) {
  fl_log_sink *s = fl_alloc_zero(1, sizeof *s);
  if (size_max <= 0) size_max = FL_LOG_SIZE_DEFAULT;
  s->writer = w;
  s->node = fl_strdup(node);
  s->number = number;
  s->size_max = size_max;
  s->head_max = size_max / 2;
  s->segment_max = size_max / 4 ? size_max / 4 : 1;
  s->head_fd = s->tail_fd = -1;
  fl_buf_init(&s->memory, FL_LOG_SPILL);
  fl_buf_init(&s->path, PATH_MAX_SIZE);
  return s;
}

static void tail_path(const fl_log_sink *s, fl_buf *out, int64_t begin) {
  fl_buf_init(out, PATH_MAX_SIZE);
  fl_buf_add(out, s->path.data, s->path.size);
  fl_buf_addf(out, ".tail-%lld", (long long)begin);
}

// Begins the segment at `position`, and drops the oldest when there are enough.
static int begin_tail(fl_log_sink *s, int64_t position) {
  fl_buf path;
  if (s->tail_fd >= 0) close(s->tail_fd);
  s->tail_fd = -1;
  if (s->tail_count == TAIL_FILES) {
    tail_path(s, &path, s->tail_begin[0]);
    unlink_below(s->writer, fl_buf_cstr(&path));
    fl_buf_deinit(&path);
    memmove(s->tail_begin, s->tail_begin + 1, sizeof s->tail_begin - sizeof s->tail_begin[0]);
    s->tail_count--;
  }
  tail_path(s, &path, position);
  s->tail_fd = open_below(s->writer, fl_buf_cstr(&path), O_WRONLY | O_CREAT | O_TRUNC);
  int errnum = s->tail_fd < 0 ? errno : 0;
  fl_buf_deinit(&path);
  if (!errnum) s->tail_begin[s->tail_count++] = position;
  return errnum;
}

// Writes what comes at `position` of the whole output to the head or the tail.
static int write_own(fl_log_sink *s, int64_t position, const char *data, size_t size) {
  while (size) {
    int64_t room;
    int fd, errnum = 0;
    if (position < s->head_max) {
      room = s->head_max - position;
      fd = s->head_fd;
    } else {
      int64_t end = s->tail_count ? s->tail_begin[s->tail_count - 1] + s->segment_max : position;
      if (s->tail_fd < 0 || position >= end) errnum = begin_tail(s, position);
      if (errnum) return errnum;
      room = s->tail_begin[s->tail_count - 1] + s->segment_max - position;
      fd = s->tail_fd;
    }
    size_t n = (int64_t)size < room ? size : (size_t)room;
    errnum = write_all(fd, data, n);
    if (errnum) return errnum;
    position += (int64_t)n;
    data += n;
    size -= n;
  }
  return 0;
}

static void set_own_path(fl_log_sink *s) {
  fl_buf_reset(&s->path);
  fl_log_path(&s->path, s->writer->run, s->node, s->number);
}

static void become_own(fl_log_sink *s) {
  if (s->own) return;
  s->own = true;
  set_own_path(s);
  s->head_fd = open_below(s->writer, fl_buf_cstr(&s->path), O_WRONLY | O_CREAT | O_TRUNC);
  if (s->head_fd < 0) s->disk_errno = errno;
}

void fl_log_sink_flush(fl_log_sink *s) {
  if (!s->memory.size || s->disk_errno) return;
  become_own(s);
  if (!s->disk_errno) {
    s->disk_errno =
        write_own(s, s->total - (int64_t)s->memory.size, s->memory.data, s->memory.size);
  }
  fl_buf_deinit(&s->memory); // from now on everything goes straight to the file
  fl_buf_init(&s->memory, FL_LOG_SPILL);
}

void fl_log_sink_write(fl_log_sink *s, const void *data, size_t size) {
  int64_t position = s->total;
  int64_t spill = s->size_max < FL_LOG_SPILL ? s->size_max : FL_LOG_SPILL;
  s->total += (int64_t)size;
  if (s->disk_errno || !size) return;
  if (!s->own && s->total <= spill) {
    fl_buf_add(&s->memory, data, size);
    return;
  }
  if (!s->own) {
    s->total = position; // what is in memory goes first
    fl_log_sink_flush(s);
    become_own(s);
    s->total = position + (int64_t)size;
  }
  if (!s->disk_errno) s->disk_errno = write_own(s, position, data, size);
}

int64_t fl_log_sink_write_at(fl_log_sink *s, int64_t position, const void *data, size_t size) {
  if (position < 0 || position > s->total) return s->total;
  uint64_t known = (uint64_t)(s->total - position);
  if (known < size) fl_log_sink_write(s, (const char *)data + known, size - known);
  return s->total;
}

// Adds the segments that a writer before us left, in order; returns where their content ends.
static int64_t find_tails(fl_log_sink *s, int64_t end) {
  int64_t begins[TAIL_FILES + 1];
  int count = fl_log_list_tails(s->writer->dir, fl_buf_cstr(&s->path), begins, TAIL_FILES + 1);
  for (int i = count > TAIL_FILES ? count - TAIL_FILES : 0; i < count; i++) {
    s->tail_begin[s->tail_count++] = begins[i];
  }
  if (!s->tail_count) return end;
  fl_buf path;
  struct stat st;
  int64_t begin = s->tail_begin[s->tail_count - 1];
  tail_path(s, &path, begin);
  s->tail_fd = open_below(s->writer, fl_buf_cstr(&path), O_WRONLY | O_APPEND);
  if (s->tail_fd < 0 || fstat(s->tail_fd, &st))
    s->disk_errno = errno;
  else
    end = begin + st.st_size;
  fl_buf_deinit(&path);
  return end;
}

fl_log_sink *fl_log_sink_reopen(fl_log_writer *w, const char *node, uint32_t number,
                                int64_t size_max) {
  struct stat st;
  fl_log_sink *s = fl_log_sink_open(w, node, number, size_max);
  set_own_path(s);
  s->head_fd = open_below(w, fl_buf_cstr(&s->path), O_WRONLY | O_APPEND);
  if (s->head_fd < 0 || fstat(s->head_fd, &st)) {
    if (errno != ENOENT) s->disk_errno = errno;
    return s;
  }
  s->own = true;
  // The head may have been written under another limit: where it ends is where the tail begins.
  if (st.st_size > s->head_max) s->head_max = st.st_size;
  s->total = find_tails(s, st.st_size);
  if (s->tail_count) s->head_max = st.st_size;
  return s;
}

// Puts what is in memory behind what others wrote to the shared file.
static int append_shared(fl_log_sink *s) {
  fl_log_writer *w = s->writer;
  if (w->fd < 0) {
    struct stat st;
    w->fd = open_below(w, fl_buf_cstr(&w->path), O_WRONLY | O_CREAT | O_APPEND);
    if (w->fd < 0) return errno;
    w->offset = fstat(w->fd, &st) ? 0 : st.st_size;
  }
  int errnum = write_all(w->fd, s->memory.data, s->memory.size);
  if (!errnum) {
    w->offset += (int64_t)s->memory.size;
    return 0;
  }
  // Part of it may be there: the next one begins behind it.
  struct stat st;
  if (!fstat(w->fd, &st)) w->offset = st.st_size;
  return errnum;
}

bool fl_log_sink_finish(fl_log_sink *s, const char **path, int64_t *offset, int64_t *size,
                        int64_t *total, int *disk_errno) {
  *offset = 0;
  *size = s->own ? -1 : 0;
  if (!s->own && s->memory.size && !s->disk_errno) {
    s->disk_errno = append_shared(s);
    if (!s->disk_errno) {
      *size = (int64_t)s->memory.size;
      *offset = s->writer->offset - *size;
      fl_buf_reset(&s->path);
      fl_buf_add(&s->path, s->writer->path.data, s->writer->path.size);
    }
    fl_buf_reset(&s->memory);
  }
  *path = s->own || *size ? fl_buf_cstr(&s->path) : "";
  *total = s->total;
  *disk_errno = s->disk_errno;
  return s->disk_errno == 0;
}

void fl_log_sink_close(fl_log_sink *s) {
  if (!s) return;
  if (s->head_fd >= 0) close(s->head_fd);
  if (s->tail_fd >= 0) close(s->tail_fd);
  fl_buf_deinit(&s->memory);
  fl_buf_deinit(&s->path);
  free(s->node);
  free(s);
}
