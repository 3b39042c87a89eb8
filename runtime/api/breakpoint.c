// Runs that have stopped: what is known of them, their way to another state directory, their twins.
#include "api/engine.h"
#include <limits.h>
#include <unistd.h>

// {...} -> {...,"part_of":{"run","path"}}: where a sub-flow's run is resumed, and what its nodes
// are called there; null: it is no part of another.
static void add_part_of(fl_store *s, const fl_run_row *run, fl_buf *text) {
  char root[FL_RUN_ID_SIZE];
  char *path = run->parent_run ? fl_find_root(s, run, root) : NULL;
  json_t *part = path ? json_pack("{s:s,s:s}", "run", root, "path", path) : NULL;
  char *dumped = part ? json_dumps(part, JSON_COMPACT) : NULL;
  text->size--;
  fl_buf_addf(text, ",\"part_of\":%s}", dumped ? dumped : "null");
  json_decref(part);
  free(dumped);
  free(path);
}

fl_code fl_reader_breakpoint(fl_reader *reader, const char *name, char **json_out, fl_error *err) {
  fl_store *s = reader->store;
  fl_run_row run = {0};
  fl_buf text;
  *json_out = NULL;
  fl_buf_init(&text, FL_ANSWER_SIZE_MAX);
  fl_code code = fl_store_find_run(s, name, &run, err);
  // One whose engine was killed has stopped too, without a word.
  if (!code && !fl_run_state_is_final(run.state) && fl_owner_lives(fl_store_get_dir(s), run.owner))
    code = fl_fail(err, FL_E_STATE, "run %s is running: it has not stopped (`flowlua show %s`)",
                   run.id, run.id);
  if (!code) code = fl_read_store_breakpoint(s, &run, &text, err);
  if (!code) add_part_of(s, &run, &text);
  fl_run_row_deinit(&run);
  return fl_answer_take(&text, code, json_out, err);
}

/// The run, where it may be carried elsewhere: whole, and nobody writes to it.
static fl_code find_stopped(fl_engine *e, const char *name, fl_run_row *run, fl_error *err) {
  fl_store *s;
  fl_run_row parent = {0};
  fl_error ignored;
  fl_code code = fl_engine_need_store(e, &s, err);
  if (!code) code = fl_store_find_run(s, name, run, err);
  if (code) return code;
  if (fl_owner_holds(e, run)) return fl_owner_fail_busy(e, run, err);
  if (!run->parent_run) return FL_OK;
  bool known = !fl_store_get_run(s, run->parent_run, &parent, &ignored);
  code = fl_fail(err, FL_E_STATE, "run %s is part of another run: name that one%s%s%s", run->id,
                 known ? " (" : "", known ? parent.id : "", known ? ")" : "");
  fl_run_row_deinit(&parent);
  return code;
}

// A file there would be taken for the store's own, or take its place.
static fl_code check_target(const fl_engine *e, const char *path, fl_error *err) {
  char state[PATH_MAX], folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  char *up = slash ? fl_strndup(path, (size_t)(slash - path) + 1) : fl_strdup(".");
  bool known = realpath(e->state_dir, state) && realpath(up, folder);
  free(up);
  size_t size = known ? strlen(state) : 0;
  if (!known || strncmp(folder, state, size) || (folder[size] && folder[size] != '/'))
    return FL_OK; // what is wrong with it is told when it is written
  return fl_fail(err, FL_E_USAGE, "'%s' is in the state directory '%s': choose another place", path,
                 e->state_dir);
}

fl_code fl_run_export(fl_engine *e, const char *name, const char *path, bool overwrite,
                      fl_error *err) {
  char host[256] = "";
  fl_run_row run = {0};
  fl_code code = find_stopped(e, name, &run, err);
  if (!code) code = check_target(e, path, err);
  if (gethostname(host, sizeof host - 1)) host[0] = '\0';
  if (!code && run.replay_of)
    code =
        fl_fail(err, FL_E_STATE,
                "run %s repeats another one: what its nodes see is kept with that run, and would "
                "be missing elsewhere; export that one",
                run.id);
  if (!code) code = fl_store_export(e->store, &run, host, fl_wall_ms(), path, overwrite, err);
  fl_run_row_deinit(&run);
  return code;
}

fl_code fl_run_import(fl_engine *e, const char *path, char run_id_out[32], fl_error *err) {
  fl_store *s;
  run_id_out[0] = '\0';
  fl_code code = fl_engine_need_store(e, &s, err);
  return code ? code : fl_store_import(s, path, run_id_out, err);
}

fl_code fl_run_fork(fl_engine *e, const char *name, char run_id_out[32], fl_error *err) {
  fl_run_row run = {0};
  run_id_out[0] = '\0';
  fl_code code = find_stopped(e, name, &run, err);
  if (!code) code = fl_store_fork(e->store, &run, fl_wall_ms(), run_id_out, err);
  fl_run_row_deinit(&run);
  return code;
}
