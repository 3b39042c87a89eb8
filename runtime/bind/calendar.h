// Rules of a script, in C.
#pragma once
#include <lua.h>
#include "calendar/rule.h"

/// The rule at `index`, a userdata of flow.core.calendar. It lives as long as that; a
/// calendar that is a function is asked in `L`. Raises when it is none.
fl_rule *fl_lua_to_rule(lua_State *L, int index);
/// From now on each call of its calendar, when that is a function, is a slice of at most `limit_ms`
/// of `flow` in the script `path`; both are borrowed.
void fl_lua_limit_rule(lua_State *L, int index, const char *path, const char *flow,
                       uint32_t limit_ms);
