// The graph of a stored run with its states, for drawing.
#include "api/draw.h"
#include "api/reader.h"

#define GRAPH_SIZE_MAX ((size_t)1 << 30)

/// A node as the store tells it; offsets into the texts and parents of the whole.
typedef struct graph_node {
  uint32_t node; // index in the run
  size_t name, type, parents;
  uint32_t parent_count;
  fl_node_state state;
} graph_node;

typedef struct graph_reader {
  fl_buf nodes; // graph_node
  fl_buf texts;
  fl_buf parents; // uint32_t: indexes in the run
  uint32_t node_max;
} graph_reader;

static size_t add_text(fl_buf *texts, const char *text) {
  size_t at = texts->size;
  fl_buf_add(texts, text, strlen(text) + 1);
  return at;
}

// "[0,12]": written by us, of numbers only.
static void add_parents(graph_reader *r, const char *list, graph_node *node) {
  const char *p = list ? list : "";
  while (*p) {
    char *end;
    unsigned long n;
    p += strcspn(p, "0123456789");
    if (!*p) break;
    n = strtoul(p, &end, 10);
    uint32_t parent = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    fl_buf_add(&r->parents, &parent, sizeof parent);
    node->parent_count++;
    p = end;
  }
}

static bool take_node(void *ud, const fl_graph_entry *e) {
  graph_reader *r = ud;
  graph_node node = {.node = e->node, .state = e->state};
  node.name = add_text(&r->texts, e->name);
  node.type = add_text(&r->texts, e->type);
  node.parents = r->parents.size / sizeof(uint32_t);
  add_parents(r, e->after, &node);
  if (e->node > r->node_max) r->node_max = e->node;
  fl_buf_add(&r->nodes, &node, sizeof node);
  return !r->nodes.failed && !r->texts.failed && !r->parents.failed;
}

// Nodes are drawn in the order they came; their parents are named by place in that order.
static fl_draw_node *make_nodes(graph_reader *r, size_t count, fl_error *err) {
  const graph_node *nodes = (const graph_node *)(void *)r->nodes.data;
  uint32_t *parents = (uint32_t *)(void *)r->parents.data;
  size_t parent_count = r->parents.size / sizeof *parents, i = 0;
  uint32_t *places = fl_alloc((size_t)r->node_max * sizeof *places + sizeof *places);
  fl_draw_node *out = fl_alloc_zero(count, sizeof *out);
  memset(places, 0xFF, ((size_t)r->node_max + 1) * sizeof *places);
  for (i = 0; i < count; i++) places[nodes[i].node] = (uint32_t)i;
  for (i = 0; i < parent_count; i++) {
    if (parents[i] > r->node_max || places[parents[i]] == UINT32_MAX) break;
    parents[i] = places[parents[i]];
  }
  bool whole = i == parent_count;
  for (i = 0; i < count && whole; i++)
    out[i] = (fl_draw_node){.name = r->texts.data + nodes[i].name,
                            .type = r->texts.data + nodes[i].type,
                            .parents = parents ? parents + nodes[i].parents : NULL,
                            .parent_count = nodes[i].parent_count,
                            .status = fl_node_state_text(nodes[i].state)};
  free(places);
  if (whole) return out;
  free(out);
  fl_fail(err, FL_E_CORRUPT, "the stored graph names a node that is not in it");
  return NULL;
}

static fl_code draw(graph_reader *r, const char *flow, const char *format, char **out,
                    fl_error *err) {
  size_t count = r->nodes.size / sizeof(graph_node);
  fl_buf text;
  fl_buf_init(&text, GRAPH_SIZE_MAX);
  fl_draw_node *nodes = make_nodes(r, count, err);
  fl_code code = nodes ? fl_draw(flow, nodes, count, format, &text, err) : FL_E_CORRUPT;
  if (code == FL_OK && !(*out = fl_buf_take(&text)))
    code = fl_fail(err, FL_E_LIMIT, "graph of '%s': larger than %zu bytes", flow, GRAPH_SIZE_MAX);
  free(nodes);
  fl_buf_deinit(&text);
  return code;
}

fl_code fl_reader_graph(fl_reader *reader, const char *run, const char *format, char **out,
                        fl_error *err) {
  fl_store *s = reader->store;
  fl_run_row row = {0};
  graph_reader r = {0};
  *out = NULL;
  fl_buf_init(&r.nodes, GRAPH_SIZE_MAX);
  fl_buf_init(&r.texts, GRAPH_SIZE_MAX);
  fl_buf_init(&r.parents, GRAPH_SIZE_MAX);
  fl_code code = fl_store_find_run(s, run, &row, err);
  if (code == FL_OK) code = fl_read_store_graph(s, &row, take_node, &r, err);
  if (code == FL_OK && (r.nodes.failed || r.texts.failed || r.parents.failed))
    code =
        fl_fail(err, FL_E_LIMIT, "graph of '%s': larger than %zu bytes", row.flow, GRAPH_SIZE_MAX);
  if (code == FL_OK) code = draw(&r, row.flow, format, out, err);
  fl_buf_deinit(&r.nodes);
  fl_buf_deinit(&r.texts);
  fl_buf_deinit(&r.parents);
  fl_run_row_deinit(&row);
  return code;
}
