// One seed: trouble first, then healing, and the comparison with a run that had no trouble.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/store_internal.h"
#include "world.h"

#define TURNS_MAX   200000
#define HEAL_MS_MAX 86400000 // retries of a sub-flow's nodes within those of its call, backed off

static bool any_alive(const sim_world *w) {
  return w->engines[0].alive || w->engines[1].alive;
}

static sim_engine *pick_alive(sim_world *w) {
  int at = (int)sim_range(&w->random, 0, SIM_ENGINES - 1);
  for (int i = 0; i < SIM_ENGINES; i++) {
    sim_engine *e = &w->engines[(at + i) % SIM_ENGINES];
    if (e->alive && !e->frozen) return e;
  }
  return NULL;
}

// ------------------------------------------------------------------------------------- resuming

// A node that may be skipped or run again: not one that might still be running.
static uint32_t pick_node(sim_world *w, bool finished) {
  for (int tries = 0; tries < 8; tries++) {
    uint32_t node = (uint32_t)sim_range(&w->random, 0, w->main.count - 1);
    sim_node *n = sim_find_node(w, w->run, fl_graph_get_name(w->main.graph, node));
    if (fl_graph_get_options(w->main.graph, node)->hook) continue;
    if (finished ? n->state == FL_NODE_SUCCEEDED
                 : n->state == FL_NODE_PENDING || n->state == FL_NODE_FAILED ||
                       n->state == FL_NODE_UPSTREAM_FAILED || n->state == FL_NODE_CANCELLED)
      return node;
  }
  return FL_NODE_NONE;
}

static void make_patch(sim_world *w, sim_patch *p) {
  *p = (sim_patch){.vars = w->main.pure && sim_chance(&w->random, 15)};
  uint32_t rerun = sim_chance(&w->random, 20) ? pick_node(w, true) : FL_NODE_NONE;
  uint32_t skip = w->main.pure && sim_chance(&w->random, 25) ? pick_node(w, false) : FL_NODE_NONE;
  p->any_rerun = rerun != FL_NODE_NONE;
  if (p->any_rerun) p->rerun[rerun] = 1;
  p->any_skip = skip != FL_NODE_NONE && skip != rerun;
  if (p->any_skip) p->skip[skip] = 1;
}

// A rerun may start again, with nothing saved, once it is recorded: that is when the engine steps.
static void allow_reruns(sim_world *w, const sim_patch *p) {
  for (uint32_t i = 0; i < w->main.count && p->any_rerun; i++) {
    if (!p->rerun[i]) continue;
    const char *name = fl_graph_get_name(w->main.graph, i);
    size_t size = strlen(name);
    for (size_t k = 0; k < w->node_count; k++) {
      sim_node *n = &w->nodes[k];
      if (strcmp(n->run, w->run) || strncmp(n->name, name, size)) continue;
      if (n->name[size] && n->name[size] != '[') continue;
      n->succeeded = false;
      if (fl_node_state_is_final(n->state)) n->state = FL_NODE_PENDING;
      n->saved_acked = n->steps_acked = 0;
      if (n->reason == FL_REASON_SKIP_ASKED) n->reason = FL_REASON_NONE;
    }
  }
}

static fl_code resume(sim_engine *e, const fl_run_row *row, const sim_patch *p) {
  sim_world *w = e->world;
  fl_code rc = sim_engine_resume(e, row, p);
  if (rc) return rc; // nothing of the patch is recorded
  allow_reruns(w, p);
  for (uint32_t i = 0; i < w->main.count && p->any_skip; i++)
    if (p->skip[i])
      sim_find_node(w, w->run, fl_graph_get_name(w->main.graph, i))->succeeded = false;
  w->skipping |= p->any_skip;
  return FL_OK;
}

// What was skipped by hand runs now. A branch before it chooses again: that it would not have
// chosen the node was of no account while that was skipped, and a wish to run it goes before the
// choice.
static void undo_skips(sim_world *w, sim_patch *p) {
  for (uint32_t i = 0; i < w->main.count; i++) {
    const sim_node *n = sim_find_node(w, w->run, fl_graph_get_name(w->main.graph, i));
    uint32_t count;
    const uint32_t *parents = fl_graph_get_parents(w->main.graph, i, &count);
    if (n->state != FL_NODE_SKIPPED || n->reason != FL_REASON_SKIP_ASKED) continue;
    p->rerun[i] = p->any_rerun = true;
    for (uint32_t k = 0; k < count; k++) {
      const char *parent = fl_graph_get_name(w->main.graph, parents[k]);
      if (fl_graph_get_options(w->main.graph, parents[k])->kind == FL_KIND_BRANCH)
        p->rerun[parents[k]] |= sim_find_node(w, w->run, parent)->state == FL_NODE_SUCCEEDED;
    }
  }
  w->skipping = false;
}

// Somebody opens an engine and goes on where the last one left off. False: nothing is left to do.
static bool bring_up(sim_world *w, sim_engine *e, bool heal) {
  fl_run_row row = {0};
  sim_patch p = {0};
  if (!sim_engine_open(e)) return true;
  if (!sim_find_run(w, &row)) {
    sim_engine_start_run(e);
    sim_engine_step(e);
    return true;
  }
  bool done = row.state == FL_RUN_SUCCEEDED ||
              (row.state == FL_RUN_FAILED && !w->main.pure && heal && w->healed);
  if (heal && w->skipping) {
    undo_skips(w, &p);
  } else if (!heal) {
    make_patch(w, &p);
  }
  if (done && !p.any_rerun) {
    fl_run_row_deinit(&row);
    sim_engine_close(e);
    return false;
  }
  fl_code rc = resume(e, &row, &p);
  if (rc && heal && !w->failed) sim_fail(w, "cannot resume: code %d", rc);
  fl_run_row_deinit(&row);
  w->healed |= heal;
  sim_engine_step(e);
  return true;
}

// ------------------------------------------------------------------------------------- trouble

static void make_disk_trouble(sim_world *w) {
  sim_disk *d = &w->disk;
  sim_disk_heal(d);
  int what = (int)sim_range(&w->random, 0, 4);
  if (what == 0) d->write_errno = EIO;
  if (what == 1) d->sync_errno = EIO;
  if (what == 2) d->write_errno = d->sync_errno = EIO;
  if (what == 3) d->write_errno = ENOSPC;
  if (what == 4) d->slow_ms = (int)sim_range(&w->random, 1, 400);
  if (sim_chance(&w->random, 60))
    d->fault_count = 1;
  else
    d->fault_until_ms = w->now_ms + sim_range(&w->random, 1, 3000);
  sim_trace(w, "the disk: %d", what);
}

static void ask_cancel(sim_world *w) {
  fl_error err;
  fl_store *s;
  fl_run_row row;
  sim_mount *m = sim_disk_mount(&w->disk, SIM_ASKER);
  fl_store_options so = {.durability = w->durability, .disk = &m->table};
  if (!sim_find_run(w, &row)) return;
  int how = sim_chance(&w->random, 30) ? 2 : 1;
  if (!fl_store_open(SIM_DIR, &so, &s, &err)) {
    if (!fl_store_ask_cancel(s, row.row, how, &err)) {
      w->cancel_asked_ms = w->now_ms;
      sim_trace(w, "a cancel is asked for");
      fl_run_row seen;
      if (!sim_find_run(w, &seen) || seen.cancel < how)
        sim_fail(w, "a wish to cancel was not recorded");
      else
        fl_run_row_deinit(&seen);
    }
    fl_store_close(s);
  }
  fl_run_row_deinit(&row);
  sim_engine *e = pick_alive(w);
  if (e && sim_chance(&w->random, 50)) {
    fl_scheduler_check_cancels(e->scheduler);
    e->poked = true;
  }
}

static void make_rival(sim_world *w) {
  fl_run_row row = {0}, later = {0};
  sim_patch none = {0};
  sim_engine *e = &w->engines[w->engines[0].alive];
  if (e->alive || !sim_find_run(w, &row)) return;
  bool held = sim_owner_is_alive(w, row.owner);
  bool over = fl_run_state_is_final(row.state);
  if (!over && sim_engine_open(e)) {
    fl_code rc = resume(e, &row, &none);
    if (!rc) w->takeovers++, w->crashes++;
    if (!rc && held) sim_fail(w, "two engines own the run");
    sim_engine_step(e);
  }
  if (sim_find_run(w, &later)) fl_run_row_deinit(&later);
  fl_run_row_deinit(&row);
}

static void freeze(sim_world *w) {
  sim_engine *e = pick_alive(w);
  if (!e || fl_store_is_open(e->store)) return;
  sim_trace(w, "engine %d is frozen", e->slot);
  e->frozen = true;
  // As when a file system loses the locks it was trusted with: another may take the run over.
  e->unlocked = sim_chance(&w->random, 60);
  w->thaw_ms = w->now_ms + sim_range(&w->random, 100, 40000);
}

static void thaw(sim_world *w) {
  for (int i = 0; i < SIM_ENGINES; i++) {
    sim_engine *e = &w->engines[i];
    if (!e->frozen) continue;
    sim_trace(w, "engine %d is thawed", i);
    e->frozen = e->unlocked = false;
    e->poked = true;
    sim_tasks_deliver(e);
  }
  w->thaw_ms = 0;
}

static void kill_supervisors(sim_world *w) {
  for (size_t i = 0; i < w->supervisor_count; i++)
    if (w->supervisors[i].alive && sim_chance(&w->random, 60)) sim_supervisor_kill(w, (int)i);
  w->crashes++;
}

static void make_trouble(sim_world *w) {
  sim_engine *e = pick_alive(w);
  int what = (int)sim_range(&w->random, 0, 99);
  if (w->disk.slow_ms) sim_disk_heal(&w->disk);
  if (!e && what < 50) return;
  if (what < 15) {
    sim_engine_kill(e);
  } else if (what < 38) {
    e->mount->kill_in = sim_range(&w->random, 1, 40);
    e->mount->cut_in = false;
  } else if (what < 48) {
    e->mount->kill_in = sim_range(&w->random, 1, 40);
    e->mount->cut_in = true;
  } else if (what < 56) {
    sim_power_cut(w);
  } else if (what < 64) {
    kill_supervisors(w);
  } else if (what < 68) {
    kill_supervisors(w);
    if (e && e->alive) sim_engine_kill(e);
  } else if (what < 78) {
    make_disk_trouble(w);
  } else if (what < 83) {
    ask_cancel(w);
  } else if (what < 87) {
    if (e) fl_scheduler_cancel_all(e->scheduler, sim_chance(&w->random, 30)), e->poked = true;
  } else if (what < 93) {
    freeze(w);
  } else {
    make_rival(w);
  }
}

// ------------------------------------------------------------------------------------- phases

static void after_deaths(sim_world *w, uint32_t *crashes, uint64_t *cuts) {
  if (*crashes == w->crashes && *cuts == w->cuts) return;
  sim_check_history(w, *cuts != w->cuts);
  if (*cuts != w->cuts && w->durability == FL_DURABILITY_GROUP)
    w->patched_ms = w->cancel_asked_ms = 0;
  if (!any_alive(w)) w->cancel_asked_ms = 0;
  *crashes = w->crashes;
  *cuts = w->cuts;
}

static void trouble_phase(sim_world *w) {
  int64_t left = sim_range(&w->random, 1, 10), next = w->now_ms + sim_range(&w->random, 0, 3000);
  int64_t up_ms = w->now_ms;
  uint32_t crashes = 0;
  uint64_t cuts = 0;
  bool done = false;
  for (int turns = 0; !w->failed && left > 0 && !(done && !any_alive(w)); turns++) {
    if (turns > TURNS_MAX) sim_fail(w, "no end of turns");
    bool down = !w->engines[0].alive && !w->engines[1].alive;
    if (down && !up_ms) up_ms = w->now_ms + sim_range(&w->random, 0, 20000);
    int64_t until = next;
    if (down && up_ms < until) until = up_ms;
    if (w->thaw_ms && w->thaw_ms < until) until = w->thaw_ms;
    sim_world_turn(w, until);
    after_deaths(w, &crashes, &cuts);
    if (w->failed) return;
    if (w->thaw_ms && w->now_ms >= w->thaw_ms) thaw(w);
    if (!any_alive(w) && up_ms && w->now_ms >= up_ms) {
      up_ms = 0;
      done = !bring_up(w, &w->engines[sim_range(&w->random, 0, 1)], false);
      if (w->cut_pending) sim_power_cut(w);
      after_deaths(w, &crashes, &cuts);
    }
    if (w->now_ms >= next) {
      make_trouble(w);
      if (w->cut_pending) sim_power_cut(w);
      after_deaths(w, &crashes, &cuts);
      left--;
      next = w->now_ms + sim_range(&w->random, 0, sim_chance(&w->random, 50) ? 500 : 8000);
    }
  }
}

static void heal_phase(sim_world *w) {
  sim_disk_heal(&w->disk);
  for (int i = 0; i < SIM_ENGINES && w->faults; i++) {
    w->engines[i].frozen = false;
    sim_engine_kill(&w->engines[i]);
  }
  w->healing = w->mended = true;
  w->thaw_ms = 0;
  if (w->faults) sim_check_history(w, false);
  sim_trace(w, "healing");
  for (int tries = 0; !w->failed; tries++) {
    if (tries > 12) sim_fail(w, "it does not converge");
    if (!bring_up(w, &w->engines[0], true)) break;
    int64_t until = w->now_ms + HEAL_MS_MAX;
    for (int turns = 0; w->engines[0].alive && !w->failed; turns++) {
      sim_world_turn(w, until);
      if (w->now_ms >= until || turns > TURNS_MAX)
        sim_fail(w, "a run without trouble does not end");
    }
    if (!w->failed) sim_check_history(w, false);
  }
}

static void run_world(sim_world *w, fl_buf *result) {
  sqlite3_randomness(0, NULL);
  sqlite3_vfs_register(&w->disk.mounts[0].vfs, 1); // so that SQLite's chance is the seed's too
  if (w->faults) trouble_phase(w);
  if (!w->failed) heal_phase(w);
  if (!w->failed) sim_check_end(w);
  if (!w->failed) sim_write_result(w, result);
}

// Where two texts part, as far as one line tells.
static void fail_different(sim_world *w, const char *mine, const char *wanted) {
  const char *a = mine, *b = wanted;
  for (const char *p = mine, *q = wanted; *p && *p == *q; p++, q++)
    if (*p == '\n') a = p + 1, b = q + 1;
  sim_fail(w, "the end differs: %.*s, without trouble %.*s", (int)strcspn(a, "\n") % 160, a,
           (int)strcspn(b, "\n") % 160, b);
}

bool sim_run_seed(uint64_t seed, bool trace, char *failure, size_t failure_size, uint64_t *digest,
                  sim_totals *totals) {
  static sim_world w;
  fl_buf wanted, got;
  fl_buf_init(&wanted, 64u << 20);
  fl_buf_init(&got, 64u << 20);
  sim_world_init(&w, seed, false, trace);
  run_world(&w, &wanted);
  bool ok = !w.failed;
  snprintf(failure, failure_size, "without trouble, %s", w.failure);
  sim_world_deinit(&w);
  if (ok) {
    sim_world_init(&w, seed, true, trace);
    run_world(&w, &got);
    if (!w.failed && (wanted.size != got.size || memcmp(wanted.data, got.data, got.size)))
      fail_different(&w, fl_buf_cstr(&got), fl_buf_cstr(&wanted));
    ok = !w.failed;
    snprintf(failure, failure_size, "%s", w.failure);
    *digest = w.trace_hash;
    totals->crashes += w.crashes;
    totals->takeovers += w.takeovers;
    totals->resumes += w.resumes;
    totals->facts += w.fact_count;
    totals->virtual_ms += w.now_ms - 1700000000000;
    sim_world_deinit(&w);
  }
  fl_buf_deinit(&wanted);
  fl_buf_deinit(&got);
  return ok;
}
