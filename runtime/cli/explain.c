// flowlua explain RUN [NODE]: why a node waits, was skipped, failed or ran again.
#include "cli.h"
#include <jansson.h>

static const fl_cli_option options[] = {
    {"json", NULL, "as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static void print_why(const json_t *entry) {
  const char *text = text_of(entry, "text"), *detail = text_of(entry, "detail");
  const char *status = text_of(entry, "status");
  if (!text || !*text) text = text_of(entry, "reason");
  // Of a failure its error says more than why the attempt was started.
  if (status && strcmp(status, "failed") == 0 && detail && *detail) text = NULL;
  if (text && *text && strcmp(text, "none") != 0) {
    fl_cli_printf(": ");
    fl_cli_print_clean(text, false);
  } else {
    text = NULL;
  }
  if (detail && *detail) {
    fl_cli_printf(text ? " (" : ": ");
    fl_cli_print_clean(detail, false);
    if (text) fl_cli_printf(")");
  }
  fl_cli_printf("\n");
}

static void print_history(const json_t *history) {
  size_t i;
  json_t *entry;
  json_array_foreach((json_t *)history, i, entry) {
    char at[32];
    const char *what = text_of(entry, "what");
    json_int_t attempt = json_integer_value(json_object_get(entry, "attempt"));
    fl_cli_local_time(fl_cli_time_of(text_of(entry, "at")), at);
    fl_cli_printf("    %s%s%s ", fl_cli_style_text(FL_STYLE_DIM), at,
                  fl_cli_style_text(FL_STYLE_NONE));
    fl_cli_print_clean(what ? what : "", false);
    if (attempt > 0) fl_cli_printf(" (attempt %lld)", (long long)attempt);
    print_why(entry);
  }
}

static void print_node(const json_t *node) {
  const char *name = text_of(node, "name"), *status = text_of(node, "status");
  if (!name) name = text_of(node, "node");
  if (!status) status = "";
  fl_cli_style style = fl_cli_style_of_status(status);
  fl_cli_print_clean(name ? name : "", false);
  fl_cli_printf(" %s", style ? fl_cli_style_text(style) : "");
  fl_cli_print_clean(status, false);
  fl_cli_printf("%s", style ? fl_cli_style_text(FL_STYLE_NONE) : "");
  print_why(node);
  print_history(json_object_get(node, "history"));
  fl_cli_flush_some();
}

static void print_explanation(const char *text) {
  json_t *all = json_loads(text, 0, NULL), *nodes = json_object_get(all, "nodes"), *node;
  const char *run = text_of(all, "run"), *status = text_of(all, "status");
  size_t i;
  fl_cli_printf("run %s %s\n", run ? run : "", status ? status : "");
  fl_cli_patches_print(json_object_get(all, "patches"));
  json_array_foreach(nodes, i, node) print_node(node);
  if (json_array_size(nodes) == 0)
    fl_cli_printf(status && fl_cli_status_is_over(status) ? "every node ran once, in its turn\n"
                                                          : "nothing of it has begun\n");
  json_decref(all);
}

static int explain_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  const char *node = cli->word_count > 1 ? cli->words[1] : NULL;
  const char *run = fl_cli_run_word(cli);
  if (fl_read_explain(engine.engine, run, node, &text, &err) != FL_OK) {
    code = fl_cli_fail_run(cli, engine.engine, run, &err);
  } else if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(text);
  } else {
    print_explanation(text);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_explain = {
    .name = "explain",
    .words = "[RUN [NODE]]",
    .summary = "tell why nodes wait, were skipped, failed or ran again",
    .word_count_max = 2,
    .options = options,
    .example = "flowlua explain\n"
               "flowlua explain last load",
    .run = explain_run,
};
