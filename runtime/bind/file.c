// Whole files: read, and replaced in one step.
#include "bind/file.h"
#include "base/digest.h"
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_STEP (1u << 20)
#define READ_STEP (64u << 10)

int fl_file_write_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    data += n;
    size -= (size_t)n;
  }
  return 0;
}

static int sync_folder_of(const char *path) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t size = slash ? (size_t)(slash - path) + (slash == path) : 0;
  snprintf(folder, sizeof folder, "%.*s", (int)size, path);
  int fd = open(size ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = fsync(fd) != 0 && errno != EINVAL ? errno : 0; // some file systems cannot
  close(fd);
  return error;
}

static int open_temp(fl_file_replace *f, mode_t mode) {
  for (int i = 0; i < 100; i++) {
    uint32_t random;
    fl_random_bytes(&random, sizeof random);
    int size = snprintf(f->temp, sizeof f->temp, "%s.%08x.tmp", f->path, random);
    if (size >= (int)sizeof f->temp) return ENAMETOOLONG;
    f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (f->fd >= 0) return 0;
    if (errno != EEXIST) return errno;
  }
  return EEXIST;
}

int fl_file_begin(fl_file_replace *f, const char *path, mode_t mode) {
  struct stat own, target;
  f->fd = -1;
  f->direct = false;
  f->temp[0] = '\0';
  if (snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path) return ENAMETOOLONG;
  bool exists = lstat(path, &own) == 0;
  bool link = exists && S_ISLNK(own.st_mode);
  if (link)
    exists = stat(path, &target) == 0;
  else if (exists)
    target = own;
  // A link stays a link: what it points to is replaced. One that leads to no name (into nothing, or
  // /dev/fd/5 to a file without one) is written through.
  f->direct = (link && !exists) || (exists && !S_ISREG(target.st_mode));
  if (link && !f->direct) {
    bool named = realpath(path, f->path) && stat(f->path, &own) == 0;
    f->direct = !named || own.st_ino != target.st_ino || own.st_dev != target.st_dev;
  }
  if (f->direct) {
    f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    return f->fd < 0 ? errno : 0;
  }
  int error = open_temp(f, mode);
  if (error == 0 && exists && fchmod(f->fd, target.st_mode & 07777) != 0) {
    error = errno;
    fl_file_abort(f);
  }
  return error;
}

int fl_file_commit(fl_file_replace *f, bool sync) {
  int error = 0;
  if (sync && !f->direct && fsync(f->fd) != 0) error = errno;
  if (close(f->fd) != 0 && error == 0) error = errno;
  f->fd = -1;
  if (f->direct) return error;
  if (error == 0 && rename(f->temp, f->path) != 0) error = errno;
  if (error != 0)
    unlink(f->temp);
  else if (sync)
    error = sync_folder_of(f->path);
  return error;
}

void fl_file_abort(fl_file_replace *f) {
  if (f->fd >= 0) close(f->fd);
  f->fd = -1;
  if (!f->direct && f->temp[0]) unlink(f->temp);
}

int fl_file_read(const char *path, fl_buf *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
  if (fd < 0) return errno;
  struct stat info;
  // A hint only: files grow, and those of /proc say 0.
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size < out->size_max)
    (void)fl_buf_reserve(out, (size_t)info.st_size + 1);
  for (;;) {
    char more; // a full buffer may still be all there is: one byte further tells
    size_t room = out->size_max - out->size;
    if (out->size == out->capacity && !fl_buf_reserve(out, room < READ_STEP ? room : READ_STEP)) {
      error = ENOMEM;
      break;
    }
    ssize_t n =
        room > 0 ? read(fd, out->data + out->size, out->capacity - out->size) : read(fd, &more, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = errno;
    if (n > 0 && room == 0) error = EFBIG;
    if (n <= 0 || error) break;
    out->size += (size_t)n;
  }
  close(fd);
  return error;
}

static int copy_content(int from, int to) {
  for (;;) {
    ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_STEP, 0);
    if (n == 0) break;
    if (n > 0 || errno == EINTR) continue;
    if (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ||
        errno == EBADF)
      break; // not between these two: by hand below
    return errno;
  }
  // Also after a clean end: files of /proc have no size, and give nothing to copy_file_range().
  char *data = fl_alloc(COPY_STEP);
  int error = 0;
  ssize_t n;
  while (error == 0 && (n = read(from, data, COPY_STEP)) != 0) {
    if (n > 0)
      error = fl_file_write_all(to, data, (size_t)n);
    else if (errno != EINTR)
      error = errno;
  }
  free(data);
  return error;
}

int fl_file_copy(const char *from, const char *to) {
  int fd = open(from, O_RDONLY | O_CLOEXEC), error = 0;
  if (fd < 0) return errno;
  struct stat info;
  fl_file_replace f = {.fd = -1};
  if (fstat(fd, &info) != 0)
    error = errno;
  else if (S_ISDIR(info.st_mode))
    error = EISDIR;
  else
    error = fl_file_begin(&f, to, 0666);
  if (error == 0) {
    error = copy_content(fd, f.fd);
    if (error == 0 && !f.direct && fchmod(f.fd, info.st_mode & 07777) != 0) error = errno;
    if (error == 0)
      error = fl_file_commit(&f, true);
    else
      fl_file_abort(&f);
  }
  close(fd);
  return error;
}

int fl_file_make_dirs(const char *path) {
  char part[PATH_MAX];
  size_t size = strlen(path);
  if (size >= sizeof part) return ENAMETOOLONG;
  if (size == 0) return ENOENT;
  memcpy(part, path, size + 1);
  for (size_t i = 1; i <= size; i++) {
    if (part[i] != '/' && part[i] != '\0') continue;
    char kept = part[i];
    part[i] = '\0';
    struct stat info;
    if (mkdir(part, 0777) != 0) {
      int error = errno;
      // A parent may exist where none may be made (EROFS, EACCES): only what is missing matters.
      if (stat(part, &info) != 0) return error;
      if (!S_ISDIR(info.st_mode)) return error == EEXIST ? ENOTDIR : error;
    }
    part[i] = kept;
  }
  return 0;
}

static int remove_entry(const FTSENT *entry) {
  switch (entry->fts_info) {
  case FTS_D: return 0; // its turn comes after what is in it
  case FTS_ERR:
  case FTS_DNR:
  case FTS_NS: return entry->fts_errno;
  case FTS_DP: return rmdir(entry->fts_accpath) == 0 ? 0 : errno;
  default: return unlink(entry->fts_accpath) == 0 ? 0 : errno;
  }
}

int fl_file_remove_tree(const char *path, char *failed) {
  snprintf(failed, PATH_MAX, "%s", path);
  struct stat info;
  if (lstat(path, &info) != 0) return errno;
  char *paths[2] = {(char *)path, NULL};
  FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (!tree) return errno;
  int error = 0;
  for (FTSENT *entry; error == 0 && (errno = 0, entry = fts_read(tree));) {
    error = remove_entry(entry);
    if (error) snprintf(failed, PATH_MAX, "%s", entry->fts_path);
  }
  if (error == 0) error = errno;
  fts_close(tree);
  return error;
}
