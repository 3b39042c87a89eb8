// The plan by small graphs: what is ready in which order, and what ends mean for those behind.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "plan/plan.h"

// "a b:a c:a,b" with one-letter names; a capital letter after ':' sets the trigger:
// D all_done, F one_failed, N none_failed, O one_success; '+n' sets the priority.
static const uint32_t local[FL_KIND_COUNT]; // all run in one place

static fl_graph *graph_of(const char *text) {
  fl_graph *g = fl_graph_new();
  fl_error err;
  for (int pass = 0; pass < 2; pass++) {
    const char *p = text;
    for (uint32_t index = 0; *p; index++) {
      const char *name = p++;
      fl_node_options o = {.type = "t", .kind = FL_KIND_INLINE};
      if (*p == '+') o.priority = p[1] - '0', p += 2;
      const char *after = NULL;
      if (*p == ':') {
        p++;
        if (*p == 'D')
          o.trigger = FL_TRIGGER_ALL_DONE, p++;
        else if (*p == 'F')
          o.trigger = FL_TRIGGER_ONE_FAILED, p++;
        else if (*p == 'N')
          o.trigger = FL_TRIGGER_NONE_FAILED, p++;
        else if (*p == 'O')
          o.trigger = FL_TRIGGER_ONE_SUCCESS, p++;
        after = p;
      }
      uint32_t made;
      if (pass == 0) assert_int_equal(fl_graph_add(g, name, 1, &o, &made, &err), FL_OK);
      while (*p && *p != ' ') {
        if (pass == 1 && *p != ',' && after) fl_graph_after(g, index, fl_graph_find(g, p, 1));
        p++;
      }
      if (*p) p++;
    }
  }
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  return g;
}

static bool head_goes_before(const fl_plan *p, uint32_t a, uint32_t b) {
  int32_t pa = fl_plan_get_head_priority(p, a), pb = fl_plan_get_head_priority(p, b);
  return pa != pb ? pa > pb : fl_plan_get_head_order(p, a) < fl_plan_get_head_order(p, b);
}

// Names of what is ready now, in order; everything popped is claimed.
static void take_ready(fl_plan *p, const fl_graph *g, char *out) {
  for (;;) {
    uint32_t best = UINT32_MAX, head;
    for (uint32_t q = 0; q < fl_plan_get_queue_count(p); q++) {
      fl_plan_get_queue(p, q, &head);
      if (head == FL_NODE_NONE) continue;
      if (best == UINT32_MAX || head_goes_before(p, q, best)) best = q;
    }
    if (best == UINT32_MAX) break;
    uint32_t node = fl_plan_pop(p, best);
    fl_plan_apply(p, node, FL_NODE_CLAIM);
    *out++ = fl_graph_get_name(g, node)[0];
  }
  *out = 0;
}

typedef struct story {
  const char *graph;
  const char *steps; // "a+" succeeds, "a-" fails, "a~" is skipped; '>' checks what is ready
  const char *ready; // what each '>' sees, separated by '|'
  const char *ends;  // decisions of the plan: "b:upstream_failed ..."
  fl_run_state outcome;
} story;

static const story stories[] = {
    {"a b:a c:a d:b,c", ">a+>b+>c+>d+", "a|bc||d", "", FL_RUN_SUCCEEDED},
    {"a b c", ">a+b+c+", "abc", "", FL_RUN_SUCCEEDED},
    {"a b+5 c+5", ">a+b+c+", "bca", "", FL_RUN_SUCCEEDED}, // priority first, then declared
    {"a b:a c:b d", ">a->d+", "ad|", "b:upstream_failed c:upstream_failed ", FL_RUN_FAILED},
    {"a b:a c:Da", ">a->c+", "a|c", "b:upstream_failed ", FL_RUN_FAILED},
    {"a h:Fa", ">a->h+", "a|h", "", FL_RUN_SUCCEEDED}, // handled
    {"a h:Fa", ">a+>", "a|", "h:skipped ", FL_RUN_SUCCEEDED},
    {"a b:a c:Nb", ">a~>c+", "a|c", "b:skipped ", FL_RUN_SUCCEEDED},
};

static void play(const story *s) {
  fl_graph *g = graph_of(s->graph);
  fl_plan *p = fl_plan_new(g, local);
  char seen[256] = "", ends[256] = "", ready[64];
  fl_decision d;
  fl_plan_begin(p);
  bool first = true;
  for (const char *step = s->steps; *step;) {
    if (*step == '>') {
      take_ready(p, g, ready);
      snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%s", first ? "" : "|", ready);
      first = false;
      step++;
      continue;
    }
    uint32_t node = fl_graph_find(g, step, 1);
    fl_plan_apply(p, node,
                  step[1] == '+'   ? FL_NODE_SUCCEED
                  : step[1] == '-' ? FL_NODE_FAIL
                                   : FL_NODE_SKIP);
    while (fl_plan_take_decision(p, &d))
      snprintf(ends + strlen(ends), sizeof ends - strlen(ends), "%s:%s ",
               fl_graph_get_name(g, d.node), fl_node_state_text(d.state));
    step += 2;
  }
  uint32_t cause;
  assert_string_equal(seen, s->ready);
  assert_string_equal(ends, s->ends);
  assert_int_equal(fl_plan_get_outcome(p, &cause), s->outcome);
  assert_int_equal(fl_plan_get_open_count(p), 0);
  fl_plan_free(p);
  fl_graph_free(g);
}

static void runs_play_out_as_their_stories_say(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) play(&stories[i]);
}

// Of `child`, behind "a" and "b" that end as `steps` say.
static const char *blame(const char *graph, const char *steps) {
  static char name[2];
  fl_graph *g = graph_of(graph);
  fl_plan *p = fl_plan_new(g, local);
  char ready[16];
  fl_decision d;
  name[0] = '-';
  fl_plan_begin(p);
  take_ready(p, g, ready);
  for (const char *step = steps; *step; step += 2)
    fl_plan_apply(p, fl_graph_find(g, step, 1),
                  step[1] == '+'   ? FL_NODE_SUCCEED
                  : step[1] == '-' ? FL_NODE_FAIL
                                   : FL_NODE_SKIP);
  while (fl_plan_take_decision(p, &d))
    if (d.cause != FL_NODE_NONE) name[0] = fl_graph_get_name(g, d.cause)[0];
  fl_plan_free(p);
  fl_graph_free(g);
  return name;
}

static void whoever_ended_last_is_not_blamed_for_what_another_did(void **state) {
  (void)state;
  assert_string_equal(blame("a b c:a,b", "a~b+"), "a");
  assert_string_equal(blame("a b c:Na,b", "a~b-"), "b");
  assert_string_equal(blame("a b c:Oa,b", "a-b~"), "a");
  assert_string_equal(blame("a b c:Oa,b", "a~b-"), "b");
  assert_string_equal(blame("a b c:Fa,b", "a+b~"), "b"); // neither has failed
}

static void a_restored_plan_goes_on_where_it_was(void **state) {
  (void)state;
  fl_graph *g = graph_of("a b:a c:b d:c");
  fl_plan *p = fl_plan_new(g, local);
  char ready[16];
  fl_plan_restore(p, 0, FL_NODE_SUCCEEDED);
  fl_plan_restore(p, 1, FL_NODE_SUCCEEDED);
  fl_plan_begin(p);
  take_ready(p, g, ready);
  assert_string_equal(ready, "c");
  assert_int_equal(fl_plan_get_open_count(p), 2);
  fl_plan_free(p);
  fl_graph_free(g);
}

static void what_was_not_selected_counts_as_satisfied(void **state) {
  (void)state;
  fl_graph *g = graph_of("a b:a c:b");
  fl_plan *p = fl_plan_new(g, local);
  char ready[16];
  fl_plan_ignore(p, 0);
  fl_plan_begin(p);
  take_ready(p, g, ready);
  assert_string_equal(ready, "b");
  fl_plan_free(p);
  fl_graph_free(g);
}

static void many_children_see_an_end_in_portions(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  fl_error err;
  fl_node_options o = {.type = "t", .kind = FL_KIND_INLINE};
  enum { COUNT = 5000 };
  for (uint32_t i = 0; i < COUNT; i++) {
    char name[16];
    uint32_t index;
    int size = snprintf(name, sizeof name, "n%u", i);
    assert_int_equal(fl_graph_add(g, name, (size_t)size, &o, &index, &err), FL_OK);
  }
  for (uint32_t i = 1; i < COUNT; i++) fl_graph_after(g, i, 0);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  fl_plan *p = fl_plan_new(g, local);
  fl_plan_begin(p);
  assert_int_equal(fl_plan_pop(p, 0), 0);
  fl_plan_apply(p, 0, FL_NODE_CLAIM);
  fl_plan_apply(p, 0, FL_NODE_SUCCEED);
  uint32_t ready = fl_plan_get_ready_count(p);
  assert_in_range(ready, 100, COUNT / 2);
  for (int portions = 0; !fl_plan_settle_some(p, 100); portions++) {
    assert_int_equal(fl_plan_get_ready_count(p), ready + 100);
    ready += 100;
    assert_in_range(portions, 0, COUNT / 100);
  }
  assert_int_equal(fl_plan_get_ready_count(p), COUNT - 1);
  assert_true(fl_plan_settle_some(p, 1));
  fl_plan_free(p);
  fl_graph_free(g);
}

static void a_chain_of_many_fails_without_recursion(void **state) {
  (void)state;
  fl_graph *g = fl_graph_new();
  fl_error err;
  fl_node_options o = {.type = "t", .kind = FL_KIND_INLINE};
  enum { COUNT = 300000 };
  for (uint32_t i = 0; i < COUNT; i++) {
    char name[16];
    uint32_t index;
    int size = snprintf(name, sizeof name, "n%u", i);
    assert_int_equal(fl_graph_add(g, name, (size_t)size, &o, &index, &err), FL_OK);
  }
  for (uint32_t i = 1; i < COUNT; i++) fl_graph_after(g, i, i - 1);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  fl_plan *p = fl_plan_new(g, local);
  fl_plan_begin(p);
  assert_int_equal(fl_plan_pop(p, 0), 0);
  fl_plan_apply(p, 0, FL_NODE_CLAIM);
  fl_plan_apply(p, 0, FL_NODE_FAIL);
  while (!fl_plan_settle_some(p, COUNT)) continue;
  assert_int_equal(fl_plan_count_state(p, FL_NODE_UPSTREAM_FAILED), COUNT - 1);
  fl_plan_free(p);
  fl_graph_free(g);
}

// What is of a higher priority than each level, as the run goes on.
static void what_is_still_to_come_is_known_by_priority(void **state) {
  (void)state;
  static const struct {
    const char *steps;    // 'a' is claimed, "a+" succeeds, "a-" fails, "a^" is to be tried again
    int32_t higher_up_to; // than this and all below something is to come; -1: nothing
  } rows[] = {
      {"", 6},      {"c", 3},      {"cc^", 6}, {"cc^c!cc+", 3},      {"cc+dd-", -1},
      {"cc+d", -1}, {"cc+dd^", 3}, {"c~", 3},  {"bb+cc+dd+aa+", -1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_graph *g = graph_of("a b c+7:a d+4:b e");
    fl_plan *p = fl_plan_new(g, local);
    fl_plan_begin(p);
    for (const char *s = rows[i].steps; *s; s++) {
      uint32_t node = fl_graph_find(g, s, 1);
      fl_node_event event = FL_NODE_CLAIM;
      if (s[1] == '+')
        event = FL_NODE_SUCCEED, s++;
      else if (s[1] == '-')
        event = FL_NODE_FAIL, s++;
      else if (s[1] == '^')
        event = FL_NODE_RETRY, s++;
      else if (s[1] == '~')
        event = FL_NODE_SKIP, s++;
      else if (s[1] == '!')
        event = FL_NODE_DUE, s++;
      fl_plan_apply(p, node, event);
    }
    for (int32_t level = 0; level < 10; level++)
      assert_int_equal(fl_plan_has_higher(p, level), level <= rows[i].higher_up_to);
    fl_plan_free(p);
    fl_graph_free(g);
  }
}

static void items_of_a_map_are_to_come_with_their_priority(void **state) {
  (void)state;
  fl_error err;
  uint32_t map, other, item;
  fl_graph *g = fl_graph_new();
  fl_node_options o = {.type = "t", .kind = FL_KIND_MAP, .priority = 2}, inner = o;
  assert_int_equal(fl_graph_add(g, "m", 1, &o, &map, &err), FL_OK);
  o.kind = FL_KIND_INLINE;
  o.priority = 0;
  assert_int_equal(fl_graph_add(g, "o", 1, &o, &other, &err), FL_OK);
  inner.kind = FL_KIND_INLINE;
  inner.priority = 5;
  fl_graph_set_inner(g, map, &inner);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  uint32_t count;
  const fl_level *levels = fl_graph_get_levels(g, &count);
  assert_int_equal(count, 3);
  static const fl_level expected[] = {{5, 1}, {2, 0}, {0, 1}};
  assert_memory_equal(levels, expected, sizeof expected);
  fl_plan *p = fl_plan_new(g, local);
  fl_plan_begin(p);
  assert_true(fl_plan_has_higher(p, 4)); // those that it will have
  fl_plan_apply(p, map, FL_NODE_CLAIM);
  assert_false(fl_plan_has_higher(p, 0));
  item = fl_plan_add_item(p, map, 1, FL_NODE_PENDING);
  assert_true(fl_plan_has_higher(p, 4));
  fl_plan_apply(p, item, FL_NODE_CLAIM);
  assert_false(fl_plan_has_higher(p, 0));
  fl_plan_free(p);
  fl_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_play_out_as_their_stories_say),
      cmocka_unit_test(whoever_ended_last_is_not_blamed_for_what_another_did),
      cmocka_unit_test(a_restored_plan_goes_on_where_it_was),
      cmocka_unit_test(what_was_not_selected_counts_as_satisfied),
      cmocka_unit_test(many_children_see_an_end_in_portions),
      cmocka_unit_test(a_chain_of_many_fails_without_recursion),
      cmocka_unit_test(what_is_still_to_come_is_known_by_priority),
      cmocka_unit_test(items_of_a_map_are_to_come_with_their_priority),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
