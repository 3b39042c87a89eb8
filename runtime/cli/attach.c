// flowlua watch [RUN]: looks on while a run goes on, whoever executes it, or at how one has ended.
// It reads what is recorded, and changes nothing.
#include "watch.h"
#include <poll.h>
#include <unistd.h>

#define LOOK_MS  1000 // whether somebody still executes it
#define WRITE_MS 100
#define SPARE    10   // of the time a look takes: a large run is not looked at all the time
#define RUNS_MAX 4096 // sub-flows that are known to be ours, or not; then they are asked for anew

static const fl_cli_option options[] = {
    {"json", NULL, "what happens from now on, one JSON object a line", NULL},
    {"quiet", NULL, "tell failures only, on stderr", NULL},
    {"no-progress", NULL, "plain lines, on a terminal too", NULL},
    {NULL, NULL, NULL, NULL},
};

/// A run that called, or was called.
typedef struct known_run {
  char id[32];
  bool ours;
} known_run;

typedef struct attach_view {
  fl_cli_watch watch;
  fl_engine *engine;
  known_run *runs; // other than the run itself
  size_t run_count;
  bool over;       // nothing more happens
  bool stale;      // there may be items that were not counted
  int64_t look_ms; // monotonic: when to look next
} attach_view;

// ------------------------------------------------------------------------------------- what is

static void take_run(void *ud, const fl_run_info *run) {
  attach_view *view = ud;
  fl_cli_watch *w = &view->watch;
  int64_t now = fl_cli_wall_ms(), to = run->ended_ms > 0 ? run->ended_ms : now;
  view->over = fl_cli_status_is_over(run->status);
  if (run->started_ms > 0 && run->started_ms <= to) {
    w->started_ms = fl_cli_monotonic_ms() - (now - run->started_ms);
    w->run_ms = view->over ? to - run->started_ms : 0;
  }
  if (!w->flow && run->flow) w->flow = strdup(run->flow);
  if (view->over) snprintf(w->status, sizeof w->status, "%s", run->status);
  if (view->over && run->error && !w->error) w->error = strdup(run->error);
}

// Of a large run less is told.
static bool count_node(void *ud, const fl_node_info *node) {
  (void)node;
  ((attach_view *)ud)->watch.total++;
  return true;
}

// As it was told when it happened.
static bool take_node(void *ud, const fl_node_info *node) {
  attach_view *view = ud;
  fl_cli_watch *w = &view->watch;
  bool final = fl_cli_status_is_final(node->status);
  fl_event e = {.kind = final ? FL_EVENT_NODE_FINISHED : FL_EVENT_NODE_STARTED,
                .run_id = w->run_id,
                .flow = w->flow,
                .node = node->name,
                .node_index = node->index,
                .attempt = node->attempts,
                .status = node->status,
                .error = node->error,
                .exit_code = node->exit_code,
                .signal = node->signal,
                .wall_ms = final ? node->ended_ms : node->started_ms};
  if (node->ended_ms > node->started_ms) e.duration_ms = node->ended_ms - node->started_ms;
  if (w->mode == FL_MODE_LIVE) fl_cli_live_keep(w, node);
  if (!final && strcmp(node->status, "running") != 0) return true;
  fl_cli_watch_count(w, &e);
  if (!final && w->mode == FL_MODE_LIVE) fl_cli_live_event(w, &e);
  if (final && w->mode != FL_MODE_JSON && e.wall_ms > 0) fl_cli_lines_add(w, &e);
  return true;
}

static bool is_ours(attach_view *view, const fl_event *e) {
  fl_cli_watch *w = &view->watch;
  char id[32];
  if (!e->run_id) return false;
  if (strcmp(e->run_id, w->run_id) == 0) return true;
  if (!e->call) return false;
  for (size_t i = 0; i < view->run_count; i++)
    if (strcmp(view->runs[i].id, e->run_id) == 0) return view->runs[i].ours;
  if (view->run_count == RUNS_MAX) view->run_count = 0;
  // Its nodes are called "call/node" from the top: from our run, does that lead to it?
  fl_cli_text path = {0};
  fl_cli_text_addf(&path, "%sx", e->call);
  const char *node = fl_cli_text_cstr(&path);
  known_run *known = &view->runs[view->run_count++];
  *known = (known_run){0};
  snprintf(known->id, sizeof known->id, "%s", e->run_id);
  known->ours =
      fl_run_enter(view->engine, w->run_id, &node, id, NULL) == FL_OK && strcmp(id, e->run_id) == 0;
  fl_cli_text_deinit(&path);
  return known->ours;
}

static void on_event(void *ud, const fl_event *e) {
  attach_view *view = ud;
  if (!is_ours(view, e)) return;
  bool own = fl_cli_watch_is_own(&view->watch, e);
  // It ended between two looks, and was counted by the first.
  if (own && e->kind == FL_EVENT_NODE_FINISHED && fl_cli_watch_is_done(&view->watch, e->node_index))
    return;
  fl_cli_watch_event(&view->watch, e);
  view->stale |= e->kind == FL_EVENT_NODE_STARTED;
  if (own && (e->kind == FL_EVENT_RUN_FINISHED || e->kind == FL_EVENT_RUN_INTERRUPTED))
    view->over = true;
  if (own && e->kind == FL_EVENT_RUN_STARTED) view->over = false; // it was resumed
}

// ------------------------------------------------------------------------------------- looking on

static void take_status(void *ud, const fl_run_info *run) {
  attach_view *view = ud;
  if (!fl_cli_status_is_over(run->status)) return;
  view->over = true;
  snprintf(view->watch.status, sizeof view->watch.status, "%s", run->status);
}

// An engine that was killed tells no end; and how many items a map has nobody tells to others.
static void look(attach_view *view, int64_t now_ms) {
  fl_cli_watch *w = &view->watch;
  if (now_ms < view->look_ms || view->over) return;
  if (view->stale && w->mode == FL_MODE_LIVE) fl_cli_live_recount(w, view->engine);
  view->stale = false;
  if (fl_read_status(view->engine, w->run_id, take_status, NULL, view, NULL) != FL_OK) return;
  int64_t took = fl_cli_monotonic_ms() - now_ms;
  view->look_ms = now_ms + (took * SPARE > LOOK_MS ? took * SPARE : LOOK_MS);
}

static void show_news(attach_view *view, int64_t now_ms) {
  fl_cli_watch *w = &view->watch;
  fl_cli_lines_add_logs(w, view->engine);
  if (now_ms - w->written_ms < WRITE_MS) return;
  w->written_ms = now_ms;
  if (w->mode != FL_MODE_LIVE) {
    fl_cli_flush();
    return;
  }
  fl_cli_live_read_tails(w, view->engine, now_ms);
  fl_cli_live_write(w, true);
}

static int leave(attach_view *view, unsigned char signal) {
  fl_cli_watch *w = &view->watch;
  if (w->mode == FL_MODE_LIVE) fl_cli_live_write(w, false);
  char *command = fl_cli_command(w->cli, "cancel", w->run_id, NULL);
  fl_cli_note("the run goes on; to end it: %s", command);
  free(command);
  return 128 + signal;
}

static int look_on(attach_view *view) {
  fl_cli_watch *w = &view->watch;
  fl_error err = {0};
  unsigned char signal;
  size_t live;
  while (!view->over) {
    if (fl_step(view->engine, 0, &live, &err) != FL_OK) return fl_cli_fail(&err);
    int64_t now = fl_cli_monotonic_ms();
    look(view, now);
    show_news(view, now);
    if (view->over) break;
    if (fl_cli_out_is_gone()) return FL_EXIT_OK; // nobody reads any more
    struct pollfd fds[] = {{.fd = fl_engine_get_fd(view->engine), .events = POLLIN},
                           {.fd = w->signal_pipe[0], .events = POLLIN}};
    int timeout = fl_engine_get_timeout_ms(view->engine);
    int64_t due = view->look_ms - fl_cli_monotonic_ms();
    if (w->changed || fl_cli_out()->size > 0) due = WRITE_MS;
    if (due < 0) due = 0;
    if (timeout < 0 || due < timeout) timeout = (int)due;
    poll(fds, 2, timeout);
    if (read(w->signal_pipe[0], &signal, 1) == 1) return leave(view, signal);
  }
  fl_cli_lines_add_logs(w, view->engine);
  return fl_cli_watch_finish(w, view->engine);
}

static int attach(attach_view *view) {
  fl_cli_watch *w = &view->watch;
  const char *run = fl_cli_run_word(w->cli);
  fl_error err = {0};
  uint64_t id;
  if (fl_run_find(view->engine, run, w->run_id, &err) != FL_OK)
    return fl_cli_fail_run(w->cli, view->engine, run, &err);
  // What happens between these two is told once more, and counts once.
  if (fl_engine_follow(view->engine, 0, on_event, view, &id, &err) != FL_OK ||
      fl_read_status(view->engine, w->run_id, take_run, count_node, view, &err) != FL_OK ||
      fl_read_status(view->engine, w->run_id, NULL, take_node, view, &err) != FL_OK)
    return fl_cli_fail(&err);
  fl_cli_watch_read_history(w, view->engine);
  if (!fl_cli_drive_begin(w)) return FL_EXIT_SYSTEM;
  return look_on(view);
}

static int watch_run(const fl_cli *cli) {
  attach_view view = {0};
  fl_cli_engine engine = {0};
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  fl_cli_watch_init(&view.watch, cli);
  view.engine = engine.engine;
  view.runs = fl_cli_alloc(RUNS_MAX, sizeof *view.runs);
  code = attach(&view);
  fl_cli_engine_close(&engine);
  fl_cli_drive_end(&view.watch);
  fl_cli_watch_deinit(&view.watch);
  free(view.runs);
  return code;
}

const fl_cli_verb fl_cli_verb_watch = {
    .name = "watch",
    .words = "[RUN]",
    .summary = "look on while a run goes on, or at how it ended; its result is the exit code",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua run pipeline.lua --detach; flowlua watch\n"
               "flowlua watch last-1 --no-progress",
    .run = watch_run,
};
