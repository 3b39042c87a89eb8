// What is said at the end of a run: how it ended, what failed once more when that has scrolled
// away, what its last nodes printed when it is small, and the exit code.
#include "watch.h"
#include <jansson.h>

#define REPEAT_AFTER 15 // lines behind a failure, from which on it is told again
#define OUTPUTS_MAX  3  // nodes whose last lines are shown, of a run ...
#define SMALL_COUNT  12 // ... of this many nodes at most
#define OUTPUT_LINES 5

static void take_status(void *ud, const fl_run_info *run) {
  fl_cli_watch *w = ud;
  snprintf(w->status, sizeof w->status, "%s", run->status);
  if (w->error || !run->error) return;
  w->error = strdup(run->error);
  if (!w->error) abort();
}

// ------------------------------------------------------------------------------------- outputs

static void take_text(void *ud, const char *data, size_t size) {
  fl_cli_text_add(ud, data, size);
}

static void add_output(const fl_cli_watch *w, fl_engine *engine, const char *node,
                       fl_cli_text *out) {
  fl_cli_text text = {0};
  fl_log_options options = {.size = sizeof options, .node = node, .tail_lines = OUTPUT_LINES};
  int64_t position = 0;
  if (fl_read_logs(engine, w->run_id, &options, &position, take_text, &text, NULL) == FL_OK)
    for (const char *p = fl_cli_text_cstr(&text); *p;) {
      size_t n = strcspn(p, "\n");
      fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_CYAN));
      fl_cli_text_clean(out, node, strlen(node), false);
      fl_cli_text_addf(out, "|%s ", fl_cli_style_text(FL_STYLE_NONE));
      fl_cli_text_clean(out, p, n, true);
      fl_cli_text_add(out, "\n", 1);
      p += n + (p[n] == '\n');
    }
  fl_cli_text_deinit(&text);
}

static bool is_followed(const json_t *nodes, const char *name) {
  const json_t *node, *parent;
  size_t i, k;
  json_array_foreach((json_t *)nodes, i, node)
      json_array_foreach(json_object_get(node, "after"), k,
                         parent) if (json_is_string(parent) &&
                                     strcmp(json_string_value(parent), name) == 0) return true;
  return false;
}

// Of a small run that succeeded: the end of what the nodes printed that no other comes after. It is
// what one runs it for.
static void add_outputs(const fl_cli_watch *w, fl_engine *engine, fl_cli_text *out) {
  char *text = NULL;
  if (w->total == 0 || w->total > SMALL_COUNT) return;
  if (fl_read_run(engine, w->run_id, &text, NULL) != FL_OK) return;
  json_t *run = json_loads(text, 0, NULL), *nodes = json_object_get(run, "nodes"), *node;
  size_t i;
  int shown = 0;
  json_array_foreach(nodes, i, node) {
    const char *name = json_string_value(json_object_get(node, "name"));
    const char *type = json_string_value(json_object_get(node, "type"));
    bool prints = name && type && strcmp(type, "call") != 0 && strcmp(type, "map") != 0;
    if (!prints || strchr(name, '[') || is_followed(nodes, name)) continue;
    if (shown++ < OUTPUTS_MAX) add_output(w, engine, name, out);
  }
  json_decref(run);
  fl_free(text);
}

// ------------------------------------------------------------------------------------- failures

static void add_failures(const fl_cli_watch *w, fl_cli_text *out) {
  fl_cli_text_addf(out, "\n%sfailed%s\n", fl_cli_style_text(FL_STYLE_BOLD),
                   fl_cli_style_text(FL_STYLE_NONE));
  for (size_t i = 0; i < w->told_count && i < FL_CLI_TOLD_MAX; i++) {
    fl_cli_text_addf(out, "  %s%s%s: %s\n", fl_cli_style_text(FL_STYLE_RED), w->told[i].name,
                     fl_cli_style_text(FL_STYLE_NONE), w->told[i].error);
    char *command = fl_cli_command(w->cli, "logs", w->run_id, w->told[i].key);
    fl_cli_text_addf(out, "      log: %s\n", command);
    free(command);
  }
  if (w->told_count <= FL_CLI_TOLD_MAX) return;
  char *command = fl_cli_command(w->cli, "show", w->run_id, NULL);
  fl_cli_text_addf(out, "  and %zu more: %s\n", w->told_count - FL_CLI_TOLD_MAX, command);
  free(command);
}

static void add_behind(const fl_cli_watch *w, bool again, fl_cli_text *out) {
  size_t behind = fl_cli_tally_get(&w->ends, "upstream_failed");
  // Those that had a line need no count.
  if (behind == 0 || (!again && (w->mode != FL_MODE_LIVE || behind <= FL_CLI_BEHIND_MAX))) return;
  fl_cli_text_addf(out, "  %sand %zu node%s behind did not run%s\n",
                   fl_cli_style_text(FL_STYLE_DIM), behind, behind > 1 ? "s" : "",
                   fl_cli_style_text(FL_STYLE_NONE));
}

// ------------------------------------------------------------------------------------- the end

static void add_summary(fl_cli_watch *w, fl_engine *engine, fl_cli_text *out) {
  char clock[16], duration[32];
  bool succeeded = strcmp(w->status, "succeeded") == 0;
  if (succeeded) add_outputs(w, engine, out);
  bool again = !succeeded && w->told_count > 0 && w->lines_since >= REPEAT_AFTER;
  if (again) add_failures(w, out);
  if (!succeeded) add_behind(w, again, out);
  if (again) fl_cli_text_add(out, "\n", 1);
  fl_cli_local_clock(fl_cli_wall_ms(), clock);
  fl_duration_format(w->run_ms ? w->run_ms : fl_cli_monotonic_ms() - w->started_ms, duration);
  if (w->mode == FL_MODE_PLAIN) fl_cli_text_addf(out, "%s ", clock);
  fl_cli_text_addf(out, "run %s %s%s%s in %s", w->run_id,
                   fl_cli_style_text(fl_cli_style_of_status(w->status)), w->status,
                   fl_cli_style_text(FL_STYLE_NONE), duration);
  fl_cli_tally_write(&w->ends, out);
  fl_cli_text_add(out, "\n", 1);
  // A failure that is no node's: the run's own timeout, a hook.
  if (w->error && w->failed == 0) {
    fl_cli_text_add_str(out, "    ");
    fl_cli_text_clean(out, w->error, strlen(w->error), true);
    fl_cli_text_add(out, "\n", 1);
  }
}

int fl_cli_watch_finish(fl_cli_watch *w, fl_engine *engine) {
  if (w->mode == FL_MODE_LIVE) fl_cli_live_write(w, false);
  if (w->store_inode && fl_cli_store_inode(w->cli) != w->store_inode) {
    fl_cli_usage("the state directory '%s' was removed or replaced while the run went on: run %s "
                 "%s, but its records, outputs and logs are lost, and nothing can be resumed",
                 fl_cli_state_dir(w->cli), w->run_id, w->status[0] ? w->status : "has ended");
    return FL_EXIT_SYSTEM;
  }
  if (w->status[0] == '\0' &&
      fl_read_status(engine, w->run_id, take_status, NULL, w, NULL) != FL_OK)
    snprintf(w->status, sizeof w->status, "unknown");
  bool succeeded = strcmp(w->status, "succeeded") == 0;
  bool on_stdout = w->mode == FL_MODE_PLAIN || w->mode == FL_MODE_LIVE;
  if (on_stdout) add_summary(w, engine, fl_cli_out());
  int code = FL_EXIT_OK;
  if (!succeeded) {
    char *command = fl_cli_command(w->cli, "resume", w->run_id, NULL);
    if (on_stdout)
      fl_cli_printf("resume: %s\n", command);
    else
      fl_cli_note("resume: %s", command);
    free(command);
    code = strcmp(w->status, "waiting") == 0 ? FL_EXIT_WAITING : FL_EXIT_FAILED;
    if (w->signal) code = 128 + w->signal;
  }
  fl_cli_flush();
  return code;
}
