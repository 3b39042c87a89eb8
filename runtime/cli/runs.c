// flowlua runs: the runs that are kept, newest first.
#include "cli.h"
#include <jansson.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     1000000

static const fl_cli_option options[] = {
    {"limit", "N", "how many at most (default: 20)", NULL},
    {"json", NULL, "a list of objects", NULL},
    {NULL, NULL, NULL, NULL},
};

static const char *text_of(const json_t *run, const char *key) {
  return json_string_value(json_object_get(run, key));
}

static void add_row(fl_cli_table *table, const json_t *run) {
  char created[32], duration[32] = "";
  int64_t from = fl_cli_time_of(text_of(run, "started_at"));
  int64_t to = fl_cli_time_of(text_of(run, "ended_at"));
  const char *status = text_of(run, "status");
  if (to == 0 && status && strcmp(status, "running") == 0) to = fl_cli_wall_ms();
  if (from > 0 && to >= from) fl_duration_format(to - from, duration);
  fl_cli_local_time(fl_cli_time_of(text_of(run, "created_at")), created);
  fl_cli_table_add(table, text_of(run, "id"), FL_STYLE_NONE);
  fl_cli_table_add(table, text_of(run, "flow"), FL_STYLE_NONE);
  fl_cli_table_add(table, status, fl_cli_style_of_status(status ? status : ""));
  fl_cli_table_add(table, created, FL_STYLE_NONE);
  fl_cli_table_add(table, duration, FL_STYLE_NONE);
  fl_cli_table_add(table, text_of(run, "time"), FL_STYLE_NONE);
}

static void print_runs(const fl_cli *cli, const char *text) {
  json_t *runs = json_loads(text, 0, NULL), *run;
  size_t i;
  if (json_array_size(runs) == 0) {
    fl_cli_printf("no runs in %s\n", fl_cli_state_dir(cli));
  } else {
    fl_cli_table *table = fl_cli_table_new("run:flow:status:created:>duration:for");
    json_array_foreach(runs, i, run) add_row(table, run);
    fl_cli_table_print(table);
  }
  json_decref(runs);
}

static int runs_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  int64_t limit = LIMIT_DEFAULT;
  if (!fl_cli_get_number(cli, "limit", 1, LIMIT_MAX, &limit)) return FL_EXIT_USAGE;
  int code = fl_cli_engine_open_existing(cli, &engine);
  if (code != FL_EXIT_OK) return code;
  if (engine.engine && fl_read_runs(engine.engine, (size_t)limit, &text, &err) != FL_OK)
    code = fl_cli_fail(&err);
  else if (fl_cli_has(cli, "json"))
    fl_cli_print_json(text ? text : "[]");
  else
    print_runs(cli, text ? text : "[]");
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_runs = {
    .name = "runs",
    .words = "",
    .summary = "list the runs, newest first",
    .options = options,
    .example = "flowlua runs --limit 5\n"
               "flowlua runs --json",
    .run = runs_run,
};
