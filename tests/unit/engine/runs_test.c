// Many runs in one engine: none of them costs another its promises, its place or its life.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "engine/run_internal.h"
#include "fake_engine.h"

static const fl_node_options process = {
    .kind = FL_KIND_PROCESS, .lost_count_max = 2, .grace_ms = 1000};

// ------------------------------------------------------------------------------------- durability

static int syncs;

static int count_sync(void *ud, int fd) {
  syncs++;
  return fl_disk_system()->fdatasync(ud, fd);
}

// Ends the live attempt of `run`, at the same instant, and returns how often the log was synced
// before that was told.
static int end_of(fake_engine *f, fl_run *run) {
  for (size_t i = 0; i < f->live_count; i++) {
    fl_attempt *a = f->live[i];
    if (a->run != run) continue;
    fake_take(f, a);
    syncs = 0;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    fake_step(f);
    return syncs;
  }
  fail_msg("nothing of that run is live");
  return -1;
}

static void what_a_run_acknowledges_is_as_durable_as_its_own_flow_says(void **state) {
  (void)state;
  fl_disk disk = *fl_disk_system();
  disk.fdatasync = count_sync;
  fake_disk = &disk;
  fake_engine f;
  fake_open(&f, 4, "a b:a c:b d:c", process);
  fl_flow full = f.flow, group = f.flow;
  full.key = "full", full.durability = FL_DURABILITY_FULL;
  group.key = "group", group.durability = FL_DURABILITY_GROUP;
  fl_run *first = fake_run_of(&f, &full), *second = fake_run_of(&f, &group);
  // The clock stands still: of the second nothing is due before 100 ms have passed.
  for (int i = 0; i < 3; i++) {
    assert_int_equal(end_of(&f, first), 1);
    assert_int_equal(end_of(&f, second), 0);
  }
  assert_int_equal(fl_scheduler_get_due_ms(f.scheduler), 100);
  syncs = 0;
  f.now_ms += 100, fake_step(&f);
  assert_int_equal(syncs, 1);
  fake_close(&f);
  fake_disk = NULL;
}

static void of_a_commit_of_many_runs_the_strictest_decides(void **state) {
  (void)state;
  fl_disk disk = *fl_disk_system();
  disk.fdatasync = count_sync;
  fake_disk = &disk;
  for (int order = 0; order < 2; order++) {
    fake_engine f;
    fake_open(&f, 4, "a b:a", process);
    fl_flow full = f.flow, group = f.flow;
    full.key = "full", full.durability = FL_DURABILITY_FULL;
    group.key = "group", group.durability = FL_DURABILITY_GROUP;
    fl_run *runs[] = {fake_run_of(&f, &full), fake_run_of(&f, &group)};
    syncs = 0;
    for (int i = 0; i < 2; i++) {
      size_t at = 0;
      while (f.live[at]->run != runs[i ^ order]) at++;
      fl_attempt *a = f.live[at];
      fake_take(&f, a);
      fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    }
    fake_step(&f);
    assert_true(syncs > 0);
    fake_close(&f);
  }
  fake_disk = NULL;
}

// ------------------------------------------------------------------------------------- taken over

static void take_over(fake_engine *f, const fl_run *run) {
  fl_error err;
  uint32_t epoch;
  assert_int_equal(fl_store_take_run(f->store, run->row.row, "other#2", 0, true, &epoch, &err),
                   FL_OK);
}

static fl_run_state state_of(fake_engine *f, const char *id) {
  fl_run_row row;
  fl_error err;
  assert_int_equal(fl_store_find_run(f->store, id, &row, &err), FL_OK);
  fl_run_state s = row.state;
  fl_run_row_deinit(&row);
  return s;
}

static void a_run_that_was_taken_over_is_let_go_and_the_others_go_on(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 4, "a b:a", process);
  fl_flow other = f.flow;
  other.key = "other";
  fl_run *taken = fake_run(&f), *kept = fake_run_of(&f, &other);
  char taken_id[FL_RUN_ID_SIZE], kept_id[FL_RUN_ID_SIZE];
  snprintf(taken_id, sizeof taken_id, "%s", taken->row.id);
  snprintf(kept_id, sizeof kept_id, "%s", kept->row.id);
  take_over(&f, taken);
  fl_attempt *of_taken = f.live[0], *of_kept = f.live[1];
  f.live_count = 0;
  f.told[0] = 0;
  // Both end in one turn, the one that stays first, then the one that is not ours any more.
  fl_attempt_end(of_kept, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
  fl_attempt_end(of_taken, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
  fake_step(&f);
  assert_string_equal(f.told, "a:running a:succeeded run: ");
  assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 1);
  assert_null(fl_scheduler_find_run(f.scheduler, taken_id));
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f, kept_id), FL_RUN_SUCCEEDED);
  assert_int_equal(state_of(&f, taken_id), FL_RUN_RUNNING);
  fl_error err;
  fl_run_row row;
  assert_int_equal(fl_store_find_run(f.store, taken_id, &row, &err), FL_OK);
  assert_string_equal(row.owner, "other#2");
  assert_int_equal(row.epoch, 2);
  fl_run_row_deinit(&row);
  fake_close(&f);
}

static void what_a_run_that_is_gone_still_ran_is_ended_or_left_to_its_new_owner(void **state) {
  (void)state;
  static const struct {
    fl_node_kind kind;
    bool told;
    bool ended; // by its executor
  } rows[] = {
      {FL_KIND_PROCESS, true, false}, // the new owner adopts it
      {FL_KIND_PROCESS, false, true}, // nobody else knows that it was begun
      {FL_KIND_INLINE, true, true},   // it goes on only here
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_engine f;
    fl_node_options o = process;
    o.kind = rows[i].kind;
    fake_open(&f, 4, "a b", o);
    fl_run *run = fake_run(&f);
    if (rows[i].told) fl_attempt_started(f.live[1], 7, 0), fake_step(&f);
    take_over(&f, run);
    fl_attempt *a = f.live[0];
    fake_take(&f, a);
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    assert_int_equal(f.live_count, 1);
    fake_step(&f);
    assert_int_equal(f.live_count, 0);
    assert_int_equal(f.let_go_count, !rows[i].ended);
    assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 0);
    fake_close(&f);
  }
}

// ------------------------------------------------------------------------------------- fairness

// A flow of `count` nodes of `options` without edges.
static fl_flow wide_flow(const fake_engine *f, const char *key, uint32_t count,
                         fl_node_options options) {
  fl_error err;
  uint32_t index;
  fl_graph *g = fl_graph_new();
  options.type = "shell";
  for (uint32_t i = 0; i < count; i++) {
    char name[16];
    size_t size = (size_t)snprintf(name, sizeof name, "n%u", i);
    if (fl_graph_add(g, name, size, &options, &index, &err)) fail_msg("%s", err.message);
  }
  if (fl_graph_freeze(g, &err)) fail_msg("%s", err.message);
  fl_flow flow = f->flow;
  flow.key = key;
  flow.graph = g;
  flow.definition_store_id = 0;
  return flow;
}

// Ends what started first, until all of `watched` has ended; returns how many ends that took.
static int ends_until(fake_engine *f, const char *watched) {
  int ends = 0;
  while (fl_scheduler_find_run(f->scheduler, watched)) {
    fl_attempt *a = f->live[0];
    assert_true(f->live_count > 0);
    fake_take(f, a);
    f->started[0] = f->told[0] = 0;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    fake_step(f);
    ends++;
  }
  return ends;
}

static void a_small_run_beside_a_large_one_ends_in_the_time_of_a_few_nodes(void **state) {
  (void)state;
  static const struct {
    uint32_t jobs;
    int32_t priority;
    int ends_min, ends_max; // of nodes until the small run of 10 has ended
  } rows[] = {
      {4, 0, 10, 24},
      {1, 0, 19, 22},      // in turns, though nobody holds a slot when the only one is free
      {4, 1, 10, 14},      // its own and those that ran when it came
      {4, -1, 1010, 1014}, // the large one first
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_engine f;
    fake_open(&f, rows[i].jobs, "a", process);
    fl_node_options o = process;
    fl_flow large = wide_flow(&f, "large", 1000, o);
    o.priority = rows[i].priority;
    fl_flow small = wide_flow(&f, "small", 10, o);
    fake_run_of(&f, &large);
    char id[FL_RUN_ID_SIZE];
    snprintf(id, sizeof id, "%s", fake_run_of(&f, &small)->row.id);
    int ends = ends_until(&f, id);
    assert_in_range(ends, rows[i].ends_min, rows[i].ends_max);
    fl_graph *graphs[] = {(fl_graph *)large.graph, (fl_graph *)small.graph};
    fl_scheduler_free(f.scheduler);
    f.scheduler = NULL;
    fl_graph_free(graphs[0]), fl_graph_free(graphs[1]);
    fake_close(&f);
  }
}

static void who_keeps_its_slots_for_long_gets_no_more_than_its_share(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 4, "a", process);
  fl_flow quick = wide_flow(&f, "quick", 100, process), slow = wide_flow(&f, "slow", 100, process);
  fake_run_of(&f, &quick);
  const fl_run *keeper = fake_run_of(&f, &slow);
  for (int ends = 0; ends < 20; ends++) { // of the quick one alone
    size_t at = 0, kept = 0;
    while (at < f.live_count && f.live[at]->run == keeper) at++;
    assert_true(at < f.live_count);
    fl_attempt *a = f.live[at];
    fake_take(&f, a);
    f.started[0] = f.told[0] = 0;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    fake_step(&f);
    for (size_t i = 0; i < f.live_count; i++) kept += f.live[i]->run == keeper;
    assert_in_range(kept, ends ? 1 : 0, 2);
  }
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)quick.graph), fl_graph_free((fl_graph *)slow.graph);
  fake_close(&f);
}

static void what_waits_behind_a_higher_priority_gets_a_slot_after_its_minutes(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a", process);
  fl_node_options o = process;
  o.priority = 2;
  fl_flow large = wide_flow(&f, "large", 1000, o), small = wide_flow(&f, "small", 1, process);
  fake_run_of(&f, &large);
  char id[FL_RUN_ID_SIZE];
  snprintf(id, sizeof id, "%s", fake_run_of(&f, &small)->row.id);
  int ends = 0;
  for (; fl_scheduler_find_run(f.scheduler, id); ends++) { // a node takes 10 s
    fl_attempt *a = f.live[0];
    fake_take(&f, a);
    f.started[0] = f.told[0] = 0;
    f.now_ms += 10000;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    fake_step(&f);
  }
  assert_in_range(ends, 8, 20); // two priorities are two minutes
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)large.graph), fl_graph_free((fl_graph *)small.graph);
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- many

static void runs_of_a_flow_wait_for_each_other_without_being_looked_at(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 4, "a", process);
  f.flow.run_count_max = 2;
  for (int i = 0; i < 5; i++) fake_run(&f);
  assert_string_equal(f.started, "a a ");
  assert_int_equal(fl_scheduler_get_due_ms(f.scheduler), -1); // no look at the gate
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a a a ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a a a a a ");
  fake_close(&f);
}

static void a_step_ends_in_time_and_loses_nothing(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  bool again = true;
  int steps = 0;
  fake_open(&f, 200, "a", process);
  fl_flow wide = wide_flow(&f, "wide", 50, process);
  fl_run *run;
  fl_snapshot snapshot;
  fake_snapshot(&snapshot);
  assert_int_equal(fl_scheduler_prepare_flow(f.scheduler, &wide, &snapshot, &err), FL_OK);
  free(snapshot.sources);
  fl_run_spec spec = {.flow = &wide, .params = fl_value_empty_map()};
  assert_int_equal(fl_scheduler_start_run(f.scheduler, &spec, &run, &err), FL_OK);
  size_t most = 0;
  for (size_t before = 0; again; steps++, before = f.live_count) { // of no time: one of each
    f.told[0] = f.started[0] = 0;
    assert_int_equal(fl_scheduler_step(f.scheduler, 0, &again, &err), FL_OK);
    assert_false(fl_store_is_open(f.store));
    if (f.live_count - before > most) most = f.live_count - before;
  }
  assert_int_equal(most, 1);
  assert_int_equal(f.live_count, 50);
  assert_in_range(steps, 50, 60);
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)wide.graph);
  fake_close(&f);
}

static int begun;
static void begin_for_a_ms(void *ud, fl_attempt *a) {
  (void)a;
  ((fake_engine *)ud)->now_ms++;
  begun++;
}

// A claim that has not begun is written again with each later one: many of them would take all of
// the time that short steps have.
static void what_is_claimed_begins_before_more_is_claimed(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  fl_node_options o = process;
  o.kind = FL_KIND_INLINE;
  fake_open(&f, 1, "a", process);
  f.scheduler->sites[f.scheduler->local[FL_KIND_INLINE]].x.start = begin_for_a_ms;
  fl_flow wide = wide_flow(&f, "wide", 9000, o);
  fl_run *run;
  fl_snapshot snapshot;
  fake_snapshot(&snapshot);
  assert_int_equal(fl_scheduler_prepare_flow(f.scheduler, &wide, &snapshot, &err), FL_OK);
  free(snapshot.sources);
  fl_run_spec spec = {.flow = &wide, .params = fl_value_empty_map()};
  assert_int_equal(fl_scheduler_start_run(f.scheduler, &spec, &run, &err), FL_OK);
  begun = 0;
  uint32_t claimed = 0;
  for (int i = 0; i < 20; i++) {
    bool again;
    uint64_t commit = fl_store_get_commit(f.store);
    f.told[0] = 0;
    assert_int_equal(fl_scheduler_step(f.scheduler, 2000, &again, &err), FL_OK);
    assert_true(again);
    assert_true(fl_store_get_commit(f.store) <= commit + 1); // all that a step does shares one
    if (!claimed) claimed = run->live_count;
  }
  assert_in_range(begun, 20, 60);
  assert_in_range(claimed, 1000, 5000); // as many as one step had time for: claims take none here
  assert_int_equal(run->live_count, claimed);
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)wide.graph);
  fake_close(&f);
}

static int told_count;
static void tell_for_a_ms(void *ud, const fl_event *e) {
  (void)e;
  ((fake_engine *)ud)->now_ms++;
  told_count++;
}

static void end_at_once(void *ud, fl_attempt *a) {
  (void)ud;
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
}

static void many_events_are_told_in_portions(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  bool again = true;
  int most = 0, all = 0;
  fl_node_options o = process;
  o.kind = FL_KIND_INLINE;
  fake_open(&f, 50, "a", process);
  f.scheduler->sites[f.scheduler->local[FL_KIND_INLINE]].x.start = end_at_once;
  f.scheduler->subscriber_count = 0;
  fl_scheduler_subscribe(f.scheduler, tell_for_a_ms, &f);
  fl_flow wide = wide_flow(&f, "wide", 1000, o);
  fl_snapshot snapshot;
  fake_snapshot(&snapshot);
  assert_int_equal(fl_scheduler_prepare_flow(f.scheduler, &wide, &snapshot, &err), FL_OK);
  free(snapshot.sources);
  fl_run_spec spec = {.flow = &wide, .params = fl_value_empty_map()};
  fl_run *run;
  assert_int_equal(fl_scheduler_start_run(f.scheduler, &spec, &run, &err), FL_OK);
  for (told_count = 0; again; told_count = 0) {
    assert_int_equal(fl_scheduler_step(f.scheduler, 10000, &again, &err), FL_OK);
    assert_false(fl_store_is_open(f.store));
    if (told_count > most) most = told_count;
    all += told_count;
  }
  assert_true(all >= 1000);
  assert_in_range(most, 10, 200);
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)wide.graph);
  fake_close(&f);
}

static void a_large_run_is_cancelled_in_portions(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  bool again = true;
  int steps = 0;
  fake_open(&f, 1, "a", process);
  fl_flow wide = wide_flow(&f, "wide", 50, process);
  char id[FL_RUN_ID_SIZE];
  fl_run *run = fake_run_of(&f, &wide);
  snprintf(id, sizeof id, "%s", run->row.id);
  fl_scheduler_cancel_run(f.scheduler, run, false, false);
  assert_false(fl_store_is_open(f.store)); // nothing was done yet
  for (; again; steps++) {
    f.told[0] = 0;
    assert_int_equal(fl_scheduler_step(f.scheduler, 0, &again, &err), FL_OK);
    assert_false(fl_store_is_open(f.store));
  }
  assert_in_range(steps, 49, 70); // one node a step that has no time
  assert_int_equal(state_of(&f, id), FL_RUN_CANCELLED);
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)wide.graph);
  fake_close(&f);
}

// What a run was is read row by row for its seal; a cancel that comes meanwhile comes too late.
static void a_large_run_is_sealed_in_portions(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  bool again = true;
  int steps = 0, sealing = 0;
  fake_open(&f, 50, "a", process);
  fl_flow wide = wide_flow(&f, "wide", 400, process);
  char id[FL_RUN_ID_SIZE];
  fl_run *run = fake_run_of(&f, &wide);
  snprintf(id, sizeof id, "%s", run->row.id);
  for (int left = 400; left;) {
    fl_attempt *a = f.live[0];
    fake_take(&f, a);
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    f.told[0] = f.started[0] = 0;
    if (--left && !f.live_count) fake_step(&f);
  }
  for (; again; steps++) {
    f.told[0] = 0;
    assert_int_equal(fl_scheduler_step(f.scheduler, 0, &again, &err), FL_OK);
    assert_false(fl_store_is_open(f.store));
    run = fl_scheduler_find_run(f.scheduler, id);
    if (!run || run->phase != FL_PHASE_SEAL) continue;
    sealing++;
    fl_scheduler_cancel_run(f.scheduler, run, true, steps % 2);
  }
  assert_in_range(steps, 400 / 64, 30); // a portion a step that has no time
  assert_in_range(sealing, 400 / 64 - 1, steps);
  assert_int_equal(state_of(&f, id), FL_RUN_SUCCEEDED);
  fl_run_row row;
  assert_int_equal(fl_store_find_run(f.store, id, &row, &err), FL_OK);
  assert_int_equal(fl_store_check_run(f.store, row.row, &err), FL_OK);
  fl_run_row_deinit(&row);
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)wide.graph);
  fake_close(&f);
}

// Who asked was killed before it could knock.
static void a_wish_to_cancel_is_read_with_the_next_commit(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  fl_store *other;
  fl_store_options options = {.durability = FL_DURABILITY_GROUP};
  fl_run_row row;
  fake_open(&f, 1, "a b:a", (fl_node_options){.kind = FL_KIND_PROCESS});
  fl_run *run = fake_run(&f);
  assert_int_equal(fl_store_open(f.dir, &options, &other, &err), FL_OK);
  assert_int_equal(fl_store_ask_cancel(other, run->row.row, 1, &err), FL_OK);
  fl_store_close(other);
  assert_int_equal(run->row.cancel, 0);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a ");
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  assert_int_equal(row.state, FL_RUN_CANCELLED);
  fl_run_row_deinit(&row);
  fake_close(&f);
}

static void outputs_that_nobody_needs_any_more_are_not_kept(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 4, "a b:a", process);
  for (int i = 0; i < 3; i++) {
    fake_run(&f);
    fl_attempt *a = f.live[0];
    fl_value *outputs = fl_value_new("[1,2,3]", 7);
    fake_take(&f, a);
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .outputs = outputs});
    fl_value_unref(outputs);
    fake_step(&f);
    assert_true(f.scheduler->kept_bytes > 0);
    fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
    assert_int_equal(f.scheduler->kept_bytes, 0);
  }
  fake_close(&f);
}

static void of_two_capacities_of_a_pool_the_smaller_holds_while_both_flows_live(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  o.pool = 1, o.weight = 1;
  fake_open(&f, 9, "a", process);
  static const fl_flow_pool three = {"gpu", 3}, two = {"gpu", 2};
  fl_flow first = wide_flow(&f, "first", 8, o), second = wide_flow(&f, "second", 1, o);
  first.pools = &three, second.pools = &two;
  first.pool_count = second.pool_count = 1;
  fake_run_of(&f, &first);
  assert_int_equal(f.live_count, 3);
  char id[FL_RUN_ID_SIZE];
  snprintf(id, sizeof id, "%s", fake_run_of(&f, &second)->row.id);
  ends_until(&f, id);
  while (f.live_count > 0) { // what ran before is still there, nothing beyond two is added
    assert_in_range(f.live_count, 1, 3);
    fl_attempt *a = f.live[0];
    fake_take(&f, a);
    f.started[0] = f.told[0] = 0;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    fake_step(&f);
  }
  assert_int_equal(f.scheduler->pools[0].capacity, 2);
  fake_run_of(&f, &first); // alone again
  assert_int_equal(f.scheduler->pools[0].capacity, 3);
  assert_int_equal(f.live_count, 3);
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free((fl_graph *)first.graph), fl_graph_free((fl_graph *)second.graph);
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_wish_to_cancel_is_read_with_the_next_commit),
      cmocka_unit_test(what_a_run_acknowledges_is_as_durable_as_its_own_flow_says),
      cmocka_unit_test(of_a_commit_of_many_runs_the_strictest_decides),
      cmocka_unit_test(a_run_that_was_taken_over_is_let_go_and_the_others_go_on),
      cmocka_unit_test(what_a_run_that_is_gone_still_ran_is_ended_or_left_to_its_new_owner),
      cmocka_unit_test(a_small_run_beside_a_large_one_ends_in_the_time_of_a_few_nodes),
      cmocka_unit_test(who_keeps_its_slots_for_long_gets_no_more_than_its_share),
      cmocka_unit_test(what_waits_behind_a_higher_priority_gets_a_slot_after_its_minutes),
      cmocka_unit_test(runs_of_a_flow_wait_for_each_other_without_being_looked_at),
      cmocka_unit_test(a_step_ends_in_time_and_loses_nothing),
      cmocka_unit_test(what_is_claimed_begins_before_more_is_claimed),
      cmocka_unit_test(many_events_are_told_in_portions),
      cmocka_unit_test(a_large_run_is_cancelled_in_portions),
      cmocka_unit_test(a_large_run_is_sealed_in_portions),
      cmocka_unit_test(outputs_that_nobody_needs_any_more_are_not_kept),
      cmocka_unit_test(of_two_capacities_of_a_pool_the_smaller_holds_while_both_flows_live),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
