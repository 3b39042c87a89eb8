// The image of an empty store that was made while building is what the schema makes now.
#include "store_helper.h"

static void the_image_is_what_the_schema_makes(void **state) {
  size_t size;
  unsigned char *built = fl_store_image_build(&size);
  (void)state;
  assert_non_null(built);
  assert_int_equal(size, fl_store_image_size);
  assert_memory_equal(built, fl_store_image, size);
  sqlite3_free(built);
}

static void the_image_is_a_sound_database_with_a_log(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  assert_rows(s, "PRAGMA integrity_check", "ok");
  assert_int_equal(number_of(s, "PRAGMA application_id"), FL_STORE_APPLICATION_ID);
  assert_int_equal(number_of(s, "PRAGMA page_size"), 4096);
  assert_int_equal(number_of(s, "PRAGMA auto_vacuum"), 2);
  assert_int_equal(number_of(s, "SELECT count(*) FROM reason"), FL_REASON_COUNT);
  assert_int_equal(fl_store_image[18], 2);
  assert_int_equal(fl_store_image[19], 2);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_image_is_what_the_schema_makes),
      cmocka_unit_test(the_image_is_a_sound_database_with_a_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
