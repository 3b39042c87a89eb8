// Values: kept once, checked at every read, large ones in files.
#include "store_helper.h"

static void equal_values_share_a_row(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  int64_t a = put_text(s, "{\"a\":1}"), b = put_text(s, "{\"a\":2}");
  assert_int_not_equal(a, b);
  ok(fl_store_commit(s, &err));
  assert_int_equal(put_text(s, "{\"a\":1}"), a);
  assert_int_equal(put_text(s, "{}"), FL_VALUE_ID_EMPTY_MAP);
  assert_int_equal(put_text(s, "null"), FL_VALUE_ID_NULL);
  ok(fl_store_put_value(s, NULL, &err));
  ok(fl_store_commit(s, &err));
  assert_int_equal(number_of(s, "SELECT count(*) FROM value"), 4);
  fl_value *v;
  ok(fl_store_get_value(s, a, &v, &err));
  assert_string_equal(v->text, "{\"a\":1}");
  assert_int_equal(v->store_id, a);
  assert_true(v->digested);
  fl_value_unref(v);
  ok(fl_store_get_value(s, 0, &v, &err));
  assert_null(v);
  ok(fl_store_get_value(s, FL_VALUE_ID_EMPTY_MAP, &v, &err));
  assert_ptr_equal(v, fl_value_empty_map());
  ok(fl_store_get_value(s, FL_VALUE_ID_NULL, &v, &err));
  assert_string_equal(v->text, "null");
  fails(fl_store_get_value(s, 999, &v, &err), FL_E_CORRUPT, "value 999 is missing");
  fl_store_close(s);
  remove_dir(dir);
}

static int64_t put_long(fl_store *s, char fill) {
  char text[200];
  memset(text, fill, sizeof text);
  text[0] = text[sizeof text - 2] = '"';
  text[sizeof text - 1] = 0;
  return put_text(s, text);
}

// Nobody looks for a short value, but among those that were put last.
static void a_short_value_may_have_several_rows_and_a_longer_one_has_one(void **state) {
  char *dir = make_dir(), text[32];
  (void)state;
  fl_store *s = open_store(dir);
  int64_t a = put_text(s, "[\"short\"]"), one = put_long(s, 'x'), two = put_long(s, 'y');
  assert_int_equal(put_text(s, "[\"short\"]"), a);
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof text, "%d", i);
    put_text(s, text);
  }
  int64_t b = put_text(s, "[\"short\"]"), c = put_text(s, "[\"other\"]");
  assert_int_not_equal(a, b);
  assert_int_equal(put_long(s, 'x'), one);
  ok(fl_store_commit(s, &err));
  assert_true(fl_store_is_same_value(s, a, a));
  assert_true(fl_store_is_same_value(s, a, b));
  assert_false(fl_store_is_same_value(s, b, c));
  assert_false(fl_store_is_same_value(s, one, two));
  assert_false(fl_store_is_same_value(s, a, one));
  assert_false(fl_store_is_same_value(s, a, 0));
  assert_false(fl_store_is_same_value(s, a, 99999)); // there is none
  assert_true(fl_store_is_same_value(s, 0, 0));
  fl_store_close(s);
  // Nor does who opens the store again.
  s = open_store(dir);
  assert_int_not_equal(put_text(s, "[\"short\"]"), a);
  assert_int_equal(put_long(s, 'y'), two);
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  remove_dir(dir);
}

static void a_flipped_bit_is_found(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  size_t size;
  (void)state;
  fl_store *s = open_store(dir);
  int64_t id = put_text(s, "{\"secret\":\"abcdefgh\"}");
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  char *data = read_all(file, &size), *at = memmem(data, size, "abcdefgh", 8);
  assert_non_null(at);
  at[3] ^= 1;
  write_all_to(file, data, size);
  s = open_store(dir);
  fl_value *v;
  fails(fl_store_get_value(s, id, &v, &err), FL_E_CORRUPT, "its digest differs");
  assert_null(v);
  fl_store_close(s);
  free(data), free(file), remove_dir(dir);
}

static fl_value *large_value(char fill) {
  size_t size = FL_VALUE_INLINE_MAX + 1000;
  char *text = malloc(size);
  memset(text, fill, size);
  text[0] = text[size - 1] = '"';
  fl_value *v = fl_value_new(text, size);
  free(text);
  return v;
}

static char *blob_path(const char *dir, fl_value *v) {
  char hex[2 * FL_DIGEST_SIZE + 1], name[100];
  fl_digest_hex(fl_value_get_digest(v), hex);
  snprintf(name, sizeof name, "blobs/%s", hex);
  return join(dir, name);
}

static void a_large_value_is_a_file(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  fl_value *v = large_value('x'), *read;
  ok(fl_store_put_value(s, v, &err));
  char *path = blob_path(dir, v);
  assert_int_equal(access(path, R_OK), 0); // before the commit that names it
  ok(fl_store_commit(s, &err));
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text IS NULL"), 1);
  ok(fl_store_get_value(s, v->store_id, &read, &err));
  assert_true(fl_value_equal(v, read));
  fl_value_unref(read);

  size_t size;
  char *data = read_all(path, &size);
  data[100]++;
  write_all_to(path, data, size);
  fails(fl_store_get_value(s, v->store_id, &read, &err), FL_E_CORRUPT, "its digest differs");
  write_all_to(path, data, size - 1);
  fails(fl_store_get_value(s, v->store_id, &read, &err), FL_E_CORRUPT, "is too short");
  unlink(path);
  fails(fl_store_get_value(s, v->store_id, &read, &err), FL_E_CORRUPT, "is missing");

  // The same value put again brings its file back.
  fl_value *same = large_value('x');
  ok(fl_store_put_value(s, same, &err));
  assert_int_equal(same->store_id, v->store_id);
  ok(fl_store_commit(s, &err));
  ok(fl_store_get_value(s, v->store_id, &read, &err));
  fl_value_unref(read), fl_value_unref(same), fl_value_unref(v);
  fl_store_close(s);
  free(data), free(path), remove_dir(dir);
}

static void a_blob_that_cannot_be_written_rolls_back(void **state) {
  char *dir = make_dir(), *blobs = join(dir, "blobs");
  (void)state;
  fl_store *s = open_store(dir);
  write_all_to(blobs, "", 0); // in the way of the directory
  put_text(s, "[1]");
  fl_value *v = large_value('y');
  fails(fl_store_put_value(s, v, &err), FL_E_STORE, "blobs");
  assert_false(fl_store_is_open(s));
  assert_int_equal(v->store_id, 0);
  unlink(blobs);
  ok(fl_store_put_value(s, v, &err));
  ok(fl_store_commit(s, &err));
  fl_value_unref(v);
  fl_store_close(s);
  free(blobs), remove_dir(dir);
}

// Nobody's row named the value; another process pruned it; here its id is still remembered.
static void a_remembered_id_is_looked_up_again_after_a_sweep(void **state) {
  char *dir = make_dir();
  fl_buf ids;
  int64_t bytes;
  (void)state;
  fl_store *s = open_store(dir), *other = open_store(dir);
  fl_buf_init(&ids, 1000);
  fl_value *v = value_of("[\"kept\"]");
  ok(fl_store_put_value(s, v, &err));
  ok(fl_store_commit(s, &err));
  int64_t id = v->store_id;
  ok(fl_store_put_value(s, v, &err)); // remembered
  assert_int_equal(v->store_id, id);
  ok(fl_store_commit(s, &err));
  ok(fl_store_prune(other,
                    &(fl_prune_wish){.older_than_ms = FL_PRUNE_ANY_AGE, .size_max_bytes = -1}, &ids,
                    &bytes, &err));
  assert_int_equal(number_of(other, "SELECT count(*) FROM value"), 2);
  put_text(other, "[\"takes the id\"]");
  ok(fl_store_commit(other, &err));
  ok(fl_store_put_value(s, v, &err));
  ok(fl_store_commit(s, &err));
  fl_value *read;
  ok(fl_store_get_value(s, v->store_id, &read, &err));
  assert_string_equal(read->text, "[\"kept\"]");
  // The same with a sweep of this very handle.
  fl_buf_reset(&ids);
  ok(fl_store_prune(s, &(fl_prune_wish){.older_than_ms = FL_PRUNE_ANY_AGE, .size_max_bytes = -1},
                    &ids, &bytes, &err));
  ok(fl_store_put_value(s, v, &err));
  ok(fl_store_commit(s, &err));
  fl_value_unref(read);
  ok(fl_store_get_value(s, v->store_id, &read, &err));
  assert_string_equal(read->text, "[\"kept\"]");
  fl_value_unref(read), fl_value_unref(v);
  fl_buf_deinit(&ids);
  fl_store_close(other);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_walk_finds_values_in_any_order(void **state) {
  static const int order[] = {0, 1, 2, 9, 9, 3, 8, 0, 7};
  char *dir = make_dir(), text[32];
  int64_t ids[10];
  fl_value_walk walk = {0};
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1000);
  fl_store *s = open_store(dir);
  for (int i = 0; i < 10; i++) {
    snprintf(text, sizeof text, "[%d]", i);
    ids[i] = put_text(s, text);
  }
  ok(fl_store_commit(s, &err));
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    snprintf(text, sizeof text, "[%d]", order[i]);
    fl_buf_reset(&out);
    ok(fl_store_walk_append(s, &walk, ids[order[i]], &out, &err));
    assert_string_equal(fl_buf_cstr(&out), text);
  }
  fails(fl_store_walk_append(s, &walk, ids[9] + 1, &out, &err), FL_E_CORRUPT, "is missing");
  ok(fl_store_walk_append(s, &walk, ids[4], &out, &err));
  fails(fl_store_walk_append(s, &walk, ids[9] + 100, &out, &err), FL_E_CORRUPT, "is missing");
  sqlite3_exec(s->db, "UPDATE value SET text='[6]' WHERE text='[5]'", NULL, NULL, NULL);
  fails(fl_store_walk_append(s, &walk, ids[5], &out, &err), FL_E_CORRUPT, "its digest differs");
  fl_store_walk_end(&walk);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_walk_finds_values_in_any_order),
      cmocka_unit_test(equal_values_share_a_row),
      cmocka_unit_test(a_short_value_may_have_several_rows_and_a_longer_one_has_one),
      cmocka_unit_test(a_flipped_bit_is_found),
      cmocka_unit_test(a_large_value_is_a_file),
      cmocka_unit_test(a_blob_that_cannot_be_written_rolls_back),
      cmocka_unit_test(a_remembered_id_is_looked_up_again_after_a_sweep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
