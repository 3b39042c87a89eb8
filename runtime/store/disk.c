// The machine's files, each function one system call.
#include "base/fd.h"
#include "store/disk.h"
#include "base/err.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *disk_realpath(void *ud, const char *path) {
  char full[PATH_MAX];
  (void)ud;
  return realpath(path, full) ? fl_strdup(full) : NULL;
}
static int disk_mkdir(void *ud, int dir, const char *name) {
  (void)ud;
  return mkdirat(dir, name, 0700);
}
static int disk_open(void *ud, int dir, const char *name, int flags) {
  (void)ud;
  return fl_fd_raise(openat(dir, name, flags | O_CLOEXEC, 0600));
}
static void disk_close(void *ud, int fd) {
  (void)ud;
  close(fd);
}
static int disk_stat(void *ud, int dir, const char *name, fl_disk_stat *out) {
  (void)ud;
  struct stat st;
  if (fstatat(dir, name, &st, 0)) return -1;
  *out =
      (fl_disk_stat){.size = st.st_size, .modified_s = st.st_mtime, .is_file = S_ISREG(st.st_mode)};
  return 0;
}
static int64_t disk_size(void *ud, int fd) {
  (void)ud;
  struct stat st;
  return fstat(fd, &st) ? -1 : st.st_size;
}
static ssize_t disk_read(void *ud, int fd, void *data, size_t size) {
  (void)ud;
  return read(fd, data, size);
}
static ssize_t disk_write(void *ud, int fd, const void *data, size_t size) {
  (void)ud;
  return write(fd, data, size);
}
static ssize_t disk_pwrite(void *ud, int fd, const void *data, size_t size, int64_t at) {
  (void)ud;
  return pwrite(fd, data, size, at);
}
static int disk_fsync(void *ud, int fd) {
  (void)ud;
  return fsync(fd);
}
static int disk_fdatasync(void *ud, int fd) {
  (void)ud;
  return fdatasync(fd);
}
static int disk_link(void *ud, int dir, const char *from, const char *to) {
  (void)ud;
  return linkat(dir, from, dir, to, 0);
}
static int disk_rename(void *ud, int dir, const char *from, const char *to) {
  (void)ud;
  return renameat(dir, from, dir, to);
}
static int disk_unlink(void *ud, int dir, const char *name) {
  (void)ud;
  return unlinkat(dir, name, 0);
}

static void disk_list(void *ud, int dir, void (*each)(void *each_ud, const char *name),
                      void *each_ud) {
  (void)ud;
  int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (!d && fd >= 0) close(fd);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));) each(each_ud, e->d_name);
  closedir(d);
}

const fl_disk *fl_disk_system(void) {
  static const fl_disk disk = {.realpath = disk_realpath,
                               .mkdir = disk_mkdir,
                               .open = disk_open,
                               .close = disk_close,
                               .stat = disk_stat,
                               .size = disk_size,
                               .read = disk_read,
                               .write = disk_write,
                               .pwrite = disk_pwrite,
                               .fsync = disk_fsync,
                               .fdatasync = disk_fdatasync,
                               .link = disk_link,
                               .rename = disk_rename,
                               .unlink = disk_unlink,
                               .list = disk_list};
  return &disk;
}
