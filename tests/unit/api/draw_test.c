// Tests api/draw*.c: a graph in each format, by rows, and the shapes that must not break it.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "api/draw.h"
#include "api/draw.h"

/// extract -> clean -> load, report after clean and load.
static const uint32_t clean_after[] = {0}, load_after[] = {1}, report_after[] = {1, 2};
static fl_draw_node sales[] = {
    {"extract", "shell", NULL, 0, NULL, NULL},
    {"clean", "lua", clean_after, 1, NULL, NULL},
    {"load", "sql", load_after, 1, NULL, NULL},
    {"report", "shell", report_after, 2, NULL, NULL},
};

static char *draw(const fl_draw_node *nodes, size_t count, const char *format) {
  fl_buf out;
  fl_error err = {0};
  fl_buf_init(&out, 64u << 20);
  if (fl_draw("sales", nodes, count, format, &out, &err) != FL_OK) fail_msg("%s", err.message);
  char *text = fl_buf_take(&out);
  assert_non_null(text);
  return text;
}

static void assert_contains(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("expected '%s' in:\n%s", part, text);
}

static void text_is_indented_by_depth_and_names_what_a_node_waits_for(void **state) {
  (void)state;
  char *text = draw(sales, 4, "text");
  assert_string_equal(text, "sales: 4 nodes\n"
                            "  extract (shell)\n"
                            "    clean (lua) after extract\n"
                            "      load (sql) after clean\n"
                            "        report (shell) after clean, load\n");
  free(text);
}

static void text_keeps_a_chain_together_and_declaration_order_otherwise(void **state) {
  (void)state;
  static const uint32_t after_b[] = {1}, after_a[] = {0};
  fl_draw_node nodes[] = {
      {"a", "t", NULL, 0, NULL, NULL},     {"b", "t", NULL, 0, NULL, NULL},
      {"b1", "t", after_b, 1, NULL, NULL}, {"a1", "t", after_a, 1, NULL, NULL},
      {"b2", "t", after_b, 1, NULL, NULL},
  };
  char *text = draw(nodes, 5, "text");
  assert_string_equal(text, "sales: 5 nodes\n"
                            "  a (t)\n    a1 (t) after a\n"
                            "  b (t)\n    b1 (t) after b\n    b2 (t) after b\n");
  free(text);
}

static void text_shortens_a_long_list_of_parents(void **state) {
  (void)state;
  fl_draw_node nodes[21];
  char names[21][8];
  uint32_t parents[20];
  for (uint32_t i = 0; i < 21; i++) {
    snprintf(names[i], sizeof names[i], "n%u", i);
    nodes[i] = (fl_draw_node){names[i], "t", NULL, 0, NULL, NULL};
    if (i < 20) parents[i] = i;
  }
  nodes[20].parents = parents, nodes[20].parent_count = 20;
  char *text = draw(nodes, 21, "text");
  assert_contains(text, "    n20 (t) after n0, n1, n2, n3, n4, n5, n6 and 13 more\n");
  free(text);
}

static void states_are_shown(void **state) {
  (void)state;
  fl_draw_node nodes[] = {{"a", "t", NULL, 0, "succeeded", NULL},
                          {"b", "t", clean_after, 1, "failed", NULL}};
  char *text = draw(nodes, 2, "text");
  assert_contains(text, "  a (t) succeeded\n    b (t) failed after a\n");
  free(text);
  text = draw(nodes, 2, "dot");
  assert_contains(text, "fillcolor=\"#fee2e2\"");
  free(text);
  text = draw(nodes, 2, "mermaid");
  assert_contains(text, "n1[\"b<br/>t\"]:::failed\n");
  assert_contains(text, "classDef failed ");
  free(text);
  text = draw(nodes, 2, "json");
  assert_string_equal(text,
                      "{\"flow\":\"sales\",\"nodes\":["
                      "{\"name\":\"a\",\"type\":\"t\",\"after\":[],\"status\":\"succeeded\"},"
                      "{\"name\":\"b\",\"type\":\"t\",\"after\":[\"a\"],\"status\":\"failed\"}"
                      "]}");
  free(text);
  text = draw(nodes, 2, "svg");
  assert_contains(text, "t \u00b7 failed");
  free(text);
}

static void dot_and_mermaid_have_each_node_and_edge(void **state) {
  (void)state;
  char *text = draw(sales, 4, "dot");
  assert_contains(text, "digraph \"sales\" {\n");
  assert_contains(text, "  \"clean\" [label=\"clean\\nlua\"];\n");
  assert_contains(text, "  \"clean\" -> \"report\";\n  \"load\" -> \"report\";\n}\n");
  free(text);
  text = draw(sales, 4, "mermaid");
  assert_contains(text, "flowchart LR\n  n0[\"extract<br/>shell\"]\n");
  assert_contains(text, "  n1 --> n3\n  n2 --> n3\n");
  assert_null(strstr(text, "classDef"));
  free(text);
}

static void names_cannot_leave_their_place(void **state) {
  (void)state;
  fl_draw_node nodes[] = {{"a\"];x[\"<b>\\&\x1b\xff", "t\"", NULL, 0, NULL, NULL}};
  char *text = draw(nodes, 1, "dot");
  assert_contains(text, "[label=\"a\\\"];x[\\\"<b>\\\\&");
  free(text);
  text = draw(nodes, 1, "mermaid");
  assert_contains(text, "n0[\"a#34;]#59;x[#34;#60;b#62;\\#38;");
  free(text);
  text = draw(nodes, 1, "svg");
  assert_contains(text, "<title>a&#34;];x[&#34;&#60;b&#62;\\&#38;\uFFFD\uFFFD</title>");
  free(text);
  text = draw(nodes, 1, "json");
  assert_contains(text, "\"a\\\"];x[\\\"<b>\\\\&\\u001b\uFFFD\"");
  free(text);
}

// Boxes of one level must not touch: reads back every box of the picture.
static void boxes_of_a_picture_do_not_overlap(void **state) {
  (void)state;
  enum { LEVELS = 5, WIDTH = 12 };
  fl_draw_node nodes[LEVELS * WIDTH];
  char names[LEVELS * WIDTH][8];
  uint32_t parents[LEVELS * WIDTH][2];
  for (uint32_t i = 0; i < LEVELS * WIDTH; i++) {
    snprintf(names[i], sizeof names[i], "n%u", i);
    nodes[i] = (fl_draw_node){names[i], "t", parents[i], i < WIDTH ? 0 : 2, NULL, NULL};
    if (i < WIDTH) continue;
    parents[i][0] = (i - WIDTH) * 7 % (i / WIDTH * WIDTH);
    parents[i][1] = i - WIDTH;
    if (parents[i][0] == parents[i][1]) nodes[i].parent_count = 1;
  }
  char *text = draw(nodes, LEVELS * WIDTH, "svg");
  double x[LEVELS * WIDTH], y[LEVELS * WIDTH];
  int count = 0;
  for (const char *p = text; (p = strstr(p, "<rect x=\"")) != NULL; p++, count++) {
    x[count] = strtod(p + strlen("<rect x=\""), NULL);
    y[count] = strtod(strstr(p, " y=\"") + 4, NULL);
    assert_true(x[count] >= 0 && y[count] >= 0);
  }
  assert_int_equal(count, LEVELS * WIDTH);
  for (int i = 0; i < count; i++)
    for (int k = 0; k < i; k++)
      if (x[i] == x[k]) assert_true(y[i] - y[k] >= 40 || y[k] - y[i] >= 40);
  free(text);
}

// Reads back where the boxes stand: x and y of each node, and the size of the picture.
static void read_boxes(const char *text, double *x, double *y, int count, double *width,
                       double *height) {
  const char *p = strstr(text, "</defs>");
  *width = strtod(strstr(text, "width=\"") + 7, NULL);
  *height = strtod(strstr(text, "height=\"") + 8, NULL);
  for (int i = 0; i < count; i++) {
    p = strstr(p, "</title><rect x=\"");
    assert_non_null(p);
    p += strlen("</title><rect x=\"");
    x[i] = strtod(p, NULL);
    y[i] = strtod(strstr(p, " y=\"") + 4, NULL);
  }
}

static void a_wide_level_stands_in_columns_with_its_ends_in_the_middle(void **state) {
  (void)state;
  static const struct { int fan, columns_min; } rows[] = {{12, 1}, {24, 2}, {300, 8}};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    enum { MAX = 302 };
    int count = rows[r].fan + 2, columns = 0;
    fl_draw_node nodes[MAX];
    uint32_t src = 0, all[MAX];
    double x[MAX], y[MAX], width, height;
    nodes[0] = (fl_draw_node){"src", "t", NULL, 0, NULL, NULL};
    for (int i = 1; i <= rows[r].fan; i++) {
      nodes[i] = (fl_draw_node){"part", "t", &src, 1, NULL, NULL};
      all[i - 1] = (uint32_t)i;
    }
    nodes[count - 1] = (fl_draw_node){"join", "t", all, (uint32_t)rows[r].fan, NULL, NULL};
    char *text = draw(nodes, (size_t)count, "svg");
    read_boxes(text, x, y, count, &width, &height);
    for (int i = 1; i <= rows[r].fan; i++) {
      columns += y[i] == y[1];
      for (int k = 1; k < i; k++)
        assert_true(x[i] != x[k] ? x[i] - x[k] >= 50 || x[k] - x[i] >= 50 : y[i] != y[k]);
    }
    assert_in_range(columns, rows[r].columns_min, 20);
    assert_true(height < 1800 && width < 1800);
    assert_true(y[0] > height / 2 - 80 && y[0] < height / 2 + 60);
    assert_true(y[count - 1] > height / 2 - 80 && y[count - 1] < height / 2 + 60);
    assert_true(x[0] < x[1] && x[rows[r].fan] < x[count - 1]);
    free(text);
  }
}

static void a_picture_of_a_run_has_a_legend(void **state) {
  (void)state;
  fl_draw_node nodes[] = {{"a", "t", NULL, 0, "succeeded", NULL},
                          {"b", "t", NULL, 0, "failed", NULL},
                          {"c", "t", NULL, 0, "succeeded", NULL}};
  char *text = draw(nodes, 3, "svg");
  assert_contains(text, ">succeeded 2</text>");
  assert_contains(text, ">failed 1</text>");
  assert_null(strstr(text, ">running"));
  free(text);
}

static void a_deep_chain_takes_no_stack_and_short_lines(void **state) {
  (void)state;
  enum { COUNT = 100000 };
  fl_draw_node *nodes = calloc(COUNT, sizeof *nodes);
  uint32_t *parents = calloc(COUNT, sizeof *parents);
  for (uint32_t i = 0; i < COUNT; i++) {
    parents[i] = i ? i - 1 : 0;
    nodes[i] = (fl_draw_node){"n", "t", &parents[i], i ? 1 : 0, NULL, NULL};
  }
  char *text = draw(nodes, COUNT, "text");
  assert_true(strlen(text) < (size_t)COUNT * 100);
  free(text);
  fl_buf out;
  fl_error err;
  fl_buf_init(&out, 64u << 20);
  assert_int_equal(fl_draw("big", nodes, COUNT, "svg", &out, &err), FL_E_LIMIT);
  assert_contains(err.message, "graph of 'big': svg draws up to 10000 nodes");
  fl_buf_deinit(&out);
  free(nodes);
  free(parents);
}

static void an_edge_over_many_levels_is_bent_around_boxes(void **state) {
  (void)state;
  fl_draw_node nodes[6];
  uint32_t parents[6][2] = {{0}};
  for (uint32_t i = 0; i < 6; i++) {
    parents[i][0] = i ? i - 1 : 0;
    nodes[i] = (fl_draw_node){"n", "t", parents[i], i ? 1 : 0, NULL, NULL};
  }
  parents[5][1] = 0, nodes[5].parent_count = 2;
  char *text = draw(nodes, 6, "svg");
  int bends = 0;
  for (const char *p = text; (p = strchr(p, 'H')) != NULL; p++) bends += p[1] >= '0' && p[1] <= '9';
  assert_int_equal(bends, 4);
  free(text);
}

static void an_empty_graph_is_drawn(void **state) {
  (void)state;
  static const char *const formats[] = {"text", "dot", "mermaid", "svg", "json", NULL};
  for (size_t i = 0; i < 5; i++) {
    char *text = draw(NULL, 0, formats[i]);
    assert_true(strlen(text) > 0);
    free(text);
  }
}

static void bad_graphs_and_formats_are_refused(void **state) {
  (void)state;
  static const uint32_t past[] = {7}, one[] = {1}, zero[] = {0};
  fl_draw_node dangling[] = {{"a", "t", past, 1, NULL, NULL}};
  fl_draw_node cycle[] = {{"a", "t", one, 1, NULL, NULL}, {"b", "t", zero, 1, NULL, NULL}};
  fl_buf out;
  fl_error err;
  fl_buf_init(&out, 1u << 20);
  assert_int_equal(fl_draw("f", dangling, 1, "json", &out, &err), FL_E_CORRUPT);
  assert_contains(err.message, "node 'a' depends on node 7 of 1");
  assert_int_equal(fl_draw("f", cycle, 2, "text", &out, &err), FL_E_CORRUPT);
  assert_int_equal(fl_draw("f", cycle, 2, "svg", &out, &err), FL_E_CORRUPT);
  assert_int_equal(fl_draw("f", sales, 4, "png", &out, &err), FL_E_USAGE);
  assert_contains(err.message, "\"png\": expected text, dot, mermaid, svg or json");
  fl_buf_deinit(&out);
  fl_buf_init(&out, 50);
  assert_int_equal(fl_draw("f", sales, 4, "dot", &out, &err), FL_E_LIMIT);
  fl_buf_deinit(&out);
}

static void each_state_has_a_colour(void **state) {
  (void)state;
  const fl_draw_color *neutral = fl_draw_color_of(NULL);
  const char *name;
  for (size_t i = 0; (name = fl_status_name(i, NULL)) != NULL; i++) {
    const fl_draw_color *color = fl_draw_color_of(name);
    if (color == neutral || !color->fill || !color->border) fail_msg("no colour for %s", name);
  }
  assert_ptr_equal(fl_draw_color_of("none"), neutral);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_indented_by_depth_and_names_what_a_node_waits_for),
      cmocka_unit_test(text_keeps_a_chain_together_and_declaration_order_otherwise),
      cmocka_unit_test(text_shortens_a_long_list_of_parents),
      cmocka_unit_test(states_are_shown),
      cmocka_unit_test(each_state_has_a_colour),
      cmocka_unit_test(dot_and_mermaid_have_each_node_and_edge),
      cmocka_unit_test(names_cannot_leave_their_place),
      cmocka_unit_test(boxes_of_a_picture_do_not_overlap),
      cmocka_unit_test(a_wide_level_stands_in_columns_with_its_ends_in_the_middle),
      cmocka_unit_test(a_picture_of_a_run_has_a_legend),
      cmocka_unit_test(a_deep_chain_takes_no_stack_and_short_lines),
      cmocka_unit_test(an_edge_over_many_levels_is_bent_around_boxes),
      cmocka_unit_test(an_empty_graph_is_drawn),
      cmocka_unit_test(bad_graphs_and_formats_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
