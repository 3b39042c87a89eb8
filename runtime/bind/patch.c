// Patches as the language sees them: built from what was typed, read or proposed, checked, and
// proposed by a flow itself.
#include <lauxlib.h>
#include "base/limits.h"
#include "bind/script_state.h"
#include "bind/value.h"

// What flow.host is asked: a function, and its arguments in the order of the fields.
typedef struct question {
  const char *name;
  const fl_flow *flow;
  const char *texts[2]; // NULL at the end: fewer, or nil
  int text_count;
  const fl_flow *before;  // names of its nodes follow ...
  const char *old_params; // ... and these; NULL: nil
  uint32_t node;
  bool has_node;
  fl_value *value, *second; // second: of two results
  bool has_second;
  fl_buf *out;
  fl_advice *advice;
  fl_made_patch *made;
  bool is_mended;
} question;

static void push(lua_State *L, const question *q) {
  fl_script_push_host(L, q->name);
  if (q->flow) fl_script_push_flow(L, q->flow);
  if (q->has_node) lua_pushinteger(L, (lua_Integer)q->node);
  for (int i = 0; i < q->text_count; i++) lua_pushstring(L, q->texts[i]); // NULL: nil
  if (!q->before) return;
  uint32_t count = fl_graph_get_count(q->before->graph);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_pushstring(L, fl_graph_get_name(q->before->graph, i));
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_pushstring(L, q->old_params);
}

static int count_arguments(const question *q) {
  return (q->flow != NULL) + q->has_node + q->text_count + 2 * (q->before != NULL);
}

static fl_value *value_at(lua_State *L, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  return fl_value_new(text ? text : "{}", text ? size : 2);
}

static int l_ask(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push(L, q);
  lua_call(L, count_arguments(q), 2);
  size_t size;
  const char *text = q->out ? lua_tolstring(L, -2, &size) : NULL;
  if (text) fl_buf_add(q->out, text, size);
  if (q->out) return 0;
  q->value = value_at(L, -2);
  if (q->has_second) q->second = value_at(L, -1);
  return 0;
}

// A patch that is written in Lua is run, and has its time; what it takes is not the flow's.
static fl_code ask(fl_script *script, question *q, const char *what, lua_CFunction body,
                   fl_error *err) {
  fl_budget slice = {.L = script->L,
                     .path = script->path,
                     .flow = q->made ? NULL : q->flow->key,
                     .what = what,
                     .limit_ms = script->limits.hook_ms ? FL_ADVISE_MS : 0,
                     .memory_max = script->limits.hook_ms ? FL_HOOK_MEMORY_MAX : 0};
  return fl_budget_call(&slice, body, q, err);
}

static int l_make(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push(L, q);
  lua_pushboolean(L, q->is_mended);
  lua_call(L, count_arguments(q) + 1, 3);
  if (!lua_toboolean(L, -3)) {
    q->made->script = fl_strdup(lua_tostring(L, -2));
    return 0;
  }
  q->made->patch = value_at(L, -3);
  q->made->own = value_at(L, -2);
  q->made->wakes = lua_toboolean(L, -1);
  return 0;
}

fl_code fl_script_make_patch(const fl_flow *flow, const char *request, bool is_mended,
                             fl_made_patch *out, fl_error *err) {
  *out = (fl_made_patch){0};
  question q = {.name = "make_patch",
                .flow = flow,
                .texts = {request},
                .text_count = 1,
                .made = out,
                .is_mended = is_mended};
  fl_code rc = ask(flow->script, &q, "patch", l_make, err);
  return rc ? err->code = FL_E_USAGE : FL_OK;
}

fl_code fl_script_resolve_patch(const fl_flow *flow, const fl_flow *before, const char *own,
                                const char *old_params, fl_value **found, fl_value **params,
                                fl_error *err) {
  question q = {.name = "resolve_patch",
                .flow = flow,
                .texts = {own},
                .text_count = 1,
                .before = before,
                .old_params = old_params,
                .has_second = old_params != NULL};
  fl_code rc = ask(flow->script, &q, "patch", l_ask, err);
  *found = q.value;
  *params = q.second;
  return rc ? err->code = FL_E_USAGE : FL_OK;
}

fl_code fl_script_describe_flow(const fl_flow *flow, fl_value **out, fl_error *err) {
  question q = {.name = "describe", .flow = flow};
  fl_code rc = ask(flow->script, &q, "description", l_ask, err);
  *out = q.value;
  return rc;
}

fl_code fl_script_describe_options(const fl_flow *flow, uint32_t node, fl_value **out,
                                   fl_error *err) {
  question q = {.name = "definition_parts", .flow = flow, .node = node, .has_node = true};
  fl_code rc = ask(flow->script, &q, "definition", l_ask, err);
  *out = q.value;
  return rc;
}

fl_code fl_script_describe_node(const fl_flow *flow, uint32_t node, fl_buf *out, fl_error *err) {
  question q = {.name = "definition", .flow = flow, .node = node, .has_node = true, .out = out};
  return ask(flow->script, &q, "definition", l_ask, err);
}

static char *dup_text(lua_State *L, int index) {
  const char *text = lua_tostring(L, index);
  return text ? fl_strdup(text) : NULL;
}

static int l_advise(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  size_t size;
  push(L, q);
  lua_call(L, count_arguments(q), 4);
  const char *patch = lua_tolstring(L, -4, &size);
  q->advice->automatic_max = (uint32_t)lua_tonumber(L, -1);
  q->advice->reason = dup_text(L, -2);
  q->advice->origin = dup_text(L, -3);
  if (patch) q->advice->patch = fl_value_new(patch, size);
  return 0;
}

fl_code fl_script_advise(const fl_flow *flow, const char *breakpoint, const char *within,
                         fl_advice *out, fl_error *err) {
  *out = (fl_advice){0};
  question q = {.name = "advise",
                .flow = flow,
                .texts = {breakpoint, within},
                .text_count = 2,
                .advice = out};
  return ask(flow->script, &q, "on_breakpoint", l_advise, err);
}
