// Executes Lua nodes in worker processes: `flowlua --worker`, kept warm, a few tasks queued ahead.
#pragma once
#include "bind/services.h"

typedef struct fl_worker_pool fl_worker_pool;
fl_worker_pool *fl_worker_pool_new(const fl_services *services); // services: borrowed
void fl_worker_pool_free(fl_worker_pool *pool);
fl_executor fl_worker_pool_get_executor(fl_worker_pool *pool);
/// The supervisor reports the end of a child with id.run "": one of the workers.
void fl_worker_pool_exited(fl_worker_pool *pool, const fl_child_exit *exit);
/// What worker `child` runs, or ran when it was to end; NULL: nothing.
fl_attempt *fl_worker_pool_find_attempt(fl_worker_pool *pool, uint32_t child);
/// Waits some microseconds (FL_LINGER_NS) for the worker whose wish to save was just answered, if
/// it is the only one with tasks. True: it has said something, and was heard.
bool fl_worker_pool_linger(fl_worker_pool *pool);
/// `flowlua --worker`: serves tasks from descriptor 3 until it is closed. Returns the exit code.
int fl_worker_main(int argc, char **argv);
