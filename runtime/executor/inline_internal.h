// An inline node while it runs, shared by its executor and its backend. Private to this folder.
#pragma once
#include "executor/inline.h"
#include "bind/script_state.h"

typedef struct fl_inline_task {
  fl_inline *owner;
  struct fl_inline_task *next, *prev; // of those that have not ended
  fl_attempt *attempt;
  fl_script *script;
  lua_State *co;
  int co_ref;
  fl_timer *timer; // ctx:sleep
  void *child;     // ctx:exec
  bool waiting;    // has yielded
  bool cancelled;  // ctx:cancelled()
  bool dead;       // its end was reported while its child still ends
  int64_t began_us;
  fl_log_sink *log;
} fl_inline_task;

struct fl_inline {
  const fl_services *services;
  fl_inline_task *tasks;
  fl_inline_task *spare; // finished ones keep their coroutine for the next of the same script
};

/// Goes on with `count` values that stand on the coroutine's stack.
void fl_inline_resume(fl_inline_task *t, int count);
/// Reports that it failed where it waited.
void fl_inline_fail(fl_inline_task *t, const char *error);
/// Reports a cancelled end, once its child has ended.
void fl_inline_end_cancelled(fl_inline_task *t);
