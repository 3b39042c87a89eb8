// Merges what the rules of a flow say.
#include <stdlib.h>
#include "calendar/rule_internal.h"
#include "calendar/rules.h"

typedef struct rule_next {
  const fl_rule *rule;
  fl_fire fire; // the next one of it
  bool has_fire;
} rule_next;

struct fl_rules {
  size_t count;
  rule_next at[];
};

static fl_code ask(rule_next *r, int64_t from_s, fl_error *err) {
  fl_code code = fl_rule_next(r->rule, from_s, &r->fire, err);
  r->has_fire = code == FL_OK;
  return code == FL_E_NOT_FOUND ? FL_OK : code;
}

fl_code fl_rules_open(const fl_rule *const *rules, const int64_t *from_s, size_t count,
                      fl_rules **out, fl_error *err) {
  fl_rules *r = *out = fl_alloc_zero(1, sizeof *r + count * sizeof *r->at);
  fl_code code = FL_OK;
  r->count = count;
  for (size_t i = 0; i < count && code == FL_OK; i++) {
    r->at[i].rule = rules[i];
    code = ask(&r->at[i], from_s[i], err);
  }
  if (code == FL_OK) return FL_OK;
  fl_rules_close(r);
  *out = NULL;
  return code;
}

fl_code fl_rules_next(fl_rules *r, fl_fire *out, size_t *which, fl_error *err) {
  const rule_next *first = NULL;
  for (size_t i = 0; i < r->count; i++)
    if (r->at[i].has_fire && (!first || r->at[i].fire.at_s < first->fire.at_s)) first = &r->at[i];
  if (!first) return fl_fail(err, FL_E_NOT_FOUND, "no fire is left");
  *out = first->fire;
  *which = (size_t)(first - r->at);
  fl_code code = FL_OK;
  for (size_t i = 0; i < r->count && code == FL_OK; i++)
    if (r->at[i].has_fire && r->at[i].fire.at_s == out->at_s)
      code = ask(&r->at[i], out->at_s + 1, err);
  return code;
}

void fl_rules_close(fl_rules *r) {
  free(r);
}

fl_code fl_rules_find_interval(const fl_rule *const *rules, size_t count, int64_t at_s,
                               int64_t *from_s, int64_t *to_s, fl_error *err) {
  const fl_rule *latest = NULL;
  fl_fire fire = {.at_s = 0};
  for (size_t i = 0; i < count; i++) {
    fl_fire one;
    int64_t last_s = rules[i]->to_s < at_s ? rules[i]->to_s : at_s;
    fl_code code = fl_rule_find_before(rules[i], last_s + 1, &one, err);
    if (code != FL_OK && code != FL_E_NOT_FOUND) return code;
    bool fires = code == FL_OK && one.at_s >= rules[i]->from_s;
    if (!fires || (latest && one.at_s <= fire.at_s)) continue;
    latest = rules[i];
    fire = one;
  }
  if (!latest) return fl_fail(err, FL_E_NOT_FOUND, "no fire was before");
  return fl_rule_get_interval(latest, fire.at_s, from_s, to_s, err);
}
