// flowlua next FILE: when the flows of a script fire next.
#include "cli.h"
#include <jansson.h>

#define COUNT_MAX 100000

static const fl_cli_option options[] = {
    {"count", "N", "how many fires of each flow (default: 5)", NULL},
    {"from", "TIME", "at or after this time; without a zone: local time of the rule (default: now)",
     NULL},
    {"flow", "KEY", "only this flow", NULL},
    {"rule", "CRON", "of this expression, instead of FILE", NULL},
    {"tz", "ZONE", "its time zone (default: UTC)", NULL},
    {"json", NULL, "a list of fires", NULL},
    {NULL, NULL, NULL, NULL},
};

static const char *text_of(const json_t *fire, const char *key) {
  return json_string_value(json_object_get(fire, key));
}

static bool is_same(const json_t *a, const json_t *b, const char *key) {
  const char *x = text_of(a, key), *y = text_of(b, key);
  return x == y || (x && y && strcmp(x, y) == 0);
}

// The flow and each rule that has a fire among those of `flow`, which begin at `from`.
static void print_rules(const json_t *fires, size_t from) {
  const json_t *first = json_array_get(fires, from), *fire;
  const char *flow = text_of(first, "flow");
  bool begun = false;
  for (size_t i = from; (fire = json_array_get(fires, i)) && is_same(fire, first, "flow"); i++) {
    bool is_new = true;
    for (size_t k = from; k < i && is_new; k++)
      is_new = !is_same(json_array_get(fires, k), fire, "rule");
    if (!is_new) continue;
    if (!begun && flow) fl_cli_printf("%s  ", flow);
    if (begun) fl_cli_printf("%*s", flow ? (int)strlen(flow) + 2 : 0, "");
    fl_cli_printf("%s  %s\n", text_of(fire, "schedule"), text_of(fire, "tz"));
    begun = true;
  }
}

static void print_fires(const json_t *fires) {
  size_t i;
  const json_t *fire, *before = NULL;
  json_array_foreach(fires, i, fire) {
    const char *local = text_of(fire, "local"), *time = text_of(fire, "time");
    const char *text = text_of(fire, "text");
    if (!before || !is_same(fire, before, "flow")) print_rules(fires, i);
    // 2026-03-28T02:00:00+01:00 -> 2026-03-28 02:00:00 +01:00; UTC without milliseconds.
    fl_cli_printf("  %.10s %.8s %s  %.19sZ", local, local + 11, local + 19, time);
    fl_cli_printf("%s%s\n", text ? "  " : "", text ? text : "");
    before = fire;
  }
}

// Exit code; `*json` is what was found.
static int ask_script(const fl_cli *cli, uint32_t count, char **json) {
  fl_cli_engine engine = {0};
  fl_script *script = NULL;
  fl_error err = {0};
  int code = fl_cli_engine_open(cli, FL_CLI_SCRIPT, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_cli_load_script(engine.engine, cli->words[0], &script, &err) != FL_OK ||
      fl_script_next(script, fl_cli_get(cli, "flow"), fl_cli_get(cli, "from"), count, json, &err) !=
          FL_OK)
    code = fl_cli_fail(&err);
  fl_cli_engine_close(&engine);
  return code;
}

static int next_run(const fl_cli *cli) {
  const char *rule = fl_cli_get(cli, "rule");
  int64_t count = 5;
  char *json = NULL;
  int code = FL_EXIT_OK;
  fl_error err = {0};
  if (!rule == (cli->word_count == 0))
    return fl_cli_usage("next: give either a script or --rule (flowlua help next)");
  if (!rule && fl_cli_has(cli, "tz"))
    return fl_cli_usage("--tz is for --rule: a flow has its own zone");
  if (!fl_cli_get_number(cli, "count", 1, COUNT_MAX, &count)) return FL_EXIT_USAGE;
  if (!rule)
    code = ask_script(cli, (uint32_t)count, &json);
  else if (fl_next_of_rule(rule, fl_cli_get(cli, "tz"), fl_cli_get(cli, "from"), (uint32_t)count,
                           &json, &err) != FL_OK)
    code = fl_cli_fail(&err);
  if (!json) return code;
  if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(json);
    fl_cli_printf("\n");
  } else {
    json_t *fires = json_loads(json, 0, NULL);
    if (json_array_size(fires) == 0)
      fl_cli_note(rule ? "nothing is left to fire"
                       : "no flow here has a schedule that still fires");
    print_fires(fires);
    json_decref(fires);
  }
  fl_free(json);
  return code;
}

const fl_cli_verb fl_cli_verb_next = {
    .name = "next",
    .words = "[FILE]",
    .summary = "show when the flows of a script fire next",
    .word_count_min = 0,
    .word_count_max = 1,
    .options = options,
    .example = "flowlua next daily.lua --from 2026-03-28 --count 3\n"
               "flowlua next --rule \"0 2 * * *\" --tz Europe/Berlin",
    .run = next_run,
};
