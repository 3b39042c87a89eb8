// A thread that looks, while code of a script holds the engine's, for how long it has: so that
// somebody hears of it though the engine itself cannot say anything. It sleeps when no code runs.
#pragma once
#include "bind/budget.h"

typedef struct fl_watchdog fl_watchdog;

/// `tell(ud, text)` is called on its thread, once for a slice of a flow's code that has lasted for
/// FL_BUDGET_LONG_MS and goes on. FL_E_SYSTEM.
FL_MUST fl_code fl_watchdog_open(void (*tell)(void *ud, const char *text), void *ud,
                                 fl_watchdog **out, fl_error *err);
/// Returns when nothing more is told. NULL-safe.
void fl_watchdog_close(fl_watchdog *w);
/// Slices of the calling thread are watched by it from now on; NULL: by nobody.
void fl_watchdog_use(fl_watchdog *w);
/// A slice of the calling thread begins, or goes on (NULL: it is in none).
void fl_watchdog_see(const fl_budget *slice);
