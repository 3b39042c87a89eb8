// flowlua prune: removes old runs with all that only they need.
#include "cli.h"
#include <jansson.h>

static const fl_cli_option options[] = {
    {"keep", "AGE", "remove runs that ended longer ago: 30d, 12h", NULL},
    {"max-size", "SIZE", "remove the oldest until the state is no larger: 500M, 2G", NULL},
    {"dry-run", NULL, "only tell what would be removed", NULL},
    {"json", NULL, "as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

static bool read_options(const fl_cli *cli, fl_prune_options *out) {
  const char *keep = fl_cli_get(cli, "keep"), *size = fl_cli_get(cli, "max-size");
  *out = (fl_prune_options){.size = sizeof *out, .keep_ms = -1, .size_max_bytes = -1};
  out->dry_run = fl_cli_has(cli, "dry-run");
  if (!keep && !size)
    return fl_cli_usage("what should be kept? --keep AGE, --max-size SIZE, or both"), false;
  if (keep && !fl_duration_parse(keep, &out->keep_ms))
    return fl_cli_usage("--keep: expected an age like 30d or 12h, got \"%s\"", keep), false;
  if (size && !fl_size_parse(size, &out->size_max_bytes))
    return fl_cli_usage("--max-size: expected a size like 500M or 2G, got \"%s\"", size), false;
  return true;
}

static void print_result(const char *text, bool dry_run) {
  json_t *result = json_loads(text, 0, NULL), *runs = json_object_get(result, "runs"), *run;
  size_t i, count = json_array_size(runs);
  json_array_foreach(runs, i, run) {
    const char *id = json_string_value(run);
    fl_cli_printf("%s\n", id ? id : "");
    fl_cli_flush_some();
  }
  fl_cli_printf("%s %zu run%s, ", dry_run ? "would remove" : "removed", count,
                count == 1 ? "" : "s");
  fl_cli_text_bytes(fl_cli_out(), json_integer_value(json_object_get(result, "bytes")));
  fl_cli_printf("\n");
  json_decref(result);
}

static int prune_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  fl_prune_options prune;
  char *text = NULL;
  if (!read_options(cli, &prune)) return FL_EXIT_USAGE;
  int code = fl_cli_engine_open(cli, prune.dry_run ? FL_CLI_READ : FL_CLI_WRITE, NULL, &engine);
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
    .example = "flowlua prune --keep 30d --max-size 2G --dry-run",
    .run = prune_run,
};
