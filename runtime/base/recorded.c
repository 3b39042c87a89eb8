// Hands out recorded values. Linear over all calls: no entry is looked at twice for one kind.
#include "base/recorded.h"
#include <string.h>

static const char *const kinds[FL_RECORDED_KINDS] = {"now", "random", "uuid"};

/// FL_RECORDED_KINDS: none that is known.
static size_t find_kind(const char *name) {
  size_t kind = 0;
  while (kind < FL_RECORDED_KINDS && (!name || strcmp(kinds[kind], name))) kind++;
  return kind;
}

static size_t kind_at(const fl_recorded *r, size_t i) {
  return find_kind(json_string_value(json_array_get(json_array_get(r->list, i), 0)));
}

void fl_recorded_init(fl_recorded *r, json_t *list) {
  *r = (fl_recorded){.list = list};
}

void fl_recorded_deinit(fl_recorded *r) {
  json_decref(r->list);
  *r = (fl_recorded){0};
}

bool fl_recorded_take(fl_recorded *r, const char *kind_name, fl_buf *out) {
  size_t kind = find_kind(kind_name), count = json_array_size(r->list);
  if (kind == FL_RECORDED_KINDS) return false;
  while (r->at[kind] < count) {
    size_t i = r->at[kind]++;
    if (kind_at(r, i) != kind) continue;
    fl_json_write(out, json_array_get(json_array_get(r->list, i), 1));
    return true;
  }
  return false;
}

fl_value *fl_recorded_get_rest(const fl_recorded *r) {
  json_t *rest = json_array();
  for (size_t i = 0; i < json_array_size(r->list); i++) {
    size_t kind = kind_at(r, i);
    if (kind < FL_RECORDED_KINDS && i >= r->at[kind])
      json_array_append(rest, json_array_get(r->list, i));
  }
  fl_value *v = json_array_size(rest) ? fl_value_from_json(rest) : NULL;
  json_decref(rest);
  return v;
}
