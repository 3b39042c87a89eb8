// Checkpoints, steps, progress, and the items of maps.
#include "store_helper.h"

static void the_newest_checkpoint_comes_back(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_value *read = (fl_value *)1;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_get_checkpoint(s, run.row, 1, &read, &err));
  assert_null(read);
  fl_value *one = value_of("{\"at\":1}"), *two = value_of("{\"at\":2}");
  ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0, one, &err));
  ok(fl_store_put_checkpoint(s, run.row, 1, 2, T0 + 5, two, &err));
  ok(fl_store_put_checkpoint(s, run.row, 2, 1, T0, one, &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_get_checkpoint(s, run.row, 1, &read, &err));
  assert_string_equal(read->text, "{\"at\":2}");
  fl_value_unref(read);
  assert_rows(s, "SELECT node,number FROM checkpoint ORDER BY node", "1|2\n2|1");
  ok(fl_store_put_checkpoint(s, run.row, 1, 2, T0, NULL, &err));
  ok(fl_store_get_checkpoint(s, run.row, 1, &read, &err));
  assert_null(read);
  fl_value_unref(one), fl_value_unref(two);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_replaced_checkpoint_leaves_nothing(void **state) {
  char *dir = make_dir(), text[1100];
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  int64_t values = number_of(s, "SELECT count(*) FROM value"), pages = 0;
  for (int i = 0; i < 2000; i++) {
    snprintf(text, sizeof text, "{\"at\":%d,\"fill\":\"%*d\"}", i, 900 + i % 100, i);
    fl_value *v = value_of(text);
    ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0 + i, v, &err));
    ok(fl_store_commit(s, &err));
    fl_value_unref(v);
    if (i == 10) pages = number_of(s, "PRAGMA page_count");
  }
  assert_int_equal(number_of(s, "SELECT count(*) FROM value"), values);
  assert_int_equal(number_of(s, "PRAGMA page_count"), pages);
  assert_rows(s, "SELECT count(*),at_ms FROM checkpoint", "1|1700000001999");
  fl_store_close(s);
  remove_dir(dir);
}

static void a_large_checkpoint_comes_back(void **state) {
  char *dir = make_dir();
  size_t size = FL_VALUE_INLINE_MAX + 1000;
  fl_run_row run;
  fl_value *read = NULL;
  (void)state;
  char *text = malloc(size + 1);
  memset(text, 'x', size);
  text[0] = text[size - 1] = '"';
  text[size] = 0;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_value *v = value_of(text);
  ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0, v, &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_get_checkpoint(s, run.row, 1, &read, &err));
  assert_int_equal(read->size, size);
  assert_string_equal(read->text, text);
  fl_value_unref(v), fl_value_unref(read);
  fl_store_close(s);
  free(text), remove_dir(dir);
}

static void a_checkpoint_that_was_changed_is_found(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_value *read = NULL, *v = value_of("{\"at\":1}");
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0, v, &err));
  ok(fl_store_commit(s, &err));
  sqlite3_exec(s->db, "UPDATE checkpoint SET text='{\"at\":2}'", NULL, NULL, NULL);
  fails(fl_store_get_checkpoint(s, run.row, 1, &read, &err), FL_E_CORRUPT, "a checkpoint is not");
  assert_null(read);
  fl_value_unref(v);
  fl_store_close(s);
  remove_dir(dir);
}

static void steps_are_remembered_by_name(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_value *read;
  bool found = true;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_value *v = value_of("[1]"), *w = value_of("[2]");
  ok(fl_store_get_step(s, run.row, 1, "download", &found, &read, &err));
  assert_false(found);
  ok(fl_store_put_step(s, run.row, 1, "download", v, &err));
  ok(fl_store_put_step(s, run.row, 1, "nothing", NULL, &err));
  ok(fl_store_put_step(s, run.row, 2, "download", w, &err));
  ok(fl_store_get_step(s, run.row, 1, "download", &found, &read, &err));
  assert_true(found);
  assert_string_equal(read->text, "[1]");
  fl_value_unref(read);
  ok(fl_store_get_step(s, run.row, 1, "nothing", &found, &read, &err));
  assert_true(found);
  assert_null(read);
  ok(fl_store_put_step(s, run.row, 1, "download", w, &err)); // the last word holds
  ok(fl_store_get_step(s, run.row, 1, "download", &found, &read, &err));
  assert_string_equal(read->text, "[2]");
  fl_value_unref(read);
  ok(fl_store_drop_steps(s, run.row, 1, &err));
  ok(fl_store_get_step(s, run.row, 1, "download", &found, &read, &err));
  assert_false(found);
  ok(fl_store_get_step(s, run.row, 2, "download", &found, &read, &err));
  assert_true(found);
  fl_value_unref(read), fl_value_unref(v), fl_value_unref(w);
  fl_store_close(s);
  remove_dir(dir);
}

static void progress_is_the_last_one(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_put_progress(s, run.row, 1, 1, 10, NULL, T0, &err));
  ok(fl_store_put_progress(s, run.row, 1, 2.5, 10, "halfway", T0 + 1, &err));
  assert_rows(s, "SELECT node,done,total,text,at_ms FROM progress",
              "1|2.5|10.0|halfway|1700000000001");
  fl_store_close(s);
  remove_dir(dir);
}

static bool note_item(void *ud, const fl_item_row *row) {
  fl_buf *out = ud;
  fl_buf_addf(out, "%u %s of %u at %u %s; ", row->node, row->name, row->map_node, row->position,
              row->type ? row->type : "-");
  return row->node < 6;
}

static void items_are_walked_by_node(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1000);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_item_row rows[] = {{run.row, 5, 1, 2, "clean[2]", 1, "shell"},
                        {run.row, 4, 1, 1, "clean[1]", 1, "shell"},
                        {run.row, 6, 2, 1, "load[1]", 0, NULL},
                        {run.row, 7, 2, 2, "load[2]", 0, NULL}};
  for (int i = 0; i < 4; i++) ok(fl_store_add_item(s, &rows[i], &err));
  ok(fl_store_each_item(s, run.row, note_item, &out, &err));
  assert_string_equal(fl_buf_cstr(&out), "4 clean[1] of 1 at 1 shell; 5 clean[2] of 1 at 2 shell; "
                                         "6 load[1] of 2 at 1 -; ");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_newest_checkpoint_comes_back),
      cmocka_unit_test(a_replaced_checkpoint_leaves_nothing),
      cmocka_unit_test(a_large_checkpoint_comes_back),
      cmocka_unit_test(a_checkpoint_that_was_changed_is_found),
      cmocka_unit_test(steps_are_remembered_by_name),
      cmocka_unit_test(progress_is_the_last_one),
      cmocka_unit_test(items_are_walked_by_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
