// What failed in a run, for its end: the error that it has, and what its hooks are told.
#include "engine/run_internal.h"

#define KEPT_MAX 100 // of a map of many items: more are not read, and their text is not small

struct fl_failed {
  uint32_t node, attempt; // attempt 0: it did not run
  int exit_code;
  char *error;
};

void fl_failures_add(fl_run *run, uint32_t node, uint32_t attempt, int exit_code,
                     const char *error) {
  uint32_t map = fl_plan_get_map(run->plan, node);
  bool item = map != FL_NODE_NONE; // its map answers for it, and it tells more
  if (item ? fl_plan_get_options(run->plan, node)->allow_failure ||
                 fl_plan_is_handled(run->plan, map)
           : fl_plan_is_handled(run->plan, node))
    return;
  if (!run->error && !item) {
    fl_buf text;
    fl_buf_init(&text, FL_ERROR_TEXT_MAX);
    fl_buf_addf(&text, "node '%s': %.2000s", fl_run_get_name(run, node), error);
    run->error = fl_buf_take(&text);
  }
  if (run->failed_count == KEPT_MAX || fl_plan_get_options(run->plan, node)->hook) return;
  if (!run->failed) run->failed = fl_alloc(KEPT_MAX * sizeof *run->failed);
  run->failed[run->failed_count++] =
      (fl_failed){.node = node,
                  .attempt = attempt,
                  .exit_code = exit_code,
                  .error = fl_strndup(error, strnlen(error, FL_ERROR_TEXT_MAX))};
}

void fl_failures_write(const fl_run *run, fl_buf *out) {
  fl_buf_add_char(out, '[');
  for (uint32_t i = 0; i < run->failed_count; i++) {
    const fl_failed *f = &run->failed[i];
    const char *name = fl_run_get_name(run, f->node);
    fl_buf_addf(out, "%s{\"attempt\":%u,\"error\":", i ? "," : "", f->attempt);
    fl_json_write_text(out, f->error);
    if (f->exit_code >= 0)
      fl_buf_addf(out, ",\"exit_code\":%d", f->exit_code);
    else
      fl_buf_add_str(out, ",\"exit_code\":null");
    // A name with brackets is quoted, as whoever types it has to.
    bool plain = !strpbrk(name, "[]");
    fl_buf_addf(out, ",\"log\":\"flowlua logs %s %s%s%s\",\"node\":", run->row.id, plain ? "" : "'",
                name, plain ? "" : "'");
    fl_json_write_text(out, name);
    fl_buf_add_char(out, '}');
  }
  fl_buf_add_char(out, ']');
}

void fl_failures_free(fl_run *run) {
  for (uint32_t i = 0; i < run->failed_count; i++) free(run->failed[i].error);
  free(run->failed);
}
