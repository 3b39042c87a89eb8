// Lines: who goes before whom, and that everything can be moved and taken out.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "plan/line.h"

static void the_first_that_differs_decides(void **state) {
  (void)state;
  static const struct {
    fl_rank a, b;
  } rows[] = {
      // higher level
      {{.level = 1, .held = 9, .order = 9}, {.level = 0}},
      {{.level = -1}, {.level = -2, .held = 0}},
      // fewer held
      {{.held = 1, .order = 9}, {.held = 2, .order = 1}},
      // earlier order
      {{.held = 1, .order = 1, .within = 9}, {.held = 1, .order = 2}},
      {{.order = 1, .within = 1}, {.order = 1, .within = 2}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_true(fl_rank_goes_before(&rows[i].a, &rows[i].b));
    assert_false(fl_rank_goes_before(&rows[i].b, &rows[i].a));
    assert_false(fl_rank_goes_before(&rows[i].a, &rows[i].a));
  }
}

static void a_minute_of_waiting_counts_as_much_as_a_priority(void **state) {
  (void)state;
  static const struct {
    int32_t priority;
    int64_t since_ms;
    int32_t other_priority;
    int64_t other_since_ms;
    int before; // 1: the first goes before, 0: neither, -1: the other
  } rows[] = {
      {0, 0, 0, 0, 0},      {0, 0, 0, 59999, 0}, // within a minute nothing is gained
      {0, 0, 0, 60000, 1},  {0, 0, 1, 59999, -1},
      {0, 0, 1, 60000, 0}, // what it waited makes up for one priority
      {0, 0, 1, 120000, 1}, {-5, 0, 5, 600000, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t a = fl_rank_level(rows[i].priority, rows[i].since_ms);
    int64_t b = fl_rank_level(rows[i].other_priority, rows[i].other_since_ms);
    assert_int_equal((a > b) - (a < b), rows[i].before);
  }
}

static void what_is_moved_or_taken_out_leaves_the_rest_in_order(void **state) {
  (void)state;
  enum { COUNT = 200 };
  static fl_place places[COUNT];
  memset(places, 0, sizeof places);
  fl_line line = {0};
  uint64_t seed = 7, left = 0;
  for (uint32_t i = 0; i < COUNT; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    fl_line_put(&line, &places[i], (fl_rank){.level = (int64_t)(seed >> 60), .order = i});
  }
  for (uint32_t i = 0; i < COUNT; i += 3) fl_line_remove(&line, &places[i]);
  fl_line_remove(&line, &places[0]); // is not there any more
  for (uint32_t i = 1; i < COUNT; i += 3)
    fl_line_put(&line, &places[i], (fl_rank){.level = 20 - (int64_t)(i % 7), .order = i});
  fl_rank before = {.level = INT64_MAX};
  for (fl_place *p; (p = fl_line_first(&line)); left++) {
    assert_true(fl_rank_goes_before(&before, &p->rank));
    assert_true((p - places) % 3 != 0);
    before = p->rank;
    fl_line_remove(&line, p);
    assert_int_equal(p->at, 0);
  }
  assert_int_equal(left, COUNT - (COUNT + 2) / 3);
  fl_line_deinit(&line);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_that_differs_decides),
      cmocka_unit_test(a_minute_of_waiting_counts_as_much_as_a_priority),
      cmocka_unit_test(what_is_moved_or_taken_out_leaves_the_rest_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
