// How C functions of Lua modules report: wrong use raises and names the argument, a failure of the
// world returns `nil, err`. Also the checkers of arguments, which all word it alike.
#pragma once
#include <lua.h>
#include "base/buf.h"

/// Pushes {code=, message=}, whose tostring() is the message.
void fl_lua_push_error(lua_State *L, const fl_error *err);
/// Pushes nil and the error; returns 2, for `return fl_lua_fail(L, &err)`.
int fl_lua_fail(lua_State *L, const fl_error *err);
/// The same for a system call: "text: No such file or directory (ENOENT)", `err.errno` = "ENOENT".
int fl_lua_fail_errno(lua_State *L, int errnum, const char *fmt, ...) FL_PRINTF(3, 4);

// `what` is the function and its argument, "fs.read: path", and starts the message of what is
// raised: "script.lua:3: fs.read: path: expected a string, got nil".

_Noreturn void fl_lua_raise_type(lua_State *L, int arg, const char *what, const char *expected);
/// A string; a number is taken as its text.
const char *fl_lua_check_text(lua_State *L, int arg, const char *what, size_t *size);
/// A string without NUL in it, for the system.
const char *fl_lua_check_cstr(lua_State *L, int arg, const char *what);
const char *fl_lua_opt_cstr(lua_State *L, int arg, const char *what, const char *otherwise);
double fl_lua_check_number(lua_State *L, int arg, const char *what);
/// A whole number of at most 2^53.
int64_t fl_lua_check_int(lua_State *L, int arg, const char *what);
int64_t fl_lua_opt_int(lua_State *L, int arg, const char *what, int64_t otherwise);
/// A number of seconds or "5m", as milliseconds.
int64_t fl_lua_check_duration(lua_State *L, int arg, const char *what);

/// Raises unless `arg` is nil, none, or a table with no other text keys than `names` (NULL at the
/// end): an unknown one is named together with the nearest known.
void fl_lua_check_options(lua_State *L, int arg, const char *what, const char *const names[]);
/// Pushes option `name` (nil when there are no options); returns false for nil.
bool fl_lua_get_option(lua_State *L, int arg, const char *name);
bool fl_lua_opt_flag(lua_State *L, int arg, const char *what, const char *name, bool otherwise);

/// Pushes an empty buffer that the garbage collector frees. Whoever may raise between making and
/// using bytes keeps them in one.
fl_buf *fl_lua_push_buf(lua_State *L, size_t size_max);
