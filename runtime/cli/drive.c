// Steps the engine to the end of its runs: waits, handles signals, and decides when to write.
//
// Handlers are installed with sigaction() and set nothing that a child would inherit: exec resets
// them, whereas ignored or blocked signals would stay so in every node.
#include "watch.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define STEP_BUDGET_MS 50
#define WRITE_MS       100  // at most ten writes a second
#define TICK_MS        1000 // a live view's clocks go on while nothing happens
#define STUCK_SIGNALS  3    // so many unanswered signals end the process: a node's code spins

static volatile sig_atomic_t signal_fd = -1, unanswered;
static fl_engine *volatile driven;
static char last_words[512]; // written when a signal ends the process: made before, for a handler

static void leave(int number) {
  ssize_t told = write(STDERR_FILENO, last_words, strlen(last_words));
  (void)told;
  _exit(128 + number);
}

static void on_signal(int number) {
  int saved = errno;
  unsigned char byte = (unsigned char)number;
  // Nothing else gets us out of a step that never returns; a resume continues from what is stored.
  if (number != SIGHUP && ++unanswered >= STUCK_SIGNALS) leave(number);
  if (number != SIGHUP && driven) fl_interrupt(driven); // code that keeps the engine gives way
  ssize_t n = write(signal_fd, &byte, 1);               // a full pipe has signals enough
  (void)n;
  errno = saved;
}

static void on_pipe(int number) {
  (void)number;
} // write() tells

static bool catch_signal(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, NULL) == 0;
}

// Under nohup it stays ignored.
static bool catch_hang_up(void) {
  struct sigaction before;
  if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return true;
  return catch_signal(SIGHUP, on_signal);
}

bool fl_cli_drive_begin(fl_cli_watch *w) {
  if (pipe2(w->signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
    fl_cli_usage("cannot make a pipe: %s", strerror(errno));
    return false;
  }
  signal_fd = w->signal_pipe[1];
  unanswered = 0;
  return catch_signal(SIGINT, on_signal) && catch_signal(SIGTERM, on_signal) && catch_hang_up() &&
         catch_signal(SIGPIPE, on_pipe);
}

void fl_cli_drive_end(fl_cli_watch *w) {
  if (w->signal_pipe[0] < 0) return;
  catch_signal(SIGINT, SIG_DFL);
  catch_signal(SIGTERM, SIG_DFL);
  signal_fd = -1;
  close(w->signal_pipe[0]);
  close(w->signal_pipe[1]);
  w->signal_pipe[0] = w->signal_pipe[1] = -1;
}

static void stop(fl_cli_watch *w, fl_engine *engine, int number) {
  if (w->signal_count++ == 0) {
    w->signal = number;
    fl_engine_stop(engine, false);
    fl_cli_lines_note(w, "stopping: running nodes get their grace (10 s unless the script says "
                         "otherwise); press Ctrl-C again to kill");
  } else if (w->signal_count == 2) {
    fl_engine_stop(engine, true);
    fl_cli_lines_note(w,
                      "stopping: running nodes are killed; once more leaves them where they are");
  } else {
    // Something cannot be killed. Who asks a third time need not wait for it: as after a crash, a
    // resume takes up what is left.
    if (w->mode == FL_MODE_LIVE) fl_cli_live_write(w, false);
    fl_cli_flush();
    leave(number);
  }
}

static void handle_signals(fl_cli_watch *w, fl_engine *engine) {
  unsigned char byte;
  while (read(w->signal_pipe[0], &byte, 1) == 1) {
    unanswered = 0;
    if (byte == SIGHUP)
      fl_cli_detach_hang_up(w);
    else
      stop(w, engine, byte);
  }
}

// Milliseconds until something should be written, -1: nothing to write.
static int64_t write_due_ms(const fl_cli_watch *w, int64_t now_ms) {
  int64_t since = now_ms - w->written_ms;
  bool live = w->mode == FL_MODE_LIVE;
  if (fl_cli_out()->size > 0 || (live && w->changed))
    return since >= WRITE_MS ? 0 : WRITE_MS - since;
  if (live) return since >= TICK_MS ? 0 : TICK_MS - since;
  return -1;
}

static void write_due(fl_cli_watch *w, fl_engine *engine) {
  int64_t now = fl_cli_monotonic_ms();
  if (write_due_ms(w, now) != 0) {
    if (w->mode != FL_MODE_LIVE) fl_cli_flush_some();
    return;
  }
  w->written_ms = now;
  if (w->mode == FL_MODE_LIVE) {
    fl_cli_live_read_tails(w, engine, now);
    fl_cli_live_write(w, true);
  } else {
    fl_cli_flush();
  }
}

static void wait_more(fl_cli_watch *w, fl_engine *engine) {
  struct pollfd fds[] = {{.fd = fl_engine_get_fd(engine), .events = POLLIN},
                         {.fd = w->signal_pipe[0], .events = POLLIN}};
  int64_t timeout = fl_engine_get_timeout_ms(engine);
  int64_t due = write_due_ms(w, fl_cli_monotonic_ms());
  if (timeout < 0 || (due >= 0 && due < timeout)) timeout = due;
  if (poll(fds, 2, timeout > 3600000 ? 3600000 : (int)timeout) > 0 && fds[1].revents)
    handle_signals(w, engine);
}

static void note_watch(const fl_cli_watch *w) {
  char *command = fl_cli_command(w->cli, "show", w->run_id, NULL);
  fl_cli_note("see: %s", command);
  free(command);
}

// Who closed our stdout, as `| head` does, may think that it ended the run.
static void note_closed(fl_cli_watch *w) {
  if (w->told_closed || !fl_cli_out_is_gone() || fl_cli_output_error() != EPIPE) return;
  w->told_closed = true;
  char *command = fl_cli_command(w->cli, "logs", w->run_id, NULL);
  fl_cli_note("stdout is closed; the run goes on: %s --follow", command);
  free(command);
}

// The store's file is looked at once it is there, which is when the run is recorded.
static void note_state(fl_cli_watch *w) {
  if (!w->store_inode) w->store_inode = fl_cli_store_inode(w->cli);
}

static int drive(fl_cli_watch *w, fl_engine *engine, const char *command) {
  for (;;) {
    fl_error err = {0};
    size_t live = 0;
    fl_code code = fl_step(engine, STEP_BUDGET_MS, &live, &err);
    // A step may end before all of a large flow is recorded, and who waits is told that it is.
    if (code == FL_OK && fl_cli_detach_is_background()) code = fl_engine_flush(engine, &err);
    fl_cli_lines_add_logs(w, engine);
    bool stopped = false;
    if (code == FL_E_FULL && w->recorded && fl_cli_go_on_with_room(w, engine, &stopped, &err))
      continue;
    if (stopped) {
      fl_cli_note("resume: %s", command);
      return 128 + w->signal;
    }
    if (code != FL_OK) {
      if (w->mode == FL_MODE_LIVE) fl_cli_live_write(w, false);
      int exit_code = fl_cli_fail(&err);
      // A damaged store is no better the next time.
      if (code != FL_E_CORRUPT && (w->recorded || w->resumed)) fl_cli_note("resume: %s", command);
      return exit_code;
    }
    if (w->left) { // there is nothing to resume: the run goes on, or has ended
      fl_error left = {.code = FL_E_FENCED};
      snprintf(left.message, sizeof left.message, "%s", w->error ? w->error : "");
      if (w->mode == FL_MODE_LIVE) fl_cli_live_write(w, false);
      int exit_code = fl_cli_fail(&left);
      note_watch(w);
      return exit_code;
    }
    // The run's beginning is committed. Who asked for it is gone only when it was interrupted.
    if (!fl_cli_detach_ready(w)) stop(w, engine, SIGINT);
    note_state(w);
    if (live == 0) return FL_EXIT_OK;
    write_due(w, engine);
    note_closed(w);
    fl_cli_detach_bound_log();
    wait_more(w, engine);
  }
}

int fl_cli_drive(fl_cli_watch *w, fl_engine *engine) {
  char *command = fl_cli_command(w->cli, "resume", w->run_id, NULL);
  snprintf(last_words, sizeof last_words, "\nresume: %.480s\n", command);
  driven = engine;
  note_state(w);
  int code = drive(w, engine, command);
  driven = NULL;
  free(command);
  return code;
}
