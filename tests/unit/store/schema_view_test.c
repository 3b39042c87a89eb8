// The public views: names, text states, columns that stay, and speed by index.
#include "store_helper.h"

static void views_join_all_into_names(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"a\":1}");
  add_ended(s, &run, 1, 1, 3, FL_ATTEMPT_FAILED, NULL);
  decide(s, &run, 2, 5, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "clean");
  fl_item_row item = {run.row, 4, 3, 1, "report[1]", put_text(s, "7"), "shell"};
  ok(fl_store_add_item(s, &item, &err));
  fl_epoch_row e = {.epoch = 1, .owner = (char *)"me", .at_ms = T0, .patch = 1};
  ok(fl_store_put_epoch(s, run.row, &e, &err));
  ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, T0 + 300, "clean failed", &err));
  ok(fl_store_take_run(s, run.row, "other", 0, true, &epoch, &err));

  assert_rows(s,
              "SELECT id,flow,status,time,trigger,params,started_at,ended_at,duration_ms,resumes,"
              "error,owner,leased,node_count FROM v_run",
              "r1|sales|failed|2023-11-14T22:13:20.000Z|manual|-|2023-11-14T22:13:20.005Z|"
              "2023-11-14T22:13:20.300Z|295|1|clean failed|other|1|4");
  assert_rows(s, "SELECT count(*) FROM v_run WHERE version GLOB 'sha256:*' AND length(version)=71",
              "1");
  assert_rows(s,
              "SELECT name,type,status,reason,detail,attempts,exit_code,outputs,map,item"
              " FROM v_node WHERE run='r1' ORDER BY node",
              "extract|shell|succeeded|ready|-|1|0|{\"a\":1}|-|-\n"
              "clean|lua|failed|ready|-|1|1|-|-|-\n"
              "load|sql|upstream_failed|upstream_failed|clean|0|-|-|-|-\n"
              "report|lua|pending|-|-|0|-|-|-|-\n"
              "report[1]|shell|pending|-|-|0|-|-|report|7");
  assert_rows(s, "SELECT parent,node FROM v_edge ORDER BY 1,2",
              "clean|load\nextract|clean\nextract|report\nload|report");
  assert_rows(s, "SELECT name,number,status,error,duration_ms,synthetic FROM v_attempt",
              "extract|1|succeeded|-|100|0\nclean|1|failed|exit code 1|100|0");
  assert_rows(s, "SELECT name,number,outputs FROM v_context", "extract|1|{\"a\":1}\nclean|1|-");
  assert_rows(s, "SELECT name,status,reason,text,detail FROM v_decision",
              "load|upstream_failed|upstream_failed|something it depends on failed|clean");
  assert_rows(s, "SELECT event,node,status FROM v_event WHERE run='r1' ORDER BY seq",
              "run_created|-|queued\nnode_started|extract|running\n"
              "node_finished|extract|succeeded\nnode_started|clean|running\n"
              "node_finished|clean|failed\nnode_decided|load|upstream_failed\n"
              "run_finished|-|failed");
  assert_rows(s, "SELECT epoch,owner,patch FROM v_epoch", "1|me|{}");
  assert_rows(s, "SELECT dir,path,CAST(data AS TEXT) FROM v_script",
              "/srv/flows|sales.lua|return sales");
  fl_store_close(s);
  remove_dir(dir);
}

// What users' queries rely on: columns may be added at the end of a list, never renamed or removed.
// docs/data.md has the same lists.
static void the_columns_of_the_views_stay(void **state) {
  static const char *const views[][2] = {
      {"v_run", "id flow version status time trigger params vars replay_of created_at started_at "
                "ended_at duration_ms resumes parent parent_node error owner leased lease_until "
                "epoch cancel selection interval_from interval_to node_count fork_of origin"},
      {"v_node", "run node name type hook map position item status reason detail attempts "
                 "started_at ended_at duration_ms exit_code signal error outputs vars checkpoint "
                 "progress_done progress_total progress_text cpu_ms rss_max_bytes removed place"},
      {"v_edge", "run parent node"},
      {"v_attempt", "run node name number status reason end_reason epoch seq end_seq claimed_at "
                    "started_at ended_at duration_ms exit_code signal error synthetic pid retry_at "
                    "child_run cpu_us rss_max_bytes log_path log_offset log_size log_total"},
      {"v_context", "run node name number run_params params vars vars_out vars_by outputs recorded "
                    "item"},
      {"v_decision", "run node name seq epoch status reason text detail at"},
      {"v_event", "run seq at event node attempt status reason detail"},
      {"v_epoch", "run epoch owner supervisor at patch reason author"},
      {"v_script", "run version dir position path data"},
      {"v_node_name", "run_row run node name type parents hook map position item removed "
                      "place"},
      {"v_breakpoint", "run seq epoch node attempt at"},
      {"v_proposal", "run number epoch at origin reason patch automatic applied_epoch"},
  };
  char *dir = make_dir(), sql[128];
  (void)state;
  fl_store *s = open_store(dir);
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    snprintf(sql, sizeof sql, "SELECT group_concat(name,' ') FROM pragma_table_info('%s')",
             views[i][0]);
    assert_rows(s, sql, views[i][1]);
  }
  fl_store_close(s);
  remove_dir(dir);
}

// A view asked for one run must go by index, or a tool that watches a large store reads all of it.
static void views_of_one_run_go_by_index(void **state) {
  static const char *const views[] = {"v_node",  "v_attempt", "v_context", "v_decision",
                                      "v_event", "v_epoch",   "v_edge",    "v_script"};
  char *dir = make_dir(), sql[160];
  (void)state;
  fl_store *s = open_store(dir);
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN SELECT * FROM %s WHERE run='r1'", views[i]);
    char *plan = text_of(s, sql);
    static const char *const large[] = {"SCAN a\n", "SCAN attempt", "SCAN d\n", "SCAN decision",
                                        "SCAN i\n", "SCAN v\n",     "SCAN r\n"};
    for (size_t k = 0; k < sizeof large / sizeof *large; k++)
      if (strstr(plan, large[k])) fail_msg("%s: %s", views[i], plan);
    free(plan);
  }
  fl_store_close(s);
  remove_dir(dir);
}

static void another_tool_reads_while_a_transaction_is_open(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  fl_run_row run;
  sqlite3 *db = NULL;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, NULL);
  assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  fl_store tool = {.db = db};
  assert_rows(&tool, "SELECT name,status FROM v_node LIMIT 1", "extract|pending");
  ok(fl_store_commit(s, &err));
  assert_rows(&tool, "SELECT name,status FROM v_node LIMIT 1", "extract|succeeded");
  sqlite3_close(db);
  fl_store_close(s);
  free(file), remove_dir(dir);
}

// What base/state.h says of states, its statements say as well.
static void statements_and_code_mean_the_same_by_a_state(void **state) {
  char *dir = make_dir(), sql[1024];
  (void)state;
  fl_store *s = open_store(dir);
  for (int a = 0; a < FL_ATTEMPT_STATE_COUNT; a++)
    for (int retries = 0; retries < 2; retries++) {
      snprintf(sql, sizeof sql,
               "SELECT " FL_SQL_NODE_OF("x", "y") " FROM (SELECT %d AS x, %d AS y)", a, retries);
      assert_rows(s, sql, fl_node_state_text(fl_node_state_of((fl_attempt_state)a, retries)));
    }
  for (int r = 0; r < FL_RUN_STATE_COUNT; r++) {
    bool final = fl_run_state_is_final((fl_run_state)r);
    snprintf(sql, sizeof sql, "SELECT %d" FL_SQL_RUN_IS_FINAL("") ", %d" FL_SQL_RUN_IS_OPEN(""), r,
             r);
    assert_rows(s, sql, final ? "1|0" : "0|1");
  }
  assert_rows(s, "SELECT 99" FL_SQL_RUN_IS_FINAL(""), "0");
  snprintf(sql, sizeof sql, "%d|%d|%d", FL_ATTEMPT_SUCCEEDED, FL_RUN_FAILED, FL_NODE_PENDING);
  assert_rows(
      s, "SELECT " FL_SQL_SUCCEEDED "," FL_SQL_RUN_STATE("failed") "," FL_SQL_NODE_STATE("pending"),
      sql);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(views_join_all_into_names),
      cmocka_unit_test(the_columns_of_the_views_stay),
      cmocka_unit_test(views_of_one_run_go_by_index),
      cmocka_unit_test(another_tool_reads_while_a_transaction_is_open),
      cmocka_unit_test(statements_and_code_mean_the_same_by_a_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
