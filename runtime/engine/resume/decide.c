// Says of every node whether it is kept, skipped or run again. Pure but for reading values:
// `resume --plan` shows just this.
#include "engine/resume/resume_internal.h"
#include "base/bug.h"

static void set(fl_restore *r, uint32_t node, fl_resume_action action, fl_reason reason) {
  r->actions[node] = action;
  r->reasons[node] = reason;
}

// The name that the node had in the flow as it was.
static const char *former_name(fl_restore *r, uint32_t node) {
  const char *renamed = r->spec->renamed ? r->spec->renamed[node] : NULL;
  return renamed ? renamed : fl_graph_get_name(r->run->flow->graph, node);
}

static uint32_t former_node(fl_restore *r, uint32_t node) {
  const char *name = former_name(r, node);
  return fl_graph_find(r->spec->before->graph, name, strlen(name));
}

static bool is_new(fl_restore *r, uint32_t node) {
  if (!r->spec->before || node >= r->run->graph_count) return false;
  return former_node(r, node) == FL_NODE_NONE;
}

static bool chose(fl_restore *r, uint32_t branch, const char *name) {
  fl_value *chosen = NULL;
  if (fl_store_get_value(r->scheduler->store, r->past[branch].outputs, &chosen, &r->damage))
    return true;
  json_t *list = chosen ? fl_value_to_json(chosen) : NULL, *item;
  size_t at;
  bool found = !json_is_array(list);
  json_array_foreach(list, at, item) found |= !strcmp(json_string_value(item), name);
  json_decref(list);
  fl_value_unref(chosen);
  return found;
}

// A branch that is kept keeps its choice, whatever else before the node runs again.
static bool stays_omitted(fl_restore *r, uint32_t node) {
  const fl_graph *g = r->run->flow->graph;
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(g, node, &count);
  for (uint32_t i = 0; i < count; i++)
    if (fl_graph_get_options(g, parents[i])->kind == FL_KIND_BRANCH &&
        r->actions[parents[i]] == FL_RESUME_KEEP &&
        r->past[parents[i]].state == FL_NODE_SUCCEEDED &&
        !chose(r, parents[i], fl_graph_get_name(g, node)))
      return true;
  return false;
}

// Something the node depends on will give another result, or may.
static bool parent_gives_other(fl_restore *r, uint32_t node) {
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(r->run->flow->graph, node, &count);
  for (uint32_t i = 0; i < count; i++) {
    fl_reason reason = r->reasons[parents[i]];
    if (r->actions[parents[i]] == FL_RESUME_RUN || reason == FL_REASON_SUCCEED_ASKED ||
        reason == FL_REASON_SYNTHETIC)
      return true;
  }
  return false;
}

// Skipped or omitted, and nothing that this follows from is another now.
static bool stays_left_out(fl_restore *r, uint32_t node) {
  const fl_node_past *p = &r->past[node];
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(r->run->flow->graph, node, &count);
  bool moves = false;
  for (uint32_t i = 0; i < count && !moves; i++) {
    uint32_t parent = parents[i];
    moves = fl_resume_moves(r->past[parent].state, r->actions[parent], r->reasons[parent]);
  }
  return fl_resume_stays_out(p->state, p->reason, moves);
}

// Where the spec has `node`, FL_NODE_NONE: an item that is not named.
static uint32_t spec_node(const fl_restore *r, uint32_t node) {
  return node < r->run->graph_count ? node : r->named[node - r->run->graph_count];
}

static bool is_marked(const fl_restore *r, const uint8_t *marks, uint32_t node) {
  uint32_t at = marks ? spec_node(r, node) : FL_NODE_NONE;
  return at != FL_NODE_NONE && marks[at];
}

static bool decide_as_asked(fl_restore *r, uint32_t node) {
  const fl_resume_spec *spec = r->spec;
  if (is_marked(r, spec->rerun, node))
    set(r, node, FL_RESUME_RUN, FL_REASON_RERUN_ASKED);
  else if (is_marked(r, spec->skip, node))
    set(r, node, FL_RESUME_SKIP, FL_REASON_SKIP_ASKED);
  else if (is_marked(r, spec->succeed, node))
    set(r, node, FL_RESUME_KEEP, FL_REASON_SUCCEED_ASKED);
  else
    return false;
  return true;
}

static void decide_by_state(fl_restore *r, uint32_t node) {
  fl_node_past *p = &r->past[node];
  bool in_graph = node < r->run->graph_count;
  bool hook = in_graph && fl_graph_get_options(r->run->flow->graph, node)->hook;
  fl_reason why;
  if (decide_as_asked(r, node)) return;
  bool left_out = !in_graph || stays_left_out(r, node);
  bool unchosen = in_graph && p->state != FL_NODE_SUCCEEDED && !left_out && stays_omitted(r, node);
  if (hook && r->was_final && !unchosen) return set(r, node, FL_RESUME_RUN, FL_REASON_HOOK);
  if (FL_BUG(succeeded_runs_again) && in_graph && p->state == FL_NODE_SUCCEEDED)
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  if (FL_BUG(item_runs_twice) && !in_graph && p->state == FL_NODE_SUCCEEDED)
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  if (FL_BUG(skip_forgotten) && p->reason == FL_REASON_SKIP_ASKED)
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  fl_resume_action action = fl_resume_by_state(p->state, p->reason, left_out, unchosen, &why);
  if (why == FL_REASON_KEPT) {
    uint32_t at = spec_node(r, node);
    if (r->spec->outputs && at != FL_NODE_NONE && r->spec->outputs[at])
      why = FL_REASON_SYNTHETIC;
    else if (in_graph && parent_gives_other(r, node))
      why = FL_REASON_KEPT_BEHIND;
  } else if (p->state == FL_NODE_PENDING && !p->seq && is_new(r, node)) {
    why = FL_REASON_ADDED;
  }
  set(r, node, action, why);
}

// A map or a call that would be kept goes on all the same when something within it is asked for.
static void decide(fl_restore *r, uint32_t node) {
  decide_by_state(r, node);
  if (r->entered[node] && r->actions[node] == FL_RESUME_KEEP)
    set(r, node, FL_RESUME_RUN, FL_REASON_WITHIN_ASKED);
}

// ------------------------------------------------------------------------------------- lists

// What the flow was given when the epoch began.
static const fl_input_row *inputs_of(const fl_restore *r, uint32_t epoch) {
  const fl_input_row *found = NULL;
  for (size_t i = 0; i < r->input_count && r->inputs[i].epoch <= epoch; i++) found = &r->inputs[i];
  return found;
}

// Whether what a map's list was made of may be another than at its last attempt. A list is not
// asked for again without need: a function need not give the same one twice.
static bool may_have_other_items(fl_restore *r, uint32_t map) {
  const fl_node_past *p = &r->past[map];
  const fl_input_row *then = inputs_of(r, p->epoch), *now = inputs_of(r, UINT32_MAX);
  if (r->spec->params || r->spec->vars || r->spec->before) return true;
  if (then && then->script != now->script) return true;
  if (then && !fl_store_is_same_value(r->scheduler->store, then->params, now->params)) return true;
  for (size_t i = 0; i < r->epoch_count; i++)
    if (r->epochs[i].epoch > p->epoch && r->mends[i]) return true;
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(r->run->flow->graph, map, &count);
  for (uint32_t i = 0; i < count; i++)
    if (r->past[parents[i]].seq > p->claim_seq) return true;
  return parent_gives_other(r, map);
}

static void decide_lists(fl_restore *r) {
  for (uint32_t i = r->run->graph_count; i < r->count; i++) {
    uint32_t map = fl_plan_get_map(r->run->plan, i);
    fl_reason reason = r->reasons[map];
    bool goes_on = r->actions[map] == FL_RESUME_RUN && reason != FL_REASON_RERUN_ASKED &&
                   reason != FL_REASON_WITHIN_ASKED && reason != FL_REASON_LIST_AGAIN;
    bool live = r->past[map].state == FL_NODE_RUNNING || r->past[map].state == FL_NODE_QUEUED;
    if (goes_on && !live && may_have_other_items(r, map))
      set(r, map, FL_RESUME_RUN, FL_REASON_LIST_AGAIN);
  }
}

// An item is kept with its map, also one that was allowed to fail: nothing would start it. But
// a map that runs again by wish starts from its list.
static void decide_item(fl_restore *r, uint32_t node, uint32_t map) {
  fl_node_past *p = &r->past[node];
  fl_resume_action action = r->actions[map];
  fl_reason reason = r->reasons[map];
  if (reason == FL_REASON_RERUN_ASKED) return set(r, node, FL_RESUME_RUN, reason);
  bool by_hand = reason == FL_REASON_SUCCEED_ASKED ||
                 (action == FL_RESUME_SKIP && reason == FL_REASON_SKIP_ASKED);
  if (by_hand && p->state != FL_NODE_SUCCEEDED)
    return set(r, node, FL_RESUME_SKIP, FL_REASON_SKIP_ASKED);
  if (fl_resume_asks_item(p->state, action)) return decide(r, node);
  if (action == FL_RESUME_SKIP) return set(r, node, action, reason);
  set(r, node, FL_RESUME_KEEP, p->reason ? p->reason : FL_REASON_ITEM);
}

void fl_restore_decide(fl_restore *r) {
  const uint32_t *order = fl_graph_get_order(r->spec->flow->graph);
  for (uint32_t i = 0; i < r->run->graph_count; i++) decide(r, order[i]);
  decide_lists(r);
  for (uint32_t i = r->run->graph_count; i < r->count; i++)
    decide_item(r, i, fl_plan_get_map(r->run->plan, i));
}

// A wish to run again holds until the node has run: the engine may have died in between.
bool fl_restore_starts_anew(const fl_restore *r, uint32_t node) {
  const fl_node_past *p = &r->past[node];
  uint32_t since = p->queued_for == FL_REASON_RERUN_ASKED ? p->epoch : p->anew_epoch;
  if (r->reasons[node] == FL_REASON_RERUN_ASKED) return !r->spec->keep_checkpoint;
  if (r->actions[node] != FL_RESUME_RUN || !since) return false;
  bool keeps = false;
  for (size_t i = 0; i < r->epoch_count && r->epochs[i].epoch <= since; i++)
    if (r->epochs[i].patch) keeps = r->keeps[i];
  return !keeps;
}

// ------------------------------------------------------------------------------------- changes

static bool has_other_parents(fl_restore *r, uint32_t node, uint32_t was) {
  const fl_graph *now = r->run->flow->graph, *before = r->spec->before->graph;
  uint32_t count, former_count;
  const uint32_t *parents = fl_graph_get_parents(now, node, &count);
  const uint32_t *former = fl_graph_get_parents(before, was, &former_count);
  if (count != former_count) return true;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(former_name(r, parents[i]), fl_graph_get_name(before, former[i]))) return true;
  return false;
}

// What gave a result that is kept may not be what the script says now: that is to be said.
fl_code fl_restore_find_changed(fl_restore *r, fl_error *err) {
  const fl_flow *now = r->run->flow, *before = r->spec->before;
  fl_buf text, former;
  fl_code rc = FL_OK;
  if (!before) return FL_OK;
  fl_buf_init(&text, 16u << 20);
  fl_buf_init(&former, 16u << 20);
  for (uint32_t i = 0; i < r->run->graph_count && !rc; i++) {
    fl_reason reason = r->reasons[i];
    if (reason != FL_REASON_KEPT && reason != FL_REASON_KEPT_BEHIND) continue;
    uint32_t was = former_node(r, i);
    if (was == FL_NODE_NONE) continue; // comes back after it was removed
    fl_buf_reset(&text);
    fl_buf_reset(&former);
    rc = now->hooks->definition(now, i, &text, err);
    if (!rc) rc = before->hooks->definition(before, was, &former, err);
    if (rc) break;
    bool same = text.size == former.size && !memcmp(text.data, former.data, text.size);
    if (same && !has_other_parents(r, i, was)) continue;
    r->changed[i] = 1;
    bool asked = is_marked(r, r->spec->keep, i);
    r->reasons[i] = asked ? FL_REASON_KEEP_ASKED : FL_REASON_KEPT_CHANGED;
  }
  fl_buf_deinit(&text);
  fl_buf_deinit(&former);
  return rc;
}
