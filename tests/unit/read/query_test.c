// Lists of runs: which ones, in what order, from where on, and by which index.
#include "read/read_internal.h"
#include "store_helper.h"

static char *dir;
static fl_store *s;

/// Twelve runs r00 to r11: three flows in turn, every fourth failed, r06 and r07 called by r00,
/// logical times that go back two hours with every run.
static int open_box(void **state) {
  fl_run_row row;
  (void)state;
  dir = make_dir();
  s = open_store(dir);
  static const char *const flows[] = {"sales", "stock", "staff"};
  for (int i = 0; i < 12; i++) {
    char sql[256], id[8];
    snprintf(id, sizeof id, "r%02d", i);
    add_run(s, id, &row);
    snprintf(sql, sizeof sql,
             "UPDATE run SET flow='%s',state=%d,time_ms=%lld,\"trigger\"='%s',parent_run=%s"
             " WHERE row=%lld",
             flows[i % 3], i % 4 == 3 ? FL_RUN_FAILED : FL_RUN_SUCCEEDED,
             (long long)(T0 - i * 7200000), i % 2 ? "schedule" : "manual",
             i == 6 || i == 7 ? "1" : "NULL", (long long)row.row);
    ok(fl_store_exec(s, sql, &err));
    ok(fl_store_commit(s, &err));
  }
  return 0;
}

static int close_box(void **state) {
  (void)state;
  fl_store_close(s);
  remove_dir(dir);
  return 0;
}

static void asks(const fl_run_query *query, const char *expected) {
  fl_buf out, ids;
  fl_buf_init(&out, 1 << 20), fl_buf_init(&ids, 1 << 16);
  ok(fl_read_store_runs(s, query, &out, &err));
  json_t *list = parse(&out), *run;
  size_t i;
  json_array_foreach(list, i, run) fl_buf_addf(&ids, "%s%s", i ? " " : "", text_at(run, "id"));
  assert_string_equal(fl_buf_cstr(&ids), expected);
  json_decref(list);
  fl_buf_deinit(&out), fl_buf_deinit(&ids);
}

static void runs_are_chosen_by_what_they_are(void **state) {
  (void)state;
  asks(&(fl_run_query){.limit = 3}, "r11 r10 r09");
  asks(&(fl_run_query){.flow = "stock"}, "r10 r07 r04 r01");
  asks(&(fl_run_query){.flow = "none"}, "");
  asks(&(fl_run_query){.status = "failed"}, "r11 r07 r03");
  asks(&(fl_run_query){.status = "failed", .flow = "sales"}, "r03");
  asks(&(fl_run_query){.status = "succeeded", .flow = "sales", .trigger = "schedule"}, "r09");
  asks(&(fl_run_query){.trigger = "schedule", .limit = 2}, "r11 r09");
  asks(&(fl_run_query){.parent = "r00"}, "r07 r06");
  asks(&(fl_run_query){.top_only = true, .flow = "stock"}, "r10 r04 r01");
  // From a time on, before a time; by the logical time then.
  asks(&(fl_run_query){.from_ms = T0 - 2 * 7200000}, "r00 r01 r02");
  asks(&(fl_run_query){.from_ms = T0 - 5 * 7200000, .to_ms = T0 - 2 * 7200000}, "r03 r04 r05");
  asks(&(fl_run_query){.to_ms = T0 - 8 * 7200000, .flow = "staff"}, "r11");
}

static void pages_follow_each_other(void **state) {
  (void)state;
  asks(&(fl_run_query){.flow = "sales", .limit = 2}, "r09 r06");
  asks(&(fl_run_query){.flow = "sales", .limit = 2, .before = "r06"}, "r03 r00");
  asks(&(fl_run_query){.flow = "sales", .limit = 2, .before = "r00"}, "");
  asks(&(fl_run_query){.flow = "sales", .limit = 2, .after = "r00"}, "r06 r03");
  asks(&(fl_run_query){.flow = "sales", .after = "r03"}, "r09 r06");
  asks(&(fl_run_query){.limit = 2, .before = "r01"}, "r00");
  asks(&(fl_run_query){.limit = 3, .after = "r08"}, "r11 r10 r09");
  asks(&(fl_run_query){.to_ms = T0, .limit = 2, .before = "r03"}, "r04 r05");
  asks(&(fl_run_query){.to_ms = T0, .limit = 2, .after = "r03"}, "r01 r02");
}

static void a_wrong_query_is_told(void **state) {
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1 << 16);
  fails(fl_read_store_runs(s, &(fl_run_query){.status = "done"}, &out, &err), FL_E_USAGE,
        "no run has the status 'done': one of queued, running");
  fails(fl_read_store_runs(s, &(fl_run_query){.before = "nobody"}, &out, &err), FL_E_NOT_FOUND,
        "there is no run 'nobody'");
  fails(fl_read_store_runs(s, &(fl_run_query){.before = "r01", .after = "r02"}, &out, &err),
        FL_E_USAGE, "not both");
  fl_buf_deinit(&out);
}

/// However it is asked, nothing is scanned and nothing sorted.
static void every_query_goes_by_an_index(void **state) {
  (void)state;
  for (int bits = 0; bits < 1 << 8; bits++) {
    fl_run_query query = {
        .flow = bits & 1 ? "sales" : NULL,
        .status = bits & 2 ? (bits & 1 ? "succeeded" : "failed") : NULL,
        .trigger = bits & 4 ? "manual" : NULL,
        .parent = bits & 8 ? "r00" : NULL,
        .from_ms = bits & 16 ? T0 - 86400000 : 0,
        .to_ms = bits & 32 ? T0 : 0,
        .before = bits & 64 && !(bits & 128) ? "r05" : NULL,
        .after = bits & 128 && !(bits & 64) ? "r05" : NULL,
        .limit = 50,
    };
    sqlite3_stmt *st = NULL;
    ok(fl_read_prepare_runs(s, &query, &st, &err));
    char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(st)), *plan = text_of(s, sql);
    // A run's sub-flows are few: those may be put into the order of time.
    bool sorted = strstr(plan, "TEMP B-TREE") && !query.parent;
    if (!strstr(plan, "SEARCH run") || strstr(plan, "SCAN") || sorted)
      fail_msg("%s\n%s", sql, plan);
    sqlite3_free(sql), free(plan);
    sqlite3_finalize(st);
  }
}

int main(void) {
#define row(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)
  const struct CMUnitTest tests[] = {
      row(runs_are_chosen_by_what_they_are),
      row(pages_follow_each_other),
      row(a_wrong_query_is_told),
      row(every_query_goes_by_an_index),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
