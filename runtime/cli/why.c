// flowlua why RUN NODE: what of that which a node depends on is another than in an earlier run.
#include "compare.h"

static const fl_cli_option options[] = {
    {"against", "RUN", "which run (default: the last one before in which the node succeeded)",
     NULL},
    {"json", NULL, "as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

static void print_state(const char *part, bool equal) {
  fl_cli_printf("%-11s %s%s%s\n", part, equal ? "" : fl_cli_style_text(FL_STYLE_YELLOW),
                equal ? "same" : "changed", equal ? "" : fl_cli_style_text(FL_STYLE_NONE));
}

static void print_pair(const json_t *why, const char *part) {
  const json_t *pair = json_object_get(why, part);
  print_state(part, fl_cli_json_true(pair, "equal"));
  fl_cli_print_changes(pair, part);
}

static void print_definition(const json_t *why) {
  const json_t *definition = json_object_get(why, "definition"), *option;
  const json_t *script = json_object_get(why, "script");
  size_t i;
  if (!json_is_object(definition)) {
    print_state("script", fl_cli_json_true(script, "equal"));
    fl_cli_printf("  (a script is gone: the node's own definition cannot be compared)\n");
    return;
  }
  print_state("definition", fl_cli_json_true(definition, "equal"));
  json_array_foreach(json_object_get(definition, "options"), i, option) {
    fl_cli_printf(i ? ", " : "  ");
    fl_cli_print_clean(json_string_value(option), false);
  }
  if (i) fl_cli_printf("\n");
  if (fl_cli_json_true(definition, "equal") && !fl_cli_json_true(script, "equal"))
    fl_cli_printf("  (the script changed elsewhere)\n");
}

static void print_times(const json_t *why, const char *part) {
  const json_t *pair = json_object_get(why, part), *name;
  bool changed = false; // an interval that only moved with the time is none
  size_t i;
  json_array_foreach(json_object_get(why, "changed"), i, name) changed =
      changed || strcmp(json_string_value(name), part) == 0;
  if (!changed) return;
  print_state(part, false);
  fl_cli_printf("  %s -> %s\n", fl_cli_json_text(pair, "a"), fl_cli_json_text(pair, "b"));
}

static void print_result(const json_t *result) {
  fl_cli_printf("%-11s %s\n", "result", fl_cli_json_true(result, "equal") ? "equal" : "different");
  const char *a = fl_cli_json_side(result, "status", "a");
  const char *b = fl_cli_json_side(result, "status", "b");
  if (strcmp(a, b) != 0) fl_cli_printf("  status: %s -> %s\n", a, b);
  fl_cli_print_changes(json_object_get(result, "outputs"), "outputs");
  fl_cli_print_changes(json_object_get(result, "vars"), "vars it left");
}

static void print_why(const json_t *why) {
  const json_t *inputs = json_object_get(why, "inputs"), *against = json_object_get(why, "against");
  const json_t *changed = json_object_get(why, "changed"), *part;
  size_t i;
  fl_cli_print_clean(fl_cli_json_text(why, "node"), false);
  fl_cli_printf(" of run %s (%s)\n", fl_cli_json_text(why, "run"), fl_cli_json_text(why, "text"));
  fl_cli_printf("against run %s, for %s\n", fl_cli_json_text(against, "run"),
                fl_cli_json_text(against, "time"));
  print_definition(why);
  print_pair(why, "params");
  print_pair(why, "vars");
  print_state("inputs", fl_cli_json_true(inputs, "equal"));
  fl_cli_print_inputs(inputs);
  if (!fl_cli_json_true(json_object_get(why, "item"), "equal")) print_pair(why, "item");
  print_times(why, "time");
  print_times(why, "interval_from");
  print_times(why, "interval_to");
  print_result(json_object_get(why, "result"));
  if (json_array_size(changed) == 0) fl_cli_printf("nothing it depends on changed\n");
  json_array_foreach(changed, i, part)
      fl_cli_printf("%s%s", i ? ", " : "changed: ", json_string_value(part));
  if (i) fl_cli_printf("\n");
}

static int why_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  const char *run, *node;
  if (!fl_cli_run_and_word(cli, &run, &node)) return FL_EXIT_USAGE;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_read_why(engine.engine, run, node, fl_cli_get(cli, "against"), &text, &err) != FL_OK) {
    code = fl_cli_fail(&err);
  } else if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(text);
  } else {
    json_t *why = json_loads(text, 0, NULL);
    print_why(why);
    json_decref(why);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_why = {
    .name = "why",
    .words = "[RUN] NODE",
    .summary = "tell what changed, of what a node depends on, since an earlier run",
    .word_count_min = 1,
    .word_count_max = 2,
    .options = options,
    .example = "flowlua why last load\n"
               "flowlua why last load --against 20260131T0200",
    .run = why_run,
};
