// flow.core.graph: the graph as the language builds it. C elsewhere takes it out of a Lua value.
#pragma once
#include <lua.h>
#include "graph/graph.h"

int luaopen_flow_core_graph(lua_State *L);
/// The graph of the userdata at `index`, borrowed: it lives as long as the userdata. Raises a Lua
/// error when the value is something else.
fl_graph *fl_lua_to_graph(lua_State *L, int index);
