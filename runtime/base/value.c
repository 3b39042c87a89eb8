// Values that cross between nodes: immutable, shared, canonical JSON text.
#include "base/value.h"
#include "base/digest.h"
#include "base/limits.h"

// "{}" is shared by all engines of the process, which may be on different threads: its count is
// saturated and nobody writes to it, and its digest is filled in from the start.
static fl_value empty_map = {
    .refs = FL_VALUE_SHARED,
    .size = 2,
    .store_id = FL_VALUE_ID_EMPTY_MAP,
    .digested = true,
    .digest = {0x44, 0x13, 0x6f, 0xa3, 0x55, 0xb3, 0x67, 0x8a, 0x11, 0x46, 0xad,
               0x16, 0xf7, 0xe8, 0x64, 0x9e, 0x94, 0xfb, 0x4f, 0xc2, 0x1f, 0xe7,
               0x7e, 0x83, 0x10, 0xc0, 0x60, 0xf6, 0x1c, 0xaa, 0xff, 0x8a},
    .text = "{}",
};

static fl_value null_value = {
    .refs = FL_VALUE_SHARED,
    .size = 4,
    .store_id = FL_VALUE_ID_NULL,
    .digested = true,
    .digest = {0x74, 0x23, 0x4e, 0x98, 0xaf, 0xe7, 0x49, 0x8f, 0xb5, 0xda, 0xf1,
               0xf3, 0x6a, 0xc2, 0xd7, 0x8a, 0xcc, 0x33, 0x94, 0x64, 0xf9, 0x50,
               0x70, 0x3b, 0x8c, 0x01, 0x98, 0x92, 0xf9, 0x82, 0xb9, 0x0b},
    .text = "null",
};

fl_value *fl_value_new(const char *text, size_t size) {
  FL_ASSERT(size < UINT32_MAX);
  fl_value *v = fl_alloc(sizeof *v + size + 1);
  v->refs = 1;
  v->size = (uint32_t)size;
  v->store_id = 0;
  v->digested = false;
  memcpy(v->text, text, size);
  v->text[size] = '\0';
  return v;
}

fl_code fl_value_parse(const char *text, size_t size, fl_value **out, fl_error *err) {
  *out = NULL;
  if (size > FL_VALUE_SIZE_MAX) goto too_large;
  if (fl_json_is_canonical(text, size)) return *out = fl_value_new(text, size), FL_OK;
  json_t *json = NULL;
  fl_code code = fl_json_parse(text, size, &json, err);
  if (code != FL_OK) return code;
  code = fl_value_from_json(json, "is", out, err);
  json_decref(json);
  return code;
too_large:
  return fl_fail(err, FL_E_LIMIT, "is larger than %u MiB (the limit of a value)",
                 FL_VALUE_SIZE_MAX >> 20);
}

fl_code fl_value_from_json(const json_t *json, const char *what, fl_value **out, fl_error *err) {
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  fl_json_write(&text, json);
  *out = text.failed ? NULL : fl_value_new(text.data, text.size);
  fl_buf_deinit(&text);
  if (*out) return FL_OK;
  return fl_fail(err, FL_E_LIMIT, "%s larger than %u MiB (the limit of a value), or too deep", what,
                 FL_VALUE_SIZE_MAX >> 20);
}

fl_value *fl_value_ref(fl_value *v) {
  if (v && v->refs != FL_VALUE_SHARED) v->refs++;
  return v;
}

void fl_value_unref(fl_value *v) {
  if (!v || v->refs == FL_VALUE_SHARED) return;
  FL_ASSERT(v->refs > 0);
  if (--v->refs == 0) free(v);
}

const uint8_t *fl_value_get_digest(fl_value *v) {
  if (!v->digested) {
    fl_digest(v->text, v->size, v->digest);
    v->digested = true;
  }
  return v->digest;
}

bool fl_value_equal(fl_value *a, fl_value *b) {
  if (a == b) return true;
  if (!a || !b || a->size != b->size) return false;
  return memcmp(a->text, b->text, a->size) == 0;
}

json_t *fl_value_to_json(const fl_value *v) {
  json_error_t error;
  json_t *json = json_loadb(v->text, v->size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
  FL_ASSERT(json);
  return json;
}

fl_value *fl_value_empty_map(void) {
  return &empty_map;
}

fl_value *fl_value_null(void) {
  return &null_value;
}
