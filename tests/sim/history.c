// What is read back: after every reopening, all that was told is there, and the history has only
// grown.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "read/read.h"
#include "store/store_internal.h"
#include "world.h"

fl_store *sim_observe(sim_world *w) {
  fl_error err;
  if (w->observer) return w->observer;
  sim_mount *m = sim_disk_mount(&w->disk, SIM_OBSERVER);
  m->immune = true;
  fl_store_options so = {.read_only = true, .disk = &m->table};
  if (fl_store_open(SIM_DIR, &so, &w->observer, &err)) {
    w->observer = NULL;
    if (err.code != FL_E_NOT_FOUND) sim_fail(w, "cannot read the store: %s", err.message);
  }
  return w->observer;
}

void sim_observe_end(sim_world *w) {
  if (w->observer) fl_store_close(w->observer);
  w->observer = NULL;
}

bool sim_find_run(sim_world *w, fl_run_row *row) {
  fl_error err;
  fl_store *s = sim_observe(w);
  fl_code rc = s ? fl_store_find_run(s, w->run[0] ? w->run : "last", row, &err) : FL_E_NOT_FOUND;
  if (rc && rc != FL_E_NOT_FOUND) sim_fail(w, "cannot find the run: %s", err.message);
  return !rc;
}

// ------------------------------------------------------------------------------------- reading

typedef struct reading {
  sim_world *w;
  fl_run_row run;
  sim_row *rows;
  size_t count, capacity;
  char (*names)[FL_ID_SIZE_MAX + 16]; // by node
  fl_node_state *states;
  fl_reason *reasons;
  uint32_t node_count;
  uint32_t *claims; // pairs
  size_t claim_count, claim_capacity;
} reading;

static bool see_entry(void *ud, const fl_status_entry *e) {
  reading *r = ud;
  if (e->node >= r->node_count) {
    uint32_t count = e->node + 1;
    r->names = fl_realloc(r->names, count * sizeof *r->names);
    r->states = fl_realloc(r->states, count * sizeof *r->states);
    r->reasons = fl_realloc(r->reasons, count * sizeof *r->reasons);
    for (uint32_t i = r->node_count; i < count; i++) r->names[i][0] = 0;
    r->node_count = count;
  }
  snprintf(r->names[e->node], sizeof *r->names, "%s", e->name);
  r->states[e->node] = e->state;
  r->reasons[e->node] = e->reason;
  return true;
}

static bool see_attempt(void *ud, const fl_attempt_row *row) {
  reading *r = ud;
  sim_row x = {.node = row->node,
               .number = row->number,
               .seq = row->seq,
               .end_seq = row->end_seq,
               .outputs = row->outputs,
               .vars = row->vars_out,
               .state = row->state};
  memcpy(x.run, r->run.id, sizeof x.run);
  SIM_PUSH(r->rows, r->count, r->capacity, x);
  return true;
}

static bool see_decision(void *ud, const fl_decision_row *row) {
  reading *r = ud;
  sim_row x = {.node = row->node, .seq = row->seq, .end_seq = row->seq, .state = row->state};
  memcpy(x.run, r->run.id, sizeof x.run);
  SIM_PUSH(r->rows, r->count, r->capacity, x);
  return true;
}

static bool see_claim(void *ud, uint32_t node, uint32_t number, int64_t at_ms) {
  reading *r = ud;
  (void)at_ms;
  SIM_PUSH(r->claims, r->claim_count, r->claim_capacity, node);
  SIM_PUSH(r->claims, r->claim_count, r->claim_capacity, number);
  return true;
}

static bool read_run(sim_world *w, const char *id, reading *r) {
  fl_error err;
  fl_store *s = sim_observe(w);
  *r = (reading){.w = w};
  fl_code rc = s ? fl_store_find_run(s, id, &r->run, &err) : FL_E_NOT_FOUND;
  if (!rc) rc = fl_read_store_status(s, &r->run, see_entry, r, &err);
  if (!rc) rc = fl_store_each_attempt(s, r->run.row, see_attempt, r, &err);
  if (!rc) rc = fl_store_each_decision(s, r->run.row, see_decision, r, &err);
  if (!rc) rc = fl_store_each_claim(s, r->run.row, see_claim, r, &err);
  if (rc && rc != FL_E_NOT_FOUND) sim_fail(w, "cannot read run %s: %s", id, err.message);
  return !rc;
}

static void reading_deinit(reading *r) {
  fl_run_row_deinit(&r->run);
  free(r->rows);
  free(r->names);
  free(r->states);
  free(r->reasons);
  free(r->claims);
}

// ------------------------------------------------------------------------------------- facts

static uint32_t node_by_name(const reading *r, const char *name) {
  for (uint32_t i = 0; i < r->node_count; i++)
    if (!strcmp(r->names[i], name)) return i;
  return FL_NODE_NONE;
}

static bool is_claimed(const reading *r, uint32_t node, uint32_t number) {
  for (size_t i = 0; i < r->claim_count; i += 2)
    if (r->claims[i] == node && r->claims[i + 1] == number) return true;
  return false;
}

static bool agrees(const sim_row *row, const sim_fact *f) {
  const char *state = fl_attempt_state_text(row->state);
  if (f->kind == FL_EVENT_NODE_RETRYING)
    return row->state == FL_ATTEMPT_FAILED || row->state == FL_ATTEMPT_TIMED_OUT ||
           row->state == FL_ATTEMPT_LOST;
  if (!strcmp(f->status, "failed"))
    return row->state == FL_ATTEMPT_FAILED || row->state == FL_ATTEMPT_TIMED_OUT ||
           row->state == FL_ATTEMPT_LOST;
  // An interrupted node stays undecided.
  return !strcmp(f->status, state) || row->state == FL_ATTEMPT_CANCELLED;
}

static bool holds(const reading *r, const sim_fact *f) {
  if (f->kind == FL_EVENT_RUN_STARTED) return true;
  if (f->kind == FL_EVENT_RUN_FINISHED)
    return r->run.resumes || !strcmp(f->status, fl_run_state_text(r->run.state));
  uint32_t node = node_by_name(r, f->node);
  if (node == FL_NODE_NONE) return false;
  for (size_t i = 0; i < r->count; i++) {
    const sim_row *row = &r->rows[i];
    if (row->node != node || row->number != f->number) continue;
    if (!f->number && !strcmp(f->status, fl_node_state_text(row->state))) return true;
    if (!f->number) continue;
    if (f->kind == FL_EVENT_NODE_STARTED) return true;
    if (row->end_seq && agrees(row, f)) return true;
  }
  return f->kind == FL_EVENT_NODE_STARTED && is_claimed(r, node, f->number);
}

static void check_facts(const reading *r, bool found, const char *run, uint64_t syncs,
                        bool lost_ok) {
  sim_world *w = r->w;
  size_t kept = 0;
  for (size_t i = 0; i < w->fact_count; i++) {
    sim_fact *f = &w->facts[i];
    bool there = strcmp(f->run, run) || (found && holds(r, f));
    bool may_be_lost = lost_ok && f->syncs >= syncs;
    if (!there && !may_be_lost)
      sim_fail(w, "lost: %s of run %s was told to be %s (attempt %u)", f->node[0] ? f->node : "it",
               f->run, f->status, f->number);
    if (there || !may_be_lost) w->facts[kept++] = *f;
  }
  w->fact_count = kept;
}

// ------------------------------------------------------------------------------------- growth

static const sim_row *find_row(const reading *r, const sim_row *old) {
  for (size_t i = 0; i < r->count; i++) {
    const sim_row *x = &r->rows[i];
    if (x->node == old->node && x->number == old->number && (x->number || x->seq == old->seq))
      return x;
  }
  return NULL;
}

static int by_seq(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static void check_sequence(const reading *r) {
  int64_t *all = fl_alloc((2 * r->count + 1) * sizeof *all);
  size_t count = 0;
  for (size_t i = 0; i < r->count; i++) {
    const sim_row *x = &r->rows[i];
    all[count++] = x->seq;
    if (x->number && x->end_seq) all[count++] = x->end_seq;
    if (x->number && x->end_seq && x->end_seq <= x->seq)
      sim_fail(r->w, "node %u.%u ended before it was claimed", x->node, x->number);
  }
  qsort(all, count, sizeof *all, by_seq);
  for (size_t i = 1; i < count; i++)
    if (all[i] == all[i - 1])
      sim_fail(r->w, "the history has two entries of number %lld", (long long)all[i]);
  free(all);
}

static bool is_old(const sim_world *w, const sim_row *x) {
  for (size_t i = 0; i < w->row_count; i++) {
    const sim_row *old = &w->rows[i];
    if (!strcmp(old->run, x->run) && old->node == x->node && old->number == x->number &&
        old->end_seq && (x->number || old->seq == x->seq))
      return true;
  }
  return false;
}

// What was committed and told to nobody may be gone after a power cut.
static void check_growth(const reading *r, bool cut) {
  sim_world *w = r->w;
  int64_t last = 0;
  for (size_t i = 0; i < w->row_count && !cut; i++) {
    const sim_row *old = &w->rows[i], *now;
    if (strcmp(old->run, r->run.id)) continue;
    if (old->end_seq > last) last = old->end_seq;
    now = find_row(r, old);
    if (!now)
      sim_fail(w, "node %u.%u is gone from the history", old->node, old->number);
    else if (old->end_seq &&
             (now->seq != old->seq || now->end_seq != old->end_seq || now->state != old->state ||
              now->outputs != old->outputs || now->vars != old->vars))
      sim_fail(w, "node %u.%u was changed after its end", old->node, old->number);
  }
  for (size_t i = 0; i < r->count && !cut; i++)
    if (r->rows[i].end_seq && r->rows[i].end_seq <= last && !is_old(w, &r->rows[i]))
      sim_fail(w, "node %u.%u was written into the past", r->rows[i].node, r->rows[i].number);
  check_sequence(r);
  size_t kept = 0;
  for (size_t i = 0; i < w->row_count; i++)
    if (strcmp(w->rows[i].run, r->run.id)) w->rows[kept++] = w->rows[i];
  w->row_count = kept;
  for (size_t i = 0; i < r->count; i++)
    SIM_PUSH(w->rows, w->row_count, w->row_capacity, r->rows[i]);
}

// ------------------------------------------------------------------------------------- model

static uint32_t last_number(const reading *r, uint32_t node) {
  uint32_t last = 0;
  for (size_t i = 0; i < r->count; i++)
    if (r->rows[i].node == node && r->rows[i].number > last) last = r->rows[i].number;
  for (size_t i = 0; i < r->claim_count; i += 2)
    if (r->claims[i] == node && r->claims[i + 1] > last) last = r->claims[i + 1];
  return last;
}

static void refresh_model(const reading *r, uint64_t syncs, bool cut, bool lost_ok) {
  sim_world *w = r->w;
  for (uint32_t i = 0; i < r->node_count; i++) {
    if (!r->names[i][0]) continue;
    sim_node *n = sim_find_node(w, r->run.id, r->names[i]);
    bool hook = !strcmp(n->name, "hook"); // runs at each end
    if (n->succeeded && r->states[i] != FL_NODE_SUCCEEDED && !cut && !hook)
      sim_fail(w, "%s had succeeded and is now %s", n->name, fl_node_state_text(r->states[i]));
    n->state = r->states[i];
    n->reason = r->reasons[i];
    n->succeeded = n->state == FL_NODE_SUCCEEDED;
    if (!lost_ok) continue;
    if (n->last_syncs >= syncs) n->last_number = last_number(r, i);
    if (n->saved_syncs >= syncs) n->saved_acked = n->steps_acked = 0;
  }
}

static void forget_run(sim_world *w, const char *run) {
  for (size_t i = 0; i < w->node_count; i++)
    if (!strcmp(w->nodes[i].run, run)) {
      char name[sizeof w->nodes[i].name];
      memcpy(name, w->nodes[i].name, sizeof name);
      w->nodes[i] = (sim_node){.seen_syncs = w->disk.log_syncs};
      memcpy(w->nodes[i].run, run, FL_RUN_ID_SIZE);
      memcpy(w->nodes[i].name, name, sizeof name);
    }
}

// What stood behind the last sync may be gone with all its records: items of a map, whole runs.
// That it was seen is no promise: what was committed is there for any reader before it is synced.
static void forget_unknown(const reading *r, uint64_t syncs) {
  sim_world *w = r->w;
  size_t kept = 0;
  for (size_t i = 0; i < w->node_count; i++) {
    sim_node *n = &w->nodes[i];
    bool gone = !strcmp(n->run, r->run.id) && node_by_name(r, n->name) == FL_NODE_NONE;
    if (gone && n->seen_syncs < syncs) sim_fail(w, "%s is gone", n->name);
    if (!gone) w->nodes[kept++] = *n;
  }
  w->node_count = kept;
}

static void check_run(sim_world *w, const char *run, uint64_t syncs, bool cut) {
  bool lost_ok = cut && w->durability == FL_DURABILITY_GROUP;
  reading r;
  char id[FL_RUN_ID_SIZE];
  snprintf(id, sizeof id, "%s", run);
  bool found = read_run(w, id, &r);
  check_facts(&r, found, id, syncs, lost_ok);
  if (found) {
    check_growth(&r, cut);
    refresh_model(&r, syncs, cut, lost_ok);
    if (lost_ok) forget_unknown(&r, syncs);
  } else if (!w->failed) {
    forget_run(w, id);
    if (!strcmp(id, w->run)) w->run[0] = 0;
  }
  reading_deinit(&r);
}

void sim_check_history(sim_world *w, bool cut) {
  char ids[64][FL_RUN_ID_SIZE];
  size_t count = 0;
  uint64_t syncs = w->disk.log_syncs;
  for (size_t i = 0; i < w->node_count && count < 64; i++) {
    size_t at = 0;
    while (at < count && strcmp(ids[at], w->nodes[i].run)) at++;
    if (at == count) memcpy(ids[count++], w->nodes[i].run, FL_RUN_ID_SIZE);
  }
  fl_run_row row = {0};
  if (!w->run[0] && sim_find_run(w, &row)) {
    memcpy(w->run, row.id, sizeof w->run);
    fl_run_row_deinit(&row);
  }
  if (w->run[0] && !count) memcpy(ids[count++], w->run, FL_RUN_ID_SIZE);
  for (size_t i = 0; i < count && !w->failed; i++) check_run(w, ids[i], syncs, cut);
}

// ------------------------------------------------------------------------------------- the end

typedef struct counts {
  uint32_t attempts, failed, lost, cancelled, live;
} counts;

static void check_node_end(const reading *r, uint32_t node) {
  sim_world *w = r->w;
  counts c = {0};
  for (size_t i = 0; i < r->count; i++) {
    const sim_row *x = &r->rows[i];
    if (x->node != node || !x->number) continue;
    c.attempts++;
    c.failed += x->state == FL_ATTEMPT_FAILED || x->state == FL_ATTEMPT_TIMED_OUT;
    c.lost += x->state == FL_ATTEMPT_LOST;
    c.cancelled += x->state == FL_ATTEMPT_CANCELLED;
    c.live += x->state <= FL_ATTEMPT_RUNNING;
  }
  if (c.live) sim_fail(w, "%s is left running", r->names[node]);
  if (c.lost > w->crashes + w->takeovers)
    sim_fail(w, "%s was lost %u times in %u crashes", r->names[node], c.lost, w->crashes);
  uint32_t at = node < w->main.count ? node : FL_NODE_NONE;
  if (at == FL_NODE_NONE) return;
  const fl_node_options *o = fl_graph_get_options(w->main.graph, at);
  const fl_node_options *inner = fl_graph_get_inner(w->main.graph, at);
  if (inner) return;
  uint32_t most = (w->resumes + 1) * (1 + o->retry_count_max);
  if (c.failed > most)
    sim_fail(w, "%s failed %u times, retries %u, resumes %u", r->names[node], c.failed,
             o->retry_count_max, w->resumes);
}

void sim_check_end(sim_world *w) {
  reading r;
  if (!read_run(w, w->run, &r)) {
    sim_fail(w, "the run is not there");
    reading_deinit(&r);
    return;
  }
  for (uint32_t i = 0; i < r.node_count && !w->failed; i++) {
    check_node_end(&r, i);
    if (r.names[i][0] && !fl_node_state_is_final(r.states[i]))
      sim_fail(w, "%s is left %s", r.names[i], fl_node_state_text(r.states[i]));
  }
  if (r.claim_count) sim_fail(w, "%zu claims are left", r.claim_count / 2);
  // An engine that was killed while it took an ended run over is named in it for ever.
  if (sim_owner_is_alive(w, r.run.owner)) sim_fail(w, "the run is owned still");
  for (size_t i = 0; i < w->task_count; i++)
    if (w->tasks[i].state <= SIM_ENDED)
      sim_fail(w, "node %u.%u of %s is left behind", w->tasks[i].node, w->tasks[i].number,
               w->tasks[i].run);
  reading_deinit(&r);
}

// ------------------------------------------------------------------------------------- results

static bool is_sure(const reading *r, uint32_t node) {
  const fl_graph *g = r->w->main.graph;
  if (r->w->main.pure) return true;
  for (uint32_t i = 0; i < r->w->main.count; i++)
    if (i != node && fl_graph_is_ancestor(g, i, node) && r->states[i] != FL_NODE_SUCCEEDED)
      return false;
  return true;
}

static void write_value(const reading *r, int64_t id, fl_buf *out) {
  fl_value *v = NULL;
  fl_error err;
  if (fl_store_get_value(r->w->observer, id, &v, &err)) {
    sim_fail(r->w, "%s", err.message);
    return;
  }
  json_t *json = v ? fl_value_to_json(v) : json_null();
  if (json_is_object(json)) json_object_del(json, SIM_PATCHED);
  fl_buf_add_char(out, ' ');
  fl_json_write(out, json);
  json_decref(json);
  fl_value_unref(v);
}

static void write_node(const reading *r, uint32_t node, fl_buf *out) {
  sim_world *w = r->w;
  bool in_graph = node < w->main.count;
  fl_buf_addf(out, "%s %s", r->names[node], fl_node_state_text(r->states[node]));
  const sim_row *last = NULL;
  for (size_t i = 0; i < r->count; i++)
    if (r->rows[i].node == node && r->rows[i].number && (!last || last->number < r->rows[i].number))
      last = &r->rows[i];
  if (!last || r->states[node] != FL_NODE_SUCCEEDED) return;
  write_value(r, last->outputs, out);
  if (in_graph && !w->main.specs[node].racy && is_sure(r, node)) write_value(r, last->vars, out);
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void sim_write_result(sim_world *w, fl_buf *out) {
  reading r;
  size_t count = 0;
  if (read_run(w, w->run, &r)) {
    char **lines = fl_alloc((r.node_count + 1) * sizeof *lines);
    fl_buf_addf(out, "run %s\n", fl_run_state_text(r.run.state));
    for (uint32_t i = 0; i < r.node_count && !w->failed; i++) {
      bool hook = i < w->main.count && fl_graph_get_options(w->main.graph, i)->hook;
      fl_buf line;
      if (!r.names[i][0] || hook) continue;
      fl_buf_init(&line, 64u << 20);
      write_node(&r, i, &line);
      lines[count++] = fl_buf_take(&line);
    }
    // Items of two maps have their numbers in the order of the maps' starts.
    qsort(lines, count, sizeof *lines, by_text);
    for (size_t i = 0; i < count; i++) {
      fl_buf_addf(out, "%s\n", lines[i]);
      free(lines[i]);
    }
    free(lines);
  }
  reading_deinit(&r);
}
