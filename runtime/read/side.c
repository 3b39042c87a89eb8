// One of two runs that are held against each other.
#include "read/side_internal.h"

const char *fl_read_side_get_name(const fl_read_side *side, const fl_read_node *node) {
  return fl_read_text(&side->nodes, node->name);
}

static int by_name(const void *a, const void *b, void *ud) {
  const fl_read_side *side = ud;
  const fl_read_node *x = &side->nodes.nodes[*(const uint32_t *)a];
  const fl_read_node *y = &side->nodes.nodes[*(const uint32_t *)b];
  return strcmp(fl_read_side_get_name(side, x), fl_read_side_get_name(side, y));
}

// A repeat that sees today's results is like any other run; one whose original is gone, too.
static fl_code open_then(fl_read_side *side, fl_error *err) {
  fl_run_row then;
  if (!side->run.replay_of || side->run.replay_live) return FL_OK;
  fl_code code = fl_store_get_run(side->store, side->run.replay_of, &then, err);
  if (code) return code == FL_E_NOT_FOUND ? FL_OK : code;
  fl_run_row_deinit(&then);
  side->then = fl_alloc_zero(1, sizeof *side->then);
  return fl_read_side_open(side->then, side->store, side->run.replay_of, err);
}

fl_code fl_read_side_open(fl_read_side *side, fl_store *s, int64_t run, fl_error *err) {
  side->store = s;
  fl_code code = fl_store_get_run(s, run, &side->run, err);
  if (!code) code = fl_read_nodes_load(s, &side->run, &side->nodes, err);
  if (!code) code = fl_read_states_open(s, run, &side->states, err);
  if (!code) code = fl_read_results_load(s, run, &side->results, err);
  if (code) return code;
  side->by_name = fl_alloc((side->nodes.count + 1) * sizeof *side->by_name);
  for (size_t i = 0; i < side->nodes.count; i++) side->by_name[i] = (uint32_t)i;
  qsort_r(side->by_name, side->nodes.count, sizeof *side->by_name, by_name, side);
  return open_then(side, err);
}

void fl_read_side_close(fl_read_side *side) {
  if (side->then) fl_read_side_close(side->then);
  free(side->then);
  fl_read_results_deinit(&side->results);
  fl_read_states_close(&side->states);
  fl_read_nodes_deinit(&side->nodes);
  fl_run_row_deinit(&side->run);
  free(side->by_name);
  *side = (fl_read_side){0};
}

const fl_read_node *fl_read_side_find(const fl_read_side *side, const char *name) {
  size_t low = 0, high = side->nodes.count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    const fl_read_node *node = &side->nodes.nodes[side->by_name[middle]];
    int order = strcmp(fl_read_side_get_name(side, node), name);
    if (!order) return node;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

// -------------------------------------------------------------------------------- inputs

/// Where the node `name` had its context; an item that had none, that of its map. False: it saw
/// none.
static bool find_sight(const fl_read_side *side, const char *name, const char *map,
                       fl_read_source *found) {
  const char *names[] = {name, map};
  for (int i = 0; i < 2; i++) {
    const fl_read_node *node = names[i] ? fl_read_side_find(side, names[i]) : NULL;
    const fl_read_sight *m = node ? fl_read_results_get_sight(&side->results, node->node) : NULL;
    if (m) return *found = (fl_read_source){side, node, m->seq, m->epoch}, true;
  }
  return false;
}

/// Goes back to where the context came from; `same_script`: no further than to runs of that script.
static fl_read_source find_source(const fl_read_side *side, const fl_read_node *node, int64_t seq,
                                  uint32_t epoch, bool same_script) {
  fl_read_source found = {side, node, seq, epoch};
  const char *map = node->map_node < side->nodes.declared
                        ? fl_read_side_get_name(side, &side->nodes.nodes[node->map_node])
                        : NULL;
  const fl_read_side *then = seq ? side->then : NULL;
  while (then && (!same_script || then->run.script == side->run.script) &&
         find_sight(then, fl_read_side_get_name(side, node), map, &found))
    then = then->then;
  return found;
}

fl_read_source fl_read_side_get_source(const fl_read_side *side, const fl_read_node *node,
                                       int64_t seq, uint32_t epoch) {
  return find_source(side, node, seq, epoch, false);
}

int64_t fl_read_side_get_params(const fl_read_side *side, const fl_read_node *node, int64_t seq,
                                uint32_t epoch) {
  // With another script the params were made to fit it, for the whole run.
  fl_read_source source = find_source(side, node, seq, epoch, true);
  const fl_input_row *input = fl_read_results_get_input(&source.side->results, source.epoch);
  return input ? input->params : source.side->run.params;
}

void fl_read_side_find_input(const fl_read_side *side, uint32_t parent, int64_t seq,
                             const fl_read_source *source, fl_read_input *input) {
  const fl_read_node *twin =
      source->side == side ? NULL : fl_read_side_find(source->side, input->name);
  // Of a repeat: a parent that is new since gave what it gave today.
  const fl_read_side *from = twin ? source->side : side;
  input->given = fl_read_results_find(&from->results, twin ? twin->node : parent,
                                      twin ? source->seq : seq, &input->outputs);
}

// What the parents of `node` (of its map, for an item) had given when something with `seq`
// happened. free() the list.
static fl_read_input *get_inputs(const fl_read_side *side, const fl_read_node *node, int64_t seq,
                                 size_t *count) {
  const fl_read_nodes *n = &side->nodes;
  fl_read_source source = fl_read_side_get_source(side, node, seq, 0);
  const fl_read_node *owner = node->map_node < n->declared ? &n->nodes[node->map_node] : node;
  const char *at = fl_read_text(n, owner->parents);
  fl_read_input *list = NULL;
  size_t capacity = 0;
  uint32_t parent;
  *count = 0;
  while (seq && fl_read_next_parent(&at, &parent)) {
    if (parent >= n->declared) continue;
    if (*count == capacity) {
      capacity = capacity ? 2 * capacity : 8;
      list = fl_realloc(list, capacity * sizeof *list);
    }
    fl_read_input *input = &list[(*count)++];
    input->name = fl_read_text(n, n->nodes[parent].name);
    fl_read_side_find_input(side, n->nodes[parent].node, seq, &source, input);
  }
  return list;
}

static const fl_read_input *find_input(const fl_read_input *list, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(list[i].name, name)) return &list[i];
  return NULL;
}

static fl_code add_input(fl_store *s, const fl_read_input *a, const fl_read_input *b, bool brief,
                         bool *equal, fl_buf *out, fl_error *err) {
  int64_t x = a && a->given ? a->outputs : 0, y = b && b->given ? b->outputs : 0;
  bool given_a = a && a->given, given_b = b && b->given;
  if (given_a == given_b && fl_store_is_same_value(s, x, y)) return FL_OK;
  fl_buf_add_str(out, *equal ? "{\"name\":" : ",{\"name\":");
  *equal = false;
  fl_json_write_text(out, a ? a->name : b->name);
  fl_buf_addf(out, ",\"given\":{\"a\":%s,\"b\":%s},\"outputs\":", given_a ? "true" : "false",
              given_b ? "true" : "false");
  fl_code code = fl_read_add_pair(s, x, y, brief, out, err);
  fl_buf_add_char(out, '}');
  return code;
}

fl_code fl_read_add_inputs(const fl_read_side *a, const fl_read_node *node_a, int64_t seq_a,
                           const fl_read_side *b, const fl_read_node *node_b, int64_t seq_b,
                           bool brief, bool *equal, fl_buf *out, fl_error *err) {
  size_t count_a, count_b;
  fl_read_input *x = get_inputs(a, node_a, seq_a, &count_a);
  fl_read_input *y = get_inputs(b, node_b, seq_b, &count_b);
  fl_buf list;
  fl_code code = FL_OK;
  fl_buf_init(&list, out->size_max);
  *equal = true;
  for (size_t i = 0; i < count_a && !code; i++)
    code = add_input(a->store, &x[i], find_input(y, count_b, x[i].name), brief, equal, &list, err);
  for (size_t i = 0; i < count_b && !code; i++)
    if (!find_input(x, count_a, y[i].name))
      code = add_input(a->store, NULL, &y[i], brief, equal, &list, err);
  fl_buf_addf(out, "{\"equal\":%s,\"parents\":[", *equal ? "true" : "false");
  fl_buf_add(out, list.data, list.size);
  fl_buf_add_str(out, "]}");
  fl_buf_deinit(&list);
  free(x);
  free(y);
  return code;
}
