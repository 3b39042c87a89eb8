// flowlua logs RUN [NODE]: what nodes printed, and what they print while they run.
#include "cli.h"
#include <poll.h>

#define FOLLOW_MS      200
#define TAIL_MAX       1000000000
#define LINE_MAX_BYTES 1048576 // of JSON: a longer one is told in pieces

static const fl_cli_option options[] = {
    {"follow", NULL, "go on until the run has ended", NULL},
    {"tail", "N", "the last N lines only", NULL},
    {"attempt", "N", "which attempt (default: the last)", NULL},
    {"raw", NULL, "the very bytes, not made safe for a terminal", NULL},
    {"json", NULL, "one JSON object a line: node, attempt, text", NULL},
    {NULL, NULL, NULL, NULL},
};

/// A node whose output is printed.
typedef struct log_stream {
  char *name;
  uint32_t attempt;
  int64_t position;
  bool begun;    // its tail was printed
  bool ended;    // the attempt has
  bool complete; // and all of it was printed
} log_stream;

typedef struct log_view {
  const fl_cli *cli;
  fl_engine *engine;
  const char *wanted; // NODE, or NULL
  char run_id[32];
  uint32_t attempt; // asked for, 0: the last
  int64_t tail;
  bool raw, follow, json, prefixed;
  bool run_ended;
  bool found, out_of_line; // a wanted node exists; the last piece did not end its line
  char *current;           // name of the node whose text comes now ...
  uint32_t current_attempt;
  fl_cli_text line;    // ... and, for JSON, the line that is not complete yet
  log_stream *streams; // in declaration order, each for its newest attempt
  size_t count, capacity;
  uint32_t *by_index; // of nodes: number of the stream, from 1
  size_t index_count;
  bool gone;      // what is wanted is in the script no more
  size_t removed; // attempts whose text is not there any more
} log_view;

// ------------------------------------------------------------------------------------- writing

static void end_line(log_view *view) {
  if (view->out_of_line) fl_cli_printf("\n");
  view->out_of_line = false;
}

static void print_json_line(log_view *view) {
  fl_cli_text *out = fl_cli_out();
  fl_cli_text_add_str(out, "{\"node\":");
  fl_cli_text_json(out, view->current);
  fl_cli_text_addf(out, ",\"attempt\":%u,\"text\":", view->current_attempt);
  fl_cli_text_json(out, fl_cli_text_cstr(&view->line));
  fl_cli_text_add(out, "}\n", 2);
  view->line.size = 0;
  fl_cli_flush_some();
}

static void write_json(log_view *view, const char *data, size_t size) {
  while (size > 0) {
    const char *end = memchr(data, '\n', size);
    size_t room = LINE_MAX_BYTES - view->line.size, n = end ? (size_t)(end - data) : size;
    bool whole = end && n <= room;
    if (n > room) n = room;
    fl_cli_text_add(&view->line, data, n);
    data += n + whole;
    size -= n + whole;
    if (whole || view->line.size == LINE_MAX_BYTES) print_json_line(view);
  }
}

static void begin_node(void *ud, const char *node, uint32_t attempt) {
  log_view *view = ud;
  bool same = view->current && strcmp(view->current, node) == 0;
  if (view->line.size > 0 && !(same && view->current_attempt == attempt)) print_json_line(view);
  view->current_attempt = attempt;
  if (same) return;
  if (view->prefixed) end_line(view);
  free(view->current);
  view->current = strdup(node);
  if (!view->current) abort();
}

static void write_piece(void *ud, const char *data, size_t size) {
  log_view *view = ud;
  fl_cli_text *out = fl_cli_out();
  if (view->json) {
    write_json(view, data, size);
    return;
  }
  if (!view->prefixed) {
    fl_cli_text_add(out, data, size);
    fl_cli_flush_some();
    return;
  }
  while (size > 0) {
    const char *end = memchr(data, '\n', size);
    size_t n = end ? (size_t)(end - data) + 1 : size;
    if (!view->out_of_line) {
      fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_CYAN));
      fl_cli_print_clean(view->current, false);
      fl_cli_printf("|%s ", fl_cli_style_text(FL_STYLE_NONE));
    }
    fl_cli_text_add(out, data, n);
    view->out_of_line = !end;
    data += n;
    size -= n;
    fl_cli_flush_some();
  }
}

static fl_code read_stream(log_view *view, log_stream *s, fl_error *err) {
  fl_log_options log = {.size = sizeof log,
                        .node = s->name,
                        .attempt = s->attempt,
                        .tail_lines = s->begun ? -1 : view->tail,
                        .raw = view->raw,
                        .on_node = begin_node,
                        .removed = &view->removed};
  s->begun = true;
  return fl_read_logs(view->engine, view->run_id, &log, &s->position, write_piece, view, err);
}

// ------------------------------------------------------------------------------------- which nodes

// The name of a map stands for all of its instances: "resize" for "resize[1]", "resize[2]".
static bool is_wanted(const log_view *view, const char *name) {
  if (!view->wanted) return true;
  size_t size = strlen(view->wanted);
  return strncmp(name, view->wanted, size) == 0 && (name[size] == '\0' || name[size] == '[');
}

static void take_run(void *ud, const fl_run_info *run) {
  ((log_view *)ud)->run_ended = fl_cli_status_is_final(run->status);
}

// The stream of a node, made when it is asked for first.
static log_stream *get_stream(log_view *view, const fl_node_info *node) {
  if (node->index >= view->index_count) {
    size_t count = (size_t)node->index * 2 + 64;
    view->by_index = fl_cli_realloc(view->by_index, count * sizeof *view->by_index);
    memset(view->by_index + view->index_count, 0,
           (count - view->index_count) * sizeof *view->by_index);
    view->index_count = count;
  }
  uint32_t *at = &view->by_index[node->index];
  if (*at > 0) return &view->streams[*at - 1];
  if (view->count == view->capacity) {
    view->capacity = view->capacity ? view->capacity * 2 : 16;
    view->streams = fl_cli_realloc(view->streams, view->capacity * sizeof *view->streams);
  }
  log_stream *s = &view->streams[view->count++];
  *s = (log_stream){.name = strdup(node->name)};
  if (!s->name) abort();
  *at = (uint32_t)view->count;
  return s;
}

static bool take_node(void *ud, const fl_node_info *node) {
  log_view *view = ud;
  if (!is_wanted(view, node->name)) return true;
  view->found = true;
  if (node->attempts == 0 || view->attempt > node->attempts) return true;
  uint32_t attempt = view->attempt ? view->attempt : node->attempts;
  log_stream *s = get_stream(view, node);
  if (s->attempt != attempt) {
    s->attempt = attempt;
    s->position = 0;
    s->complete = false;
  }
  s->ended = fl_cli_status_is_final(node->status) || attempt < node->attempts;
  return true;
}

// ------------------------------------------------------------------------------------- the verb

static fl_code follow(log_view *view, fl_error *err) {
  for (;;) {
    int64_t began = fl_cli_monotonic_ms();
    // What is read after the run had ended is all there will be.
    fl_code code = fl_read_status(view->engine, view->run_id, take_run, take_node, view, err);
    bool last = view->run_ended;
    view->prefixed = !view->raw && !view->json && (!view->wanted || view->count > 1);
    for (size_t i = 0; i < view->count && code == FL_OK; i++) {
      log_stream *s = &view->streams[i];
      if (s->complete) continue;
      code = read_stream(view, s, err);
      s->complete = s->ended || last;
    }
    fl_cli_flush();
    if (code != FL_OK || last || fl_cli_out_is_gone()) return code;
    // A large run takes a while to look at: never more than a fifth of the time.
    int64_t took = fl_cli_monotonic_ms() - began;
    poll(NULL, 0, took * 4 > FOLLOW_MS ? (int)(took * 4) : FOLLOW_MS);
  }
}

static fl_code print_all(log_view *view, fl_error *err) {
  fl_log_options log = {.size = sizeof log,
                        .attempt = view->attempt,
                        .tail_lines = view->tail,
                        .raw = view->raw,
                        .on_node = begin_node,
                        .removed = &view->removed};
  int64_t position = 0;
  return fl_read_logs(view->engine, view->run_id, &log, &position, write_piece, view, err);
}

static fl_code print_wanted(log_view *view, fl_error *err) {
  fl_code code = fl_read_status(view->engine, view->run_id, take_run, take_node, view, err);
  if (code != FL_OK) return code;
  view->prefixed = view->count > 1 && !view->raw && !view->json;
  for (size_t i = 0; i < view->count && code == FL_OK; i++)
    code = read_stream(view, &view->streams[i], err);
  if (code != FL_OK || view->found) return code;
  // One that a mended script has no more is known still; or it is said what became of it.
  log_stream gone = {.name = (char *)(uintptr_t)view->wanted, .attempt = view->attempt};
  code = read_stream(view, &gone, err);
  view->found = code == FL_OK;
  view->gone = view->found;
  return code;
}

// Logs do not travel with an exported run.
static void note_origin(void *ud, const fl_run_info *run) {
  (void)ud;
  if (run->origin_host)
    fl_cli_note("what ran before %s was logged on %s, in %s: that stayed there", run->exported_at,
                run->origin_host, run->origin_dir);
}

static int show_logs(log_view *view) {
  fl_error err = {0};
  fl_code code = fl_run_find(view->engine, view->cli->words[0], view->run_id, &err);
  if (code == FL_OK)
    code = fl_read_status(view->engine, view->run_id, note_origin, NULL, NULL, &err);
  if (code == FL_OK && view->follow)
    code = follow(view, &err);
  else if (code == FL_OK)
    code = view->wanted ? print_wanted(view, &err) : print_all(view, &err);
  if (view->line.size > 0) print_json_line(view);
  if (view->prefixed) end_line(view);
  if (view->removed)
    fl_cli_note("what %zu attempt%s printed was removed", view->removed,
                view->removed > 1 ? "s" : "");
  if (code != FL_OK) return fl_cli_fail(&err);
  if (view->wanted && !view->found)
    return fl_cli_usage("run %s has no node '%s'", view->run_id, view->wanted);
  if (view->wanted && view->count == 0 && !view->gone)
    fl_cli_note("node '%s' has %s", view->wanted,
                view->attempt ? "no such attempt" : "not run in this run");
  return FL_EXIT_OK;
}

static int logs_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  int64_t attempt = 0, tail = -1;
  if (!fl_cli_get_number(cli, "attempt", 1, UINT32_MAX, &attempt) ||
      !fl_cli_get_number(cli, "tail", 0, TAIL_MAX, &tail))
    return FL_EXIT_USAGE;
  if (fl_cli_has(cli, "json") && fl_cli_has(cli, "raw"))
    return fl_cli_usage("--raw: JSON cannot hold any bytes; use either --raw or --json");
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  log_view view = {.cli = cli, .engine = engine.engine, .attempt = (uint32_t)attempt, .tail = tail};
  view.wanted = cli->word_count > 1 ? cli->words[1] : NULL;
  view.raw = fl_cli_has(cli, "raw");
  view.follow = fl_cli_has(cli, "follow");
  view.json = fl_cli_has(cli, "json");
  view.prefixed = !view.wanted && !view.raw && !view.json;
  code = show_logs(&view);
  for (size_t i = 0; i < view.count; i++) free(view.streams[i].name);
  free(view.streams);
  free(view.by_index);
  free(view.current);
  fl_cli_text_deinit(&view.line);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_logs = {
    .name = "logs",
    .words = "RUN [NODE]",
    .summary = "print what nodes wrote to stdout and stderr",
    .word_count_min = 1,
    .word_count_max = 2,
    .word_kind = "run",
    .options = options,
    .example = "flowlua logs last extract --tail 20\n"
               "flowlua logs last --follow",
    .run = logs_run,
};
