// Starts a supervisor so that the host does not notice.
//
// The engine may live in a host of many gigabytes, with many threads, and its own ideas about
// SIGCHLD. So nothing is forked: a first clone shares our memory while we stand still, sends no
// signal when it ends, and is waited for by a call that no other wait can take away (__WCLONE). It
// makes the second, which becomes the supervisor and, as its parent ends at once, nobody's child.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "io/supervise_internal.h"
#include "io/tree.h"

#define STACK_SIZE   (64 << 10)
#define LINK_FD      3
#define NO_SANITIZER __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

typedef struct launch {
  const char *helper;
  char *argv[5];
  int fd;
  char *inner_stack_end;
  volatile int pid, errnum;
} launch;

NO_SANITIZER static int inner_main(void *ud) {
  launch *l = ud;
  setsid();
  if (l->fd == LINK_FD)
    fcntl(l->fd, F_SETFD, 0);
  else
    dup2(l->fd, LINK_FD);
  execve(l->helper, l->argv, environ);
  l->errnum = errno;
  _exit(127);
}

NO_SANITIZER static int outer_main(void *ud) {
  launch *l = ud;
  int pid = clone(inner_main, l->inner_stack_end, CLONE_VM | CLONE_VFORK | SIGCHLD, l);
  if (pid < 0) l->errnum = errno;
  l->pid = pid;
  _exit(0);
}

// Runs `helper --supervisor dir id` with `fd` as descriptor 3, as nobody's child. Returns an errno.
static int run_helper(const char *helper, const char *dir, const char *id, int fd, int *pid) {
  sigset_t all, before;
  char mode[] = "--supervisor";
  launch l = {.helper = helper, .fd = fd};
  l.argv[0] = (char *)(uintptr_t)helper;
  l.argv[1] = mode;
  l.argv[2] = (char *)(uintptr_t)dir;
  l.argv[3] = (char *)(uintptr_t)id;
  char *stacks = fl_alloc(2 * STACK_SIZE);
  l.inner_stack_end = stacks + 2 * STACK_SIZE;
  // A handler of the host must not run in a process that only looks like the host. The supervisor
  // starts with everything blocked, too, and sets what it wants itself.
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int outer = clone(outer_main, stacks + STACK_SIZE, CLONE_VM | CLONE_VFORK, &l);
  if (outer < 0) l.errnum = errno;
  while (outer > 0 && waitpid(outer, NULL, __WCLONE) < 0 && errno == EINTR) continue;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  free(stacks);
  *pid = l.pid;
  return l.errnum;
}

static void make_id(char out[40]) {
  unsigned char random[8];
  fl_random_bytes(random, sizeof random);
  for (size_t i = 0; i < sizeof random; i++) snprintf(out + 2 * i, 3, "%02x", random[i]);
}

fl_code fl_supervisor_start(fl_loop *loop, const char *dir, const char *helper,
                            const fl_supervisor_events *events, fl_supervisor **out,
                            fl_error *err) {
  int ends[2] = {-1, -1};
  char id[40];
  fl_code code;
  *out = NULL;
  if (!helper) return fl_fail(err, FL_E_USAGE, "processes need the helper: none is configured");
  make_id(id);
  fl_supervisor *s = fl_supervisor_new(loop, dir, id, events);
  s->helper = fl_strdup(helper);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) || fl_fd_raise_pair(ends)) {
    code = fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot make a socket for the supervisor");
    goto out;
  }
  int errnum = run_helper(helper, s->dir, id, ends[1], &s->pid);
  if (errnum) {
    code = fl_fail_errno(err, FL_E_SPAWN, errnum, "cannot run the supervisor '%s'", helper);
    goto out;
  }
  fl_proc p;
  if (fl_proc_read(s->pid, &p)) s->start_ticks = p.start_ticks;
  code = fl_supervisor_connect(s, ends[0], err);
  ends[0] = -1; // the supervisor's now
out:
  if (ends[0] >= 0) close(ends[0]);
  if (ends[1] >= 0) close(ends[1]);
  if (code)
    fl_supervisor_free(s);
  else
    *out = s;
  return code;
}
