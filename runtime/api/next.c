// When flows fire next, for people: fl_script_next(), fl_next_of_rule().
#include "api/engine.h"
#include "base/civil.h"
#include "base/json.h"
#include "calendar/rules.h"

#define COUNT_MAX 100000

// An instant, or local time in `zone` where `text` names none.
static fl_code read_time(const char *text, const char *zone, int64_t *ms, fl_error *err) {
  int64_t at[2];
  if (!fl_time_parse(text, ms))
    return fl_fail(err, FL_E_USAGE,
                   "expected a time such as 2026-01-31 or 2026-01-31T08:00:00Z, got \"%.100s\"",
                   text);
  const char *time = text + strcspn(text, "Tt ");
  if (strpbrk(time, "Zz+-")) return FL_OK;
  int64_t local_s = fl_floor_div(*ms, 1000);
  fl_zone_find(zone, local_s, at);
  *ms += (at[0] - local_s) * 1000;
  return FL_OK;
}

static fl_code read_from(const char *text, const char *zone, int64_t *from_s, fl_error *err) {
  int64_t ms = fl_wall_ms();
  fl_code code = text ? read_time(text, zone, &ms, err) : FL_OK;
  *from_s = fl_floor_div(ms + 999, 1000);
  return code;
}

fl_code fl_script_parse_time(fl_script *handle, const char *key, const char *text, int64_t *wall_ms,
                             fl_error *err) {
  fl_script *script;
  fl_flow *flow;
  fl_code code = fl_scripts_get(handle, &script, NULL, err);
  if (code == FL_OK) code = fl_script_choose_flow(script, key, &flow, err);
  return code == FL_OK ? read_time(text, flow->zone, wall_ms, err) : code;
}

static void add_local(fl_buf *out, int64_t local_s, bool with_date) {
  int64_t day = fl_floor_div(local_s, FL_DAY_S), year;
  int month, mday, s = (int)(local_s - day * FL_DAY_S);
  fl_civil_from_days(day, &year, &month, &mday);
  if (with_date) fl_buf_addf(out, "%04lld-%02d-%02dT", (long long)year, month, mday);
  fl_buf_addf(out, "%02d:%02d", s / 3600, s / 60 % 60);
  if (with_date || s % 60) fl_buf_addf(out, ":%02d", s % 60);
}

// Why it fires when it does, in words.
static void add_text(fl_buf *out, const fl_rule *rule, const fl_fire *fire) {
  char date[FL_TIME_TEXT_SIZE];
  int64_t at[2];
  switch (fire->note) {
  case FL_FIRE_PLAIN: fl_buf_add_str(out, "null"); return;
  case FL_FIRE_GAP:
    fl_buf_add_char(out, '"');
    add_local(out, fire->named_s, false);
    fl_buf_add_str(out, " does not exist: at the end of the gap\"");
    return;
  case FL_FIRE_FOLD:
    fl_zone_find(fl_rule_get_zone(rule), fire->named_s, at);
    fl_buf_add_char(out, '"');
    add_local(out, fire->named_s, false);
    fl_buf_addf(out, " occurs twice: the %s time\"", fire->at_s == at[0] ? "first" : "second");
    return;
  case FL_FIRE_SHIFTED:
    fl_zone_date(fire->named_s * 1000, NULL, date);
    fl_buf_addf(out, "\"of %s, which does not work\"", date);
    return;
  }
}

static void add_time(fl_buf *out, const char *key, int64_t at_s) {
  char text[FL_TIME_TEXT_SIZE];
  fl_time_format(at_s * 1000, text);
  fl_buf_addf(out, ",\"%s\":\"%s\"", key, text);
}

static fl_code add_fire(fl_buf *out, const char *flow, const fl_script_rule *r, const fl_fire *fire,
                        fl_error *err) {
  int64_t at_s = fire->at_s, from_s, to_s;
  const char *zone = fl_rule_get_zone(r->rule), *note = fl_fire_note_name(fire->note);
  int32_t offset = fl_zone_get_offset(zone, at_s), minutes = abs(offset) / 60;
  fl_code code = fl_rule_get_interval(r->rule, at_s, &from_s, &to_s, err);
  if (code != FL_OK) return code;
  fl_buf_add_str(out, out->size > 1 ? ",{\"flow\":" : "{\"flow\":");
  fl_json_write_text(out, flow);
  fl_buf_add_str(out, ",\"rule\":");
  fl_json_write_text(out, r->name);
  fl_buf_add_str(out, ",\"schedule\":");
  fl_json_write_text(out, fl_rule_get_text(r->rule));
  fl_buf_addf(out, ",\"tz\":\"%s\"", zone);
  add_time(out, "time", at_s);
  fl_buf_add_str(out, ",\"local\":\"");
  add_local(out, at_s + offset, true);
  fl_buf_addf(out, "%c%02d:%02d\"", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
  // A delay is drawn from the store that the run will be in, which is not known here.
  fl_buf_addf(out, ",\"delay_ms\":%s", fl_rule_has_jitter(r->rule) ? "null" : "0");
  add_time(out, "interval_from", from_s);
  add_time(out, "interval_to", to_s);
  fl_buf_add_str(out, ",\"note\":");
  fl_json_write_text(out, note);
  fl_buf_add_str(out, ",\"text\":");
  add_text(out, r->rule, fire);
  fl_buf_add_char(out, '}');
  return FL_OK;
}

static fl_code add_fires(fl_buf *out, const char *flow, const fl_script_rule *rules, size_t count,
                         const char *from, uint32_t fires, fl_error *err) {
  const fl_rule **list = fl_alloc((count + 1) * sizeof *list);
  int64_t *from_s = fl_alloc_zero(count + 1, sizeof *from_s);
  fl_rules *merged = NULL;
  fl_code code = FL_OK;
  for (size_t i = 0; i < count && code == FL_OK; i++) {
    list[i] = rules[i].rule;
    code = read_from(from, fl_rule_get_zone(list[i]), &from_s[i], err);
  }
  if (code == FL_OK) code = fl_rules_open(list, from_s, count, &merged, err);
  for (uint32_t n = 0; n < fires && code == FL_OK && !out->failed; n++) {
    fl_fire fire;
    size_t which;
    code = fl_rules_next(merged, &fire, &which, err);
    if (code == FL_OK) code = add_fire(out, flow, &rules[which], &fire, err);
  }
  fl_rules_close(merged);
  free(from_s);
  free(list);
  return code == FL_E_NOT_FOUND ? FL_OK : code;
}

static fl_code check_count(uint32_t count, fl_error *err) {
  if (count >= 1 && count <= COUNT_MAX) return FL_OK;
  return fl_fail(err, FL_E_USAGE, "expected a count from 1 to %d, got %u", COUNT_MAX, count);
}

static fl_code take(fl_buf *out, fl_code code, char **json, fl_error *err) {
  fl_buf_add_char(out, ']');
  *json = code == FL_OK ? fl_buf_take(out) : NULL;
  fl_buf_deinit(out);
  if (code == FL_OK && !*json) code = fl_fail(err, FL_E_LIMIT, "there are too many fires to list");
  return code;
}

fl_code fl_script_next(fl_script *handle, const char *key, const char *from, uint32_t count,
                       char **json, fl_error *err) {
  fl_buf out;
  fl_script *script;
  fl_flow *flow = NULL;
  *json = NULL;
  fl_code code = fl_scripts_get(handle, &script, NULL, err);
  if (code == FL_OK) code = check_count(count, err);
  if (code == FL_OK && key) code = fl_script_choose_flow(script, key, &flow, err);
  if (code != FL_OK) return code;
  fl_buf_init(&out, 1u << 30);
  fl_buf_add_char(&out, '[');
  for (size_t i = 0; code == FL_OK && i < fl_script_count_returned(script); i++) {
    fl_flow *one = fl_script_get_flow(script, i);
    size_t rule_count;
    const fl_script_rule *rules = fl_script_get_rules(script, one, &rule_count);
    if ((flow && one != flow) || rule_count == 0) continue;
    code = add_fires(&out, one->key, rules, rule_count, from, count, err);
  }
  return take(&out, code, json, err);
}

fl_code fl_next_of_rule(const char *cron, const char *zone, const char *from, uint32_t count,
                        char **json, fl_error *err) {
  fl_buf out;
  fl_rule *rule = fl_rule_new();
  *json = NULL;
  fl_buf_init(&out, 1u << 30);
  fl_buf_add_char(&out, '[');
  fl_code code = check_count(count, err);
  if (code == FL_OK && zone) code = fl_rule_set(rule, "tz", zone, err);
  if (code == FL_OK) code = fl_rule_set(rule, "cron", cron, err);
  if (code == FL_OK) code = fl_rule_finish(rule, NULL, err);
  if (code == FL_OK) code = fl_rule_check(rule, fl_floor_div(fl_wall_ms(), 1000), err);
  char name[] = "1";
  fl_script_rule only = {.rule = rule, .name = name};
  if (code == FL_OK) code = add_fires(&out, NULL, &only, 1, from, count, err);
  code = take(&out, code, json, err);
  fl_rule_free(rule);
  return code;
}
