// Draws a graph as text, dot, mermaid and JSON; draw_svg.c does the pictures.
#include "api/draw.h"
#include "base/state.h"

#define INDENT_MAX  40 // levels; a chain of 100,000 must not make lines of 200,000 blanks
#define PARENTS_MAX 8  // names in a line of text

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
  for (int i = 0; states && i < FL_NODE_STATE_COUNT; i++) {
    const char *state = fl_node_state_text(i);
    const fl_draw_color *color = fl_draw_color_of(state);
    fl_buf_addf(out, "  classDef %s fill:%s,stroke:%s,color:#18181b\n", state, color->fill,
                color->border);
  }
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
    if (nodes[i].action) {
      fl_buf_add_char(out, ',');
      add_json_field(out, "action", nodes[i].action);
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
