// `diff RUN_A RUN_B`: two runs against each other, node by node and by name.
//
// Runs are equal when their results are: status of the run, and status, outputs and vars of every
// node. What led there (script, params, inputs) and how long it took is told, and does not count.
#include "read/side_internal.h"

typedef struct diff {
  fl_store *store;
  fl_read_side a, b;
  bool brief;
  size_t equal, different, only_a, only_b, skipped;
  fl_buf list; // of nodes
} diff;

// -------------------------------------------------------------------------------- nodes

static void add_numbers(fl_buf *out, const char *key, int64_t a, int64_t b) {
  fl_buf_addf(out, ",\"%s\":{\"a\":", key);
  if (a < 0)
    fl_buf_add_str(out, "null");
  else
    fl_json_write_int(out, a);
  fl_buf_add_str(out, ",\"b\":");
  if (b < 0)
    fl_buf_add_str(out, "null");
  else
    fl_json_write_int(out, b);
  fl_buf_add_char(out, '}');
}

static int64_t duration_of(const fl_read_state *s) {
  if (!s->shown || !s->last.started_ms || !s->last.ended_ms) return -1;
  return s->last.duration_ms;
}

static int64_t vars_left(const fl_read_state *s) {
  if (!s->shown || s->last.state != FL_ATTEMPT_SUCCEEDED) return 0;
  return s->last.vars_out ? s->last.vars_out : s->last.vars_in;
}

static void add_only(diff *d, const fl_read_side *side, const fl_read_node *node,
                     const fl_read_state *state) {
  bool is_a = side == &d->a;
  const char *status = fl_node_state_text(state->state);
  fl_buf_add_str(&d->list, d->list.size ? ",{\"name\":" : "{\"name\":");
  fl_json_write_text(&d->list, fl_read_side_get_name(side, node));
  fl_buf_addf(&d->list, ",\"result\":\"%s\",\"status\":{\"%s\":\"%s\",\"%s\":null}}",
              is_a ? "only_a" : "only_b", is_a ? "a" : "b", status, is_a ? "b" : "a");
  if (is_a)
    d->only_a++;
  else
    d->only_b++;
}

/// What of a node differs, for the list "differs" and the verdict.
typedef struct verdict {
  bool status, exit, outputs, vars; // results
  bool seen_vars, inputs, attempts, type, parents;
} verdict;

static void add_differs(fl_buf *out, const verdict *v) {
  const struct {
    bool differs;
    const char *name;
  } parts[] = {{v->status, "status"},     {v->exit, "exit"},     {v->outputs, "outputs"},
               {v->vars, "vars"},         {v->inputs, "inputs"}, {v->seen_vars, "vars_in"},
               {v->attempts, "attempts"}, {v->type, "type"},     {v->parents, "after"}};
  bool more = false;
  fl_buf_add_str(out, ",\"differs\":[");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (!parts[i].differs) continue;
    fl_buf_addf(out, more ? ",\"%s\"" : "\"%s\"", parts[i].name);
    more = true;
  }
  fl_buf_add_char(out, ']');
}

// The names it stands behind are the same, in the same order.
static bool same_parents(const diff *d, const fl_read_node *a, const fl_read_node *b) {
  const char *x = fl_read_text(&d->a.nodes, a->parents), *y = fl_read_text(&d->b.nodes, b->parents);
  uint32_t p, q;
  for (;;) {
    bool more = fl_read_next_parent(&x, &p);
    if (more != fl_read_next_parent(&y, &q)) return false;
    if (!more) return true;
    if (p >= d->a.nodes.declared || q >= d->b.nodes.declared) return false;
    if (strcmp(fl_read_side_get_name(&d->a, &d->a.nodes.nodes[p]),
               fl_read_side_get_name(&d->b, &d->b.nodes.nodes[q])))
      return false;
  }
}

static bool differ(const diff *d, int64_t a, int64_t b) {
  return !fl_store_is_same_value(d->store, a, b);
}

static verdict judge(const diff *d, const fl_read_node *node_a, const fl_read_state *a,
                     const fl_read_node *node_b, const fl_read_state *b) {
  verdict v = {.status = a->state != b->state,
               .outputs = differ(d, a->shown ? a->last.outputs : 0, b->shown ? b->last.outputs : 0),
               .vars = differ(d, vars_left(a), vars_left(b)),
               .attempts = a->attempts != b->attempts,
               .parents = !same_parents(d, node_a, node_b),
               .type = strcmp(fl_read_text(&d->a.nodes, node_a->type),
                              fl_read_text(&d->b.nodes, node_b->type)) != 0};
  if (a->state == FL_NODE_FAILED && b->state == FL_NODE_FAILED && a->shown && b->shown)
    v.exit = a->last.exit_code != b->last.exit_code || a->last.signal != b->last.signal;
  if (a->shown && b->shown) v.seen_vars = differ(d, a->last.vars_in, b->last.vars_in);
  return v;
}

static fl_code add_values(diff *d, const fl_read_node *node_a, const fl_read_state *a,
                          const fl_read_node *node_b, const fl_read_state *b, verdict *v,
                          fl_buf *out, fl_error *err) {
  bool equal = true;
  fl_buf_add_str(out, ",\"outputs\":");
  fl_code code = fl_read_add_pair(d->store, a->shown ? a->last.outputs : 0,
                                  b->shown ? b->last.outputs : 0, d->brief, out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_read_add_pair(d->store, vars_left(a), vars_left(b), d->brief, out, err);
  fl_buf_add_str(out, ",\"vars_in\":");
  if (!code)
    code = fl_read_add_pair(d->store, a->shown ? a->last.vars_in : 0,
                            b->shown ? b->last.vars_in : 0, d->brief, out, err);
  fl_buf_add_str(out, ",\"inputs\":");
  if (!code)
    code = fl_read_add_inputs(&d->a, node_a, a->shown ? a->last.seq : 0, &d->b, node_b,
                              b->shown ? b->last.seq : 0, d->brief, &equal, out, err);
  v->inputs = a->shown && b->shown && !equal;
  return code;
}

static fl_code add_both(diff *d, const fl_read_node *node_a, const fl_read_state *a,
                        const fl_read_node *node_b, const fl_read_state *b, fl_error *err) {
  verdict v = judge(d, node_a, a, node_b, b);
  bool equal = !v.status && !v.exit && !v.outputs && !v.vars;
  bool skipped = equal && !a->shown && !b->shown;
  fl_buf values, *out = &d->list;
  fl_buf_init(&values, out->size_max);
  fl_code code = add_values(d, node_a, a, node_b, b, &v, &values, err);
  if (skipped)
    d->skipped++;
  else if (equal)
    d->equal++;
  else
    d->different++;
  fl_buf_add_str(out, out->size ? ",{\"name\":" : "{\"name\":");
  fl_json_write_text(out, fl_read_side_get_name(&d->a, node_a));
  fl_buf_addf(out, ",\"result\":\"%s\"", skipped ? "skipped" : equal ? "equal" : "different");
  add_differs(out, &v);
  fl_buf_addf(out, ",\"status\":{\"a\":\"%s\",\"b\":\"%s\"}", fl_node_state_text(a->state),
              fl_node_state_text(b->state));
  fl_buf_addf(out, ",\"by_hand\":{\"a\":%s,\"b\":%s}",
              a->shown && a->last.synthetic ? "true" : "false",
              b->shown && b->last.synthetic ? "true" : "false");
  add_numbers(out, "attempts", a->attempts, b->attempts);
  add_numbers(out, "duration_ms", duration_of(a), duration_of(b));
  fl_buf_add(out, values.data, values.size);
  fl_buf_add_char(out, '}');
  fl_buf_deinit(&values);
  return code;
}

static fl_code add_nodes(diff *d, fl_error *err) {
  fl_read_order order = {0};
  const fl_read_node *node, *twin;
  fl_read_state a, b;
  fl_code code = FL_OK;
  while (!code && !d->list.failed && (node = fl_read_order_next(&d->a.nodes, &order))) {
    twin = fl_read_side_find(&d->b, fl_read_side_get_name(&d->a, node));
    code = fl_read_state_get(&d->a.states, node->node, &a, err);
    if (!code && twin) code = fl_read_state_get(&d->b.states, twin->node, &b, err);
    if (!code && twin)
      code = add_both(d, node, &a, twin, &b, err);
    else if (!code)
      add_only(d, &d->a, node, &a);
  }
  order = (fl_read_order){0};
  while (!code && !d->list.failed && (node = fl_read_order_next(&d->b.nodes, &order))) {
    if (fl_read_side_find(&d->a, fl_read_side_get_name(&d->b, node))) continue;
    code = fl_read_state_get(&d->b.states, node->node, &b, err);
    if (!code) add_only(d, &d->b, node, &b);
  }
  return code;
}

// -------------------------------------------------------------------------------- the runs

static void add_run(const fl_store *s, fl_buf *out, const char *key, const fl_run_row *run) {
  fl_buf_addf(out, "\"%s\":{\"id\":\"%s\",\"flow\":", key, run->id);
  fl_json_write_text(out, run->flow);
  fl_buf_addf(out, ",\"status\":\"%s\",\"time\":", fl_read_get_status(s, run));
  fl_read_add_time(out, run->time_ms);
  fl_buf_add_str(out, ",\"trigger\":");
  fl_json_write_text(out, run->trigger);
  fl_buf_add_str(out, ",\"created_at\":");
  fl_read_add_time(out, run->created_ms);
  fl_buf_addf(out, ",\"resumes\":%u,\"duration_ms\":", run->resumes);
  int64_t by_clock = run->ended_ms > run->started_ms ? run->ended_ms - run->started_ms : 0;
  if (run->started_ms && run->ended_ms)
    fl_json_write_int(out, run->duration_ms >= 0 ? run->duration_ms : by_clock);
  else
    fl_buf_add_str(out, "null");
  fl_buf_add_str(out, "},");
}

static fl_code write_diff(diff *d, fl_buf *out, fl_error *err) {
  const fl_run_row *a = &d->a.run, *b = &d->b.run;
  fl_code code = add_nodes(d, err);
  if (code) return code;
  bool equal = a->state == b->state && !d->different && !d->only_a && !d->only_b;
  fl_buf_add_char(out, '{');
  add_run(d->a.store, out, "a", a);
  add_run(d->a.store, out, "b", b);
  fl_buf_addf(out, "\"equal\":%s,\"replay\":%s", equal ? "true" : "false",
              b->replay_of == a->row ? "true" : "false");
  fl_buf_addf(out,
              ",\"counts\":{\"equal\":%zu,\"different\":%zu,\"skipped\":%zu,\"only_a\":%zu,"
              "\"only_b\":%zu},\"script\":",
              d->equal, d->different, d->skipped, d->only_a, d->only_b);
  code = fl_read_add_scripts(d->store, a->script, b->script, d->brief, out, err);
  fl_buf_addf(out, ",\"time\":{\"equal\":%s,\"a\":", a->time_ms == b->time_ms ? "true" : "false");
  fl_read_add_time(out, a->time_ms);
  fl_buf_add_str(out, ",\"b\":");
  fl_read_add_time(out, b->time_ms);
  fl_buf_add_str(out, "},\"params\":");
  if (!code) code = fl_read_add_pair(d->store, a->params, b->params, d->brief, out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_read_add_pair(d->store, a->vars, b->vars, d->brief, out, err);
  fl_buf_add_str(out, ",\"nodes\":[");
  fl_buf_add(out, d->list.data, d->list.size);
  fl_buf_add_str(out, "]}");
  if (d->list.failed) out->failed = true;
  return code;
}

// The run that `run` repeats.
static fl_code find_original(fl_store *s, const fl_run_row *run, int64_t *original, fl_error *err) {
  fl_run_row then;
  *original = run->replay_of;
  if (!run->replay_of)
    return fl_fail(err, FL_E_USAGE, "run %s repeats no other: name two runs", run->id);
  if (!fl_store_get_run(s, run->replay_of, &then, err)) return fl_run_row_deinit(&then), FL_OK;
  if (err && err->code != FL_E_NOT_FOUND) return err->code;
  return fl_fail(err, FL_E_NOT_FOUND, "the run that %s repeats is not in the store any more",
                 run->id);
}

fl_code fl_read_store_diff(fl_store *s, const fl_run_row *a, const fl_run_row *b, bool brief,
                           fl_buf *out, fl_error *err) {
  diff d = {.store = s, .brief = brief};
  int64_t row_a = a->row, row_b = b ? b->row : a->row;
  fl_error own;
  if (!err) err = &own;
  fl_buf_init(&d.list, out->size_max);
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  if (!b) code = find_original(s, a, &row_a, err);
  if (!code) code = fl_read_side_open(&d.a, s, row_a, err);
  if (!code) code = fl_read_side_open(&d.b, s, row_b, err);
  if (!code) code = write_diff(&d, out, err);
  fl_read_side_close(&d.a);
  fl_read_side_close(&d.b);
  fl_buf_deinit(&d.list);
  fl_store_read_end(s);
  return code ? code : fl_read_finish(s, out, err);
}
