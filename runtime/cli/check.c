// flowlua check FILE: all that can be known about a script without running a flow.
#include "cli.h"
#include <jansson.h>

// Each node of the JSON form begins with `{"name":`; inside a string the quotes would be escaped,
// so counting the text is exact, and a flow of a million nodes needs no tree.
static size_t count_nodes(const char *graph) {
  static const char mark[] = "{\"name\":";
  size_t count = 0;
  for (const char *p = graph; (p = strstr(p, mark)); p += sizeof mark - 1) count++;
  return count;
}

// Of flows with a schedule: that nothing starts them by it, which nobody would notice for a year.
static void note_schedules(fl_script *script, const char *file) {
  char *text = NULL;
  if (fl_script_next(script, NULL, NULL, 1, &text, NULL) != FL_OK) return;
  json_t *fires = json_loads(text, 0, NULL), *fire;
  size_t i;
  const char *last = "", *flow, *local;
  json_array_foreach(fires, i, fire) {
    if (json_unpack(fire, "{s:s,s:s}", "flow", &flow, "local", &local) != 0) continue;
    if (strcmp(flow, last) != 0)
      fl_cli_note("notice: %s: nothing starts it by its schedule (next %s) yet: let cron(8) do it, "
                  "with: flowlua %s --flow %s --quiet",
                  flow, local, file, flow);
    last = flow;
  }
  json_decref(fires);
  fl_free(text);
}

static int check_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_script *script = NULL;
  fl_error err = {0};
  size_t nodes = 0;
  int code = fl_cli_engine_open(cli, FL_CLI_SCRIPT, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_cli_load_script(engine.engine, cli->words[0], &script, &err) != FL_OK) goto fail;
  size_t flows = fl_script_get_flow_count(script);
  for (size_t i = 0; i < flows; i++) {
    char *graph = NULL;
    if (fl_script_graph(script, fl_script_get_flow_key(script, i), "json", &graph, &err) != FL_OK)
      goto fail;
    nodes += count_nodes(graph);
    fl_free(graph);
  }
  fl_cli_notices(script);
  note_schedules(script, cli->words[0]);
  fl_cli_print_clean(cli->words[0], false);
  fl_cli_printf(": ok: %zu flow%s, %zu node%s\n", flows, flows == 1 ? "" : "s", nodes,
                nodes == 1 ? "" : "s");
  goto out;
fail:
  code = fl_cli_fail(&err);
out:
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_check = {
    .name = "check",
    .words = "FILE",
    .summary = "find what is wrong with a script, without running a flow",
    .word_count_min = 1,
    .word_count_max = 1,
    .example = "flowlua check pipeline.lua",
    .run = check_run,
};
