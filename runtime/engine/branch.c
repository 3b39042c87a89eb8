// A branch's result: the names of the children that go on; all its other children are omitted.
#include "engine/run_internal.h"

static bool is_chosen(const json_t *names, const char *name) {
  size_t i;
  json_t *entry;
  json_array_foreach(names, i, entry) {
    if (!strcmp(json_string_value(entry), name)) return true;
  }
  return false;
}

// Every chosen name must be a child: a misspelt one would silently omit all.
static fl_code check_names(fl_run *run, uint32_t node, const json_t *names, fl_error *err) {
  uint32_t count;
  const uint32_t *children = fl_graph_get_children(run->flow->graph, node, &count);
  size_t i;
  json_t *entry;
  if (!json_is_array(names))
    return fl_fail(err, FL_E_SCRIPT, "choose must give a name or a list of names");
  json_array_foreach(names, i, entry) {
    bool found = false;
    if (!json_is_string(entry))
      return fl_fail(err, FL_E_SCRIPT, "choose must give names (strings)");
    for (uint32_t c = 0; c < count && !found; c++)
      found = !strcmp(fl_run_get_name(run, children[c]), json_string_value(entry));
    if (!found)
      return fl_fail(err, FL_E_SCRIPT, "choose gave '%s', which is no node after '%s'",
                     json_string_value(entry), fl_run_get_name(run, node));
  }
  return FL_OK;
}

// They must be a list of names of its children.
fl_code fl_branch_check(fl_run *run, uint32_t node, const fl_value *outputs, fl_error *err) {
  json_t *names = outputs ? fl_value_to_json(outputs) : json_array();
  fl_code rc = check_names(run, node, names, err);
  json_decref(names);
  return rc;
}

// Omits the children that were not chosen, before the branch's own end lets them become ready.
void fl_branch_omit(fl_run *run, uint32_t node, const fl_value *outputs) {
  json_t *names = outputs ? fl_value_to_json(outputs) : json_array();
  uint32_t count;
  const uint32_t *children = fl_graph_get_children(run->flow->graph, node, &count);
  for (uint32_t i = 0; i < count; i++) {
    if (is_chosen(names, fl_run_get_name(run, children[i]))) continue;
    if (fl_plan_can(run->plan, children[i], FL_NODE_OMIT))
      fl_run_decide(run, children[i], FL_NODE_OMIT, FL_REASON_BRANCH_NOT_CHOSEN,
                    fl_run_get_name(run, node));
  }
  json_decref(names);
}
