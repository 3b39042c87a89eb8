// Loads the scripts of runs: as they were, with the options that patches gave their nodes, and as a
// patch lets them go on.
#include <unistd.h>
#include "api/patch.h"

// ------------------------------------------------------------------------------------- options

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
    if (strchr(node, '/')) continue; // of a sub-flow: its run has them
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

// As whoever stands here would type it, so that the errors of a run and of its resume are the same.
static const char *shorten(const char *path) {
  char cwd[PATH_MAX];
  size_t size = getcwd(cwd, sizeof cwd) ? strlen(cwd) : 0;
  return size > 1 && !strncmp(path, cwd, size) && path[size] == '/' ? path + size + 1 : path;
}

static fl_code load_stored(fl_engine *e, const fl_run_row *row, const char *overrides,
                           fl_script **out, fl_error *err) {
  fl_snapshot snapshot = {0};
  fl_code rc = fl_store_get_script(e->store, row->script, &snapshot, err);
  if (rc == FL_E_NOT_FOUND) {
    fl_wrap(err, "the script that run %s used is not in the store any more", row->id);
    err->code = rc = FL_E_CORRUPT;
  }
  if (!rc) {
    fl_buf path;
    fl_buf_init(&path, 8192);
    fl_buf_addf(&path, "%s/%s", snapshot.dir, snapshot.sources[0].path);
    rc = fl_scripts_take(e->scripts, shorten(fl_buf_cstr(&path)), &snapshot, overrides, out, err);
    fl_buf_deinit(&path);
  }
  fl_snapshot_deinit(&snapshot);
  return rc;
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
  fl_definition_row definition;
  *script = NULL;
  *flow = NULL;
  fl_code rc = read_inherited(e, row, &inherited, err);
  char *overrides = rc ? NULL : make_overrides(row->flow, inherited, NULL);
  if (!rc) rc = load_stored(e, row, overrides, script, err);
  if (!rc) rc = fl_store_get_definition(e->store, row->definition, &definition, err);
  if (!rc) rc = find_flow(*script, row->flow, flow, err);
  if (!rc) {
    (*flow)->script_store_id = row->script;
    // One that a resume edited is the run's alone: others use the flow, too.
    (*flow)->definition_store_id = definition.edited ? 0 : row->definition;
  } else if (*script) {
    fl_script_unref(*script);
    *script = NULL;
  }
  free(overrides);
  json_decref(inherited);
  return rc;
}

// ------------------------------------------------------------------------------------- going on

// `of` once more, for a run that has options of its own.
static fl_code load_with(fl_engine *e, fl_script *of, const char *overrides, fl_script **out,
                         fl_error *err) {
  return fl_scripts_take(e->scripts, fl_script_get_path(of), fl_script_get_snapshot(of), overrides,
                         out, err);
}

// It goes on with `script`, which must be taken already where it is not its own.
static fl_script *share(fl_script *script) {
  fl_script_ref(script);
  return script;
}

fl_code fl_patching_load_mended(fl_patching *p, const char *path, fl_error *err) {
  p->flow = p->before;
  if (!path) {
    p->script = share(p->before_script);
    return FL_OK;
  }
  fl_code rc = fl_scripts_take(p->engine->scripts, path, NULL, NULL, &p->script, err);
  return rc ? rc : find_flow(p->script, p->row.flow, &p->flow, err);
}

fl_code fl_patching_load_after(fl_patching *p, fl_error *err) {
  json_t *script = json_object_get(p->own, "script"), *inherited = NULL;
  json_t *options = json_object_get(p->own, "options");
  fl_script *from = p->caller ? p->caller->script : NULL; // of which a sub-flow is a part
  bool moved =
      from && (p->caller->spec.before || fl_script_get_snapshot(from)->store_id != p->row.script);
  fl_script *mended = p->script; // by fl_patching_load_mended(); of a sub-flow NULL
  fl_code rc = FL_OK;
  char *overrides = NULL;
  p->script = NULL;
  p->flow = p->before;
  if (!script && !moved && !json_object_size(options)) {
    p->script = share(p->before_script);
    goto out;
  }
  rc = read_inherited(p->engine, &p->row, &inherited, err);
  if (!rc) rename_options(inherited, json_object_get(p->own, "rename"));
  overrides = rc ? NULL : make_overrides(p->row.flow, inherited, options);
  if (rc)
    ;
  else if (script && !overrides)
    p->script = share(mended);
  else if (script)
    rc = fl_scripts_take(p->engine->scripts, json_string_value(script), NULL, overrides, &p->script,
                         err);
  else if (from && !overrides)
    p->script = share(from);
  else if (from)
    rc = load_with(p->engine, from, overrides, &p->script, err);
  else
    rc = load_stored(p->engine, &p->row, overrides, &p->script, err);
  if (!rc) rc = find_flow(p->script, p->row.flow, &p->flow, err);
  if (!rc) {
    p->spec.before = p->before;
    if (!script && !from) p->flow->script_store_id = p->row.script;
  }
out:
  if (mended) fl_script_unref(mended);
  free(overrides);
  json_decref(inherited);
  return rc;
}

fl_code fl_patching_load_before(fl_patching *p, fl_error *err) {
  fl_script *from = p->caller->before_script;
  const char *overrides = fl_script_get_overrides(from);
  json_t *inherited = NULL;
  fl_code rc = read_inherited(p->engine, &p->row, &inherited, err);
  bool own = json_object_size(inherited), same_key = !strcmp(p->row.flow, p->caller->row.flow);
  json_decref(inherited);
  if (rc) return rc;
  if (own || (overrides && same_key) || fl_script_get_snapshot(from)->store_id != p->row.script)
    return fl_engine_load_run(p->engine, &p->row, &p->before_script, &p->before, err);
  p->before_script = share(from);
  return find_flow(from, p->row.flow, &p->before, err);
}

fl_code fl_engine_find_sub(fl_engine *e, const fl_run_row *row, const fl_flow *sub,
                           const fl_flow **out, fl_value **patch, fl_error *err) {
  json_t *inherited = NULL;
  fl_script *script = NULL;
  fl_flow *flow = NULL;
  *out = sub;
  *patch = NULL;
  fl_code rc = read_inherited(e, row, &inherited, err);
  char *overrides = rc ? NULL : make_overrides(row->flow, inherited, NULL);
  if (overrides) {
    rc = load_with(e, sub->script, overrides, &script, err);
    if (!rc) rc = find_flow(script, sub->key, &flow, err);
    if (!rc) {
      flow->script_store_id = sub->script_store_id;
      *out = flow;
      json_t *kept = json_pack("{s:O}", "options", inherited);
      rc = fl_value_from_json(kept, "the options that patches gave are", patch, err);
      json_decref(kept);
    }
    if (script) fl_script_unref(script); // the run that is made of it now holds it
  }
  free(overrides);
  json_decref(inherited);
  return rc;
}
