// flowlua diff RUN_A RUN_B: what differs between two runs, and whether their results do.
#include "compare.h"

static const fl_cli_option options[] = {
    {"json", NULL, "as one object, with every node", NULL},
    {NULL, NULL, NULL, NULL},
};

static void print_pair(const char *name, const json_t *pair) {
  if (fl_cli_json_true(pair, "equal")) {
    fl_cli_printf("%-9s same\n", name);
    return;
  }
  fl_cli_printf("%-9s different\n", name);
  fl_cli_print_changes(pair, name);
}

static void print_run(const char *title, const json_t *run) {
  const char *status = fl_cli_json_text(run, "status");
  char duration[32] = "";
  const json_t *ms = json_object_get(run, "duration_ms");
  if (json_is_integer(ms)) fl_duration_format(json_integer_value(ms), duration);
  fl_cli_printf("%-9s %s  ", title, fl_cli_json_text(run, "id"));
  fl_cli_print_clean(fl_cli_json_text(run, "flow"), false);
  fl_cli_printf("  for %s  %s%s%s  %s\n", fl_cli_json_text(run, "time"),
                fl_cli_style_text(fl_cli_style_of_status(status)), status,
                fl_cli_style_text(FL_STYLE_NONE), duration);
}

static bool is_quiet(const json_t *node) {
  const char *result = fl_cli_json_text(node, "result");
  return json_array_size(json_object_get(node, "differs")) == 0 &&
         (strcmp(result, "equal") == 0 || strcmp(result, "skipped") == 0);
}

static void add_sides(fl_cli_table *table, const json_t *node, const char *key, bool duration) {
  fl_cli_text text = {0};
  for (int i = 0; i < 2; i++) {
    const json_t *value = json_object_get(json_object_get(node, key), i ? "b" : "a");
    char shown[32] = "-";
    if (json_is_integer(value) && duration)
      fl_duration_format(json_integer_value(value), shown);
    else if (json_is_integer(value))
      snprintf(shown, sizeof shown, "%lld", (long long)json_integer_value(value));
    else if (json_is_string(value))
      snprintf(shown, sizeof shown, "%s", json_string_value(value));
    fl_cli_text_addf(&text, "%s%s", i ? " / " : "", shown);
  }
  fl_cli_table_add(table, fl_cli_text_cstr(&text), FL_STYLE_NONE);
  fl_cli_text_deinit(&text);
}

static void print_table(const json_t *nodes) {
  const json_t *node;
  size_t i;
  fl_cli_table *table = fl_cli_table_new("node:result:status:attempts:duration");
  json_array_foreach(nodes, i, node) {
    const char *result = fl_cli_json_text(node, "result");
    bool equal = strcmp(result, "equal") == 0 || strcmp(result, "skipped") == 0;
    if (is_quiet(node)) continue;
    fl_cli_table_add(table, fl_cli_json_text(node, "name"), FL_STYLE_NONE);
    fl_cli_table_add(table,
                     strcmp(result, "only_a") == 0   ? "only in A"
                     : strcmp(result, "only_b") == 0 ? "only in B"
                                                     : result,
                     equal ? FL_STYLE_GREEN : FL_STYLE_YELLOW);
    add_sides(table, node, "status", false);
    add_sides(table, node, "attempts", false);
    add_sides(table, node, "duration_ms", true);
  }
  fl_cli_table_print(table);
}

// Whether there are values to show: attempts that differ are in the table.
static bool has_values(const json_t *node) {
  static const char *const parts[] = {"inputs", "vars_in", "outputs", "vars"};
  const json_t *differs = json_object_get(node, "differs"), *part;
  size_t i;
  json_array_foreach(differs, i, part) {
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
      if (!strcmp(json_string_value(part), parts[k])) return true;
  }
  return false;
}

static void print_values(const json_t *nodes) {
  const json_t *node;
  size_t i;
  json_array_foreach(nodes, i, node) {
    if (is_quiet(node) || !json_object_get(node, "outputs") || !has_values(node)) continue;
    fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_BOLD));
    fl_cli_print_clean(fl_cli_json_text(node, "name"), false);
    fl_cli_printf("%s\n", fl_cli_style_text(FL_STYLE_NONE));
    fl_cli_print_inputs(json_object_get(node, "inputs"));
    fl_cli_print_changes(json_object_get(node, "vars_in"), "vars it saw");
    fl_cli_print_changes(json_object_get(node, "outputs"), "outputs");
    fl_cli_print_changes(json_object_get(node, "vars"), "vars it left");
    fl_cli_flush_some();
  }
}

static void print_counts(const json_t *diff) {
  static const char *const keys[][2] = {{"equal", "equal"},
                                        {"different", "different"},
                                        {"skipped", "without a result in both"},
                                        {"only_a", "only in A"},
                                        {"only_b", "only in B"}};
  fl_cli_printf("results %s", fl_cli_json_true(diff, "equal") ? "equal" : "different");
  const char *sign = ": ";
  for (size_t k = 0; k < 5; k++) {
    json_int_t count =
        json_integer_value(json_object_get(json_object_get(diff, "counts"), keys[k][0]));
    if (!count) continue;
    fl_cli_printf("%s%lld %s", sign, (long long)count, keys[k][1]);
    sign = ", ";
  }
  fl_cli_printf("\n");
}

static void print_diff(const json_t *diff) {
  const json_t *nodes = json_object_get(diff, "nodes"), *time = json_object_get(diff, "time");
  const json_t *script = json_object_get(diff, "script");
  print_run("A", json_object_get(diff, "a"));
  print_run("B", json_object_get(diff, "b"));
  if (fl_cli_json_true(diff, "replay")) fl_cli_printf("          B is a replay of A\n");
  fl_cli_printf("%-9s %s\n", "script", fl_cli_json_true(script, "equal") ? "same" : "different");
  fl_cli_print_script(script);
  if (fl_cli_json_true(time, "equal"))
    fl_cli_printf("%-9s same\n", "time");
  else
    fl_cli_printf("%-9s %s -> %s\n", "time", fl_cli_json_text(time, "a"),
                  fl_cli_json_text(time, "b"));
  print_pair("params", json_object_get(diff, "params"));
  print_pair("vars", json_object_get(diff, "vars"));
  print_table(nodes);
  print_values(nodes);
  print_counts(diff);
}

static int diff_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  bool json = fl_cli_has(cli, "json");
  const char *other = cli->word_count > 1 ? cli->words[1] : NULL;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_read_diff(engine.engine, fl_cli_run_word(cli), other, false, &text, &err) != FL_OK) {
    code = fl_cli_fail(&err);
  } else {
    json_t *diff = json_loads(text, JSON_ALLOW_NUL, NULL);
    if (json)
      fl_cli_print_json(text);
    else
      print_diff(diff);
    code = fl_cli_json_true(diff, "equal") ? FL_EXIT_OK : FL_EXIT_FAILED;
    json_decref(diff);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_diff = {
    .name = "diff",
    .words = "[RUN_A [RUN_B]]",
    .summary = "compare two runs, or a replay with what it repeats; exit 1: other results",
    .word_count_max = 2,
    .options = options,
    .example = "flowlua diff last-1 last\n"
               "flowlua diff --json",
    .run = diff_run,
};
