// Job slots: processes and workers together never hold more than there are.
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
  for (size_t i = 0; i < f->live_count; i++) count += f->live[i]->options->kind == FL_KIND_WORKER;
  return count < worker_slots ? count : worker_slots;
}

static void open_scheduler(fake_engine *f, uint32_t jobs) {
  fl_scheduler_config c = {.store = f->store,
                           .clock = {fake_now, fake_now, f},
                           .owner = "test#1",
                           .jobs = jobs,
                           .get_supervisor = fake_supervisor,
                           .recover = fake_recover,
                           .on_event = fake_tell,
                           .event_ud = f,
                           .ud = f};
  fl_executor e = {.start = fake_start, .cancel = fake_cancel, .ahead = ahead, .ud = f};
  c.executors[FL_KIND_PROCESS] = c.executors[FL_KIND_WORKER] = e;
  c.executors[FL_KIND_PROCESS].set_slots = set_process;
  c.executors[FL_KIND_WORKER].set_slots = set_worker;
  c.executors[FL_KIND_WORKER].held = held;
  f->scheduler = fl_scheduler_new(&c);
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
  f.fate = FL_FATE_IS_RUNNING;
  ahead_by = 2;
  open_scheduler(&f, 2);
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  fl_resume_spec spec = {.flow = &f.flow};
  assert_int_equal(fl_scheduler_resume_run(f.scheduler, &row, true, &spec, &run, &err), FL_OK);
  fl_run_row_deinit(&row);
  fake_step(&f);
  assert_int_equal(process_slots, 0);
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(process_slots, 1);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(process_slots, 2);
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_claimed_ahead_gets_no_slot_of_others),
      cmocka_unit_test(processes_of_an_earlier_engine_hold_their_slots),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
