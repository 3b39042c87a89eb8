// What ctx does in a worker: answers from the task's message, or asks the engine and waits.
//
// Functions raise only when nothing is held: messages lie in buffers of the process, not of the
// call.
#include <errno.h>
#include <lauxlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "bind/value.h"
#include "executor/worker_self_internal.h"

#define LOG_DELAY_MS      100
#define PROGRESS_EVERY_NS 100000000ll

static fl_worker_self *get_self(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}
static fl_worker_job *check_job(lua_State *L) {
  return lua_touserdata(L, 1);
}

// Without a place: the language says which line of the user's code it was.
static _Noreturn void raise_text(lua_State *L, const char *text) {
  lua_pushstring(L, text);
  lua_error(L);
  abort();
}

static void push_json(lua_State *L, const char *text, size_t size) {
  fl_error err;
  if (fl_lua_decode(L, text, size, &err)) raise_text(L, err.message);
}

static fl_wire_in await(lua_State *L, size_t begin) {
  fl_wire_in in;
  fl_error err;
  if (fl_worker_await(get_self(L), begin, &in, &err)) raise_text(L, err.message);
  return in;
}

// ------------------------------------------------------------------------------------- reading

// Asks for a value; NULL when there is none.
static const char *ask_value(lua_State *L, fl_worker_field field, const char *step, bool *found,
                             size_t *size) {
  fl_worker_self *self = get_self(L);
  size_t begin = fl_worker_ask(self, check_job(L), FL_WORKER_GET);
  fl_wire_put_u8(&self->frame, (uint8_t)field);
  fl_wire_put_text(&self->frame, step);
  fl_wire_in in = await(L, begin);
  *found = fl_wire_get_u8(&in);
  return fl_wire_get_bytes(&in, size);
}

static bool push_field(lua_State *L, fl_worker_field field) {
  fl_worker_job *job = check_job(L);
  const char *text = NULL;
  size_t size = 0;
  bool found;
  switch (job->order.fields[field].where) {
  case FL_WHERE_NONE: break;
  case FL_WHERE_HERE:
    text = job->order.fields[field].text;
    size = job->order.fields[field].size;
    break;
  case FL_WHERE_SHARED:
    text = job->shared[field]->text;
    size = job->shared[field]->size;
    break;
  case FL_WHERE_ASK: text = ask_value(L, field, NULL, &found, &size); break;
  }
  if (text) push_json(L, text, size);
  return text;
}

// A var that was removed stands as null in the store; in Lua it is not there.
static void drop_nulls(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2);) {
    bool null = fl_lua_is_null(L, -1);
    lua_pop(L, 1);
    if (!null) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
}

static int l_get(lua_State *L) {
  static const char *const names[] = {"run",  "params", "vars", "inputs",
                                      "item", "index",  "node", NULL};
  const fl_worker_order *order = &check_job(L)->order;
  int what = luaL_checkoption(L, 2, NULL, names);
  if (what == FL_FIELD_TASK_COUNT) return lua_pushinteger(L, (lua_Integer)order->position), 1;
  if (what > FL_FIELD_TASK_COUNT) {
    return lua_pushstring(L, order->name ? order->name : order->node_name), 1;
  }
  if (!push_field(L, (fl_worker_field)what)) return 0;
  if (what == FL_FIELD_VARS) drop_nulls(L);
  return 1;
}

static int l_restored(lua_State *L) {
  bool found;
  size_t size;
  const char *text = ask_value(L, FL_FIELD_RESTORED, NULL, &found, &size);
  if (!text) return 0;
  lua_pushlstring(L, text, size);
  return 1;
}

static int l_step_get(lua_State *L) {
  bool found;
  size_t size;
  const char *text = ask_value(L, FL_FIELD_STEP, luaL_checkstring(L, 2), &found, &size);
  lua_pushboolean(L, found);
  if (!text) return 1;
  lua_pushlstring(L, text, size);
  return 2;
}

// ------------------------------------------------------------------------------------- telling

static int l_log(lua_State *L) {
  fl_worker_self *self = get_self(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  size_t begin = fl_worker_frame_begin(self, check_job(L), FL_WORKER_LOG);
  bool whole = size && text[size - 1] == '\n';
  // As fl_wire_put_bytes() does, with the end of the line where it is missing.
  fl_wire_put_u32(&self->frame, (uint32_t)(size + !whole));
  fl_buf_add(&self->frame, text, size);
  if (!whole) fl_buf_add_char(&self->frame, '\n');
  fl_buf_add_char(&self->frame, '\0');
  if (!fl_worker_frame_say(self, begin, LOG_DELAY_MS))
    raise_text(L, "the text is too large for the log");
  return 0;
}

void fl_worker_tell_progress(fl_worker_self *self, fl_worker_job *job) {
  uint64_t bits[2];
  if (!job->progress_kept) return;
  job->progress_kept = false;
  memcpy(&bits[0], &job->progress_done, sizeof bits[0]);
  memcpy(&bits[1], &job->progress_total, sizeof bits[1]);
  size_t begin = fl_worker_frame_begin(self, job, FL_WORKER_PROGRESS);
  fl_wire_put_u64(&self->frame, bits[0]);
  fl_wire_put_u64(&self->frame, bits[1]);
  fl_wire_put_text(&self->frame, job->progress_text);
  if (!fl_worker_frame_say(self, begin, LOG_DELAY_MS)) fl_buf_reset(&self->frame);
}

// A loop may tell of every round: what is newer than a tenth of a second waits for the next.
static int l_progress(lua_State *L) {
  fl_worker_job *job = check_job(L);
  double done = luaL_checknumber(L, 2), total = luaL_optnumber(L, 3, 0);
  const char *text = luaL_optstring(L, 4, NULL);
  int64_t now = fl_worker_now_ns();
  free(job->progress_text);
  job->progress_text = text ? fl_strndup(text, strnlen(text, FL_ERROR_TEXT_MAX)) : NULL;
  job->progress_done = done;
  job->progress_total = total;
  job->progress_kept = true;
  if (job->progress_ns && now - job->progress_ns < PROGRESS_EVERY_NS) return 0;
  job->progress_ns = now;
  fl_worker_tell_progress(get_self(L), job);
  return 0;
}

static bool is_cancelled(lua_State *L) {
  const fl_worker_order *order = &check_job(L)->order;
  return fl_slot_is_cancelled(&get_self(L)->page->slots[order->slot], order->generation);
}

// The kernel ends a worker that computes for longer, in whole seconds, as it ends a process.
static void limit_cpu(fl_worker_job *job, double seconds) {
  struct rusage used;
  struct rlimit limit;
  if (getrusage(RUSAGE_SELF, &used) || getrlimit(RLIMIT_CPU, &limit)) return;
  job->cpu_before = limit.rlim_cur;
  double spent = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  rlim_t end = (rlim_t)(spent + seconds) + 1;
  if (end >= limit.rlim_cur) return;
  limit.rlim_cur = end;
  job->cpu_limited = setrlimit(RLIMIT_CPU, &limit) == 0;
}

void fl_worker_end_limits(fl_worker_job *job) {
  struct rlimit limit;
  if (job->slice.L) fl_budget_end(&job->slice);
  if (!job->cpu_limited || getrlimit(RLIMIT_CPU, &limit)) return;
  limit.rlim_cur = job->cpu_before;
  (void)!setrlimit(RLIMIT_CPU, &limit);
}

// limit(task, flow, node, memory, cpu_time): from here on to the end of the job. 0: none.
static int l_limit(lua_State *L) {
  fl_worker_job *job = check_job(L);
  const fl_script *script = get_self(L)->script;
  snprintf(job->slice_flow, sizeof job->slice_flow, "%s", luaL_checkstring(L, 2));
  snprintf(job->slice_node, sizeof job->slice_node, "%s", luaL_checkstring(L, 3));
  int64_t memory_max = (int64_t)luaL_checknumber(L, 4);
  double cpu_s = luaL_checknumber(L, 5);
  if (cpu_s > 0) limit_cpu(job, cpu_s);
  if (memory_max <= 0) return 0;
  job->slice = (fl_budget){.L = script->L,
                           .path = script->path,
                           .flow = job->slice_flow,
                           .node = job->slice_node,
                           .memory_max = memory_max};
  fl_budget_begin(&job->slice);
  return 0;
}

static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, is_cancelled(L));
  return 1;
}

// ------------------------------------------------------------------------------------- saving

static int save(lua_State *L, const char *step, int json_index) {
  fl_worker_self *self = get_self(L);
  size_t size = 0;
  const char *text = luaL_optlstring(L, json_index, NULL, &size);
  fl_worker_tell_progress(self, check_job(L));
  size_t begin = fl_worker_ask(self, check_job(L), FL_WORKER_SAVE);
  fl_wire_put_text(&self->frame, step);
  fl_wire_put_bytes(&self->frame, text, size);
  await(L, begin);
  return 0;
}

static int l_checkpoint(lua_State *L) {
  luaL_checkstring(L, 2);
  return save(L, NULL, 2);
}

static int l_step_put(lua_State *L) {
  return save(L, luaL_checkstring(L, 2), 3);
}

static int l_record(lua_State *L) {
  fl_worker_self *self = get_self(L);
  size_t size;
  const char *kind = luaL_checkstring(L, 2), *json = luaL_checklstring(L, 3, &size);
  size_t begin = fl_worker_frame_begin(self, check_job(L), FL_WORKER_RECORD);
  fl_wire_put_text(&self->frame, kind);
  fl_wire_put_bytes(&self->frame, json, size);
  if (!fl_worker_frame_say(self, begin, LOG_DELAY_MS)) raise_text(L, "the value is too large");
  return 0;
}

// Once, when it is asked for the first time.
static void fetch_recorded(lua_State *L, fl_worker_job *job) {
  bool found;
  size_t size;
  fl_error err;
  json_t *list = NULL;
  const char *text = ask_value(L, FL_FIELD_RECORDED, NULL, &found, &size);
  if (!text || fl_json_parse(text, size, &list, &err)) list = json_array();
  fl_recorded_init(&job->recorded, list);
}

static int l_replay(lua_State *L) {
  fl_worker_self *self = get_self(L);
  fl_worker_job *job = check_job(L);
  const char *kind = luaL_checkstring(L, 2);
  if (job->order.has_recorded && !job->recorded.list) fetch_recorded(L, job);
  fl_buf_reset(&self->frame);
  bool found = fl_recorded_take(&job->recorded, kind, &self->frame);
  lua_pushboolean(L, found);
  if (found) lua_pushlstring(L, self->frame.data, self->frame.size);
  fl_buf_reset(&self->frame);
  return found ? 2 : 1;
}

// ------------------------------------------------------------------------------------- waiting

static int l_sleep(lua_State *L) {
  fl_worker_self *self = get_self(L);
  double seconds = luaL_checknumber(L, 2);
  if (!(seconds > 0)) return 0;
  if (seconds > 1e9) seconds = 1e9; // 30 years, and no overflow
  int64_t until = fl_worker_now_ns() + (int64_t)(seconds * 1e9);
  fl_worker_tell_progress(self, check_job(L));
  fl_worker_out_flush(self->out);
  for (;;) {
    // To go on as if the time were over could do harm: the code ends here.
    if (is_cancelled(L)) raise_text(L, "cancelled");
    int64_t left = until - fl_worker_now_ns();
    if (left <= 0) return 0;
    fl_worker_wait(self, (left + 999999) / 1000000);
  }
}

static void push_result(lua_State *L, fl_wire_in *in) {
  static const char *const texts[] = {"status", "error", "stdout", "stderr_tail"};
  int code = fl_wire_get_i32(in), signal = fl_wire_get_i32(in);
  lua_newtable(L);
  if (code >= 0) lua_pushinteger(L, code), lua_setfield(L, -2, "code");
  if (signal) lua_pushinteger(L, signal), lua_setfield(L, -2, "signal");
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    size_t size;
    const char *text = fl_wire_get_bytes(in, &size);
    if (!text) continue;
    lua_pushlstring(L, text, size);
    lua_setfield(L, -2, texts[i]);
  }
}

static int l_exec(lua_State *L) {
  fl_worker_self *self = get_self(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  fl_worker_tell_progress(self, check_job(L));
  size_t begin = fl_worker_ask(self, check_job(L), FL_WORKER_EXEC);
  fl_command *command = fl_lua_to_command(L, 2);
  fl_worker_put_command(&self->frame, command);
  fl_command_free(command);
  fl_wire_in in = await(L, begin);
  push_result(L, &in);
  return 1;
}

// Goes to a folder; returns why not.
static int l_enter(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  fl_error err;
  if (!chdir(path)) return 0;
  (void)!fl_fail_errno(&err, FL_E_SYSTEM, errno, "cannot go to the folder '%s'", path);
  lua_pushstring(L, err.message);
  return 1;
}

void fl_worker_open_backend(fl_worker_self *self) {
  static const luaL_Reg functions[] = {
      {"cancelled", l_cancelled},
      {"checkpoint", l_checkpoint},
      {"enter", l_enter},
      {"exec", l_exec},
      {"get", l_get},
      {"limit", l_limit},
      {"log", l_log},
      {"progress", l_progress},
      {"record", l_record},
      {"replay", l_replay},
      {"restored", l_restored},
      {"sleep", l_sleep},
      {"step_get", l_step_get},
      {"step_put", l_step_put},
  };
  lua_State *L = self->script->L;
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushlightuserdata(L, self);
    lua_pushcclosure(L, functions[i].func, 1);
    lua_setfield(L, -2, functions[i].name);
  }
  self->backend_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
