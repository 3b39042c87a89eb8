// Which number the records of a run know a node by. The same as its index, until a mended script
// adds, removes, moves or renames nodes: then a node keeps its number, and new ones get the next.
#include "engine/run_internal.h"

uint32_t fl_run_get_number(const fl_run *run, uint32_t node) {
  return run->numbers.of_node ? run->numbers.of_node[node] : node;
}

uint32_t fl_run_find_number(const fl_run *run, uint32_t number) {
  const fl_numbers *n = &run->numbers;
  if (!n->of_node) return number < fl_plan_get_count(run->plan) ? number : FL_NODE_NONE;
  return number < n->number_capacity ? n->to_node[number] : FL_NODE_NONE;
}

void fl_run_set_number(fl_run *run, uint32_t node, uint32_t number) {
  fl_numbers *n = &run->numbers;
  if (node >= n->node_capacity) {
    n->node_capacity = node + node / 2 + 64;
    n->of_node = fl_realloc(n->of_node, n->node_capacity * sizeof *n->of_node);
  }
  if (number >= n->number_capacity) {
    uint32_t capacity = number + number / 2 + 64;
    n->to_node = fl_realloc(n->to_node, capacity * sizeof *n->to_node);
    for (uint32_t i = n->number_capacity; i < capacity; i++) n->to_node[i] = FL_NODE_NONE;
    n->number_capacity = capacity;
  }
  n->of_node[node] = number;
  n->to_node[number] = node;
  if (number >= n->next) n->next = number + 1;
}

void fl_numbers_deinit(fl_numbers *n) {
  free(n->of_node);
  free(n->to_node);
  *n = (fl_numbers){0};
}

// ------------------------------------------------------------------------------------- matching

static fl_former_node *add_former(fl_former *f, const fl_definition_node_row *row) {
  if (f->count == f->capacity) {
    f->capacity = f->capacity ? 2 * f->capacity : 64;
    f->nodes = fl_realloc(f->nodes, f->capacity * sizeof *f->nodes);
  }
  f->nodes[f->count] = (fl_former_node){.node = FL_NODE_NONE,
                                        .number = row->node,
                                        .hook = row->hook,
                                        .removed = row->removed,
                                        .name = fl_strdup(row->name),
                                        .type = fl_strdup(row->type),
                                        .parents = fl_strdup(row->parents)};
  return &f->nodes[f->count++];
}

static bool see_former(void *ud, const fl_definition_node_row *row) {
  fl_former *f = ud;
  add_former(f, row);
  if (row->node != f->count - 1 || row->position != row->node || row->removed) f->same = false;
  if (row->node >= f->next) f->next = row->node + 1;
  return true;
}

static bool see_number(void *ud, const fl_item_row *row) {
  fl_former *f = ud;
  if (row->node >= f->next) f->next = row->node + 1;
  return true;
}

void fl_former_deinit(fl_former *f) {
  for (size_t i = 0; i < f->count; i++) {
    free(f->nodes[i].name);
    free(f->nodes[i].type);
    free(f->nodes[i].parents);
  }
  free(f->nodes);
  *f = (fl_former){0};
}

// By name; a node that was renamed by the name it had. One that an earlier script had and a later
// one had not comes back with its history.
static void match(fl_run *run, fl_former *f, const char *const *renamed) {
  const fl_graph *g = run->flow->graph;
  uint32_t count = run->graph_count;
  uint32_t *numbers = fl_alloc((count + 1) * sizeof *numbers), renames = 0;
  uint32_t *list = fl_alloc((count + 1) * sizeof *list);
  for (uint32_t i = 0; i < count; i++) numbers[i] = FL_NODE_NONE;
  for (uint32_t i = 0; renamed && i < count; i++)
    if (renamed[i]) list[renames++] = i;
  for (size_t at = 0; at < f->count; at++) {
    fl_former_node *was = &f->nodes[at];
    uint32_t node = fl_graph_find(g, was->name, strlen(was->name));
    if (node != FL_NODE_NONE && renamed && renamed[node]) node = FL_NODE_NONE; // another's name now
    for (uint32_t i = 0; i < renames; i++)
      if (!strcmp(renamed[list[i]], was->name)) node = list[i];
    was->node = node;
    if (node != FL_NODE_NONE) numbers[node] = was->number;
    if (node != was->number) f->same = false;
  }
  for (uint32_t i = 0; i < count; i++)
    if (numbers[i] == FL_NODE_NONE) f->same = false;
  if (!f->same) {
    run->numbers.next = f->next;
    for (uint32_t i = 0; i < count; i++)
      if (numbers[i] != FL_NODE_NONE) fl_run_set_number(run, i, numbers[i]);
    for (uint32_t i = 0; i < count; i++)
      if (numbers[i] == FL_NODE_NONE) fl_run_set_number(run, i, run->numbers.next);
  }
  free(numbers);
  free(list);
}

fl_code fl_run_match_nodes(fl_run *run, const char *const *renamed, fl_former *former,
                           fl_error *err) {
  fl_store *store = run->scheduler->store;
  fl_definition_row definition;
  *former = (fl_former){.same = true};
  fl_code rc = fl_store_get_definition(store, run->row.definition, &definition, err);
  bool unchanged = run->flow->definition_store_id == run->row.definition && !renamed;
  if (rc || (unchanged && !definition.edited)) return rc;
  rc = fl_store_each_definition_node(store, run->row.definition, see_former, former, err);
  if (!rc) rc = fl_store_each_item(store, run->row.row, see_number, former, err);
  if (!rc) match(run, former, renamed);
  return rc;
}
