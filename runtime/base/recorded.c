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

static bool is_mark(const json_t *entry) {
  const char *name = json_string_value(json_array_get(entry, 0));
  return name && !strcmp(name, "when");
}

// How many entries stand up to the mark, with it; 0: there is none.
static size_t count_marked(const json_t *list) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (is_mark(json_array_get(list, i))) return i + 1;
  return 0;
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
  while (r->at[kind] < count && !is_mark(json_array_get(r->list, r->at[kind]))) {
    size_t i = r->at[kind]++;
    if (kind_at(r, i) != kind) continue;
    fl_json_write(out, json_array_get(json_array_get(r->list, i), 1));
    return true;
  }
  return false;
}

void fl_recorded_pass_mark(fl_recorded *r) {
  size_t marked = count_marked(r->list);
  for (size_t kind = 0; marked && kind < FL_RECORDED_KINDS; kind++) r->at[kind] = marked;
}

json_t *fl_recorded_prepend(json_t *list, const json_t *other) {
  size_t marked = count_marked(other);
  if (!list) list = json_array();
  for (size_t i = 0; i < marked; i++) json_array_insert(list, i, json_array_get(other, i));
  return list;
}

fl_value *fl_recorded_get_rest(const fl_recorded *r) {
  json_t *rest = json_array();
  for (size_t i = 0; i < json_array_size(r->list); i++) {
    size_t kind = kind_at(r, i);
    if (kind < FL_RECORDED_KINDS && i >= r->at[kind])
      json_array_append(rest, json_array_get(r->list, i));
  }
  fl_value *v = NULL;
  fl_error err; // a part of what was a value fits
  if (json_array_size(rest)) (void)!fl_value_from_json(rest, "is", &v, &err);
  json_decref(rest);
  return v;
}
