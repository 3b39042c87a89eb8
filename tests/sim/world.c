// A world's begin and end, its time, and what is said of it.
#include "world.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_trace(sim_world *w, const char *fmt, ...) {
  char text[1024];
  va_list args;
  va_start(args, fmt);
  int size = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  w->trace_hash = sim_hash(w->trace_hash ^ (uint64_t)w->now_ms, text, (uint64_t)size);
  if (w->trace) printf("%10lld %s\n", (long long)w->now_ms, text);
}

void sim_fail(sim_world *w, const char *fmt, ...) {
  char text[512];
  va_list args;
  if (w->failed) return;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  w->failed = true;
  snprintf(w->failure, sizeof w->failure, "at %lld ms: %s", (long long)w->now_ms, text);
  sim_trace(w, "FAILED: %s", text);
}

static int64_t disk_now(void *ud) {
  return ((sim_world *)ud)->now_ms;
}
static void disk_pass(void *ud, int64_t ms) {
  ((sim_world *)ud)->now_ms += ms;
}
static void disk_death(void *ud, sim_mount *m) {
  sim_world *w = ud;
  sim_trace(w, "mount %d dies within a call%s", m->index, m->cut_in ? ", with the power" : "");
  w->cut_pending |= m->cut_in;
  for (int i = 0; i < SIM_MOUNTS; i++)
    if (w->disk.mounts[i].disk && (i == m->index || m->cut_in)) sim_mount_kill(&w->disk.mounts[i]);
}

static void make_flows(sim_world *w, uint64_t seed) {
  sim_random r = {.state = seed * 7919 + 1};
  bool pure = sim_chance(&r, 65);
  w->jobs = (uint32_t)sim_range(&r, 1, 6);
  w->durability = sim_chance(&r, 60) ? FL_DURABILITY_FULL : FL_DURABILITY_GROUP;
  sim_flow_make(&w->sub, &r, "sub", pure, NULL);
  sim_flow_make(&w->main, &r, "main", pure, &w->sub);
}

void sim_world_init(sim_world *w, uint64_t seed, bool faults, bool trace) {
  memset(w, 0, sizeof *w);
  w->seed = seed;
  w->trace = trace;
  w->faults = faults;
  w->random.state = seed * 2 + faults;
  w->now_ms = 1700000000000;
  make_flows(w, seed);
  sim_disk_init(&w->disk, &w->random);
  w->disk.now = disk_now;
  w->disk.pass = disk_pass;
  w->disk.on_death = disk_death;
  w->disk.ud = w;
  for (int i = 0; i < SIM_ENGINES; i++)
    w->engines[i] = (sim_engine){.world = w, .slot = i, .supervisor = -1};
  sim_mount *m = sim_disk_mount(&w->disk, 0);
  sim_disk_create(&w->disk, "/sim", true);
  sim_disk_sync_dir(m, "");
  sim_trace(w, "seed %llu: %u nodes, %u jobs, %s, %s", (unsigned long long)seed, w->main.count,
            w->jobs, w->durability == FL_DURABILITY_FULL ? "full" : "group",
            w->main.pure ? "pure" : "mixed");
}

void sim_world_deinit(sim_world *w) {
  sim_observe_end(w);
  for (int i = 0; i < SIM_ENGINES; i++) sim_engine_kill(&w->engines[i]);
  sim_disk_deinit(&w->disk);
  sim_flow_free(&w->main);
  sim_flow_free(&w->sub);
  for (size_t i = 0; i < w->saving_count; i++) free(w->savings[i]);
  free(w->savings);
  for (size_t i = 0; i < w->task_count; i++) sim_task_deinit(&w->tasks[i]);
  free(w->tasks);
  free(w->supervisors);
  free(w->tries);
  free(w->facts);
  free(w->nodes);
  free(w->rows);
}

// ------------------------------------------------------------------------------------- time

static int64_t engine_due(sim_engine *e) {
  if (!e->alive || e->frozen) return INT64_MAX;
  if (e->poked) return e->world->now_ms;
  int64_t due = fl_scheduler_get_due_ms(e->scheduler), answers = sim_answers_due(e);
  due = due < 0 ? INT64_MAX : e->world->now_ms + due;
  return answers < due ? answers : due;
}

// With `group` a living engine that is not frozen syncs in time.
static void check_alive(sim_engine *e) {
  sim_world *w = e->world;
  if (!e->alive || e->frozen || e->mount->dead || w->disk.slow_ms || w->failed) return;
  if (fl_store_sync_due_ms(e->store, w->now_ms) != 0) {
    e->overdue_ms = 0;
  } else if (!e->overdue_ms) {
    e->overdue_ms = w->now_ms;
  } else if (w->now_ms > e->overdue_ms + 1000) {
    sim_fail(w, "what was committed is not synced after a second");
  }
}

void sim_world_turn(sim_world *w, int64_t until_ms) {
  int64_t next = until_ms, due = sim_tasks_due(w);
  if (due < next) next = due;
  for (int i = 0; i < SIM_ENGINES; i++) {
    due = engine_due(&w->engines[i]);
    if (due < next) next = due;
  }
  if (next > w->now_ms) w->now_ms = next;
  sim_tasks_run(w);
  for (int i = 0; i < SIM_ENGINES; i++) {
    sim_engine *e = &w->engines[i];
    if (e->alive && !e->frozen && (e->poked || engine_due(e) <= w->now_ms)) sim_engine_step(e);
  }
  for (int i = 0; i < SIM_ENGINES; i++) check_alive(&w->engines[i]);
  if (w->cut_pending) sim_power_cut(w);
}
