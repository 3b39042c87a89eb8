// The part of fs that looks at the text of paths only: join, dirname, basename, ext, absolute, cwd.
#pragma once
#include <lua.h>

/// Sets the functions in the table at the top of the stack.
void fl_lua_add_path_functions(lua_State *L);
