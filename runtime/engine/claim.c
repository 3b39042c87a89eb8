// From ready to started: a node is decided about, its attempt recorded, and its start kept until
// the commit. Saved before the start: a crash there must count as an attempt.
#include "engine/replay.h"
#include "base/bug.h"

fl_attempt *fl_attempt_new(fl_run *run, uint32_t node, uint32_t number) {
  fl_attempt *a = fl_alloc_zero(1, sizeof *a);
  a->scheduler = run->scheduler;
  a->run = run;
  a->node = node;
  a->number = number;
  a->options = fl_plan_get_options(run->plan, node);
  a->timeout_ms = a->options->timeout_ms;
  if (node >= run->graph_count)
    a->item = fl_value_ref(run->instances[node - run->graph_count].item);
  fl_buf_init(&a->record, FL_VALUE_SIZE_MAX);
  return a;
}

void fl_attempt_free(fl_attempt *a) {
  fl_command_free(a->command);
  fl_value_unref(a->item);
  fl_value_unref(a->params);
  fl_recorded_deinit(&a->recorded);
  fl_value_unref(a->patched);
  fl_vars_unref(a->vars_in);
  fl_buf_deinit(&a->record);
  free(a);
}

void fl_command_free(fl_command *c) {
  if (!c) return;
  for (char **p = c->argv; p && *p; p++) free(*p);
  for (char **p = c->env; p && *p; p++) free(*p);
  free(c->argv);
  free(c->env);
  free(c->cwd);
  free(c->stdin_data);
  free(c->ok_codes);
  free(c);
}

bool fl_command_is_ok(const fl_command *c, int exit_code) {
  for (size_t i = 0; c && i < c->ok_code_count; i++)
    if (c->ok_codes[i] == exit_code) return true;
  return exit_code == 0 && (!c || !c->ok_code_count);
}

fl_reason fl_run_get_start_reason(fl_run *run, uint32_t node) {
  fl_node_run *n = fl_run_get_node(run, node);
  if (n->next_reason) return n->next_reason;
  if (node >= run->graph_count) return FL_REASON_INSTANCE;
  uint32_t count;
  fl_graph_get_parents(run->flow->graph, node, &count);
  if (!count) return FL_REASON_ROOT;
  return fl_graph_get_options(run->flow->graph, node)->trigger == FL_TRIGGER_ALL_SUCCESS
             ? FL_REASON_READY
             : FL_REASON_TRIGGER;
}

// The node's deadline runs over all its attempts; what is left of it bounds this one.
static bool within_deadline(fl_attempt *a, fl_node_run *n) {
  int64_t deadline = a->options->deadline_ms;
  if (!deadline || FL_BUG(deadline_ignored)) return true;
  if (!n->first_ms) n->first_ms = fl_ticks(a->scheduler);
  int64_t left = n->first_ms + deadline - fl_ticks(a->scheduler);
  if (left <= 0) return false;
  if (!a->timeout_ms || left < a->timeout_ms) {
    a->timeout_ms = left;
    a->timeout_is_deadline = true;
  }
  return true;
}

void fl_attempt_fill_row(fl_attempt *a, fl_attempt_row *row) {
  *row = (fl_attempt_row){.run = a->run->row.row,
                          .node = fl_run_get_number(a->run, a->node),
                          .number = a->number,
                          .epoch = a->run->row.epoch,
                          .seq = a->seq,
                          .state = FL_ATTEMPT_QUEUED,
                          .reason = a->reason,
                          .claimed_ms = a->claimed_ms,
                          .exit_code = -1,
                          .item = a->item ? a->item->store_id : 0,
                          .vars_in = a->vars_in->map->store_id,
                          .synthetic = a->given,
                          .log = {.path = ""}};
}

// Lua nodes mostly end at once: their claims share a row of the run, and they get their own when
// they end, or when they turn out to last. A process may wait in the supervisor: it is shown.
static bool ends_at_once(const fl_attempt *a) {
  return a->options->kind == FL_KIND_INLINE || a->options->kind == FL_KIND_BRANCH ||
         a->options->kind == FL_KIND_WORKER;
}

static bool record_claim(fl_attempt *a, fl_reason reason) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  a->seq = ++a->run->seq;
  a->claimed_ms = fl_now(s);
  a->reason = reason;
  if (fl_store_put_value(s->store, a->vars_in->map, &err)) return fl_scheduler_break(s, &err);
  if (ends_at_once(a) && FL_BUG(claim_not_recorded)) return true;
  if (ends_at_once(a)) return a->run->claims_changed = true;
  fl_attempt_row row;
  fl_attempt_fill_row(a, &row);
  a->recorded_row = true;
  if (fl_store_add_attempt(s->store, &row, &err)) return fl_scheduler_break(s, &err);
  return true;
}

static void add_claims(fl_buf *list, const fl_run *run, const fl_attempt *live) {
  for (const fl_attempt *a = live; a; a = a->next) {
    if (a->run != run || a->recorded_row) continue;
    fl_buf_addf(list, "%s[%u,%u]", list->size > 1 ? "," : "", fl_run_get_number(run, a->node),
                a->number);
  }
}

bool fl_scheduler_write_claims(fl_scheduler *s) {
  fl_buf list;
  fl_error err;
  bool ok = true;
  fl_buf_init(&list, 64u << 20);
  for (size_t i = 0; i < s->run_count && ok; i++) {
    fl_run *run = s->runs[i];
    if (!run->claims_changed) continue;
    run->claims_changed = false;
    fl_buf_reset(&list);
    fl_buf_add_char(&list, '[');
    add_claims(&list, run, s->live_slots);
    add_claims(&list, run, s->live_free);
    fl_buf_add_char(&list, ']');
    const char *text = list.size > 2 ? fl_buf_cstr(&list) : NULL;
    if (fl_store_put_claims(s->store, run->row.row, fl_now(s), text, &err))
      ok = fl_scheduler_break(s, &err);
  }
  fl_buf_deinit(&list);
  return ok;
}

// Once a run: which supervisor owns its processes, so that a resume finds them.
void fl_attempt_need_supervisor(fl_attempt *a) {
  fl_run *run = a->run;
  fl_scheduler *s = run->scheduler;
  if (run->supervisor_known || run->fenced || !s->config.get_supervisor) return;
  if (!fl_scheduler_begin(s)) return;
  const char *id = s->config.get_supervisor(s->config.ud);
  fl_epoch_row row = {.epoch = run->row.epoch,
                      .owner = s->owner,
                      .supervisor = (char *)id,
                      .at_ms = fl_now(s),
                      .patch = run->epoch_patch,
                      .reason = run->epoch_reason,
                      .author = run->epoch_author};
  fl_error err;
  if (fl_store_put_epoch(s->store, run->row.row, &row, &err)) fl_scheduler_break(s, &err);
  run->supervisor_known = true;
}

static void end_unstarted(fl_attempt *a, const fl_error *err) {
  fl_attempt_end(
      a, &(fl_outcome){
             .state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = err->message, .no_retry = true});
}

// What must be known before the commit: a command that cannot be made is no attempt to start.
static void prepare(fl_attempt *a) {
  fl_error err;
  const fl_flow *flow = a->run->flow;
  if (a->options->kind == FL_KIND_WORKER) fl_attempt_need_supervisor(a);
  if (a->options->kind == FL_KIND_PROCESS) {
    fl_attempt_need_supervisor(a);
    if (flow->hooks->command(flow, a, &a->command, &err)) {
      end_unstarted(a, &err);
      return;
    }
  }
  fl_scheduler_add_start(a->scheduler, a);
}

// Vars that were set by hand since its claim: it starts after that, and sees them.
static void see_patched(fl_attempt *a) {
  if (!a->patched) return;
  fl_vars *vars = fl_vars_overlay(a->vars_in, a->patched);
  fl_vars_unref(a->vars_in);
  fl_value_unref(a->patched);
  a->vars_in = vars;
  a->patched = NULL;
}

void fl_attempt_hand_over(fl_attempt *a) {
  fl_scheduler *s = a->scheduler;
  fl_run *run = a->run;
  fl_error err;
  (void)within_deadline(a, fl_run_get_node(run, a->node)); // counted from now on
  see_patched(a);
  fl_command_free(a->command);
  a->command = NULL;
  fl_code rc = fl_store_put_value(s->store, a->vars_in->map, &err);
  if (!rc && a->recorded_row)
    rc = fl_store_hand_over_attempt(s->store, run->row.row, fl_run_get_number(run, a->node),
                                    a->number, run->row.epoch, a->vars_in->map->store_id, &err);
  if (rc)
    fl_scheduler_break(s, &err);
  else
    prepare(a);
}

static void skip_by_when(fl_attempt *a) {
  fl_buf list;
  fl_buf_init(&list, FL_VALUE_SIZE_MAX);
  if (a->record.size) {
    fl_buf_add_char(&list, '[');
    fl_buf_add(&list, a->record.data, a->record.size);
    fl_buf_add_char(&list, ']');
  }
  bool any = list.size && !list.failed;
  fl_run_skip_by_when(a->run, a->node, any ? fl_buf_cstr(&list) : NULL);
  fl_buf_deinit(&list);
}

static bool wanted(fl_attempt *a, fl_node_run *n) {
  bool yes = true;
  fl_error err;
  const fl_past *past = fl_replay_find(a->run, a->node);
  if (past && past->decided == FL_REASON_SKIP_ASKED) {
    fl_run_decide(a->run, a->node, FL_NODE_SKIP, FL_REASON_SKIP_ASKED, NULL);
    return false;
  }
  a->given = past && past->is_given;
  if (a->given) return true;
  if (!a->options->has_when || n->attempts || a->node >= a->run->graph_count)
    return fl_recorded_pass_mark(&a->recorded), true;
  if (a->run->flow->hooks->when(a->run->flow, a, &yes, &err)) {
    fl_run_decide(a->run, a->node, FL_NODE_FAIL, FL_REASON_NOT_RETRYABLE, err.message);
    return false;
  }
  if (!yes) return skip_by_when(a), false;
  // What the node's own code gets stands behind it, here and in what was recorded then.
  if (a->record.size) fl_buf_add_str(&a->record, "," FL_RECORDED_MARK);
  fl_recorded_pass_mark(&a->recorded);
  return true;
}

void fl_run_claim(fl_run *run, uint32_t node) {
  fl_scheduler *s = run->scheduler;
  if (!fl_scheduler_begin(s)) return;
  fl_node_run *n = fl_run_get_node(run, node);
  fl_attempt *a = fl_attempt_new(run, node, n->attempts + 1);
  fl_error err;
  if (fl_replay_get_vars(run, node, &a->vars_in, &err)) {
    fl_run_decide(run, node, FL_NODE_FAIL, FL_REASON_MERGE_CONFLICT, err.message);
    fl_attempt_free(a);
    return;
  }
  if (fl_replay_prepare(a, &err)) {
    fl_run_decide(run, node, FL_NODE_FAIL, FL_REASON_NOT_RETRYABLE, err.message);
    fl_attempt_free(a);
    return;
  }
  if (!wanted(a, n)) {
    fl_attempt_free(a);
    return;
  }
  if (!within_deadline(a, n)) {
    fl_run_decide(run, node, FL_NODE_FAIL, FL_REASON_DEADLINE, NULL);
    fl_attempt_free(a);
    return;
  }
  if (!record_claim(a, fl_run_get_start_reason(run, node))) {
    fl_attempt_free(a);
    return;
  }
  n->next_reason = 0;
  n->attempts++;
  n->live = a;
  fl_scheduler_link(s, a);
  fl_plan_apply(run->plan, node, FL_NODE_CLAIM);
  if (a->given)
    fl_replay_give(a);
  else
    prepare(a);
}
