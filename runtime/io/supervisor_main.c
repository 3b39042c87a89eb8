// The process that owns all children: `flowlua --supervisor DIR ID`, its first engine on
// descriptor 3. Here is its start, its loop and its end; supervisor_internal.h tells what the
// other files do.
#include "io/supervisor_internal.h"
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"

#define LINK_FD      3
#define EVENTS_MAX   64
#define JOURNAL_WAIT 1000             // ms between two tries to write what the disk refused ...
#define JOURNAL_LAST (60 * 60 * 1000) // ... and how long they go on when all else has ended

#define TAG_MASK 7u // pointers are aligned: the tag fits below

static void watch(fl_sup *sup, int op, int fd, uint32_t events, const void *what, fl_sup_tag tag) {
  struct epoll_event e = {.events = events, .data.u64 = (uintptr_t)what | (unsigned)tag};
  FL_ASSERT(epoll_ctl(sup->epoll_fd, op, fd, &e) == 0);
}

void fl_sup_watch(fl_sup *sup, int fd, const void *what, fl_sup_tag tag) {
  watch(sup, EPOLL_CTL_ADD, fd, EPOLLIN, what, tag);
}

void fl_sup_unwatch(fl_sup *sup, int fd) {
  epoll_ctl(sup->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
  close(fd);
}

void fl_sup_watch_write(fl_sup *sup, fl_sup_link *link, bool want_write) {
  if (link->writing == want_write) return;
  link->writing = want_write;
  watch(sup, EPOLL_CTL_MOD, link->fd, EPOLLIN | (want_write ? EPOLLOUT : 0), link, FL_SUP_LINK);
}

// Everything is blocked rather than ignored: an ignored signal would be inherited by the children.
static int init_signals(fl_sup *sup) {
  sigset_t all, child;
  for (int i = 1; i < NSIG; i++) {
    struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = i == SIGCHLD ? SA_NOCLDSTOP : 0};
    sigaction(i, &sa, NULL); // those that cannot be changed are not changed
  }
  sigfillset(&all);
  const int ours[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) sigdelset(&all, ours[i]);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sup->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  return sup->signal_fd < 0 ? errno : 0;
}

// Leaves 0, 1 and 2 on /dev/null, occupies 3 and 4, and returns the engine's socket, moved above:
// so that no descriptor of ours is ever in the way of one that a child is to have. `errnum`: there
// is no /dev/null.
static int init_descriptors(int *errnum) {
  syscall(SYS_close_range, LINK_FD + 1, ~0u, 0);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  *errnum = null < 0 ? errno : 0;
  if (null < 0) return fcntl(LINK_FD, F_DUPFD_CLOEXEC, LINK_FD + 7); // to say so, and end
  for (int fd = 0; fd < 3; fd++) {
#ifdef FL_SANITIZED
    if (fd == 2) continue; // reports go there
#endif
    if (fd == null)
      fcntl(fd, F_SETFD, 0);
    else
      dup2(null, fd);
  }
  int link = fcntl(LINK_FD, F_DUPFD_CLOEXEC, LINK_FD + 7);
  dup3(null, LINK_FD, O_CLOEXEC);
  if (null != LINK_FD + 1) {
    dup3(null, LINK_FD + 1, O_CLOEXEC);
    if (null > LINK_FD + 1) close(null);
  }
  return link;
}

bool fl_sup_raise_files(fl_sup *sup) {
  struct rlimit files;
  if (sup->files_raised || getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= files.rlim_max) {
    return false;
  }
  sup->files_soft = files.rlim_cur;
  files.rlim_cur = files.rlim_max;
  sup->files_raised = setrlimit(RLIMIT_NOFILE, &files) == 0;
  if (sup->files_raised) sup->files_max = files.rlim_cur;
  return sup->files_raised;
}

static int init_folder(fl_sup *sup) {
  fl_buf path;
  int errnum = 0;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup", sup->dir);
  if (mkdir(fl_buf_cstr(&path), 0700) && errno != EEXIST) errnum = errno;
  sup->dir_fd = errnum ? -1 : open(fl_buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!errnum && sup->dir_fd < 0) errnum = errno;
  fl_buf_deinit(&path);
  return errnum;
}

static void socket_name(const fl_sup *sup, char *out, size_t size) {
  snprintf(out, size, "%s.sock", sup->id);
}

static int init_socket(fl_sup *sup) {
  char name[64];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socket_name(sup, name, sizeof name);
  // Through the descriptor, as the folder's path may be longer than an address.
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", sup->dir_fd, name);
  sup->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (sup->listen_fd < 0) return errno;
  if (bind(sup->listen_fd, (struct sockaddr *)&address, sizeof address)) return errno;
  return listen(sup->listen_fd, 128) ? errno : 0;
}

static int init(fl_sup *sup, const char **what) {
  int errnum;
  *what = "make a folder for the supervisor";
  if ((errnum = init_folder(sup))) return errnum;
  *what = "write the supervisor's journal";
  if ((errnum = fl_journal_create(&sup->journal, sup->dir_fd, sup->id))) return errnum;
  *what = "bind the supervisor's socket";
  if ((errnum = init_socket(sup))) return errnum;
  *what = "watch for children";
  if ((errnum = init_signals(sup))) return errnum;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1)) return errno;
  fl_own_children_open(&sup->own);
  fl_sup_watch(sup, sup->signal_fd, NULL, FL_SUP_SIGNAL);
  fl_sup_watch(sup, sup->listen_fd, NULL, FL_SUP_LISTEN);
  fl_sup_progress_open(sup);
  return 0;
}

// Pipes first and children last: a child that ends is freed, and its pipes may be in `events` too.
static void dispatch(fl_sup *sup, const struct epoll_event *events, int count) {
  bool child = false, visitor = false, progress = false;
  for (int i = 0; i < count; i++) {
    void *what = (void *)(uintptr_t)(events[i].data.u64 & ~(uint64_t)TAG_MASK);
    unsigned tag = events[i].data.u64 & TAG_MASK;
    if (tag == FL_SUP_OUT || tag == FL_SUP_ERR)
      fl_sup_output_readable(sup, what, tag == FL_SUP_ERR);
    else if (tag == FL_SUP_SIGNAL)
      child = true;
    else if (tag == FL_SUP_LISTEN)
      visitor = true;
    else if (tag == FL_SUP_PROGRESS)
      progress = true;
  }
  for (int i = 0; i < count; i++) {
    fl_sup_link *link = (void *)(uintptr_t)(events[i].data.u64 & ~(uint64_t)TAG_MASK);
    if ((events[i].data.u64 & TAG_MASK) != FL_SUP_LINK || link->broken) continue;
    if (events[i].events & EPOLLOUT) fl_sup_link_send(sup, link);
    if (events[i].events & ~(uint32_t)EPOLLOUT) fl_sup_link_read(sup, link, false);
  }
  if (visitor) fl_sup_link_accept(sup);
  if (progress) fl_sup_progress_readable(sup);
  if (!child) return;
  struct signalfd_siginfo info;
  (void)!read(sup->signal_fd, &info, sizeof info); // one SIGCHLD stands for any number of children
  fl_sup_reap(sup);
}

static int64_t retry_journal(fl_sup *sup) {
  if (!sup->journal.backlog.size) return INT64_MAX;
  if (sup->now >= sup->journal_retry_at) {
    sup->journal_retry_at = sup->now + JOURNAL_WAIT;
    if (fl_journal_retry(&sup->journal)) return INT64_MAX;
  }
  return sup->journal_retry_at;
}

// Once an engine went without a good-bye, another may come and ask what became of its children, and
// of those that were never started.
static bool keeps_journal(const fl_sup *sup) {
  return sup->untidy || sup->exits != sup->settled;
}

static bool is_done(fl_sup *sup) {
  if (sup->links || sup->children) {
    sup->idle_since = sup->now;
    return false;
  }
  bool unwritten = sup->journal.backlog.size && keeps_journal(sup);
  if (unwritten && sup->now - sup->idle_since < JOURNAL_LAST) return false;
  if (sup->listen_fd < 0) return true;
  // No one can connect any more; who did before this is still served.
  char name[64];
  socket_name(sup, name, sizeof name);
  unlinkat(sup->dir_fd, name, 0);
  fl_sup_link_accept(sup);
  fl_sup_unwatch(sup, sup->listen_fd);
  sup->listen_fd = -1;
  return !sup->links;
}

static void loop(fl_sup *sup) {
  struct epoll_event events[EVENTS_MAX];
  int64_t next = 0;
  while (!is_done(sup)) {
    int64_t wait = next == INT64_MAX ? -1 : next <= sup->now ? 0 : next - sup->now;
    int n = epoll_wait(sup->epoll_fd, events, EVENTS_MAX, wait > INT32_MAX ? INT32_MAX : (int)wait);
    FL_ASSERT(n >= 0 || errno == EINTR);
    sup->now = fl_monotonic_ms();
    dispatch(sup, events, n);
    next = fl_sup_queue_run(sup);
    int64_t due = fl_sup_timer_run(sup);
    if (due < next) next = due;
    due = fl_sup_link_flush(sup);
    if (due < next) next = due;
    due = retry_journal(sup);
    if (due < next) next = due;
    due = fl_sup_progress_run(sup);
    if (due < next) next = due;
    fl_sup_link_drop_broken(sup);
  }
}

static void remove_journal(fl_sup *sup) {
  unlinkat(sup->dir_fd, sup->journal.name, 0);
  if (sup->spilled) fl_sup_exit_remove_files(sup);
}

static void deinit(fl_sup *sup) {
  fl_sup_logs_close(sup);
  fl_sup_files_close(&sup->outputs);
  fl_sup_files_close(&sup->contexts);
  fl_sup_progress_close(sup);
  if (sup->journal.name[0]) {
    if (!keeps_journal(sup) && sup->journal.fd >= 0) remove_journal(sup);
    fl_journal_close(&sup->journal);
  }
  fl_own_children_close(&sup->own);
  const int fds[] = {sup->dir_fd, sup->epoll_fd, sup->signal_fd, sup->listen_fd};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    if (fds[i] >= 0) close(fds[i]);
  }
  fl_buf_deinit(&sup->record);
  for (fl_sup_orphan *o = sup->orphans; o;) {
    fl_sup_orphan *after = o->next;
    free(o);
    o = after;
  }
  for (char **v = sup->env; v && *v; v++) free(*v);
  free(sup->env);
  free(sup->mark);
  free(sup->progress_dir);
  free(sup->cwd);
  free(sup->dir);
  free(sup->settled_seqs);
  free(sup->timers);
  free(sup->piece);
  free(sup);
}

static fl_sup *new_sup(const char *dir, const char *id) {
  fl_sup *sup = fl_alloc_zero(1, sizeof *sup);
  sup->dir = fl_strdup(dir);
  snprintf(sup->id, sizeof sup->id, "%s", id);
  char cwd[PATH_MAX];
  sup->cwd = getcwd(cwd, sizeof cwd) ? fl_strdup(cwd) : NULL;
  sup->pid = getpid();
  sup->alarm_ms = FL_ALARM_MS_DEFAULT;
  sup->dir_fd = sup->epoll_fd = sup->signal_fd = sup->listen_fd = sup->journal.fd = -1;
  sup->progress_fd = sup->progress_dir_fd = -1;
  sup->own.fd = -1;
  sup->now = fl_monotonic_ms();
  sup->piece = fl_alloc(FL_SUP_PIECE_SIZE);
  fl_buf_init(&sup->record, 4u << 20);
  return sup;
}

int fl_supervisor_main(int argc, char **argv) {
  int at = 1;
  while (at < argc && strcmp(argv[at], "--supervisor") != 0) at++;
  if (argc - at < 3 || fcntl(LINK_FD, F_GETFD) < 0) {
    fputs("flowlua: --supervisor is for flowlua itself to call\n", stderr);
    return 2;
  }
  const char *what = "start";
  struct rlimit files;
  fl_sup *sup = new_sup(argv[at + 1], argv[at + 2]);
  setsid();
  prctl(PR_SET_NAME, "flowlua-sup");
  int errnum, link_fd = init_descriptors(&errnum);
  sup->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  FL_ASSERT(link_fd >= 0 && sup->epoll_fd >= 0);
  sup->tag = fl_tag_make(sup->id);
  sup->files_max = getrlimit(RLIMIT_NOFILE, &files) ? UINT64_MAX : files.rlim_cur;
  fl_sup_env_init(sup, environ);
  if (errnum)
    what = "open '/dev/null'";
  else
    errnum = init(sup, &what);
  (void)!chdir("/");
  fl_sup_link *link = fl_sup_link_add(sup, link_fd);
  size_t begin = fl_wire_begin(&link->out, FL_WIRE_HELLO);
  fl_wire_put_i32(&link->out, errnum);
  fl_wire_put_text(&link->out, what);
  fl_wire_put_u32(&link->out, FL_WIRE_VERSION);
  fl_wire_end(&link->out, begin);
  fl_sup_link_send(sup, link);
  if (errnum) link->broken = true;
  fl_sup_link_drop_broken(sup);
  if (!errnum) loop(sup);
  deinit(sup);
  return errnum ? 3 : 0;
}
