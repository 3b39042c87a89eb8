// Inheriting vars, by rows: what two parents left -> what their child sees.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "engine/vars.h"

typedef struct row {
  fl_merge merge;
  const char *a, *a_by, *b, *b_by;
  const char *map; // NULL: a conflict
} row;

static const row rows[] = {
    {FL_MERGE_ERROR, "{\"x\":1}", "{}", "{\"x\":1}", "{}", "{\"x\":1}"},
    {FL_MERGE_ERROR, "{\"x\":2}", "{\"x\":\"a\"}", "{\"x\":1}", "{}",
     "{\"x\":2}"}, // only a changed it
    {FL_MERGE_ERROR, "{\"x\":1}", "{}", "{\"x\":2}", "{\"x\":\"b\"}", "{\"x\":2}"},
    {FL_MERGE_ERROR, "{\"x\":2}", "{\"x\":\"a\"}", "{\"y\":3}", "{\"y\":\"b\"}",
     "{\"x\":2,\"y\":3}"},
    {FL_MERGE_ERROR, "{\"x\":2}", "{\"x\":\"a\"}", "{\"x\":3}", "{\"x\":\"b\"}", NULL},
    {FL_MERGE_ERROR, "{\"x\":2}", "{\"x\":\"a\"}", "{\"x\":2}", "{\"x\":\"b\"}", "{\"x\":2}"},
    {FL_MERGE_FIRST, "{\"x\":2}", "{\"x\":\"a\"}", "{\"x\":3}", "{\"x\":\"b\"}", "{\"x\":2}"},
    {FL_MERGE_LAST, "{\"x\":2}", "{\"x\":\"a\"}", "{\"x\":3}", "{\"x\":\"b\"}", "{\"x\":3}"},
    // root set it, b overrode what it had seen of root: b's is newer
    {FL_MERGE_ERROR, "{\"x\":1}", "{\"x\":\"root\"}", "{\"x\":2}", "{\"x\":\"b\"}", "{\"x\":2}"},
    {FL_MERGE_ERROR, "{\"x\":null}", "{\"x\":\"a\"}", "{\"x\":1}", "{}",
     "{\"x\":null}"}, // removed by a
};

static fl_graph *diamond(void) {
  static const char *const names[] = {"root", "a", "b", "child"};
  fl_graph *g = fl_graph_new();
  fl_node_options o = {.type = "t"};
  fl_error err;
  uint32_t index;
  for (int i = 0; i < 4; i++)
    assert_int_equal(fl_graph_add(g, names[i], strlen(names[i]), &o, &index, &err), FL_OK);
  fl_graph_after(g, 1, 0);
  fl_graph_after(g, 2, 0);
  fl_graph_after(g, 3, 1);
  fl_graph_after(g, 3, 2);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  return g;
}

static fl_vars *vars_of(const char *map, const char *by) {
  return fl_vars_new(fl_value_new(map, strlen(map)), fl_value_new(by, strlen(by)));
}

static void two_parents_merge_as_their_row_says(void **state) {
  (void)state;
  fl_graph *g = diamond();
  fl_flow flow = {.key = "f", .graph = g};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const row *r = &rows[i];
    fl_vars_source sources[] = {{"a", vars_of(r->a, r->a_by)}, {"b", vars_of(r->b, r->b_by)}};
    fl_vars *out = NULL;
    fl_error err;
    fl_code rc = fl_vars_merge(&flow, 3, r->merge, sources, 2, &out, &err);
    if (r->map) {
      assert_int_equal(rc, FL_OK);
      assert_string_equal(out->map->text, r->map);
    } else {
      assert_int_equal(rc, FL_E_SCRIPT);
      assert_non_null(
          strstr(err.message, "f.child: vars.x was set to different values by 'a' and 'b'"));
    }
    fl_vars_unref(out);
    fl_vars_unref(sources[0].vars);
    fl_vars_unref(sources[1].vars);
  }
  fl_graph_free(g);
}

static void a_change_names_its_node_and_marks_what_was_removed(void **state) {
  (void)state;
  fl_vars *before = vars_of("{\"gone\":1,\"kept\":2}", "{}");
  fl_value *after = fl_value_new("{\"kept\":2,\"new\":3}", 18);
  fl_vars *left;
  fl_error err;
  assert_int_equal(fl_vars_change(before, after, "n", &left, &err), FL_OK);
  assert_string_equal(left->map->text, "{\"gone\":null,\"kept\":2,\"new\":3}");
  assert_string_equal(left->by->text, "{\"gone\":\"n\",\"new\":\"n\"}");
  fl_vars_unref(left);
  fl_vars_unref(before);
  fl_value_unref(after);
}

// {"KEY":"vvv..."} of about `size` bytes.
static fl_value *large(const char *key, size_t size) {
  fl_buf text;
  fl_buf_init(&text, size + 64);
  fl_buf_addf(&text, "{\"%s\":\"", key);
  for (size_t i = 0; i < size; i++) fl_buf_add_char(&text, 'v');
  fl_buf_add_str(&text, "\"}");
  fl_value *v = fl_value_new(text.data, text.size);
  fl_buf_deinit(&text);
  return v;
}

static void what_is_too_large_together_is_an_error(void **state) {
  (void)state;
  fl_graph *g = diamond();
  fl_flow flow = {.key = "f", .graph = g};
  fl_vars *a = fl_vars_new(large("a", 9 << 20), fl_value_new("{\"a\":\"a\"}", 9));
  fl_vars *b = fl_vars_new(large("b", 9 << 20), fl_value_new("{\"b\":\"b\"}", 9)), *out;
  fl_vars_source sources[] = {{"a", a}, {"b", b}};
  fl_error err;
  assert_int_equal(fl_vars_merge(&flow, 3, FL_MERGE_ERROR, sources, 2, &out, &err), FL_E_LIMIT);
  assert_null(out);
  assert_non_null(strstr(err.message, "vars that it inherits are, together, larger than 16 MiB"));
  assert_int_equal(fl_vars_overlay(a, b->map, &out, &err), FL_E_LIMIT);
  assert_null(out);
  fl_vars_unref(a);
  fl_vars_unref(b);
  fl_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_parents_merge_as_their_row_says),
      cmocka_unit_test(a_change_names_its_node_and_marks_what_was_removed),
      cmocka_unit_test(what_is_too_large_together_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
