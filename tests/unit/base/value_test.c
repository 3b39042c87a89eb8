// Tests base/value.c: counting, sharing, digests, limits.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include "base/digest.h"
#include "base/limits.h"
#include "base/value.h"

static void equal_values_have_equal_digests(void **state) {
  (void)state;
  fl_value *a, *b, *c;
  fl_error err;
  assert_int_equal(fl_value_parse("{\"x\":1, \"a\":[ ]}", 16, &a, &err), FL_OK);
  assert_int_equal(fl_value_parse("{\"a\":[],\"x\":1.0}", 16, &b, &err), FL_OK);
  c = fl_value_new("[]", 2);
  assert_string_equal(a->text, "{\"a\":[],\"x\":1}");
  assert_true(fl_value_equal(a, b));
  assert_false(fl_value_equal(a, c));
  assert_false(fl_value_equal(a, NULL));
  assert_true(fl_value_equal(NULL, NULL));
  assert_memory_equal(fl_value_get_digest(a), fl_value_get_digest(b), FL_DIGEST_SIZE);
  json_t *json = fl_value_to_json(a);
  fl_value *again;
  assert_int_equal(fl_value_from_json(json, "is", &again, &err), FL_OK);
  assert_true(fl_value_equal(a, again));
  json_decref(json);
  assert_ptr_equal(fl_value_ref(a), a);
  fl_value_unref(a);
  fl_value_unref(a);
  fl_value_unref(b);
  fl_value_unref(c);
  fl_value_unref(again);
  fl_value_unref(NULL);
  assert_null(fl_value_ref(NULL));
}

static void shared_values_know_their_digest(void **state) {
  (void)state;
  fl_value *const shared[] = {fl_value_empty_map(), fl_value_null()};
  for (size_t i = 0; i < 2; i++) {
    uint8_t digest[FL_DIGEST_SIZE];
    assert_int_equal(shared[i]->size, strlen(shared[i]->text));
    fl_digest(shared[i]->text, shared[i]->size, digest);
    assert_memory_equal(fl_value_get_digest(shared[i]), digest, sizeof digest);
    assert_true(fl_value_is_shared(shared[i]));
  }
}

static void *churn(void *arg) {
  for (int i = 0; i < 100000; i++) {
    fl_value *v = fl_value_ref(fl_value_empty_map());
    fl_value_unref(v);
    fl_value_unref(v); // one too many must not matter either
  }
  return arg;
}

static void two_threads_share_the_empty_map(void **state) {
  (void)state;
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  assert_string_equal(fl_value_empty_map()->text, "{}");
  assert_int_equal(fl_value_empty_map()->refs, FL_VALUE_SHARED);
}

static void a_value_has_a_size_limit(void **state) {
  (void)state;
  size_t size = FL_VALUE_SIZE_MAX + 1;
  char *text = fl_alloc(size);
  memset(text, 'a', size);
  text[0] = text[size - 2] = text[size - 1] = '"';
  fl_value *v;
  fl_error err;
  assert_int_equal(fl_value_parse(text, size, &v, &err), FL_E_LIMIT);
  assert_string_equal(err.message, "is larger than 16 MiB (the limit of a value)");
  assert_null(v);
  assert_int_equal(fl_value_parse(text, size - 1, &v, &err), FL_OK);
  fl_value_unref(v);
  // Short as it came, too long once its escapes are written out: the limit is on what is kept.
  memset(text, 0x7F, size);
  text[0] = text[size - 3] = '"';
  assert_int_equal(fl_value_parse(text, size - 2, &v, &err), FL_OK);
  fl_value_unref(v);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_values_have_equal_digests),
      cmocka_unit_test(shared_values_know_their_digest),
      cmocka_unit_test(two_threads_share_the_empty_map),
      cmocka_unit_test(a_value_has_a_size_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
