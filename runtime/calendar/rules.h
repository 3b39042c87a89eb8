// The rules of one flow together: an instant that several name is that of the one declared first.
#pragma once
#include <stddef.h>
#include "calendar/rule.h"

typedef struct fl_rules fl_rules;

/// Begins a list of fires of `count` rules, in order of declaration, each at or after its instant
/// in `from_s`. The rules are borrowed. Errors: a calendar's.
FL_MUST fl_code fl_rules_open(const fl_rule *const *rules, const int64_t *from_s, size_t count,
                              fl_rules **out, fl_error *err);
/// The next fire, and whose it is. FL_E_NOT_FOUND: none is left.
FL_MUST fl_code fl_rules_next(fl_rules *r, fl_fire *out, size_t *which, fl_error *err);
void fl_rules_close(fl_rules *r); // NULL-safe
/// The interval of the latest effective fire at or before `at_s`. FL_E_NOT_FOUND: there is none.
FL_MUST fl_code fl_rules_find_interval(const fl_rule *const *rules, size_t count, int64_t at_s,
                                       int64_t *from_s, int64_t *to_s, fl_error *err);
