// Tests graph/: order, reach and cycles by rows; shapes of very many nodes for size.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/limits.h"
#include "graph/graph.h"

static const fl_node_options plain = {.type = "shell", .weight = 1};

// Nodes and what they are after: "a; b: a; c: a b". A name may be used before it is declared.
static fl_graph *make_graph(const char *text) {
  fl_graph *g = fl_graph_new();
  fl_error err;
  uint32_t index;
  for (int pass = 0; pass < 2; pass++) {
    uint32_t node = 0;
    for (const char *p = text; *p; node++) {
      p += strspn(p, " ;");
      size_t size = strcspn(p, " :;");
      if (pass == 0) assert_int_equal(fl_graph_add(g, p, size, &plain, &index, &err), FL_OK);
      for (p += size; *p && *p != ';'; p += size) {
        p += strspn(p, " :");
        size = strcspn(p, " ;");
        if (size == 0 || pass == 0) continue;
        uint32_t parent = fl_graph_find(g, p, size);
        assert_int_not_equal(parent, FL_NODE_NONE);
        fl_graph_after(g, node, parent);
      }
    }
  }
  return g;
}

static void add_names(fl_buf *b, const fl_graph *g, const uint32_t *nodes, uint32_t count) {
  fl_buf_reset(b);
  for (uint32_t i = 0; i < count; i++)
    fl_buf_addf(b, "%s%s", i > 0 ? " " : "", fl_graph_get_name(g, nodes[i]));
}

static void parents_come_before_children_in_declaration_order(void **state) {
  (void)state;
  static const struct {
    const char *text, *order;
  } rows[] = {
      {"a", "a"},
      {"a; b; c", "a b c"},
      {"a; b: a; c: a b", "a b c"},
      {"c: b; b: a; a", "a b c"},
      {"a: d; b; c; d", "b c d a"},    // what is ready goes on in declaration order ...
      {"a: d; b; c: a; d", "b d a c"}, // ... also when it becomes ready late
      {"z; y: z; x: z; w: x y", "z y x w"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_graph *g = make_graph(rows[i].text);
    fl_error err;
    fl_buf b;
    fl_buf_init(&b, 1000);
    assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
    add_names(&b, g, fl_graph_get_order(g), fl_graph_get_count(g));
    assert_string_equal(fl_buf_cstr(&b), rows[i].order);
    fl_buf_deinit(&b);
    fl_graph_free(g);
  }
}

static void edges_are_kept_both_ways(void **state) {
  (void)state;
  fl_graph *g = make_graph("a; b; c: b a b a; d: c a; e");
  fl_error err;
  fl_buf b;
  uint32_t count;
  fl_buf_init(&b, 1000);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  static const struct {
    const char *name, *parents, *children;
  } rows[] = {{"a", "", "c d"}, {"b", "", "c"}, {"c", "b a", "d"}, {"d", "c a", ""}, {"e", "", ""}};
  for (uint32_t i = 0; i < 5; i++) {
    assert_int_equal(fl_graph_find(g, rows[i].name, 1), i);
    const uint32_t *nodes = fl_graph_get_parents(g, i, &count);
    add_names(&b, g, nodes, count);
    assert_string_equal(fl_buf_cstr(&b), rows[i].parents);
    nodes = fl_graph_get_children(g, i, &count);
    add_names(&b, g, nodes, count);
    assert_string_equal(fl_buf_cstr(&b), rows[i].children);
  }
  fl_buf_deinit(&b);
  fl_graph_free(g);
}

static void the_first_cycle_is_named(void **state) {
  (void)state;
  static const struct {
    const char *text, *path;
  } rows[] = {
      {"a: a", "a -> a"},
      {"a: b; b: a", "a -> b -> a"},
      {"a: c; b: a; c: b", "a -> b -> c -> a"},
      {"x; a: c x; b: a; c: b; y: c", "a -> b -> c -> a"},
      {"p: a; a: b; b: a", "a -> b -> a"},               // p is only behind the cycle
      {"m: b; a: b; b: a; c: m d; d: c", "a -> b -> a"}, // m lies between two cycles
      {"c: d; d: c; a: b; b: a", "c -> d -> c"},         // declared first
      {"a: b c; b: a; c: b", "a -> b -> a"},             // the shortest through a
      {"a; b: a b", "b -> b"},
      {"a: l; b: a; c: b; d: c; e: d; f: e; g: f; h: g; i: h; j: i; k: j; l: k",
       "a -> b -> c -> d -> e -> f -> ... (3 more) ... -> j -> k -> l -> a"},
      {"a: j; b: a; c: b; d: c; e: d; f: e; g: f; h: g; i: h; j: i",
       "a -> b -> c -> d -> e -> f -> g -> h -> i -> j -> a"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_graph *g = make_graph(rows[i].text);
    fl_error err;
    char expected[200];
    snprintf(expected, sizeof expected, "nodes depend on each other in a cycle: %s", rows[i].path);
    assert_int_equal(fl_graph_freeze(g, &err), FL_E_SCRIPT);
    assert_string_equal(err.message, expected);
    fl_graph_free(g);
  }
}

static void reach_goes_both_ways(void **state) {
  (void)state;
  // e is declared before what it is after, so the order is not the index order
  static const char *const texts[] = {"a; b: a; c: a; d: b c; e: d; f",
                                      "e: d; a; b: a; c: a; d: b c; f"};
  for (size_t t = 0; t < 2; t++) {
    fl_graph *g = make_graph(texts[t]);
    fl_error err;
    assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
    static const struct {
      const char *name;
      const char *up, *down; // names that are marked
    } rows[] = {{"a", "a", "abcde"}, {"b", "ab", "bde"},  {"c", "ac", "cde"},
                {"d", "abcd", "de"}, {"e", "abcde", "e"}, {"f", "f", "f"}};
    for (size_t i = 0; i < 6; i++) {
      uint32_t node = fl_graph_find(g, rows[i].name, 1);
      uint8_t up[6] = {0}, down[6] = {0};
      fl_graph_mark(g, node, true, up);
      fl_graph_mark(g, node, false, down);
      for (uint32_t other = 0; other < 6; other++) {
        char c = fl_graph_get_name(g, other)[0];
        assert_int_equal(up[other], strchr(rows[i].up, c) != NULL);
        assert_int_equal(down[other], strchr(rows[i].down, c) != NULL);
        assert_int_equal(fl_graph_is_ancestor(g, other, node), up[other] && other != node);
      }
    }
    // marks that are there already stop nothing
    uint8_t marks[6] = {0};
    uint32_t b = fl_graph_find(g, "b", 1), e = fl_graph_find(g, "e", 1);
    marks[fl_graph_find(g, "d", 1)] = 1;
    fl_graph_mark(g, b, false, marks);
    assert_int_equal(marks[e], 1);
    fl_graph_free(g);
  }
}

static void names_are_found_or_refused(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  fl_error err;
  uint32_t index;
  assert_int_equal(fl_graph_find(g, "a", 1), FL_NODE_NONE);
  for (uint32_t i = 0; i < 1000; i++) {
    char name[16];
    snprintf(name, sizeof name, "n%u", i);
    assert_int_equal(fl_graph_add(g, name, strlen(name), &plain, &index, &err), FL_OK);
    assert_int_equal(index, i);
  }
  assert_int_equal(fl_graph_find(g, "n77", 3), 77);
  assert_int_equal(fl_graph_find(g, "n777", 3), 77);
  assert_int_equal(fl_graph_find(g, "n", 1), FL_NODE_NONE);
  assert_int_equal(fl_graph_find(g, "n1000", 5), FL_NODE_NONE);
  assert_int_equal(fl_graph_add(g, "n5", 2, &plain, &index, &err), FL_E_USAGE);
  assert_string_equal(err.message, "a node named 'n5' exists already");
  assert_int_equal(fl_graph_get_count(g), 1000);
  fl_graph_free(g);
  fl_graph_free(NULL);
}

static void an_empty_graph_is_a_graph(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  fl_error err;
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  assert_int_equal(fl_graph_get_count(g), 0);
  assert_non_null(fl_graph_get_order(g));
  fl_graph_free(g);
}

static void equal_options_are_one_copy(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  char type[] = "shell";
  fl_node_options a, b;
  memset(&a, 0x55, sizeof a); // padding differs
  memset(&b, 0xAA, sizeof b);
  a = b = (fl_node_options){.type = type, .retry_backoff = 2, .priority = -3};
  const fl_node_options *first = fl_graph_intern(g, &a);
  type[0] = 'S';
  type[0] = 's';
  b.type = "shell";
  assert_ptr_equal(fl_graph_intern(g, &b), first);
  assert_string_equal(first->type, "shell");
  assert_ptr_not_equal(first->type, type);
  const fl_node_options *kept[300];
  for (int i = 0; i < 300; i++) {
    b.priority = i;
    kept[i] = fl_graph_intern(g, &b);
  }
  for (int i = 0; i < 300; i++) {
    b.priority = i;
    assert_ptr_equal(fl_graph_intern(g, &b), kept[i]);
    assert_int_equal(kept[i]->priority, i);
  }
  assert_ptr_equal(fl_graph_intern(g, first), first);
  fl_graph_free(g);
}

static void each_option_is_kept_by_its_name(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  const fl_node_options *none = fl_graph_intern(g, &(fl_node_options){.type = "shell"});
#define DIFFER(field_type, name, min, max)                                                         \
  {                                                                                                \
    const fl_node_options other = {.type = "shell", .name = 1},                                    \
                          *kept = fl_graph_intern(g, &other);                                      \
    if (kept == none || kept->name != 1) fail_msg("%s is not kept", #name);                        \
  }
  FL_NODE_OPTIONS(DIFFER)
#undef DIFFER
  fl_graph_free(g);
}

static void texts_exist(void **state) {
  (void)state;
  assert_string_equal(fl_trigger_text(FL_TRIGGER_NONE_FAILED), "none_failed");
  assert_string_equal(fl_node_kind_text(FL_KIND_CALL), "call");
  assert_string_equal(fl_hook_text(FL_HOOK_EXIT), "on_exit");
}

#define MANY 100000u

static fl_graph *many_nodes(void) {
  fl_graph *g = fl_graph_new();
  fl_error err;
  uint32_t index;
  char name[24];
  for (uint32_t i = 0; i < MANY; i++) {
    int size = snprintf(name, sizeof name, "node_%u", i);
    assert_true(fl_graph_add(g, name, (size_t)size, &plain, &index, &err) == FL_OK);
  }
  return g;
}

static void a_chain_of_many(void **state) {
  (void)state;
  fl_graph *g = many_nodes();
  fl_error err;
  for (uint32_t i = 1; i < MANY; i++) fl_graph_after(g, i, i - 1);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  assert_int_equal(fl_graph_get_order(g)[MANY - 1], MANY - 1);
  uint8_t *marks = fl_alloc_zero(MANY, 1);
  fl_graph_mark(g, 0, false, marks);
  assert_null(memchr(marks, 0, MANY));
  free(marks);
  assert_true(fl_graph_is_ancestor(g, 0, MANY - 1));
  assert_false(fl_graph_is_ancestor(g, MANY - 1, 0));
  fl_graph_free(g);
}

static void a_chain_of_many_backwards(void **state) {
  (void)state;
  fl_graph *g = many_nodes();
  fl_error err;
  for (uint32_t i = 0; i + 1 < MANY; i++) fl_graph_after(g, i, i + 1);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  assert_int_equal(fl_graph_get_order(g)[0], MANY - 1);
  assert_true(fl_graph_is_ancestor(g, MANY - 1, 0));
  fl_graph_free(g);
}

static void a_ring_of_many(void **state) {
  (void)state;
  fl_graph *g = many_nodes();
  fl_error err;
  for (uint32_t i = 0; i < MANY; i++) fl_graph_after(g, i, (i + 1) % MANY);
  assert_int_equal(fl_graph_freeze(g, &err), FL_E_SCRIPT);
  assert_non_null(strstr(err.message, "cycle: node_0 -> node_99999 -> "));
  assert_non_null(strstr(err.message, "-> ... (99991 more) ... ->"));
  assert_non_null(strstr(err.message, "-> node_1 -> node_0"));
  fl_graph_free(g);
}

static void a_fan_of_many(void **state) {
  (void)state;
  fl_graph *g = many_nodes();
  fl_error err;
  uint32_t count;
  // out of node 0, into the last one, each edge named twice
  for (uint32_t i = 1; i + 1 < MANY; i++) fl_graph_after(g, i, 0), fl_graph_after(g, i, 0);
  for (uint32_t i = 0; i + 1 < MANY; i++) fl_graph_after(g, MANY - 1, i);
  for (uint32_t i = 0; i + 1 < MANY; i++) fl_graph_after(g, MANY - 1, i);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  fl_graph_get_children(g, 0, &count);
  assert_int_equal(count, MANY - 1);
  fl_graph_get_parents(g, MANY - 1, &count);
  assert_int_equal(count, MANY - 1);
  fl_graph_free(g);
}

static void a_flow_has_a_limit(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  fl_error err;
  uint32_t index;
  char name[24];
  for (uint32_t i = 0; i < FL_NODES_PER_FLOW_MAX; i++) {
    int size = snprintf(name, sizeof name, "%x", i);
    assert_true(fl_graph_add(g, name, (size_t)size, &plain, &index, &err) == FL_OK);
  }
  assert_int_equal(fl_graph_add(g, "one", 3, &plain, &index, &err), FL_E_LIMIT);
  assert_string_equal(err.message, "a flow has at most 4000000 nodes");
  fl_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parents_come_before_children_in_declaration_order),
      cmocka_unit_test(edges_are_kept_both_ways),
      cmocka_unit_test(the_first_cycle_is_named),
      cmocka_unit_test(reach_goes_both_ways),
      cmocka_unit_test(names_are_found_or_refused),
      cmocka_unit_test(an_empty_graph_is_a_graph),
      cmocka_unit_test(equal_options_are_one_copy),
      cmocka_unit_test(each_option_is_kept_by_its_name),
      cmocka_unit_test(texts_exist),
      cmocka_unit_test(a_chain_of_many),
      cmocka_unit_test(a_chain_of_many_backwards),
      cmocka_unit_test(a_ring_of_many),
      cmocka_unit_test(a_fan_of_many),
      cmocka_unit_test(a_flow_has_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
