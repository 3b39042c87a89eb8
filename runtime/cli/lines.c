// An event as a line: plain for people, JSON for programs (docs/command-line.md).
#include "watch.h"

#define TAIL_LINES   5   // of a failed node's log
#define TAILS_MAX    20  // failures whose log is shown: a storm of them must not flood
#define KEEP_COUNT   100 // nodes of a run whose every end stays on the screen
#define KEEP_ITEMS   20  // the same for items of maps, which have a row with their number
#define ERROR_LINES  12
#define ITEM_COLUMNS 50 // of what an item is about

static bool is_failure(const fl_event *e) {
  return e->kind == FL_EVENT_NODE_FINISHED && e->status && strcmp(e->status, "failed") == 0;
}

// "name", or "call/name" of a sub-flow's node; clean.
static void add_name(fl_cli_text *t, const fl_cli_watch *w, const fl_event *e) {
  if (!fl_cli_watch_is_own(w, e) && e->call) fl_cli_text_clean(t, e->call, strlen(e->call), false);
  if (e->node) fl_cli_text_clean(t, e->node, strlen(e->node), false);
}

// ------------------------------------------------------------------------------------- JSON

static void add_json(fl_cli_text *t, const fl_event *e) {
  char *json = fl_event_to_json(e);
  fl_cli_text_add_str(t, json);
  fl_cli_text_add(t, "\n", 1);
  fl_free(json);
}

// ------------------------------------------------------------------------------------- plain

// The first line behind ": ", the others below, set in.
static void add_error(fl_cli_text *t, const fl_event *e) {
  const char *text = e->error;
  if (!text || !*text) {
    if (e->signal > 0)
      fl_cli_text_addf(t, ": signal %d", e->signal);
    else if (e->exit_code > 0)
      fl_cli_text_addf(t, ": exit code %d", e->exit_code);
    return;
  }
  const char *sign = ": ";
  for (int line = 0; *text && line < ERROR_LINES; line++) {
    size_t n = strcspn(text, "\n");
    fl_cli_text_add_str(t, sign);
    fl_cli_text_clean(t, text, n, false);
    text += n + (text[n] == '\n');
    sign = "\n    ";
  }
  if (*text) fl_cli_text_add_str(t, "\n    ...");
}

static void add_duration(fl_cli_text *t, int64_t ms) {
  char text[32];
  fl_duration_format(ms, text);
  fl_cli_text_addf(t, " %s", text);
}

// " (photo 37.png)" of an item that failed: a number says little.
static void add_item(fl_cli_text *t, const fl_event *e) {
  if (!e->item) return;
  char *item = fl_cli_live_item_text(e->item);
  fl_cli_text_add_str(t, " (");
  fl_cli_text_cut(t, item, strlen(item), ITEM_COLUMNS);
  fl_cli_text_add_str(t, ")");
  free(item);
}

static bool is_run_end(const fl_event *e) {
  return e->kind == FL_EVENT_RUN_FINISHED || e->kind == FL_EVENT_RUN_INTERRUPTED ||
         e->kind == FL_EVENT_RUN_LEFT;
}

static void add_run_line(fl_cli_text *t, const fl_event *e) {
  bool started = e->kind == FL_EVENT_RUN_STARTED;
  fl_cli_text_addf(t, "run %s of ", e->run_id ? e->run_id : "");
  if (e->flow) fl_cli_text_clean(t, e->flow, strlen(e->flow), false);
  if (!started) {
    bool left = e->kind == FL_EVENT_RUN_LEFT;
    fl_cli_text_addf(t, " %s", left ? "left" : e->status ? e->status : "ended");
    if (!left) add_duration(t, e->duration_ms);
    if (e->error) add_error(t, e);
    return;
  }
  fl_cli_text_add_str(t, e->epoch > 1 ? " resumed" : " started");
  if (e->nodes_total)
    fl_cli_text_addf(t, ", %u node%s", e->nodes_total, e->nodes_total == 1 ? "" : "s");
}

static void add_node_line(fl_cli_text *t, const fl_cli_watch *w, const fl_event *e) {
  const char *status = e->status ? e->status : "ended";
  fl_cli_style style = fl_cli_style_of_status(status);
  if (e->kind == FL_EVENT_NODE_STARTED) status = "started", style = FL_STYLE_NONE;
  if (e->kind == FL_EVENT_NODE_RETRYING) status = "retrying", style = FL_STYLE_YELLOW;
  add_name(t, w, e);
  fl_cli_text_addf(t, " %s%s%s", style ? fl_cli_style_text(style) : "", status,
                   style ? fl_cli_style_text(FL_STYLE_NONE) : "");
  if (e->kind == FL_EVENT_NODE_STARTED) {
    if (e->attempt > 1) fl_cli_text_addf(t, " (attempt %u)", e->attempt);
    return;
  }
  if (e->kind == FL_EVENT_NODE_RETRYING) fl_cli_text_add_str(t, " in");
  if (e->attempt > 0) add_duration(t, e->duration_ms);
  bool lost = e->reason && strcmp(e->reason, "retry_lost") == 0;
  if (e->kind == FL_EVENT_NODE_RETRYING)
    fl_cli_text_addf(t, " (attempt %u %s)", e->attempt, lost ? "lost" : "failed");
  if (strcmp(status, "succeeded") == 0) return;
  if (is_failure(e)) add_item(t, e);
  const char *why = fl_reason_sentence(e->reason);
  if (is_failure(e) || e->kind == FL_EVENT_NODE_RETRYING || *why == '\0') {
    add_error(t, e);
    return;
  }
  // A node that did not run has no error: its text says more of the reason.
  fl_cli_text_addf(t, ": %s", why);
  if (!e->error || !*e->error) return;
  fl_cli_text_add_str(t, " (");
  fl_cli_text_clean(t, e->error, strlen(e->error), false);
  fl_cli_text_add_str(t, ")");
}

static void add_plain(fl_cli_text *t, const fl_cli_watch *w, const fl_event *e) {
  char clock[16];
  fl_cli_local_clock(e->wall_ms, clock);
  fl_cli_text_addf(t, "%s%s%s ", fl_cli_style_text(FL_STYLE_DIM), clock,
                   fl_cli_style_text(FL_STYLE_NONE));
  if (e->kind == FL_EVENT_RUN_STARTED || is_run_end(e)) {
    add_run_line(t, e);
  } else if (e->kind == FL_EVENT_NOTICE) {
    const char *text = e->error ? e->error : e->reason;
    if (e->node) add_name(t, w, e), fl_cli_text_add_str(t, ": ");
    fl_cli_text_add_str(t, "notice: ");
    if (text) fl_cli_text_clean(t, text, strlen(text), false);
  } else {
    add_node_line(t, w, e);
  }
  fl_cli_text_add(t, "\n", 1);
}

// ------------------------------------------------------------------------------------- both

// What the end of the run says of it.
static void tell_again(fl_cli_watch *w, const fl_event *e, const char *key) {
  if (w->told_count++ >= FL_CLI_TOLD_MAX) return;
  fl_cli_told *told = &w->told[w->told_count - 1];
  fl_cli_text name = {0}, error = {0};
  add_name(&name, w, e);
  add_item(&name, e);
  if (e->error && *e->error)
    fl_cli_text_clean(&error, e->error, strcspn(e->error, "\n"), false);
  else
    fl_cli_text_addf(&error, e->signal > 0 ? "signal %d" : "exit code %d",
                     e->signal > 0 ? e->signal : e->exit_code);
  fl_cli_text_cstr(&name);
  fl_cli_text_cstr(&error);
  *told = (fl_cli_told){.key = strdup(key), .name = name.data, .error = error.data};
  if (!told->key) abort();
}

static void remember_failure(fl_cli_watch *w, const fl_event *e, size_t offset) {
  if (w->failure_count == w->failure_capacity) {
    w->failure_capacity = w->failure_capacity ? w->failure_capacity * 2 : 8;
    w->failures = fl_cli_realloc(w->failures, w->failure_capacity * sizeof *w->failures);
  }
  fl_cli_failure *f = &w->failures[w->failure_count++];
  *f = (fl_cli_failure){.offset = offset, .attempt = e->attempt};
  f->is_process = e->exit_code > 0 || e->signal > 0;
  fl_cli_text node = {0};
  if (!fl_cli_watch_is_own(w, e) && e->call) fl_cli_text_add_str(&node, e->call);
  if (e->node) fl_cli_text_add_str(&node, e->node);
  fl_cli_text_cstr(&node);
  f->node = node.data;
  f->error = strdup(e->error ? e->error : "");
  if (!f->error) abort();
  tell_again(w, e, f->node);
}

// What stays on a terminal: all of a small run, else what somebody should see.
static bool stays(const fl_cli_watch *w, const fl_event *e) {
  if (e->kind == FL_EVENT_NODE_STARTED) return false;
  if (e->kind != FL_EVENT_NODE_FINISHED) return true;
  bool behind = e->status && strcmp(e->status, "upstream_failed") == 0;
  if (behind && fl_cli_tally_get(&w->ends, e->status) > FL_CLI_BEHIND_MAX) return false;
  bool item = e->node && *e->node && e->node[strlen(e->node) - 1] == ']';
  return is_failure(e) || w->total <= (item ? KEEP_ITEMS : KEEP_COUNT);
}

// On stderr; behind the failures that are not written yet, so that their places stay what they are.
static void add_notice(fl_cli_watch *w, const fl_event *e, fl_cli_text *out) {
  const char *text = e->error ? e->error : e->reason;
  fl_cli_text line = {0};
  fl_cli_text_add_str(&line, "flowlua: ");
  if (e->node) add_name(&line, w, e), fl_cli_text_add_str(&line, ": ");
  fl_cli_text_add_str(&line, text ? text : "");
  if (w->failure_count > 0) {
    fl_cli_text_clean(out, line.data, line.size, false);
    fl_cli_text_add(out, "\n", 1);
  } else {
    fl_cli_note("%s", fl_cli_text_cstr(&line));
  }
  fl_cli_text_deinit(&line);
}

void fl_cli_lines_add(fl_cli_watch *w, const fl_event *e) {
  fl_cli_text *out = fl_cli_out();
  if (e->kind == FL_EVENT_NODE_PROGRESS) return;
  if (e->kind == FL_EVENT_NOTICE && (w->mode == FL_MODE_JSON || w->mode == FL_MODE_QUIET)) {
    add_notice(w, e, out);
    return;
  }
  if (w->mode == FL_MODE_JSON) {
    add_json(out, e);
    return;
  }
  bool failure = is_failure(e);
  if (w->mode == FL_MODE_QUIET && !failure) return;
  if (w->mode == FL_MODE_LIVE && !stays(w, e)) return;
  // The end of the run itself is told by the summary, and that it was taken over by whoever drives.
  if (is_run_end(e) && fl_cli_watch_is_own(w, e)) return;
  add_plain(out, w, e);
  w->lines_since += w->told_count > 0;
  if (failure) remember_failure(w, e, out->size);
}

typedef struct tail_text {
  fl_cli_text text;
} tail_text;

static void take_tail(void *ud, const char *data, size_t size) {
  fl_cli_text_add(&((tail_text *)ud)->text, data, size);
}

// What the log ends with, unless the error said so already; then where the whole is.
static void add_details(fl_cli_watch *w, fl_engine *engine, const fl_cli_failure *f,
                        fl_cli_text *out) {
  tail_text tail = {0};
  fl_log_options options = {
      .size = sizeof options, .node = f->node, .attempt = f->attempt, .tail_lines = TAIL_LINES};
  int64_t position = 0;
  bool wanted = f->is_process && w->failures_told < TAILS_MAX;
  if (wanted &&
      fl_read_logs(engine, w->run_id, &options, &position, take_tail, &tail, NULL) == FL_OK) {
    const char *p = fl_cli_text_cstr(&tail.text);
    for (size_t n; *p; p += n + (p[n] == '\n')) {
      n = strcspn(p, "\n");
      if (n > 0 && memmem(f->error, strlen(f->error), p, n)) continue;
      fl_cli_text_add_str(out, "    | ");
      fl_cli_text_clean(out, p, n, true);
      fl_cli_text_add(out, "\n", 1);
    }
  }
  fl_cli_text_deinit(&tail.text);
  if (f->attempt == 0) return;
  char *command = fl_cli_command(w->cli, "logs", w->run_id, f->node);
  fl_cli_text_addf(out, "    log: %s\n", command);
  free(command);
}

void fl_cli_lines_add_logs(fl_cli_watch *w, fl_engine *engine) {
  if (w->failure_count == 0) return;
  fl_cli_text *out = fl_cli_out(), whole = {0};
  size_t at = 0;
  for (size_t i = 0; i < w->failure_count; i++) {
    fl_cli_failure *f = &w->failures[i];
    fl_cli_text_add(&whole, out->data + at, f->offset - at);
    at = f->offset;
    add_details(w, engine, f, &whole);
    w->failures_told++;
    free(f->node);
    free(f->error);
  }
  w->failure_count = 0;
  fl_cli_text_add(&whole, out->data + at, out->size - at);
  out->size = 0;
  if (w->mode == FL_MODE_QUIET) {
    if (whole.size > 0) whole.size--; // a note ends its line itself
    fl_cli_note("%s", fl_cli_text_cstr(&whole));
  } else {
    fl_cli_text_add(out, whole.data, whole.size);
  }
  fl_cli_text_deinit(&whole);
}

void fl_cli_lines_note(fl_cli_watch *w, const char *fmt, ...) {
  fl_cli_text text = {0};
  va_list args;
  va_start(args, fmt);
  fl_cli_text_vaddf(&text, fmt, args);
  va_end(args);
  if (w->mode == FL_MODE_LIVE) {
    fl_cli_print_clean(fl_cli_text_cstr(&text), true);
    fl_cli_printf("\n");
    w->changed = true;
  } else {
    fl_cli_note("%s", fl_cli_text_cstr(&text));
  }
  fl_cli_text_deinit(&text);
}
