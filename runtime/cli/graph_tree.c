// flowlua graph on a terminal: the graph as a tree with branches. A node stands below the last of
// those it depends on, and names them where they are several.
#include "graph.h"
#include <jansson.h>

#define PARENTS_MAX 6  // names in a line
#define DEPTH_MAX   60 // a chain of thousands goes on where it is
#define NONE        SIZE_MAX

typedef struct tree_node {
  const char *name, *type, *status;
  const json_t *after;
  size_t parent; // in the tree, NONE: none
  size_t child, last, next;
} tree_node;

typedef struct tree {
  tree_node *nodes;
  size_t count;
  json_t *index; // number by name
} tree;

static size_t find(const tree *t, const json_t *name) {
  const json_t *number = json_object_get(t->index, json_string_value(name));
  return number ? (size_t)json_integer_value(number) : NONE;
}

static void build(tree *t, const json_t *nodes) {
  json_t *node, *parent;
  size_t i, k;
  t->count = json_array_size(nodes);
  t->nodes = fl_cli_alloc(t->count, sizeof *t->nodes);
  t->index = json_object();
  json_array_foreach((json_t *)nodes, i, node) {
    const char *name = json_string_value(json_object_get(node, "name"));
    t->nodes[i] = (tree_node){.name = name ? name : "",
                              .type = json_string_value(json_object_get(node, "type")),
                              .status = json_string_value(json_object_get(node, "status")),
                              .after = json_object_get(node, "after"),
                              .parent = NONE,
                              .child = NONE,
                              .last = NONE,
                              .next = NONE};
    json_object_set_new(t->index, t->nodes[i].name, json_integer((json_int_t)i));
  }
  for (i = 0; i < t->count; i++) {
    tree_node *n = &t->nodes[i];
    json_array_foreach((json_t *)n->after, k, parent) {
      size_t p = find(t, parent);
      if (p != NONE) n->parent = p;
    }
    if (n->parent == NONE) continue;
    tree_node *p = &t->nodes[n->parent];
    *(p->last == NONE ? &p->child : &t->nodes[p->last].next) = i;
    p->last = i;
  }
}

static void print_others(const tree_node *n) {
  size_t count = json_array_size(n->after), shown = 0, i;
  json_t *parent;
  if (count < 2) return;
  fl_cli_printf(" %safter ", fl_cli_style_text(FL_STYLE_DIM));
  json_array_foreach((json_t *)n->after, i, parent) {
    if (shown == PARENTS_MAX && count > PARENTS_MAX + 1) break;
    fl_cli_printf(shown++ ? ", " : "");
    fl_cli_print_clean(json_string_value(parent) ? json_string_value(parent) : "", false);
  }
  if (shown < count) fl_cli_printf(" and %zu more", count - shown);
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_NONE));
}

// What goes on beside a node, from the top.
static void print_lead(const tree *t, const tree_node *n) {
  const char *parts[DEPTH_MAX];
  size_t count = 0;
  for (; n->parent != NONE && count < DEPTH_MAX; n = &t->nodes[n->parent]) {
    bool is_last = n->next == NONE;
    if (count == 0)
      parts[count] = is_last ? "└─ " : "├─ ";
    else
      parts[count] = is_last ? "   " : "│  ";
    count++;
  }
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_DIM));
  while (count > 0) fl_cli_text_add_str(fl_cli_out(), parts[--count]);
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_NONE));
}

static void print_node(const tree *t, const tree_node *n) {
  print_lead(t, n);
  fl_cli_print_clean(n->name, false);
  fl_cli_printf(" %s", fl_cli_style_text(FL_STYLE_DIM));
  fl_cli_print_clean(n->type ? n->type : "", false);
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_NONE));
  if (n->status)
    fl_cli_printf(" %s%s%s", fl_cli_style_text(fl_cli_style_of_status(n->status)), n->status,
                  fl_cli_style_text(FL_STYLE_NONE));
  print_others(n);
  fl_cli_printf("\n");
  fl_cli_flush_some();
}

// Down to the first child, else on to the next one beside it, or beside one above.
static void print_tree(const tree *t, size_t root) {
  for (size_t at = root; at != NONE;) {
    print_node(t, &t->nodes[at]);
    if (t->nodes[at].child != NONE) {
      at = t->nodes[at].child;
      continue;
    }
    while (at != root && t->nodes[at].next == NONE) at = t->nodes[at].parent;
    at = at == root ? NONE : t->nodes[at].next;
  }
}

void fl_cli_graph_tree(const char *text) {
  json_t *graph = json_loads(text, 0, NULL);
  const char *flow = json_string_value(json_object_get(graph, "flow"));
  tree t = {0};
  build(&t, json_object_get(graph, "nodes"));
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_BOLD));
  fl_cli_print_clean(flow ? flow : "", false);
  fl_cli_printf("%s: %zu node%s\n", fl_cli_style_text(FL_STYLE_NONE), t.count,
                t.count == 1 ? "" : "s");
  for (size_t i = 0; i < t.count; i++)
    if (t.nodes[i].parent == NONE) print_tree(&t, i);
  free(t.nodes);
  json_decref(t.index);
  json_decref(graph);
}
