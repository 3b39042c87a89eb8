// run --dry-run: the nodes that would run, in the order they may, and those that are left out.
#include "compare.h"
#include "dry.h"
#include <jansson.h>

static void print_table(const json_t *graph) {
  fl_cli_table *table = fl_cli_table_new("node:type:action:after");
  const json_t *nodes = json_object_get(graph, "nodes"), *node, *parent;
  size_t chosen = 0, i, p;
  json_array_foreach(nodes, i, node) {
    fl_cli_text after = {0};
    bool runs = strcmp(fl_cli_json_text(node, "action"), "run") == 0;
    json_array_foreach(json_object_get(node, "after"), p, parent) {
      if (p) fl_cli_text_add_str(&after, ", ");
      fl_cli_text_add_str(&after, json_string_value(parent));
    }
    chosen += runs;
    fl_cli_table_add(table, fl_cli_json_text(node, "name"), FL_STYLE_NONE);
    fl_cli_table_add(table, fl_cli_json_text(node, "type"), FL_STYLE_NONE);
    fl_cli_table_add(table, runs ? "run" : "-", FL_STYLE_NONE);
    fl_cli_table_add(table, fl_cli_text_cstr(&after), FL_STYLE_NONE);
    fl_cli_text_deinit(&after);
  }
  fl_cli_table_print(table);
  fl_cli_printf("dry run of %s: %zu of %zu nodes would run\n", fl_cli_json_text(graph, "flow"),
                chosen, json_array_size(nodes));
}

int fl_cli_dry_run(const fl_cli *cli, fl_script *script, const fl_run_options *options) {
  fl_error err = {0};
  char *text = NULL;
  if (fl_run_plan(script, options, &text, &err) != FL_OK) return fl_cli_fail(&err);
  if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(text);
  } else {
    json_t *graph = json_loads(text, 0, NULL);
    print_table(graph);
    json_decref(graph);
  }
  fl_free(text);
  return FL_EXIT_OK;
}
