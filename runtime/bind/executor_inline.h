// Executes inline nodes and branches: coroutines on the engine's loop.
#pragma once
#include "bind/services.h"

typedef struct fl_inline fl_inline;
fl_inline *fl_inline_new(const fl_services *services); // services: borrowed
void fl_inline_free(fl_inline *e);
fl_executor fl_inline_get_executor(fl_inline *e);
