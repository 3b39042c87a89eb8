// A scheduler on a real store with a virtual clock and an executor that only notes what it is told:
// tests say when attempts end, and with what.
#pragma once
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/scheduler.h"

typedef struct fake_engine {
  char dir[64];
  fl_store *store;
  fl_scheduler *scheduler;
  int64_t now_ms;
  fl_attempt *live[64]; // started and not yet ended, in the order of their starts
  size_t live_count;
  char started[1024]; // names, separated by blanks
  char told[4096];    // events: "name:status "
  fl_fate fate;       // what recovery says of every attempt
  const char *supervisor;
  char asked[64]; // supervisors that recovery was asked about, separated by blanks
  uint32_t ahead;
  fl_flow flow;
  fl_graph *graph;
} fake_engine;

static int64_t fake_now(void *ud) {
  return ((fake_engine *)ud)->now_ms;
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

static void fake_recover(void *ud, fl_run *run, const char *supervisor, fl_attempt **attempts,
                         fl_fate *fates, size_t count) {
  fake_engine *f = ud;
  (void)run;
  snprintf(f->asked + strlen(f->asked), sizeof f->asked - strlen(f->asked), "%s ", supervisor);
  for (size_t i = 0; i < count; i++) {
    fates[i] = f->fate;
    if (f->fate == FL_FATE_IS_RUNNING) f->live[f->live_count++] = attempts[i];
    if (f->fate == FL_FATE_IS_ENDED)
      fl_attempt_end(attempts[i], &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = 0});
  }
}

static const char *fake_supervisor(void *ud) {
  return ((fake_engine *)ud)->supervisor;
}

static fl_code fake_command(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  (void)flow, (void)a, (void)err;
  *out = fl_alloc_zero(1, sizeof **out);
  return FL_OK;
}
static const fl_hooks fake_hooks = {.command = fake_command};

static void fake_open_scheduler(fake_engine *f, uint32_t jobs) {
  fl_scheduler_config c = {.store = f->store,
                           .clock = {fake_now, fake_now, f},
                           .owner = "test#1",
                           .jobs = jobs,
                           .get_supervisor = fake_supervisor,
                           .recover = fake_recover,
                           .on_event = fake_tell,
                           .event_ud = f,
                           .ud = f};
  fl_executor e = {.start = fake_start, .cancel = fake_cancel, .ud = f};
  for (int k = 0; k < FL_KIND_COUNT; k++) c.executors[k] = e;
  c.executors[FL_KIND_PROCESS].ahead = fake_ahead;
  f->scheduler = fl_scheduler_new(&c);
}

/// `options` hold for all nodes; `edges`: "a b:a c:a,b" with one-letter names.
static void fake_open(fake_engine *f, uint32_t jobs, const char *edges, fl_node_options options) {
  fl_error err;
  *f = (fake_engine){.now_ms = 1000000000000, .fate = FL_FATE_IS_LOST, .supervisor = "sup"};
  snprintf(f->dir, sizeof f->dir, "/tmp/flowlua-engine-XXXXXX");
  if (!mkdtemp(f->dir)) abort();
  fl_store_options so = {.durability = FL_DURABILITY_GROUP};
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
    if (fl_scheduler_step(f->scheduler, 1000, &again, &err)) fail_msg("%s", err.message);
}

static void fake_snapshot(fl_snapshot *s) {
  *s = (fl_snapshot){
      .dir = (char *)"/", .count = 1, .sources = fl_alloc_zero(1, sizeof *s->sources)};
  s->sources[0] = (fl_source){.path = (char *)"story.lua", .data = (char *)"--", .size = 2};
  fl_snapshot_digest(s);
}

static fl_run *fake_run(fake_engine *f) {
  fl_run *run;
  fl_error err;
  fl_snapshot snapshot;
  fake_snapshot(&snapshot);
  if (fl_scheduler_prepare_flow(f->scheduler, &f->flow, &snapshot, &err))
    fail_msg("%s", err.message);
  free(snapshot.sources);
  fl_run_spec spec = {.flow = &f->flow, .params = fl_value_empty_map()};
  if (fl_scheduler_start_run(f->scheduler, &spec, &run, &err)) fail_msg("%s", err.message);
  fake_step(f);
  return run;
}

/// Ends the attempt of `name` that is live, in `state`, then steps.
static void fake_end(fake_engine *f, const char *name, fl_attempt_state state) {
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
static void fake_crash(fake_engine *f) {
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
