// The one door from C into Lua.
#pragma once
#include <lua.h>
#include <stdbool.h>
#include "base/err.h"

/// Calls the function below its `arg_count` arguments with `result_count` results. On an error the
/// stack is as before the function was pushed, and `err` holds FL_E_SCRIPT with the message: a
/// string that was raised as it is, anything else as text. `trace`: append a short traceback.
FL_MUST fl_code fl_lua_call(lua_State *L, int arg_count, int result_count, bool trace,
                            fl_error *err);
/// Calls `fn` with `ud` (a light userdata) as its only argument, without a result. All that it
/// pushes is protected, too: nothing of it can end the process for want of memory. On an error
/// `err` holds FL_E_SCRIPT with the message.
FL_MUST fl_code fl_lua_protect(lua_State *L, lua_CFunction fn, void *ud, fl_error *err);
/// Text of the value at `index` for an error message, at most FL_ERROR_TEXT_MAX bytes; never
/// raises.
void fl_lua_error_text(lua_State *L, int index, char *out, size_t size);
