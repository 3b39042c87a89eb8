// Inline nodes: a coroutine each, resumed when what it waits for is there. Its end is reported as
// soon as its function returns.
#include <lauxlib.h>
#include "base/limits.h"
#include "executor/inline_internal.h"
#include "engine/scheduler.h"

fl_inline *fl_inline_new(const fl_services *services) {
  fl_inline *e = fl_alloc_zero(1, sizeof *e);
  e->services = services;
  return e;
}

void fl_inline_forget(fl_inline *e, fl_script *script) {
  if (!e->spare || e->spare->script != script) return;
  free(e->spare); // its coroutine goes with the state
  e->spare = NULL;
}

void fl_inline_free(fl_inline *e) {
  if (!e) return;
  for (fl_inline_task *t = e->tasks, *next; t; t = next) { // of an engine that could not end them
    next = t->next;
    fl_timer_close(t->timer);
    fl_log_sink_close(t->log);
    free(t); // its coroutine goes with the script
  }
  free(e->spare);
  free(e);
}

static fl_inline_task *task_new(fl_inline *e, fl_attempt *a) {
  fl_script *script = fl_attempt_get_flow(a)->script;
  fl_inline_task *t = e->spare;
  e->spare = NULL;
  if (t && t->script != script) {
    luaL_unref(t->script->L, LUA_REGISTRYINDEX, t->co_ref);
    free(t);
    t = NULL;
  }
  lua_State *co = t ? t->co : NULL;
  int ref = t ? t->co_ref : LUA_NOREF;
  if (!t) t = fl_alloc(sizeof *t);
  *t = (fl_inline_task){
      .owner = e, .next = e->tasks, .attempt = a, .script = script, .co = co, .co_ref = ref};
  if (t->next) t->next->prev = t;
  e->tasks = t;
  fl_attempt_set_data(a, t);
  return t;
}

// `reusable`: its coroutine ended well and can run another function.
static void task_free(fl_inline_task *t, bool reusable) {
  if (t->prev)
    t->prev->next = t->next;
  else
    t->owner->tasks = t->next;
  if (t->next) t->next->prev = t->prev;
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
  fl_attempt_set_data(a, NULL);
  if (t->log) {
    const char *path;
    int64_t offset, size, total;
    fl_log_sink_finish(t->log, &path, &offset, &size, &total, &disk_errno);
    o->log = (fl_log_place){.path = path, .offset = offset, .size = size, .total = total};
  }
  fl_log_sink *log = t->log;
  if (t->waiting) fl_attempt_forget(a, t);
  fl_attempt_end(a, o);
  fl_log_sink_close(log);
  task_free(t, reusable);
}

static void fail(fl_inline_task *t, fl_attempt_state state, const char *error) {
  finish(t, &(fl_outcome){.state = state, .exit_code = -1, .error = error}, false);
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

static void on_no_answer(void *ud) {
  fail(ud, FL_ATTEMPT_LOST, "interrupted");
}

// Whoever interrupted it may want the run to stop: that is heard first. Else it has come to no end,
// as if the engine had died, and is tried again.
static void wait_for_answer(fl_inline_task *t) {
  t->waiting = true;
  t->timer = fl_timer_open(t->owner->services->loop, on_no_answer, t);
  fl_timer_set(t->timer, 0);
}

// From one wait to the next. The choice of a branch is a hook, and has a hook's time.
void fl_inline_resume(fl_inline_task *t, int count) {
  fl_attempt *a = t->attempt;
  const fl_script_limits *limits = &t->script->limits;
  bool hook = fl_attempt_get_options(a)->kind == FL_KIND_BRANCH;
  fl_budget slice = {.L = t->script->L,
                     .path = t->script->path,
                     .flow = fl_attempt_get_flow(a)->key,
                     .node = fl_attempt_get_name(a),
                     .what = hook ? "choose" : NULL,
                     .limit_ms = hook ? limits->hook_ms : limits->inline_ms,
                     .memory_max = hook ? FL_HOOK_MEMORY_MAX : limits->inline_memory_max};
  fl_slice_clock clock;
  t->waiting = false;
  fl_attempt_begin_slice(a, &clock);
  fl_budget_begin(&slice);
  int rc = lua_resume(t->co, count);
  fl_budget_end(&slice);
  fl_attempt_end_slice(&clock);
  if (slice.held_ms > FL_BUDGET_LONG_MS)
    fl_run_notice(fl_attempt_get_run(a),
                  "%s: its code kept the engine for %.1f s: nothing else went on meanwhile",
                  slice.node, (double)slice.held_ms / 1000);
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
  fl_error why;
  fl_lua_error_text(t->co, -1, error, sizeof error);
  if (fl_budget_fail(&slice, &why)) snprintf(error, sizeof error, "%s", why.message);
  if (slice.why == FL_BUDGET_INTERRUPTED)
    wait_for_answer(t);
  else
    fail(t, FL_ATTEMPT_FAILED, error);
}

// Makes its coroutine, unless it has one, and pushes what it begins with.
static int l_prepare(lua_State *L) {
  fl_inline_task *t = lua_touserdata(L, 1);
  fl_attempt *a = t->attempt;
  if (!t->co) {
    t->co = lua_newthread(L);
    t->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_State *co = t->co;
  lua_rawgeti(co, LUA_REGISTRYINDEX, t->script->run_ref);
  fl_script_push_flow(co, fl_attempt_get_flow(a));
  lua_pushinteger(co, (lua_Integer)fl_attempt_get_graph_node(a));
  lua_pushboolean(co, fl_attempt_get_position(a) > 0);
  lua_pushlightuserdata(co, a);
  lua_rawgeti(co, LUA_REGISTRYINDEX, t->script->backend_ref);
  return 0;
}

static void inline_start(void *ud, fl_attempt *a) {
  fl_inline_task *t = task_new(ud, a);
  fl_error err;
  fl_attempt_arm_timeout(a);
  if (fl_lua_protect(t->script->L, l_prepare, t, &err))
    fail(t, FL_ATTEMPT_FAILED, err.message);
  else
    fl_inline_resume(t, 5);
}

void fl_inline_fail(fl_inline_task *t, const char *error) {
  fail(t, FL_ATTEMPT_FAILED, error);
}

void fl_inline_end_cancelled(fl_inline_task *t) {
  finish(t, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1}, false);
}

// A coroutine that waits can be dropped where it stands; its child is ended first.
static void inline_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  fl_inline *e = ud;
  fl_inline_task *t = fl_attempt_get_data(a);
  if (!t) return;
  t->cancelled = true;
  if (t->child) {
    t->dead = true;
    fl_processes_cancel_child(e->services->processes, t->child, grace_ms);
    return;
  }
  if (t->waiting) fl_inline_end_cancelled(t);
}

fl_executor fl_inline_get_executor(fl_inline *e) {
  return (fl_executor){.name = "inline",
                       .kinds = 1u << FL_KIND_INLINE | 1u << FL_KIND_BRANCH,
                       .records_with_end = true,
                       .start = inline_start,
                       .cancel = inline_cancel,
                       .ud = e};
}
