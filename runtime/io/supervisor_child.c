// Starts children: everything is prepared before the clone, so that what runs between it and exec,
// on memory that both share, is a dozen system calls.
#include "io/supervisor_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

#define STACK_SIZE   (64 << 10)
#define TICK_NS      10000000 // USER_HZ is 100 on every Linux: the unit of start times
#define NO_SANITIZER __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

typedef enum exec_step {
  STEP_NONE,
  STEP_FOLDER,
  STEP_LIMITS,
  STEP_JOURNAL,
  STEP_PROGRAM
} exec_step;

// What the child needs, and where it says how far it came.
typedef struct exec_plan {
  const fl_sup *sup;
  const fl_spawn *spawn;
  char **argv; // one free place before it
  const fl_sup_env *env;
  const char *folder, *subfolder; // subfolder: NULL, or relative to folder
  int in_fd, out_fd, err_fd;      // in_fd -1: /dev/null, which is on 0 already
  char *record;
  size_t record_size;
  uint64_t tag;
  int64_t before_ns; // CLOCK_BOOTTIME before the clone
  pid_t pid;         // set by the kernel before the child runs
  volatile uint64_t start_ticks;
  volatile bool begun;
  volatile int errnum;
  volatile exec_step step;
} exec_plan;

static int64_t boot_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// The kernel took the start time between the two readings: when both lie in one tick, it is known
// without asking /proc.
NO_SANITIZER static uint64_t start_ticks(int64_t before_ns) {
  uint64_t before = (uint64_t)before_ns / TICK_NS, after = (uint64_t)boot_ns() / TICK_NS;
  fl_proc self;
  if (before == after) return before;
  return fl_proc_read(getpid(), &self) ? self.start_ticks : after;
}

// `spare`: how much further the hard limit lies. What is there already is never raised.
NO_SANITIZER static bool set_limit(int which, int64_t value, rlim_t spare) {
  struct rlimit limit;
  if (value <= 0) return true;
  if (getrlimit(which, &limit)) return false;
  rlim_t soft = (rlim_t)value, hard = (rlim_t)value + spare;
  if (limit.rlim_max == RLIM_INFINITY || hard < limit.rlim_max) limit.rlim_max = hard;
  limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
  return setrlimit(which, &limit) == 0;
}

NO_SANITIZER static bool set_limits(const exec_plan *plan) {
  const fl_spawn *s = plan->spawn;
  struct rlimit files;
  if (s->limit_open_files <= 0 && plan->sup->files_raised && !getrlimit(RLIMIT_NOFILE, &files)) {
    files.rlim_cur = plan->sup->files_soft;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (plan->tag) {
    struct rlimit tag = {plan->tag, plan->tag};
    setrlimit(RLIMIT_RTTIME, &tag); // a mark that nobody takes off by accident
  }
  // One second from the soft to the hard limit: SIGXCPU says why it ended, SIGKILL would not.
  return set_limit(RLIMIT_CPU, s->limit_cpu_s, 1) &&
         set_limit(RLIMIT_NOFILE, s->limit_open_files, 0) &&
         set_limit(RLIMIT_AS, s->limit_memory, 0);
}

// As execvp does: the first that runs; a text without "#!" is a script of /bin/sh.
NO_SANITIZER static int try_programs(const exec_plan *plan) {
  int errnum = ENOENT;
  for (size_t i = 0; i < plan->env->candidate_count; i++) {
    const char *program = plan->env->candidates[i];
    execve(program, plan->argv, plan->env->vars);
    if (errno == ENOEXEC) {
      plan->argv[-1] = (char *)(uintptr_t) "/bin/sh";
      plan->argv[0] = (char *)(uintptr_t)program;
      execve("/bin/sh", plan->argv - 1, plan->env->vars);
      return ENOEXEC;
    }
    if (errno == EACCES)
      errnum = EACCES; // told when no other is found
    else if (errno != ENOENT && errno != ENOTDIR)
      return errno;
  }
  return errnum;
}

// A program that cannot be started, as the only command of a text: the shell says what is wrong, in
// its words and with its exit code.
NO_SANITIZER static int try_shell(const exec_plan *plan, int errnum) {
  char *argv[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                  (char *)(uintptr_t)plan->env->shell_text, NULL};
  if (argv[2] && (errnum == ENOENT || errnum == EACCES)) execve(argv[0], argv, plan->env->vars);
  return errnum;
}

NO_SANITIZER static int fail(exec_plan *plan, exec_step step, int errnum) {
  plan->step = step;
  plan->errnum = errnum;
  _exit(127);
}

// In the child, on its own stack and the parent's memory, while the parent stands still.
NO_SANITIZER static int child_main(void *ud) {
  exec_plan *plan = ud;
  const fl_spawn *s = plan->spawn;
  sigset_t none;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan->sup->pid) _exit(127); // it died before the line above
  if (chdir(plan->folder) || (plan->subfolder && chdir(plan->subfolder))) {
    fail(plan, STEP_FOLDER, errno);
  }
  if (!set_limits(plan)) fail(plan, STEP_LIMITS, errno);
  if (plan->in_fd >= 0) dup2(plan->in_fd, 0);
  dup2(plan->out_fd, 1);
  dup2(plan->err_fd, 2);
  if (s->pass_fd >= 0) dup2(s->pass_fd, 3);
  if (s->pass_fd2 >= 0) dup2(s->pass_fd2, 4);
  plan->start_ticks = start_ticks(plan->before_ns);
  int errnum = fl_journal_write_begun(&plan->sup->journal, plan->record, plan->record_size,
                                      plan->pid, plan->start_ticks);
  if (errnum) fail(plan, STEP_JOURNAL, errnum);
  plan->begun = true;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  return fail(plan, STEP_PROGRAM, try_shell(plan, try_programs(plan)));
}

static bool is_temporary(int errnum) {
  return errnum == EAGAIN || errnum == ENOMEM || errnum == EMFILE || errnum == ENFILE;
}

static void close_pipe(int ends[2]) {
  for (int i = 0; i < 2; i++) {
    if (ends[i] >= 0) close(ends[i]);
    ends[i] = -1;
  }
}

static int memfd_with(const char *name, const char *data, size_t size) {
  int fd = memfd_create(name, MFD_CLOEXEC);
  size_t done = 0;
  while (fd >= 0 && done < size) {
    // At positions, so that the child reads from the beginning.
    ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int errnum = errno;
      close(fd);
      errno = errnum;
      return -1;
    }
    done += (size_t)n;
  }
  return fd;
}

// FLOWLUA_CONTEXT in a file that an earlier child may have had: exactly this content.
static bool write_context(int fd, const char *data, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += (size_t)n;
  }
  return ftruncate(fd, (off_t)size) == 0;
}

static bool open_files(fl_sup *sup, fl_sup_child *child, int pipe_fd) {
  const fl_spawn *s = &child->job->spawn;
  child->output_fd = fl_sup_file_take(&sup->outputs, "flowlua-output");
  if (child->output_fd < 0) return false;
  // Descriptors are given out from below: these tell how many there are.
  uint64_t highest = (uint64_t)(child->output_fd > pipe_fd ? child->output_fd : pipe_fd);
  if (highest + FL_SUP_OWN_FILES >= sup->files_max) {
    errno = EMFILE;
    return false;
  }
  if (!s->context) return true;
  child->context_fd = fl_sup_file_take(&sup->contexts, "flowlua-context");
  return child->context_fd >= 0 && write_context(child->context_fd, s->context, s->context_size);
}

static void make_plan(fl_sup *sup, fl_sup_child *child, exec_plan *plan) {
  const fl_spawn *s = &child->job->spawn;
  plan->sup = sup;
  plan->spawn = s;
  plan->argv = child->job->vectors + 1;
  plan->folder = s->cwd && s->cwd[0] == '/' ? s->cwd : sup->cwd ? sup->cwd : "/";
  plan->subfolder = s->cwd && s->cwd[0] && s->cwd[0] != '/' ? s->cwd : NULL;
  plan->tag = sup->tag ? sup->tag + (uint32_t)child->seq : 0;
  child->started_ms = fl_wall_ms();
  child->began_ms = fl_monotonic_ms();
  fl_journal_begun(&sup->record, child->seq, &s->id, child->started_ms);
  plan->record = sup->record.data;
  plan->record_size = sup->record.size;
}

// Returns the pid, or -1 and errno.
static pid_t clone_child(exec_plan *plan) {
  static char stack[STACK_SIZE] __attribute__((aligned(16)));
  plan->before_ns = boot_ns();
  return clone(child_main, stack + sizeof stack,
               CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD, plan, &plan->pid);
}

static void describe(const exec_plan *plan, char *out, size_t size) {
  if (plan->step == STEP_FOLDER) {
    snprintf(out, size, "change to the folder '%s'",
             plan->spawn->cwd ? plan->spawn->cwd : plan->folder);
  } else if (plan->step == STEP_LIMITS) {
    snprintf(out, size, "set its limits");
  } else if (plan->step == STEP_JOURNAL) {
    snprintf(out, size, "record its start in the supervisor's journal");
  } else {
    snprintf(out, size, "run '%s'", plan->spawn->argv[0]);
  }
}

static fl_sup_child *new_child(fl_sup *sup, fl_sup_job *job) {
  fl_sup_child *child = fl_alloc_zero(1, sizeof *child);
  child->job = job;
  child->owner = job->link;
  child->out_fd = child->err_fd = child->output_fd = child->context_fd = child->capture_fd = -1;
  child->due = INT64_MAX;
  child->timer_at = SIZE_MAX;
  child->seq = ++sup->seq;
  fl_buf_init(&child->capture, FL_SUP_INLINE_MAX);
  return child;
}

void fl_sup_child_free(fl_sup *sup, fl_sup_child *child) {
  fl_sup_timer_set(sup, child, INT64_MAX);
  fl_sup_output_close(sup, child);
  fl_sup_progress_end(sup, child);
  fl_proc_set_deinit(&child->seen);
  fl_sup_job_free(child->job);
  free(child);
}

// It runs: what only its start needed is closed, and it is looked after from now on.
static void adopt(fl_sup *sup, fl_sup_child *child, const exec_plan *plan) {
  fl_spawn *s = &child->job->spawn;
  if (plan->begun) sup->journal.size += (int64_t)plan->record_size;
  child->entry.pid = plan->pid;
  child->entry.is_root = true;
  child->start_ticks = plan->start_ticks;
  child->started_at = fl_monotonic_ms();
  child->holds_slot = s->queue;
  if (child->holds_slot) child->owner->running++;
  if (s->pass_fd >= 0) close(s->pass_fd);
  if (s->pass_fd2 >= 0) close(s->pass_fd2);
  s->pass_fd = s->pass_fd2 = -1;
  fl_sup_job_shrink(child->job);
  child->next = sup->children;
  if (child->next) child->next->prev = child;
  sup->children = child;
  sup->child_count++;
  sup->retry_ms = 0;
  fl_sup_entry_add(sup, &child->entry);
  fl_sup_child_schedule(sup, child);
}

// Whether a child lives whose end gives descriptors back: workers are kept.
static bool has_passing_child(const fl_sup *sup) {
  for (const fl_sup_child *c = sup->children; c; c = c->next)
    if (c->job->spawn.id.run[0]) return true;
  return false;
}

// Nothing was started; `errnum` says why.
static fl_sup_start give_up(fl_sup *sup, fl_sup_child *child, int errnum, const char *what) {
  bool raised = errnum == EMFILE && fl_sup_raise_files(sup);
  bool stuck = errnum == EMFILE && !raised && !has_passing_child(sup);
  if (!is_temporary(errnum) || stuck) {
    fl_sup_exit_failed(sup, child, errnum, what);
    return FL_SUP_FAILED;
  }
  fl_sup_job *job = child->job;
  child->job = NULL; // stays in the queue
  fl_sup_child_free(sup, child);
  return raised ? fl_sup_child_start(sup, job) : FL_SUP_AGAIN;
}

fl_sup_start fl_sup_child_start(fl_sup *sup, fl_sup_job *job) {
  static fl_sup_env env; // its memory serves every child
  int out[2] = {-1, -1}, err[2] = {-1, -1}, errnum = 0;
  char what[600] = "prepare its files";
  exec_plan plan = {.env = &env, .in_fd = -1};
  const fl_spawn *s = &job->spawn;
  if (!fl_journal_reserve(&sup->journal, &errnum)) {
    plan.step = STEP_JOURNAL;
    describe(&plan, what, sizeof what);
    return give_up(sup, new_child(sup, job), errnum, what);
  }
  fl_sup_child *child = new_child(sup, job);
  if (pipe2(out, O_CLOEXEC) || (s->capture && pipe2(err, O_CLOEXEC)) ||
      !open_files(sup, child, out[1])) {
    errnum = errno;
    goto out;
  }
  if (!fl_sup_env_build(sup, child, &env)) {
    errnum = E2BIG;
    goto out;
  }
  make_plan(sup, child, &plan);
  plan.out_fd = out[1];
  plan.err_fd = s->capture ? err[1] : out[1];
  if (s->stdin_data &&
      (plan.in_fd = memfd_with("flowlua-stdin", s->stdin_data, s->stdin_size)) < 0) {
    errnum = errno;
    goto out;
  }
  if (clone_child(&plan) < 0) {
    errnum = errno;
  } else if (plan.errnum) {
    errnum = plan.errnum;
    waitpid(plan.pid, NULL, 0);
  }
  describe(&plan, what, sizeof what);
out:
  if (plan.in_fd >= 0) close(plan.in_fd);
  if (errnum) {
    close_pipe(out);
    close_pipe(err);
    // A limit of the child's own on memory is no shortage of the system.
    if (errnum == ENOMEM && plan.step == STEP_PROGRAM) {
      fl_sup_exit_failed(sup, child, errnum, what);
      return FL_SUP_FAILED;
    }
    return give_up(sup, child, errnum, what);
  }
  close(out[1]);
  if (err[1] >= 0) close(err[1]);
  child->out_fd = out[0];
  child->err_fd = err[0];
  adopt(sup, child, &plan);
  return FL_SUP_STARTED;
}

void fl_sup_child_schedule(fl_sup *sup, fl_sup_child *child) {
  int64_t due = INT64_MAX, at = child->started_at;
  const int64_t times[] = {
      child->watched ? INT64_MAX : at + FL_SUP_PIPE_WATCH_MS,
      child->told || child->reaped ? INT64_MAX : at + FL_SUP_TOLD_MS,
      child->flushed ? INT64_MAX : at + FL_SUP_LOG_FLUSH_MS,
      child->stage != FL_SUP_RUNNING || child->job->spawn.timeout_ms <= 0
          ? INT64_MAX
          : at + child->job->spawn.timeout_ms,
      child->stage == FL_SUP_TERM ? child->kill_at : INT64_MAX,
      child->stage == FL_SUP_KILL ? child->sweep_at : INT64_MAX,
      child->stage == FL_SUP_KILL && child->alarm_at ? child->alarm_at : INT64_MAX,
  };
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    if (times[i] < due) due = times[i];
  }
  fl_sup_timer_set(sup, child, due);
}

static void tell_started(fl_sup *sup, fl_sup_child *child) {
  child->told = true;
  if (!child->owner) return;
  fl_buf *out = &child->owner->out;
  size_t begin = fl_wire_begin(out, FL_WIRE_STARTED);
  fl_wire_put_id(out, &child->job->spawn.id);
  fl_wire_put_i32(out, child->entry.pid);
  fl_wire_put_i64(out, child->started_ms);
  fl_wire_end(out, begin);
  fl_sup_link_reported(sup, child->owner);
}

void fl_sup_child_tick(fl_sup *sup, fl_sup_child *child) {
  int64_t age = sup->now - child->started_at, timeout = child->job->spawn.timeout_ms;
  if (!child->watched && age >= FL_SUP_PIPE_WATCH_MS) fl_sup_output_watch(sup, child);
  if (!child->told && !child->reaped && age >= FL_SUP_TOLD_MS) tell_started(sup, child);
  if (!child->flushed && age >= FL_SUP_LOG_FLUSH_MS) fl_sup_output_flush(sup, child);
  if (child->stage == FL_SUP_RUNNING && timeout > 0 && age >= timeout) {
    child->timed_out = !fl_sup_child_has_ended(child);
    fl_sup_kill(sup, child, child->job->spawn.grace_ms);
  } else if (child->stage != FL_SUP_RUNNING) {
    fl_sup_kill_tick(sup, child);
  }
  fl_sup_child_schedule(sup, child);
}
