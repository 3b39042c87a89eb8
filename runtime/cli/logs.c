// flowlua logs [RUN [NODE]]: what nodes printed, and what they print while they run.
#include "cli.h"
#include <jansson.h>
#include <poll.h>

#define FOLLOW_MS      200
#define TAIL_MAX       1000000000
#define LINE_MAX_BYTES 1048576 // of JSON: a longer one is told in pieces

static const fl_cli_option options[] = {
    {"follow", NULL, "go on until the run has ended; its result is the exit code", NULL},
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
  bool begun;       // its tail was printed
  bool ended;       // the attempt has
  bool complete;    // and all of it was printed
  fl_cli_text held; // of a follower: a line that has no end yet
} log_stream;

/// A run of which nodes are printed: the one that was asked for, and those that it called.
typedef struct log_part {
  char run_id[32];
  char *call;          // before the names of its nodes: "", "call/"
  const char *wanted;  // one of its nodes, NULL: all
  log_stream *streams; // in declaration order, each for its newest attempt
  size_t count, capacity;
  uint32_t *by_index; // of nodes: number of the stream, from 1
  size_t index_count;
  bool calls; // nodes of it that are wanted call others
  bool over;  // nothing more happens in it
} log_part;

typedef struct log_view {
  const fl_cli *cli;
  fl_engine *engine;
  const char *wanted; // NODE, or NULL
  uint32_t attempt;   // asked for, 0: the last
  int64_t tail;
  bool raw, follow, json, prefixed;
  bool found, out_of_line; // a wanted node exists; the last piece did not end its line
  char status[32];         // of the run that was asked for
  char *current;           // name of the node whose text comes now ...
  uint32_t current_attempt;
  fl_cli_text line; // ... and, for JSON, the line that is not complete yet
  log_part **parts; // the first: the run that was asked for
  size_t part_count;
  log_part *part;      // whose status or text comes now,
  log_stream *held_by; // and what keeps the text, for it may end in the middle of a line
  bool gone;           // what is wanted is in the script no more
  size_t removed;      // attempts whose text is not there any more
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
  fl_cli_text_json_bytes(out, view->line.data, view->line.size);
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
  fl_cli_text name = {0};
  fl_cli_text_addf(&name, "%s%s", view->part->call, node);
  fl_cli_text_cstr(&name);
  bool same = view->current && strcmp(view->current, name.data) == 0;
  if (view->line.size > 0 && !(same && view->current_attempt == attempt)) print_json_line(view);
  view->current_attempt = attempt;
  if (!same && view->prefixed) end_line(view);
  free(view->current);
  view->current = name.data;
}

static void write_text(log_view *view, const char *data, size_t size) {
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

// A follower prints whole lines, so that those of several nodes do not mix.
static void write_held(log_view *view, log_stream *s, bool last) {
  const char *end = s->held.size ? memrchr(s->held.data, '\n', s->held.size) : NULL;
  size_t size = last || s->held.size >= LINE_MAX_BYTES ? s->held.size
                : end                                  ? (size_t)(end - s->held.data) + 1
                                                       : 0;
  if (size == 0) return;
  begin_node(view, s->name, s->attempt);
  write_text(view, s->held.data, size);
  s->held.size -= size;
  memmove(s->held.data, s->held.data + size, s->held.size);
}

static void write_piece(void *ud, const char *data, size_t size) {
  log_view *view = ud;
  if (view->held_by)
    fl_cli_text_add(&view->held_by->held, data, size);
  else
    write_text(view, data, size);
}

static fl_code read_stream(log_view *view, log_part *part, log_stream *s, fl_error *err) {
  bool holds = view->follow && !view->raw;
  fl_log_options log = {.size = sizeof log,
                        .node = s->name,
                        .attempt = s->attempt,
                        .tail_lines = s->begun ? -1 : view->tail,
                        .raw = view->raw,
                        .on_node = holds ? NULL : begin_node,
                        .removed = &view->removed};
  s->begun = true;
  view->part = part;
  view->held_by = holds ? s : NULL;
  fl_code code =
      fl_read_logs(view->engine, part->run_id, &log, &s->position, write_piece, view, err);
  view->held_by = NULL;
  if (holds) write_held(view, s, false);
  return code;
}

// ------------------------------------------------------------------------------------- which nodes

static log_part *add_part(log_view *view, const char *run_id, const char *call) {
  view->parts = fl_cli_realloc(view->parts, (view->part_count + 1) * sizeof *view->parts);
  log_part *part = fl_cli_alloc(1, sizeof *part);
  snprintf(part->run_id, sizeof part->run_id, "%s", run_id);
  part->call = strdup(call);
  if (!part->call) abort();
  view->parts[view->part_count++] = part;
  return part;
}

static void free_part(log_part *part) {
  for (size_t i = 0; i < part->count; i++) {
    free(part->streams[i].name);
    fl_cli_text_deinit(&part->streams[i].held);
  }
  free(part->streams);
  free(part->by_index);
  free(part->call);
  free(part);
}

// The name of a map stands for all of its items: "resize" for "resize[1]", "resize[2]".
static bool is_wanted(const log_part *part, const char *name) {
  if (!part->wanted) return true;
  size_t size = strlen(part->wanted);
  return strncmp(name, part->wanted, size) == 0 && (name[size] == '\0' || name[size] == '[');
}

static void take_run(void *ud, const fl_run_info *run) {
  log_view *view = ud;
  view->part->over = fl_cli_status_is_over(run->status);
  if (view->part == view->parts[0]) snprintf(view->status, sizeof view->status, "%s", run->status);
}

// The stream of a node, made when it is asked for first.
static log_stream *get_stream(log_part *part, const fl_node_info *node) {
  if (node->index >= part->index_count) {
    size_t count = (size_t)node->index * 2 + 64;
    part->by_index = fl_cli_realloc(part->by_index, count * sizeof *part->by_index);
    memset(part->by_index + part->index_count, 0,
           (count - part->index_count) * sizeof *part->by_index);
    part->index_count = count;
  }
  uint32_t *at = &part->by_index[node->index];
  if (*at > 0) return &part->streams[*at - 1];
  if (part->count == part->capacity) {
    part->capacity = part->capacity ? part->capacity * 2 : 16;
    part->streams = fl_cli_realloc(part->streams, part->capacity * sizeof *part->streams);
  }
  log_stream *s = &part->streams[part->count++];
  *s = (log_stream){.name = strdup(node->name)};
  if (!s->name) abort();
  *at = (uint32_t)part->count;
  return s;
}

static bool take_node(void *ud, const fl_node_info *node) {
  log_view *view = ud;
  log_part *part = view->part;
  if (!is_wanted(part, node->name)) return true;
  view->found = true;
  part->calls |= strcmp(node->type, "call") == 0 && node->attempts > 0;
  if (node->attempts == 0 || view->attempt > node->attempts) return true;
  uint32_t attempt = view->attempt ? view->attempt : node->attempts;
  log_stream *s = get_stream(part, node);
  if (s->attempt != attempt) {
    write_held(view, s, true);
    s->attempt = attempt;
    s->position = 0;
    s->complete = false;
  }
  s->ended = fl_cli_status_is_final(node->status) || attempt < node->attempts;
  return true;
}

static bool has_part(const log_view *view, const char *run_id) {
  for (size_t i = 0; i < view->part_count; i++)
    if (strcmp(view->parts[i]->run_id, run_id) == 0) return true;
  return false;
}

// The runs that the wanted nodes of a run have called by now.
static fl_code add_called(log_view *view, const log_part *part, fl_error *err) {
  fl_run_query query = {.size = sizeof query, .parent = part->run_id};
  char *text = NULL;
  if (!part->calls) return FL_OK;
  fl_code code = fl_read_query(view->engine, &query, &text, err);
  if (code != FL_OK) return code;
  json_t *runs = json_loads(text, 0, NULL);
  for (size_t i = json_array_size(runs); i-- > 0;) { // the newest one is the first
    const json_t *run = json_array_get(runs, i);
    const char *id = json_string_value(json_object_get(run, "id"));
    const char *node = json_string_value(json_object_get(json_object_get(run, "parent"), "node"));
    if (!id || has_part(view, id) || !is_wanted(part, node ? node : "?")) continue;
    fl_cli_text call = {0};
    fl_cli_text_addf(&call, "%s%s/", part->call, node ? node : "?");
    add_part(view, id, fl_cli_text_cstr(&call));
    fl_cli_text_deinit(&call);
  }
  json_decref(runs);
  fl_free(text);
  return FL_OK;
}

// ------------------------------------------------------------------------------------- the verb

static fl_code print_part(log_view *view, log_part *part, bool last, fl_error *err) {
  fl_code code = FL_OK;
  for (size_t i = 0; i < part->count && code == FL_OK; i++) {
    log_stream *s = &part->streams[i];
    if (s->complete) continue;
    code = read_stream(view, part, s, err);
    s->complete = s->ended || last;
    if (s->complete) write_held(view, s, true);
  }
  return code;
}

// All that is there now. `*last`: there will be no more.
static fl_code print_news(log_view *view, bool *last, fl_error *err) {
  fl_code code = FL_OK;
  for (size_t i = 0; i < view->part_count && code == FL_OK; i++) {
    log_part *part = view->parts[i];
    if (i > 0 && part->over && part->by_index) continue;
    view->part = part;
    code = fl_read_status(view->engine, part->run_id, take_run, take_node, view, err);
    // What is read after the run had ended is all there will be.
    if (i == 0) *last = part->over;
    view->prefixed = !view->raw && !view->json &&
                     (!view->wanted || view->part_count > 1 || view->parts[0]->count > 1);
    if (code == FL_OK) code = print_part(view, part, *last || part->over, err);
    if (code == FL_OK) code = add_called(view, part, err);
  }
  fl_cli_flush();
  return code;
}

static fl_code follow(log_view *view, fl_error *err) {
  for (;;) {
    int64_t began = fl_cli_monotonic_ms();
    bool last = false;
    fl_code code = print_news(view, &last, err);
    if (code != FL_OK || last || fl_cli_out_is_gone()) return code;
    // A large run takes a while to look at: never more than a fifth of the time.
    int64_t took = fl_cli_monotonic_ms() - began;
    poll(NULL, 0, took * 4 > FOLLOW_MS ? (int)(took * 4) : FOLLOW_MS);
  }
}

// Nodes in the order they started, then the runs that they called.
static fl_code print_all(log_view *view, fl_error *err) {
  fl_code code = FL_OK;
  for (size_t i = 0; i < view->part_count && code == FL_OK; i++) {
    log_part *part = view->parts[i];
    fl_log_options log = {.size = sizeof log,
                          .attempt = view->attempt,
                          .tail_lines = view->tail,
                          .raw = view->raw,
                          .on_node = begin_node,
                          .removed = &view->removed};
    int64_t position = 0;
    view->part = part;
    code = fl_read_logs(view->engine, part->run_id, &log, &position, write_piece, view, err);
    if (code == FL_OK)
      code = fl_read_status(view->engine, part->run_id, NULL, take_node, view, err);
    if (code == FL_OK) code = add_called(view, part, err);
  }
  return code;
}

static fl_code print_wanted(log_view *view, fl_error *err) {
  bool last;
  fl_code code = print_news(view, &last, err);
  if (code != FL_OK || view->found) return code;
  // One that a mended script has no more is known still; or it is said what became of it.
  log_part *part = view->parts[0];
  log_stream gone = {.name = (char *)(uintptr_t)part->wanted, .attempt = view->attempt};
  code = read_stream(view, part, &gone, err);
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

// A follower may come before the first run: it waits for it. False: a message was printed.
static bool find_run(log_view *view, char run_id[32], int *exit) {
  const char *run = fl_cli_run_word(view->cli);
  fl_error err = {0};
  fl_code code = fl_run_find(view->engine, run, run_id, &err);
  bool waits = view->follow && strcmp(run, "last") == 0;
  while (code == FL_E_NOT_FOUND && waits && !fl_cli_out_is_gone()) {
    poll(NULL, 0, FOLLOW_MS);
    code = fl_run_find(view->engine, run, run_id, &err);
  }
  if (code == FL_OK) return true;
  *exit = fl_cli_fail_run(view->cli, view->engine, run, &err);
  return false;
}

// Of a run that was followed to its end: how it ended, and its result.
static int tell_end(const log_view *view, const char *run_id) {
  if (strcmp(view->status, "succeeded") == 0) return FL_EXIT_OK;
  fl_cli_note("run %s %s", run_id, view->status);
  if (!fl_cli_status_is_over(view->status)) return FL_EXIT_OK; // nobody reads any more
  char *command = fl_cli_command(view->cli, "resume", run_id, NULL);
  fl_cli_note("resume: %s", command);
  free(command);
  return strcmp(view->status, "waiting") == 0 ? FL_EXIT_WAITING : FL_EXIT_FAILED;
}

static int show_logs(log_view *view) {
  fl_error err = {0};
  char run_id[32], part_id[32];
  int exit = FL_EXIT_OK;
  const char *node = view->wanted;
  if (!find_run(view, run_id, &exit)) return exit;
  fl_code code = fl_read_status(view->engine, run_id, note_origin, NULL, NULL, &err);
  if (code == FL_OK) code = fl_run_enter(view->engine, run_id, &node, part_id, &err);
  if (code != FL_OK) return fl_cli_fail(&err);
  fl_cli_text call = {0};
  fl_cli_text_add(&call, view->wanted, node ? (size_t)(node - view->wanted) : 0);
  add_part(view, part_id, fl_cli_text_cstr(&call))->wanted = node;
  fl_cli_text_deinit(&call);
  if (view->follow)
    code = follow(view, &err);
  else
    code = view->wanted ? print_wanted(view, &err) : print_all(view, &err);
  if (view->line.size > 0) print_json_line(view);
  if (view->prefixed) end_line(view);
  if (view->removed)
    fl_cli_note("what %zu attempt%s printed was removed", view->removed,
                view->removed > 1 ? "s" : "");
  if (code != FL_OK) return fl_cli_fail(&err);
  if (view->wanted && !view->found)
    return fl_cli_usage("run %s has no node '%s'", run_id, view->wanted);
  if (view->follow) return tell_end(view, run_id);
  bool none = view->wanted && view->parts[0]->count == 0 && !view->gone;
  if (none && view->attempt)
    return fl_cli_usage("node '%s' has no attempt %u in run %s", view->wanted, view->attempt,
                        run_id);
  if (none) fl_cli_note("node '%s' has not run in this run", view->wanted);
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
  bool early = fl_cli_has(cli, "follow") && strcmp(fl_cli_run_word(cli), "last") == 0;
  if (early && !fl_cli_has_state(cli))
    fl_cli_note("waiting for the first run in %s", fl_cli_state_dir(cli));
  // Once more behind its coming: until it is whole.
  for (bool there = false; early && !there; poll(NULL, 0, FOLLOW_MS)) there = fl_cli_has_state(cli);
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  log_view view = {.cli = cli, .engine = engine.engine, .attempt = (uint32_t)attempt, .tail = tail};
  view.wanted = cli->word_count > 1 ? cli->words[1] : NULL;
  view.raw = fl_cli_has(cli, "raw");
  view.follow = fl_cli_has(cli, "follow");
  view.json = fl_cli_has(cli, "json");
  view.prefixed = !view.wanted && !view.raw && !view.json;
  fl_cli_output_keep_lines();
  code = show_logs(&view);
  for (size_t i = 0; i < view.part_count; i++) free_part(view.parts[i]);
  free(view.parts);
  free(view.current);
  fl_cli_text_deinit(&view.line);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_logs = {
    .name = "logs",
    .words = "[RUN [NODE]]",
    .summary = "print what nodes wrote to stdout and stderr",
    .word_count_max = 2,
    .options = options,
    .example = "flowlua logs\n"
               "flowlua logs last extract --tail 20\n"
               "flowlua logs --follow",
    .run = logs_run,
};
