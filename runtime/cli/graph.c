// flowlua graph FILE|RUN: what depends on what, and how far a run has come.
#include "graph.h"

static const fl_cli_option options[] = {
    {"format", "FORMAT", "text, dot, mermaid, svg or json (default: text)",
     "text dot mermaid svg json"},
    {"flow", "KEY", "which flow, when the script has several", NULL},
    {NULL, NULL, NULL, NULL},
};

static int graph_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_script *script = NULL;
  fl_error err = {0};
  char *text = NULL;
  const char *word = fl_cli_run_word(cli), *format = fl_cli_get(cli, "format");
  // Into a file or a pipe it is the library's own text.
  bool tree = (!format || strcmp(format, "text") == 0) && fl_cli_out_is_terminal();
  if (!format || tree) format = tree ? "json" : "text";
  bool file = cli->word_count > 0 && fl_cli_is_file_word(word);
  int code = fl_cli_engine_open(cli, file ? FL_CLI_SCRIPT : FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  fl_code result;
  if (file) {
    result = fl_cli_load_script(engine.engine, word, &script, &err);
    if (result == FL_OK)
      result = fl_script_graph(script, fl_cli_get(cli, "flow"), format, &text, &err);
  } else {
    result = fl_read_graph(engine.engine, word, format, &text, &err);
  }
  if (result != FL_OK) {
    code = file ? fl_cli_fail(&err) : fl_cli_fail_run(cli, engine.engine, word, &err);
  } else if (tree) {
    fl_cli_graph_tree(text);
  } else {
    size_t size = strlen(text);
    fl_cli_output_keep_lines();
    fl_cli_text_clean(fl_cli_out(), text, size, true);
    if (size == 0 || text[size - 1] != '\n') fl_cli_printf("\n");
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_graph = {
    .name = "graph",
    .words = "[FILE|RUN]",
    .summary = "draw a flow, or a run with the states of its nodes",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua graph pipeline.lua\n"
               "flowlua graph --format svg > run.svg",
    .run = graph_run,
};
