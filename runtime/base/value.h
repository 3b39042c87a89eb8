// A value that crosses between nodes: immutable, shared, canonical JSON text (see base/json.h).
// The engine never looks inside one except to merge vars. Reference counts are not atomic: a value
// belongs to one engine, hence one thread.
#pragma once
#include "base/json.h"

/// `refs` of the few values that all engines of a process share. Ref and unref leave them alone,
/// and nobody may write to one. A row id belongs to one store, so every store has these under one
/// id.
#define FL_VALUE_SHARED       UINT32_MAX
#define FL_VALUE_ID_EMPTY_MAP 1 // `store_id` of "{}"
#define FL_VALUE_ID_NULL      2 // `store_id` of "null"

typedef struct fl_value {
  uint32_t refs;
  uint32_t size;      // bytes of text, without the NUL
  int64_t store_id;   // row in the store's value table, 0 when not stored (yet)
  bool digested;      // digest is filled in
  uint8_t digest[32]; // SHA-256 of text
  char text[];        // canonical JSON, NUL-terminated
} fl_value;

/// From text that is canonical already. One reference, yours.
fl_value *fl_value_new(const char *text, size_t size);
/// From any JSON text; FL_E_LIMIT past FL_VALUE_SIZE_MAX.
FL_MUST fl_code fl_value_parse(const char *text, size_t size, fl_value **out, fl_error *err);
/// From a tree. FL_E_LIMIT when it is larger than FL_VALUE_SIZE_MAX or deeper than a document may
/// be; then `what` begins the message: "the vars of its parents are".
FL_MUST fl_code fl_value_from_json(const json_t *json, const char *what, fl_value **out,
                                   fl_error *err);
/// NULL-safe, both.
fl_value *fl_value_ref(fl_value *v);
void fl_value_unref(fl_value *v);
const uint8_t *fl_value_get_digest(fl_value *v);
bool fl_value_equal(fl_value *a, fl_value *b);
/// `v` as a parsed tree, yours to json_decref(). Our own text always parses.
json_t *fl_value_to_json(const fl_value *v);
/// "{}" and "null", shared by the whole process (FL_VALUE_SHARED): ref and unref do nothing.
fl_value *fl_value_empty_map(void);
fl_value *fl_value_null(void);
static inline bool fl_value_is_shared(const fl_value *v) {
  return v->refs == FL_VALUE_SHARED;
}
