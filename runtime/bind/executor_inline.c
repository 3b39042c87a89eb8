// Inline nodes: a coroutine each, resumed when what it waits for is there. Its end is reported as
// soon as its function returns.
#include <lauxlib.h>
#include "bind/inline_internal.h"
#include "engine/scheduler.h"

fl_inline *fl_inline_new(const fl_services *services) {
  fl_inline *e = fl_alloc_zero(1, sizeof *e);
  e->services = services;
  return e;
}

void fl_inline_free(fl_inline *e) {
  if (!e) return;
  free(e->spare);
  free(e);
}

static fl_inline_task *task_new(fl_inline *e, fl_attempt *a) {
  fl_script *script = fl_run_get_flow(a->run)->script;
  fl_inline_task *t = e->spare;
  e->spare = NULL;
  if (t && t->script != script) {
    luaL_unref(t->script->L, LUA_REGISTRYINDEX, t->co_ref);
    free(t);
    t = NULL;
  }
  lua_State *co = t ? t->co : NULL;
  int ref = t ? t->co_ref : LUA_NOREF;
  if (!t) {
    t = fl_alloc(sizeof *t);
    co = lua_newthread(script->L);
    ref = luaL_ref(script->L, LUA_REGISTRYINDEX);
  }
  *t = (fl_inline_task){.owner = e, .attempt = a, .script = script, .co = co, .co_ref = ref};
  a->executor_data = t;
  return t;
}

// `reusable`: its coroutine ended well and can run another function.
static void task_free(fl_inline_task *t, bool reusable) {
  fl_timer_close(t->timer);
  if (reusable && !t->owner->spare) {
    t->timer = NULL;
    t->owner->spare = t;
    return;
  }
  luaL_unref(t->script->L, LUA_REGISTRYINDEX, t->co_ref);
  free(t);
}

static void finish(fl_inline_task *t, fl_outcome *o, bool reusable) {
  fl_attempt *a = t->attempt;
  int disk_errno;
  a->executor_data = NULL;
  if (t->log) {
    const char *path;
    int64_t offset, size, total;
    fl_log_sink_finish(t->log, &path, &offset, &size, &total, &disk_errno);
    o->log = (fl_log_place){.path = path, .offset = offset, .size = size, .total = total};
  }
  fl_log_sink *log = t->log;
  if (t->waiting) fl_scheduler_forget(a->scheduler, t);
  fl_attempt_end(a, o);
  fl_log_sink_close(log);
  task_free(t, reusable);
}

static fl_value *value_at(lua_State *co, int index) {
  size_t size;
  const char *text = lua_type(co, index) == LUA_TSTRING ? lua_tolstring(co, index, &size) : NULL;
  return text && strcmp(text, "null") ? fl_value_new(text, size) : NULL;
}

// host.run returned: status, outputs, vars, error, retry.
static void finish_returned(fl_inline_task *t) {
  lua_State *co = t->co;
  lua_settop(co, 5);
  const char *status = lua_tostring(co, 1);
  char error[FL_ERROR_TEXT_MAX];
  snprintf(error, sizeof error, "%s", lua_tostring(co, 4) ? lua_tostring(co, 4) : "");
  fl_outcome o = {.exit_code = -1, .error = *error ? error : NULL};
  o.state = !status                        ? FL_ATTEMPT_FAILED
            : !strcmp(status, "succeeded") ? FL_ATTEMPT_SUCCEEDED
            : !strcmp(status, "skipped")   ? FL_ATTEMPT_SKIPPED
                                           : FL_ATTEMPT_FAILED;
  o.no_retry = lua_type(co, 5) == LUA_TBOOLEAN && !lua_toboolean(co, 5);
  o.outputs = value_at(co, 2);
  o.vars = value_at(co, 3);
  fl_value *outputs = o.outputs, *vars = o.vars;
  lua_settop(co, 0);
  finish(t, &o, true);
  fl_value_unref(outputs);
  fl_value_unref(vars);
}

void fl_inline_resume(fl_inline_task *t, int count) {
  t->waiting = false;
  int rc = lua_resume(t->co, count);
  if (rc == LUA_YIELD) {
    t->waiting = true;
    fl_attempt_started(t->attempt, 0, 0);
    return;
  }
  if (rc == 0) {
    finish_returned(t);
    return;
  }
  char error[FL_ERROR_TEXT_MAX];
  fl_lua_error_text(t->co, -1, error, sizeof error);
  finish(t, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = error}, false);
}

static void inline_start(void *ud, fl_attempt *a) {
  fl_inline_task *t = task_new(ud, a);
  lua_State *co = t->co;
  fl_attempt_arm_timeout(a);
  lua_rawgeti(co, LUA_REGISTRYINDEX, t->script->run_ref);
  lua_pushinteger(co, fl_run_get_flow(a->run)->index);
  lua_pushinteger(co, (lua_Integer)fl_attempt_get_graph_node(a));
  lua_pushboolean(co, fl_attempt_get_position(a) > 0);
  lua_pushlightuserdata(co, a);
  lua_rawgeti(co, LUA_REGISTRYINDEX, t->script->backend_ref);
  fl_inline_resume(t, 5);
}

void fl_inline_end_cancelled(fl_inline_task *t) {
  finish(t, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1}, false);
}

// A coroutine that waits can be dropped where it stands; its child is ended first.
static void inline_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  fl_inline *e = ud;
  fl_inline_task *t = a->executor_data;
  if (!t) return;
  t->cancelled = true;
  if (t->child) {
    t->dead = true;
    e->services->cancel_child(e->services->ud, t->child, grace_ms);
    return;
  }
  if (t->waiting) fl_inline_end_cancelled(t);
}

fl_executor fl_inline_get_executor(fl_inline *e) {
  return (fl_executor){.start = inline_start, .cancel = inline_cancel, .ud = e};
}
