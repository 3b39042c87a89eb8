// flowlua show [RUN]: what a run and its nodes are at.
#include "compare.h"
#include "show.h"

#define ALL_MAX      500 // more nodes than this are not all listed unless asked for
#define LONG_COLUMNS 120 // a window this wide has room for all that --long shows

static const fl_cli_option options[] = {
    {"all", NULL, "every node of a large run, too", NULL},
    {"long", NULL, "when nodes began, their CPU time and memory, too", NULL},
    {"timeline", NULL, "when nodes ran, as bars", NULL},
    {"json", NULL, "all that is known, as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

/// A view of a run while its nodes are read, once: whether all are listed is known at the end.
typedef struct show_view {
  fl_cli_table *all;  // NULL when there are too many
  fl_cli_table *loud; // those that are always listed
  size_t total, loud_count;
  fl_cli_tally tally;
  bool wants_all, is_long, interrupted;
  bool repeats; // a replay that has ended
} show_view;

static void field(const char *name, const char *text, fl_cli_style style) {
  if (!text || !*text) return;
  fl_cli_printf("%-9s %s", name, style ? fl_cli_style_text(style) : "");
  fl_cli_print_clean(text, false);
  fl_cli_printf("%s\n", style ? fl_cli_style_text(FL_STYLE_NONE) : "");
}

static void print_run(void *ud, const fl_run_info *run) {
  show_view *view = ud;
  char text[64], duration[32];
  field("run", run->id, FL_STYLE_BOLD);
  field("flow", run->flow, FL_STYLE_NONE);
  field("status", run->status, fl_cli_style_of_status(run->status));
  field("error", run->error, FL_STYLE_RED);
  fl_cli_local_time(run->time_ms, text);
  field("for", text, FL_STYLE_NONE);
  field("trigger", run->trigger, FL_STYLE_NONE);
  if (run->fork_of) fl_cli_printf("%-9s from %s\n", "forked", run->fork_of);
  if (run->origin_host) {
    fl_cli_printf("%-9s from ", "taken in");
    fl_cli_print_clean(run->origin_host, false);
    fl_cli_printf(":");
    fl_cli_print_clean(run->origin_dir, false);
    fl_cli_printf(", exported %s\n", run->exported_at);
  }
  field("repeats", run->replay_of, FL_STYLE_NONE);
  view->repeats = run->replay_of && fl_cli_status_is_final(run->status);
  if (run->params_json && strcmp(run->params_json, "{}") != 0)
    field("params", run->params_json, FL_STYLE_NONE);
  fl_cli_local_time(run->created_ms, text);
  field("created", text, FL_STYLE_NONE);
  view->interrupted = strcmp(run->status, "interrupted") == 0;
  if (run->started_ms > 0 && !view->interrupted) { // since when it stands still nobody knows
    int64_t to = run->ended_ms > 0 ? run->ended_ms : fl_cli_wall_ms();
    fl_duration_format(to - run->started_ms, duration);
    field("duration", duration, FL_STYLE_NONE);
  }
  if (run->resumes > 0) {
    snprintf(text, sizeof text, "%u", run->resumes);
    field("resumes", text, FL_STYLE_NONE);
  }
}

// Something of it was killed in vain, and somebody should look.
static void print_alarm(const fl_node_info *node) {
  fl_cli_text text = {0};
  fl_cli_text_addf(&text, "%s: %s; nothing takes its place until that is gone", node->name,
                   node->error);
  field("alarm", fl_cli_text_cstr(&text), FL_STYLE_RED);
  fl_cli_text_deinit(&text);
}

static void count_node(show_view *view, const fl_node_info *node) {
  view->total++;
  if (node->error && strcmp(node->status, "running") == 0) print_alarm(node);
  fl_cli_tally_add(&view->tally, node->status);
}

// In a large run what has succeeded or not begun is counted only.
static bool is_quiet(const char *status) {
  return strcmp(status, "succeeded") == 0 || strcmp(status, "pending") == 0 ||
         strcmp(status, "queued") == 0;
}

static void add_error(fl_cli_table *table, const fl_node_info *node) {
  const char *text = node->error && *node->error ? node->error : node->reason;
  if (!text) text = "";
  fl_cli_table_addf(table, "%.*s%s", (int)strcspn(text, "\n"), text,
                    strchr(text, '\n') ? " ..." : "");
}

static void add_resources(fl_cli_table *table, const fl_node_info *node) {
  char began[16] = "", cpu[32] = "";
  fl_cli_text memory = {0};
  if (node->started_ms > 0) fl_cli_local_clock(node->started_ms, began);
  if (node->ended_ms > 0 && node->attempts > 0) fl_duration_format(node->cpu_ms, cpu);
  if (node->ended_ms > 0 && node->max_rss_bytes > 0)
    fl_cli_text_bytes(&memory, node->max_rss_bytes);
  fl_cli_table_add(table, began, FL_STYLE_NONE);
  fl_cli_table_add(table, cpu, FL_STYLE_NONE);
  fl_cli_table_add(table, fl_cli_text_cstr(&memory), FL_STYLE_NONE);
  fl_cli_text_deinit(&memory);
}

static void list_node(fl_cli_table *table, const show_view *view, const fl_node_info *node) {
  char duration[32] = "";
  if (node->started_ms > 0 && node->ended_ms >= node->started_ms)
    fl_duration_format(node->ended_ms - node->started_ms, duration);
  else if (node->started_ms > 0 && strcmp(node->status, "running") == 0 && !view->interrupted)
    fl_duration_format(fl_cli_wall_ms() - node->started_ms, duration);
  fl_cli_table_add(table, node->name, FL_STYLE_NONE);
  fl_cli_table_add(table, node->type, FL_STYLE_NONE);
  fl_cli_table_add(table, node->status, fl_cli_style_of_status(node->status));
  if (node->attempts > 0)
    fl_cli_table_addf(table, "%u", node->attempts);
  else
    fl_cli_table_add(table, NULL, FL_STYLE_NONE);
  fl_cli_table_add(table, duration, FL_STYLE_NONE);
  if (node->signal > 0)
    fl_cli_table_addf(table, "signal %d", node->signal);
  else if (node->exit_code >= 0)
    fl_cli_table_addf(table, "%d", node->exit_code);
  else
    fl_cli_table_add(table, NULL, FL_STYLE_NONE);
  if (view->is_long) add_resources(table, node);
  add_error(table, node);
}

static bool take_node(void *ud, const fl_node_info *node) {
  show_view *view = ud;
  count_node(view, node);
  if (view->total > ALL_MAX && !view->wants_all) {
    fl_cli_table_free(view->all);
    view->all = NULL;
  }
  if (view->all) list_node(view->all, view, node);
  if (view->wants_all || is_quiet(node->status)) return true;
  list_node(view->loud, view, node);
  view->loud_count++;
  return true;
}

// Of a replay: which results are not those of then, and how many are.
static fl_code print_replay(const char *run, fl_engine *engine, fl_error *err) {
  char *text = NULL;
  fl_code code = fl_read_diff(engine, run, NULL, true, &text, err);
  if (code != FL_OK) return code;
  json_t *diff = json_loads(text, 0, NULL);
  fl_cli_printf("\n");
  fl_cli_print_replay(diff, false);
  json_decref(diff);
  fl_free(text);
  return FL_OK;
}

static void print_patches(fl_engine *engine, const char *run) {
  char *text = NULL;
  if (fl_read_patches(engine, run, &text, NULL) != FL_OK) return;
  json_t *all = json_loads(text, 0, NULL);
  fl_cli_patches_print(json_object_get(all, "patches"));
  json_decref(all);
  fl_free(text);
}

static fl_code show_people(const fl_cli *cli, fl_engine *engine, fl_error *err) {
  bool is_long = fl_cli_has(cli, "long") || fl_cli_out_columns() >= LONG_COLUMNS;
  const char *titles = is_long
                           ? "node:type:status:>attempts:>duration:>exit:began:>cpu:>memory:error"
                           : "node:type:status:>attempts:>duration:>exit:error";
  show_view view = {.is_long = is_long,
                    .all = fl_cli_table_new(titles),
                    .loud = fl_cli_table_new(titles),
                    .wants_all = fl_cli_has(cli, "all")};
  const char *run = fl_cli_run_word(cli);
  fl_code code = fl_read_status(engine, run, print_run, take_node, &view, err);
  if (code == FL_OK) {
    fl_cli_table **listed = view.all ? &view.all : &view.loud;
    print_patches(engine, run);
    fl_cli_printf("%-9s %zu", "nodes", view.total);
    fl_cli_tally_write(&view.tally, fl_cli_out());
    fl_cli_printf("\n");
    if (view.all ? view.total : view.loud_count) fl_cli_printf("\n");
    fl_cli_table_print(*listed);
    if (listed == &view.loud)
      fl_cli_printf(
          "%zu nodes that have succeeded or not begun are not listed (--all lists them)\n",
          view.total - view.loud_count);
    *listed = NULL;
  }
  fl_cli_table_free(view.all);
  fl_cli_table_free(view.loud);
  if (code == FL_OK && view.repeats) code = print_replay(run, engine, err);
  return code;
}

static int show_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  const char *run = fl_cli_run_word(cli);
  fl_code result;
  if (fl_cli_has(cli, "json"))
    result = fl_read_run(engine.engine, run, &text, &err);
  else if (fl_cli_has(cli, "timeline"))
    result = fl_cli_show_timeline(engine.engine, run, fl_cli_has(cli, "all"), &err);
  else
    result = show_people(cli, engine.engine, &err);
  if (result != FL_OK) {
    code = fl_cli_fail_run(cli, engine.engine, run, &err);
  } else if (text) {
    fl_cli_print_json(text);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_show = {
    .name = "show",
    .words = "[RUN]",
    .summary = "show a run and its nodes",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua show\n"
               "flowlua show --timeline\n"
               "flowlua show last-failed --json",
    .run = show_run,
};
