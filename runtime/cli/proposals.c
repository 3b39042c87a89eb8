// flowlua proposals RUN: what its flow proposed at its breakpoints, and what became of it.
#include "cli.h"
#include <jansson.h>
#include <string.h>

static const fl_cli_option options[] = {
    {"json", NULL, "print JSON", NULL},
    {NULL, NULL, NULL, NULL},
};

static const char *text_of(const json_t *entry, const char *key) {
  const char *text = json_string_value(json_object_get(entry, key));
  return text ? text : "";
}

static void add_row(fl_cli_table *table, const json_t *entry) {
  fl_cli_text text = {0};
  const char *outcome = text_of(entry, "outcome");
  fl_cli_patch_describe(json_object_get(entry, "patch"), &text);
  fl_cli_table_addf(table, "%lld", (long long)json_integer_value(json_object_get(entry, "number")));
  char at[32];
  fl_cli_local_time(fl_cli_time_of(text_of(entry, "at")), at);
  fl_cli_table_add(table, at, FL_STYLE_NONE);
  fl_cli_table_add(table, text_of(entry, "origin"), FL_STYLE_NONE);
  fl_cli_table_add(table, fl_cli_text_cstr(&text), FL_STYLE_NONE);
  if (!*outcome)
    fl_cli_table_add(table, "not applied", FL_STYLE_DIM);
  else
    fl_cli_table_addf(table, "%s%s", outcome,
                      json_is_true(json_object_get(entry, "automatic")) ? " (by itself)" : "");
  fl_cli_table_add(table, text_of(entry, "reason"), FL_STYLE_NONE);
  fl_cli_text_deinit(&text);
}

static void print_proposals(const char *text) {
  json_t *all = json_loads(text, 0, NULL), *list = json_object_get(all, "proposals"), *entry;
  const char *run = text_of(all, "run");
  long long open = 0;
  size_t i;
  if (!json_array_size(list)) {
    fl_cli_printf("run %s has no proposals: neither its flow nor one that it called has an "
                  "on_breakpoint with advice that could be applied\n",
                  run);
    json_decref(all);
    return;
  }
  fl_cli_table *table = fl_cli_table_new(">number:at:origin:changes:outcome:reason");
  json_array_foreach(list, i, entry) {
    add_row(table, entry);
    if (!*text_of(entry, "outcome")) open = json_integer_value(json_object_get(entry, "number"));
  }
  fl_cli_table_print(table);
  if (open) fl_cli_printf("apply one: flowlua resume %s --accept %lld\n", run, open);
  json_decref(all);
}

static int list_proposals(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  const char *run = fl_cli_run_word(cli);
  if (fl_read_proposals(engine.engine, run, &text, &err) != FL_OK)
    code = fl_cli_fail_run(cli, engine.engine, run, &err);
  else if (fl_cli_has(cli, "json"))
    fl_cli_print_json(text);
  else
    print_proposals(text);
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_proposals = {
    .name = "proposals",
    .words = "[RUN]",
    .summary = "list what a flow proposed when its run broke",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua proposals last\n"
               "flowlua resume last --accept 1",
    .run = list_proposals,
};
