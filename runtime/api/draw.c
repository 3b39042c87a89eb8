// Draws a graph as text, dot, mermaid and JSON; draw_svg.c does the pictures.
#include "api/draw.h"

#define INDENT_MAX  40 // levels; a chain of 100,000 must not make lines of 200,000 blanks
#define PARENTS_MAX 8  // names in a line of text

const fl_draw_color fl_draw_colors[] = {
    {"pending", "#f4f4f5", "#a1a1aa"},   {"queued", "#e0f2fe", "#7dd3fc"},
    {"running", "#bae6fd", "#0284c7"},   {"retrying", "#fef3c7", "#d97706"},
    {"waiting", "#ede9fe", "#7c3aed"},   {"succeeded", "#dcfce7", "#16a34a"},
    {"failed", "#fee2e2", "#dc2626"},    {"skipped", "#f4f4f5", "#d4d4d8"},
    {"omitted", "#f4f4f5", "#d4d4d8"},   {"upstream_failed", "#ffedd5", "#ea580c"},
    {"cancelled", "#e7e5e4", "#78716c"}, {NULL, "#ffffff", "#52525b"},
};

const fl_draw_color *fl_draw_color_of(const char *status) {
  const fl_draw_color *c = fl_draw_colors;
  while (c->status && (!status || strcmp(c->status, status) != 0)) c++;
  return c;
}

// ------------------------------------------------------------------------------------- ranking

/// Children of each node, as offsets into one list.
typedef struct child_lists {
  size_t *begin; // count + 1
  uint32_t *items;
} child_lists;

static void child_lists_deinit(child_lists *c) {
  free(c->begin);
  free(c->items);
}

static void child_lists_init(child_lists *c, const fl_draw_node *nodes, size_t count) {
  *c = (child_lists){.begin = fl_alloc_zero(count + 2, sizeof *c->begin)};
  for (size_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++)
      c->begin[(size_t)nodes[i].parents[k] + 2]++;
  for (size_t i = 2; i < count + 2; i++) c->begin[i] += c->begin[i - 1];
  c->items = fl_alloc_zero(c->begin[count + 1] + 1, sizeof *c->items);
  // begin[i + 1] runs from the begin of i's list to its end while it is filled.
  for (size_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++)
      c->items[c->begin[nodes[i].parents[k] + 1]++] = (uint32_t)i;
}

fl_code fl_draw_rank_init(fl_draw_rank *rank, const fl_draw_node *nodes, size_t count,
                          fl_error *err) {
  child_lists children;
  *rank = (fl_draw_rank){.level = fl_alloc_zero(count + 1, sizeof *rank->level),
                         .order = fl_alloc_zero(count + 1, sizeof *rank->order)};
  uint32_t *missing = fl_alloc_zero(count + 1, sizeof *missing); // parents not yet placed
  uint32_t *stack = fl_alloc_zero(count + 1, sizeof *stack);
  size_t depth = 0, placed = 0;
  fl_code code = FL_OK;
  child_lists_init(&children, nodes, count);
  for (size_t i = count; i > 0; i--) {
    missing[i - 1] = nodes[i - 1].parent_count;
    if (missing[i - 1] == 0) stack[depth++] = (uint32_t)(i - 1);
  }
  while (depth > 0) {
    uint32_t node = stack[--depth], level = rank->level[node];
    rank->order[placed++] = node;
    if (level >= rank->level_count) rank->level_count = level + 1;
    for (size_t k = children.begin[node + 1]; k > children.begin[node]; k--) {
      uint32_t child = children.items[k - 1];
      if (rank->level[child] <= level) rank->level[child] = level + 1;
      if (--missing[child] == 0) stack[depth++] = child;
    }
  }
  if (placed < count) code = fl_fail(err, FL_E_CORRUPT, "its nodes wait for each other");
  child_lists_deinit(&children);
  free(missing);
  free(stack);
  return code;
}

void fl_draw_rank_deinit(fl_draw_rank *rank) {
  free(rank->level);
  free(rank->order);
  *rank = (fl_draw_rank){0};
}

// ------------------------------------------------------------------------------------- text

static void add_parents(const fl_draw_node *nodes, const fl_draw_node *node, fl_buf *out) {
  uint32_t shown = node->parent_count;
  if (shown > PARENTS_MAX) shown = PARENTS_MAX - 1;
  for (uint32_t k = 0; k < shown; k++) {
    fl_buf_add_str(out, k == 0 ? " after " : ", ");
    fl_buf_add_str(out, nodes[node->parents[k]].name);
  }
  if (shown < node->parent_count) fl_buf_addf(out, " and %u more", node->parent_count - shown);
}

static fl_code draw_text(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out,
                         fl_error *err) {
  fl_draw_rank rank;
  fl_code code = fl_draw_rank_init(&rank, nodes, count, err);
  if (code != FL_OK) goto out;
  fl_buf_addf(out, "%s: %zu node%s\n", flow, count, count == 1 ? "" : "s");
  for (size_t i = 0; i < count; i++) {
    const fl_draw_node *node = &nodes[rank.order[i]];
    uint32_t level = rank.level[rank.order[i]];
    for (uint32_t k = 0; k <= level && k < INDENT_MAX; k++) fl_buf_add_str(out, "  ");
    fl_buf_addf(out, "%s (%s)", node->name, node->type);
    if (node->status) fl_buf_addf(out, " %s", node->status);
    add_parents(nodes, node, out);
    fl_buf_add_char(out, '\n');
  }
out:
  fl_draw_rank_deinit(&rank);
  return code;
}

// ------------------------------------------------------------------------------------- dot,
// mermaid

static void add_dot_text(fl_buf *out, const char *text) {
  for (const char *p = text; *p; p++) {
    if (*p == '"' || *p == '\\') fl_buf_add_char(out, '\\');
    fl_buf_add_char(out, *p == '\n' ? ' ' : *p);
  }
}

static void add_dot_string(fl_buf *out, const char *text) {
  fl_buf_add_char(out, '"');
  add_dot_text(out, text);
  fl_buf_add_char(out, '"');
}

static void draw_dot(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out) {
  fl_buf_add_str(out, "digraph ");
  add_dot_string(out, flow);
  fl_buf_add_str(out, " {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", "
                      "fillcolor=\"#ffffff\", fontname=\"sans-serif\"];\n");
  for (size_t i = 0; i < count && !out->failed; i++) {
    fl_buf_add_str(out, "  ");
    add_dot_string(out, nodes[i].name);
    fl_buf_add_str(out, " [label=\"");
    add_dot_text(out, nodes[i].name);
    fl_buf_add_str(out, "\\n");
    add_dot_text(out, nodes[i].type);
    fl_buf_add_char(out, '"');
    if (nodes[i].status) {
      const fl_draw_color *color = fl_draw_color_of(nodes[i].status);
      fl_buf_addf(out, ", fillcolor=\"%s\", color=\"%s\", tooltip=", color->fill, color->border);
      add_dot_string(out, nodes[i].status);
    }
    fl_buf_add_str(out, "];\n");
  }
  for (size_t i = 0; i < count && !out->failed; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++) {
      fl_buf_add_str(out, "  ");
      add_dot_string(out, nodes[nodes[i].parents[k]].name);
      fl_buf_add_str(out, " -> ");
      add_dot_string(out, nodes[i].name);
      fl_buf_add_str(out, ";\n");
    }
  fl_buf_add_str(out, "}\n");
}

static void add_mermaid_text(fl_buf *out, const char *text) {
  for (const char *p = text; *p; p++)
    if (strchr("\"#<>&;\n", *p))
      fl_buf_addf(out, "#%d;", *p); // mermaid's own form of an entity
    else
      fl_buf_add_char(out, *p);
}

static void draw_mermaid(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out) {
  bool states = count > 0 && nodes[0].status;
  fl_buf_add_str(out, "---\ntitle: \"");
  add_mermaid_text(out, flow);
  fl_buf_add_str(out, "\"\n---\nflowchart LR\n");
  for (size_t i = 0; i < count && !out->failed; i++) {
    fl_buf_addf(out, "  n%zu[\"", i);
    add_mermaid_text(out, nodes[i].name);
    fl_buf_add_str(out, "<br/>");
    add_mermaid_text(out, nodes[i].type);
    fl_buf_add_str(out, "\"]");
    if (nodes[i].status) fl_buf_addf(out, ":::%s", nodes[i].status);
    fl_buf_add_char(out, '\n');
  }
  for (size_t i = 0; i < count && !out->failed; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++)
      fl_buf_addf(out, "  n%u --> n%zu\n", nodes[i].parents[k], i);
  for (const fl_draw_color *c = fl_draw_colors; states && c->status; c++)
    fl_buf_addf(out, "  classDef %s fill:%s,stroke:%s,color:#18181b\n", c->status, c->fill,
                c->border);
}

// ------------------------------------------------------------------------------------- JSON

static void add_json_field(fl_buf *out, const char *key, const char *text) {
  fl_buf_addf(out, "\"%s\":", key);
  fl_json_write_string(out, text, strlen(text));
}

static void draw_json(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out) {
  fl_buf_add_char(out, '{');
  add_json_field(out, "flow", flow);
  fl_buf_add_str(out, ",\"nodes\":[");
  for (size_t i = 0; i < count && !out->failed; i++) {
    fl_buf_add_str(out, i ? ",{" : "{");
    add_json_field(out, "name", nodes[i].name);
    fl_buf_add_char(out, ',');
    add_json_field(out, "type", nodes[i].type);
    fl_buf_add_str(out, ",\"after\":[");
    for (uint32_t k = 0; k < nodes[i].parent_count; k++) {
      const char *parent = nodes[nodes[i].parents[k]].name;
      if (k) fl_buf_add_char(out, ',');
      fl_json_write_string(out, parent, strlen(parent));
    }
    fl_buf_add_char(out, ']');
    if (nodes[i].status) {
      fl_buf_add_char(out, ',');
      add_json_field(out, "status", nodes[i].status);
    }
    fl_buf_add_char(out, '}');
  }
  fl_buf_add_str(out, "]}");
}

// ------------------------------------------------------------------------------------- the front

static fl_code check_parents(const fl_draw_node *nodes, size_t count, fl_error *err) {
  for (size_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++)
      if (nodes[i].parents[k] >= count)
        return fl_fail(err, FL_E_CORRUPT, "node '%s' depends on node %u of %zu", nodes[i].name,
                       nodes[i].parents[k], count);
  return FL_OK;
}

fl_code fl_draw(const char *flow, const fl_draw_node *nodes, size_t count, const char *format,
                fl_buf *out, fl_error *err) {
  fl_code code = check_parents(nodes, count, err);
  if (code != FL_OK)
    ;
  else if (strcmp(format, "text") == 0)
    code = draw_text(flow, nodes, count, out, err);
  else if (strcmp(format, "dot") == 0)
    draw_dot(flow, nodes, count, out);
  else if (strcmp(format, "mermaid") == 0)
    draw_mermaid(flow, nodes, count, out);
  else if (strcmp(format, "svg") == 0)
    code = fl_draw_svg(flow, nodes, count, out, err);
  else if (strcmp(format, "json") == 0)
    draw_json(flow, nodes, count, out);
  else
    return fl_fail(err, FL_E_USAGE,
                   "unknown graph format \"%s\": expected text, dot, mermaid, svg or json", format);
  if (code != FL_OK) return fl_wrap(err, "graph of '%s'", flow);
  if (out->failed)
    return fl_fail(err, FL_E_LIMIT, "graph of '%s': larger than %zu bytes", flow, out->size_max);
  return FL_OK;
}
