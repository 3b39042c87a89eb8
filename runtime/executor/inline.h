// Executes inline nodes and branches: coroutines on the engine's loop.
#pragma once
#include "bind/script.h"
#include "executor/process.h"

typedef struct fl_inline fl_inline;
fl_inline *fl_inline_new(const fl_services *services); // services: borrowed
void fl_inline_free(fl_inline *e);
fl_executor fl_inline_get_executor(fl_inline *e);
/// A script without runs is about to be closed.
void fl_inline_forget(fl_inline *e, fl_script *script);
/// Gives a script's state the functions behind ctx, for its inline nodes and its hooks. Once,
/// before any run of it.
FL_MUST fl_code fl_script_open_backend(fl_script *script, fl_error *err);
