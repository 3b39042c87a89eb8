// Many runs at once: up to 200 of several flows, with waits, priorities and pools, in two engines
// on one store, for hundreds or thousands of runs. Engines die and are followed by others, runs are
// taken over while their engine lives. What was told holds, slots and pools hold, slots are shared,
// all runs end, and of those that ended nothing is left in memory.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "many_world.h"

// ------------------------------------------------------------------------------- flows

static fl_code on_command(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  (void)flow, (void)a, (void)err;
  *out = fl_alloc_zero(1, sizeof **out);
  return FL_OK;
}
static const fl_hooks hooks = {.command = on_command};

static void make_flow(world *w, sim_random *r, int index) {
  static const char *const keys[FLOWS] = {"wide", "one", "two", "three", "four"};
  flow_spec *f = &w->flows[index];
  fl_error err;
  static fl_flow_pool pools[1];
  pools[0] = (fl_flow_pool){"pool", w->pool_capacity};
  f->graph = fl_graph_new();
  // One flow of many nodes that are ready at once, the others of a few in any order.
  f->count = index ? (uint32_t)sim_range(r, 1, 8) : NODES;
  for (uint32_t i = 0; i < f->count; i++) {
    char name[16];
    uint32_t at;
    fl_node_options o = {.type = "sim", .weight = 1, .lost_count_max = 1000, .grace_ms = 100};
    o.kind = sim_chance(r, 70) ? FL_KIND_WORKER : FL_KIND_INLINE;
    f->duration_ms[i] = o.kind == FL_KIND_INLINE && sim_chance(r, 30)
                            ? sim_range(r, 10000, 600000) // it waits
                            : sim_range(r, 0, 300);
    f->fails_once[i] = sim_chance(r, 10);
    o.retry_count_max = 1000; // an engine's death may hide that it was tried
    o.priority = w->level ? 0 : (int32_t)sim_range(r, -2, 2);
    if (index && sim_chance(r, 20)) {
      o.pool = 1;
      o.weight = (uint32_t)sim_range(r, 1, w->pool_capacity);
    }
    snprintf(name, sizeof name, "n%u", i);
    if (fl_graph_add(f->graph, name, strlen(name), &o, &at, &err)) abort();
  }
  for (uint32_t i = 1; i < f->count && index; i++)
    for (int64_t k = sim_range(r, 0, 2); k > 0; k--)
      fl_graph_after(f->graph, i, (uint32_t)sim_range(r, 0, i - 1));
  if (fl_graph_freeze(f->graph, &err)) abort();
  f->flow = (fl_flow){.key = keys[index],
                      .graph = f->graph,
                      .hooks = &hooks,
                      .script = f,
                      .index = index + 1,
                      .version = "sha256:0",
                      .zone = "UTC",
                      .durability = index % 2 ? FL_DURABILITY_FULL : FL_DURABILITY_GROUP,
                      .pools = pools,
                      .pool_count = 1,
                      .vars = fl_value_empty_map()};
}

// ------------------------------------------------------------------------------- engines

static int64_t clock_now(void *ud) {
  return ((world *)ud)->now_ms;
}
static double get_random(void *ud) {
  return (double)sim_range(&((engine *)ud)->w->random, 0, 999) / 1000;
}
static bool owner_is_alive(world *w, const char *owner) {
  for (int i = 0; i < ENGINES; i++)
    if (w->engines[i].alive && !w->engines[i].mount->dead && !strcmp(w->engines[i].owner, owner))
      return !w->robbing;
  return false;
}
static bool owner_lives(void *ud, const char *owner) {
  return owner_is_alive(ud, owner);
}

static void open_engine(engine *e) {
  world *w = e->w;
  fl_error err;
  fl_clock clock = {.wall_ms = clock_now, .monotonic_ms = clock_now, .ud = w};
  e->mount = sim_disk_mount(&w->disk, e->slot);
  fl_store_options so = {
      .disk = &e->mount->table, .clock = &clock, .owner_lives = owner_lives, .owner_ud = w};
  if (fl_store_open(SIM_DIR, &so, &e->store, &err))
    return many_fail(w, "no store: %s", err.message);
  snprintf(e->owner, sizeof e->owner, "boot/%d/1#e", ++w->engine_number);
  fl_scheduler_config c = {.store = e->store,
                           .clock = clock,
                           .owner = e->owner,
                           .jobs = w->jobs,
                           .random = get_random,
                           .on_event = many_on_event,
                           .event_ud = e,
                           .ud = e};
  e->scheduler = fl_scheduler_new(&c);
  many_register(e);
  e->alive = e->poked = true;
  many_note(w, "engine %d opens", e->slot);
}

static void kill_engine(engine *e) {
  world *w = e->w;
  if (!e->alive) return;
  many_note(w, "engine %d is killed", e->slot);
  sim_mount_kill(e->mount);
  e->alive = false;
  fl_scheduler_free(e->scheduler);
  fl_store_close(e->store);
  for (size_t i = w->task_count; i-- > 0;)
    if (w->tasks[i].engine == e->slot) many_take_task(w, i);
  for (size_t i = 0; i < w->run_count; i++)
    if (w->runs[i]->engine == e->slot) w->runs[i]->engine = -1, w->runs[i]->passes = 0;
  w->crashes++;
}

void many_step_engine(engine *e) {
  world *w = e->w;
  fl_error err = {0};
  bool again = true;
  e->poked = false;
  for (int turns = 0; again && !w->failed; turns++) {
    if (turns > 20000) return many_fail(w, "engine %d turns round without an end", e->slot);
    if (fl_scheduler_step(e->scheduler, sim_range(&w->random, 0, 3000), &again, &err)) break;
  }
  if (e->mount->dead)
    kill_engine(e);
  else if (err.code)
    many_fail(w, "engine %d stops: %s", e->slot, err.message);
}

// What another engine has begun it commits first: its host steps it.
void many_let_others_commit(const engine *e) {
  for (int i = 0; i < ENGINES; i++) {
    engine *o = &e->w->engines[i];
    if (o != e && o->alive && fl_store_is_open(o->store)) many_step_engine(o);
  }
}

static void start_run(engine *e) {
  world *w = e->w;
  fl_error err;
  many_let_others_commit(e);
  fl_run *run;
  flow_spec *f = &w->flows[sim_range(&w->random, 0, FLOWS - 1)];
  fl_source source = {.path = (char *)"story.lua", .data = (char *)"--", .size = 2};
  fl_snapshot snapshot = {.dir = (char *)"/", .sources = &source, .count = 1};
  fl_snapshot_digest(&snapshot);
  f->flow.script_store_id = f->flow.definition_store_id = 0;
  fl_value *params = fl_value_empty_map();
  fl_run_spec spec = {.flow = &f->flow, .params = params, .time_ms = w->now_ms};
  if (fl_scheduler_prepare_flow(e->scheduler, &f->flow, &snapshot, &err) ||
      fl_scheduler_start_run(e->scheduler, &spec, &run, &err)) {
    if (!e->mount->dead) many_fail(w, "cannot start a run: %s", err.message);
    return;
  }
  run_model *r = fl_alloc_zero(1, sizeof *r);
  snprintf(r->id, sizeof r->id, "%s", fl_run_get_id(run));
  r->flow = f, r->engine = e->slot, r->finished = true;
  SIM_PUSH(w->runs, w->run_count, w->run_capacity, r);
  many_set_finished(w, r, false);
  w->wanted--;
  e->poked = true;
}

static fl_store *observe(world *w) {
  fl_error err;
  if (w->observer) return w->observer;
  sim_mount *m = sim_disk_mount(&w->disk, OBSERVER);
  m->immune = true;
  fl_store_options so = {.read_only = true, .disk = &m->table};
  if (fl_store_open(SIM_DIR, &so, &w->observer, &err)) many_fail(w, "cannot read: %s", err.message);
  return w->observer;
}

static bool see_success(void *ud, const fl_attempt_row *row) {
  uint8_t *count = ud;
  if (row->node < NODES && row->state == FL_ATTEMPT_SUCCEEDED) count[row->node]++;
  return true;
}

// What the store says is at least what was told; what it knows beyond counts from now on.
static bool look_at(world *w, run_model *r, fl_run_row *row) {
  fl_error err;
  uint8_t count[NODES] = {0};
  fl_store *s = observe(w);
  if (!s) return false;
  fl_code rc = fl_store_find_run(s, r->id, row, &err);
  if (rc == FL_E_NOT_FOUND) { // nobody was told of it, or only that it was asked for
    for (uint32_t i = 0; i < r->flow->count; i++)
      if (r->succeeded[i]) many_fail(w, "%s was told of and is gone", r->id);
    return false;
  }
  if (!rc) rc = fl_store_each_attempt(s, row->row, see_success, count, &err);
  if (rc) return many_fail(w, "cannot read %s: %s", r->id, err.message), false;
  for (uint32_t i = 0; i < r->flow->count; i++) {
    if (count[i] > 1) many_fail(w, "%s: node %u has succeeded %u times", r->id, i, count[i]);
    if (r->succeeded[i] && !count[i]) many_fail(w, "%s: node %u was told and is lost", r->id, i);
    r->succeeded[i] = count[i] > 0;
  }
  if (r->finished && row->state != FL_RUN_SUCCEEDED)
    many_fail(w, "%s was told to have ended", r->id);
  return true;
}

// All engines, and what the disk had not synced. What was told of a run that is `full` is there
// still; of the others what is there counts.
static void cut_power(world *w) {
  many_note(w, "the power is cut");
  for (int i = 0; i < ENGINES; i++) kill_engine(&w->engines[i]);
  if (w->observer) fl_store_close(w->observer);
  w->observer = NULL;
  sim_disk_cut_power(&w->disk);
  w->cuts++;
  for (size_t i = 0; i < w->run_count && !w->failed; i++) {
    run_model *r = w->runs[i];
    fl_run_row row;
    if (r->gone) continue;
    if (r->flow->flow.durability != FL_DURABILITY_FULL) {
      memset(r->succeeded, 0, sizeof r->succeeded);
      many_set_finished(w, r, false);
    }
    if (look_at(w, r, &row)) fl_run_row_deinit(&row);
  }
}

// Resumes `r` in `e`; `by_force`: though its owner lives.
static void take_over(engine *e, run_model *r, bool by_force) {
  world *w = e->w;
  fl_error err;
  fl_run *run;
  fl_run_row row;
  many_let_others_commit(e);
  // It may not have heard yet that it lost the run before: first it lets go.
  if (fl_scheduler_find_run(e->scheduler, r->id)) return;
  if (!look_at(w, r, &row)) {
    if (!by_force) w->wanted++, r->gone = true, many_set_finished(w, r, true); // another one comes
    return;
  }
  if (fl_run_state_is_final(row.state)) {
    many_set_finished(w, r, true);
  } else {
    r->flow->flow.script_store_id = row.script;
    r->flow->flow.definition_store_id = row.definition;
    fl_resume_spec spec = {.flow = &r->flow->flow};
    many_note(w, "engine %d takes %s%s", e->slot, r->id, by_force ? " by force" : "");
    if (fl_scheduler_resume_run(e->scheduler, &row, &spec, &run, &err)) {
      if (!e->mount->dead) many_fail(w, "cannot resume %s: %s", r->id, err.message);
    } else {
      r->engine = e->slot, r->passes = 0;
      w->resumes++;
      e->poked = true;
    }
  }
  fl_run_row_deinit(&row);
}

// ------------------------------------------------------------------------------- a seed

static int64_t next_due(world *w) {
  int64_t due = INT64_MAX;
  for (size_t i = 0; i < w->task_count; i++)
    if (w->tasks[i].ends_ms < due) due = w->tasks[i].ends_ms;
  for (int i = 0; i < ENGINES; i++) {
    engine *e = &w->engines[i];
    int64_t ms = e->alive ? fl_scheduler_get_due_ms(e->scheduler) : -1;
    if (e->alive && e->poked) return w->now_ms;
    if (ms >= 0 && w->now_ms + ms < due) due = w->now_ms + ms;
  }
  return due;
}

static void end_due(world *w, size_t at) {
  task t = w->tasks[at];
  many_let_others_commit(&w->engines[t.engine]); // may end some, when one dies of it
  for (size_t i = 0; i < w->task_count; i++)
    if (w->tasks[i].attempt == t.attempt && w->tasks[i].engine == t.engine)
      return many_end_task(w, i, t.ends_well ? FL_ATTEMPT_SUCCEEDED : FL_ATTEMPT_FAILED);
}

static void turn(world *w, int64_t until) {
  int64_t due = next_due(w);
  if (due > until) due = until;
  if (due > w->now_ms) w->now_ms = due;
  for (size_t i = w->task_count; i-- > 0 && !w->failed;)
    if (i < w->task_count && w->tasks[i].ends_ms <= w->now_ms) end_due(w, i);
  for (int i = 0; i < ENGINES && !w->failed; i++) {
    engine *e = &w->engines[i];
    if (!e->alive || (!e->poked && fl_scheduler_get_due_ms(e->scheduler) != 0)) continue;
    many_let_others_commit(e);
    many_step_engine(e);
  }
}

static void commit_all(world *w) {
  for (int i = 0; i < ENGINES && !w->failed; i++)
    if (w->engines[i].alive && fl_store_is_open(w->engines[i].store))
      many_step_engine(&w->engines[i]);
}

#define SLICES_TURNED 12

// Between two slices of a prune the engines go on. Its last ones give pages back, as many as the
// letters of ids happened to leave: a seed that is run twice turns in none of them.
static bool begin_slice(void *ud, int64_t *slice_us) {
  world *w = ud;
  *slice_us = 0; // a statement
  if (w->slices++ >= SLICES_TURNED) return !w->failed;
  for (int64_t i = sim_range(&w->random, 0, 3); i > 0 && !w->failed; i--)
    turn(w, w->now_ms + sim_range(&w->random, 0, 50));
  commit_all(w);
  return !w->failed && sim_chance(&w->random, 98);
}

static void note_pruned(world *w, const char *ids) {
  for (size_t i = 0; i < w->run_count && !w->failed; i++) {
    run_model *r = w->runs[i];
    char word[FL_RUN_ID_SIZE + 2];
    snprintf(word, sizeof word, "\"%s\"", r->id);
    if (r->gone || !strstr(ids, word)) continue;
    for (uint32_t n = 0; n < r->flow->count; n++)
      if (!r->succeeded[n] && r->engine >= 0 && w->engines[r->engine].alive)
        many_fail(w, "%s is pruned, and its node %u has not ended", r->id, n);
    r->gone = true;
    many_set_finished(w, r, true);
    w->pruned++;
  }
}

/// By another process, beside the engines; what it leaves when it ends early the next one finds.
static void prune(world *w) {
  fl_error err;
  fl_buf ids;
  fl_store *s;
  int64_t bytes;
  sim_mount *m = sim_disk_mount(&w->disk, PRUNER);
  m->immune = true;
  fl_store_options so = {.disk = &m->table,
                         .clock =
                             &(fl_clock){.wall_ms = clock_now, .monotonic_ms = clock_now, .ud = w},
                         .owner_lives = owner_lives,
                         .owner_ud = w,
                         .gives_way = true};
  fl_prune_wish wish = {.older_than_ms = w->now_ms - sim_range(&w->random, 0, 60000),
                        .size_max_bytes = -1,
                        .last = (uint32_t)sim_range(&w->random, 0, 3),
                        .all = sim_chance(&w->random, 50),
                        .begin = begin_slice,
                        .ud = w};
  commit_all(w);
  if (w->failed) return;
  if (fl_store_open(SIM_DIR, &so, &s, &err)) return many_fail(w, "no prune: %s", err.message);
  fl_buf_init(&ids, SIZE_MAX / 2);
  w->slices = 0;
  fl_code rc = fl_store_prune(s, &wish, &ids, &bytes, &err);
  if (rc && !w->failed) many_fail(w, "a prune: %s", err.message);
  note_pruned(w, fl_buf_cstr(&ids));
  many_note(w, "a prune ends");
  fl_buf_deinit(&ids);
  fl_store_close(s);
}

static engine *any_engine(world *w) {
  engine *e = &w->engines[sim_range(&w->random, 0, ENGINES - 1)];
  if (!e->alive) open_engine(e);
  return e;
}

static void adopt_orphans(world *w) {
  for (size_t i = w->unfinished; i-- > 0 && !w->failed;) {
    if (i >= w->unfinished || w->open[i]->engine >= 0) continue;
    engine *e = any_engine(w);
    if (!e->mount->dead) take_over(e, w->open[i], false);
  }
}

static void rob(world *w) {
  if (!w->unfinished) return;
  run_model *r = w->open[sim_range(&w->random, 0, (int64_t)w->unfinished - 1)];
  if (r->engine < 0) return;
  engine *from = &w->engines[r->engine], *to = &w->engines[1 - r->engine];
  if (!from->alive || !to->alive || to->mount->dead) return;
  many_let_others_commit(to);
  if (r->engine != from->slot || r->finished) return;
  if (fl_scheduler_find_run(to->scheduler, r->id)) return;
  // What it runs there goes on until its engine hears that the run is not its own any more.
  for (size_t i = 0; i < w->task_count; i++)
    if (w->tasks[i].run == r && !w->tasks[i].robbed) {
      w->tasks[i].robbed = true;
      r->running[w->tasks[i].node] = 0;
    }
  r->held = 0;
  w->robbing = true; // as when a file system loses the locks it was trusted with
  take_over(to, r, true);
  w->robbing = false;
  w->robberies++;
}

// Nothing of what ended may be left: counted, not weighed.
static void check_empty(world *w, engine *e) {
  const fl_scheduler *s = e->scheduler;
  if (fl_scheduler_get_run_count(s) || s->awake_count || s->gone_count || s->claiming_count ||
      s->untold_count || s->live_free_count || s->live_count || s->event_count || s->ack_count ||
      s->start_count || s->dues.count || s->kept_bytes || s->advising_count || s->alarmed_count)
    many_fail(w, "engine %d is idle and holds %zu runs, %u live, %u dues, %zu bytes, %zu events",
              e->slot, fl_scheduler_get_run_count(s), s->live_count, s->dues.count, s->kept_bytes,
              s->event_count);
}

static void check_end(world *w) {
  for (int i = 0; i < ENGINES && !w->failed; i++)
    if (w->engines[i].alive) check_empty(w, &w->engines[i]);
  for (size_t i = 0; i < w->run_count && !w->failed; i++) {
    fl_run_row row;
    if (w->runs[i]->gone) continue;
    if (!look_at(w, w->runs[i], &row)) {
      many_fail(w, "%s is not there any more", w->runs[i]->id);
      return;
    }
    if (row.state != FL_RUN_SUCCEEDED) many_fail(w, "%s has not ended well", row.id);
    fl_run_row_deinit(&row);
  }
}

static void live(world *w, int troubles) {
  int64_t next_run = w->now_ms, next_trouble = w->now_ms + sim_range(&w->random, 0, 20000);
  for (long turns = 0; !w->failed && (w->wanted || w->unfinished); turns++) {
    if (turns > 3000000) many_fail(w, "no end of turns");
    adopt_orphans(w);
    while (w->wanted && w->unfinished < RUNS_MAX && next_run <= w->now_ms && !w->failed) {
      start_run(any_engine(w));
      next_run = w->now_ms + (sim_chance(&w->random, 70) ? 0 : sim_range(&w->random, 0, 2000));
    }
    int64_t until = troubles ? next_trouble : w->now_ms + HEAL_MS;
    if (w->wanted && w->unfinished < RUNS_MAX && next_run < until) until = next_run;
    turn(w, until);
    if (troubles && w->now_ms >= next_trouble) {
      engine *e = &w->engines[sim_range(&w->random, 0, ENGINES - 1)];
      int what = (int)sim_range(&w->random, 0, 9);
      if (what < 2)
        kill_engine(e);
      else if (what < 3)
        cut_power(w);
      else if (what < 6 && e->alive)
        e->mount->kill_in = sim_range(&w->random, 1, 60);
      else if (what < 8)
        rob(w);
      else
        prune(w);
      troubles--;
      next_trouble = w->now_ms + sim_range(&w->random, 0, 20000);
    }
  }
  // What is told last may wait for a sync.
  for (int i = 0; i < 100 && !w->failed; i++) turn(w, w->now_ms + 100);
}

static int64_t disk_now(void *ud) {
  return ((world *)ud)->now_ms;
}
static void disk_pass(void *ud, int64_t ms) {
  ((world *)ud)->now_ms += ms;
}
static void disk_death(void *ud, sim_mount *m) {
  (void)ud;
  sim_mount_kill(m);
}

bool many_run_seed(uint64_t seed, bool trace, char *failure, size_t size, uint64_t *digest,
                   many_totals *totals) {
  world *w = fl_alloc_zero(1, sizeof *w);
  sim_random r = {.state = seed * 104729 + 7};
  w->trace = trace;
  w->random.state = seed * 2 + 1;
  w->now_ms = 1700000000000;
  w->level = sim_chance(&r, 60);
  w->jobs = (uint32_t)sim_range(&r, 1, 8);
  w->pool_capacity = (uint32_t)sim_range(&r, 1, 4);
  // Some engines live through thousands of runs.
  w->wanted = (size_t)(seed % 20 ? sim_range(&r, 20, 300) : 3000);
  for (int i = 0; i < FLOWS; i++) make_flow(w, &r, i);
  sim_disk_init(&w->disk, &w->random);
  w->disk.now = disk_now, w->disk.pass = disk_pass, w->disk.on_death = disk_death, w->disk.ud = w;
  for (int i = 0; i < ENGINES; i++) w->engines[i] = (engine){.w = w, .slot = i};
  sqlite3_randomness(0, NULL);
  sim_mount *m = sim_disk_mount(&w->disk, 0);
  sqlite3_vfs_register(&m->vfs, 1);
  sim_disk_create(&w->disk, "/sim", true);
  sim_disk_sync_dir(m, "");
  live(w, seed % 20 ? (int)sim_range(&r, 0, 12) : 2);
  if (!w->failed) check_end(w);
  snprintf(failure, size, "%s", w->failure);
  *digest = w->hash;
  totals->runs += w->run_count, totals->told += w->told, totals->crashes += w->crashes;
  totals->robberies += w->robberies, totals->pruned += w->pruned;
  bool ok = !w->failed;
  if (w->observer) fl_store_close(w->observer);
  for (int i = 0; i < ENGINES; i++) kill_engine(&w->engines[i]);
  sim_disk_deinit(&w->disk);
  for (int i = 0; i < FLOWS; i++) fl_graph_free(w->flows[i].graph);
  for (size_t i = 0; i < w->run_count; i++) free(w->runs[i]);
  free(w->runs), free(w->open), free(w->tasks), free(w);
  return ok;
}
