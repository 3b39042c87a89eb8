// flowlua blame RUN KEY: who set a var, or a key of a node's outputs, from what to what.
#include "compare.h"
#include "json.h"

#define VALUE_COLUMNS 200

static const fl_cli_option options[] = {
    {"json", NULL, "as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

static void print_value(const json_t *setting, const char *side) {
  const json_t *value = json_object_get(setting, side);
  if (!value || json_is_null(value)) {
    fl_cli_printf("(none)");
    return;
  }
  char *text = fl_cli_json_format(value);
  fl_cli_text clean = {0};
  if (!text) abort();
  fl_cli_text_clean(&clean, text, strlen(text), false);
  fl_cli_text_cut(fl_cli_out(), fl_cli_text_cstr(&clean), clean.size, VALUE_COLUMNS);
  fl_cli_text_deinit(&clean);
  free(text);
}

static void print_setter(const json_t *setting) {
  const char *how = fl_cli_json_text(setting, "how"), *node = fl_cli_json_text(setting, "node");
  const char *author = fl_cli_json_text(setting, "author");
  const char *reason = fl_cli_json_text(setting, "reason");
  if (strcmp(how, "flow") == 0)
    fl_cli_printf("the flow");
  else if (strcmp(how, "patch") == 0)
    fl_cli_printf("a resume");
  else
    fl_cli_print_clean(node, false);
  json_int_t attempt = json_integer_value(json_object_get(setting, "attempt"));
  if (attempt > 1 && strcmp(how, "by_hand") != 0)
    fl_cli_printf(" (attempt %lld)", (long long)attempt);
  if (strcmp(how, "by_hand") == 0) fl_cli_printf(" (set by hand)");
  if (strcmp(how, "merge") == 0) fl_cli_printf(" (merged from what its parents left)");
  json_int_t epoch = json_integer_value(json_object_get(setting, "epoch"));
  if (epoch > 1) fl_cli_printf(", epoch %lld", (long long)epoch);
  if (*author) {
    fl_cli_printf(", by ");
    fl_cli_print_clean(author, false);
  }
  if (*reason) {
    fl_cli_printf(": ");
    fl_cli_print_clean(reason, false);
  }
  fl_cli_printf("\n");
}

static void print_blame(const json_t *blame) {
  const json_t *setting;
  size_t i;
  const char *node = fl_cli_json_text(blame, "node");
  fl_cli_printf("run %s, %s ", fl_cli_json_text(blame, "run"), *node ? "outputs" : "vars");
  if (*node) {
    fl_cli_print_clean(node, false);
    fl_cli_printf(".");
  }
  fl_cli_print_clean(fl_cli_json_text(blame, "key"), false);
  fl_cli_printf("\n");
  json_array_foreach(json_object_get(blame, "history"), i, setting) {
    char at[32];
    fl_cli_local_time(fl_cli_time_of(fl_cli_json_text(setting, "at")), at);
    fl_cli_printf("%s%s%s  ", fl_cli_style_text(FL_STYLE_DIM), at,
                  fl_cli_style_text(FL_STYLE_NONE));
    print_value(setting, "from");
    fl_cli_printf(" -> ");
    print_value(setting, "to");
    fl_cli_printf("  ");
    print_setter(setting);
  }
}

static int blame_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  const char *run, *key;
  if (!fl_cli_run_and_word(cli, &run, &key)) return FL_EXIT_USAGE;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_read_blame(engine.engine, run, key, &text, &err) != FL_OK) {
    code = fl_cli_fail(&err);
  } else if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(text);
  } else {
    json_t *blame = json_loads(text, 0, NULL);
    print_blame(blame);
    json_decref(blame);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_blame = {
    .name = "blame",
    .words = "[RUN] KEY",
    .summary = "tell who set a var (KEY) or an output (NODE.KEY), from what to what",
    .word_count_min = 1,
    .word_count_max = 2,
    .options = options,
    .example = "flowlua blame last rows\n"
               "flowlua blame last clean.rows --json",
    .run = blame_run,
};
