// Job slots: processes and workers together never hold more than there are, and what runs elsewhere
// holds none.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_engine.h"

static uint32_t process_slots, worker_slots, ahead_by;

static void set_process(void *ud, uint32_t slots) {
  (void)ud;
  process_slots = slots;
}
static void set_worker(void *ud, uint32_t slots) {
  (void)ud;
  worker_slots = slots;
}
static uint32_t ahead(void *ud) {
  (void)ud;
  return ahead_by;
}

static uint32_t held(void *ud) {
  fake_engine *f = ud;
  uint32_t count = 0;
  for (size_t i = 0; i < f->live_count; i++)
    count += fl_attempt_get_options(f->live[i])->kind == FL_KIND_WORKER;
  return count < worker_slots ? count : worker_slots;
}

static void open_scheduler(fake_engine *f, uint32_t jobs) {
  fl_scheduler_config c = {.store = f->store,
                           .clock = {.wall_ms = fake_now, .monotonic_ms = fake_now, .ud = f},
                           .owner = "test#1",
                           .jobs = jobs,
                           .on_event = fake_tell,
                           .event_ud = f,
                           .ud = f};
  f->scheduler = fl_scheduler_new(&c);
  fl_executor process = fake_processes(f), worker = fake_workers(f);
  process.ahead = worker.ahead = ahead;
  process.set_slots = set_process;
  worker.set_slots = set_worker;
  worker.held = held;
  fl_scheduler_register(f->scheduler, &process);
  fl_scheduler_register(f->scheduler, &worker);
}

// "a" and "d" are workers, "b" and "c" processes.
static void open_mixed(fake_engine *f, uint32_t jobs, const char *edges) {
  static const fl_node_options none = {.lost_count_max = 5};
  fl_error err;
  uint32_t index;
  process_slots = worker_slots = ahead_by = 0;
  fake_open(f, jobs, "a", none);
  fl_scheduler_free(f->scheduler);
  fl_graph_free(f->graph);
  f->graph = fl_graph_new();
  for (const char *name = "abcd"; *name; name++) {
    fl_node_options o = none;
    o.type = "mixed";
    o.kind = *name == 'a' || *name == 'd' ? FL_KIND_WORKER : FL_KIND_PROCESS;
    assert_int_equal(fl_graph_add(f->graph, name, 1, &o, &index, &err), FL_OK);
  }
  for (; *edges; edges += 2)
    fl_graph_after(f->graph, (uint32_t)(edges[0] - 'a'), (uint32_t)(edges[1] - 'a'));
  assert_int_equal(fl_graph_freeze(f->graph, &err), FL_OK);
  f->flow.graph = f->graph;
  open_scheduler(f, jobs);
}

static void what_is_claimed_ahead_gets_no_slot_of_others(void **state) {
  (void)state;
  fake_engine f;
  open_mixed(&f, 2, "cbdb"); // c and d after b
  ahead_by = 1;
  fake_run(&f);
  assert_string_equal(f.started, "a b ");
  assert_int_equal(process_slots + worker_slots, 2);
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b c d ");
  assert_int_equal(process_slots + worker_slots, 2);
  fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(process_slots, 0);
  assert_int_equal(worker_slots, 2); // what waited there goes on
  fake_close(&f);
}

static void processes_of_an_earlier_engine_hold_their_slots(void **state) {
  (void)state;
  fake_engine f;
  fl_run_row row;
  fl_run *run;
  fl_error err;
  static const fl_node_options process = {.kind = FL_KIND_PROCESS, .lost_count_max = 5};
  fake_open(&f, 2, "a b c d", process);
  fake_run(&f);
  assert_string_equal(f.started, "a b ");
  fake_crash(&f);
  f.fate = FL_FATE_RUNNING;
  ahead_by = 2;
  open_scheduler(&f, 2);
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  fl_resume_spec spec = {.flow = &f.flow};
  assert_int_equal(fl_scheduler_resume_run(f.scheduler, &row, &spec, &run, &err), FL_OK);
  fl_run_row_deinit(&row);
  fake_step(&f);
  assert_int_equal(process_slots, 0);
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(process_slots, 1);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(process_slots, 2);
  fake_close(&f);
}

// Processes, one a letter; a digit behind it is its priority.
static fl_graph *graph_with(const char *nodes) {
  fl_error err;
  uint32_t index;
  fl_graph *g = fl_graph_new();
  for (const char *p = nodes; *p; p++) {
    fl_node_options o = {.type = "shell", .kind = FL_KIND_PROCESS, .lost_count_max = 5};
    const char *name = p;
    if (p[1] >= '0' && p[1] <= '9') o.priority = *++p - '0';
    assert_int_equal(fl_graph_add(g, name, 1, &o, &index, &err), FL_OK);
  }
  return g;
}

static void nothing_goes_ahead_of_a_higher_priority_that_is_to_come(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  static const fl_node_options process = {.kind = FL_KIND_PROCESS, .lost_count_max = 5};
  fake_open(&f, 1, "a", process);
  fl_graph_free(f.graph);
  f.graph = graph_with("ab9cd");
  fl_graph_after(f.graph, 1, 0); // b after a
  assert_int_equal(fl_graph_freeze(f.graph, &err), FL_OK);
  f.flow.graph = f.graph;
  f.ahead = 3;
  fake_run(&f);
  assert_string_equal(f.started, "a ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b c d "); // nothing better is left
  fake_close(&f);
}

static void what_is_ahead_takes_no_room_from_a_higher_priority(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  static const fl_node_options process = {.kind = FL_KIND_PROCESS, .lost_count_max = 5};
  fake_open(&f, 1, "a b c", process);
  f.ahead = 1;
  fake_run(&f);
  assert_string_equal(f.started, "a b ");
  fl_graph *other = graph_with("w5x5y5z");
  assert_int_equal(fl_graph_freeze(other, &err), FL_OK);
  fl_flow flow = f.flow;
  flow.key = "other";
  flow.graph = other;
  fake_run_of(&f, &flow);
  assert_string_equal(f.started, "a b w x "); // as if nothing else waited, and as many as slots
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "w", FL_ATTEMPT_SUCCEEDED); // it went before b
  assert_string_equal(f.started, "a b w x y ");
  fl_scheduler_free(f.scheduler);
  f.scheduler = NULL;
  fl_graph_free(other);
  fake_close(&f);
}

static void nothing_goes_ahead_where_a_failure_stops_all(void **state) {
  (void)state;
  for (int stops = 0; stops < 2; stops++) {
    fake_engine f;
    static const fl_node_options process = {.kind = FL_KIND_PROCESS, .lost_count_max = 5};
    fake_open(&f, 1, "a b c", process);
    f.flow.policy = stops ? FL_POLICY_STOP : FL_POLICY_FINISH;
    f.ahead = 3;
    fake_run(&f);
    assert_string_equal(f.started, stops ? "a " : "a b c ");
    fake_end(&f, "a", stops ? FL_ATTEMPT_SUCCEEDED : FL_ATTEMPT_FAILED);
    assert_string_equal(f.started, stops ? "a b " : "a b c ");
    if (stops) fake_end(&f, "b", FL_ATTEMPT_FAILED);
    assert_string_equal(f.started, stops ? "a b " : "a b c ");
    fake_close(&f);
  }
}

// ------------------------------------------------------------------------------------- elsewhere

static uint32_t room;

static uint32_t get_room(void *ud) {
  (void)ud;
  return room;
}

static void note_recovery(void *ud, fl_run *run, const char *keeper, uint64_t recovery,
                          fl_attempt **attempts, size_t count) {
  fake_engine *f = ud;
  for (size_t i = 0; i < count; i++) {
    snprintf(f->asked + strlen(f->asked), sizeof f->asked - strlen(f->asked), "%s@%s ",
             fl_attempt_get_name(attempts[i]), keeper);
    fl_attempt_settle(attempts[i], FL_FATE_RUNNING);
    f->live[f->live_count++] = attempts[i];
  }
  fl_scheduler_recovered(f->scheduler, fl_run_get_id(run), recovery);
}

// Processes that run somewhere else, as many as there is `room` for.
static uint32_t register_elsewhere(fake_engine *f) {
  fl_executor e = fake_processes(f);
  e.name = "elsewhere";
  e.kinds = 0; // no node's, unless it says so
  e.slots = FL_SLOTS_OWN;
  e.ahead = get_room;
  e.recover = note_recovery;
  return fl_scheduler_register(f->scheduler, &e);
}

// "x" and "y" name the other executor, "a" and "b" none.
static void open_elsewhere(fake_engine *f, uint32_t jobs) {
  static const fl_node_options process = {.kind = FL_KIND_PROCESS, .lost_count_max = 5};
  fl_error err;
  uint32_t index;
  fake_open(f, jobs, "a", process);
  uint32_t elsewhere = register_elsewhere(f);
  fl_graph_free(f->graph);
  f->graph = fl_graph_new();
  for (const char *name = "axby"; *name; name++) {
    fl_node_options o = process;
    o.type = "shell";
    if (*name >= 'x') o.executor = elsewhere;
    assert_int_equal(fl_graph_add(f->graph, name, 1, &o, &index, &err), FL_OK);
  }
  assert_int_equal(fl_graph_freeze(f->graph, &err), FL_OK);
  f->flow.graph = f->graph;
}

static void a_node_runs_where_it_says_as_far_as_there_is_room(void **state) {
  (void)state;
  fake_engine f;
  open_elsewhere(&f, 1);
  room = 1;
  fake_run(&f);
  assert_string_equal(f.started, "x a "); // neither waits for what the other one waits for
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "x a b ");
  fake_end(&f, "x", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "x a b y ");
  fake_close(&f);
}

static void what_is_full_holds_back_only_its_own(void **state) {
  (void)state;
  fake_engine f;
  open_elsewhere(&f, 2);
  room = 0;
  fake_run(&f);
  assert_string_equal(f.started, "a b ");
  room = 2;
  fl_scheduler_room_changed(f.scheduler);
  fake_step(&f);
  assert_string_equal(f.started, "a b x y ");
  fake_close(&f);
}

static void each_executor_is_asked_about_its_own_attempts(void **state) {
  (void)state;
  fake_engine f;
  fl_run_row row;
  fl_run *run;
  fl_error err;
  open_elsewhere(&f, 2);
  room = 2;
  fake_run(&f);
  assert_string_equal(f.started, "x y a b ");
  fake_crash(&f);
  f.fate = FL_FATE_LOST;
  fake_open_scheduler(&f, 2);
  register_elsewhere(&f);
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  fl_resume_spec spec = {.flow = &f.flow};
  assert_int_equal(fl_scheduler_resume_run(f.scheduler, &row, &spec, &run, &err), FL_OK);
  fl_run_row_deinit(&row);
  fake_step(&f);
  assert_string_equal(f.asked, "sup x@sup y@sup ");
  assert_string_equal(f.started, "a b "); // x and y were found running
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_claimed_ahead_gets_no_slot_of_others),
      cmocka_unit_test(processes_of_an_earlier_engine_hold_their_slots),
      cmocka_unit_test(nothing_goes_ahead_of_a_higher_priority_that_is_to_come),
      cmocka_unit_test(what_is_ahead_takes_no_room_from_a_higher_priority),
      cmocka_unit_test(nothing_goes_ahead_where_a_failure_stops_all),
      cmocka_unit_test(a_node_runs_where_it_says_as_far_as_there_is_room),
      cmocka_unit_test(what_is_full_holds_back_only_its_own),
      cmocka_unit_test(each_executor_is_asked_about_its_own_attempts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
