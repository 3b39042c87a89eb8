// The scheduler's turn: due -> claims -> commit -> starts, acknowledgements, events.
// Invariant: between turns nothing is written that is not committed.
#include "engine/run.h"
#include "base/bug.h"

int64_t fl_now(const fl_scheduler *s) {
  return s->clock.wall_ms(s->clock.ud);
}
int64_t fl_ticks(const fl_scheduler *s) {
  return s->clock.monotonic_ms(s->clock.ud);
}

fl_scheduler *fl_scheduler_new(const fl_scheduler_config *config) {
  fl_scheduler *s = fl_alloc_zero(1, sizeof *s);
  s->config = *config;
  s->store = config->store;
  s->clock = config->clock;
  s->owner = fl_strdup(config->owner);
  s->jobs = config->jobs ? config->jobs : 1;
  memcpy(s->executors, config->executors, sizeof s->executors);
  s->executors[FL_KIND_MAP] = fl_map_executor;
  s->executors[FL_KIND_CALL] = fl_call_executor;
  s->pools = fl_alloc_zero(config->pool_count + 1, sizeof *s->pools);
  for (size_t i = 0; i < config->pool_count; i++)
    s->pools[s->pool_count++] = (fl_pool_capacity){.name = fl_strdup(config->pools[i].name),
                                                   .capacity = config->pools[i].capacity};
  s->lease_due_ms = -1;
  return s;
}

void fl_scheduler_set_store(fl_scheduler *s, fl_store *store) {
  s->config.store = s->store = store;
}

static void free_attempts(fl_attempt *list) {
  for (fl_attempt *a = list, *next; a; a = next) {
    next = a->next;
    fl_attempt_free(a);
  }
}

void fl_scheduler_free(fl_scheduler *s) {
  if (!s) return;
  if (s->config.on_event) s->config.on_event = NULL;
  for (size_t i = 0; i < s->event_count; i++) {
    free(s->events[i].error);
    free(s->events[i].name);
  }
  free_attempts(s->live_slots);
  free_attempts(s->live_free);
  for (size_t i = 0; i < s->ended_count; i++) fl_run_free(s->ended[i]);
  for (size_t i = 0; i < s->run_count; i++) fl_run_free(s->runs[i]);
  for (uint32_t i = 0; i < s->pool_count; i++) free(s->pools[i].name);
  free(s->pools);
  free(s->runs);
  free(s->ended);
  free(s->wanted);
  free(s->starts);
  free(s->acks);
  free(s->events);
  free(s->dues);
  free(s->owner);
  free(s);
}

// ------------------------------------------------------------------------------------- lists

#define PUSH(list, count, capacity, item)                                                          \
  do {                                                                                             \
    if ((count) == (capacity)) {                                                                   \
      (capacity) = (capacity) ? (capacity)*2 : 16;                                                 \
      (list) = fl_realloc((list), (capacity) * sizeof *(list));                                    \
    }                                                                                              \
    (list)[(count)++] = (item);                                                                    \
  } while (0)

void fl_scheduler_add_start(fl_scheduler *s, fl_attempt *a) {
  PUSH(s->starts, s->start_count, s->start_capacity, a);
}

void fl_scheduler_add_ack(fl_scheduler *s, void (*done)(void *ud), void *ud) {
  fl_ack ack = {done, ud};
  PUSH(s->acks, s->ack_count, s->ack_capacity, ack);
}

void fl_scheduler_add_run(fl_scheduler *s, fl_run *run) {
  PUSH(s->runs, s->run_count, s->run_capacity, run);
  if (s->lease_due_ms < 0) s->lease_due_ms = fl_ticks(s) + FL_LEASE_MS / 3;
  s->fill_wanted = true;
}

void fl_scheduler_forget(fl_scheduler *s, void *ud) {
  for (size_t i = 0; i < s->ack_count; i++)
    if (s->acks[i].ud == ud) s->acks[i].done = NULL;
}

static bool holds_slot(const fl_attempt *a) {
  return a->options->kind == FL_KIND_PROCESS || a->options->kind == FL_KIND_WORKER;
}

static void count_live(fl_scheduler *s, const fl_attempt *a, int by) {
  if (a->options->kind == FL_KIND_PROCESS)
    s->live_process += (uint32_t)by;
  else if (a->options->kind == FL_KIND_WORKER)
    s->live_worker += (uint32_t)by;
  else
    s->live_free_count += (uint32_t)by;
  a->run->live_count += (uint32_t)by;
}

void fl_scheduler_link(fl_scheduler *s, fl_attempt *a) {
  fl_attempt **list = holds_slot(a) ? &s->live_slots : &s->live_free;
  a->next = *list;
  a->prev = NULL;
  if (a->next) a->next->prev = a;
  *list = a;
  s->live_adopted += a->adopted;
  count_live(s, a, 1);
}

void fl_scheduler_unlink(fl_scheduler *s, fl_attempt *a) {
  if (FL_BUG(slot_not_freed) && a->number > 1) count_live(s, a, 1);
  fl_attempt **list = holds_slot(a) ? &s->live_slots : &s->live_free;
  if (a->prev)
    a->prev->next = a->next;
  else
    *list = a->next;
  if (a->next) a->next->prev = a->prev;
  a->next = a->prev = NULL;
  s->live_adopted -= a->adopted;
  count_live(s, a, -1);
}

// ------------------------------------------------------------------------------------- due times

void fl_scheduler_add_due(fl_scheduler *s, fl_due due) {
  PUSH(s->dues, s->due_count, s->due_capacity, due);
  size_t at = s->due_count - 1;
  while (at > 0 && s->dues[(at - 1) / 2].at_ms > due.at_ms) {
    s->dues[at] = s->dues[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  s->dues[at] = due;
}

static fl_due pop_due(fl_scheduler *s) {
  fl_due top = s->dues[0], last = s->dues[--s->due_count];
  size_t at = 0;
  for (size_t down; (down = 2 * at + 1) < s->due_count; at = down) {
    if (down + 1 < s->due_count && s->dues[down + 1].at_ms < s->dues[down].at_ms) down++;
    if (s->dues[down].at_ms >= last.at_ms) break;
    s->dues[at] = s->dues[down];
  }
  if (s->due_count) s->dues[at] = last;
  return top;
}

static void forget_dues(fl_scheduler *s, const fl_run *run) {
  size_t count = s->due_count;
  s->due_count = 0;
  for (size_t i = 0; i < count; i++)
    if (s->dues[i].run != run) fl_scheduler_add_due(s, s->dues[i]);
}

static void handle_due(fl_scheduler *s, const fl_due *d) {
  fl_run *run = d->run;
  if (run->phase == FL_PHASE_ENDED || run->fenced) return;
  if (d->kind == FL_DUE_QUEUE) { // the fill looks at queued runs
    run->queue_due = false;
    return;
  }
  if (d->kind == FL_DUE_RUN_TIMEOUT) {
    run->timed_out = true;
    fl_scheduler_cancel_run(s, run, false, false);
    return;
  }
  fl_node_run *n = fl_run_get_node(run, d->node);
  if (d->kind == FL_DUE_RETRY) {
    if (fl_plan_get_state(run->plan, d->node) == FL_NODE_RETRYING && n->attempts == d->number)
      fl_plan_apply(run->plan, d->node, FL_NODE_DUE);
    return;
  }
  fl_attempt *a = n->live;
  if (!a || a->number != d->number || a->cancelling) return;
  a->timing_out = a->cancelling = true;
  fl_executor *e = &s->executors[a->options->kind];
  e->cancel(e->ud, a, a->options->grace_ms);
}

static void run_dues(fl_scheduler *s) {
  int64_t now = fl_ticks(s);
  while (s->due_count && s->dues[0].at_ms <= now) {
    fl_due d = pop_due(s);
    handle_due(s, &d);
    s->fill_wanted = true;
  }
}

// ------------------------------------------------------------------------------------- writing

bool fl_scheduler_break(fl_scheduler *s, const fl_error *err) {
  if (!s->broken) s->error = *err;
  s->broken = true;
  return false;
}

fl_code fl_scheduler_check_read(fl_scheduler *s, fl_code code, const fl_error *err) {
  if (code == FL_E_CORRUPT) fl_scheduler_break(s, err);
  return code;
}

// Another engine owns the run now: drop what we have of it without writing a word.
static void abandon(fl_scheduler *s, fl_run *run) {
  run->fenced = run->stopping = true;
  run->phase = FL_PHASE_ENDED;
  fl_error err;
  fl_fail(&err, FL_E_FENCED,
          "run %s was taken over by another engine: this one writes nothing more", run->row.id);
  fl_scheduler_break(s, &err);
}

bool fl_scheduler_begin(fl_scheduler *s) {
  fl_error err;
  if (s->broken) return false;
  if (fl_store_is_open(s->store) && s->dirty) return true;
  if (fl_store_begin(s->store, &err)) return fl_scheduler_break(s, &err);
  s->dirty = true;
  for (size_t i = 0; i < s->run_count; i++) {
    if (!s->runs[i]->row.row) continue; // not recorded yet: nobody can own it
    fl_code rc = fl_store_fence(s->store, s->runs[i]->row.row, s->runs[i]->row.epoch, &err);
    if (rc == FL_E_FENCED) return abandon(s, s->runs[i]), false;
    if (rc) return fl_scheduler_break(s, &err);
  }
  return true;
}

static void renew_leases(fl_scheduler *s) {
  if (s->lease_due_ms < 0 || fl_ticks(s) < s->lease_due_ms) return;
  s->lease_due_ms = s->run_count ? fl_ticks(s) + FL_LEASE_MS / 3 : -1;
  if (!s->run_count || !fl_scheduler_begin(s)) return;
  fl_error err;
  for (size_t i = 0; i < s->run_count && !FL_BUG(lease_not_renewed); i++)
    if (fl_store_renew_lease(s->store, s->runs[i]->row.row, fl_now(s) + FL_LEASE_MS, &err))
      fl_scheduler_break(s, &err);
  fl_scheduler_check_cancels(s);
}

// ------------------------------------------------------------------------------------- filling
// slots

// The best node that may be claimed now, over all runs and queues. A queue whose head waits for a
// slot holds back those behind it in the order, so that claims ahead never overtake.
static fl_run *pick(fl_scheduler *s, uint32_t *queue) {
  fl_run *best = NULL;
  uint32_t best_head = 0;
  bool best_has_slot = false;
  for (size_t r = 0; r < s->run_count; r++) {
    fl_run *run = s->runs[r];
    if (run->stopping || run->queued || !fl_plan_get_ready_count(run->plan)) continue;
    for (uint32_t q = 0; q < fl_plan_get_queue_count(run->plan); q++) {
      uint32_t head;
      const fl_queue_key *key = fl_plan_get_queue(run->plan, q, &head);
      if (head == FL_NODE_NONE || !fl_slots_fit(s, run, key, head)) continue;
      bool slot = fl_slots_has(s, key);
      if (key->slot == FL_SLOT_NONE && slot) return *queue = q, run;
      if (key->slot == FL_SLOT_NONE) continue;
      bool better = !best;
      if (best == run)
        better = fl_plan_goes_before(run->plan, q, *queue);
      else if (best)
        better =
            fl_plan_get_priority(run->plan, head) > fl_plan_get_priority(best->plan, best_head);
      if (!better) continue;
      best = run, best_head = head, best_has_slot = slot, *queue = q;
    }
  }
  return best_has_slot ? best : NULL;
}

static void admit_queued(fl_scheduler *s, fl_run *run) {
  // Others of this flow may run in other processes: the store knows.
  uint32_t queue_ms = 500;
  if (!run->queued) return;
  if (fl_run_may_begin(run)) {
    run->queued = false;
    fl_run_begin(run);
    return;
  }
  if (run->queue_due) return;
  run->queue_due = true;
  fl_scheduler_add_due(s,
                       (fl_due){.at_ms = fl_ticks(s) + queue_ms, .kind = FL_DUE_QUEUE, .run = run});
}

static void fill(fl_scheduler *s) {
  s->fill_wanted = false;
  fl_slots_count(s);
  for (size_t i = 0; i < s->run_count; i++) admit_queued(s, s->runs[i]);
  for (size_t i = 0; i < s->run_count; i++) fl_run_take_decisions(s->runs[i]);
  uint32_t queue = 0;
  fl_run *run;
  uint32_t claimed = 0;
  while (!s->broken && !s->entering && (run = pick(s, &queue))) {
    uint32_t processes = s->live_process, workers = s->live_worker;
    fl_run_claim(run, fl_plan_pop(run->plan, queue));
    if (s->live_process > processes) fl_slots_take(s, FL_SLOT_PROCESS);
    if (s->live_worker > workers) fl_slots_take(s, FL_SLOT_WORKER);
    fl_run_take_decisions(run);
    // One commit a few thousand claims: what has run by then leaves memory again.
    if (++claimed >= 4096) {
      s->fill_wanted = true;
      break;
    }
  }
  for (size_t i = 0; i < s->run_count; i++) fl_run_advance(s->runs[i]);
  if (s->entering)
    fl_slots_withhold(s);
  else
    fl_slots_give(s);
}

// ------------------------------------------------------------------------------------- the turn

// Once their ends are durable and told: an adviser may take its time, and holds no lock meanwhile.
static void ask_advisers(fl_scheduler *s) {
  for (size_t i = 0; i < s->run_count && !s->broken; i++) {
    fl_run *run = s->runs[i];
    if (!run->asks_adviser || run->phase != FL_PHASE_ENDED || run->live_count) continue;
    run->asks_adviser = false;
    fl_run_propose(run);
  }
}

static void sweep_ended(fl_scheduler *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->run_count; i++) {
    fl_run *run = s->runs[i];
    if (run->phase != FL_PHASE_ENDED || run->live_count || run->asks_adviser) {
      s->runs[kept++] = run;
      continue;
    }
    forget_dues(s, run);
    if (s->config.on_event)
      PUSH(s->ended, s->ended_count, s->ended_capacity, run);
    else
      fl_run_free(run);
  }
  s->run_count = kept;
  if (!kept) s->lease_due_ms = -1;
}

bool fl_scheduler_commit(fl_scheduler *s) {
  fl_error err;
  if (!s->dirty) return true;
  if (!fl_scheduler_write_claims(s)) return false;
  s->dirty = false;
  if (fl_store_commit(s->store, &err)) return fl_scheduler_break(s, &err);
  return true;
}

// With `group`: the commits of the last 100 ms reach the disk even when no other follows.
static bool sync_when_due(fl_scheduler *s) {
  fl_error err;
  if (fl_store_sync_due_ms(s->store, fl_ticks(s)) != 0 || FL_BUG(group_not_synced)) return true;
  if (fl_store_sync(s->store, &err)) return fl_scheduler_break(s, &err);
  return true;
}

static void start(fl_scheduler *s, fl_attempt *a) {
  fl_executor *e = &s->executors[a->options->kind];
  fl_run *run = a->run;
  uint32_t node = a->node;
  bool cancel = a->cancelling; // since its claim
  a->started = true;
  // A run that it had begun is entered all the same: what is left there has to be ended with it.
  if (cancel && !(a->options->kind == FL_KIND_CALL && a->child_run)) {
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED,
                                    .exit_code = -1,
                                    .reason = FL_REASON_CANCEL_ASKED});
    return;
  }
  e->start(e->ud, a);
  if (cancel && fl_run_get_node(run, node)->live == a) e->cancel(e->ud, a, a->options->grace_ms);
}

static bool release(fl_scheduler *s) {
  bool any = s->start_count || s->ack_count || s->event_count;
  fl_scheduler_flush_events(s);
  size_t acks = s->ack_count;
  for (size_t i = 0; i < acks; i++)
    if (s->acks[i].done) s->acks[i].done(s->acks[i].ud);
  if (acks) memmove(s->acks, s->acks + acks, (s->ack_count - acks) * sizeof *s->acks);
  s->ack_count -= acks;
  size_t starts = s->start_count;
  s->fill_wanted |= s->entering;
  s->entering = false; // unless one that is entered now calls others
  for (size_t i = 0; i < starts; i++) start(s, s->starts[i]);
  if (starts) memmove(s->starts, s->starts + starts, (s->start_count - starts) * sizeof *s->starts);
  s->start_count -= starts;
  for (int k = 0; k < FL_KIND_COUNT; k++)
    if (s->executors[k].flush) s->executors[k].flush(s->executors[k].ud);
  return any;
}

fl_code fl_scheduler_step(fl_scheduler *s, uint32_t budget_ms, bool *again, fl_error *err) {
  int64_t until = fl_ticks(s) + budget_ms;
  bool more = true;
  while (more && !s->broken) {
    run_dues(s);
    renew_leases(s);
    if (s->fill_wanted) fill(s);
    if (FL_BUG(told_before_commit)) fl_scheduler_flush_events(s);
    if (FL_BUG(started_before_commit)) (void)release(s);
    if (s->broken || !fl_scheduler_commit(s) || !sync_when_due(s)) break;
    sweep_ended(s);
    more = release(s) || s->fill_wanted || s->dirty;
    if (more) continue; // what is told is flushed first
    ask_advisers(s);
    more = s->dirty || s->event_count;
    if (fl_ticks(s) >= until) break;
  }
  *again = more && !s->broken;
  if (!s->broken) return FL_OK;
  if (s->dirty) fl_store_rollback(s->store);
  s->dirty = false;
  if (err) *err = s->error;
  return s->error.code;
}

int64_t fl_scheduler_get_due_ms(const fl_scheduler *s) {
  int64_t due = s->due_count ? s->dues[0].at_ms : -1;
  if (s->lease_due_ms >= 0 && (due < 0 || s->lease_due_ms < due)) due = s->lease_due_ms;
  int64_t now = fl_ticks(s), sync = fl_store_sync_due_ms(s->store, now);
  if (due >= 0) due = due > now ? due - now : 0;
  if (sync >= 0 && (due < 0 || sync < due)) due = sync;
  return due;
}

size_t fl_scheduler_get_run_count(const fl_scheduler *s) {
  return s->run_count;
}
fl_run *fl_scheduler_get_run(fl_scheduler *s, size_t index) {
  return s->runs[index];
}
bool fl_scheduler_is_broken(const fl_scheduler *s) {
  return s->broken;
}
fl_store *fl_scheduler_get_store(fl_scheduler *s) {
  return s->store;
}

fl_run *fl_scheduler_find_run(fl_scheduler *s, const char *run_id) {
  for (size_t i = 0; i < s->run_count; i++)
    if (!strcmp(s->runs[i]->row.id, run_id)) return s->runs[i];
  return NULL;
}

fl_attempt *fl_scheduler_find_attempt(fl_scheduler *s, const char *run_id, uint32_t node_number,
                                      uint32_t number) {
  fl_run *run = fl_scheduler_find_run(s, run_id);
  uint32_t node = run ? fl_run_find_number(run, node_number) : FL_NODE_NONE;
  if (node == FL_NODE_NONE) return NULL;
  fl_attempt *a = fl_run_get_node(run, node)->live;
  return a && a->number == number ? a : NULL;
}

void fl_scheduler_supervisor_changed(fl_scheduler *s) {
  for (size_t i = 0; i < s->run_count; i++) s->runs[i]->supervisor_known = false;
}

fl_code fl_scheduler_prepare_flow(fl_scheduler *s, fl_flow *flow, fl_snapshot *snapshot,
                                  fl_error *err) {
  if (!fl_scheduler_begin(s)) return *err = s->error, s->error.code;
  fl_code rc = FL_OK;
  if (!snapshot->store_id) rc = fl_store_put_script(s->store, snapshot, err);
  flow->script_store_id = snapshot->store_id;
  return rc ? rc : fl_flow_record(s->store, flow, err);
}
