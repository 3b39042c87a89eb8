// Builds the patch of a resume from all that may say something: a proposal, a file, JSON, flags;
// and loads the script as it was and as it goes on.
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>
#include "api/patch.h"

// ------------------------------------------------------------------------------------- the request

static void put_texts(json_t *request, const char *key, const fl_texts *texts) {
  if (!texts->count) return;
  json_t *list = json_array();
  for (size_t i = 0; i < texts->count; i++)
    json_array_append_new(list, json_string(texts->items[i]));
  json_object_set_new(request, key, list);
}

static void put_text(json_t *request, const char *key, const char *text) {
  if (text) json_object_set_new(request, key, json_string(text));
}

static fl_code put_json(json_t *request, const char *text, fl_error *err) {
  json_t *v = NULL;
  if (!text) return FL_OK;
  if (fl_json_parse(text, strlen(text), &v, err)) return fl_wrap(err, "patch"), FL_E_USAGE;
  json_object_set_new(request, "patch", v);
  return FL_OK;
}

// Paths are told from where the command runs.
static fl_code put_file(json_t *request, const char *path, fl_error *err) {
  char full[PATH_MAX];
  if (!path) return FL_OK;
  if (!realpath(path, full))
    return fl_fail_errno(err, FL_E_NOT_FOUND, errno, "cannot read the patch '%s'", path);
  put_text(request, "file", full);
  return FL_OK;
}

static fl_code put_proposal(fl_patching *p, json_t *request, uint32_t number, fl_error *err) {
  fl_proposal_row row;
  fl_value *v = NULL;
  if (!number) return FL_OK;
  fl_code rc = fl_store_get_proposal(p->engine->store, p->row.row, number, &row, err);
  if (!rc) rc = fl_store_get_value(p->engine->store, row.patch, &v, err);
  if (!rc) json_object_set_new(request, "proposal", fl_value_to_json(v));
  fl_value_unref(v);
  return rc;
}

static fl_code make_request(fl_patching *p, const fl_patch *patch, json_t *request, fl_error *err) {
  put_texts(request, "params", &patch->params);
  put_texts(request, "vars", &patch->vars);
  put_texts(request, "outputs", &patch->outputs);
  put_texts(request, "options", &patch->options);
  put_texts(request, "checkpoints", &patch->checkpoints);
  put_texts(request, "drop_checkpoints", &patch->drop_checkpoints);
  put_texts(request, "skip", &patch->skip);
  put_texts(request, "rerun", &patch->rerun);
  put_texts(request, "succeed", &patch->succeed);
  put_texts(request, "keep", &patch->keep);
  put_texts(request, "rename", &patch->rename);
  put_text(request, "from", patch->from);
  put_text(request, "script", patch->script);
  put_text(request, "reason", patch->reason);
  if (patch->keep_checkpoint) json_object_set_new(request, "keep_checkpoint", json_true());
  fl_code rc = put_json(request, patch->json, err);
  if (!rc) rc = put_file(request, patch->file, err);
  return rc ? rc : put_proposal(p, request, patch->proposal, err);
}

// ------------------------------------------------------------------------------------- overrides

typedef struct earlier {
  fl_store *store;
  json_t *options; // node -> { option = v }: of all patches so far, by the names of today
  fl_code rc;
  fl_error *err;
} earlier;

static void rename_options(json_t *options, json_t *rename) {
  const char *old;
  json_t *new_name;
  json_object_foreach(rename, old, new_name) {
    json_t *changes = json_object_get(options, old);
    if (!changes) continue;
    json_object_set(options, json_string_value(new_name), changes);
    json_object_del(options, old);
  }
}

static void add_options(json_t *options, json_t *more) {
  const char *node;
  json_t *changes;
  json_object_foreach(more, node, changes) {
    json_t *have = json_object_get(options, node);
    if (have)
      json_object_update(have, changes);
    else
      json_object_set_new(options, node, json_deep_copy(changes));
  }
}

static bool see_epoch(void *ud, const fl_epoch_row *row) {
  earlier *e = ud;
  fl_value *patch = NULL;
  if (!row->patch) return true;
  e->rc = fl_store_get_value(e->store, row->patch, &patch, e->err);
  if (e->rc) return false;
  json_t *json = fl_value_to_json(patch);
  rename_options(e->options, json_object_get(json, "rename"));
  add_options(e->options, json_object_get(json, "options"));
  json_decref(json);
  fl_value_unref(patch);
  return true;
}

// {"flow","inherited","options"}: what earlier patches gave holds as far as the nodes are still
// there; what this one gives must fit. NULL: nothing; free() it.
static char *make_overrides(const char *flow, json_t *inherited, json_t *options) {
  if (!json_object_size(inherited) && !json_object_size(options)) return NULL;
  json_t *all = json_object();
  json_object_set_new(all, "flow", json_string(flow));
  json_object_set(all, "inherited", inherited);
  if (options)
    json_object_set(all, "options", options);
  else
    json_object_set_new(all, "options", json_object());
  char *text = json_dumps(all, JSON_COMPACT | JSON_ENCODE_ANY);
  json_decref(all);
  return text;
}

// ------------------------------------------------------------------------------------- scripts

static fl_code load_stored(fl_engine *e, const fl_run_row *row, const char *overrides,
                           fl_script **out, fl_error *err) {
  fl_snapshot snapshot = {0};
  fl_code rc = fl_store_get_script(e->store, row->script, &snapshot, err);
  if (!rc && !snapshot.count)
    rc = fl_fail(err, FL_E_CORRUPT, "the script of run %s is not in the store", row->id);
  if (!rc) {
    fl_buf path;
    fl_buf_init(&path, 8192);
    fl_buf_addf(&path, "%s/%s", snapshot.dir, snapshot.sources[0].path);
    rc = fl_engine_load(e, fl_buf_cstr(&path), &snapshot, overrides, out, err);
    fl_buf_deinit(&path);
  }
  fl_snapshot_deinit(&snapshot);
  return rc;
}

fl_flow *fl_engine_load_flow(fl_engine *e, int64_t script, const char *key) {
  fl_script *loaded = NULL;
  fl_error err;
  for (size_t i = 0; i < e->script_count && !loaded; i++)
    if (fl_script_get_snapshot(e->scripts[i])->store_id == script) loaded = e->scripts[i];
  fl_run_row row = {.script = script};
  if (!loaded && load_stored(e, &row, NULL, &loaded, &err)) return NULL;
  return fl_script_find_flow(loaded, key);
}

static fl_code find_flow(fl_script *script, const char *key, fl_flow **out, fl_error *err) {
  *out = fl_script_find_flow(script, key);
  if (*out) return FL_OK;
  return fl_fail(err, FL_E_USAGE, "%s does not define flow '%s'", fl_script_get_path(script), key);
}

static fl_code read_inherited(fl_engine *e, const fl_run_row *row, json_t **out, fl_error *err) {
  earlier all = {.store = e->store, .options = json_object(), .err = err};
  fl_code rc = fl_store_each_epoch(e->store, row->row, see_epoch, &all, err);
  *out = all.options;
  return rc ? rc : all.rc;
}

fl_code fl_engine_load_run(fl_engine *e, const fl_run_row *row, fl_script **script, fl_flow **flow,
                           fl_error *err) {
  json_t *inherited = NULL;
  *script = NULL;
  *flow = NULL;
  fl_code rc = read_inherited(e, row, &inherited, err);
  char *overrides = rc ? NULL : make_overrides(row->flow, inherited, NULL);
  if (!rc) rc = load_stored(e, row, overrides, script, err);
  if (!rc) rc = find_flow(*script, row->flow, flow, err);
  if (!rc) {
    (*flow)->script_store_id = row->script;
    (*flow)->definition_store_id = row->definition;
  }
  free(overrides);
  json_decref(inherited);
  return rc;
}

// The script that goes on: mended, or the same with other options, or just the same.
static fl_code load_after(fl_patching *p, fl_error *err) {
  json_t *script = json_object_get(p->json, "script"), *inherited = NULL;
  json_t *options = json_object_get(p->json, "options");
  p->script = p->before_script;
  p->flow = p->before;
  if (!script && !json_object_size(options)) return FL_OK;
  fl_code rc = read_inherited(p->engine, &p->row, &inherited, err);
  if (!rc) rename_options(inherited, json_object_get(p->json, "rename"));
  char *overrides = rc ? NULL : make_overrides(p->row.flow, inherited, options);
  if (!rc && script)
    rc = fl_engine_load(p->engine, json_string_value(script), NULL, overrides, &p->script, err);
  else if (!rc)
    rc = load_stored(p->engine, &p->row, overrides, &p->script, err);
  if (!rc) rc = find_flow(p->script, p->row.flow, &p->flow, err);
  if (!rc) {
    p->spec.before = p->before;
    if (!script) p->flow->script_store_id = p->row.script;
  }
  free(overrides);
  json_decref(inherited);
  return rc;
}

// ------------------------------------------------------------------------------------- states

static fl_code fail_part(fl_patching *p, fl_error *err) {
  fl_run_row parent = {0};
  fl_error ignored;
  bool known = !fl_store_get_run(p->engine->store, p->row.parent_run, &parent, &ignored);
  fl_fail(err, FL_E_STATE, "run %s is part of another run: resume that one%s%s%s", p->row.id,
          known ? " (" : "", known ? parent.id : "", known ? ")" : "");
  fl_run_row_deinit(&parent);
  return err->code;
}

static fl_code check_state(fl_patching *p, fl_error *err) {
  const fl_run_row *row = &p->row;
  if (row->parent_run) return fail_part(p, err);
  if (fl_scheduler_find_run(p->engine->scheduler, row->id) || fl_owner_holds(row))
    return fl_owner_fail_busy(p->engine, row, err);
  return FL_OK;
}

// A run that has succeeded goes on only where something is asked of its nodes.
static fl_code check_wanted(fl_patching *p, fl_error *err) {
  static const char *const asks[] = {"rerun", "outputs", "script", "options"};
  if (p->row.state != FL_RUN_SUCCEEDED) return FL_OK;
  for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
    json_t *v = json_object_get(p->json, asks[i]);
    if (json_is_string(v) || json_object_size(v) || json_array_size(v)) return FL_OK;
  }
  return fl_fail(err, FL_E_STATE, "run %s has succeeded: nothing to resume", p->row.id);
}

static void name_author(fl_patching *p, const char *given) {
  char host[64] = "";
  struct passwd *user = getpwuid(geteuid());
  gethostname(host, sizeof host - 1);
  if (given)
    snprintf(p->author, sizeof p->author, "%s", given);
  else if (user)
    snprintf(p->author, sizeof p->author, "%.48s@%s", user->pw_name, host);
  else
    snprintf(p->author, sizeof p->author, "%u@%s", (unsigned)geteuid(), host);
}

static fl_code build(fl_patching *p, const fl_patch *patch, fl_error *err) {
  fl_value *built = NULL;
  json_t *request = json_object();
  fl_code rc = make_request(p, patch, request, err);
  char *text = rc ? NULL : json_dumps(request, JSON_COMPACT);
  if (!rc) rc = fl_script_build_patch(p->before_script, p->before, text, &built, err);
  if (!rc) p->json = fl_value_to_json(built);
  fl_value_unref(built);
  free(text);
  json_decref(request);
  return rc;
}

fl_code fl_patching_open(fl_patching *p, fl_engine *e, const char *run_id, const fl_patch *given,
                         fl_error *err) {
  fl_patch patch = {0};
  if (given) memcpy(&patch, given, given->size < sizeof patch ? given->size : sizeof patch);
  fl_store *store;
  *p = (fl_patching){.engine = e};
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run_id, &p->row, err);
  if (!rc) rc = fl_store_check_run(store, p->row.row, err);
  if (!rc) rc = check_state(p, err);
  if (!rc) rc = fl_engine_load_run(e, &p->row, &p->before_script, &p->before, err);
  if (!rc) rc = build(p, &patch, err);
  if (!rc) rc = check_wanted(p, err);
  if (!rc) rc = load_after(p, err);
  if (!rc) rc = fl_patching_resolve(p, err);
  if (rc) return rc;
  p->spec.flow = p->flow;
  p->spec.proposal = patch.proposal;
  if (json_object_size(p->json) || patch.author) {
    name_author(p, patch.author);
    p->spec.author = p->author;
  }
  return FL_OK;
}

void fl_patching_close(fl_patching *p) {
  uint32_t count = p->flow ? fl_graph_get_count(p->flow->graph) : 0;
  for (uint32_t i = 0; p->outputs && i < count; i++) fl_value_unref(p->outputs[i]);
  for (size_t i = 0; i < p->spec.checkpoint_count; i++) fl_value_unref(p->checkpoints[i].value);
  fl_value_unref(p->spec.params);
  fl_value_unref(p->spec.vars);
  fl_value_unref(p->spec.patch);
  json_decref(p->json);
  fl_run_row_deinit(&p->row);
  free(p->skip);
  free(p->rerun);
  free(p->keep);
  free(p->succeed);
  free(p->outputs);
  free(p->checkpoints);
  free(p->renamed);
}
