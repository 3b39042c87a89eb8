// Draws a graph as a self-contained SVG picture: levels from left to right, edges that cross
// little.
//
// The layered way (Sugiyama): an edge over several levels is broken by a bend in each level it
// passes; the order within a level follows the mean place of the neighbours, for a few sweeps; then
// each place is pulled to that mean as far as its level lets it, level by level, to and fro. Boxes
// keep their distance. A level of many boxes stands in columns: rows of them side by side.
#include <math.h>
#include "api/draw.h"
#include "base/state.h"
#include "graph/graph.h"

#define SVG_NODES_MAX  10000u // a picture of more is one that nobody can look at
#define SVG_EDGES_MAX  100000u
#define SVG_POINTS_MAX 200000u // boxes and bends; past it long edges are drawn straight
#define SWEEPS         8

// Pixels.
#define MARGIN      24.0
#define BOX_HEIGHT  40.0
#define GAP_X       64.0
#define GAP_Y       14.0
#define BEND_HEIGHT 2.0
#define GAP_BENDS   4.0 // edges that go the same way lie side by side
#define CHAR_WIDTH  7.3 // of the 12 px monospace font
#define NAME_CHARS  36  // longer names are cut; the whole name is the box's tooltip
#define HEAD        36.0
#define LEGEND      20.0
#define GAP_COLUMN  16.0
#define ROWS_PLAIN  12  // boxes that stand one below the other in any case
#define ROWS_ASPECT 2.6 // of more: a column's width to its boxes' height, so that a level is square

/// A box or a bend, in one level.
typedef struct svg_point {
  uint32_t node; // FL_NODE_NONE: a bend
  uint32_t level;
  uint32_t place;       // within the level
  uint32_t row, column; // of the level
  double y, height;     // centre
  double pull;          // where it wants to be
} svg_point;

typedef struct svg_edge {
  uint32_t from, to; // points of neighbouring levels
} svg_edge;

typedef struct svg_graph {
  const fl_draw_node *nodes;
  size_t count;
  fl_draw_rank rank;
  svg_point *points; // the nodes first
  size_t point_count;
  svg_edge *edges; // by level
  size_t edge_count;
  size_t *edges_from; // of each level, and where the last one's end
  uint32_t **levels;  // points of each level, in order
  uint32_t *level_size;
  double *x, *width; // of each level, and of a column of it
  uint32_t *columns; // of each level
  double total_width, total_height;
} svg_graph;

static size_t name_chars(const char *name) {
  size_t chars = 0;
  for (const char *p = name; *p; p++) chars += (*p & 0xC0) != 0x80;
  return chars < NAME_CHARS ? chars : NAME_CHARS;
}

// ------------------------------------------------------------------------------------- building

static uint32_t add_point(svg_graph *g, uint32_t node, uint32_t level) {
  svg_point *p = &g->points[g->point_count];
  *p = (svg_point){.node = node, .level = level, .height = BEND_HEIGHT};
  if (node != FL_NODE_NONE) p->height = BOX_HEIGHT;
  return (uint32_t)g->point_count++;
}

// Bends that all edges together need.
static uint64_t count_bends(const svg_graph *g) {
  uint64_t bends = 0;
  for (size_t i = 0; i < g->count; i++)
    for (uint32_t k = 0; k < g->nodes[i].parent_count; k++)
      bends += g->rank.level[i] - g->rank.level[g->nodes[i].parents[k]] - 1;
  return bends;
}

static void build_points(svg_graph *g, size_t edge_count) {
  uint64_t bends = count_bends(g);
  bool bent = g->count + bends <= SVG_POINTS_MAX;
  if (!bent) bends = 0;
  g->points = fl_alloc_zero(g->count + bends + 1, sizeof *g->points);
  g->edges = fl_alloc_zero(edge_count + bends + 1, sizeof *g->edges);
  // In the order of the text form, so that chains begin next to each other.
  for (size_t i = 0; i < g->count; i++) add_point(g, (uint32_t)i, g->rank.level[i]);
  for (size_t i = 0; i < g->count; i++)
    for (uint32_t k = 0; k < g->nodes[i].parent_count; k++) {
      uint32_t from = g->nodes[i].parents[k], last = from;
      for (uint32_t level = g->rank.level[from] + 1; bent && level < g->rank.level[i]; level++) {
        uint32_t bend = add_point(g, FL_NODE_NONE, level);
        g->edges[g->edge_count++] = (svg_edge){last, bend};
        last = bend;
      }
      g->edges[g->edge_count++] = (svg_edge){last, (uint32_t)i};
    }
}

static void put_in_level(svg_graph *g, uint32_t point) {
  uint32_t level = g->points[point].level;
  g->points[point].place = g->level_size[level];
  g->levels[level][g->level_size[level]++] = point;
}

static void build_levels(svg_graph *g) {
  size_t levels = g->rank.level_count;
  g->levels = fl_alloc_zero(levels + 1, sizeof *g->levels);
  g->level_size = fl_alloc_zero(levels + 1, sizeof *g->level_size);
  g->x = fl_alloc_zero(levels + 1, sizeof *g->x);
  g->width = fl_alloc_zero(levels + 1, sizeof *g->width);
  g->columns = fl_alloc_zero(levels + 1, sizeof *g->columns);
  for (size_t i = 0; i < g->point_count; i++) g->level_size[g->points[i].level]++;
  for (size_t l = 0; l < levels; l++) {
    g->levels[l] = fl_alloc_zero(g->level_size[l] + 1, sizeof **g->levels);
    g->level_size[l] = 0;
  }
  for (size_t i = 0; i < g->count; i++) put_in_level(g, g->rank.order[i]);
  for (size_t i = g->count; i < g->point_count; i++) put_in_level(g, (uint32_t)i);
  for (size_t i = 0; i < g->count; i++) g->columns[g->points[i].level]++;
  for (size_t l = 0; l < levels; l++) {
    double boxes = g->columns[l], rows = ceil(sqrt(ROWS_ASPECT * boxes));
    if (rows < ROWS_PLAIN) rows = ROWS_PLAIN;
    g->columns[l] = (uint32_t)ceil(boxes / rows);
  }
}

// By the level they begin in: then what pulls at a level stands together.
static void sort_edges(svg_graph *g) {
  size_t levels = g->rank.level_count;
  svg_edge *sorted = fl_alloc_zero(g->edge_count + 1, sizeof *sorted);
  g->edges_from = fl_alloc_zero(levels + 2, sizeof *g->edges_from);
  for (size_t e = 0; e < g->edge_count; e++) g->edges_from[g->points[g->edges[e].from].level + 2]++;
  for (size_t l = 2; l < levels + 2; l++) g->edges_from[l] += g->edges_from[l - 1];
  for (size_t e = 0; e < g->edge_count; e++)
    sorted[g->edges_from[g->points[g->edges[e].from].level + 1]++] = g->edges[e];
  free(g->edges);
  g->edges = sorted;
}

static void graph_deinit(svg_graph *g) {
  for (size_t l = 0; g->levels && l < g->rank.level_count; l++) free(g->levels[l]);
  free(g->levels);
  free(g->level_size);
  free(g->x);
  free(g->width);
  free(g->columns);
  free(g->edges_from);
  free(g->points);
  free(g->edges);
  fl_draw_rank_deinit(&g->rank);
}

// ------------------------------------------------------------------------------------- placing

/// What sorting a level looks at.
typedef struct sort_key {
  double pull;
  uint32_t place, point;
} sort_key;

static int compare_keys(const void *a, const void *b) {
  const sort_key *x = a, *y = b;
  if (x->pull != y->pull) return x->pull < y->pull ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

// For every point: the mean place of its neighbours in the level before (`down`) or behind; its own
// when it has none there.
static void pull_points(svg_graph *g, bool down) {
  uint32_t *counts = fl_alloc_zero(g->point_count + 1, sizeof *counts);
  for (size_t i = 0; i < g->point_count; i++) g->points[i].pull = 0;
  for (size_t e = 0; e < g->edge_count; e++) {
    uint32_t at = down ? g->edges[e].to : g->edges[e].from;
    g->points[at].pull += g->points[down ? g->edges[e].from : g->edges[e].to].place;
    counts[at]++;
  }
  for (size_t i = 0; i < g->point_count; i++) {
    svg_point *p = &g->points[i];
    p->pull = counts[i] ? p->pull / counts[i] : p->place;
  }
  free(counts);
}

static void order_levels(svg_graph *g) {
  sort_key *keys = fl_alloc_zero(g->point_count + 1, sizeof *keys);
  for (int sweep = 0; sweep < SWEEPS; sweep++) {
    pull_points(g, sweep % 2 == 0);
    for (size_t l = 0; l < g->rank.level_count; l++) {
      for (uint32_t i = 0; i < g->level_size[l]; i++) {
        uint32_t point = g->levels[l][i];
        keys[i] = (sort_key){g->points[point].pull, i, point};
      }
      qsort(keys, g->level_size[l], sizeof *keys, compare_keys);
      for (uint32_t i = 0; i < g->level_size[l]; i++) {
        g->levels[l][i] = keys[i].point;
        g->points[keys[i].point].place = i;
      }
    }
  }
  free(keys);
}

/// A row of a level: boxes side by side, or a bend.
typedef struct svg_row {
  uint32_t count;
  double height, pull, up, y;
} svg_row;

// Bends between boxes stand below them: they are narrow, and would leave rows half empty.
static uint32_t make_rows(svg_graph *g, size_t level, svg_row *rows) {
  uint32_t size = g->level_size[level], count = 0;
  svg_row *open = NULL; // of boxes
  for (uint32_t i = 0; i < size; i++) {
    svg_point *p = &g->points[g->levels[level][i]];
    bool box = p->node != FL_NODE_NONE;
    svg_row *row = box && open && open->count < g->columns[level] ? open : NULL;
    if (!row) row = &rows[count++], *row = (svg_row){.height = p->height};
    if (box) open = row;
    p->row = (uint32_t)(row - rows);
    p->column = row->count++;
    row->pull += (p->pull - row->pull) / row->count;
  }
  return count;
}

static double distance(const svg_row *above, const svg_row *below) {
  bool bends = above->height == BEND_HEIGHT && below->height == BEND_HEIGHT;
  return (above->height + below->height) / 2 + (bends ? GAP_BENDS : GAP_Y);
}

// Two placements keep all distances, one pushed down and one pushed up; so does their mean, which
// leans to neither side.
static void settle_level(svg_graph *g, size_t level, svg_row *rows) {
  uint32_t count = make_rows(g, level, rows);
  for (uint32_t i = count; i > 0; i--) {
    svg_row *row = &rows[i - 1];
    row->up = row->pull;
    if (i == count) continue;
    double limit = row[1].up - distance(row, row + 1);
    if (row->up > limit) row->up = limit;
  }
  double down = 0;
  for (uint32_t i = 0; i < count; i++) {
    double limit = i ? down + distance(&rows[i - 1], &rows[i]) : rows[i].pull;
    down = rows[i].pull > limit ? rows[i].pull : limit;
    rows[i].y = (down + rows[i].up) / 2;
  }
  for (uint32_t i = 0; i < g->level_size[level]; i++) {
    svg_point *p = &g->points[g->levels[level][i]];
    p->y = rows[p->row].y;
  }
}

// To the mean of the neighbours in the level before (`down`) or behind, as they stand now; what has
// none there stays.
static void pull_level(svg_graph *g, size_t level, bool down, uint32_t *counts) {
  for (uint32_t i = 0; i < g->level_size[level]; i++) {
    svg_point *p = &g->points[g->levels[level][i]];
    p->pull = 0;
    counts[g->levels[level][i]] = 0;
  }
  if (!down || level > 0) {
    size_t bucket = down ? level - 1 : level;
    for (size_t e = g->edges_from[bucket]; e < g->edges_from[bucket + 1]; e++) {
      uint32_t at = down ? g->edges[e].to : g->edges[e].from;
      g->points[at].pull += g->points[down ? g->edges[e].from : g->edges[e].to].y;
      counts[at]++;
    }
  }
  for (uint32_t i = 0; i < g->level_size[level]; i++) {
    svg_point *p = &g->points[g->levels[level][i]];
    uint32_t count = counts[g->levels[level][i]];
    p->pull = count ? p->pull / count : p->y;
  }
}

static void place_points(svg_graph *g) {
  size_t levels = g->rank.level_count;
  svg_row *rows = fl_alloc_zero(g->point_count + 1, sizeof *rows);
  uint32_t *counts = fl_alloc_zero(g->point_count + 1, sizeof *counts);
  for (size_t l = 0; l < levels; l++) {
    double y = 0;
    for (uint32_t i = 0; i < g->level_size[l]; i++) {
      svg_point *p = &g->points[g->levels[l][i]];
      p->pull = y;
      y += p->height + GAP_Y;
    }
    settle_level(g, l, rows);
  }
  // The last one goes down: boxes that nothing follows stand close to those beside them.
  for (int sweep = 0; sweep <= SWEEPS; sweep++)
    for (size_t k = 0; k < levels; k++) {
      bool down = sweep % 2 == 0;
      size_t level = down ? k : levels - 1 - k;
      pull_level(g, level, down, counts);
      settle_level(g, level, rows);
    }
  free(rows);
  free(counts);
}

static double box_width(const fl_draw_node *node) {
  size_t chars = name_chars(node->name), below = name_chars(node->type);
  if (node->status) below += 3 + strlen(node->status);
  if (below > chars) chars = below;
  return (double)chars * CHAR_WIDTH + 24;
}

static bool has_states(const svg_graph *g) {
  return g->count > 0 && g->nodes[0].status;
}

static double level_width(const svg_graph *g, size_t level) {
  uint32_t columns = g->columns[level];
  return columns > 1 ? columns * (g->width[level] + GAP_COLUMN) - GAP_COLUMN : g->width[level];
}

static double box_left(const svg_graph *g, const svg_point *p) {
  return g->x[p->level] + p->column * (g->width[p->level] + GAP_COLUMN);
}

static void measure(svg_graph *g) {
  double top = 0, bottom = 0, x = MARGIN;
  for (size_t i = 0; i < g->point_count; i++) {
    const svg_point *p = &g->points[i];
    if (i == 0 || p->y - p->height / 2 < top) top = p->y - p->height / 2;
    if (i == 0 || p->y + p->height / 2 > bottom) bottom = p->y + p->height / 2;
    if (p->node == FL_NODE_NONE) continue;
    double width = box_width(&g->nodes[p->node]);
    if (width > g->width[p->level]) g->width[p->level] = width;
  }
  double head = HEAD + (has_states(g) ? LEGEND : 0);
  for (size_t i = 0; i < g->point_count; i++) g->points[i].y += MARGIN + head - top;
  for (size_t l = 0; l < g->rank.level_count; l++) {
    g->x[l] = x;
    x += level_width(g, l) + GAP_X;
  }
  g->total_width = x - (g->rank.level_count ? GAP_X : 0) + MARGIN;
  if (g->total_width < 240) g->total_width = 240;
  g->total_height = bottom - top + 2 * MARGIN + head;
}

// ------------------------------------------------------------------------------------- writing

// Text of an XML document: what XML may not hold becomes U+FFFD.
static void add_xml(fl_buf *out, const char *text, size_t chars) {
  fl_buf clean;
  fl_buf_init(&clean, strlen(text) * 3 + 1);
  fl_utf8_clean(&clean, text, strlen(text));
  for (const char *p = fl_buf_cstr(&clean); *p && chars > 0; chars--) {
    size_t n = 1;
    while ((p[n] & 0xC0) == 0x80) n++;
    if (chars == 1 && p[n])
      fl_buf_add_str(out, "\u2026");
    else if (*p == '<' || *p == '>' || *p == '&' || *p == '"')
      fl_buf_addf(out, "&#%d;", *p);
    else if ((unsigned char)*p < 0x20 || *p == 0x7F)
      fl_buf_add_str(out, "\uFFFD");
    else
      fl_buf_add(out, p, n);
    p += n;
  }
  fl_buf_deinit(&clean);
}

static void add_head(const svg_graph *g, const char *flow, fl_buf *out) {
  fl_buf_addf(out,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
              "viewBox=\"0 0 %.0f %.0f\" font-family=\"ui-monospace, monospace\" "
              "font-size=\"12\">\n<title>",
              g->total_width, g->total_height, g->total_width, g->total_height);
  add_xml(out, flow, SIZE_MAX);
  fl_buf_addf(out,
              "</title>\n<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
              "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" "
              "fill=\"#71717a\"/></marker></defs>\n<rect width=\"100%%\" height=\"100%%\" "
              "fill=\"#ffffff\"/>\n<text x=\"%.0f\" y=\"%.0f\" font-size=\"15\" "
              "font-weight=\"bold\" fill=\"#18181b\">",
              MARGIN, MARGIN + 10);
  add_xml(out, flow, 80);
  fl_buf_add_str(out, "</text>\n");
}

static double box_right(const svg_graph *g, const svg_point *p) {
  if (p->node == FL_NODE_NONE) return g->x[p->level] + level_width(g, p->level);
  return box_left(g, p) + box_width(&g->nodes[p->node]);
}

// A curve from the right side of one point to the left side of the other; within a level a bend
// goes straight on.
static void add_edge(const svg_graph *g, const svg_edge *e, fl_buf *out) {
  const svg_point *a = &g->points[e->from], *b = &g->points[e->to];
  double x0 = box_right(g, a), x1 = box_left(g, b), half = (x1 - x0) / 2;
  fl_buf_addf(out, "<path d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", x0, a->y, x0 + half, a->y,
              x1 - half, b->y, x1, b->y);
  if (b->node == FL_NODE_NONE)
    fl_buf_addf(out, "H%.1f\"/>\n", box_right(g, b));
  else
    fl_buf_add_str(out, "\" marker-end=\"url(#head)\"/>\n");
}

static void add_box(const svg_graph *g, const svg_point *p, fl_buf *out) {
  const fl_draw_node *node = &g->nodes[p->node];
  const fl_draw_color *color = fl_draw_color_of(node->status);
  double x = box_left(g, p), y = p->y - BOX_HEIGHT / 2;
  fl_buf_add_str(out, "<g><title>");
  add_xml(out, node->name, SIZE_MAX);
  fl_buf_addf(out,
              "</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"6\" "
              "fill=\"%s\" stroke=\"%s\"/><text x=\"%.1f\" y=\"%.1f\" fill=\"#18181b\">",
              x, y, box_width(node), BOX_HEIGHT, color->fill, color->border, x + 12, y + 17);
  add_xml(out, node->name, NAME_CHARS);
  fl_buf_addf(out, "</text><text x=\"%.1f\" y=\"%.1f\" font-size=\"10\" fill=\"#52525b\">", x + 12,
              y + 32);
  add_xml(out, node->type, NAME_CHARS);
  if (node->status) {
    fl_buf_add_str(out, " \u00b7 ");
    add_xml(out, node->status, NAME_CHARS);
  }
  fl_buf_add_str(out, "</text></g>\n");
}

// Each state that a node is in, with how many are.
static void add_legend(const svg_graph *g, fl_buf *out) {
  double x = MARGIN, y = MARGIN + HEAD - 12;
  for (int i = 0; has_states(g) && i < FL_NODE_STATE_COUNT; i++) {
    const char *state = fl_node_state_text((fl_node_state)i);
    const fl_draw_color *color = fl_draw_color_of(state);
    size_t count = 0;
    for (size_t n = 0; n < g->count; n++) count += strcmp(g->nodes[n].status, state) == 0;
    if (count == 0) continue;
    int size = snprintf(NULL, 0, "%s %zu", state, count);
    fl_buf_addf(out,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2\" fill=\"%s\" "
                "stroke=\"%s\"/><text x=\"%.1f\" y=\"%.1f\" font-size=\"10\" "
                "fill=\"#52525b\">%s %zu</text>\n",
                x, y, color->fill, color->border, x + 15, y + 9, state, count);
    x += 15 + size * 6.1 + 14;
  }
}

static void write_svg(const svg_graph *g, const char *flow, fl_buf *out) {
  add_head(g, flow, out);
  add_legend(g, out);
  fl_buf_add_str(out, "<g fill=\"none\" stroke=\"#71717a\">\n");
  for (size_t e = 0; e < g->edge_count; e++) add_edge(g, &g->edges[e], out);
  fl_buf_add_str(out, "</g>\n");
  for (size_t i = 0; i < g->count; i++) add_box(g, &g->points[i], out);
  fl_buf_add_str(out, "</svg>\n");
}

fl_code fl_draw_svg(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out,
                    fl_error *err) {
  svg_graph g = {.nodes = nodes, .count = count};
  size_t edges = 0;
  for (size_t i = 0; i < count; i++) edges += nodes[i].parent_count;
  if (count > SVG_NODES_MAX || edges > SVG_EDGES_MAX)
    return fl_fail(err, FL_E_LIMIT,
                   "svg draws up to %u nodes and %u edges, it has %zu and %zu (dot and json draw "
                   "any number)",
                   SVG_NODES_MAX, SVG_EDGES_MAX, count, edges);
  fl_code code = fl_draw_rank_init(&g.rank, nodes, count, err);
  if (code != FL_OK) goto out;
  build_points(&g, edges);
  build_levels(&g);
  sort_edges(&g);
  order_levels(&g);
  place_points(&g);
  measure(&g);
  write_svg(&g, flow, out);
out:
  graph_deinit(&g);
  return code;
}
