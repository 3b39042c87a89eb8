// A slice: one call of a script's code on the engine's thread, from its start to its return or its
// next wait. It has a budget of time and memory, and whoever holds the thread for long is named.
//
// How code that does not return is stopped. Where the process is ours (fl_budgets_own_process()), a
// timer of the thread's own CPU time ticks while it works: at the end of the budget the handler
// arms a hook that raises before each instruction, so that no pcall() keeps it, and has compiled
// code look for it. Elsewhere no signal is ours: code with a limit runs without the JIT, and a hook
// counts its instructions. One call of a C function is one instruction.
#pragma once
#include <lua.h>
#include "base/err.h"

typedef enum fl_budget_end_reason {
  FL_BUDGET_RETURNED,
  FL_BUDGET_TOO_LONG,
  FL_BUDGET_TOO_LARGE,
  FL_BUDGET_INTERRUPTED,
} fl_budget_end_reason;

/// On the caller's stack; fill in what stands first.
typedef struct fl_budget {
  lua_State *L;                   // its main state
  const char *path;               // of the script, for messages
  const char *flow, *node, *what; // whose code: "when"; NULL where it is not of a flow, a node
  uint32_t limit_ms;              // of CPU time of the thread; 0: none
  int64_t memory_max;             // bytes beyond twice what its state has; 0: none
  // Filled in.
  struct fl_budget *outer;
  fl_budget_end_reason why;
  int64_t began_us, held_ms; // held_ms: when it has ended
  int64_t cpu_us;            // of the thread when it began; where there are no ticks
  volatile uint32_t ticks;
  uint32_t interrupts;
  volatile bool stopping, profiled;
  uint32_t interrupted_ms; // ticks had come so far when it was asked to end
  char place[256];         // "file:line" where it was stopped, or ""
} fl_budget;

#define FL_BUDGET_LONG_MS 1000 // whoever holds the thread for longer is named

/// The process is ours, and so are SIGVTALRM and SIGPROF: code keeps its JIT. For the calling
/// thread; before any state is opened in it.
void fl_budgets_own_process(void);
/// Whoever holds the thread for another half second is stopped. From a signal handler, too.
void fl_budgets_interrupt(void);

/// A state that slices may limit; lua_newstate() of LuaJIT with its allocations counted. NULL: no
/// memory. fl_lua_close_state().
lua_State *fl_lua_open_state(void);
void fl_lua_close_state(lua_State *L); // NULL-safe
/// Bytes that the state has now.
size_t fl_lua_get_size(lua_State *L);

/// Lua: a handler for xpcall() -> one that does not keep a slice from being stopped.
int fl_budget_guard(lua_State *L);

void fl_budget_begin(fl_budget *s);
void fl_budget_end(fl_budget *s);
/// Whether what runs now may be compiled.
bool fl_budget_may_compile(void);
/// A slice that was stopped: FL_E_SCRIPT (FL_E_STATE: interrupted) with who, where and why. One
/// that returned: FL_OK, and `err` stays.
fl_code fl_budget_fail(const fl_budget *s, fl_error *err);
/// Calls `body` with `question` (a light userdata) protected, within the slice.
FL_MUST fl_code fl_budget_call(fl_budget *s, lua_CFunction body, void *question, fl_error *err);
