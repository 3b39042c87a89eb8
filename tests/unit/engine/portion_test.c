// Large runs are worked on in portions: a step that has no time does one of each, and whatever
// happens between two of them, nothing is lost.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "engine/run_internal.h"
#include "fake_engine.h"

static const fl_node_options process = {
    .kind = FL_KIND_PROCESS, .lost_count_max = 2, .grace_ms = 1000};

#define WIDE 200 // nodes: several portions

/// A flow of `count` nodes that wait for nothing. Its graph is to be freed.
static fl_flow wide_flow(fake_engine *f, uint32_t count) {
  fl_flow flow = f->flow;
  fl_graph *g = fl_graph_new();
  fl_node_options o = process;
  fl_error err;
  uint32_t index;
  o.type = "test";
  for (uint32_t i = 0; i < count; i++) {
    char name[16];
    int size = snprintf(name, sizeof name, "n%u", i);
    assert_int_equal(fl_graph_add(g, name, (size_t)size, &o, &index, &err), FL_OK);
  }
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  flow.key = "wide";
  flow.graph = g;
  return flow;
}

static void close_with(fake_engine *f, fl_flow *flow) {
  fl_scheduler_free(f->scheduler);
  f->scheduler = NULL;
  fl_graph_free((fl_graph *)flow->graph);
  fake_close(f);
}

/// A step that has no time; the store is nobody's behind it. False: nothing is left to be done.
static bool step(fake_engine *f) {
  bool again;
  fl_error err;
  f->told[0] = f->started[0] = 0;
  assert_int_equal(fl_scheduler_step(f->scheduler, 0, &again, &err), FL_OK);
  assert_false(fl_store_is_open(f->store));
  return again;
}

// As another process does it. Returns the first column of the first row, 0: there is none.
static int64_t ask(fake_engine *f, const char *sql) {
  char path[512];
  sqlite3 *db;
  sqlite3_stmt *st;
  int64_t n = 0;
  snprintf(path, sizeof path, "%s/flowlua.db", f->dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  for (const char *rest = sql; *rest;) {
    assert_int_equal(sqlite3_prepare_v2(db, rest, -1, &st, &rest), SQLITE_OK);
    if (sqlite3_step(st) == SQLITE_ROW) n = sqlite3_column_int64(st, 0);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
  }
  sqlite3_close(db);
  return n;
}

static fl_run *ask_for(fake_engine *f, fl_flow *flow, fl_snapshot *snapshot) {
  fl_run *run;
  fl_error err;
  fl_run_spec spec = {.flow = flow, .snapshot = snapshot, .params = fl_value_empty_map()};
  assert_int_equal(fl_scheduler_start_run(f->scheduler, &spec, &run, &err), FL_OK);
  return run;
}

// ------------------------------------------------------------------------------------- first
// record

enum { STAYS, DIES, IS_SWEPT, IS_ASKED_FOR };

// In the midst of it the engine dies, a prune of another process sweeps away what no run names yet,
// or a reader wants to find the run.
static void a_large_flow_is_recorded_in_portions(void **state) {
  (void)state;
  for (int what = STAYS; what <= IS_ASKED_FOR; what++) {
    fake_engine f;
    fl_error err;
    fl_snapshot snapshot;
    fake_open(&f, 1, "a", process);
    fake_snapshot(&snapshot);
    fl_flow wide = wide_flow(&f, WIDE);
    fl_run *run = ask_for(&f, &wide, &snapshot), *other = ask_for(&f, &wide, &snapshot);
    int steps = 0;
    for (; !run->row.row; steps++) {
      assert_true(step(&f));
      if (steps != 6) continue;
      assert_in_range(ask(&f, "SELECT count(*) FROM definition_node"), 64, WIDE - 1);
      assert_int_equal(ask(&f, "SELECT count(*) FROM run"), 0);
      if (what == IS_ASKED_FOR)
        assert_int_equal(fl_scheduler_record_runs(f.scheduler, &err), FL_OK);
      if (what == IS_ASKED_FOR) assert_true(run->row.row && other->row.row);
      if (what == IS_SWEPT) (void)ask(&f, "DELETE FROM definition; DELETE FROM definition_node");
      if (what != DIES) continue;
      fake_crash(&f);
      fake_open_scheduler(&f, 1);
      wide.has_digest = false;
      run = ask_for(&f, &wide, &snapshot), other = ask_for(&f, &wide, &snapshot);
    }
    assert_in_range(steps, what == IS_ASKED_FOR ? 7 : 8, 24);
    assert_int_equal(ask(&f, "SELECT count(*) FROM definition_node"), WIDE);
    assert_int_equal(ask(&f, "SELECT count(*) FROM definition WHERE node_count=200"), 1);
    while (!other->row.row) assert_true(step(&f)); // it finds what is there
    assert_int_equal(ask(&f, "SELECT count(DISTINCT definition) FROM run"), 1);
    free(snapshot.sources);
    close_with(&f, &wide);
  }
}

static fl_flow called;
static fl_code call(const fl_flow *flow, fl_attempt *a, const fl_flow **sub, fl_value **params,
                    fl_error *err) {
  (void)a, (void)err;
  called.script_store_id = flow->script_store_id;
  *sub = &called;
  *params = fl_value_ref(fl_value_empty_map());
  return FL_OK;
}

// The call names its run from the commit on that has it.
static void a_large_flow_that_is_called_is_recorded_in_portions(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  static const fl_hooks hooks = {.command = fake_command, .call = call};
  o.kind = FL_KIND_CALL;
  fake_open(&f, 1, "a", o);
  called = wide_flow(&f, WIDE);
  f.flow.hooks = &hooks;
  fl_snapshot snapshot;
  fake_snapshot(&snapshot);
  fl_run *run = ask_for(&f, &f.flow, &snapshot);
  int portions = 0;
  while (!f.live_count) {
    assert_true(step(&f));
    int64_t nodes = ask(&f, "SELECT count(*) FROM definition_node");
    int64_t runs = ask(&f, "SELECT count(*) FROM run");
    portions += nodes > 1 && nodes < WIDE + 1;
    if (runs == 2) assert_int_equal(nodes, WIDE + 1);
    assert_int_equal(ask(&f, "SELECT count(child_run) FROM attempt WHERE run=1"), runs == 2);
  }
  assert_in_range(portions, 2, 8);
  assert_int_equal(run->nodes[0].live->child_run, 2);
  free(snapshot.sources);
  close_with(&f, &called);
}

// ------------------------------------------------------------------------------------- decisions

// A fan: "n0", then all the others, then "last", which runs whatever became of them.
static fl_flow fan_flow(fake_engine *f, uint32_t count) {
  fl_flow flow = f->flow;
  fl_graph *g = fl_graph_new();
  fl_error err;
  for (uint32_t i = 0; i < count; i++) {
    fl_node_options o = process;
    char name[16];
    uint32_t index;
    bool last = i == count - 1;
    int size = last ? snprintf(name, sizeof name, "last") : snprintf(name, sizeof name, "n%u", i);
    o.type = "test";
    o.trigger = last ? FL_TRIGGER_ALL_DONE : FL_TRIGGER_ALL_SUCCESS;
    assert_int_equal(fl_graph_add(g, name, (size_t)size, &o, &index, &err), FL_OK);
  }
  for (uint32_t i = 1; i < count - 1; i++) fl_graph_after(g, i, 0);
  for (uint32_t i = 1; i < count - 1; i++) fl_graph_after(g, count - 1, i);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  flow.key = "fan";
  flow.graph = g;
  return flow;
}

enum { GOES_ON, IS_KILLED, IS_CANCELLED, IS_CLOSED };

static fl_run *resume_last(fake_engine *f, fl_flow *flow) {
  fl_run_row row;
  fl_run *run;
  fl_error err;
  fl_resume_spec spec = {.flow = flow};
  f->fate = FL_FATE_LOST;
  fake_open_scheduler(f, 1);
  assert_int_equal(fl_store_find_run(f->store, "last", &row, &err), FL_OK);
  assert_int_equal(fl_scheduler_resume_run(f->scheduler, &row, &spec, &run, &err), FL_OK);
  fl_run_row_deinit(&row);
  return run;
}

#define FAN     2000 // children: more than the plan looks at at once
#define DECIDED "SELECT count(DISTINCT node) FROM decision WHERE state="

static void fail_first(fake_engine *f) {
  fl_attempt *a = f->live[0];
  assert_string_equal(fl_attempt_get_name(a), "n0");
  fake_take(f, a);
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = 1});
}

// With the failure of one node all that stand behind it are decided about. Meanwhile the engine is
// killed, or the run is cancelled, or the engine is to be closed.
static void many_decisions_are_recorded_in_portions(void **state) {
  (void)state;
  for (int what = GOES_ON; what <= IS_CLOSED; what++) {
    fake_engine f;
    fl_error err;
    fl_run_row row;
    char sql[96];
    fake_open(&f, 1, "a", process);
    fl_flow fan = fan_flow(&f, FAN + 2);
    fl_run *run = fake_run_of(&f, &fan);
    snprintf(sql, sizeof sql, DECIDED "%d", FL_NODE_UPSTREAM_FAILED);
    assert_false(step(&f)); // from now on there is no time
    fail_first(&f);
    int64_t decided = 0;
    bool again = true;
    int steps = 0;
    for (; again && !f.live_count; steps++) {
      again = step(&f);
      int64_t now = ask(&f, sql);
      assert_in_range(now - decided, 0, 48);
      decided = now;
      if (steps != 3) continue;
      assert_in_range(decided, 16, FAN / 2);
      if (what == IS_CANCELLED) fl_scheduler_cancel_run(f.scheduler, run, false, false);
      if (what == IS_CLOSED) fl_scheduler_cancel_all(f.scheduler, false);
      while (what == IS_CLOSED && step(&f)) continue;
      if (what == IS_CLOSED) assert_int_equal(fl_store_check_run(f.store, 1, &err), FL_OK);
      if (what != IS_KILLED && what != IS_CLOSED) continue;
      fake_crash(&f);
      (void)resume_last(&f, &fan);
      while (step(&f)) continue;
      fail_first(&f); // what failed has run once more
      decided = ask(&f, sql);
    }
    assert_in_range(steps, FAN / 48, FAN / 8);
    assert_int_equal(ask(&f, sql), FAN); // whoever comes behind them sees what all have left
    assert_int_equal(f.live_count, what != IS_CANCELLED);
    if (f.live_count) fake_end(&f, "last", FL_ATTEMPT_SUCCEEDED);
    assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
    assert_int_equal(row.state, what == IS_CANCELLED ? FL_RUN_CANCELLED : FL_RUN_FAILED);
    assert_int_equal(fl_store_check_run(f.store, row.row, &err), FL_OK);
    fl_run_row_deinit(&row);
    close_with(&f, &fan);
  }
}

// ------------------------------------------------------------------------------------- maps

static int lists_made, list_size;
static fl_code expand_many(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                           fl_error *err) {
  (void)flow, (void)a, (void)err;
  lists_made++;
  *count = (size_t)list_size;
  *items = fl_alloc_zero((size_t)list_size, sizeof **items);
  for (size_t i = 0; i < *count; i++) {
    char text[16];
    int size = snprintf(text, sizeof text, "%zu", i);
    (*items)[i] = fl_value_new(text, (size_t)size);
  }
  return FL_OK;
}

#define LONG  400
#define ITEMS "SELECT count(*) FROM item"

// A map of so many items.
static fl_flow map_flow(fake_engine *f, int size) {
  static const fl_hooks hooks = {.command = fake_command, .expand = expand_many};
  fl_node_options o = process;
  fl_graph *g = fl_graph_new();
  fl_error err;
  uint32_t index;
  fake_open(f, 1, "a", process);
  fl_flow flow = f->flow;
  o.type = "test";
  o.kind = FL_KIND_MAP;
  o.timeout_ms = 1000;
  assert_int_equal(fl_graph_add(g, "m", 1, &o, &index, &err), FL_OK);
  o.kind = FL_KIND_PROCESS;
  o.timeout_ms = 0;
  fl_graph_set_inner(g, 0, &o);
  assert_int_equal(fl_graph_freeze(g, &err), FL_OK);
  flow.key = "map";
  flow.graph = g;
  flow.hooks = &hooks;
  list_size = size;
  lists_made = 0;
  return flow;
}

enum { TIMES_OUT = IS_CLOSED + 1 };

// No item starts before all are there. Meanwhile the engine is killed, and the list made again, or
// the map is ended with all of its items.
static void a_large_map_is_listed_in_portions(void **state) {
  (void)state;
  for (int what = GOES_ON; what <= TIMES_OUT; what++) {
    fake_engine f;
    fl_error err;
    fl_run_row row;
    fl_snapshot snapshot;
    fl_flow flow = map_flow(&f, LONG);
    fake_snapshot(&snapshot);
    fl_run *run = ask_for(&f, &flow, &snapshot);
    int portions = 0, steps = 0;
    bool again = true;
    for (; again && !f.live_count; steps++) {
      again = step(&f);
      int64_t listed = ask(&f, ITEMS);
      assert_int_equal(ask(&f, "SELECT count(*) FROM attempt WHERE state<>0") > 0, listed == LONG);
      if (listed == 0 || listed == LONG) continue;
      if (++portions != 2) continue;
      assert_in_range(listed, 64, LONG - 64);
      if (what == IS_CANCELLED) fl_scheduler_cancel_run(f.scheduler, run, false, false);
      if (what == IS_CLOSED) fl_scheduler_cancel_all(f.scheduler, false);
      while (what == IS_CLOSED && step(&f)) continue;
      if (what == TIMES_OUT) f.now_ms += 2000;
      if (what != IS_KILLED && what != IS_CLOSED) continue;
      fake_crash(&f);
      run = resume_last(&f, &flow);
    }
    assert_in_range(portions, 2, LONG / 64 + 2);
    assert_int_equal(lists_made, what == IS_KILLED ? 2 : 1);
    assert_int_equal(ask(&f, "SELECT count(DISTINCT position) FROM item"), LONG);
    assert_int_equal(ask(&f, ITEMS), LONG);
    bool ended = what == IS_CANCELLED || what == TIMES_OUT;
    assert_int_equal(f.live_count, !ended);
    for (int i = 0; i < LONG && !ended; i++) {
      char name[16];
      snprintf(name, sizeof name, "m[%d]", i + 1);
      fake_end(&f, name, FL_ATTEMPT_SUCCEEDED);
      f.started[0] = f.told[0] = 0;
    }
    assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
    assert_int_equal(row.state, what == IS_CANCELLED ? FL_RUN_CANCELLED
                                : what == TIMES_OUT  ? FL_RUN_FAILED
                                                     : FL_RUN_SUCCEEDED);
    assert_int_equal(fl_store_check_run(f.store, row.row, &err), FL_OK);
    fl_run_row_deinit(&row);
    free(snapshot.sources);
    close_with(&f, &flow);
  }
}

// It was whole, then: what failed runs again, whatever the list would be now.
static void a_list_whose_items_have_been_at_work_is_not_made_again(void **state) {
  (void)state;
  fake_engine f;
  fl_flow flow = map_flow(&f, 2);
  (void)fake_run_of(&f, &flow);
  fake_end(&f, "m[1]", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "m[2]", FL_ATTEMPT_FAILED);
  list_size = 3;
  fake_crash(&f);
  (void)resume_last(&f, &flow);
  while (step(&f)) continue;
  fake_crash(&f); // ... when the map was claimed and had not begun
  (void)ask(&f, "UPDATE attempt SET state=0 WHERE node=0 AND number=2;"
                "DELETE FROM attempt WHERE node=2 AND number=2");
  (void)resume_last(&f, &flow);
  fake_step(&f);
  fake_end(&f, "m[2]", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(lists_made, 1);
  assert_int_equal(ask(&f, ITEMS), 2);
  close_with(&f, &flow);
}

// What it gave is forgotten bit by bit once its end is told; an engine that closes then leaves
// none.
static void a_large_run_is_freed_in_portions(void **state) {
  (void)state;
  for (int closed = 0; closed < 2; closed++) {
    fake_engine f;
    fake_open(&f, 4, "a", process);
    fl_flow wide = wide_flow(&f, WIDE);
    fake_run_of(&f, &wide);
    const fl_scheduler *s = f.scheduler;
    int portions = 0;
    for (bool again = true; again || f.live_count;) {
      while (f.live_count)
        fl_attempt_end(f.live[--f.live_count], &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED});
      again = step(&f);
      portions += !s->run_count && s->untold_count;
      if (closed && portions == 2) break;
    }
    assert_int_equal(s->untold_count, closed);
    assert_in_range(portions, 2, WIDE / 64 + 1);
    close_with(&f, &wide);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_large_flow_is_recorded_in_portions),
      cmocka_unit_test(a_large_flow_that_is_called_is_recorded_in_portions),
      cmocka_unit_test(a_large_map_is_listed_in_portions),
      cmocka_unit_test(a_list_whose_items_have_been_at_work_is_not_made_again),
      cmocka_unit_test(a_large_run_is_freed_in_portions),
      cmocka_unit_test(many_decisions_are_recorded_in_portions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
