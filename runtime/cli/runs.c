// flowlua runs: the runs that are kept, newest first.
#include "cli.h"
#include "json.h"
#include <jansson.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     1000000
#define SINCE_LIMIT   10000 // with --since, which is a limit by itself
#define RECORDED_MS   1000  // at most, from when a run is asked for to its record

static const fl_cli_option options[] = {
    {"flow", "KEY", "of this flow", NULL},
    {"status", "STATE", "queued, running, waiting, interrupted, succeeded, failed or cancelled",
     NULL},
    {"trigger", "WHAT", "manual, schedule, replay, ...", NULL},
    {"parent", "RUN", "called by a node of this run", NULL},
    {"since", "TIME", "made since then: 2h, 3d, or a time", NULL},
    {"from", "TIME", "for this logical time or a later one; sorts by it", NULL},
    {"to", "TIME", "for a logical time before this one; sorts by it", NULL},
    {"before", "RUN", "go on behind this one, the last of the page before", NULL},
    {"limit", "N", "how many at most (default: 20)", NULL},
    {"json", NULL, "a list of objects", NULL},
    {NULL, NULL, NULL, NULL},
};

static const char *text_of(const json_t *run, const char *key) {
  return json_string_value(json_object_get(run, key));
}

static void add_row(fl_cli_table *table, const json_t *run, size_t depth) {
  char created[32], time[32] = "", duration[32] = "";
  int64_t created_ms = fl_cli_time_of(text_of(run, "created_at"));
  int64_t time_ms = fl_cli_time_of(text_of(run, "time"));
  int64_t from = fl_cli_time_of(text_of(run, "started_at"));
  int64_t to = fl_cli_time_of(text_of(run, "ended_at"));
  const char *status = text_of(run, "status");
  if (to == 0 && status && strcmp(status, "running") == 0) to = fl_cli_wall_ms();
  if (from > 0 && to >= from) fl_duration_format(to - from, duration);
  fl_cli_local_minute(created_ms, created);
  // Of a run that was just started it is the same again.
  if (time_ms < created_ms - RECORDED_MS || time_ms > created_ms)
    fl_cli_local_minute(time_ms, time);
  const char *id = text_of(run, "id");
  fl_cli_table_add(table, id ? fl_cli_run_letters(id) : NULL, FL_STYLE_NONE);
  const char *flow = text_of(run, "flow");
  fl_cli_table_addf(table, "%*s%s", (int)(2 * depth), "", flow ? flow : "");
  fl_cli_table_add(table, status, fl_cli_style_of_status(status ? status : ""));
  fl_cli_table_add(table, created, FL_STYLE_NONE);
  fl_cli_table_add(table, duration, FL_STYLE_NONE);
  fl_cli_table_add(table, time, FL_STYLE_NONE);
}

static const char *parent_of(const json_t *run) {
  return text_of(json_object_get(run, "parent"), "run");
}

// A run, and below it those that its nodes called, oldest first, as they came to be.
static void add_rows(fl_cli_table *table, const json_t *runs, const json_t *run, size_t depth) {
  const char *id = text_of(run, "id");
  add_row(table, run, depth);
  for (size_t i = json_array_size(runs); id && i-- > 0;) {
    const json_t *other = json_array_get(runs, i);
    const char *parent = parent_of(other);
    if (parent && strcmp(parent, id) == 0) add_rows(table, runs, other, depth + 1);
  }
}

static bool is_listed(const json_t *runs, const char *id) {
  const json_t *run;
  size_t i;
  json_array_foreach((json_t *)runs, i, run) {
    const char *other = text_of(run, "id");
    if (other && strcmp(other, id) == 0) return true;
  }
  return false;
}

static void print_runs(const fl_cli *cli, const char *text) {
  json_t *runs = json_loads(text, 0, NULL), *run;
  size_t i;
  if (json_array_size(runs) == 0) {
    fl_cli_printf("no runs in %s\n", fl_cli_state_dir(cli));
  } else {
    fl_cli_table *table = fl_cli_table_new("run:flow:status:created:>took:for");
    json_array_foreach(runs, i, run) {
      const char *parent = parent_of(run);
      // One whose caller is not in the list stands by itself.
      if (!parent || !is_listed(runs, parent)) add_rows(table, runs, run, 0);
    }
    fl_cli_table_print(table);
  }
  json_decref(runs);
}

static bool read_time(const fl_cli *cli, const char *name, int64_t *out) {
  const char *text = fl_cli_get(cli, name);
  if (!text || fl_time_parse(text, out)) return true;
  return fl_cli_usage("--%s: expected a time like 2026-01-31 or 2026-01-31T18:00:00Z, got \"%s\"",
                      name, text),
         false;
}

// "2h" before now, or a time. False: a message was printed.
static bool read_since(const fl_cli *cli, int64_t *since_ms) {
  const char *text = fl_cli_get(cli, "since");
  int64_t ago;
  if (!text || fl_time_parse(text, since_ms)) return true;
  // A bare number would be seconds, which nobody means.
  bool has_unit = *text && strchr("smhdw", text[strlen(text) - 1]);
  if (has_unit && fl_duration_parse(text, &ago)) {
    *since_ms = fl_cli_wall_ms() - ago;
    return true;
  }
  fl_cli_usage("--since: expected an age like 2h or 3d, or a time like 2026-01-31, got \"%s\"",
               text);
  return false;
}

// The list without those that were made before `since_ms`; free() it.
static char *drop_older(const char *text, int64_t since_ms) {
  json_t *runs = json_loads(text, 0, NULL);
  for (size_t i = json_array_size(runs); i-- > 0;)
    if (fl_cli_time_of(text_of(json_array_get(runs, i), "created_at")) < since_ms)
      json_array_remove(runs, i);
  char *kept = fl_cli_json_format(runs);
  json_decref(runs);
  if (!kept) abort();
  return kept;
}

static int runs_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  int64_t since_ms = 0, limit = LIMIT_DEFAULT;
  fl_run_query query = {.size = sizeof query,
                        .flow = fl_cli_get(cli, "flow"),
                        .status = fl_cli_get(cli, "status"),
                        .trigger = fl_cli_get(cli, "trigger"),
                        .parent = fl_cli_get(cli, "parent"),
                        .before = fl_cli_get(cli, "before")};
  if (!fl_cli_get_number(cli, "limit", 1, LIMIT_MAX, &limit)) return FL_EXIT_USAGE;
  if (!read_since(cli, &since_ms)) return FL_EXIT_USAGE;
  if (since_ms && !fl_cli_get(cli, "limit")) limit = SINCE_LIMIT;
  if (!read_time(cli, "from", &query.from_ms) || !read_time(cli, "to", &query.to_ms))
    return FL_EXIT_USAGE;
  query.limit = (size_t)limit;
  int code = fl_cli_engine_open_existing(cli, &engine);
  if (code != FL_EXIT_OK) return code;
  if (engine.engine && fl_read_query(engine.engine, &query, &text, &err) != FL_OK)
    code = fl_cli_fail(&err);
  char *kept = text && since_ms ? drop_older(text, since_ms) : NULL;
  const char *shown = kept ? kept : text ? text : "[]";
  if (code != FL_EXIT_OK)
    ;
  else if (fl_cli_has(cli, "json"))
    fl_cli_print_json(shown);
  else
    print_runs(cli, shown);
  free(kept);
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
               "flowlua runs --since 2h --status failed\n"
               "flowlua runs --flow daily --status failed --from 2026-01-01 --json",
    .run = runs_run,
};
