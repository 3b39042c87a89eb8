// Tests what a graph keeps about the items of its maps.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "graph/graph.h"

static const fl_node_options plain = {.type = "shell", .weight = 1};

static fl_graph *make_nodes(uint32_t count) {
  fl_graph *g = fl_graph_new();
  char name[16];
  uint32_t index;
  fl_error err;
  for (uint32_t i = 0; i < count; i++) {
    snprintf(name, sizeof name, "n%u", i);
    assert_int_equal(fl_graph_add(g, name, strlen(name), &plain, &index, &err), FL_OK);
  }
  return g;
}

static void items_have_options_of_their_own(void **state) {
  (void)state;
  fl_graph *g = make_nodes(5);
  fl_node_options inner = plain;
  inner.retry_count_max = 3;
  fl_graph_set_inner(g, 3, &inner);
  inner.retry_count_max = 1;
  fl_graph_set_inner(g, 1, &inner);
  assert_null(fl_graph_get_inner(g, 0));
  assert_int_equal(fl_graph_get_inner(g, 1)->retry_count_max, 1);
  assert_null(fl_graph_get_inner(g, 2));
  assert_int_equal(fl_graph_get_inner(g, 3)->retry_count_max, 3);
  assert_null(fl_graph_get_inner(g, 4));
  assert_int_equal(fl_graph_get_options(g, 3)->retry_count_max, 0);
  fl_graph_free(g);
}

static void the_last_word_counts(void **state) {
  (void)state;
  fl_graph *g = make_nodes(100);
  fl_node_options inner = plain;
  for (uint32_t round = 0; round < 2; round++)
    for (uint32_t i = 100; i-- > 0;) {
      inner.retry_count_max = i + round;
      fl_graph_set_inner(g, i, &inner);
    }
  fl_error err;
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  for (uint32_t i = 0; i < 100; i++)
    assert_int_equal(fl_graph_get_inner(g, i)->retry_count_max, i + 1);
  fl_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_have_options_of_their_own),
      cmocka_unit_test(the_last_word_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
