// Loading: runs flow.loader in a new state and takes the flows and the snapshot out of what it
// gives.
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <luajit.h>
#include <sys/stat.h>
#include "bind/calendar.h"
#include "bind/graph.h"
#include "bind/script_state.h"
#include "bind/value.h"

#define LARGE_KB    32768   // of Lua memory: some 150,000 nodes
#define NOTICES_MAX 1048576 // bytes of what is told of a script
#define LARGE_PAUSE 140     // percent of what stays, at which the next collection begins
// Percent of what is allocated that a collection looks at meanwhile: with LuaJIT's 200 as much as
// stays comes again before it is through.
#define LARGE_STEPS 1000

// ------------------------------------------------------------------------------------- reading
// flows

static int64_t field_int(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  int64_t v = (int64_t)lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

static char *field_text(lua_State *L, const char *name, const char *otherwise) {
  lua_getfield(L, -1, name);
  const char *text = lua_tostring(L, -1);
  char *copy = fl_strdup(text ? text : otherwise);
  lua_pop(L, 1);
  return copy;
}

static void read_pools(lua_State *L, fl_flow *flow) {
  lua_getfield(L, -1, "pools");
  uint32_t count = lua_istable(L, -1) ? (uint32_t)lua_objlen(L, -1) : 0;
  fl_flow_pool *pools = fl_alloc_zero(count + 1, sizeof *pools);
  for (uint32_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    pools[i].name = field_text(L, "name", "");
    pools[i].capacity = (uint32_t)field_int(L, "capacity");
    lua_pop(L, 1);
  }
  flow->pools = pools;
  flow->pool_count = count;
  lua_pop(L, 1);
}

// The script's table keeps them alive.
static void read_rules(lua_State *L, const fl_script *script, const fl_flow *flow,
                       fl_script_rules *rules) {
  lua_getfield(L, -1, "rules");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  rules->at = fl_alloc_zero(count + 1, sizeof *rules->at);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    lua_getfield(L, -1, "rule");
    rules->at[i].rule = fl_lua_to_rule(L, -1);
    fl_lua_limit_rule(L, -1, script->path, flow->key, script->limits.hook_ms);
    lua_pop(L, 1);
    rules->at[i].name = field_text(L, "name", "");
    rules->count++;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void read_flow(lua_State *L, fl_script *script, fl_flow *flow, int index) {
  flow->hooks = &fl_script_hooks;
  flow->script = script;
  flow->index = index;
  flow->version = script->version;
  flow->language = script->snapshot.language;
  flow->key = field_text(L, "key", "");
  lua_getfield(L, -1, "graph");
  flow->graph = fl_lua_to_graph(L, -1);
  lua_pop(L, 1);
  lua_getfield(L, -1, "info");
  flow->zone = field_text(L, "tz", "UTC");
  flow->timeout_ms = field_int(L, "timeout_ms");
  flow->run_count_max = (uint32_t)field_int(L, "max_runs");
  flow->depth_max = (uint32_t)field_int(L, "max_depth");
  flow->has_adviser = field_int(L, "has_adviser") != 0;
  char *policy = field_text(L, "policy", "finish");
  flow->policy = strcmp(policy, "stop") ? FL_POLICY_FINISH : FL_POLICY_STOP;
  free(policy);
  char *durability = field_text(L, "durability", "");
  flow->durability = !strcmp(durability, "group")  ? FL_DURABILITY_GROUP
                     : !strcmp(durability, "full") ? FL_DURABILITY_FULL
                                                   : FL_DURABILITY_DEFAULT;
  free(durability);
  char *vars = field_text(L, "vars_json", "{}");
  flow->vars = fl_value_new(vars, strlen(vars));
  free(vars);
  read_pools(L, flow);
  read_rules(L, script, flow, &script->rules[index - 1]);
  lua_pop(L, 1);
}

static void read_sources(lua_State *L, fl_script *script) {
  lua_getfield(L, -1, "sources");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  fl_snapshot *s = &script->snapshot;
  s->sources = fl_alloc_zero(count + 1, sizeof *s->sources);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    lua_getfield(L, -1, "data");
    size_t size;
    const char *data = lua_tolstring(L, -1, &size);
    s->sources[s->count++] = (fl_source){.data = fl_strndup(data ? data : "", size), .size = size};
    lua_pop(L, 1);
    s->sources[i].path = field_text(L, "path", "");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void read_remarks(lua_State *L, fl_script *script) {
  lua_getfield(L, -1, "missed");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  script->missed = fl_alloc_zero(count + 1, sizeof *script->missed);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    script->missed[i] = fl_strdup(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_getfield(L, -1, "notices");
  fl_buf text;
  fl_buf_init(&text, NOTICES_MAX);
  count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    fl_buf_addf(&text, "%s%s", i ? "\n" : "", lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  script->notices = fl_strdup(fl_buf_cstr(&text));
  fl_buf_deinit(&text);
  lua_pop(L, 1);
  lua_getfield(L, -1, "shareable");
  script->shareable = lua_toboolean(L, -1);
  lua_pop(L, 1);
}

// In: the script table. May raise (a flow without a graph would be a bug of the language).
static int l_take(lua_State *L) {
  fl_script *script = lua_touserdata(L, 1);
  char hex[2 * FL_DIGEST_SIZE + 1];
  lua_pushvalue(L, 2);
  read_sources(L, script);
  read_remarks(L, script);
  fl_snapshot_digest(&script->snapshot);
  fl_digest_hex(script->snapshot.digest, hex);
  snprintf(script->version, sizeof script->version, "sha256:%s", hex);
  lua_getfield(L, -1, "returned");
  script->returned_count = (size_t)lua_tonumber(L, -1);
  lua_pop(L, 1);
  lua_getfield(L, -1, "flows");
  size_t count = lua_objlen(L, -1);
  script->flows = fl_alloc_zero(count + 1, sizeof *script->flows);
  script->rules = fl_alloc_zero(count + 1, sizeof *script->rules);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    script->flows[script->flow_count++] = fl_alloc_zero(1, sizeof(fl_flow));
    read_flow(L, script, script->flows[i], (int)i + 1);
    lua_pop(L, 1);
  }
  script->flows_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "flow.host");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "run");
  script->run_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 2);
  script->script_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  // What a script of many nodes made on the way is to go before they run, and what their code
  // leaves behind before there is as much of it as of the script.
  if (lua_gc(L, LUA_GCCOUNT, 0) > LARGE_KB) {
    lua_gc(L, LUA_GCSETPAUSE, LARGE_PAUSE);
    lua_gc(L, LUA_GCSETSTEPMUL, LARGE_STEPS);
    lua_gc(L, LUA_GCCOLLECT, 0);
  }
  return 0;
}

// ------------------------------------------------------------------------------------- loading

typedef struct loading {
  const fl_script_config *config;
  fl_script *script;
  const char *dir, *name;
} loading;

static void push_options(lua_State *L, const loading *l) {
  const fl_script_config *c = l->config;
  lua_newtable(L);
  lua_pushstring(L, c->path), lua_setfield(L, -2, "path");
  lua_pushstring(L, l->dir), lua_setfield(L, -2, "dir");
  lua_pushstring(L, l->name), lua_setfield(L, -2, "name");
  lua_pushboolean(L, c->worker), lua_setfield(L, -2, "worker");
  lua_pushnumber(L, l->script->snapshot.language), lua_setfield(L, -2, "language");
  lua_pushstring(L, c->overrides), lua_setfield(L, -2, "overrides");
  lua_newtable(L);
  for (int i = 0; i < c->argc; i++) lua_pushstring(L, c->argv[i]), lua_rawseti(L, -2, i + 1);
  lua_setfield(L, -2, "args");
  lua_newtable(L);
  for (size_t i = 0; i < c->native_count; i++)
    lua_pushstring(L, c->natives[i]), lua_rawseti(L, -2, (int)i + 1);
  lua_setfield(L, -2, "natives");
  if (!c->snapshot) return;
  lua_newtable(L);
  for (size_t i = 0; i < c->snapshot->count; i++) {
    lua_pushlstring(L, c->snapshot->sources[i].data, c->snapshot->sources[i].size);
    lua_setfield(L, -2, c->snapshot->sources[i].path);
  }
  lua_setfield(L, -2, "sources");
}

static int l_load(lua_State *L) {
  loading *l = lua_touserdata(L, 1);
  // The language's own modules run once and stay: neither traces of them nor a look for garbage is
  // worth its time, which is half of a short command's.
  lua_gc(L, LUA_GCSTOP, 0);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "flow.loader");
  lua_call(L, 1, 1);
  if (fl_budget_may_compile()) luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
  lua_gc(L, LUA_GCRESTART, -1);
  lua_getfield(L, -1, "load");
  push_options(L, l);
  lua_call(L, 1, 1);
  lua_pushcfunction(L, l_take);
  lua_pushlightuserdata(L, l->script);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 0);
  return 0;
}

static fl_code resolve(const fl_script_config *c, char dir[PATH_MAX], char name[NAME_MAX + 1],
                       fl_error *err) {
  char full[PATH_MAX];
  struct stat st;
  if (c->snapshot) {
    snprintf(dir, PATH_MAX, "%s", c->snapshot->dir);
    snprintf(name, NAME_MAX + 1, "%s", c->snapshot->sources[0].path);
    return FL_OK;
  }
  if (!realpath(c->path, full) || stat(full, &st))
    return fl_fail_errno(err, FL_E_NOT_FOUND, errno, "cannot read '%s'", c->path);
  if (!S_ISREG(st.st_mode)) return fl_fail(err, FL_E_NOT_FOUND, "'%s' is not a file", c->path);
  char *slash = strrchr(full, '/');
  snprintf(name, NAME_MAX + 1, "%s", slash + 1);
  *slash = 0;
  snprintf(dir, PATH_MAX, "%s", *full ? full : "/");
  return FL_OK;
}

fl_code fl_script_open(const fl_script_config *config, fl_script **out, fl_error *err) {
  char dir[PATH_MAX], name[NAME_MAX + 1];
  *out = NULL;
  fl_code rc = resolve(config, dir, name, err);
  if (rc) return rc;
  fl_script *script = fl_alloc_zero(1, sizeof *script);
  script->path = fl_strdup(config->path);
  script->overrides = config->overrides ? fl_strdup(config->overrides) : NULL;
  script->backend_ref = LUA_NOREF;
  script->snapshot.dir = fl_strdup(dir);
  script->snapshot.language = config->snapshot ? config->snapshot->language : FL_LANGUAGE;
  rc = fl_lua_new_state(config->lua_dir, &script->L, err);
  if (rc) goto out;
  script->limits = config->limits;
  loading l = {.config = config, .script = script, .dir = dir, .name = name};
  fl_budget slice = {.L = script->L,
                     .path = config->path,
                     .what = "loading",
                     .limit_ms = config->limits.load_ms,
                     .memory_max = config->limits.load_ms ? FL_LOAD_MEMORY_MAX : 0};
  rc = fl_budget_call(&slice, l_load, &l, err);
out:
  if (rc)
    fl_script_close(script);
  else
    *out = script;
  return rc;
}

void fl_script_close(fl_script *script) {
  if (!script) return;
  for (size_t i = 0; i < script->flow_count; i++) {
    fl_flow *f = script->flows[i];
    for (uint32_t p = 0; p < f->pool_count; p++) free((char *)f->pools[p].name);
    free((void *)f->pools);
    free((char *)f->key);
    free((char *)f->zone);
    fl_value_unref(f->vars);
    for (size_t r = 0; r < script->rules[i].count; r++) free(script->rules[i].at[r].name);
    free(script->rules[i].at);
    free(f);
  }
  fl_lua_close_state(script->L);
  for (char **name = script->missed; name && *name; name++) free(*name);
  free(script->missed);
  free(script->notices);
  fl_snapshot_deinit(&script->snapshot);
  free(script->flows);
  free(script->rules);
  free(script->path);
  free(script->overrides);
  free(script);
}

size_t fl_script_count_flows(const fl_script *script) {
  return script->flow_count;
}
size_t fl_script_count_returned(const fl_script *script) {
  return script->returned_count;
}
fl_flow *fl_script_get_flow(fl_script *script, size_t index) {
  return script->flows[index];
}
fl_snapshot *fl_script_get_snapshot(fl_script *script) {
  return &script->snapshot;
}
const char *fl_script_get_overrides(const fl_script *script) {
  return script->overrides;
}
const fl_script_rule *fl_script_get_rules(const fl_script *script, const fl_flow *flow,
                                          size_t *count) {
  *count = script->rules[flow->index - 1].count;
  return script->rules[flow->index - 1].at;
}
const char *fl_script_get_path(const fl_script *script) {
  return script->path;
}

fl_flow *fl_script_find_flow(fl_script *script, const char *key) {
  for (size_t i = 0; i < script->flow_count; i++)
    if (!strcmp(script->flows[i]->key, key)) return script->flows[i];
  return NULL;
}

// ------------------------------------------------------------------------------------- users

void fl_script_ref(fl_script *script) {
  if (!script->users++ && script->changed) script->changed(script->changed_ud, true);
}

void fl_script_unref(fl_script *script) {
  FL_ASSERT(script->users);
  if (!--script->users && script->changed) script->changed(script->changed_ud, false);
}

void fl_script_watch(fl_script *script, void (*changed)(void *ud, bool used), void *ud) {
  script->changed = changed;
  script->changed_ud = ud;
}

bool fl_script_is_shareable(const fl_script *script) {
  return script->shareable;
}
const char *fl_script_list_notices(const fl_script *script) {
  return script->notices;
}
const char *const *fl_script_get_missed(const fl_script *script) {
  return (const char *const *)script->missed;
}
void **fl_script_get_workers(fl_script *script) {
  return &script->workers;
}

#define NODE_SIZE 200 // of a node in a graph: its name, its edges

size_t fl_script_get_size(fl_script *script) {
  size_t size = fl_lua_get_size(script->L);
  for (size_t i = 0; i < script->snapshot.count; i++) size += script->snapshot.sources[i].size;
  for (size_t i = 0; i < script->flow_count; i++)
    size += (size_t)fl_graph_get_count(script->flows[i]->graph) * NODE_SIZE;
  return size;
}

// ------------------------------------------------------------------------------------- for callers
// in C

void fl_script_push_host(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "flow.host");
  lua_getfield(L, -1, name);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void fl_script_push_flow(lua_State *L, const fl_flow *flow) {
  const fl_script *script = flow->script;
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->flows_ref);
  lua_rawgeti(L, -1, flow->index);
  lua_remove(L, -2);
}
