// Asks the flow of a failed run, and those of the sub-flows that failed in it, what they would
// change, keeps that as proposals of the run, and applies those that may be by themselves.
#include "api/patch.h"

#define PARTS_MAX 16u // sub-flows that are asked at one breakpoint: all items of a map may be such

typedef struct asking {
  fl_engine *engine;
  fl_run *run;
  uint32_t part_count;
} asking;

// What a resume would refuse is told, and not kept: nobody could apply it.
static bool is_sound(const asking *a, const fl_advice *advice) {
  fl_patching p;
  fl_patch patch = {.size = sizeof patch, .json = advice->patch->text};
  fl_error err;
  fl_code rc =
      fl_patching_open(&p, a->engine, fl_run_get_id(a->run), &patch, FL_PATCHING_PROPOSAL, &err);
  if (!rc) rc = fl_scheduler_check_resume(a->engine->scheduler, &p.row, &p.spec, &err);
  fl_patching_close(&p);
  if (rc)
    fl_run_notice(a->run, "the proposal of %s cannot be applied and is not kept: %s",
                  advice->origin ? advice->origin : "on_breakpoint", err.message);
  return !rc;
}

// `row`: the run that is advised on, the failed one or one within it. The adviser's trouble must
// not be the run's.
static void ask(const asking *a, const char *within, const fl_run_row *row, const fl_flow *flow) {
  fl_advice advice = {0};
  fl_error err;
  fl_buf info;
  fl_buf_init(&info, 64u << 20);
  fl_code rc = fl_read_store_breakpoint(a->engine->store, row, &info, &err);
  if (!rc) rc = fl_script_advise(flow, fl_buf_cstr(&info), within, &advice, &err);
  fl_buf_deinit(&info);
  if (rc)
    fl_run_notice(a->run, "%s%s%s", within, *within ? ": " : "", err.message);
  else if (advice.patch && is_sound(a, &advice))
    (void)!fl_run_keep_proposal(a->run, &advice, &err); // the step tells of a broken store
  fl_value_unref(advice.patch);
  free(advice.origin);
  free(advice.reason);
}

// "call/" or "each[3]/", as a patch names what is within.
static void add_part_name(const fl_patching *p, uint32_t node, fl_buf *out) {
  const fl_graph *graph = p->flow->graph;
  uint32_t count = fl_graph_get_count(graph);
  if (node < count) {
    fl_buf_addf(out, "%s/", fl_graph_get_name(graph, node));
    return;
  }
  const fl_item_name *item = &p->item_names[node - count];
  fl_buf_addf(out, "%s[%u]/", fl_graph_get_name(graph, item->map), item->position);
}

// As far down as failures go.
static void ask_parts(asking *a, const fl_patching *p, const char *path) {
  for (size_t i = 0; i < p->part_count; i++) {
    const fl_patching *part = &p->parts[i];
    fl_buf name;
    if (part->row.state != FL_RUN_FAILED) continue;
    fl_buf_init(&name, 1u << 20);
    fl_buf_add_str(&name, path);
    add_part_name(p, p->part_specs[i].node, &name);
    if (part->before->has_adviser && !fl_scheduler_is_broken(a->engine->scheduler) &&
        ++a->part_count <= PARTS_MAX)
      ask(a, fl_buf_cstr(&name), &part->row, part->before);
    ask_parts(a, part, fl_buf_cstr(&name));
    fl_buf_deinit(&name);
  }
}

void fl_engine_advise(fl_engine *e, fl_run *run, bool within) {
  asking a = {.engine = e, .run = run};
  const fl_flow *flow = fl_run_get_flow(run);
  fl_error err;
  fl_code rc = FL_OK;
  if (flow->has_adviser) {
    fl_run_row row;
    rc = fl_store_find_run(e->store, fl_run_get_id(run), &row, &err);
    if (!rc) ask(&a, "", &row, flow);
    if (!rc) fl_run_row_deinit(&row);
  }
  if (!rc && within && !fl_scheduler_is_broken(e->scheduler)) {
    fl_patching p;
    rc = fl_patching_open(&p, e, fl_run_get_id(run), NULL, FL_PATCHING_WITHIN, &err);
    if (!rc) ask_parts(&a, &p, "");
    fl_patching_close(&p);
  }
  if (rc) fl_run_notice(run, "%s", err.message);
  if (a.part_count > PARTS_MAX)
    fl_run_notice(run, "%u more sub-flows failed that could be asked what would mend them",
                  a.part_count - PARTS_MAX);
}

fl_code fl_resume_wanted(fl_engine *e, fl_error *err) {
  fl_wanted_resume wanted;
  while (fl_scheduler_take_wanted(e->scheduler, &wanted)) {
    fl_patch patch = {.size = sizeof patch, .proposal = wanted.proposal, .author = "the flow"};
    fl_error why;
    if (e->stopping) continue; // it can still be accepted
    if (!fl_run_resume(e, wanted.run_id, &patch, &why)) continue;
    if (fl_scheduler_is_broken(e->scheduler)) return *err = why, why.code;
    fl_scheduler_notice(e->scheduler, "proposal %u of run %s: %s", wanted.proposal, wanted.run_id,
                        why.message);
  }
  return FL_OK;
}
