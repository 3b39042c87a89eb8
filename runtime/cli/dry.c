// run --dry-run: the nodes that would run, in the order they may, and those that are left out.
#include "dry.h"
#include <jansson.h>

/// The flow's graph, as read from its JSON.
typedef struct dry_graph {
  json_t *nodes; // borrowed
  json_t *index; // name -> number
  size_t count;
  unsigned char *chosen;
} dry_graph;

static const char *name_of(const dry_graph *g, size_t i) {
  return json_string_value(json_object_get(json_array_get(g->nodes, i), "name"));
}

static json_t *after_of(const dry_graph *g, size_t i) {
  return json_object_get(json_array_get(g->nodes, i), "after");
}

// Marks `name` and all it depends on (`up`) or all that depend on it. A pass over all nodes finds
// what the one before made reachable; declaration order makes that one or two passes.
static void mark(const dry_graph *g, const char *name, bool up, unsigned char *marks) {
  json_t *at = json_object_get(g->index, name);
  if (!at) return;
  marks[json_integer_value(at)] = 1;
  for (bool more = true; more;) {
    more = false;
    for (size_t k = 0; k < g->count; k++) {
      size_t i = up ? g->count - 1 - k : k, p;
      json_t *parent;
      json_array_foreach(after_of(g, i), p, parent) {
        json_t *found = json_object_get(g->index, json_string_value(parent));
        size_t j = (size_t)json_integer_value(found);
        unsigned char from = up ? marks[i] : marks[j], *to = up ? &marks[j] : &marks[i];
        if (!found || !from || *to) continue;
        *to = 1;
        more = true;
      }
    }
  }
}

static void narrow(dry_graph *g, const char *name, bool up) {
  if (!name) return;
  unsigned char *marks = fl_cli_alloc(g->count, 1);
  mark(g, name, up, marks);
  for (size_t i = 0; i < g->count; i++) g->chosen[i] &= marks[i];
  free(marks);
}

static void choose(dry_graph *g, const fl_run_options *options) {
  memset(g->chosen, 1, g->count);
  for (size_t i = 0; i < g->count && options->only_count > 0; i++) {
    bool named = false;
    for (size_t k = 0; k < options->only_count; k++)
      named = named || strcmp(options->only[k], name_of(g, i)) == 0;
    g->chosen[i] = named;
  }
  narrow(g, options->from, false);
  narrow(g, options->until, true);
}

static void print_json(const dry_graph *g, json_t *graph) {
  for (size_t i = 0; i < g->count; i++)
    json_object_set_new(json_array_get(g->nodes, i), "action",
                        json_string(g->chosen[i] ? "run" : "skip"));
  char *text = json_dumps(graph, JSON_COMPACT);
  if (!text) abort();
  fl_cli_print_json(text);
  free(text);
}

static void print_table(const dry_graph *g, json_t *graph) {
  fl_cli_table *table = fl_cli_table_new("node:type:action:after");
  size_t chosen = 0;
  for (size_t i = 0; i < g->count; i++) {
    fl_cli_text after = {0};
    size_t p;
    json_t *parent;
    json_array_foreach(after_of(g, i), p, parent) {
      if (p) fl_cli_text_add_str(&after, ", ");
      fl_cli_text_add_str(&after, json_string_value(parent));
    }
    chosen += g->chosen[i];
    fl_cli_table_add(table, name_of(g, i), FL_STYLE_NONE);
    fl_cli_table_add(table, json_string_value(json_object_get(json_array_get(g->nodes, i), "type")),
                     FL_STYLE_NONE);
    fl_cli_table_add(table, g->chosen[i] ? "run" : "-", FL_STYLE_NONE);
    fl_cli_table_add(table, fl_cli_text_cstr(&after), FL_STYLE_NONE);
    fl_cli_text_deinit(&after);
  }
  fl_cli_table_print(table);
  fl_cli_printf("dry run of %s: %zu of %zu nodes would run\n",
                json_string_value(json_object_get(graph, "flow")), chosen, g->count);
}

int fl_cli_dry_run(const fl_cli *cli, fl_script *script, const fl_run_options *options) {
  fl_error err = {0};
  char run_id[32] = "", *text = NULL;
  if (fl_run_start(script, options, run_id, &err) != FL_OK ||
      fl_script_graph(script, options->flow, "json", &text, &err) != FL_OK)
    return fl_cli_fail(&err);
  json_t *graph = json_loads(text, 0, NULL);
  dry_graph g = {.nodes = json_object_get(graph, "nodes"), .index = json_object()};
  g.count = json_array_size(g.nodes);
  g.chosen = fl_cli_alloc(g.count, 1);
  for (size_t i = 0; i < g.count; i++)
    json_object_set_new(g.index, name_of(&g, i), json_integer((json_int_t)i));
  choose(&g, options);
  if (fl_cli_has(cli, "json"))
    print_json(&g, graph);
  else
    print_table(&g, graph);
  free(g.chosen);
  json_decref(g.index);
  json_decref(graph);
  fl_free(text);
  return FL_EXIT_OK;
}
