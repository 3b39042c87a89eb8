// Holds a node against itself in an earlier run: what its definitions say is asked of both scripts,
// everything else of the store.
#include "api/engine.h"

// The declared node that `name` is, or is an item of.
static uint32_t find_node(const fl_flow *flow, const char *name) {
  uint32_t node = fl_graph_find(flow->graph, name, strlen(name));
  return node != FL_NODE_NONE ? node : fl_graph_find(flow->graph, name, strcspn(name, "["));
}

static bool same_parents(const fl_flow *a, uint32_t node_a, const fl_flow *b, uint32_t node_b) {
  uint32_t count_a, count_b;
  const uint32_t *x = fl_graph_get_parents(a->graph, node_a, &count_a);
  const uint32_t *y = fl_graph_get_parents(b->graph, node_b, &count_b);
  if (count_a != count_b) return false;
  for (uint32_t i = 0; i < count_a; i++)
    if (strcmp(fl_graph_get_name(a->graph, x[i]), fl_graph_get_name(b->graph, y[i]))) return false;
  return true;
}

// Names of the options that are not the same.
static json_t *compare_options(const fl_value *a, const fl_value *b) {
  json_t *x = fl_value_to_json(a), *y = fl_value_to_json(b), *names = json_array(), *text;
  const char *name;
  json_object_foreach(x, name, text) {
    json_t *other = json_object_get(y, name);
    if (!other || !json_equal(text, other)) json_array_append_new(names, json_string(name));
  }
  json_object_foreach(y, name, text) {
    if (!json_object_get(x, name)) json_array_append_new(names, json_string(name));
  }
  json_decref(x);
  json_decref(y);
  return names;
}

// {"equal","options":[...]} of two flows' nodes; NULL: it cannot be known.
static char *compare(const fl_flow *a, const fl_flow *b, const char *name, bool *alike) {
  uint32_t x = find_node(a, name), y = find_node(b, name);
  fl_value *of_x = NULL, *of_y = NULL;
  char *text = NULL;
  fl_error ignored;
  if (x == FL_NODE_NONE || y == FL_NODE_NONE) return NULL;
  if (!fl_script_describe_options(a, x, &of_x, &ignored) &&
      !fl_script_describe_options(b, y, &of_y, &ignored)) {
    json_t *options = compare_options(of_x, of_y), *out = json_object();
    if (!same_parents(a, x, b, y)) json_array_append_new(options, json_string("after"));
    *alike = !json_array_size(options);
    json_object_set_new(out, "equal", json_boolean(*alike));
    json_object_set_new(out, "options", options);
    text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
  }
  fl_value_unref(of_x);
  fl_value_unref(of_y);
  return text;
}

// Loads what both runs ran. A script that is gone or cannot be loaded here leaves it unknown.
static char *compare_definitions(fl_engine *e, const fl_run_row *before, const fl_run_row *run,
                                 const char *node, bool *alike) {
  fl_script *of_a = NULL, *of_b = NULL;
  fl_flow *a, *b;
  fl_error ignored;
  char *text = NULL;
  bool patched = before->epoch > 1 || run->epoch > 1 || before->replay_of || run->replay_of;
  *alike = before->script == run->script && !patched;
  if (*alike) return fl_strdup("{\"equal\":true,\"options\":[]}");
  if (!fl_engine_load_run(e, before, &of_a, &a, &ignored) &&
      !fl_engine_load_run(e, run, &of_b, &b, &ignored))
    text = compare(a, b, node, alike);
  if (of_a) fl_script_unref(of_a);
  if (of_b) fl_script_unref(of_b);
  return text;
}

fl_code fl_read_why(fl_engine *e, const char *run_name, const char *node, const char *against,
                    char **json_out, fl_error *err) {
  fl_reader *reader;
  fl_run_row run = {0}, before = {0};
  bool alike = false;
  fl_buf out;
  char *definition = NULL;
  *json_out = NULL;
  fl_buf_init(&out, FL_ANSWER_SIZE_MAX);
  fl_code rc = fl_engine_get_reader(e, &reader, err);
  fl_store *s = rc ? NULL : reader->store;
  if (!rc) rc = fl_store_find_run(s, run_name, &run, err);
  if (!rc) rc = fl_read_enter(s, &run, &node, err);
  if (!rc && against)
    rc = fl_store_find_run(s, against, &before, err);
  else if (!rc)
    rc = fl_read_store_find_before(s, &run, node, &before, err);
  if (!rc) definition = compare_definitions(e, &before, &run, node, &alike);
  if (!rc) rc = fl_read_store_why(s, &run, &before, node, definition, alike, &out, err);
  free(definition);
  fl_run_row_deinit(&run);
  fl_run_row_deinit(&before);
  return fl_answer_take(&out, rc, json_out, err);
}
