// Script snapshots and definitions: kept once by digest, checked when read.
#include "store_helper.h"

static fl_snapshot make_snapshot(const char *dir, const char *module) {
  fl_snapshot snapshot = {.dir = strdup(dir), .count = 2};
  snapshot.sources = calloc(2, sizeof *snapshot.sources);
  snapshot.sources[0] = (fl_source){strdup("flow.lua"), strdup("return require 'm'"), 18};
  snapshot.sources[1] = (fl_source){strdup("lib/m.lua"), strdup(module), strlen(module)};
  fl_snapshot_digest(&snapshot);
  return snapshot;
}

static void the_digest_is_over_names_and_contents_not_over_the_folder(void **state) {
  fl_snapshot a = make_snapshot("/a", "x"), b = make_snapshot("/b", "x"),
              c = make_snapshot("/a", "y");
  (void)state;
  assert_memory_equal(a.digest, b.digest, FL_DIGEST_SIZE);
  assert_memory_not_equal(a.digest, c.digest, FL_DIGEST_SIZE);
  // Moving a byte from a name to a content is another script.
  free(c.sources[1].path), free(c.sources[1].data);
  c.sources[1] = (fl_source){strdup("lib/m.lu"), strdup("ax"), 2};
  fl_snapshot_digest(&c);
  assert_memory_not_equal(a.digest, c.digest, FL_DIGEST_SIZE);
  fl_snapshot_deinit(&a), fl_snapshot_deinit(&b), fl_snapshot_deinit(&c);
}

static void the_digest_tells_by_which_rules_a_script_is_read(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  fl_snapshot before = make_snapshot("/a", "x"), now = make_snapshot("/a", "x"), out;
  now.language = FL_LANGUAGE;
  fl_snapshot_digest(&now);
  ok(fl_store_put_script(s, &before, &err));
  ok(fl_store_put_script(s, &now, &err));
  assert_int_not_equal(before.store_id, now.store_id);
  ok(fl_store_commit(s, &err));
  ok(fl_store_get_script(s, before.store_id, &out, &err));
  assert_int_equal(out.language, 0);
  fl_snapshot_deinit(&out);
  ok(fl_store_get_script(s, now.store_id, &out, &err));
  assert_int_equal(out.language, FL_LANGUAGE);
  out.sources[1].data[0] = 'y';
  assert_false(fl_snapshot_identify(&out, now.digest));
  fl_snapshot_deinit(&out), fl_snapshot_deinit(&before), fl_snapshot_deinit(&now);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_script_is_kept_once_and_comes_back_whole(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  fl_snapshot a = make_snapshot("/a", "return '\x01\xff'"),
              b = make_snapshot("/b", "return '\x01\xff'");
  ok(fl_store_put_script(s, &a, &err));
  ok(fl_store_put_script(s, &b, &err));
  assert_int_not_equal(a.store_id, b.store_id); // another folder, the same sources
  int64_t id = a.store_id;
  a.store_id = 0;
  ok(fl_store_put_script(s, &a, &err));
  assert_int_equal(a.store_id, id);
  ok(fl_store_commit(s, &err));
  assert_int_equal(number_of(s, "SELECT count(*) FROM source"), 2);
  fl_snapshot out;
  ok(fl_store_get_script(s, b.store_id, &out, &err));
  assert_string_equal(out.dir, "/b");
  assert_int_equal(out.count, 2);
  assert_int_equal(out.store_id, b.store_id);
  assert_memory_equal(out.digest, a.digest, FL_DIGEST_SIZE);
  assert_string_equal(out.sources[0].path, "flow.lua");
  assert_string_equal(out.sources[1].path, "lib/m.lua");
  assert_int_equal(out.sources[1].size, 11);
  assert_memory_equal(out.sources[1].data, "return '\x01\xff'", 11);
  fl_snapshot_deinit(&out);
  fails(fl_store_get_script(s, 99, &out, &err), FL_E_NOT_FOUND, "no script 99");
  sqlite3_exec(s->db, "UPDATE source SET data=x'41' WHERE data LIKE 'return ''%'", NULL, NULL,
               NULL);
  sqlite3_exec(s->db, "UPDATE source SET data=x'41' WHERE id=2", NULL, NULL, NULL);
  fails(fl_store_get_script(s, id, &out, &err), FL_E_CORRUPT, "its digest differs");
  assert_int_equal(out.count, 0);
  fl_snapshot_deinit(&a), fl_snapshot_deinit(&b);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_digest_is_over_names_and_contents_not_over_the_folder),
      cmocka_unit_test(the_digest_tells_by_which_rules_a_script_is_read),
      cmocka_unit_test(a_script_is_kept_once_and_comes_back_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
