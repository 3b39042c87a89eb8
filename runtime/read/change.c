// Two stored values against each other: by digest whether they differ, then key by key where.
//
// Equal values have one row: no text is read to find out that nothing differs. Texts that are gone
// (a lost blob) leave the digests, and no word about the keys.
#include "read/read_internal.h"

#define CHANGES_MAX 20  // listed of one value; the others are counted
#define SHOWN_MAX   160 // bytes of a changed value

typedef struct comparing {
  fl_buf *out;
  fl_buf path;
  size_t count;
} comparing;

fl_code fl_read_add_digest(fl_store *s, int64_t id, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  char hex[2 * FL_DIGEST_SIZE + 1];
  if (!id) {
    fl_buf_add_str(out, "null");
    return FL_OK;
  }
  fl_code code =
      fl_store_prepare(s, FL_SLOT_READ_DIGEST, "SELECT digest FROM value WHERE id=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, id);
  code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (!row || sqlite3_column_bytes(st, 0) != FL_DIGEST_SIZE) {
    sqlite3_reset(st);
    return fl_store_fail_corrupt(s, err, "value %lld is missing", (long long)id);
  }
  fl_digest_hex(sqlite3_column_blob(st, 0), hex);
  sqlite3_reset(st);
  fl_buf_addf(out, "\"sha256:%s\"", hex);
  return FL_OK;
}

// -------------------------------------------------------------------------------- key by key

static void add_side(fl_buf *out, const char *side, const json_t *value) {
  fl_buf text;
  if (!value) return;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX * 2);
  fl_json_write(&text, value);
  fl_buf_addf(out, ",\"%s\":", side);
  if (text.size <= SHOWN_MAX) {
    fl_buf_add(out, text.data, text.size);
  } else {
    fl_buf shown;
    size_t size = SHOWN_MAX;
    while (size && ((unsigned char)text.data[size] & 0xC0) == 0x80) size--; // not within a letter
    fl_buf_init(&shown, SHOWN_MAX + 64);
    fl_buf_add(&shown, text.data, size);
    fl_buf_add_str(&shown, "…");
    fl_json_write_string(out, shown.data, shown.size);
    fl_buf_addf(out, ",\"%s_size\":%zu", side, text.size);
    fl_buf_deinit(&shown);
  }
  fl_buf_deinit(&text);
}

static void add_change(comparing *c, const json_t *a, const json_t *b) {
  if (++c->count > CHANGES_MAX) return;
  fl_buf_add_str(c->out, c->count > 1 ? ",{\"key\":" : "{\"key\":");
  fl_json_write_string(c->out, c->path.data ? c->path.data : "", c->path.size);
  add_side(c->out, "a", a);
  add_side(c->out, "b", b);
  fl_buf_add_char(c->out, '}');
}

static void compare(comparing *c, const json_t *a, const json_t *b);

static void compare_at(comparing *c, const char *key, size_t index, const json_t *a,
                       const json_t *b) {
  size_t size = c->path.size;
  if (key)
    fl_buf_addf(&c->path, "%s%s", size ? "." : "", key);
  else
    fl_buf_addf(&c->path, "[%zu]", index + 1); // as Lua counts
  compare(c, a, b);
  c->path.size = size;
}

static void compare(comparing *c, const json_t *a, const json_t *b) {
  const char *key;
  json_t *value;
  if (json_is_object(a) && json_is_object(b)) {
    json_object_foreach((json_t *)a, key, value)
        compare_at(c, key, 0, value, json_object_get(b, key));
    json_object_foreach((json_t *)b, key, value) {
      if (!json_object_get(a, key)) compare_at(c, key, 0, NULL, value);
    }
  } else if (json_is_array(a) && json_is_array(b)) {
    size_t count =
        json_array_size(a) > json_array_size(b) ? json_array_size(a) : json_array_size(b);
    for (size_t i = 0; i < count; i++)
      compare_at(c, NULL, i, json_array_get(a, i), json_array_get(b, i));
  } else if (!a || !b || !json_equal(a, b)) {
    add_change(c, a, b);
  }
}

/// NULL: there is none, or its text is gone (*gone).
static fl_code load(fl_store *s, int64_t id, json_t **out, bool *gone, fl_error *err) {
  fl_value *v = NULL;
  *out = NULL;
  fl_code code = fl_store_get_value(s, id, &v, err);
  if (code == FL_E_CORRUPT) return *gone = true, FL_OK;
  if (!code && v) *out = fl_value_to_json(v);
  fl_value_unref(v);
  return code;
}

static fl_code add_changes(fl_store *s, int64_t a, int64_t b, fl_buf *out, fl_error *err) {
  json_t *x = NULL, *y = NULL;
  bool gone = false;
  fl_code code = load(s, a, &x, &gone, err);
  if (!code) code = load(s, b, &y, &gone, err);
  fl_buf_add_str(out, ",\"changes\":");
  if (!code && gone) {
    fl_buf_add_str(out, "null");
  } else if (!code) {
    comparing c = {.out = out};
    fl_buf_init(&c.path, 1 << 16);
    fl_buf_add_char(out, '[');
    compare(&c, x, y);
    fl_buf_add_char(out, ']');
    if (c.count > CHANGES_MAX) fl_buf_addf(out, ",\"more\":%zu", c.count - CHANGES_MAX);
    fl_buf_deinit(&c.path);
  }
  json_decref(x);
  json_decref(y);
  return code;
}

fl_code fl_read_add_pair(fl_store *s, int64_t a, int64_t b, bool brief, fl_buf *out,
                         fl_error *err) {
  bool equal = fl_store_is_same_value(s, a, b);
  fl_buf_addf(out, "{\"equal\":%s,\"a\":", equal ? "true" : "false");
  fl_code code = fl_read_add_digest(s, a, out, err);
  fl_buf_add_str(out, ",\"b\":");
  if (!code) code = fl_read_add_digest(s, b, out, err);
  if (!code && !equal && !brief) code = add_changes(s, a, b, out, err);
  fl_buf_add_char(out, '}');
  return code;
}
