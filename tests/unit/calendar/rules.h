// Rules for tests, from one line each. Behind <cmocka.h>.
#pragma once
#include <stdlib.h>
#include <string.h>
#include "base/civil.h"
#include "calendar/rule.h"

// "cron=0 2 * * *; tz=Europe/Berlin; off=..."
static inline fl_code make_rule(const char *text, fl_rule **out, fl_error *err) {
  char *copy = strdup(text), *rest = copy, *item;
  fl_code code = FL_OK;
  *out = fl_rule_new();
  while (code == FL_OK && (item = strsep(&rest, ";"))) {
    item += strspn(item, " ");
    char *value = strchr(item, '=');
    *value++ = '\0';
    code = fl_rule_set(*out, item, value, err);
  }
  if (code == FL_OK) code = fl_rule_finish(*out, NULL, err);
  free(copy);
  return code;
}

static inline fl_rule *rule_of(const char *text) {
  fl_rule *rule;
  fl_error err;
  if (make_rule(text, &rule, &err) != FL_OK) fail_msg("%s: %s", text, err.message);
  return rule;
}

static inline int64_t instant(const char *text) {
  int64_t ms;
  if (!fl_time_parse(text, &ms)) fail_msg("%s", text);
  return fl_floor_div(ms, 1000);
}
