// Tests executor/worker_linger.c: what is there is seen, and who waits in vain waits less often.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "executor/worker_linger.h"

static void what_is_there_is_seen_at_once(void **state) {
  (void)state;
  _Atomic uint64_t word = 7;
  fl_linger l = {.misses = 3};
  assert_true(fl_linger_until(&l, &word, 6));
  assert_int_equal(l.misses, 2);
  assert_int_equal(l.skip, 0);
  l.misses = 0;
  assert_true(fl_linger_until(&l, &word, 6));
  assert_int_equal(l.misses, 0);
}

static void who_waited_in_vain_lets_occasions_pass(void **state) {
  (void)state;
  _Atomic uint64_t word = 7;
  fl_linger l = {0};
  assert_false(fl_linger_until(&l, &word, 7));
  assert_int_equal(l.skip, 1);
  assert_false(fl_linger_until(&l, &word, 7)); // is let pass
  assert_int_equal(l.skip, 0);
  assert_false(fl_linger_until(&l, &word, 7));
  assert_int_equal(l.skip, 3);
  assert_true(fl_linger_until(&l, &word, 6)); // seen all the same, and nothing is learnt of it
  assert_int_equal(l.skip, 2);
  assert_int_equal(l.misses, 2);
}

static void at_most_255_of_them(void **state) {
  (void)state;
  _Atomic uint64_t word = 7;
  fl_linger l = {0};
  for (int tries = 0; tries < 20; tries++) {
    l.skip = 0;
    assert_false(fl_linger_until(&l, &word, 7));
  }
  assert_int_equal(l.skip, 255);
  l.skip = 0;
  for (int hits = 0; hits < 8; hits++) assert_true(fl_linger_until(&l, &word, 8));
  assert_false(fl_linger_until(&l, &word, 7));
  assert_int_equal(l.skip, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_there_is_seen_at_once),
      cmocka_unit_test(who_waited_in_vain_lets_occasions_pass),
      cmocka_unit_test(at_most_255_of_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
