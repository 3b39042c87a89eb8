// Runs that outlive their terminal: --detach, and a terminal that is closed.
//
// `run --detach` starts this very binary again, as `flowlua --background run ...`, in a session of
// its own, and waits until it says which run it has recorded. Up to there it has the terminal's
// stdout and stderr, so that all that is wrong with the script is told as ever; from there on both
// are a log beside the run's others. A closed terminal (SIGHUP) leads to the same from the middle.
#include "watch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD     3          // where the engine in the background tells its run
#define LOG_SIZE_MAX (4u << 20) // of engine.log; the one before it is kept beside it

static const char mode_word[] = "--background";
static int ready_fd = -1; // in the background: whom to tell; -1: told

static bool log_out, log_err; // stdout, stderr are the run's engine.log
static fl_cli_text log_path;

// ------------------------------------------------------------------------------------- foreground

// The same words again, behind the mode's.
static char **make_argv(const fl_cli *cli) {
  char **argv = fl_cli_alloc((size_t)cli->argc + 2, sizeof *argv);
  int count = 0;
  argv[count++] = cli->argv[0];
  argv[count++] = (char *)(uintptr_t)mode_word;
  for (int i = 1; i < cli->argc; i++) argv[count++] = cli->argv[i];
  argv[count] = NULL;
  return argv;
}

// A patch or a script may come from stdin: then it is read before the terminal is left.
static bool reads_stdin(const fl_cli *cli) {
  const char *patch = fl_cli_get(cli, "patch");
  return (patch && fl_cli_is_stdin(patch)) ||
         (cli->verb == &fl_cli_verb_run && cli->word_count > 0 && fl_cli_is_stdin(cli->words[0]));
}

// Returns an errno; `*told` is where its word comes.
static int start_again(const fl_cli *cli, pid_t *pid, int *told) {
  extern char **environ;
  int ends[2];
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (pipe2(ends, O_CLOEXEC)) return errno;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int rc = 0;
  if (!reads_stdin(cli))
    rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, ends[1], READY_FD);
  if (!rc) rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  char **argv = make_argv(cli);
  signal(SIGCHLD, SIG_DFL); // ignored, its end could not be asked for
  if (!rc) rc = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
  free(argv);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (rc)
    close(ends[0]);
  else
    *told = ends[0];
  return rc;
}

// The run's id, "" when the engine ended without one.
static void read_id(int fd, char out[32]) {
  size_t size = 0;
  while (size < 31) {
    ssize_t n = read(fd, out + size, 31 - size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || out[size + (size_t)n - 1] == '\n') {
      size += n > 0 ? (size_t)n - 1 : 0;
      break;
    }
    size += (size_t)n;
  }
  out[size] = '\0';
}

static void tell_run(const fl_cli *cli, const char *run_id, pid_t pid) {
  if (fl_cli_has(cli, "json")) {
    fl_cli_printf("{\"event\":\"run_detached\",\"run\":\"%s\",\"pid\":%d}\n", run_id, (int)pid);
    return;
  }
  if (fl_cli_has(cli, "quiet")) {
    fl_cli_printf("%s\n", run_id);
    return;
  }
  char *watch = fl_cli_command(cli, "watch", run_id, NULL);
  char *logs = fl_cli_command(cli, "logs", run_id, NULL);
  char *cancel = fl_cli_command(cli, "cancel", run_id, NULL);
  fl_cli_printf("run %s goes on in the background (process %d)\n", run_id, (int)pid);
  fl_cli_printf("watch:  %s\n        %s --follow\ncancel: %s\n", watch, logs, cancel);
  free(watch);
  free(logs);
  free(cancel);
}

int fl_cli_detach(const fl_cli *cli) {
  pid_t pid = 0;
  int told = -1, status = 0;
  char run_id[32];
  int rc = start_again(cli, &pid, &told);
  if (rc) {
    fl_cli_usage("cannot start an engine in the background: %s", strerror(rc));
    return FL_EXIT_SYSTEM;
  }
  read_id(told, run_id);
  close(told);
  if (run_id[0]) {
    tell_run(cli, run_id, pid);
    return FL_EXIT_OK;
  }
  // It has said why itself.
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  fl_cli_usage("the engine in the background was ended by signal %d", WTERMSIG(status));
  return FL_EXIT_SYSTEM;
}

// ------------------------------------------------------------------------------------- background

bool fl_cli_detach_main(int *argc, char **argv) {
  if (*argc < 2 || strcmp(argv[1], mode_word) != 0) return true;
  if (fcntl(READY_FD, F_SETFD, FD_CLOEXEC) < 0) {
    fl_cli_usage("%s is for flowlua itself to call", mode_word);
    return false;
  }
  ready_fd = READY_FD;
  memmove(argv + 1, argv + 2, (size_t)(*argc - 1) * sizeof *argv);
  --*argc;
  return true;
}

bool fl_cli_detach_wanted(const fl_cli *cli) {
  return ready_fd < 0 && fl_cli_has(cli, "detach");
}

bool fl_cli_detach_is_background(void) {
  return ready_fd >= 0;
}

// A log of the engine itself, beside those of the run's nodes: it goes when they go.
static int open_log(bool anew) {
  if (anew) {
    fl_cli_text before = {0};
    fl_cli_text_addf(&before, "%s.1", fl_cli_text_cstr(&log_path));
    (void)rename(fl_cli_text_cstr(&log_path), fl_cli_text_cstr(&before));
    fl_cli_text_deinit(&before);
  }
  int fd = open(fl_cli_text_cstr(&log_path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static void choose_log(const fl_cli_watch *w) {
  log_path.size = 0;
  fl_cli_text_addf(&log_path, "%s/logs", fl_cli_state_dir(w->cli));
  mkdir(fl_cli_text_cstr(&log_path), 0700);
  fl_cli_text_addf(&log_path, "/%s", w->run_id);
  mkdir(fl_cli_text_cstr(&log_path), 0700);
  fl_cli_text_add_str(&log_path, "/engine.log");
}

void fl_cli_detach_bound_log(void) {
  struct stat st;
  if (!log_out && !log_err) return;
  if (fstat(log_out ? STDOUT_FILENO : STDERR_FILENO, &st) || st.st_size < (off_t)LOG_SIZE_MAX)
    return;
  int log = open_log(true);
  if (log_out) dup2(log, STDOUT_FILENO);
  if (log_err) dup2(log, STDERR_FILENO);
  close(log);
}

// Of one that was hung up nothing but an error is to be had.
static bool is_terminal(int fd) {
  return isatty(fd) || errno == EIO;
}

// `all`: even what is no terminal.
static void leave_terminal(fl_cli_watch *w, bool all) {
  bool view = w->mode == FL_MODE_LIVE;
  choose_log(w);
  int log = open_log(false), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (all || is_terminal(STDIN_FILENO)) dup2(null, STDIN_FILENO);
  if (all || is_terminal(STDERR_FILENO)) log_err = dup2(log, STDERR_FILENO) >= 0;
  if (all || is_terminal(STDOUT_FILENO)) {
    log_out = dup2(log, STDOUT_FILENO) >= 0;
    if (log_out) fl_cli_output_set_room(fl_cli_detach_bound_log);
    if (view) w->mode = FL_MODE_PLAIN;
    fl_cli_live_deinit(&w->live);
    fl_cli_output_init("never");
  }
  close(log);
  close(null);
}

bool fl_cli_detach_ready(fl_cli_watch *w) {
  char line[33];
  if (ready_fd < 0) return true;
  int size = snprintf(line, sizeof line, "%s\n", w->run_id);
  leave_terminal(w, true); // what was told so far is the log's, too
  ssize_t n;
  do n = write(ready_fd, line, (size_t)size);
  while (n < 0 && errno == EINTR);
  close(ready_fd);
  ready_fd = -1;
  return n == size;
}

void fl_cli_detach_hang_up(fl_cli_watch *w) {
  leave_terminal(w, false);
  fl_cli_lines_note(w, "the terminal was closed: the run goes on without it");
}
