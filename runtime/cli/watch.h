// What run and resume share: following a run to its end, telling what happens, handling signals.
//
//   watch.c   counts; summary.c what is said at the end, the exit code
//   lines.c   an event as a plain line or as JSON
//   live.c    what the view on a terminal knows; live_view.c how it looks; live_draw.c drawing it
//   attach.c  looking on while another process executes it
//   drive.c   the loop: step, signals, when to write
//   room.c    a full disk: waiting for room
//   detach.c  going on without the terminal
#pragma once
#include "cli.h"
#include <string.h>

typedef enum fl_cli_mode {
  FL_MODE_PLAIN, // a line an event
  FL_MODE_LIVE,  // a terminal: what runs now, redrawn
  FL_MODE_JSON,  // docs/command-line.md
  FL_MODE_QUIET, // failures only, on stderr
} fl_cli_mode;

/// A map some of whose items were seen, for the live view.
typedef struct fl_cli_live_map {
  struct fl_cli_live_map *next;
  char *name;                   // "call/map"
  uint32_t total, done, failed; // items
  uint32_t done_here;           // since this command watches
  uint32_t seen;                // while they are counted
  int64_t since_ms;             // monotonic: when its first item was seen
} fl_cli_live_map;

/// A node that runs now or waits for another try, for the live view.
typedef struct fl_cli_live_node {
  struct fl_cli_live_node *next, *prev;
  char *key, *name; // "call/node": as it is, and as clean text
  char run_id[32];  // of a sub-flow's node; "" for the run itself
  uint32_t index, attempt;
  fl_cli_live_map *map, *of; // a map itself; an item: of which
  int64_t since_ms;          // monotonic
  bool retrying;             // since its last attempt failed ...
  int64_t due_ms;            // ... until then, monotonic
  double done, total;        // progress; total 0: none told
  char *text;                // what it says of it, or why it failed; clean, or NULL
  char *item;                // of an item: its value, clean, or NULL
  char *tail;                // the last line it printed, clean, or NULL ...
  int64_t tail_position;     // ... and how far its log was read
} fl_cli_live_node;

#define FL_CLI_LIVE_ROWS 100 // no window is so high that its view would need more

typedef struct fl_cli_live_line {
  char *text; // with its styles
  uint16_t width;
} fl_cli_live_line;

typedef struct fl_cli_live {
  fl_cli_live_node *first, *last; // in the order they started
  fl_cli_live_node **by_index;    // nodes of the run itself
  uint32_t by_index_count;
  uint32_t count;
  fl_cli_live_map *maps;
  fl_cli_live_line *lines; // on the screen
  uint32_t line_count, columns;
  int64_t tails_due_ms; // monotonic
} fl_cli_live;

/// A failure that was told: what its log says is put in at `offset` of the output.
typedef struct fl_cli_failure {
  size_t offset;
  char *node, *error; // of a sub-flow's: "call/node"
  uint32_t attempt;
  bool is_process;
} fl_cli_failure;

#define FL_CLI_TOLD_MAX   8 // failures that are told once more at the end
#define FL_CLI_BEHIND_MAX 3 // nodes behind a failure that have a line on a terminal

/// A failure that was told, for the end of the run.
typedef struct fl_cli_told {
  char *key;   // "call/node"
  char *name;  // clean, with what an item is about
  char *error; // clean
} fl_cli_told;

typedef struct fl_cli_watch {
  const fl_cli *cli;
  fl_cli_mode mode;
  bool resumed;
  bool left;     // it is another engine's now
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
  fl_cli_tally ends; // how its nodes ended
  fl_cli_failure *failures;
  size_t failure_count, failure_capacity, failures_told;
  fl_cli_told told[FL_CLI_TOLD_MAX];
  size_t told_count;  // there may be more than are kept
  size_t lines_since; // lines told behind the first of them
  fl_cli_live live;
  int64_t written_ms;   // monotonic: last flush or redraw
  bool changed;         // since the last redraw
  int room_tries;       // times that the disk was full, without a while in between
  int64_t room_ms;      // monotonic: the last time
  bool told_closed;     // that stdout is
  uint64_t store_inode; // of the store's file when the run began; 0: not seen yet
  int signal, signal_count;
  int signal_pipe[2];
} fl_cli_watch;

/// Whether it is of the run itself, and not of one that it called.
static inline bool fl_cli_watch_is_own(const fl_cli_watch *w, const fl_event *e) {
  return !e->run_id || strcmp(e->run_id, w->run_id) == 0;
}
/// By --json, --quiet, --no-progress and what stdout is.
void fl_cli_watch_init(fl_cli_watch *w, const fl_cli *cli);
void fl_cli_watch_deinit(fl_cli_watch *w);
/// fl_config.on_event, with the watch as `event_ud`.
void fl_cli_watch_event(void *ud, const fl_event *event);
/// Whether a node has ended, and was counted.
bool fl_cli_watch_is_done(const fl_cli_watch *w, uint32_t node);
/// Counts a node by what is told of it.
void fl_cli_watch_count(fl_cli_watch *w, const fl_event *event);
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

void fl_cli_live_event(fl_cli_watch *w, const fl_event *event);
/// After a resume: an item that is there already counts in its map.
void fl_cli_live_keep(fl_cli_watch *w, const fl_node_info *node);
/// Of a run that another process executes: looks how many items its maps have.
void fl_cli_live_recount(fl_cli_watch *w, fl_engine *engine);
/// Looks what the nodes have printed last, when it is time to. Not from within an event.
void fl_cli_live_read_tails(fl_cli_watch *w, fl_engine *engine, int64_t now_ms);
/// An item's value for people: a text without its quotes. free() it.
char *fl_cli_live_item_text(const char *json);
void fl_cli_live_deinit(fl_cli_live *live);
/// Writes the output above the view and, with `draw`, the view anew.
void fl_cli_live_write(fl_cli_watch *w, bool draw);
/// The same for a screen of that size: appends to `out` what a terminal has to be sent.
void fl_cli_live_draw(fl_cli_watch *w, int64_t now_ms, uint32_t rows, uint32_t columns, bool draw,
                      const fl_cli_text *kept, fl_cli_text *out);
/// Appends the lines of the view for a screen of that size, half of which they may take; `widths`
/// has room for FL_CLI_LIVE_ROWS. Returns how many there are.
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
/// Begins another engine.log when the one that is written is long, and keeps this one beside it.
void fl_cli_detach_bound_log(void);
/// The terminal is gone: what would be written there goes to the run's engine.log.
void fl_cli_detach_hang_up(fl_cli_watch *w);

// clang-format off
#define FL_CLI_WATCH_OPTIONS                                                                      \
  {"jobs", "N", "nodes that may run at once (default: the number of cores)", NULL},               \
  {"pool", "NAME=N", "the capacity of a pool, instead of the script's", NULL},                    \
  {"env-file", "FILE", "variables for the nodes: lines of NAME=value", NULL},                     \
  {"durability", "HOW",                                                                           \
   "full: survives a power cut; group: one may take 100 ms (default: the flow's, else full)",     \
   "full group"},                                                                                 \
  {"json", NULL, "one JSON object a line on stdout", NULL},                                       \
  {"quiet", NULL, "tell failures only, on stderr", NULL},                                         \
  {"no-progress", NULL, "plain lines, on a terminal too", NULL},                                  \
  {"detach", NULL, "go on in the background; print the run's id and stop watching", NULL}
// clang-format on
