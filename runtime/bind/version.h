// The version of the Lua inside.
#pragma once

/// "LuaJIT 2.1.0-beta3".
const char *fl_lua_version_text(void);
