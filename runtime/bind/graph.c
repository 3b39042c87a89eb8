// flow.core.graph: builds a graph from Lua. Wrong use raises; a graph that cannot be is `nil, err`.
//
// graph:options() takes a set of options as a list of values in the order of the module's
// `options`, which names the rows of FL_NODE_OPTIONS, and answers with a number for it: nodes with
// equal options are added by the same one. Enums are their numbers, which `kinds`, `triggers`,
// `merges` and `hooks` of the module give by name.
#include "bind/graph.h"
#include <lauxlib.h>
#include "base/id.h"
#include "base/limits.h"

#define GRAPH_TYPE "flow.core.graph"

typedef struct graph_box {
  fl_graph *graph;              // NULL once collected
  const fl_node_options **sets; // what options() was given, by number
  uint32_t set_count, set_capacity;
  bool frozen;
  bool linking;      // an edge was added: no more nodes
  uint32_t edge_max; // the last node that was given a parent
} graph_box;

static graph_box *check_graph(lua_State *L) {
  graph_box *box = luaL_checkudata(L, 1, GRAPH_TYPE);
  if (!box->graph) luaL_error(L, "the graph is closed");
  return box;
}

static graph_box *check_open(lua_State *L) {
  graph_box *box = check_graph(L);
  if (box->frozen) luaL_error(L, "the graph is frozen");
  return box;
}

static uint32_t check_node(lua_State *L, int arg, const graph_box *box) {
  lua_Number n = luaL_checknumber(L, arg);
  luaL_argcheck(L, n >= 0 && n < fl_graph_get_count(box->graph), arg, "no such node");
  return (uint32_t)n;
}

static const char *const option_names[] = {
#define NAME(type, name, min, max) #name,
    FL_NODE_OPTIONS(NAME)
#undef NAME
};
#define OPTION_COUNT (sizeof option_names / sizeof *option_names)

// Entry `i` of the list at `at`; a boolean counts as 0 or 1.
static lua_Number read_option(lua_State *L, int at, int i, lua_Number min, lua_Number max) {
  const char *name = option_names[i - 1];
  lua_rawgeti(L, at, i);
  if (!lua_isboolean(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "option %s: number expected, got %s", name, luaL_typename(L, -1));
  lua_Number n = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
  if (!(n >= min && n <= max)) luaL_error(L, "option %s is out of range", name);
  lua_pop(L, 1);
  return n;
}

static void read_options(lua_State *L, int at, fl_node_options *o) {
  luaL_checktype(L, at, LUA_TTABLE);
  luaL_argcheck(L, lua_objlen(L, at) == OPTION_COUNT, at, "not as many as there are options");
  memset(o, 0, sizeof *o);
  int i = 0;
#define READ(type, name, min, max) o->name = (type)read_option(L, at, ++i, min, max);
  FL_NODE_OPTIONS(READ)
#undef READ
}

static int push_error(lua_State *L, const fl_error *err) {
  lua_pushnil(L);
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, err->code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  return 2;
}

// new() -> graph
static int l_graph_new(lua_State *L) {
  graph_box *box = lua_newuserdata(L, sizeof *box);
  memset(box, 0, sizeof *box);
  luaL_getmetatable(L, GRAPH_TYPE);
  lua_setmetatable(L, -2);
  box->graph = fl_graph_new();
  return 1;
}

static int l_graph_gc(lua_State *L) {
  graph_box *box = luaL_checkudata(L, 1, GRAPH_TYPE);
  fl_graph_free(box->graph);
  free(box->sets);
  box->graph = NULL;
  box->sets = NULL;
  return 0;
}

// graph:options(type, values) -> number of the set
static int l_graph_options(lua_State *L) {
  graph_box *box = check_open(L);
  const char *type = luaL_checkstring(L, 2);
  fl_node_options options;
  read_options(L, 3, &options);
  options.type = type;
  if (box->set_count == box->set_capacity) {
    box->set_capacity = box->set_capacity ? box->set_capacity * 2 : 16;
    box->sets = fl_realloc(box->sets, box->set_capacity * sizeof *box->sets);
  }
  box->sets[box->set_count] = fl_graph_intern(box->graph, &options);
  lua_pushinteger(L, (lua_Integer)box->set_count++);
  return 1;
}

static const fl_node_options *check_set(lua_State *L, int arg, const graph_box *box) {
  lua_Number n = luaL_checknumber(L, arg);
  luaL_argcheck(L, n >= 0 && n < box->set_count, arg, "no such set of options");
  return box->sets[(uint32_t)n];
}

// graph:add(name, set) -> index | nil, err
static int l_graph_add(lua_State *L) {
  graph_box *box = check_open(L);
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, fl_name_valid(name, size), 2, "no valid name");
  luaL_argcheck(L, !box->linking, 2, "nodes come before edges");
  uint32_t index;
  fl_error err;
  if (fl_graph_add(box->graph, name, size, check_set(L, 3, box), &index, &err))
    return push_error(L, &err);
  lua_pushinteger(L, (lua_Integer)index);
  return 1;
}

// graph:inner(node, set): what the items of a map are
static int l_graph_inner(lua_State *L) {
  graph_box *box = check_open(L);
  uint32_t node = check_node(L, 2, box);
  fl_graph_set_inner(box->graph, node, check_set(L, 3, box));
  return 0;
}

static uint32_t check_parent(lua_State *L, int arg, const graph_box *box) {
  if (lua_type(L, arg) != LUA_TSTRING) return check_node(L, arg, box);
  size_t size;
  const char *name = lua_tolstring(L, arg, &size);
  uint32_t node = fl_graph_find(box->graph, name, size);
  luaL_argcheck(L, node != FL_NODE_NONE, arg, "no such node");
  return node;
}

// graph:after(node, parent): nodes in index order; the parent by index or name
static int l_graph_after(lua_State *L) {
  graph_box *box = check_open(L);
  uint32_t node = check_node(L, 2, box), parent = check_parent(L, 3, box);
  luaL_argcheck(L, !box->linking || node >= box->edge_max, 2, "edges come in the order of nodes");
  box->linking = true;
  box->edge_max = node;
  fl_graph_after(box->graph, node, parent);
  return 0;
}

// graph:freeze() -> true | nil, err
static int l_graph_freeze(lua_State *L) {
  graph_box *box = check_open(L);
  fl_error err;
  box->frozen = true;
  free(box->sets);
  box->sets = NULL;
  box->set_count = 0;
  if (fl_graph_freeze(box->graph, &err)) return push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_graph_count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)fl_graph_get_count(check_graph(L)->graph));
  return 1;
}

static int l_graph_name(lua_State *L) {
  graph_box *box = check_graph(L);
  lua_pushstring(L, fl_graph_get_name(box->graph, check_node(L, 2, box)));
  return 1;
}

// graph:type(node) -> name of its node type
static int l_graph_type(lua_State *L) {
  graph_box *box = check_graph(L);
  lua_pushstring(L, fl_graph_get_options(box->graph, check_node(L, 2, box))->type);
  return 1;
}

// graph:find(name) -> index | nil
static int l_graph_find(lua_State *L) {
  graph_box *box = check_graph(L);
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  uint32_t node = fl_graph_find(box->graph, name, size);
  if (node == FL_NODE_NONE) return lua_pushnil(L), 1;
  lua_pushinteger(L, (lua_Integer)node);
  return 1;
}

static int push_nodes(lua_State *L, const uint32_t *nodes, uint32_t count) {
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_pushinteger(L, (lua_Integer)nodes[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static graph_box *check_frozen(lua_State *L) {
  graph_box *box = check_graph(L);
  if (!box->frozen) luaL_error(L, "the graph is not frozen yet");
  return box;
}

// graph:parents(node), graph:children(node) -> list of indexes
static int l_graph_parents(lua_State *L) {
  graph_box *box = check_frozen(L);
  uint32_t count, node = check_node(L, 2, box);
  const uint32_t *parents = fl_graph_get_parents(box->graph, node, &count);
  return push_nodes(L, parents, count);
}

static int l_graph_children(lua_State *L) {
  graph_box *box = check_frozen(L);
  uint32_t count, node = check_node(L, 2, box);
  const uint32_t *children = fl_graph_get_children(box->graph, node, &count);
  return push_nodes(L, children, count);
}

fl_graph *fl_lua_to_graph(lua_State *L, int index) {
  graph_box *box = luaL_checkudata(L, index, GRAPH_TYPE);
  if (!box->graph) luaL_error(L, "the graph is closed");
  return box->graph;
}

// Sets field `name` of the table on top to a table of names to numbers 0..n-1.
static void set_names(lua_State *L, const char *name, const char *const *names, int count) {
  lua_createtable(L, 0, count);
  for (int i = 0; i < count; i++) {
    lua_pushinteger(L, i);
    lua_setfield(L, -2, names[i]);
  }
  lua_setfield(L, -2, name);
}

static void set_all_names(lua_State *L) {
  const char *kinds[FL_KIND_COUNT], *triggers[FL_TRIGGER_NONE_FAILED + 1];
  const char *hooks[FL_HOOK_EXIT + 1] = {"none"};
  static const char *const merges[] = {"error", "first", "last", "function"};
  for (int i = 0; i < FL_KIND_COUNT; i++) kinds[i] = fl_node_kind_text((fl_node_kind)i);
  for (int i = 0; i <= FL_TRIGGER_NONE_FAILED; i++) triggers[i] = fl_trigger_text((fl_trigger)i);
  for (int i = FL_HOOK_SUCCESS; i <= FL_HOOK_EXIT; i++) hooks[i] = fl_hook_text((fl_hook)i);
  set_names(L, "kinds", kinds, FL_KIND_COUNT);
  set_names(L, "triggers", triggers, FL_TRIGGER_NONE_FAILED + 1);
  set_names(L, "hooks", hooks, FL_HOOK_EXIT + 1);
  set_names(L, "merges", merges, FL_MERGE_FUNCTION + 1);
}

int luaopen_flow_core_graph(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"options", l_graph_options}, {"add", l_graph_add},           {"inner", l_graph_inner},
      {"after", l_graph_after},     {"freeze", l_graph_freeze},     {"count", l_graph_count},
      {"name", l_graph_name},       {"type", l_graph_type},         {"find", l_graph_find},
      {"parents", l_graph_parents}, {"children", l_graph_children}, {NULL, NULL},
  };
  luaL_newmetatable(L, GRAPH_TYPE);
  lua_pushcfunction(L, l_graph_gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  for (const luaL_Reg *m = methods; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_createtable(L, 0, 6);
  lua_pushcfunction(L, l_graph_new);
  lua_setfield(L, -2, "new");
  set_all_names(L);
  lua_createtable(L, OPTION_COUNT, 0);
  for (int i = 0; i < (int)OPTION_COUNT; i++) {
    lua_pushstring(L, option_names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "options");
  return 1;
}
