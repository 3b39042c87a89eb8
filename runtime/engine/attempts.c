// The attempts that live: made and freed, linked where they are counted, waiting for their start,
// given back.
#include "engine/run_internal.h"

fl_attempt *fl_attempt_new(fl_run *run, uint32_t node, uint32_t number) {
  fl_attempt *a = fl_alloc_zero(1, sizeof *a);
  a->scheduler = run->scheduler;
  a->run = run;
  a->node = node;
  a->number = number;
  a->options = fl_plan_get_options(run->plan, node);
  a->executor = fl_plan_get_executor(run->plan, node);
  FL_ASSERT(a->executor && a->executor < run->scheduler->site_count);
  a->timeout_ms = a->options->timeout_ms;
  if (node >= run->graph_count) a->item = fl_value_ref(run->items[node - run->graph_count].value);
  fl_buf_init(&a->record, FL_VALUE_SIZE_MAX - 2); // kept as a list
  return a;
}

void fl_attempt_set_list(fl_attempt *a, const fl_map_list *list) {
  fl_attempt **at = &a->run->listing;
  while (*at) at = &(*at)->list->next;
  *at = a;
  a->list = fl_alloc(sizeof *list);
  *a->list = *list;
  a->list->next = NULL;
}

void fl_attempt_drop_list(fl_attempt *a) {
  fl_map_list *list = a->list;
  if (!list) return;
  fl_attempt **at = &a->run->listing;
  while (*at != a) at = &(*at)->list->next;
  *at = list->next;
  for (size_t i = 0; i < list->count; i++) fl_value_unref(list->values[i]);
  free(list->values);
  free(list);
  a->list = NULL;
}

void fl_attempt_free(fl_attempt *a) {
  fl_attempt_drop_list(a);
  if (a->child) a->child->parent = NULL;
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

// ------------------------------------------------------------------------------------- its
// executor

int64_t fl_attempt_get_timeout_ms(const fl_attempt *a) {
  return a->timeout_ms;
}

void fl_attempt_describe_timeout(const fl_attempt *a, fl_buf *text) {
  char span[FL_TIME_TEXT_SIZE];
  fl_duration_format(a->timeout_is_deadline ? a->options->deadline_ms : a->timeout_ms, span);
  fl_buf_addf(text, a->timeout_is_deadline ? "ended by its deadline of %s" : "timed out after %s",
              span);
}

void fl_attempt_time_out(fl_attempt *a) {
  a->timing_out = a->cancelling = true;
}

bool fl_attempt_has_timed_out(const fl_attempt *a) {
  return a->timing_out;
}

bool fl_attempt_is_ending(const fl_attempt *a) {
  return a->cancelling;
}

bool fl_attempt_is_told(const fl_attempt *a) {
  return a->told;
}

void fl_attempt_set_data(fl_attempt *a, void *data) {
  a->executor_data = data;
}

void *fl_attempt_get_data(const fl_attempt *a) {
  return a->executor_data;
}

void fl_attempt_record(fl_attempt *a, const char *kind, const char *json, size_t size) {
  fl_buf *record = &a->record;
  size_t before = record->size;
  if (before) fl_buf_add_char(record, ',');
  fl_buf_add_char(record, '[');
  fl_json_write_string(record, kind, strlen(kind));
  fl_buf_add_char(record, ',');
  fl_buf_add(record, json, size);
  fl_buf_add_char(record, ']');
  if (record->failed) record->size = before;
}

fl_recorded *fl_attempt_get_recorded(fl_attempt *a) {
  return &a->recorded;
}

// ------------------------------------------------------------------------------------- its record

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

// ------------------------------------------------------------------------------------- counted

static bool holds_slot(const fl_attempt *a) {
  return fl_attempt_get_site(a)->x.slots != FL_SLOTS_NONE;
}

static fl_pool *pool_of(const fl_attempt *a) {
  return a->options->pool ? &a->scheduler->pools[a->run->pools[a->options->pool - 1]] : NULL;
}

static void count_live(fl_scheduler *s, const fl_attempt *a, int by) {
  fl_run *run = a->run;
  bool holds = holds_slot(a);
  fl_attempt_get_site(a)->live += (uint32_t)by;
  fl_slots_count_level(fl_attempt_get_site(a), a->options->priority, by);
  s->live_count += (uint32_t)by;
  run->live_count += (uint32_t)by;
  if (!holds) s->live_free_count += (uint32_t)by;
  if (!holds) return;
  run->held += (uint32_t)by;
  run->root->family_held += (uint32_t)by;
}

static fl_attempt_list *list_of(fl_attempt *a) {
  return a->recorded_row ? &a->run->live : &a->run->claims;
}

static void put(fl_attempt *a) {
  fl_attempt_list *list = list_of(a);
  a->next = list->first;
  a->prev = NULL;
  if (a->next)
    a->next->prev = a;
  else
    list->last = a;
  list->first = a;
}

// Behind all others.
static void put_last(fl_attempt *a) {
  fl_attempt_list *list = list_of(a);
  a->prev = list->last;
  a->next = NULL;
  if (a->prev)
    a->prev->next = a;
  else
    list->first = a;
  list->last = a;
}

static void take(fl_attempt *a) {
  fl_attempt_list *list = list_of(a);
  if (a->prev)
    a->prev->next = a->next;
  else
    list->first = a->next;
  if (a->next)
    a->next->prev = a->prev;
  else
    list->last = a->prev;
  a->next = a->prev = NULL;
}

void fl_scheduler_link(fl_scheduler *s, fl_attempt *a) {
  fl_pool *pool = pool_of(a);
  uint32_t map = fl_plan_get_map(a->run->plan, a->node);
  put(a);
  fl_attempt_get_site(a)->adopted += a->adopted;
  if (pool) pool->used += a->options->weight;
  if (map != FL_NODE_NONE) a->run->nodes[map].items_live++;
  count_live(s, a, 1);
  fl_lineup_reorder(a->run);
}

void fl_scheduler_unlink(fl_scheduler *s, fl_attempt *a) {
  fl_pool *pool = pool_of(a);
  uint32_t map = fl_plan_get_map(a->run->plan, a->node);
  take(a);
  if (pool) pool->used -= a->options->weight;
  if (map != FL_NODE_NONE) {
    a->run->nodes[map].items_live--;
    fl_plan_mark_map(a->run->plan, map);
  }
  fl_attempt_get_site(a)->adopted -= a->adopted;
  s->alarmed_count -= a->alarmed;
  count_live(s, a, -1);
  fl_lineup_reorder(a->run);
}

void fl_attempt_set_recorded(fl_attempt *a) {
  if (a->recorded_row) return;
  take(a);
  a->recorded_row = true;
  if (a->asked)
    put_last(a);
  else
    put(a);
}

void fl_attempt_set_asked(fl_attempt *a, uint8_t asked) {
  take(a);
  a->asked = asked;
  put_last(a);
}

// ------------------------------------------------------------------------------------- claims

void fl_run_claims_changed(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  if (run->claims_changed) return;
  run->claims_changed = true;
  FL_PUSH(s->claiming, s->claiming_count, s->claiming_capacity, run);
}

bool fl_scheduler_write_claims(fl_scheduler *s) {
  fl_buf list;
  fl_error err;
  bool ok = true;
  fl_buf_init(&list, 64u << 20);
  for (size_t i = 0; i < s->claiming_count && ok; i++) {
    fl_run *run = s->claiming[i];
    run->claims_changed = false;
    if (run->fenced) continue;
    fl_buf_reset(&list);
    fl_buf_add_char(&list, '[');
    for (const fl_attempt *a = run->claims.first; a; a = a->next)
      fl_buf_addf(&list, "%s[%u,%u]", list.size > 1 ? "," : "", fl_run_get_number(run, a->node),
                  a->number);
    fl_buf_add_char(&list, ']');
    const char *text = list.size > 2 ? fl_buf_cstr(&list) : NULL;
    if (fl_store_put_claims(s->store, run->row.row, fl_now(s), text, &err))
      ok = fl_scheduler_break(s, &err);
  }
  s->claiming_count = 0;
  fl_buf_deinit(&list);
  return ok;
}

// ------------------------------------------------------------------------------------- starts

static void count_unstarted(fl_attempt *a, int by) {
  fl_attempt_get_site(a)->unstarted += (uint32_t)by;
  if (holds_slot(a)) return;
  a->run->unstarted += (uint32_t)by;
  a->run->root->family_unstarted += (uint32_t)by;
}

void fl_scheduler_add_start(fl_scheduler *s, fl_attempt *a) {
  FL_PUSH(s->starts, s->start_count, s->start_capacity, a);
  a->start_at = s->start_count;
  count_unstarted(a, 1);
}

void fl_scheduler_drop_start(fl_scheduler *s, fl_attempt *a) {
  if (!a->start_at) return;
  s->starts[a->start_at - 1] = NULL;
  a->start_at = 0;
  count_unstarted(a, -1);
}

void fl_attempt_set_known(fl_attempt *a) {
  if (!a->unknown) return;
  a->unknown = 0;
  if (--a->run->unknown_count) return;
  fl_plan_mark_all(a->run->plan);
  fl_run_wake(a->run);
}

void fl_attempt_detach(fl_attempt *a) {
  fl_scheduler *s = a->scheduler;
  fl_run_get_node(a->run, a->node)->live = NULL;
  fl_attempt_set_known(a);
  fl_scheduler_drop_start(s, a);
  if (a->due) fl_due_drop(s, a->due);
  a->due = NULL;
  fl_scheduler_unlink(s, a);
  fl_run_wake(a->run);
}

// ------------------------------------------------------------------------------------- given back

fl_attempt *fl_run_take_given_back(fl_run *run, uint32_t node) {
  fl_attempt **at = &run->given_back;
  while (*at && node != FL_NODE_NONE && (*at)->node != node) at = &(*at)->next;
  fl_attempt *a = *at;
  if (!a) return NULL;
  *at = a->next;
  a->next = NULL;
  fl_run_get_node(run, a->node)->live = a;
  fl_scheduler_link(run->scheduler, a);
  if (!a->recorded_row) fl_run_claims_changed(run);
  fl_plan_apply(run->plan, a->node, FL_NODE_CLAIM);
  return a;
}

bool fl_run_cancel_given_back(fl_run *run, uint32_t node) {
  bool any = false;
  for (fl_attempt *a; (a = fl_run_take_given_back(run, node)); any = true) {
    a->cancelling = true; // seen instead of its start
    fl_scheduler_add_start(run->scheduler, a);
  }
  return any;
}

// ------------------------------------------------------------------------------------- in order?

#ifdef FL_CHECKED
static uint32_t sum_of(const fl_attempt_list *list, uint32_t *pools) {
  uint32_t count = 0;
  for (const fl_attempt *a = list->first; a; a = a->next, count++)
    if (a->options->pool) pools[a->run->pools[a->options->pool - 1]] += a->options->weight;
  return count;
}

// What is counted up and down is what is there.
void fl_scheduler_check_counts(const fl_scheduler *s) {
  uint32_t *pools = fl_alloc_zero(s->pool_count + 1, sizeof *pools), live = 0;
  for (size_t i = 0; i < s->run_count; i++) {
    const fl_run *run = s->runs[i];
    uint32_t own = sum_of(&run->live, pools) + sum_of(&run->claims, pools);
    FL_ASSERT(own == run->live_count);
    live += own;
  }
  for (uint32_t i = 0; i < s->pool_count; i++) FL_ASSERT(pools[i] == s->pools[i].used);
  uint32_t counted = 0, without_slot = 0;
  for (uint32_t i = 1; i < s->site_count; i++) {
    counted += s->sites[i].live;
    if (s->sites[i].x.slots == FL_SLOTS_NONE) without_slot += s->sites[i].live;
  }
  FL_ASSERT(live == counted && live == s->live_count && without_slot == s->live_free_count);
  free(pools);
}
#else
void fl_scheduler_check_counts(const fl_scheduler *s) {
  (void)s;
}
#endif
