// Values too large for a row: files blobs/<SHA-256 in hex>, written whole and synced before the
// commit that names them.
#include "store/store_internal.h"
#include <errno.h>
#include <fcntl.h>

static int open_dir(fl_store *s) {
  const fl_disk *d = s->disk;
  int fd = d->open(d->ud, s->dir_fd, "blobs", O_RDONLY | O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  if (d->mkdir(d->ud, s->dir_fd, "blobs") && errno != EEXIST) return -1;
  if (d->fsync(d->ud, s->dir_fd)) return -1;
  return d->open(d->ud, s->dir_fd, "blobs", O_RDONLY | O_DIRECTORY);
}

static int write_all(const fl_disk *d, int fd, const char *data, size_t size) {
  while (size) {
    ssize_t n = d->write(d->ud, fd, data, size);
    if (n < 0 && errno != EINTR) return -1;
    if (n > 0) data += n, size -= (size_t)n;
  }
  return 0;
}

bool fl_blob_exists(fl_store *s, const char *hex) {
  char path[96];
  fl_disk_stat st;
  snprintf(path, sizeof path, "blobs/%s", hex);
  return !s->disk->stat(s->disk->ud, s->dir_fd, path, &st) && st.is_file;
}

fl_code fl_blob_write(fl_store *s, const char *hex, const char *data, size_t size, fl_error *err) {
  char name[96];
  const fl_disk *d = s->disk;
  int fd = -1, dir = open_dir(s), errnum = 0;
  snprintf(name, sizeof name, "%s.new", hex); // only one writer at a time: a transaction is open
  if (dir >= 0) fd = d->open(d->ud, dir, name, O_WRONLY | O_CREAT | O_TRUNC);
  if (fd < 0 || write_all(d, fd, data, size) || d->fsync(d->ud, fd) ||
      d->rename(d->ud, dir, name, hex) || d->fsync(d->ud, dir)) {
    errnum = errno;
    if (fd >= 0) d->unlink(d->ud, dir, name);
  }
  if (fd >= 0) d->close(d->ud, fd);
  if (dir >= 0) d->close(d->ud, dir);
  if (!errnum) return FL_OK;
  if (errnum == ENOSPC || errnum == EDQUOT)
    return fl_fail(err, FL_E_FULL,
                   "cannot write a value of %zu bytes to '%s/blobs': no space left on the device; "
                   "free some space, then resume",
                   size, s->dir);
  return fl_fail_errno(err, FL_E_STORE, errnum, "cannot write a value to '%s/blobs'", s->dir);
}

fl_code fl_blob_read(fl_store *s, const char *hex, size_t size, fl_buf *out, fl_error *err) {
  char path[96];
  fl_code code = FL_OK;
  snprintf(path, sizeof path, "blobs/%s", hex);
  const fl_disk *d = s->disk;
  int fd = d->open(d->ud, s->dir_fd, path, O_RDONLY);
  if (fd < 0) {
    if (errno == ENOENT) return fl_store_fail_corrupt(s, err, "'%s/%s' is missing", s->dir, path);
    return fl_fail_errno(err, FL_E_STORE, errno, "cannot open '%s/%s'", s->dir, path);
  }
  size_t left = size;
  if (!fl_buf_reserve(out, size)) goto out;
  while (left) {
    ssize_t n = d->read(d->ud, fd, out->data + out->size, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      code = fl_fail_errno(err, FL_E_STORE, errno, "cannot read '%s/%s'", s->dir, path);
      break;
    }
    if (n == 0) {
      code = fl_store_fail_corrupt(s, err, "'%s/%s' is too short", s->dir, path);
      break;
    }
    out->size += (size_t)n;
    left -= (size_t)n;
  }
out:
  d->close(d->ud, fd);
  return code;
}
