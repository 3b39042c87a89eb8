// The hash table: what was put in is found, by its hash, until it is taken out.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/table.h"

typedef struct thing {
  fl_link link;
  uint32_t key;
} thing;

static thing *find(const fl_table *t, uint64_t hash, uint32_t key) {
  for (fl_link *l = fl_table_first(t, hash); l; l = fl_table_next(l))
    if (((thing *)l)->key == key) return (thing *)l;
  return NULL;
}

static void things_are_found_until_they_are_taken_out(void **state) {
  (void)state;
  enum { COUNT = 500 };
  static thing things[COUNT];
  fl_table t = {0};
  assert_null(fl_table_first(&t, 1));
  for (uint32_t i = 0; i < COUNT; i++) {
    things[i] = (thing){.key = i};
    fl_table_add(&t, &things[i].link, i % 50); // ten have one hash
  }
  assert_int_equal(t.count, COUNT);
  for (uint32_t i = 0; i < COUNT; i += 2) fl_table_remove(&t, &things[i].link);
  for (uint32_t i = 0; i < COUNT; i++)
    assert_ptr_equal(find(&t, i % 50, i), i % 2 ? &things[i] : NULL);
  assert_int_equal(t.count, COUNT / 2);
  fl_table_deinit(&t);
}

static void texts_that_differ_by_little_have_other_hashes(void **state) {
  (void)state;
  assert_true(fl_table_hash("a") != fl_table_hash("b"));
  assert_true(fl_table_hash("") != fl_table_hash("a"));
  assert_true(fl_table_hash("run-1") == fl_table_hash("run-1"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(things_are_found_until_they_are_taken_out),
      cmocka_unit_test(texts_that_differ_by_little_have_other_hashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
