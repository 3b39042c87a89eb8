// What children print: pipes, logs, captured stdout, the last words of stderr; and their memfds.
#include "io/supervisor_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/limits.h"
#include "io/checksum.h"

#define DRAIN_MAX     (2u << 20) // a pipe holds 1 MiB at most; what still writes must not keep us
#define LOGS_IDLE_MAX 16         // runs whose log is kept open between two children

int fl_sup_file_take(fl_sup_files *files, const char *name) {
  if (files->count) return files->fds[--files->count];
  return memfd_create(name, MFD_CLOEXEC);
}

static void file_give(fl_sup_files *files, int fd) {
  if (fd < 0) return;
  if (files->count < FL_SUP_SPARE_FILES)
    files->fds[files->count++] = fd;
  else
    close(fd);
}

void fl_sup_files_close(fl_sup_files *files) {
  while (files->count) close(files->fds[--files->count]);
}

static void log_close(fl_sup_log *log) {
  fl_log_writer_close(log->writer);
  free(log);
}

// The log of a run, moved to the front; those that were not used for long are closed.
static fl_sup_log *log_get(fl_sup *sup, const char *run) {
  fl_sup_log *log = NULL;
  for (fl_sup_log **at = &sup->logs; *at && !log; at = &(*at)->next) {
    if (strcmp((*at)->run, run) != 0) continue;
    log = *at;
    *at = log->next;
    break;
  }
  if (!log) {
    log = fl_alloc_zero(1, sizeof *log);
    snprintf(log->run, sizeof log->run, "%s", run);
    log->writer = fl_log_writer_open(sup->dir, run, sup->id);
  }
  log->next = sup->logs;
  sup->logs = log;
  int idle = 0;
  for (fl_sup_log **at = &log->next; *at;) {
    fl_sup_log *other = *at;
    if (other->refs || idle++ < LOGS_IDLE_MAX) {
      at = &other->next;
      continue;
    }
    *at = other->next;
    log_close(other);
  }
  return log;
}

void fl_sup_logs_close(fl_sup *sup) {
  for (fl_sup_log *log = sup->logs, *after; log; log = after) {
    after = log->next;
    log_close(log);
  }
  sup->logs = NULL;
}

static void open_sink(fl_sup *sup, fl_sup_child *child) {
  const fl_spawn *s = &child->job->spawn;
  char name[512];
  // Children of a Lua node print beside its own log; no node has a "+" in its name.
  const char *node = s->node_name ? s->node_name : "node";
  if (s->id.child && s->id.run[0])
    snprintf(name, sizeof name, "%s+%u", node, s->id.child);
  else
    snprintf(name, sizeof name, "%s", node);
  child->log = log_get(sup, s->id.run);
  child->log->refs++;
  child->sink = fl_log_sink_open(child->log->writer, name,
                                 s->id.run[0] ? s->id.number : s->id.child, s->log_size_max);
}

static void keep_tail(fl_sup_child *child, const char *data, size_t size) {
  if (!child->tail) child->tail = fl_alloc(2 * FL_SUP_TAIL_SIZE);
  if (size > FL_SUP_TAIL_SIZE) {
    data += size - FL_SUP_TAIL_SIZE;
    size = FL_SUP_TAIL_SIZE;
  }
  if (child->tail_size + size > 2 * FL_SUP_TAIL_SIZE) {
    size_t kept = FL_SUP_TAIL_SIZE;
    memmove(child->tail, child->tail + child->tail_size - kept, kept);
    child->tail_size = kept;
  }
  memcpy(child->tail + child->tail_size, data, size);
  child->tail_size += size;
}

static void capture_name(const fl_sup *sup, const fl_sup_child *child, char *out, size_t size) {
  snprintf(out, size, "%s.%llu.stdout", sup->id, (unsigned long long)child->seq);
}

static void capture_overflow(fl_sup *sup, fl_sup_child *child) {
  char name[96];
  child->capture_overflow = true;
  if (child->capture_fd >= 0) {
    capture_name(sup, child, name, sizeof name);
    unlinkat(sup->dir_fd, name, 0);
    close(child->capture_fd);
    child->capture_fd = -1;
  }
  fl_buf_deinit(&child->capture);
  fl_buf_init(&child->capture, FL_SUP_INLINE_MAX);
}

static bool append_capture(fl_sup_child *child, const char *data, size_t size) {
  child->capture_sum = fl_checksum(child->capture_sum, data, size);
  while (size) {
    ssize_t n = write(child->capture_fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data += n;
    size -= (size_t)n;
  }
  return true;
}

// Moves a capture that has grown too large for memory to a file.
static bool spill_capture(fl_sup *sup, fl_sup_child *child) {
  char name[96];
  capture_name(sup, child, name, sizeof name);
  child->capture_fd = openat(sup->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (child->capture_fd < 0) return false;
  sup->spilled = true;
  if (!append_capture(child, child->capture.data, child->capture.size)) return false;
  fl_buf_deinit(&child->capture);
  fl_buf_init(&child->capture, FL_SUP_INLINE_MAX);
  return true;
}

static void keep_capture(fl_sup *sup, fl_sup_child *child, const char *data, size_t size) {
  int64_t max = child->job->spawn.capture_size_max;
  if (max <= 0) max = FL_VALUE_SIZE_MAX;
  if (child->capture_overflow) return;
  child->capture_size += (int64_t)size;
  if (child->capture_size > max) {
    capture_overflow(sup, child);
    return;
  }
  if (child->capture_fd < 0 && child->capture_size <= FL_SUP_INLINE_MAX) {
    fl_buf_add(&child->capture, data, size);
    return;
  }
  // A disk that is full: it cannot be given back whole, which is what overflow says.
  if ((child->capture_fd < 0 && !spill_capture(sup, child)) || !append_capture(child, data, size)) {
    capture_overflow(sup, child);
  }
}

static void take(fl_sup *sup, fl_sup_child *child, bool is_err, const char *data, size_t size) {
  bool capture = child->job->spawn.capture;
  if (!child->sink) open_sink(sup, child);
  fl_log_sink_write(child->sink, data, size);
  if (child->flushed) fl_log_sink_flush(child->sink); // somebody may be following it
  if (is_err || !capture) keep_tail(child, data, size);
  if (!is_err && capture) keep_capture(sup, child, data, size);
}

void fl_sup_output_watch(fl_sup *sup, fl_sup_child *child) {
  child->watched = true;
  if (child->out_fd >= 0) fl_sup_watch(sup, child->out_fd, child, FL_SUP_OUT);
  if (child->err_fd >= 0) fl_sup_watch(sup, child->err_fd, child, FL_SUP_ERR);
}

void fl_sup_output_readable(fl_sup *sup, fl_sup_child *child, bool is_err) {
  int *fd = is_err ? &child->err_fd : &child->out_fd;
  if (*fd < 0) return;
  ssize_t n = read(*fd, sup->piece, FL_SUP_PIECE_SIZE);
  if (n > 0) {
    take(sup, child, is_err, sup->piece, (size_t)n);
  } else if (n == 0 || errno != EINTR) {
    fl_sup_unwatch(sup, *fd); // nobody has its other end any more
    *fd = -1;
  }
}

// Asks how much there is rather than reading to the end: a read could wait for who else still holds
// the pipe, and a child that printed nothing costs one call.
static void drain(fl_sup *sup, fl_sup_child *child, int fd, bool is_err) {
  int waiting = 0;
  size_t total = 0;
  while (fd >= 0 && total < DRAIN_MAX && ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0) {
    ssize_t n = read(fd, sup->piece, FL_SUP_PIECE_SIZE);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    take(sup, child, is_err, sup->piece, (size_t)n);
    total += (size_t)n;
  }
}

void fl_sup_output_drain(fl_sup *sup, fl_sup_child *child) {
  drain(sup, child, child->out_fd, false);
  drain(sup, child, child->err_fd, true);
}

void fl_sup_output_flush(fl_sup *sup, fl_sup_child *child) {
  (void)sup;
  child->flushed = true;
  if (child->sink) fl_log_sink_flush(child->sink);
}

// A memfd that nobody wrote to serves the next child; else whoever has it open might write again.
static void give_output(fl_sup *sup, fl_sup_child *child) {
  if (child->output_fd < 0) return;
  if (child->output_written)
    close(child->output_fd);
  else
    file_give(&sup->outputs, child->output_fd);
  child->output_fd = -1;
}

void fl_sup_output_close(fl_sup *sup, fl_sup_child *child) {
  const int pipes[] = {child->out_fd, child->err_fd};
  for (int i = 0; i < 2; i++) {
    if (pipes[i] < 0) continue;
    if (child->watched)
      fl_sup_unwatch(sup, pipes[i]);
    else
      close(pipes[i]);
  }
  child->out_fd = child->err_fd = -1;
  if (child->capture_fd >= 0) close(child->capture_fd);
  child->capture_fd = -1;
  fl_buf_deinit(&child->capture);
  give_output(sup, child);
  file_give(&sup->contexts, child->context_fd);
  child->context_fd = -1;
  fl_log_sink_close(child->sink);
  if (child->log) child->log->refs--;
  child->sink = NULL;
  child->log = NULL;
  free(child->tail);
  child->tail = NULL;
}
