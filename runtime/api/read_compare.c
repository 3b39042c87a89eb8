// Reading across time: moments, runs held against each other, who set what.
#include "api/internal.h"

#define READ_SIZE_MAX ((size_t)1 << 30) // one answer; JSON past this is no help to anybody

/// What is asked; runs by name.
typedef struct question {
  const char *run, *other; // NULL: none
  const char *text;        // a node, a key, a flow
  int64_t time_ms;
  bool brief;
} question;

typedef fl_code (*answer_fn)(fl_store *s, const question *q, const fl_run_row *run,
                             const fl_run_row *other, fl_buf *out, fl_error *err);

static fl_code ask(fl_engine *engine, const question *q, answer_fn answer, char **out,
                   fl_error *err) {
  fl_store *s;
  fl_run_row run = {0}, other = {0};
  fl_buf text;
  *out = NULL;
  fl_buf_init(&text, READ_SIZE_MAX);
  fl_code code = fl_engine_need_store(engine, &s, err);
  if (!code && q->run) code = fl_store_find_run(s, q->run, &run, err);
  if (!code && q->other) code = fl_store_find_run(s, q->other, &other, err);
  if (!code) code = answer(s, q, q->run ? &run : NULL, q->other ? &other : NULL, &text, err);
  if (!code && !(*out = fl_buf_take(&text)))
    code = fl_fail(err, FL_E_LIMIT, "the answer is larger than %zu bytes", READ_SIZE_MAX);
  fl_buf_deinit(&text);
  fl_run_row_deinit(&run);
  fl_run_row_deinit(&other);
  return code;
}

static fl_code answer_moment(fl_store *s, const question *q, const fl_run_row *run,
                             const fl_run_row *other, fl_buf *out, fl_error *err) {
  (void)run, (void)other;
  return fl_read_store_moment(s, q->text, q->time_ms, out, err);
}

fl_code fl_read_moment(fl_engine *engine, const char *flow, int64_t time_ms, char **json_out,
                       fl_error *err) {
  return ask(engine, &(question){.text = flow, .time_ms = time_ms}, answer_moment, json_out, err);
}

static fl_code answer_diff(fl_store *s, const question *q, const fl_run_row *run,
                           const fl_run_row *other, fl_buf *out, fl_error *err) {
  return fl_read_store_diff(s, run, other, q->brief, out, err);
}

fl_code fl_read_diff(fl_engine *engine, const char *run_a, const char *run_b, bool brief,
                     char **json_out, fl_error *err) {
  return ask(engine, &(question){.run = run_a, .other = run_b, .brief = brief}, answer_diff,
             json_out, err);
}

static fl_code answer_blame(fl_store *s, const question *q, const fl_run_row *run,
                            const fl_run_row *other, fl_buf *out, fl_error *err) {
  (void)other;
  return fl_read_store_blame(s, run, q->text, out, err);
}

fl_code fl_read_blame(fl_engine *engine, const char *run, const char *key, char **json_out,
                      fl_error *err) {
  return ask(engine, &(question){.run = run, .text = key}, answer_blame, json_out, err);
}
