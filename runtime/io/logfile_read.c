// Reads kept outputs back: a piece of a shared file, or a head, what is missing, and the tail.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "io/logfile.h"

#define PIECE_SIZE (64 << 10)
#define TAILS_MAX  8 // two are kept; one more exists for an instant

static int compare_begins(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

int fl_log_list_tails(const char *dir, const char *path, int64_t *begins, int count_max) {
  fl_buf folder;
  int count = 0;
  const char *name = strrchr(path, '/');
  if (!name) return 0;
  fl_buf_init(&folder, 8192);
  fl_buf_addf(&folder, "%s/%.*s", dir, (int)(name - path), path);
  DIR *d = opendir(fl_buf_cstr(&folder));
  fl_buf_deinit(&folder);
  if (!d) return 0;
  name++;
  size_t size = strlen(name);
  for (struct dirent *e; (e = readdir(d)) && count < count_max;) {
    char *end;
    if (strncmp(e->d_name, name, size) != 0 || strncmp(e->d_name + size, ".tail-", 6) != 0)
      continue;
    const char *digits = e->d_name + size + 6;
    errno = 0;
    long long begin = strtoll(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end || errno) continue;
    begins[count++] = begin;
  }
  closedir(d);
  qsort(begins, (size_t)count, sizeof *begins, compare_begins);
  return count;
}

typedef struct log_reader {
  const char *dir, *path;
  void (*write)(void *ud, const char *data, size_t n);
  void *ud;
  int64_t missing; // bytes before the next file, told once that file is there
} log_reader;

static void write_gap(log_reader *r) {
  char text[64];
  int n = snprintf(text, sizeof text, "\n[... %lld bytes not kept ...]\n", (long long)r->missing);
  r->write(r->ud, text, (size_t)n);
  r->missing = 0;
}

// Hands over the bytes [from, to) of a file (`to` -1: to its end); returns where it stopped, -1
// when there is no such file.
static int64_t read_file(log_reader *r, const char *suffix, int64_t from, int64_t to) {
  fl_buf full;
  fl_buf_init(&full, 8192);
  fl_buf_addf(&full, "%s/%s%s", r->dir, r->path, suffix);
  int fd = open(fl_buf_cstr(&full), O_RDONLY | O_CLOEXEC);
  fl_buf_deinit(&full);
  if (fd < 0) return -1;
  if (r->missing) write_gap(r);
  char *piece = fl_alloc(PIECE_SIZE);
  while (to < 0 || from < to) {
    size_t wanted = to < 0 || to - from > PIECE_SIZE ? PIECE_SIZE : (size_t)(to - from);
    ssize_t n = pread(fd, piece, wanted, from);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    r->write(r->ud, piece, (size_t)n);
    from += n;
  }
  free(piece);
  close(fd);
  return from;
}

static int64_t read_own(log_reader *r, int64_t position) {
  int64_t begins[TAILS_MAX];
  int64_t head_end = read_file(r, "", position, -1);
  if (head_end < 0) return position;
  // Past the head's end pread gave nothing, and head_end is just where we already were.
  position = head_end;
  int count = fl_log_list_tails(r->dir, r->path, begins, TAILS_MAX);
  for (int i = 0; i < count; i++) {
    char suffix[40];
    if (i + 1 < count && begins[i + 1] <= position) continue; // read before
    snprintf(suffix, sizeof suffix, ".tail-%lld", (long long)begins[i]);
    int64_t from = begins[i] > position ? begins[i] : position;
    r->missing = from - position;
    int64_t end = read_file(r, suffix, from - begins[i], -1);
    // Gone between the listing and now: the next one tells how much is missing.
    if (end >= 0) position = begins[i] + end;
  }
  return position;
}

int64_t fl_log_read(const char *dir, const char *path, int64_t offset, int64_t size,
                    int64_t position, void (*write)(void *ud, const char *data, size_t n),
                    void *ud) {
  log_reader r = {dir, path, write, ud, 0};
  if (!path[0]) return position;
  if (size < 0) return read_own(&r, position);
  if (position >= size) return position;
  int64_t end = read_file(&r, "", offset + position, offset + size);
  return end < 0 ? position : end - offset;
}
