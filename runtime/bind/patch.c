// Patches as the language sees them: built from what was typed, read or proposed, checked, and
// proposed by a flow itself.
#include "bind/script_internal.h"
#include "bind/value.h"
#include <lauxlib.h>

// The text on the top of the stack as a value; popped.
static fl_value *take_text(lua_State *L) {
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  fl_value *v = fl_value_new(text ? text : "{}", text ? size : 2);
  lua_pop(L, 1);
  return v;
}

fl_code fl_script_read_patch(fl_script *script, const char *request, fl_value **out,
                             fl_error *err) {
  lua_State *L = script->L;
  *out = NULL;
  fl_script_push_host(script, "read_patch");
  lua_pushstring(L, request);
  if (fl_lua_call(L, 1, 1, false, err)) return err->code = FL_E_USAGE;
  *out = take_text(L);
  return FL_OK;
}

fl_code fl_script_build_patch(fl_script *script, const fl_flow *flow, const char *request,
                              const char *found, fl_value **out, fl_error *err) {
  lua_State *L = script->L;
  *out = NULL;
  fl_script_push_host(script, "build_patch");
  lua_pushinteger(L, flow->index);
  lua_pushstring(L, request);
  lua_pushstring(L, found);
  if (fl_lua_call(L, 3, 1, false, err)) return err->code = FL_E_USAGE;
  *out = take_text(L);
  return FL_OK;
}

fl_code fl_script_split_patch(fl_script *script, const char *patch, fl_value **out, fl_error *err) {
  lua_State *L = script->L;
  *out = NULL;
  fl_script_push_host(script, "split_patch");
  lua_pushstring(L, patch);
  if (fl_lua_call(L, 1, 1, false, err)) return err->code = FL_E_USAGE;
  *out = take_text(L);
  return FL_OK;
}

fl_code fl_script_check_patch(fl_script *script, const fl_flow *flow, const fl_flow *before,
                              const char *patch, fl_error *err) {
  lua_State *L = script->L;
  uint32_t count = fl_graph_get_count(before->graph);
  fl_script_push_host(script, "check_patch");
  lua_pushinteger(L, flow->index);
  lua_pushstring(L, patch);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_pushstring(L, fl_graph_get_name(before->graph, i));
    lua_rawseti(L, -2, (int)i + 1);
  }
  if (fl_lua_call(L, 3, 0, false, err)) return err->code = FL_E_USAGE;
  return FL_OK;
}

fl_code fl_script_patch_params(fl_script *script, const fl_flow *flow, const char *old,
                               const char *changes, fl_value **out, fl_error *err) {
  lua_State *L = script->L;
  *out = NULL;
  fl_script_push_host(script, "patch_params");
  lua_pushinteger(L, flow->index);
  lua_pushstring(L, old);
  lua_pushstring(L, changes); // NULL: nil
  if (fl_lua_call(L, 3, 1, false, err)) return err->code = FL_E_USAGE;
  *out = take_text(L);
  return FL_OK;
}

fl_code fl_script_describe_options(const fl_flow *flow, uint32_t node, fl_value **out,
                                   fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  *out = NULL;
  fl_script_push_host(script, "definition_parts");
  lua_pushinteger(L, flow->index);
  lua_pushinteger(L, (lua_Integer)node);
  fl_code rc = fl_lua_call(L, 2, 1, false, err);
  if (!rc) *out = take_text(L);
  return rc;
}

fl_code fl_script_describe_node(const fl_flow *flow, uint32_t node, fl_buf *out, fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  size_t size;
  fl_script_push_host(script, "definition");
  lua_pushinteger(L, flow->index);
  lua_pushinteger(L, (lua_Integer)node);
  fl_code rc = fl_lua_call(L, 2, 1, false, err);
  if (rc) return rc;
  const char *text = lua_tolstring(L, -1, &size);
  fl_buf_add(out, text ? text : "", text ? size : 0);
  lua_pop(L, 1);
  return FL_OK;
}

static char *dup_text(lua_State *L, int index) {
  const char *text = lua_tostring(L, index);
  return text ? fl_strdup(text) : NULL;
}

fl_code fl_script_advise(const fl_flow *flow, const char *breakpoint, const char *within,
                         fl_advice *out, fl_error *err) {
  fl_script *script = flow->script;
  lua_State *L = script->L;
  *out = (fl_advice){0};
  fl_script_push_host(script, "advise");
  lua_pushinteger(L, flow->index);
  lua_pushstring(L, breakpoint);
  lua_pushstring(L, within);
  fl_code rc = fl_lua_call(L, 3, 4, false, err);
  if (rc) return rc;
  out->automatic_max = (uint32_t)lua_tonumber(L, -1);
  out->reason = dup_text(L, -2);
  out->origin = dup_text(L, -3);
  lua_pop(L, 3);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    out->patch = take_text(L);
  return FL_OK;
}
