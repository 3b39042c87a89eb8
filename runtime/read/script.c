// Two script snapshots against each other: which files differ, and how.
#include "base/line_diff.h"
#include "read/read_internal.h"

#define DIFF_LINES_MAX 60 // of one file

static const fl_source *find(const fl_snapshot *s, const fl_source *like, size_t position) {
  // The script itself may have another name today.
  if (position == 0) return s->count ? &s->sources[0] : NULL;
  for (size_t i = 1; i < s->count; i++)
    if (!strcmp(s->sources[i].path, like->path)) return &s->sources[i];
  return NULL;
}

static void add_file(const fl_source *a, const fl_source *b, size_t *count, fl_buf *out) {
  if (a && b && a->size == b->size && !memcmp(a->data, b->data, a->size)) return;
  const char *status = a && b ? "changed" : a ? "removed" : "added";
  fl_buf hunks;
  fl_buf_init(&hunks, 1 << 20);
  fl_line_diff d = fl_line_diff_write(a ? a->data : "", a ? a->size : 0, b ? b->data : "",
                                      b ? b->size : 0, DIFF_LINES_MAX, &hunks);
  fl_buf_add_str(out, (*count)++ ? ",{\"path\":" : "{\"path\":");
  fl_json_write_text(out, b ? b->path : a ? a->path : "");
  fl_buf_addf(out,
              ",\"status\":\"%s\",\"lines\":{\"a\":%zu,\"b\":%zu},\"removed\":%zu,\"added\":%zu,"
              "\"diff\":",
              status, d.lines_a, d.lines_b, d.removed, d.added);
  fl_json_write_string(out, fl_buf_cstr(&hunks), hunks.size);
  fl_buf_add_char(out, '}');
  fl_buf_deinit(&hunks);
}

static void add_files(const fl_snapshot *a, const fl_snapshot *b, fl_buf *out) {
  size_t count = 0;
  fl_buf_add_char(out, '[');
  for (size_t i = 0; i < a->count; i++)
    add_file(&a->sources[i], find(b, &a->sources[i], i), &count, out);
  for (size_t i = 0; i < b->count; i++)
    if (!find(a, &b->sources[i], i)) add_file(NULL, &b->sources[i], &count, out);
  fl_buf_add_char(out, ']');
}

static fl_code get_digest(fl_store *s, int64_t script, char hex[2 * FL_DIGEST_SIZE + 1],
                          fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *hex = 0;
  fl_code code = fl_store_prepare_own(s, "SELECT digest FROM script WHERE id=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, script);
  code = fl_store_read(s, st, &row, err);
  if (!code && row && sqlite3_column_bytes(st, 0) == FL_DIGEST_SIZE)
    fl_digest_hex(sqlite3_column_blob(st, 0), hex);
  sqlite3_finalize(st);
  return code;
}

static void add_hex(fl_buf *out, const char *key, const char *hex) {
  if (*hex)
    fl_buf_addf(out, ",\"%s\":\"sha256:%s\"", key, hex);
  else
    fl_buf_addf(out, ",\"%s\":null", key);
}

fl_code fl_read_add_scripts(fl_store *s, int64_t a, int64_t b, bool brief, fl_buf *out,
                            fl_error *err) {
  char hex[2][2 * FL_DIGEST_SIZE + 1];
  fl_snapshot x = {0}, y = {0};
  fl_code code = get_digest(s, a, hex[0], err);
  if (!code) code = get_digest(s, b, hex[1], err);
  if (code) return code;
  bool equal = *hex[0] && !strcmp(hex[0], hex[1]);
  fl_buf_addf(out, "{\"equal\":%s", equal ? "true" : "false");
  add_hex(out, "a", hex[0]);
  add_hex(out, "b", hex[1]);
  if (!equal && !brief) {
    fl_buf_add_str(out, ",\"files\":");
    fl_error gone;
    if (fl_store_get_script(s, a, &x, &gone) || fl_store_get_script(s, b, &y, &gone))
      fl_buf_add_str(out, "null");
    else
      add_files(&x, &y, out);
    fl_snapshot_deinit(&x);
    fl_snapshot_deinit(&y);
  }
  fl_buf_add_char(out, '}');
  return FL_OK;
}
