// Writes a supervisor's journal.
#include "io/journal.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "io/checksum.h"
#include "io/tree.h"

#define SUM_SIZE      4u
#define BEGUN_PID_AT  (SUM_SIZE + FL_WIRE_HEAD_SIZE) // i32 pid, u64 start_ticks come first
#define RESERVE_STEP  (256 << 10)
#define RESERVE_SPARE (96 << 10) // a start and an exit with a small output, of a few children
#define BACKLOG_MAX   (64u << 20)

static int write_at(int fd, const void *data, size_t size, int64_t at) {
  const char *from = data;
  while (size) {
    ssize_t n = pwrite(fd, from, size, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    from += n;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

void fl_journal_record_begin(fl_buf *b) {
  fl_buf_reset(b);
  fl_wire_put_u32(b, 0);
}

void fl_journal_record_end(fl_buf *b) {
  if (b->failed) return;
  uint32_t sum = fl_checksum(0, b->data + SUM_SIZE, b->size - SUM_SIZE);
  memcpy(b->data, &sum, sizeof sum);
}

static int write_header(fl_journal *j) {
  fl_buf b;
  fl_proc self;
  char boot[FL_BOOT_ID_SIZE];
  fl_boot_id(boot);
  if (!fl_proc_read(getpid(), &self)) return ESRCH;
  fl_buf_init(&b, 4096);
  fl_journal_record_begin(&b);
  size_t begin = fl_wire_begin(&b, FL_WIRE_HEADER);
  fl_wire_put_text(&b, boot);
  fl_wire_put_i32(&b, self.pid);
  fl_wire_put_u64(&b, self.start_ticks);
  fl_wire_put_i64(&b, fl_wall_ms());
  fl_wire_put_u32(&b, FL_WIRE_VERSION);
  fl_wire_end(&b, begin);
  fl_journal_record_end(&b);
  int errnum = write_at(j->fd, b.data, b.size, 0);
  if (!errnum) j->size = (int64_t)b.size;
  fl_buf_deinit(&b);
  return errnum;
}

int fl_journal_create(fl_journal *j, int dir_fd, const char *id) {
  memset(j, 0, sizeof *j);
  j->dir_fd = dir_fd;
  fl_buf_init(&j->backlog, BACKLOG_MAX);
  snprintf(j->name, sizeof j->name, "%s.journal", id);
  j->fd = openat(dir_fd, j->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (j->fd < 0) return errno;
  return write_header(j);
}

void fl_journal_close(fl_journal *j) {
  if (j->fd >= 0) {
    // Gives back the blocks that were set aside; the content stays.
    if (j->size > 0 && ftruncate(j->fd, j->size)) j->reserved = 0;
    close(j->fd);
  }
  j->fd = -1;
  fl_buf_deinit(&j->backlog);
}

bool fl_journal_reserve(fl_journal *j, int *errnum) {
  if (j->backlog.size && !fl_journal_retry(j)) {
    *errnum = ENOSPC;
    return false;
  }
  if (j->reserved - j->size >= RESERVE_SPARE) return true;
  int64_t from = j->reserved > j->size ? j->reserved : j->size;
  if (!fallocate(j->fd, FALLOC_FL_KEEP_SIZE, from, RESERVE_STEP)) {
    j->reserved = from + RESERVE_STEP;
    return true;
  }
  if (errno == EOPNOTSUPP || errno == ENOSYS) {
    j->reserved = INT64_MAX / 2; // a file system without: hope
    return true;
  }
  *errnum = errno;
  return false;
}

bool fl_journal_append(fl_journal *j, const fl_buf *record) {
  FL_ASSERT(!record->failed);
  if (j->backlog.size && !fl_journal_retry(j)) goto later;
  if (write_at(j->fd, record->data, record->size, j->size)) goto later;
  j->size += (int64_t)record->size;
  return true;
later:
  fl_buf_add(&j->backlog, record->data, record->size);
  return false;
}

bool fl_journal_retry(fl_journal *j) {
  if (!j->backlog.size) return true;
  if (write_at(j->fd, j->backlog.data, j->backlog.size, j->size)) return false;
  j->size += (int64_t)j->backlog.size;
  fl_buf_reset(&j->backlog);
  return true;
}

void fl_journal_begun(fl_buf *b, uint64_t seq, const fl_child_id *id, int64_t started_ms) {
  fl_journal_record_begin(b);
  size_t begin = fl_wire_begin(b, FL_WIRE_BEGUN);
  fl_wire_put_i32(b, 0);
  fl_wire_put_u64(b, 0);
  fl_wire_put_u64(b, seq);
  fl_wire_put_id(b, id);
  fl_wire_put_i64(b, started_ms);
  fl_wire_end(b, begin);
}

__attribute__((no_sanitize("address", "undefined", "thread"))) int
fl_journal_write_begun(const fl_journal *j, char *record, size_t size, int pid,
                       uint64_t start_ticks) {
  int32_t pid32 = pid;
  memcpy(record + BEGUN_PID_AT, &pid32, sizeof pid32);
  memcpy(record + BEGUN_PID_AT + sizeof pid32, &start_ticks, sizeof start_ticks);
  uint32_t sum = fl_checksum(0, record + SUM_SIZE, size - SUM_SIZE);
  memcpy(record, &sum, sizeof sum);
  return write_at(j->fd, record, size, j->size);
}

// Copies the records that stay, as they are: they keep their checksums.
static int copy_kept(const fl_journal_view *view, const char *data, int fd, int64_t *size,
                     bool (*drop)(void *ud, uint64_t seq), void *ud) {
  size_t at = 0, used;
  fl_wire_frame frame;
  while (at < view->valid_size) {
    if (fl_wire_next(data + at + SUM_SIZE, view->valid_size - at - SUM_SIZE, &frame, &used) != 1) {
      return EIO;
    }
    fl_wire_in in = fl_wire_open(&frame);
    if (frame.kind == FL_WIRE_BEGUN) {
      fl_wire_get_i32(&in);
      fl_wire_get_u64(&in);
    }
    bool keep = frame.kind == FL_WIRE_HEADER || !drop(ud, fl_wire_get_u64(&in));
    if (keep) {
      int errnum = write_at(fd, data + at, used + SUM_SIZE, *size);
      if (errnum) return errnum;
      *size += (int64_t)(used + SUM_SIZE);
    }
    at += used + SUM_SIZE;
  }
  return 0;
}

int fl_journal_compact(fl_journal *j, bool (*drop)(void *ud, uint64_t seq), void *ud) {
  char name[sizeof j->name + 8];
  fl_journal_view view = {0};
  int64_t size = 0;
  int errnum = 0, fd = -1;
  if (j->backlog.size) return EBUSY;
  char *data = fl_alloc((size_t)j->size);
  snprintf(name, sizeof name, "%s.new", j->name);
  if (pread(j->fd, data, (size_t)j->size, 0) != j->size) {
    errnum = EIO;
    goto out;
  }
  fl_journal_parse(data, (size_t)j->size, &view);
  fd = openat(j->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    errnum = errno;
    goto out;
  }
  errnum = copy_kept(&view, data, fd, &size, drop, ud);
  if (!errnum && renameat(j->dir_fd, name, j->dir_fd, j->name)) errnum = errno;
  if (errnum) {
    unlinkat(j->dir_fd, name, 0);
    goto out;
  }
  close(j->fd);
  j->fd = fd;
  j->size = size;
  j->reserved = 0;
  fd = -1;
out:
  if (fd >= 0) close(fd);
  fl_journal_unload(&view);
  free(data);
  return errnum;
}
