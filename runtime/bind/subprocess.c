// Runs one child process to its end.
//
// The child is reaped last of all: until then its pid, hence its group's id, cannot be another's,
// and a signal to the group reaches the right ones.
#include "bind/subprocess.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_STEP 65536u
#define POLL_MS   20 // between looks at the child, where the kernel has no pidfd

enum { IN, OUT, ERR, PIPE_COUNT };

typedef struct running_child {
  const fl_subprocess_options *options;
  fl_buf *outputs[PIPE_COUNT]; // by pipe; IN has none
  int pipes[PIPE_COUNT];       // our ends; -1: closed
  int pidfd;                   // -1: no such thing here
  pid_t pid;
  bool ended;  // it waits to be reaped
  bool killed; // KILL was sent
  size_t written;
  int64_t term_at, kill_at; // monotonic; INT64_MAX: never
} running_child;

static void close_pipe(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// ------------------------------------------------------------------------------------- starting

static int fill_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setpgroup(attributes, 0);
  return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF);
}

static int fill_actions(posix_spawn_file_actions_t *actions, const fl_subprocess_options *options,
                        const int ends[PIPE_COUNT]) {
  int error = 0;
  if (options->cwd) error = posix_spawn_file_actions_addchdir_np(actions, options->cwd);
  for (int i = 0; i < PIPE_COUNT && error == 0; i++) {
    if (ends[i] >= 0)
      error = posix_spawn_file_actions_adddup2(actions, ends[i], i);
    else
      error = posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDONLY, 0);
  }
  return error;
}

// The ends for the child go to `ends`. Low numbers are avoided: a dup2() onto 0, 1 or 2 must not
// hit an end that is still needed.
static int open_pipes(running_child *c, int ends[PIPE_COUNT]) {
  for (int i = 0; i < PIPE_COUNT; i++) {
    int fds[2];
    if (i == IN && !c->options->stdin_data) continue;
    if (pipe2(fds, O_CLOEXEC) != 0) return errno;
    for (int k = 0; k < 2; k++) {
      if (fds[k] > 2) continue;
      int moved = fcntl(fds[k], F_DUPFD_CLOEXEC, 3);
      if (moved < 0) {
        int error = errno;
        close(fds[0]);
        close(fds[1]);
        return error;
      }
      close(fds[k]);
      fds[k] = moved;
    }
    c->pipes[i] = i == IN ? fds[1] : fds[0];
    ends[i] = i == IN ? fds[0] : fds[1];
    fcntl(c->pipes[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

static fl_code start_child(running_child *c, fl_error *err) {
  int ends[PIPE_COUNT] = {-1, -1, -1};
  const fl_subprocess_options *o = c->options;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int error = open_pipes(c, ends);
  if (error == 0) error = fill_attributes(&attributes);
  if (error == 0) error = fill_actions(&actions, o, ends);
  if (error == 0) {
    extern char **environ;
    char **env = o->env ? (char **)o->env : environ;
    error = posix_spawnp(&c->pid, o->argv[0], &actions, &attributes, (char **)o->argv, env);
  }
  for (int i = 0; i < PIPE_COUNT; i++) close_pipe(&ends[i]);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error && o->cwd && access(o->cwd, X_OK) != 0)
    return fl_fail_errno(err, FL_E_SPAWN, errno, "cannot start '%s' in '%s'", o->argv[0], o->cwd);
  if (error) return fl_fail_errno(err, FL_E_SPAWN, error, "cannot start '%s'", o->argv[0]);
  c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
  return FL_OK;
}

// ------------------------------------------------------------------------------------- waiting

// A pipe whose reader has gone raises SIGPIPE, and its handler is the host's: it is blocked for the
// length of the write, and taken away if it came.
static ssize_t write_quietly(int fd, const char *data, size_t size) {
  sigset_t pipe_only, old, pending;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  sigpending(&pending);
  bool was_pending = sigismember(&pending, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
  ssize_t n = write(fd, data, size);
  int error = errno;
  if (n < 0 && error == EPIPE && !was_pending) {
    struct timespec now = {0};
    while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = error;
  return n;
}

static void feed(running_child *c) {
  const fl_subprocess_options *o = c->options;
  ssize_t n = write_quietly(c->pipes[IN], o->stdin_data + c->written, o->stdin_size - c->written);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) c->written += (size_t)n;
  // A child that does not read all of it is no failure: it has its own exit code.
  if (n < 0 || c->written == o->stdin_size) close_pipe(&c->pipes[IN]);
}

static void kill_group(running_child *c, int signal) {
  kill(-c->pid, signal);
  if (signal == SIGTERM) kill(-c->pid, SIGCONT); // a stopped child hears TERM only once it goes on
}

// Returns false when the output is larger than its buffer.
static bool drain(running_child *c, int pipe) {
  fl_buf *out = c->outputs[pipe];
  char data[READ_STEP];
  ssize_t n = read(c->pipes[pipe], data, sizeof data);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (n <= 0) {
    close_pipe(&c->pipes[pipe]);
    return true;
  }
  fl_buf_add(out, data, (size_t)n);
  return !out->failed;
}

// Looks without reaping.
static void look_at_child(running_child *c) {
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    c->ended = true;
  else
    c->ended = info.si_pid == c->pid;
}

static void act_on_time(running_child *c, int64_t now) {
  if (now >= c->term_at) {
    c->term_at = INT64_MAX;
    c->kill_at = now + c->options->grace_ms;
    kill_group(c, SIGTERM);
  }
  if (now >= c->kill_at) {
    c->kill_at = INT64_MAX;
    c->killed = true;
    kill_group(c, SIGKILL);
  }
}

static int get_wait_ms(const running_child *c, int64_t now) {
  int64_t due = c->term_at < c->kill_at ? c->term_at : c->kill_at;
  int64_t wait = due == INT64_MAX ? -1 : due > now ? due - now : 0;
  if (c->pidfd < 0 && !c->ended && (wait < 0 || wait > POLL_MS)) wait = POLL_MS;
  return wait > INT32_MAX ? INT32_MAX : (int)wait;
}

// The output counts until it is closed, by whoever the child gave it to; but after a KILL only
// while something comes: a process that has left the group may hold it for ever.
static bool is_done(const running_child *c) {
  if (!c->ended) return false;
  return c->killed || (c->pipes[OUT] < 0 && c->pipes[ERR] < 0);
}

static fl_code wait_for_end(running_child *c, fl_error *err) {
  bool good = true;
  while (good && !is_done(c)) {
    struct pollfd fds[PIPE_COUNT + 1] = {
        {.fd = c->pipes[IN], .events = POLLOUT},
        {.fd = c->pipes[OUT], .events = POLLIN},
        {.fd = c->pipes[ERR], .events = POLLIN},
        {.fd = c->ended ? -1 : c->pidfd, .events = POLLIN},
    };
    if (poll(fds, PIPE_COUNT + 1, get_wait_ms(c, fl_monotonic_ms())) < 0 && errno != EINTR)
      return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot wait for '%s'", c->options->argv[0]);
    if (fds[IN].revents) feed(c);
    for (int i = OUT; i <= ERR && good; i++)
      if (fds[i].revents) good = drain(c, i);
    if (fds[PIPE_COUNT].revents || c->pidfd < 0) look_at_child(c);
    act_on_time(c, fl_monotonic_ms());
  }
  for (int i = OUT; i <= ERR && good; i++) {
    size_t before;
    do {
      before = c->outputs[i]->size;
      if (c->pipes[i] >= 0) good = drain(c, i);
    } while (good && c->outputs[i]->size > before);
  }
  if (good) return FL_OK;
  return fl_fail(err, FL_E_LIMIT, "'%s' wrote more than %zu bytes", c->options->argv[0],
                 c->outputs[OUT]->failed ? c->outputs[OUT]->size_max : c->outputs[ERR]->size_max);
}

static fl_code reap(running_child *c, fl_subprocess_end *end, fl_error *err) {
  int status;
  pid_t pid;
  while ((pid = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR) {
  }
  // A host that reaps every child, or ignores SIGCHLD, has taken the exit code: unknown is no
  // success.
  if (pid < 0)
    return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot tell how '%s' ended",
                         c->options->argv[0]);
  end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return FL_OK;
}

fl_code fl_subprocess_run(const fl_subprocess_options *options, fl_buf *out, fl_buf *err_out,
                          fl_subprocess_end *end, fl_error *err) {
  running_child c = {.options = options,
                     .outputs = {NULL, out, err_out},
                     .pipes = {-1, -1, -1},
                     .pidfd = -1,
                     .term_at = INT64_MAX,
                     .kill_at = INT64_MAX};
  *end = (fl_subprocess_end){.exit_code = -1};
  fl_code code = start_child(&c, err);
  if (code == FL_OK) {
    if (options->timeout_ms >= 0) c.term_at = fl_monotonic_ms() + options->timeout_ms;
    code = wait_for_end(&c, err);
    if (code != FL_OK) kill_group(&c, SIGKILL);
    end->timed_out = options->timeout_ms >= 0 && c.term_at == INT64_MAX;
    fl_code reaped = reap(&c, end, code == FL_OK ? err : NULL);
    if (code == FL_OK) code = reaped;
  }
  for (int i = 0; i < PIPE_COUNT; i++) close_pipe(&c.pipes[i]);
  if (c.pidfd >= 0) close(c.pidfd);
  return code;
}
