// Gives tasks to workers: finds a slot, and sends what the worker does not know yet.
#include "base/limits.h"
#include "executor/worker_pool_internal.h"
#include "engine/scheduler.h"

// ------------------------------------------------------------------------------------- shared
// values

// Where the worker remembers `v`; it is told when it does not.
static uint32_t remember(fl_worker *w, fl_value *v) {
  for (uint32_t i = 0; i < FL_WORKER_TEXTS; i++)
    if (w->texts[i] == v) return i;
  // Round robin: one task needs fewer than there are, so none of its own is overwritten.
  uint32_t place = w->text_next++ % FL_WORKER_TEXTS;
  fl_value_unref(w->texts[place]);
  w->texts[place] = fl_value_ref(v);
  size_t begin = fl_worker_begin(&w->out, FL_WORKER_TEXT);
  fl_wire_put_u32(&w->out, place);
  fl_wire_put_bytes(&w->out, v->text, v->size);
  fl_wire_end(&w->out, begin);
  return place;
}

static void share(fl_worker *w, fl_worker_order *o, fl_worker_field field, fl_value *v) {
  if (!v) return;
  bool large = v->size > FL_WORKER_INLINE_MAX;
  o->fields[field].where = large ? FL_WHERE_ASK : FL_WHERE_SHARED;
  if (!large) o->fields[field].place = remember(w, v);
}

static fl_value *make_run_text(fl_attempt *a) {
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  fl_attempt_write_run(a, &text);
  fl_value *v = fl_value_new(text.data, text.size);
  fl_buf_deinit(&text);
  return v;
}

// ctx.run is the same for all first attempts of a run, but for those that are told of others.
static fl_value *get_run_text(fl_worker_pool *pool, fl_attempt *a) {
  const char *id = fl_attempt_get_run_id(a);
  if (fl_attempt_has_own_run(a)) {
    fl_value_unref(pool->own_run);
    return pool->own_run = make_run_text(a);
  }
  for (uint32_t i = 0; i < FL_WORKER_RUN_TEXTS; i++)
    if (pool->runs[i].text && pool->runs[i].number == fl_attempt_get_number(a) &&
        !strcmp(pool->runs[i].run, id)) {
      return pool->runs[i].text;
    }
  uint32_t at = pool->run_next++ % FL_WORKER_RUN_TEXTS;
  fl_value_unref(pool->runs[at].text);
  pool->runs[at].text = make_run_text(a);
  pool->runs[at].number = fl_attempt_get_number(a);
  snprintf(pool->runs[at].run, sizeof pool->runs[at].run, "%s", id);
  return pool->runs[at].text;
}

// ------------------------------------------------------------------------------------- giving

static fl_code put_inputs(fl_worker_task *t, fl_worker_order *o, fl_error *err) {
  fl_buf *inputs = &t->pool->inputs;
  fl_buf_reset(inputs);
  fl_code rc = fl_attempt_write_inputs(t->attempt, inputs, err);
  o->fields[FL_FIELD_INPUTS].where = inputs->failed ? FL_WHERE_ASK : FL_WHERE_HERE;
  o->fields[FL_FIELD_INPUTS].text = inputs->data;
  o->fields[FL_FIELD_INPUTS].size = inputs->size;
  return inputs->failed ? FL_OK : rc;
}

static void put_item(fl_attempt *a, fl_worker_order *o) {
  if (!fl_attempt_get_item(a)) return;
  bool large = fl_attempt_get_item(a)->size > FL_WORKER_INLINE_MAX;
  o->fields[FL_FIELD_ITEM].where = large ? FL_WHERE_ASK : FL_WHERE_HERE;
  o->fields[FL_FIELD_ITEM].text = fl_attempt_get_item(a)->text;
  o->fields[FL_FIELD_ITEM].size = fl_attempt_get_item(a)->size;
}

void fl_worker_give(fl_worker *w, fl_worker_task *t) {
  fl_attempt *a = t->attempt;
  const fl_flow *flow = fl_attempt_get_flow(a);
  fl_worker_order o = {.flow = (uint32_t)flow->index,
                       .flow_key = flow->key,
                       .node = fl_attempt_get_graph_node(a),
                       .position = fl_attempt_get_position(a),
                       .has_recorded = fl_attempt_get_recorded(a)->list};
  fl_error err;
  if (put_inputs(t, &o, &err)) {
    fl_worker_task_fail(t, err.message);
    return;
  }
  put_item(a, &o);
  o.node_name = fl_graph_get_name(flow->graph, o.node);
  if (o.position) o.name = fl_attempt_get_name(a);
  share(w, &o, FL_FIELD_RUN, get_run_text(t->pool, a));
  share(w, &o, FL_FIELD_PARAMS, fl_attempt_get_params(a));
  share(w, &o, FL_FIELD_VARS, fl_attempt_get_vars(a));
  FL_ASSERT(w->free_slots);
  t->slot = (uint32_t)__builtin_ctzll(w->free_slots);
  t->generation = ++w->generations[t->slot];
  o.slot = t->slot;
  o.generation = t->generation;
  fl_worker_put_order(&w->out, &o);
  w->free_slots &= ~(1ull << t->slot);
  w->tasks[t->slot] = t;
  w->task_count++;
  t->worker = w;
  t->place = FL_PLACE_GIVEN;
  t->given_ns = fl_worker_pool_now_ns();
  fl_slot_queue(&w->page->slots[t->slot], t->generation);
  int64_t look_ns = FL_WORKER_LONG_NS;
  if (fl_attempt_get_timeout_ms(a) && fl_attempt_get_timeout_ms(a) * 1000000 < look_ns)
    look_ns = fl_attempt_get_timeout_ms(a) * 1000000;
  fl_worker_pool_arm(t->pool, t->given_ns + look_ns);
}

void fl_worker_take_back(fl_worker_task *t) {
  fl_worker *w = t->worker;
  w->tasks[t->slot] = NULL;
  w->free_slots |= 1ull << t->slot;
  w->task_count--;
  t->worker = NULL;
  t->started_ns = t->kill_ns = 0;
  t->request = 0;
}
