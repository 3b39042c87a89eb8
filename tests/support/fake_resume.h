// Resumes of the fake engine: who lives, ends of attempts with outputs and vars, graphs by kinds.
#pragma once
#include "engine/run_internal.h"
#include "fake_engine.h"

static const fl_node_options process = {
    .kind = FL_KIND_PROCESS, .lost_count_max = 5, .grace_ms = 1000};

static inline fl_run *resume_with(fake_engine *f, fl_fate fate, fl_resume_spec spec) {
  fl_run_row row;
  fl_run *run;
  fl_error err;
  f->fate = fate;
  spec.flow = &f->flow;
  fake_open_scheduler(f, 2);
  assert_int_equal(fl_store_find_run(f->store, "last", &row, &err), FL_OK);
  if (fl_scheduler_resume_run(f->scheduler, &row, &spec, &run, &err)) fail_msg("%s", err.message);
  fl_run_row_deinit(&row);
  fake_step(f);
  return run;
}

static inline fl_run *resume(fake_engine *f, fl_fate fate) {
  return resume_with(f, fate, (fl_resume_spec){0});
}

static inline fl_attempt *find_live(fake_engine *f, const char *name) {
  for (size_t i = 0; i < f->live_count; i++)
    if (!strcmp(fl_attempt_get_name(f->live[i]), name)) return f->live[i];
  return NULL;
}

/// Ends `name` with outputs and vars (NULL: none, unchanged), then steps.
static inline void end_with(fake_engine *f, const char *name, const char *outputs,
                            const char *vars) {
  fl_attempt *a = find_live(f, name);
  assert_non_null(a);
  fake_take(f, a);
  fl_outcome o = {.state = FL_ATTEMPT_SUCCEEDED};
  if (outputs) o.outputs = fl_value_new(outputs, strlen(outputs));
  if (vars) o.vars = fl_value_new(vars, strlen(vars));
  fl_attempt_end(a, &o);
  fl_value_unref(o.outputs);
  fl_value_unref(o.vars);
  fake_step(f);
}

/// Another graph for `f`, before its first run: nodes "a".. of `kinds`, edges as pairs "ba".
static inline void regraph(fake_engine *f, const fl_node_options *options, size_t count,
                           const char *edges) {
  fl_error err;
  uint32_t index;
  fl_graph_free(f->graph);
  f->graph = fl_graph_new();
  for (size_t i = 0; i < count; i++) {
    char name = (char)('a' + i);
    fl_node_options o = options[i];
    o.type = "test";
    assert_int_equal(fl_graph_add(f->graph, &name, 1, &o, &index, &err), FL_OK);
    if (o.kind == FL_KIND_MAP) {
      o.kind = FL_KIND_WORKER;
      fl_graph_set_inner(f->graph, index, &o);
    }
  }
  for (; *edges; edges += 2)
    fl_graph_after(f->graph, (uint32_t)(edges[0] - 'a'), (uint32_t)(edges[1] - 'a'));
  assert_int_equal(fl_graph_freeze(f->graph, &err), FL_OK);
  f->flow.graph = f->graph;
}

/// Two items, 1 and 2.
static inline fl_code expand(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                             fl_error *err) {
  (void)flow, (void)a, (void)err;
  *count = 2;
  *items = fl_alloc_zero(2, sizeof **items);
  (*items)[0] = fl_value_new("1", 1);
  (*items)[1] = fl_value_new("2", 1);
  return FL_OK;
}

static const uint8_t rerun_a[8] = {1};

// a: a process; b comes after it: a process, or a map of two items, or a call of itself.
static inline void open_behind(fake_engine *f, fl_node_kind kind, const fl_hooks *hooks) {
  fl_node_options nodes[] = {process, process};
  fake_open(f, 3, "a", process);
  nodes[1].kind = kind;
  nodes[1].lost_count_max = 0;
  nodes[1].retry_count_max = 1;
  regraph(f, nodes, 2, "ba");
  f->flow.hooks = hooks;
  fake_run(f);
  fake_end(f, "a", FL_ATTEMPT_SUCCEEDED);
}
