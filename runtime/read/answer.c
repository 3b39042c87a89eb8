// What answers have in common: one moment of the store for all of an answer, times, a limit.
#include "read/read_internal.h"

fl_code fl_read_begin(fl_store *s, const fl_run_row *run, fl_run_row *fresh, fl_error *err) {
  *fresh = (fl_run_row){0};
  fl_code code = fl_store_read_begin(s, err);
  return code ? code : fl_store_get_run(s, run->row, fresh, err);
}

void fl_read_end(fl_store *s, fl_run_row *fresh) {
  fl_run_row_deinit(fresh);
  fl_store_read_end(s);
}

void fl_read_add_time(fl_buf *out, int64_t wall_ms) {
  char text[FL_TIME_TEXT_SIZE];
  if (!wall_ms) {
    fl_buf_add(out, "null", 4);
    return;
  }
  fl_time_format(wall_ms, text);
  fl_buf_add_char(out, '"');
  fl_buf_add_str(out, text);
  fl_buf_add_char(out, '"');
}

fl_code fl_read_finish(fl_store *s, const fl_buf *out, fl_error *err) {
  if (!out->failed) return FL_OK;
  return fl_fail(err, FL_E_LIMIT, "what is asked of the store in '%s' is larger than %zu bytes",
                 fl_store_get_dir(s), out->size_max);
}
