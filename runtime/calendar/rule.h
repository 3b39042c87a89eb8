// A rule says at which instants a flow fires: flow.cron and flow.every, with their options.
//
// Pure: what a rule says depends on what was set here, on the data of its zone and on its calendar.
// Seconds since 1970 are instants; seconds since 1970-01-01 00:00 of the rule's zone are local
// times; both are int64_t and named so.
#pragma once
#include "base/zone.h"

typedef struct fl_rule fl_rule;

/// Why a fire is not where its local time says. One rule: the first that holds.
typedef enum {
  FL_FIRE_PLAIN,
  FL_FIRE_GAP,     // its local time does not exist: at the end of the gap
  FL_FIRE_FOLD,    // its local time occurs twice
  FL_FIRE_SHIFTED, // of a day that does not work, to one that does
} fl_fire_note;

typedef struct fl_fire {
  int64_t at_s;    // the instant
  int64_t named_s; // the local time that the rule names; its day, when it was shifted
  fl_fire_note note;
} fl_fire;

/// "gap", "fold", "shifted", NULL for a plain one.
const char *fl_fire_note_name(fl_fire_note note);

/// Whether people work on a day. `day`: days since 1970-01-01. 1 yes, 0 no, -1: it cannot be told,
/// and `err` is filled.
typedef int fl_works_fn(void *ud, int64_t day, fl_error *err);

/// A rule that is nothing yet, in UTC.
fl_rule *fl_rule_new(void);
void fl_rule_free(fl_rule *rule);
/// Sets one option from its text, as a script has it; the options that may be lists are added to.
/// Names: cron; every ("2"), unit (minute hour day week month), at ("08:00"), on ("mon", "31",
/// "last"); tz, from, to; calendar.days ("mon-fri"), calendar.off, calendar.on ("2026-12-25");
/// off_day, gap, fold, interval; jitter. FL_E_USAGE: what was expected and got, without the name.
FL_MUST fl_code fl_rule_set(fl_rule *rule, const char *name, const char *value, fl_error *err);
/// Asked for each day, instead of calendar.days and its dates. NULL: no more.
void fl_rule_set_works(fl_rule *rule, fl_works_fn *works, void *ud);
/// To be called once all is set, before anything is asked. Fails with FL_E_USAGE when two options
/// do not go together, and `*option` (may be NULL) is the one to look at, static.
FL_MUST fl_code fl_rule_finish(fl_rule *rule, const char **option, fl_error *err);

/// The rule as people write it: "0 2 * * *", "every 2 weeks on mon, thu at 08:00". Owned by `rule`.
const char *fl_rule_get_text(const fl_rule *rule);
const char *fl_rule_get_zone(const fl_rule *rule);
/// Whether fl_rule_get_delay_ms() may be other than 0.
bool fl_rule_has_jitter(const fl_rule *rule);

/// The first fire at or after `from_s` that is effective. FL_E_NOT_FOUND: there is none in the 50
/// years behind `from_s`. Else what its calendar failed with.
FL_MUST fl_code fl_rule_next(const fl_rule *rule, int64_t from_s, fl_fire *out, fl_error *err);
/// The last fire before `before_s`, of the 50 years before it. Whether it is effective (`from`,
/// `to`) is not asked: intervals leave no hole.
FL_MUST fl_code fl_rule_find_before(const fl_rule *rule, int64_t before_s, fl_fire *out,
                                    fl_error *err);
/// The interval of the run that fires at `at_s`: from the fire before this one, or to the one
/// behind it. Where there is none it is empty.
FL_MUST fl_code fl_rule_get_interval(const fl_rule *rule, int64_t at_s, int64_t *from_s,
                                     int64_t *to_s, fl_error *err);
/// How much later than `at_s` a run starts by the rule's jitter: drawn from what names the fire, so
/// always the same, and less than the time to the next fire. `store_id` and `flow`: texts; `name`
/// that of the rule.
FL_MUST fl_code fl_rule_get_delay_ms(const fl_rule *rule, const char *store_id, const char *flow,
                                     const char *name, int64_t at_s, int64_t *out, fl_error *err);
/// Whether it can be: FL_E_USAGE for a rule that fires at no instant in the 50 years from `now_s`
/// (or its `from`), or whose calendar has no working day in the 60 days from then.
FL_MUST fl_code fl_rule_check(const fl_rule *rule, int64_t now_s, fl_error *err);
