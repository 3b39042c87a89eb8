// Out of memory: every allocation that SQLite asks for is refused once, and from there on. A store
// says so, and is whole afterwards.
#include "store_helper.h"

static sqlite3_mem_methods real;
static int countdown; // allocations until the first refused one; 0: none is
static bool for_ever, refused;

static bool refuse(void) {
  if (!countdown) return false;
  if (countdown > 1) return countdown--, false;
  if (!for_ever) countdown = 0;
  return refused = true;
}

static void *rigged_malloc(int size) {
  return refuse() ? NULL : real.xMalloc(size);
}
static void *rigged_realloc(void *old, int size) {
  return refuse() ? NULL : real.xRealloc(old, size);
}

static void rig(int at, bool ever) {
  countdown = at;
  for_ever = ever;
  refused = false;
}

/// Opens, writes one more attempt of the run, commits, reads. Stops at the first error.
static fl_code work(const char *dir, uint32_t number) {
  fl_store *s = NULL;
  fl_store_options options = {.durability = FL_DURABILITY_GROUP};
  fl_run_row row = {0};
  fl_value *value = NULL, *read = NULL;
  char text[64];
  snprintf(text, sizeof text, "{\"n\":%u}", number);
  fl_code code = fl_store_open(dir, &options, &s, &err);
  if (!code) code = fl_store_find_run(s, "last", &row, &err);
  if (!code) value = fl_value_new(text, strlen(text));
  if (!code) code = fl_store_put_value(s, value, &err);
  if (!code) code = fl_store_put_checkpoint(s, row.row, 0, number, T0 + number, value, &err);
  if (!code) code = fl_store_commit(s, &err);
  if (!code) code = fl_store_get_checkpoint(s, row.row, 0, &read, &err);
  if (!code) assert_string_equal(read->text, text);
  if (!code) code = fl_store_check_run(s, row.row, &err);
  fl_value_unref(value);
  fl_value_unref(read);
  fl_run_row_deinit(&row);
  fl_store_close(s);
  return code;
}

static void refuse_each(bool ever) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t number = 1, at = 1;
  fl_store *s = open_store(dir);
  add_run(s, "20231114T221320-00000001", &run);
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  do {
    rig((int)at, ever);
    fl_code code = work(dir, number);
    rig(0, false);
    // What failed is said with a sentence, and the next one finds a whole store.
    if (code && !err.message[0]) fail_msg("allocation %u: no message", at);
    ok(work(dir, number + 1));
    number += 2;
    rig((int)at, ever);
    (void)!work(dir, number);
    at += 1 + at / 16;
  } while (refused);
  rig(0, false);
  assert_true(at > 100);
  remove_dir(dir);
}

static void each_allocation_may_be_refused_once(void **state) {
  (void)state;
  refuse_each(false);
}

static void all_allocations_may_be_refused_from_one_on(void **state) {
  (void)state;
  refuse_each(true);
}

int main(void) {
  sqlite3_mem_methods rigged;
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real)) return 1;
  rigged = real;
  rigged.xMalloc = rigged_malloc;
  rigged.xRealloc = rigged_realloc;
  // Else what is small comes from memory that was taken before.
  if (sqlite3_config(SQLITE_CONFIG_MALLOC, &rigged) ||
      sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0))
    return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_allocation_may_be_refused_once),
      cmocka_unit_test(all_allocations_may_be_refused_from_one_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
