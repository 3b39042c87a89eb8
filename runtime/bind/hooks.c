// The hooks of flows that scripts define: each is one call of flow.host.
#include <lauxlib.h>
#include "bind/script_internal.h"
#include "bind/value.h"
#include "engine/scheduler.h"

void fl_script_push_host(fl_script *script, const char *name) {
  lua_State *L = script->L;
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "flow.host");
  lua_getfield(L, -1, name);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

// Pushes host.<name>, flow, node, inner, task, backend. Instances are asked about by their map.
static lua_State *begin(const fl_flow *flow, fl_attempt *a, const char *name, bool inner) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  fl_script_push_host(script, name);
  lua_pushinteger(L, flow->index);
  lua_pushinteger(L, (lua_Integer)fl_attempt_get_graph_node(a));
  if (inner) lua_pushboolean(L, fl_attempt_get_position(a) > 0);
  lua_pushlightuserdata(L, a);
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->backend_ref);
  return L;
}

static fl_code hook_when(const fl_flow *flow, fl_attempt *a, bool *yes, fl_error *err) {
  lua_State *L = begin(flow, a, "when", false);
  fl_code rc = fl_lua_call(L, 4, 1, false, err);
  if (rc) return rc;
  *yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return FL_OK;
}

static fl_code hook_command(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  lua_State *L = begin(flow, a, "command", true);
  *out = NULL;
  fl_code rc = fl_lua_call(L, 5, 1, false, err);
  if (rc) return rc;
  *out = fl_lua_to_command(L, -1);
  lua_pop(L, 1);
  if ((*out)->argv[0]) return FL_OK;
  fl_command_free(*out);
  *out = NULL;
  return fl_fail(err, FL_E_SCRIPT, "the command is empty");
}

static void push_optional(lua_State *L, const char *text, size_t size) {
  if (text)
    lua_pushlstring(L, text, size);
  else
    lua_pushnil(L);
}

// The text on the top of the stack as a value (nil: none); popped.
static fl_code take_value(lua_State *L, fl_value **out, fl_error *err) {
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  *out = NULL;
  fl_code rc = FL_OK;
  if (text && size > FL_VALUE_SIZE_MAX)
    rc = fl_fail(err, FL_E_LIMIT, "outputs: larger than %u MiB (the limit of a value)",
                 FL_VALUE_SIZE_MAX >> 20);
  else if (text && strcmp(text, "null"))
    *out = fl_value_new(text, size);
  lua_pop(L, 1);
  return rc;
}

static fl_code hook_collect(const fl_flow *flow, fl_attempt *a, const char *capture,
                            size_t capture_size, const char *output, size_t output_size,
                            fl_value **out, fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  fl_script_push_host(script, "collect");
  lua_pushinteger(L, flow->index);
  lua_pushinteger(L, (lua_Integer)fl_attempt_get_graph_node(a));
  lua_pushboolean(L, fl_attempt_get_position(a) > 0);
  lua_pushlightuserdata(L, a);
  push_optional(L, capture, capture_size);
  push_optional(L, output, output_size);
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->backend_ref);
  fl_code rc = fl_lua_call(L, 7, 1, false, err);
  return rc ? rc : take_value(L, out, err);
}

static fl_code hook_retry_on(const fl_flow *flow, fl_attempt *a, const fl_failure *f, bool *yes,
                             fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  fl_script_push_host(script, "retry_on");
  lua_pushinteger(L, flow->index);
  lua_pushinteger(L, (lua_Integer)fl_attempt_get_graph_node(a));
  lua_newtable(L);
  lua_pushstring(L, f->state), lua_setfield(L, -2, "status");
  if (f->exit_code >= 0) lua_pushinteger(L, f->exit_code), lua_setfield(L, -2, "exit_code");
  if (f->signal) lua_pushinteger(L, f->signal), lua_setfield(L, -2, "signal");
  lua_pushstring(L, f->error ? f->error : ""), lua_setfield(L, -2, "error");
  lua_pushinteger(L, (lua_Integer)f->attempt), lua_setfield(L, -2, "attempt");
  lua_pushboolean(L, fl_attempt_get_position(a) > 0);
  fl_code rc = fl_lua_call(L, 4, 1, false, err);
  if (rc) return rc;
  *yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return FL_OK;
}

static fl_code hook_merge(const fl_flow *flow, uint32_t node, const char *key,
                          const char *const *values, size_t count, fl_value **out, fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  fl_script_push_host(script, "merge");
  lua_pushinteger(L, flow->index);
  lua_pushinteger(L, (lua_Integer)node);
  lua_pushstring(L, key);
  lua_newtable(L);
  for (size_t i = 0; i < count; i++) lua_pushstring(L, values[i]), lua_rawseti(L, -2, (int)i + 1);
  fl_code rc = fl_lua_call(L, 4, 1, false, err);
  if (rc) return rc;
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  *out = text ? fl_value_new(text, size) : fl_value_new("null", 4);
  lua_pop(L, 1);
  return FL_OK;
}

static fl_code hook_expand(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                           fl_error *err) {
  lua_State *L = begin(flow, a, "expand", false);
  *items = NULL;
  *count = 0;
  fl_code rc = fl_lua_call(L, 4, 1, false, err);
  if (rc) return rc;
  size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  *items = fl_alloc_zero(n + 1, sizeof **items);
  for (size_t i = 0; i < n; i++) {
    size_t size;
    lua_rawgeti(L, -1, (int)i + 1);
    const char *text = lua_tolstring(L, -1, &size);
    (*items)[(*count)++] = text ? fl_value_new(text, size) : fl_value_new("null", 4);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return FL_OK;
}

static fl_code hook_call(const fl_flow *flow, fl_attempt *a, const fl_flow **sub, fl_value **params,
                         fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = begin(flow, a, "call", false);
  *sub = NULL;
  *params = NULL;
  fl_code rc = fl_lua_call(L, 4, 2, false, err);
  if (rc) return rc;
  const char *key = lua_tostring(L, -2);
  fl_flow *found = key ? fl_script_find_flow(script, key) : NULL;
  if (!found)
    rc = fl_fail(err, FL_E_SCRIPT, "call: there is no flow '%s' in this script", key ? key : "");
  char *json = fl_strdup(lua_tostring(L, -1) ? lua_tostring(L, -1) : "{}");
  lua_pop(L, 2);
  if (found) {
    *sub = found;
    found->script_store_id = flow->script_store_id;
    rc = fl_script_make_params(script, found, NULL, 0, json, params, err);
  }
  free(json);
  return rc;
}

const fl_hooks fl_script_hooks = {.when = hook_when,
                                  .command = hook_command,
                                  .collect = hook_collect,
                                  .retry_on = hook_retry_on,
                                  .merge = hook_merge,
                                  .expand = hook_expand,
                                  .call = hook_call,
                                  .definition = fl_script_describe_node,
                                  .advise = fl_script_advise};

fl_code fl_script_make_params(fl_script *script, const fl_flow *flow, const char *const *texts,
                              size_t count, const char *json, fl_value **out, fl_error *err) {
  lua_State *L = script->L;
  *out = NULL;
  fl_script_push_host(script, "params");
  lua_pushinteger(L, flow->index);
  if (count) {
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) lua_pushstring(L, texts[i]), lua_rawseti(L, -2, (int)i + 1);
  } else {
    lua_pushnil(L);
  }
  push_optional(L, json, json ? strlen(json) : 0);
  fl_code rc = fl_lua_call(L, 3, 1, false, err);
  if (rc) return fl_wrap(err, "params"), FL_E_USAGE;
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  *out = fl_value_new(text ? text : "{}", text ? size : 2);
  lua_pop(L, 1);
  return FL_OK;
}

fl_code fl_script_native_params(fl_attempt *a, fl_value **out, fl_error *err) {
  const fl_flow *flow = fl_run_get_flow(a->run);
  lua_State *L = begin(flow, a, "params_text", true);
  fl_code rc = fl_lua_call(L, 5, 1, false, err);
  return rc ? rc : take_value(L, out, err);
}
