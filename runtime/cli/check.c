// flowlua check FILE: all that can be known about a script without running a flow.
#include "cli.h"

// Each node of the JSON form begins with `{"name":`; inside a string the quotes would be escaped,
// so counting the text is exact, and a flow of a million nodes needs no tree.
static size_t count_nodes(const char *graph) {
  static const char mark[] = "{\"name\":";
  size_t count = 0;
  for (const char *p = graph; (p = strstr(p, mark)); p += sizeof mark - 1) count++;
  return count;
}

static int check_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_script *script = NULL;
  fl_error err = {0};
  size_t nodes = 0;
  int code = fl_cli_engine_open(cli, FL_CLI_SCRATCH, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_script_load(engine.engine, cli->words[0], &script, &err) != FL_OK) goto fail;
  size_t flows = fl_script_get_flow_count(script);
  for (size_t i = 0; i < flows; i++) {
    char *graph = NULL;
    if (fl_script_graph(script, fl_script_get_flow_key(script, i), "json", &graph, &err) != FL_OK)
      goto fail;
    nodes += count_nodes(graph);
    fl_free(graph);
  }
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
    .word_kind = "file",
    .example = "flowlua check pipeline.lua",
    .run = check_run,
};
