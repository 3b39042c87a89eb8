// What ctx does for inline nodes and hooks: plain answers at once, the rest by yielding.
#include <lauxlib.h>
#include "executor/inline_internal.h"
#include "bind/value.h"
#include "engine/scheduler.h"

static fl_attempt *check_attempt(lua_State *L) {
  return lua_touserdata(L, 1);
}

// The task of a running inline node; hooks have none.
static fl_inline_task *get_task(lua_State *L) {
  return fl_attempt_get_data(check_attempt(L));
}

static fl_inline_task *check_task(lua_State *L, const char *what) {
  fl_inline_task *t = get_task(L);
  if (!t) {
    luaL_error(L, "%s works only in a node's own code, not in a hook", what);
    return NULL; // never: luaL_error() does not come back, which nothing declares
  }
  if (t->co != L) luaL_error(L, "%s cannot wait here: in a coroutine that is not the node's", what);
  if (!lua_isyieldable(L))
    luaL_error(L,
               "%s cannot wait here: in what a function of C calls, as table.sort and "
               "string.gsub do",
               what);
  return t;
}

static int push_json(lua_State *L, const char *text, size_t size) {
  fl_error err;
  if (fl_lua_decode(L, text, size, &err)) return luaL_error(L, "%s", err.message);
  return 1;
}

static int push_buf(lua_State *L, fl_buf *text) {
  fl_error err;
  fl_code rc = fl_lua_decode(L, fl_buf_cstr(text), text->size, &err);
  fl_buf_deinit(text);
  return rc ? luaL_error(L, "%s", err.message) : 1;
}

// A var that was removed stands as null in the store; in Lua it is not there.
static int push_vars(lua_State *L, fl_attempt *a) {
  fl_value *vars = fl_attempt_get_vars(a);
  push_json(L, vars->text, vars->size);
  for (lua_pushnil(L); lua_next(L, -2);) {
    bool null = fl_lua_is_null(L, -1);
    lua_pop(L, 1);
    if (!null) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  return 1;
}

static int l_get(lua_State *L) {
  fl_attempt *a = check_attempt(L);
  const char *what = luaL_checkstring(L, 2);
  fl_buf text;
  fl_error err;
  if (!strcmp(what, "vars")) return push_vars(L, a);
  if (!strcmp(what, "params")) {
    fl_value *params = fl_attempt_get_params(a);
    return push_json(L, params->text, params->size);
  }
  if (!strcmp(what, "item"))
    return fl_attempt_get_item(a)
               ? push_json(L, fl_attempt_get_item(a)->text, fl_attempt_get_item(a)->size)
               : 0;
  if (!strcmp(what, "index")) return lua_pushinteger(L, (lua_Integer)fl_attempt_get_position(a)), 1;
  if (!strcmp(what, "node")) return lua_pushstring(L, fl_attempt_get_name(a)), 1;
  fl_buf_init(&text, FL_FRAME_SIZE_MAX);
  if (!strcmp(what, "run"))
    fl_attempt_write_run(a, &text);
  else if (!strcmp(what, "inputs")) {
    if (fl_attempt_write_inputs(a, &text, &err)) {
      fl_buf_deinit(&text);
      return luaL_error(L, "%s", err.message);
    }
  } else {
    return luaL_error(L, "unknown field '%s'", what);
  }
  return push_buf(L, &text);
}

static int l_log(lua_State *L) {
  fl_attempt *a = check_attempt(L);
  fl_inline_task *t = get_task(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  if (!t) {
    fl_run_notice(fl_attempt_get_run(a), "%s: %s", fl_attempt_get_name(a), text);
    return 0;
  }
  const fl_services *s = t->owner->services;
  if (!t->log) t->log = s->open_log(s->ud, a);
  if (t->log) fl_log_sink_write(t->log, text, size);
  if (t->log && (!size || text[size - 1] != '\n')) fl_log_sink_write(t->log, "\n", 1);
  return 0;
}

static int l_progress(lua_State *L) {
  double done = luaL_checknumber(L, 2), total = luaL_optnumber(L, 3, 0);
  const char *text = luaL_optstring(L, 4, NULL);
  fl_attempt_progress(check_attempt(L), done, total, text);
  return 0;
}

// Whether it is asked by the coroutine of the node itself, which only ctx may have wait.
static int l_owns(lua_State *L) {
  fl_inline_task *t = get_task(L);
  lua_pushboolean(L, t && t->co == L);
  return 1;
}

static int l_cancelled(lua_State *L) {
  fl_inline_task *t = get_task(L);
  lua_pushboolean(L, fl_attempt_is_ending(check_attempt(L)) || (t && t->cancelled));
  return 1;
}

// ------------------------------------------------------------------------------------- saving

static void on_durable(void *ud) {
  fl_inline_task *t = ud;
  if (t->waiting) fl_inline_resume(t, 0);
}

static int l_checkpoint(lua_State *L) {
  fl_inline_task *t = check_task(L, "ctx:checkpoint");
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  fl_value *v = fl_value_new(text, size);
  fl_attempt_checkpoint(t->attempt, v, on_durable, t);
  fl_value_unref(v);
  return lua_yield(L, 0);
}

static int l_restored(lua_State *L) {
  fl_value *v = NULL;
  fl_error err;
  if (fl_attempt_get_checkpoint(check_attempt(L), &v, &err))
    return luaL_error(L, "%s", err.message);
  if (!v) return 0;
  lua_pushlstring(L, v->text, v->size);
  fl_value_unref(v);
  return 1;
}

static int l_step_get(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  bool found = false;
  fl_value *v = NULL;
  fl_error err;
  if (fl_attempt_get_step(check_attempt(L), name, &found, &v, &err))
    return luaL_error(L, "%s", err.message);
  lua_pushboolean(L, found);
  if (!v) return 1;
  lua_pushlstring(L, v->text, v->size);
  fl_value_unref(v);
  return 2;
}

static int l_step_put(lua_State *L) {
  fl_inline_task *t = check_task(L, "ctx:step");
  const char *name = luaL_checkstring(L, 2);
  size_t size = 0;
  const char *text = luaL_optlstring(L, 3, NULL, &size);
  fl_value *v = text ? fl_value_new(text, size) : NULL;
  fl_attempt_put_step(t->attempt, name, v, on_durable, t);
  fl_value_unref(v);
  return lua_yield(L, 0);
}

// ctx:now, ctx:random, ctx:uuid: what was given is kept with the attempt, as [kind, value] pairs.
static int l_record(lua_State *L) {
  fl_attempt *a = check_attempt(L);
  const char *kind = luaL_checkstring(L, 2), *json = luaL_checkstring(L, 3);
  fl_attempt_record(a, kind, json, strlen(json));
  return 0;
}

static int l_replay(lua_State *L) {
  fl_attempt *a = check_attempt(L);
  const char *kind = luaL_checkstring(L, 2);
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  bool found = fl_recorded_take(fl_attempt_get_recorded(a), kind, &text);
  lua_pushboolean(L, found);
  if (found) lua_pushlstring(L, text.data, text.size);
  fl_buf_deinit(&text);
  return found ? 2 : 1;
}

// ------------------------------------------------------------------------------------- waiting

static void on_timer(void *ud) {
  fl_inline_task *t = ud;
  fl_timer_close(t->timer);
  t->timer = NULL;
  fl_inline_resume(t, 0);
}

static int l_sleep(lua_State *L) {
  fl_inline_task *t = check_task(L, "ctx:sleep");
  double seconds = luaL_checknumber(L, 2);
  t->timer = fl_timer_open(t->owner->services->loop, on_timer, t);
  fl_timer_set(t->timer, seconds > 0 ? (int64_t)(seconds * 1000) : 0);
  return lua_yield(L, 0);
}

static void set_text(lua_State *L, const char *key, const char *text, size_t size) {
  if (!text) return;
  lua_pushlstring(L, text, size);
  lua_setfield(L, -2, key);
}

typedef struct child_end {
  lua_State *co;
  const fl_child_result *result;
} child_end;

static int l_push_child(lua_State *L) {
  const child_end *end = lua_touserdata(L, 1);
  const fl_child_result *r = end->result;
  lua_State *co = end->co;
  lua_newtable(co);
  set_text(co, "status", r->status, strlen(r->status));
  set_text(co, "stdout", r->stdout_data, r->stdout_size);
  set_text(co, "stderr_tail", r->tail, r->tail_size);
  if (r->error) set_text(co, "error", r->error, strlen(r->error));
  if (r->exit_code >= 0) lua_pushinteger(co, r->exit_code), lua_setfield(co, -2, "code");
  if (r->signal) lua_pushinteger(co, r->signal), lua_setfield(co, -2, "signal");
  return 0;
}

static void on_child(void *ud, const fl_child_result *r) {
  fl_inline_task *t = ud;
  fl_error err;
  t->child = NULL;
  if (t->dead)
    fl_inline_end_cancelled(t);
  else if (fl_lua_protect(t->script->L, l_push_child, &(child_end){t->co, r}, &err))
    fl_inline_fail(t, err.message);
  else
    fl_inline_resume(t, 1);
}

static int l_exec(lua_State *L) {
  fl_inline_task *t = check_task(L, "ctx:exec");
  const fl_services *s = t->owner->services;
  fl_error err;
  luaL_checktype(L, 2, LUA_TTABLE);
  fl_command *command = fl_lua_to_command(L, 2);
  t->child = fl_processes_start_child(s->processes, t->attempt, command, on_child, t, &err);
  if (!t->child) return luaL_error(L, "%s", err.message);
  return lua_yield(L, 0);
}

static const luaL_Reg backend[] = {
    {"cancelled", l_cancelled},
    {"checkpoint", l_checkpoint},
    {"exec", l_exec},
    {"get", l_get},
    {"log", l_log},
    {"owns", l_owns},
    {"progress", l_progress},
    {"record", l_record},
    {"replay", l_replay},
    {"restored", l_restored},
    {"sleep", l_sleep},
    {"step_get", l_step_get},
    {"step_put", l_step_put},
    {NULL, NULL},
};

static int l_open_backend(lua_State *L) {
  fl_script *script = lua_touserdata(L, 1);
  lua_newtable(L);
  for (const luaL_Reg *r = backend; r->name; r++) {
    lua_pushcfunction(L, r->func);
    lua_setfield(L, -2, r->name);
  }
  script->backend_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

fl_code fl_script_open_backend(fl_script *script, fl_error *err) {
  return fl_lua_protect(script->L, l_open_backend, script, err);
}
