// The scheduler's turn: due -> what is awake -> claims -> commit -> starts, acknowledgements,
// events. Invariant: between turns nothing is written that is not committed.
#include "engine/run_internal.h"
#include "base/bug.h"

fl_scheduler *fl_scheduler_new(const fl_scheduler_config *config) {
  fl_scheduler *s = fl_alloc_zero(1, sizeof *s);
  s->config = *config;
  s->store = config->store;
  s->clock = config->clock;
  s->owner = fl_strdup(config->owner);
  s->jobs = config->jobs ? config->jobs : 1;
  s->sites = fl_alloc_zero(1, sizeof *s->sites);
  s->site_count = 1;
  for (int kind = 0; kind < FL_KIND_COUNT; kind++)
    if (fl_kinds[kind].executor) fl_scheduler_register(s, fl_kinds[kind].executor);
  s->pools = fl_alloc_zero(config->pool_count + 1, sizeof *s->pools);
  for (size_t i = 0; i < config->pool_count; i++)
    s->pools[s->pool_count++] = (fl_pool){.name = fl_strdup(config->pools[i].name),
                                          .capacity = config->pools[i].capacity,
                                          .fixed = true};
  if (config->on_event) fl_scheduler_subscribe(s, config->on_event, config->event_ud);
  return s;
}

void fl_scheduler_set_store(fl_scheduler *s, fl_store *store, const char *owner) {
  s->config.store = s->store = store;
  free(s->owner);
  s->owner = fl_strdup(owner);
}

void fl_scheduler_free(fl_scheduler *s) {
  if (!s) return;
  s->subscriber_count = 0;
  for (size_t i = 0; i < s->run_count; i++) {
    fl_run *run = s->runs[i];
    for (fl_attempt *a; (a = run->live.first ? run->live.first : run->claims.first);) {
      fl_run_get_node(run, a->node)->live = NULL;
      fl_scheduler_drop_start(s, a);
      fl_scheduler_unlink(s, a);
      fl_attempt_free(a);
    }
  }
  // Those that were called first: they stand in the lines of those that called them.
  for (size_t i = 0; i < s->run_count; i++) fl_lineup_leave(s->runs[i]);
  while (s->run_count) {
    fl_run *run = s->runs[s->run_count - 1];
    fl_scheduler_remove_run(s, run);
    fl_run_free(run);
  }
  for (size_t i = 0; i < s->event_count; i++) {
    if (s->events[i].last) fl_run_free(s->events[i].run);
    free(s->events[i].error);
  }
  for (uint32_t i = 0; i < s->pool_count; i++) free(s->pools[i].name);
  fl_scheduler_drop_recordings(s);
  fl_lineup_free_lanes(s);
  fl_gate_free_all(s);
  fl_table_deinit(&s->by_id);
  fl_line_deinit(&s->dues);
  for (uint32_t i = 0; i < s->site_count; i++) free(s->sites[i].levels);
  free(s->sites);
  free(s->pools);
  free(s->runs);
  free(s->awake);
  free(s->advising);
  free(s->gone);
  free(s->claiming);
  free(s->marks);
  free(s->wanted);
  free(s->starts);
  free(s->acks);
  free(s->events);
  free(s->subscribers);
  free(s->owner);
  free(s);
}

// ------------------------------------------------------------------------------------- due times

static void time_out(fl_attempt *a) {
  a->due = NULL;
  if (a->cancelling) return;
  a->timing_out = a->cancelling = true;
  fl_attempt_cancel(a, a->options->grace_ms);
}

static void handle_due(fl_scheduler *s, const fl_due *d) {
  fl_run *run = d->run;
  if (d->kind == FL_DUE_GATE) {
    fl_gate_look(d->gate);
    return;
  }
  fl_run_wake(run);
  if (d->kind == FL_DUE_TIMEOUT) {
    fl_attempt *a = fl_run_get_node(run, d->node)->live;
    FL_ASSERT(a && a->number == d->number); // its end would have dropped it
    time_out(a);
    return;
  }
  if (run->phase >= FL_PHASE_SEAL) return;
  if (d->kind == FL_DUE_RUN_TIMEOUT) {
    run->timed_out = true;
    fl_scheduler_cancel_run(s, run, false, false);
    return;
  }
  const fl_node_run *n = fl_run_get_node(run, d->node);
  if (fl_plan_get_state(run->plan, d->node) == FL_NODE_RETRYING && n->attempts == d->number)
    fl_plan_apply(run->plan, d->node, FL_NODE_DUE);
}

static void run_dues(fl_scheduler *s) {
  int64_t now = fl_ticks(s);
  fl_due d;
  while (fl_due_take(s, now, &d)) {
    handle_due(s, &d);
    if (fl_scheduler_is_out_of_time(s)) break;
  }
}

// ------------------------------------------------------------------------------------- filling
// slots

// What a run that something happened to does next, as far as that needs no slot.
static void tend(fl_scheduler *s, fl_run *run) {
  if (!fl_run_record(run, false)) {
    fl_run_wake(run);
    return;
  }
  if (run->queued && fl_gate_admit(run)) {
    run->queued = false;
    fl_run_begin(run);
  }
  if (!fl_run_begin_some(run)) {
    fl_run_wake(run);
    return;
  }
  fl_run_take_decisions(run);
  if (!fl_map_list_some(run, run->stopping)) fl_run_wake(run);
  fl_run_stop_some(run);
  fl_run_advance(run);
  fl_lineup_refresh(run);
  if (run->phase != FL_PHASE_ENDED || run->live_count) return;
  if (run->asks_adviser)
    fl_scheduler_set_advising(s, run);
  else
    fl_scheduler_set_gone(s, run);
}

#define CLAIMS_MAX        4096 // a commit: what has run by then leaves memory again
#define STARTS_BEHIND_MAX 256  // with more no further one is claimed: steps are too short for them
#define SHARED_CLAIMS_MAX 128  // ... when others wait: theirs must not stand behind more than this

static bool claim_one(fl_scheduler *s) {
  uint32_t queue = 0;
  fl_run *run = s->entering ? NULL : fl_lineup_pick(s, &queue);
  if (!run) return false;
  uint32_t node = fl_plan_pop(run->plan, queue), at = fl_plan_get_executor(run->plan, node);
  uint32_t live = s->sites[at].live;
  fl_run_claim(run, node);
  if (s->sites[at].live > live) fl_slots_take(s, &s->sites[at]);
  fl_run_take_decisions(run);
  fl_lineup_refresh(run);
  return true;
}

static void fill(fl_scheduler *s) {
  fl_run *run;
  size_t claims = 0, claims_max = fl_lineup_is_shared(s) ? SHARED_CLAIMS_MAX : CLAIMS_MAX;
  bool more = true, over = false, behind = false;
  fl_slots_count(s);
  while (more && !over && !s->broken) { // what a claim decides may be more to do
    while (!s->broken && (run = fl_scheduler_take_awake(s))) {
      tend(s, run);
      if (fl_scheduler_is_out_of_time(s)) break;
    }
    // What is claimed and has not begun is written again with each claim: it is begun first.
    behind = s->start_count - s->start_at >= STARTS_BEHIND_MAX;
    if (behind && s->awake_at == s->awake_count) break;
    while (!behind && !s->broken && (more = claim_one(s))) {
      over = ++claims == claims_max || fl_scheduler_is_out_of_time(s);
      if (over) break;
    }
    over |= fl_scheduler_is_out_of_time(s);
    more |= s->awake_at < s->awake_count;
  }
  // Where their sync is still waited for nothing can be begun: it goes on when that is done.
  s->fill_held = behind && s->start_at == s->start_ready && !fl_scheduler_is_synced(s);
  s->fill_wanted = more && !s->fill_held;
  if (s->entering)
    fl_slots_withhold(s);
  else
    fl_slots_give(s);
}

// ------------------------------------------------------------------------------------- what leaves

static void start(fl_scheduler *s, fl_attempt *a) {
  fl_run *run = a->run;
  uint32_t node = a->node;
  bool cancel = a->cancelling |= a->run->stop_left; // since its claim
  fl_scheduler_drop_start(s, a);
  a->started = true;
  a->given_ms = fl_ticks(s);
  // A run that it had begun is entered all the same: what is left there has to be ended with it.
  if (cancel && !a->child_run) {
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED,
                                    .exit_code = -1,
                                    .reason = FL_REASON_CANCEL_ASKED});
    return;
  }
  const fl_executor *x = &fl_attempt_get_site(a)->x;
  x->start(x->ud, a);
  if (cancel && fl_run_get_node(run, node)->live == a) fl_attempt_cancel(a, a->options->grace_ms);
}

// What has left is forgotten now and then: where one turn overlaps with the next there is always
// something that has not.
static void forget_left(fl_scheduler *s) {
  size_t least = 256;
  bool all_acks = s->ack_at && s->ack_at == s->ack_count;
  bool all_starts = s->start_at && s->start_at == s->start_count;
  if (all_acks || (s->ack_at >= least && 2 * s->ack_at >= s->ack_count)) {
    s->ack_count -= s->ack_at, s->ack_ready -= s->ack_at, s->ack_base += s->ack_at;
    memmove(s->acks, s->acks + s->ack_at, s->ack_count * sizeof *s->acks);
    s->ack_at = 0;
  }
  if (all_starts || (s->start_at >= least && 2 * s->start_at >= s->start_count)) {
    s->start_count -= s->start_at, s->start_ready -= s->start_at, s->start_base += s->start_at;
    memmove(s->starts, s->starts + s->start_at, s->start_count * sizeof *s->starts);
    for (size_t i = 0; i < s->start_count; i++)
      if (s->starts[i]) s->starts[i]->start_at = i + 1;
    s->start_at = 0;
  }
}

// Lets leave what is durable, in the order in which it came, as far as time goes. False: there was
// nothing.
static bool release(fl_scheduler *s) {
  bool any = fl_scheduler_has_ready(s);
  fl_scheduler_flush_events(s);
  while (s->ack_at < s->ack_ready) {
    const fl_ack ack = s->acks[s->ack_at++];
    if (ack.done) ack.done(ack.ud);
    if (fl_scheduler_is_out_of_time(s)) break;
  }
  bool entering = s->entering;
  s->entering = false; // unless one that is entered now calls others
  while (s->start_at < s->start_ready) {
    fl_attempt *a = s->starts[s->start_at++];
    if (a) start(s, a);
    if (fl_scheduler_is_out_of_time(s)) break;
  }
  // As long as one that is to be entered waits for its start nobody else gets a slot.
  if (entering && s->start_at < s->start_count)
    s->entering = true;
  else
    s->fill_wanted |= entering;
  forget_left(s);
  for (uint32_t i = 1; i < s->site_count; i++) s->sites[i].x.flush(s->sites[i].x.ud);
  return any;
}

// ------------------------------------------------------------------------------------- the turn

// Once their ends are durable and told: an adviser may take its time, and holds no lock meanwhile.
static void ask_advisers(fl_scheduler *s) {
  for (size_t i = 0; i < s->advising_count && !s->broken; i++) {
    fl_run *run = s->advising[i];
    run->asks_adviser = run->going = false;
    if (s->config.advise) s->config.advise(s->config.ud, run, run->asks_within);
    fl_run_wake(run);
  }
  s->advising_count = 0;
}

// With `group`: the commits of the last 100 ms reach the disk even when no other follows.
static bool sync_when_due(fl_scheduler *s) {
  fl_error err;
  if (fl_store_sync_due_ms(s->store, fl_ticks(s)) != 0 || FL_BUG(group_not_synced)) return true;
  if (fl_store_sync(s->store, &err)) return fl_scheduler_break(s, &err);
  return true;
}

// Commits what the turn has written, and lets go whom it is over for.
static bool close_turn(fl_scheduler *s) {
  bool wrote = s->dirty;
  int64_t began = wrote ? fl_scheduler_get_budget_us(s) : 0, units = fl_scheduler_count_units(s);
  if (s->broken || !fl_scheduler_commit(s)) return false;
  if (wrote) { // at once when it gets slower, so that few steps are too long
    int64_t ns = (fl_scheduler_get_budget_us(s) - began) * 1000 / units;
    s->unit_ns = ns > s->unit_ns ? ns : s->unit_ns - (s->unit_ns - ns) / 8;
  }
  if (!fl_scheduler_pay_sync(s) || !sync_when_due(s)) return false;
  fl_scheduler_mark_committed(s);
  fl_scheduler_give_up_left(s);
  fl_scheduler_sweep(s);
  fl_scheduler_check_counts(s);
  return fl_scheduler_take_synced(s);
}

bool fl_scheduler_has_work(fl_scheduler *s) {
  if (s->broken || s->dirty || s->fill_wanted || !fl_scheduler_take_synced(s)) return true;
  return fl_scheduler_has_ready(s) || fl_scheduler_count_unmarked(s) > 0 ||
         fl_scheduler_get_due_ms(s) == 0;
}

bool fl_scheduler_may_write(fl_scheduler *s) {
  return s->broken || !s->config.never_waits || fl_scheduler_begin(s) || !s->locked_out;
}

// Whether a step that has a budget is over, and leaves what there is to the next one: a step has
// one commit, which all that it did shares.
static bool leaves_rest(const fl_scheduler *s, int64_t budget_us) {
  return budget_us > 0 && fl_scheduler_is_out_of_time(s) &&
         (fl_scheduler_has_ready(s) || s->fill_wanted);
}

fl_code fl_scheduler_step(fl_scheduler *s, int64_t budget_us, bool *again, fl_error *err) {
  s->half_us = fl_scheduler_get_budget_us(s) + budget_us / 2;
  s->until_us = s->half_us + budget_us - budget_us / 2;
  bool more = true;
  s->stepping = true;
  if (budget_us > 0 && !s->broken) fl_store_tend_log(s->store, budget_us);
  // What the step before has committed, and had no time for.
  if (budget_us > 0 && fl_scheduler_has_ready(s) && fl_scheduler_may_write(s)) (void)release(s);
  while (more && !s->broken) {
    if (s->config.never_waits && !fl_scheduler_has_work(s)) more = false;
    if (!more || !fl_scheduler_may_write(s)) break;
    run_dues(s);
    if (s->fill_wanted && (!s->dirty || !leaves_rest(s, budget_us))) fill(s);
    if (FL_BUG(told_before_commit) || FL_BUG(started_before_commit)) {
      fl_scheduler_mark_committed(s);
      (void)fl_scheduler_take_synced(s);
      if (FL_BUG(told_before_commit)) fl_scheduler_flush_events(s);
      if (FL_BUG(started_before_commit)) (void)release(s);
    }
    if (!close_turn(s)) break;
    if (s->wish_seen) fl_scheduler_check_cancels(s);
    if (leaves_rest(s, budget_us)) break;
    // What starts now may end at once, and its end is recorded.
    if (fl_scheduler_has_ready(s) && !fl_scheduler_may_write(s)) break;
    more = release(s) || s->fill_wanted || s->dirty;
    if (!more) { // what is told is flushed first
      if (fl_scheduler_is_synced(s)) ask_advisers(s);
      more = s->dirty || s->fill_wanted || fl_scheduler_count_unmarked(s) > 0;
    }
    if (!more || !fl_scheduler_is_out_of_time(s)) continue;
    // The rest is the next step's; the store is nobody's meanwhile.
    if (s->dirty) (void)close_turn(s);
    break;
  }
  s->stepping = false;
  *again = more && !s->broken && !s->locked_out;
  if (!s->broken) return FL_OK;
  if (s->dirty) fl_store_rollback(s->store);
  s->dirty = false;
  if (err) *err = s->error;
  return s->error.code;
}

int64_t fl_scheduler_get_due_ms(const fl_scheduler *s) {
  int64_t due = fl_due_next_ms(s);
  int64_t now = fl_ticks(s), sync = fl_store_sync_due_ms(s->store, now);
  if (due >= 0) due = due > now ? due - now : 0;
  if (sync >= 0 && (due < 0 || sync < due)) due = sync;
  return due;
}

fl_code fl_scheduler_record_runs(fl_scheduler *s, fl_error *err) {
  // Whoever is not recorded was not looked at either.
  for (size_t i = s->awake_at; s->unrecorded_count && i < s->awake_count && !s->broken; i++)
    (void)fl_run_record(s->awake[i], true);
  return fl_scheduler_unlock(s, err);
}

fl_code fl_scheduler_flush(fl_scheduler *s, fl_error *err) {
  fl_code rc = fl_scheduler_record_runs(s, err);
  if (!rc && s->dirty && !fl_scheduler_commit(s)) rc = (*err = s->error).code;
  if (rc) return rc;
  s->owes_sync = false;
  return fl_store_flush(s->store, err);
}

bool fl_scheduler_is_locked_out(const fl_scheduler *s) {
  return s->locked_out;
}
fl_store *fl_scheduler_get_store(fl_scheduler *s) {
  return s->store;
}
