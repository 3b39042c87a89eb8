// Executes Lua nodes in worker processes: `flowlua --worker`, kept warm, a few tasks queued ahead.
#pragma once
#include "bind/script.h"
#include "executor/process.h"

typedef struct fl_worker_pool fl_worker_pool;
fl_worker_pool *fl_worker_pool_new(const fl_services *services); // services: borrowed
void fl_worker_pool_free(fl_worker_pool *pool);
fl_executor fl_worker_pool_get_executor(fl_worker_pool *pool);
/// A script without runs is about to be closed: what the pool has of it goes, workers too.
void fl_worker_pool_forget(fl_worker_pool *pool, fl_script *script);
/// Waits some microseconds (FL_LINGER_NS) for the worker whose wish to save was just answered, if
/// it is the only one with tasks. True: it has said something, and was heard.
bool fl_worker_pool_linger(fl_worker_pool *pool);
/// `flowlua --worker`: serves tasks from descriptor 3 until it is closed. Returns the exit code.
int fl_worker_main(int argc, char **argv);
