// What run and resume share: following a run to its end, telling what happens, handling signals.
//
//   watch.c   counts, the summary, the exit code
//   lines.c   an event as a plain line or as JSON
//   live.c    the view on a terminal
//   drive.c   the loop: step, signals, when to write
//   room.c    a full disk: waiting for room
//   detach.c  going on without the terminal
#pragma once
#include "cli.h"

typedef enum fl_cli_mode {
  FL_MODE_PLAIN, // a line an event
  FL_MODE_LIVE,  // a terminal: what runs now, redrawn
  FL_MODE_JSON,  // docs/command-line.md
  FL_MODE_QUIET, // failures only, on stderr
} fl_cli_mode;

/// A node that runs now, for the live view.
typedef struct fl_cli_live_node {
  struct fl_cli_live_node *next, *prev;
  char *name;      // clean text
  char run_id[32]; // of a sub-flow's node; "" for the run itself
  uint32_t index;
  int64_t since_ms;   // monotonic
  double done, total; // progress; total 0: none told
  char *text;         // what the node says of it, clean, or NULL
} fl_cli_live_node;

typedef struct fl_cli_live {
  fl_cli_live_node *first, *last; // in the order they started
  fl_cli_live_node **by_index;    // nodes of the run itself
  uint32_t by_index_count;
  uint32_t count;
  uint16_t *widths; // of the lines on the screen
  uint32_t line_count;
} fl_cli_live;

/// A failure that was told: what its log says is put in at `offset` of the output.
typedef struct fl_cli_failure {
  size_t offset;
  char run_id[32];
  char *node, *error;
  uint32_t attempt;
  bool is_process;
} fl_cli_failure;

#define FL_CLI_STATUS_COUNT 6

typedef struct fl_cli_watch {
  const fl_cli *cli;
  fl_cli_mode mode;
  bool resumed;
  bool recorded; // the run is in the store: something of it was told
  char run_id[32];
  char *flow;
  char status[32];    // of the run, once it has ended
  char *error;        // why it failed
  int64_t started_ms; // monotonic
  int64_t run_ms;     // how long it took, once it has ended
  int64_t history_ms; // how long runs of the flow took before; 0: unknown
  uint8_t *states;    // of the run's nodes, by index
  uint32_t state_count;
  uint32_t total, done, running, failed;
  uint32_t counts[FL_CLI_STATUS_COUNT]; // ends by status, see watch.c
  fl_cli_failure *failures;
  size_t failure_count, failure_capacity, failures_told;
  fl_cli_live live;
  int64_t written_ms; // monotonic: last flush or redraw
  bool changed;       // since the last redraw
  int room_tries;     // times that the disk was full, without a while in between
  int64_t room_ms;    // monotonic: the last time
  int signal, signal_count;
  int signal_pipe[2];
} fl_cli_watch;

/// By --json, --quiet, --no-progress and what stdout is.
void fl_cli_watch_init(fl_cli_watch *w, const fl_cli *cli);
void fl_cli_watch_deinit(fl_cli_watch *w);
/// fl_config.on_event, with the watch as `event_ud`.
void fl_cli_watch_event(void *ud, const fl_event *event);
/// After a resume: what had ended before counts as done.
void fl_cli_watch_count_kept(fl_cli_watch *w, fl_engine *engine);
/// How long the flow's last succeeded runs took.
void fl_cli_watch_read_history(fl_cli_watch *w, fl_engine *engine);
/// What to say at the end; the exit code.
int fl_cli_watch_finish(fl_cli_watch *w, fl_engine *engine);
/// Fills `config` with the options run and resume share: jobs, pools, durability, events. The pools
/// must live until the engine is open. False: a message was printed.
FL_MUST bool fl_cli_watch_config(fl_cli_watch *w, fl_config *config, fl_pool_size **pools);
void fl_cli_watch_free_pools(fl_pool_size *pools, size_t count);

/// Appends what the mode shows of an event to the output.
void fl_cli_lines_add(fl_cli_watch *w, const fl_event *event);
/// Puts the ends of the logs of failed nodes behind their lines. Not from within an event.
void fl_cli_lines_add_logs(fl_cli_watch *w, fl_engine *engine);
/// A sentence about the whole, on the terminal or stderr.
void fl_cli_lines_note(fl_cli_watch *w, const char *fmt, ...) FL_CLI_PRINTF(2, 3);
/// "name", or "flow/name" of a sub-flow's node; clean.
void fl_cli_lines_add_name(fl_cli_text *t, const fl_cli_watch *w, const fl_event *event);

void fl_cli_live_event(fl_cli_watch *w, const fl_event *event);
/// Writes the output above the view and, with `draw`, the view anew.
void fl_cli_live_write(fl_cli_watch *w, bool draw);
void fl_cli_live_deinit(fl_cli_live *live);
/// Appends the lines of the view for a screen of that size; `widths`: room for `rows`. Returns how
/// many there are.
uint32_t fl_cli_live_compose(const fl_cli_watch *w, int64_t now_ms, uint32_t rows, uint32_t columns,
                             fl_cli_text *out, uint16_t *widths);

/// Catches SIGINT, SIGTERM and SIGHUP from here on, and a reader that goes away.
FL_MUST bool fl_cli_drive_begin(fl_cli_watch *w);
/// Steps the engine until all its runs have ended. Returns FL_EXIT_OK, or the exit code after a
/// message was printed.
FL_MUST int fl_cli_drive(fl_cli_watch *w, fl_engine *engine);
void fl_cli_drive_end(fl_cli_watch *w);
/// A step failed for want of room on the disk: waits until there is some, then opens the engine
/// again and resumes the run. `*stopped`: a signal came, in w->signal. False: it does not go on;
/// `err` says why.
FL_MUST bool fl_cli_go_on_with_room(fl_cli_watch *w, fl_engine *engine, bool *stopped,
                                    fl_error *err);

/// Takes the hidden word of an engine in the background out of the command line. False: somebody
/// else said it; a message was printed.
FL_MUST bool fl_cli_detach_main(int *argc, char **argv);
/// --detach was given, and this is the foreground: fl_cli_detach() does the whole work of the verb.
bool fl_cli_detach_wanted(const fl_cli *cli);
/// This is the engine in the background, which has not told its run yet.
bool fl_cli_detach_is_background(void);
/// Starts the command line again in the background, waits until its run is recorded, and says so.
/// Returns the exit code; of an engine that ended before, its own.
FL_MUST int fl_cli_detach(const fl_cli *cli);
/// The run is recorded: in the background, tells the foreground and leaves its terminal. False: the
/// foreground is gone.
FL_MUST bool fl_cli_detach_ready(fl_cli_watch *w);
/// The terminal is gone: what would be written there goes to the run's engine.log.
void fl_cli_detach_hang_up(fl_cli_watch *w);

// clang-format off
#define FL_CLI_WATCH_OPTIONS                                                                      \
  {"jobs", "N", "nodes that may run at once (default: the number of cores)", NULL},               \
  {"pool", "NAME=N", "the capacity of a pool, instead of the script's", NULL},                    \
  {"durability", "HOW",                                                                           \
   "full: survives a power cut; group: one may take 100 ms (default: the flow's, else full)",     \
   "full group"},                                                                                 \
  {"json", NULL, "one JSON object a line on stdout", NULL},                                       \
  {"quiet", NULL, "tell failures only, on stderr", NULL},                                         \
  {"no-progress", NULL, "plain lines, on a terminal too", NULL},                                  \
  {"detach", NULL, "go on in the background; print the run's id and stop watching", NULL}
// clang-format on
