// Reading across time: moments, runs held against each other, who set what.
#include "api/reader.h"

/// What is asked; runs by name.
typedef struct question {
  const char *run, *other; // NULL: none
  const char *text;        // a node, a key, a flow
  int64_t time_ms;
  bool brief;
} question;

typedef fl_code (*answer_fn)(fl_store *s, const question *q, fl_run_row *run,
                             const fl_run_row *other, fl_buf *out, fl_error *err);

static fl_code ask(fl_reader *reader, const question *q, answer_fn answer, char **out,
                   fl_error *err) {
  fl_store *s = reader->store;
  fl_run_row run = {0}, other = {0};
  fl_buf text;
  *out = NULL;
  fl_buf_init(&text, FL_ANSWER_SIZE_MAX);
  fl_code code = q->run ? fl_store_find_run(s, q->run, &run, err) : FL_OK;
  if (!code && q->other) code = fl_store_find_run(s, q->other, &other, err);
  if (!code) code = answer(s, q, q->run ? &run : NULL, q->other ? &other : NULL, &text, err);
  fl_run_row_deinit(&run);
  fl_run_row_deinit(&other);
  return fl_answer_take(&text, code, out, err);
}

static fl_code answer_moment(fl_store *s, const question *q, fl_run_row *run,
                             const fl_run_row *other, fl_buf *out, fl_error *err) {
  (void)run, (void)other;
  return fl_read_store_moment(s, q->text, q->time_ms, out, err);
}

fl_code fl_reader_moment(fl_reader *reader, const char *flow, int64_t time_ms, char **json_out,
                         fl_error *err) {
  return ask(reader, &(question){.text = flow, .time_ms = time_ms}, answer_moment, json_out, err);
}

static fl_code answer_diff(fl_store *s, const question *q, fl_run_row *run, const fl_run_row *other,
                           fl_buf *out, fl_error *err) {
  return fl_read_store_diff(s, run, other, q->brief, out, err);
}

fl_code fl_reader_diff(fl_reader *reader, const char *run_a, const char *run_b, bool brief,
                       char **json_out, fl_error *err) {
  return ask(reader, &(question){.run = run_a, .other = run_b, .brief = brief}, answer_diff,
             json_out, err);
}

static fl_code answer_blame(fl_store *s, const question *q, fl_run_row *run,
                            const fl_run_row *other, fl_buf *out, fl_error *err) {
  const char *key = q->text;
  fl_error ignored;
  (void)other;
  // A var may have any name.
  if (fl_read_enter(s, run, &key, &ignored)) key = q->text;
  return fl_read_store_blame(s, run, key, out, err);
}

fl_code fl_reader_blame(fl_reader *reader, const char *run, const char *key, char **json_out,
                        fl_error *err) {
  return ask(reader, &(question){.run = run, .text = key}, answer_blame, json_out, err);
}
