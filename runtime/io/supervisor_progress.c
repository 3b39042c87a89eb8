// How far children say they are: each has a file of its own to write into, FLOWLUA_PROGRESS, which
// comes into being when it does. A child that says nothing costs nothing; nobody looks by the
// clock: the kernel tells which file was written, and after each look there is a pause, whatever
// is written meanwhile.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/supervisor_internal.h"

#define PAUSE_MS       200
#define LINE_MAX_BYTES 1000
#define SEEN           (IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO)

static void folder_name(const char *id, char *out, size_t size) {
  snprintf(out, size, "%s.progress", id);
}

// Where the kernel gives no watch, children find no such file: they do not fail for that.
void fl_sup_progress_open(fl_sup *sup) {
  char name[64], path[64];
  sup->progress_fd = sup->progress_dir_fd = -1;
  folder_name(sup->id, name, sizeof name);
  if (mkdirat(sup->dir_fd, name, 0700) && errno != EEXIST) return;
  int dir = openat(sup->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  // Through the descriptor, as the folder's path may be longer than any may be.
  snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
  if (dir < 0 || fd < 0 || inotify_add_watch(fd, path, SEEN) < 0) {
    if (dir >= 0) close(dir);
    if (fd >= 0) close(fd);
    unlinkat(sup->dir_fd, name, AT_REMOVEDIR);
    return;
  }
  sup->progress_fd = fd;
  sup->progress_dir_fd = dir;
  fl_buf text;
  fl_buf_init(&text, 1 << 16);
  fl_buf_addf(&text, "%s/sup/%s/", sup->dir, name);
  sup->progress_dir = fl_buf_take(&text);
  fl_sup_watch(sup, fd, NULL, FL_SUP_PROGRESS);
}

void fl_sup_progress_remove(int dir_fd, const char *id) {
  char name[64];
  folder_name(id, name, sizeof name);
  int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) {
    if (fd >= 0) close(fd);
    return;
  }
  for (struct dirent *e; (e = readdir(dir));)
    if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
  closedir(dir);
  unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void fl_sup_progress_close(fl_sup *sup) {
  if (sup->progress_fd < 0) return;
  close(sup->progress_fd);
  close(sup->progress_dir_fd);
  sup->progress_fd = sup->progress_dir_fd = -1;
  fl_sup_progress_remove(sup->dir_fd, sup->id);
}

void fl_sup_progress_end(fl_sup *sup, const fl_sup_child *child) {
  char name[32];
  if (!child->progressed) return;
  snprintf(name, sizeof name, "%llu", (unsigned long long)child->seq);
  unlinkat(sup->progress_dir_fd, name, 0);
}

// The last line that says something; 0: there is none.
static size_t last_line(const char **text, size_t size) {
  const char *begin = *text, *end = begin + size;
  while (end > begin && strchr(" \t\r\n", end[-1])) end--;
  const char *line = end;
  while (line > begin && line[-1] != '\n') line--;
  *text = line;
  return (size_t)(end - line);
}

static void tell(fl_sup *sup, fl_sup_child *child) {
  char name[32], data[LINE_MAX_BYTES + 1];
  struct stat st;
  snprintf(name, sizeof name, "%llu", (unsigned long long)child->seq);
  child->progressed = true;
  // A pipe or a link in its place is none of ours.
  int fd = openat(sup->progress_dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t n = -1;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    off_t from = st.st_size > LINE_MAX_BYTES ? st.st_size - LINE_MAX_BYTES : 0;
    n = pread(fd, data, LINE_MAX_BYTES, from);
  }
  close(fd);
  const char *line = data;
  size_t size = n > 0 ? last_line(&line, (size_t)n) : 0;
  // Between the truncation and what is written then there is nothing in it: that says nothing.
  if (size == 0 || !child->owner || child->reaped) return;
  data[line - data + size] = '\0';
  fl_buf *out = &child->owner->out;
  size_t begin = fl_wire_begin(out, FL_WIRE_PROGRESS);
  fl_wire_put_id(out, &child->job->spawn.id);
  fl_wire_put_text(out, line);
  fl_wire_end(out, begin);
  fl_sup_link_reported(sup, child->owner);
}

static void see(fl_sup *sup, const char *name) {
  unsigned long long seq = strtoull(name, NULL, 10);
  for (fl_sup_child *c = sup->children; c; c = c->next)
    if (c->seq == seq) {
      c->progress_news = true;
      return;
    }
  unlinkat(sup->progress_dir_fd, name, 0); // of one that has ended meanwhile
}

void fl_sup_progress_readable(fl_sup *sup) {
  char events[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
  bool all = false;
  for (ssize_t n; (n = read(sup->progress_fd, events, sizeof events)) > 0;)
    for (ssize_t at = 0; at < n;) {
      const struct inotify_event *e = (const void *)(events + at);
      if (e->mask & IN_Q_OVERFLOW)
        all = true;
      else if (e->len > 0)
        see(sup, e->name);
      at += (ssize_t)(sizeof *e + e->len);
    }
  for (fl_sup_child *c = sup->children; c; c = c->next) {
    if (c->progress_news || all) tell(sup, c);
    c->progress_news = false;
  }
  epoll_ctl(sup->epoll_fd, EPOLL_CTL_DEL, sup->progress_fd, NULL);
  sup->progress_due = sup->now + PAUSE_MS;
}

int64_t fl_sup_progress_run(fl_sup *sup) {
  if (sup->progress_due == 0) return INT64_MAX;
  if (sup->now < sup->progress_due) return sup->progress_due;
  sup->progress_due = 0;
  fl_sup_watch(sup, sup->progress_fd, NULL, FL_SUP_PROGRESS);
  return INT64_MAX;
}
