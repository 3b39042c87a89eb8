// flowlua prune: removes old runs with all that only they need.
#include "cli.h"
#include <jansson.h>

static const fl_cli_option options[] = {
    {"keep", "AGE", "remove runs that ended longer ago: 30d, 12h", NULL},
    {"max-size", "SIZE", "remove the oldest until the state is no larger: 500M, 2G", NULL},
    {"last", "N", "keep the last runs of each flow; alone: remove all others", NULL},
    {"all", NULL, "also the last success of a flow, and failed runs: a resume may need them", NULL},
    {"dry-run", NULL, "only tell what would be removed", NULL},
    {"json", NULL, "as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

static bool read_options(const fl_cli *cli, fl_prune_options *out) {
  const char *keep = fl_cli_get(cli, "keep"), *size = fl_cli_get(cli, "max-size");
  *out = (fl_prune_options){.size = sizeof *out, .keep_ms = -1, .size_max_bytes = -1};
  int64_t last = 0;
  out->dry_run = fl_cli_has(cli, "dry-run");
  out->all = fl_cli_has(cli, "all");
  if (!keep && !size && !fl_cli_get(cli, "last"))
    return fl_cli_usage("what should be kept? --keep AGE, --last N, --max-size SIZE"), false;
  if (!fl_cli_get_number(cli, "last", 1, INT32_MAX, &last)) return false;
  out->last = (uint32_t)last;
  if (keep && strspn(keep, "0123456789.") == strlen(keep))
    return fl_cli_usage("--keep: expected an age like 30d or 12h, got \"%s\" (for the newest %s "
                        "runs: --last %s)",
                        keep, keep, keep),
           false;
  if (keep && !fl_duration_parse(keep, &out->keep_ms))
    return fl_cli_usage("--keep: expected an age like 30d or 12h, got \"%s\"", keep), false;
  if (size && !fl_size_parse(size, &out->size_max_bytes))
    return fl_cli_usage("--max-size: expected a size like 500M or 2G, got \"%s\"", size), false;
  return true;
}

static void print_result(const char *text, bool dry_run) {
  json_t *result = json_loads(text, 0, NULL), *runs = json_object_get(result, "removed"), *run;
  json_int_t doubtful = json_integer_value(json_object_get(result, "doubtful"));
  size_t i, count = json_array_size(runs);
  fl_cli_table *table = fl_cli_table_new("run:flow:status:>age");
  json_array_foreach(runs, i, run) {
    char age[32];
    const char *id = json_string_value(json_object_get(run, "id"));
    const char *status = json_string_value(json_object_get(run, "status"));
    fl_duration_format(json_integer_value(json_object_get(run, "age_ms")), age);
    fl_cli_table_add(table, id, FL_STYLE_NONE);
    fl_cli_table_add(table, json_string_value(json_object_get(run, "flow")), FL_STYLE_NONE);
    fl_cli_table_add(table, status, fl_cli_style_of_status(status ? status : ""));
    fl_cli_table_add(table, age, FL_STYLE_NONE);
  }
  if (count)
    fl_cli_table_print(table);
  else
    fl_cli_table_free(table);
  fl_cli_printf("%s %zu run%s, ", dry_run ? "would remove" : "removed", count,
                count == 1 ? "" : "s");
  fl_cli_text_bytes(fl_cli_out(), json_integer_value(json_object_get(result, "bytes")));
  fl_cli_printf("\n");
  if (doubtful)
    fl_cli_printf("kept %lld run%s that only the clock calls so old: it has jumped, or the machine "
                  "was off for long (--last N removes by number)\n",
                  (long long)doubtful, doubtful == 1 ? "" : "s");
  json_decref(result);
}

static int prune_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  fl_prune_options prune;
  char *text = NULL;
  if (!read_options(cli, &prune)) return FL_EXIT_USAGE;
  int code = fl_cli_engine_open(cli, prune.dry_run ? FL_CLI_READ : FL_CLI_CHANGE, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_prune(engine.engine, &prune, &text, &err) != FL_OK)
    code = fl_cli_fail(&err);
  else if (fl_cli_has(cli, "json"))
    fl_cli_print_json(text);
  else
    print_result(text, prune.dry_run);
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_prune = {
    .name = "prune",
    .words = "",
    .summary = "remove old runs with their logs and values",
    .options = options,
    .example = "flowlua prune --keep 30d --last 5 --max-size 2G --dry-run",
    .run = prune_run,
};
