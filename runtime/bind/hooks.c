// The hooks of flows that scripts define: each is one call of flow.host, protected from its first
// push to its last answer, with a budget of time and memory.
#include <lauxlib.h>
#include "base/bug.h"
#include "base/limits.h"
#include "bind/script_state.h"
#include "bind/value.h"
#include "engine/scheduler.h"

// ------------------------------------------------------------------------------------- asking

// What a hook is asked and what it answered.
typedef struct question {
  const fl_flow *flow;
  fl_attempt *a;
  uint32_t node;
  const char *capture, *output; // collect
  size_t capture_size, output_size;
  const fl_failure *failure;
  const char *key, *const *texts, *json; // of a var and its values; of params
  size_t count;
  bool yes;
  fl_command *command;
  fl_value *value;
  fl_value **items;
  size_t item_count;
  fl_flow *sub;
  char place[256];
} question;

static int l_place(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  fl_script_push_host(L, "place");
  fl_script_push_flow(L, q->flow);
  lua_pushinteger(L, (lua_Integer)q->node);
  lua_call(L, 2, 1);
  snprintf(q->place, sizeof q->place, "%s", lua_tostring(L, -1));
  return 0;
}

// `what`: as the user calls the hook. Whoever holds the thread for long is named; one that is
// stopped is told with the line where it was, else with that of its node.
static fl_code ask(question *q, const char *what, lua_CFunction body, fl_error *err) {
  fl_script *script = q->flow->script;
  if (q->a) q->node = fl_attempt_get_graph_node(q->a);
  fl_budget slice = {.L = script->L,
                     .path = script->path,
                     .flow = q->flow->key,
                     .node = q->a ? fl_attempt_get_name(q->a)
                                  : fl_graph_get_name(q->flow->graph, q->node),
                     .what = what,
                     .limit_ms = script->limits.hook_ms * (FL_BUG(hook_without_budget) ? 20 : 1),
                     .memory_max = script->limits.hook_ms ? FL_HOOK_MEMORY_MAX : 0};
  fl_code rc = fl_budget_call(&slice, body, q, err);
  fl_error ignored;
  if (rc && slice.why && !*slice.place && !fl_lua_protect(script->L, l_place, q, &ignored)) {
    snprintf(slice.place, sizeof slice.place, "%s", q->place);
    rc = fl_budget_fail(&slice, err);
  }
  if (q->a && slice.held_ms > FL_BUDGET_LONG_MS)
    fl_run_notice(fl_attempt_get_run(q->a),
                  "%s: its `%s` kept the engine for %.1f s: nothing else went on meanwhile",
                  slice.node, what, (double)slice.held_ms / 1000);
  return rc;
}

// Pushes host.<name>, flow, node, and `inner` where it is asked. Items are asked about by their
// map.
static void push_node(lua_State *L, const question *q, const char *name, bool inner) {
  fl_script_push_host(L, name);
  fl_script_push_flow(L, q->flow);
  lua_pushinteger(L, (lua_Integer)q->node);
  if (inner) lua_pushboolean(L, fl_attempt_get_position(q->a) > 0);
}

static void push_task(lua_State *L, const question *q) {
  const fl_script *script = q->flow->script;
  lua_pushlightuserdata(L, q->a);
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->backend_ref);
}

static void push_optional(lua_State *L, const char *text, size_t size) {
  if (text)
    lua_pushlstring(L, text, size);
  else
    lua_pushnil(L);
}

static void push_texts(lua_State *L, const char *const *texts, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) lua_pushstring(L, texts[i]), lua_rawseti(L, -2, (int)i + 1);
}

// The text on the top of the stack as a value; nil: `otherwise`, or none.
static fl_value *value_at_top(lua_State *L, const char *otherwise) {
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  if (!text && otherwise) return fl_value_new(otherwise, strlen(otherwise));
  if (text && !otherwise && size > FL_VALUE_SIZE_MAX)
    luaL_error(L, "outputs: larger than %d MiB (the limit of a value)", FL_VALUE_SIZE_MAX >> 20);
  return text && (otherwise || strcmp(text, "null")) ? fl_value_new(text, size) : NULL;
}

// ------------------------------------------------------------------------------------- hooks

static void hook_hold(const fl_flow *flow) {
  fl_script_ref(flow->script);
}

static void hook_let_go(const fl_flow *flow) {
  fl_script_unref(flow->script);
}

static int l_when(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push_node(L, q, "when", false);
  push_task(L, q);
  lua_call(L, 4, 1);
  q->yes = lua_toboolean(L, -1);
  return 0;
}

static fl_code hook_when(const fl_flow *flow, fl_attempt *a, bool *yes, fl_error *err) {
  question q = {.flow = flow, .a = a};
  fl_code rc = ask(&q, "when", l_when, err);
  *yes = q.yes;
  return rc;
}

static int l_command(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push_node(L, q, "command", true);
  push_task(L, q);
  lua_call(L, 5, 1);
  q->command = fl_lua_to_command(L, -1);
  return 0;
}

static fl_code hook_command(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  question q = {.flow = flow, .a = a};
  fl_code rc = ask(&q, "command", l_command, err);
  if (!rc && !q.command->argv[0]) rc = fl_fail(err, FL_E_SCRIPT, "the command is empty");
  if (rc) fl_command_free(q.command);
  *out = rc ? NULL : q.command;
  return rc;
}

static int l_collect(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  const fl_script *script = q->flow->script;
  push_node(L, q, "collect", true);
  lua_pushlightuserdata(L, q->a);
  push_optional(L, q->capture, q->capture_size);
  push_optional(L, q->output, q->output_size);
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->backend_ref);
  lua_call(L, 7, 1);
  q->value = value_at_top(L, NULL);
  return 0;
}

static fl_code hook_collect(const fl_flow *flow, fl_attempt *a, const char *capture,
                            size_t capture_size, const char *output, size_t output_size,
                            fl_value **out, fl_error *err) {
  question q = {.flow = flow,
                .a = a,
                .capture = capture,
                .capture_size = capture_size,
                .output = output,
                .output_size = output_size};
  fl_code rc = ask(&q, "capture", l_collect, err);
  *out = q.value;
  return rc;
}

static int l_retry_on(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  const fl_failure *f = q->failure;
  push_node(L, q, "retry_on", false);
  lua_newtable(L);
  lua_pushstring(L, f->state), lua_setfield(L, -2, "status");
  if (f->exit_code >= 0) lua_pushinteger(L, f->exit_code), lua_setfield(L, -2, "exit_code");
  if (f->signal) lua_pushinteger(L, f->signal), lua_setfield(L, -2, "signal");
  lua_pushstring(L, f->error ? f->error : ""), lua_setfield(L, -2, "error");
  lua_pushinteger(L, (lua_Integer)f->attempt), lua_setfield(L, -2, "attempt");
  lua_pushboolean(L, fl_attempt_get_position(q->a) > 0);
  lua_call(L, 4, 1);
  q->yes = lua_toboolean(L, -1);
  return 0;
}

static fl_code hook_retry_on(const fl_flow *flow, fl_attempt *a, const fl_failure *f, bool *yes,
                             fl_error *err) {
  question q = {.flow = flow, .a = a, .failure = f};
  fl_code rc = ask(&q, "retry_on", l_retry_on, err);
  *yes = q.yes;
  return rc;
}

static int l_merge(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push_node(L, q, "merge", false);
  lua_pushstring(L, q->key);
  push_texts(L, q->texts, q->count);
  lua_call(L, 4, 1);
  q->value = value_at_top(L, "null");
  return 0;
}

static fl_code hook_merge(const fl_flow *flow, uint32_t node, const char *key,
                          const char *const *values, size_t count, fl_value **out, fl_error *err) {
  question q = {.flow = flow, .node = node, .key = key, .texts = values, .count = count};
  fl_code rc = ask(&q, "merge", l_merge, err);
  *out = q.value;
  return rc;
}

static int l_expand(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push_node(L, q, "expand", false);
  push_task(L, q);
  lua_call(L, 4, 1);
  size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  q->items = fl_alloc_zero(n + 1, sizeof *q->items);
  for (; q->item_count < n; q->item_count++) {
    lua_rawgeti(L, -1, (int)q->item_count + 1);
    q->items[q->item_count] = value_at_top(L, "null");
    lua_pop(L, 1);
  }
  return 0;
}

static fl_code hook_expand(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                           fl_error *err) {
  question q = {.flow = flow, .a = a};
  fl_code rc = ask(&q, "over", l_expand, err);
  for (size_t i = 0; rc && i < q.item_count; i++) fl_value_unref(q.items[i]);
  if (rc) free(q.items);
  *items = rc ? NULL : q.items;
  *count = rc ? 0 : q.item_count;
  return rc;
}

static int l_call(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push_node(L, q, "call", false);
  push_task(L, q);
  lua_call(L, 4, 2);
  const char *key = lua_tostring(L, -2);
  q->sub = key ? fl_script_find_flow(q->flow->script, key) : NULL;
  if (!q->sub) luaL_error(L, "call: there is no flow '%s' in this script", key ? key : "");
  q->value = value_at_top(L, "{}");
  return 0;
}

static fl_code hook_call(const fl_flow *flow, fl_attempt *a, const fl_flow **sub, fl_value **params,
                         fl_error *err) {
  question q = {.flow = flow, .a = a};
  *params = NULL;
  fl_code rc = ask(&q, "flow", l_call, err);
  *sub = rc ? NULL : q.sub;
  if (!rc) {
    q.sub->script_store_id = flow->script_store_id;
    rc = fl_script_make_params(flow->script, q.sub, NULL, 0, q.value->text, params, err);
  }
  fl_value_unref(q.value);
  return rc;
}

static int l_params_text(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  push_node(L, q, "params_text", true);
  push_task(L, q);
  lua_call(L, 5, 1);
  q->value = value_at_top(L, NULL);
  return 0;
}

fl_code fl_script_native_params(fl_attempt *a, fl_value **out, fl_error *err) {
  question q = {.flow = fl_attempt_get_flow(a), .a = a};
  fl_code rc = ask(&q, "params", l_params_text, err);
  *out = q.value;
  return rc;
}

const fl_hooks fl_script_hooks = {.hold = hook_hold,
                                  .let_go = hook_let_go,
                                  .when = hook_when,
                                  .command = hook_command,
                                  .collect = hook_collect,
                                  .retry_on = hook_retry_on,
                                  .merge = hook_merge,
                                  .expand = hook_expand,
                                  .call = hook_call,
                                  .definition = fl_script_describe_node};

static int l_params(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  fl_script_push_host(L, "params");
  fl_script_push_flow(L, q->flow);
  if (q->count)
    push_texts(L, q->texts, q->count);
  else
    lua_pushnil(L);
  push_optional(L, q->json, q->json ? strlen(q->json) : 0);
  lua_call(L, 3, 1);
  q->value = value_at_top(L, "{}");
  return 0;
}

// No code of the script's own is called: names and types are looked at.
fl_code fl_script_make_params(fl_script *script, const fl_flow *flow, const char *const *texts,
                              size_t count, const char *json, fl_value **out, fl_error *err) {
  question q = {.flow = flow, .texts = texts, .count = count, .json = json};
  fl_code rc = fl_lua_protect(script->L, l_params, &q, err);
  *out = q.value;
  return rc ? fl_wrap(err, "params"), FL_E_USAGE : FL_OK;
}
