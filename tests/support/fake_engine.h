// A scheduler on a real store with a virtual clock and an executor that only notes what it is told:
// tests say when attempts end, and with what.
#pragma once
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/scheduler.h"
#include "folder.h"

typedef struct fake_engine {
  char dir[64];
  fl_store *store;
  fl_scheduler *scheduler;
  int64_t now_ms;
  int64_t ahead_ms;     // of the wall clock
  fl_attempt *live[64]; // started and not yet ended, in the order of their starts
  size_t live_count;
  char started[1024]; // names, separated by blanks
  char told[4096];    // events: "name:status "
  fl_fate fate;       // what recovery says of every attempt ...
  bool answers_later; // ... or nothing yet
  uint64_t recovery;  // the last question
  const char *supervisor;
  char asked[64]; // supervisors that recovery was asked about, separated by blanks
  uint32_t ahead;
  uint32_t let_go_count; // attempts that were left to another engine
  fl_flow flow;
  fl_graph *graph;
} fake_engine;

/// What the next fake_open() puts its store on; NULL: the machine's.
static const fl_disk *fake_disk;
/// Who waits for it; zero: the store itself.
static fl_aside fake_aside;

static int64_t fake_now(void *ud) {
  return ((fake_engine *)ud)->now_ms;
}

static int64_t fake_wall(void *ud) {
  return ((fake_engine *)ud)->now_ms + ((fake_engine *)ud)->ahead_ms;
}

static void fake_start(void *ud, fl_attempt *a) {
  fake_engine *f = ud;
  f->live[f->live_count++] = a;
  snprintf(f->started + strlen(f->started), sizeof f->started - strlen(f->started), "%s ",
           fl_attempt_get_name(a));
}

static void fake_take(fake_engine *f, fl_attempt *a) {
  size_t at = 0;
  while (at < f->live_count && f->live[at] != a) at++;
  if (at == f->live_count) return;
  memmove(f->live + at, f->live + at + 1, (--f->live_count - at) * sizeof *f->live);
}

static void fake_let_go(void *ud, fl_attempt *a) {
  fake_take(ud, a);
  ((fake_engine *)ud)->let_go_count++;
}

static void fake_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  (void)grace_ms;
  fake_take(ud, a);
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1, .signal = 15});
}

static uint32_t fake_ahead(void *ud) {
  return ((fake_engine *)ud)->ahead;
}

static void fake_tell(void *ud, const fl_event *e) {
  fake_engine *f = ud;
  snprintf(f->told + strlen(f->told), sizeof f->told - strlen(f->told), "%s:%s ",
           e->node ? e->node : "run", e->status ? e->status : "");
}

static void fake_recover(void *ud, fl_run *run, const char *supervisor, uint64_t recovery,
                         fl_attempt **attempts, size_t count) {
  fake_engine *f = ud;
  snprintf(f->asked + strlen(f->asked), sizeof f->asked - strlen(f->asked), "%s ", supervisor);
  for (size_t i = 0; i < count; i++) {
    if (f->fate == FL_FATE_RUNNING || f->answers_later) f->live[f->live_count++] = attempts[i];
    if (f->answers_later) continue;
    if (f->fate == FL_FATE_ENDED)
      fl_attempt_end(attempts[i], &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
    else
      fl_attempt_settle(attempts[i], f->fate);
  }
  f->recovery = recovery;
  if (!f->answers_later) fl_scheduler_recovered(f->scheduler, fl_run_get_id(run), recovery);
}

static const char *fake_keeper(void *ud) {
  return ((fake_engine *)ud)->supervisor;
}

static fl_code fake_command(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  (void)flow, (void)a, (void)err;
  *out = fl_alloc_zero(1, sizeof **out);
  return FL_OK;
}
static const fl_hooks fake_hooks = {.command = fake_command};

static fl_executor fake_processes(fake_engine *f) {
  return (fl_executor){.name = "process",
                       .kinds = 1u << FL_KIND_PROCESS,
                       .slots = FL_SLOTS_JOBS,
                       .outlives_engine = true,
                       .fills_slots = true,
                       .start = fake_start,
                       .cancel = fake_cancel,
                       .let_go = fake_let_go,
                       .ahead = fake_ahead,
                       .get_keeper = fake_keeper,
                       .recover = fake_recover,
                       .ud = f};
}

static fl_executor fake_workers(fake_engine *f) {
  return (fl_executor){.name = "worker",
                       .kinds = 1u << FL_KIND_WORKER,
                       .slots = FL_SLOTS_JOBS,
                       .records_with_end = true,
                       .start = fake_start,
                       .cancel = fake_cancel,
                       .get_keeper = fake_keeper,
                       .ud = f};
}

static void fake_open_scheduler(fake_engine *f, uint32_t jobs) {
  fl_scheduler_config c = {.store = f->store,
                           .clock = {.wall_ms = fake_wall, .monotonic_ms = fake_now, .ud = f},
                           .owner = "test#1",
                           .jobs = jobs,
                           .on_event = fake_tell,
                           .event_ud = f,
                           .ud = f};
  f->scheduler = fl_scheduler_new(&c);
  fl_executor loop = {.name = "loop",
                      .kinds = 1u << FL_KIND_INLINE | 1u << FL_KIND_BRANCH,
                      .records_with_end = true,
                      .start = fake_start,
                      .cancel = fake_cancel,
                      .ud = f};
  fl_executor process = fake_processes(f), worker = fake_workers(f);
  fl_scheduler_register(f->scheduler, &loop);
  fl_scheduler_register(f->scheduler, &process);
  fl_scheduler_register(f->scheduler, &worker);
}

/// `options` hold for all nodes; `edges`: "a b:a c:a,b" with one-letter names.
static void fake_open(fake_engine *f, uint32_t jobs, const char *edges, fl_node_options options) {
  fl_error err;
  *f = (fake_engine){.now_ms = 1000000000000, .fate = FL_FATE_LOST, .supervisor = "sup"};
  if (!make_test_folder("engine", f->dir, sizeof f->dir)) abort();
  fl_clock clock = {.wall_ms = fake_now, .monotonic_ms = fake_now, .ud = f};
  fl_store_options so = {
      .durability = FL_DURABILITY_GROUP, .disk = fake_disk, .clock = &clock, .aside = fake_aside};
  if (fl_store_open(f->dir, &so, &f->store, &err)) abort();
  f->graph = fl_graph_new();
  options.type = "shell";
  uint32_t index;
  for (int pass = 0; pass < 2; pass++) {
    uint32_t node = 0;
    for (const char *p = edges; *p; node++) {
      if (!pass && fl_graph_add(f->graph, p, 1, &options, &index, &err)) abort();
      for (p++; *p && *p != ' '; p++)
        if (pass && *p != ':' && *p != ',')
          fl_graph_after(f->graph, node, fl_graph_find(f->graph, p, 1));
      if (*p) p++;
    }
  }
  if (fl_graph_freeze(f->graph, &err)) abort();
  f->flow = (fl_flow){.key = "story",
                      .graph = f->graph,
                      .hooks = &fake_hooks,
                      .index = 1,
                      .version = "sha256:0",
                      .zone = "UTC",
                      .vars = fl_value_empty_map()};
  fake_open_scheduler(f, jobs);
}

static void fake_step(fake_engine *f) {
  bool again = true;
  fl_error err;
  for (int i = 0; i < 100 && again; i++)
    if (fl_scheduler_step(f->scheduler, 1000000, &again, &err)) fail_msg("%s", err.message);
}

static void fake_snapshot(fl_snapshot *s) {
  *s = (fl_snapshot){
      .dir = (char *)"/", .count = 1, .sources = fl_alloc_zero(1, sizeof *s->sources)};
  s->sources[0] = (fl_source){.path = (char *)"story.lua", .data = (char *)"--", .size = 2};
  fl_snapshot_digest(s);
}

/// A run of `flow`, which may be a copy of f->flow with another key and other settings.
static inline fl_run *fake_run_of(fake_engine *f, fl_flow *flow) {
  fl_run *run;
  fl_error err;
  fl_snapshot snapshot;
  fake_snapshot(&snapshot);
  if (fl_scheduler_prepare_flow(f->scheduler, flow, &snapshot, &err)) fail_msg("%s", err.message);
  free(snapshot.sources);
  fl_run_spec spec = {.flow = flow, .params = fl_value_empty_map()};
  if (fl_scheduler_start_run(f->scheduler, &spec, &run, &err)) fail_msg("%s", err.message);
  fake_step(f);
  return run;
}

static inline fl_run *fake_run(fake_engine *f) {
  return fake_run_of(f, &f->flow);
}

/// Ends the attempt of `name` that is live, in `state`, then steps.
static inline void fake_end(fake_engine *f, const char *name, fl_attempt_state state) {
  for (size_t i = 0; i < f->live_count; i++) {
    fl_attempt *a = f->live[i];
    if (strcmp(fl_attempt_get_name(a), name)) continue;
    fake_take(f, a);
    fl_attempt_end(
        a, &(fl_outcome){.state = state,
                         .exit_code = state == FL_ATTEMPT_SUCCEEDED ? 0 : 1,
                         .error = state == FL_ATTEMPT_SUCCEEDED ? NULL : "exited with code 1"});
    fake_step(f);
    return;
  }
  fail_msg("'%s' is not running; started: %s", name, f->started);
}

/// As if the engine had been killed: nothing is written any more.
static inline void fake_crash(fake_engine *f) {
  fl_scheduler_free(f->scheduler);
  f->live_count = 0;
  f->started[0] = f->told[0] = 0;
}

static int fake_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void fake_close(fake_engine *f) {
  if (f->scheduler) fl_scheduler_free(f->scheduler);
  fl_store_close(f->store);
  fl_graph_free(f->graph);
  nftw(f->dir, fake_remove, 16, FTW_DEPTH | FTW_PHYS);
}
