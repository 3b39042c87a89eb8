// Builds the patch of a resume from all that may say something: a proposal, a file, JSON, flags.
#include <errno.h>
#include <pwd.h>
#include <unistd.h>
#include "api/patch.h"
#include "bind/file.h"
#include "patch_keys.h"

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

// A file is read once: the patch may come through a pipe.
static fl_code put_file(json_t *request, const fl_patch *patch, fl_error *err) {
  fl_buf text;
  if (!patch->file) return FL_OK;
  fl_buf_init(&text, FL_PATCH_SIZE_MAX);
  int error = 0;
  if (!patch->file_text)
    error = fl_file_read(patch->file, &text);
  else
    fl_buf_add_str(&text, patch->file_text);
  if (text.failed) error = EFBIG;
  json_t *v = error ? NULL : json_stringn(fl_buf_cstr(&text), text.size);
  fl_buf_deinit(&text);
  if (error)
    return fl_fail_errno(err, FL_E_NOT_FOUND, error, "cannot read the patch '%s'", patch->file);
  if (!v) return fl_fail(err, FL_E_USAGE, "the patch '%s' is no UTF-8 text", patch->file);
  put_text(request, "file", patch->file);
  json_object_set_new(request, "file_text", v);
  return FL_OK;
}

static fl_code put_proposal(fl_patching *p, json_t *request, uint32_t number, fl_error *err) {
  fl_proposal_row row;
  fl_value *v = NULL;
  if (!number) return FL_OK;
  fl_code rc = fl_store_get_proposal(p->engine->store, p->row.row, number, &row, err);
  if (!rc && row.applied_epoch)
    rc = fl_fail(err, FL_E_STATE,
                 "proposal %u of run %s was applied already, by resume %u: what it changed holds",
                 number, p->row.id, row.applied_epoch - 1);
  if (!rc) rc = fl_store_get_value(p->engine->store, row.patch, &v, err);
  if (!rc) json_object_set_new(request, "proposal", fl_value_to_json(v));
  fl_value_unref(v);
  return rc;
}

typedef struct var_texts {
  fl_store *store;
  json_t *names; // of vars that are set, to null; what is known of them: true: a text
  size_t unknown;
} var_texts;

// What the var was before is newer than what it was before that.
static void note_vars(var_texts *t, const json_t *vars) {
  const char *name;
  json_t *known;
  void *next;
  json_object_foreach_safe(t->names, next, name, known) {
    const json_t *value = json_object_get(vars, name);
    if (!json_is_null(known) || !value || json_is_null(value)) continue;
    json_object_set_new(t->names, name, json_boolean(json_is_string(value)));
    t->unknown--;
  }
}

static bool see_vars(void *ud, const fl_value *value) {
  var_texts *t = ud;
  json_t *vars = fl_value_to_json(value);
  note_vars(t, vars);
  json_decref(vars);
  return t->unknown > 0;
}

// Which of the vars that are set were texts: those stay texts, whatever is typed.
static fl_code put_text_vars(fl_patching *p, const fl_texts *vars, json_t *request, fl_error *err) {
  var_texts t = {.store = p->engine->store, .names = json_object()};
  for (size_t i = 0; i < vars->count; i++) {
    const char *equals = strchr(vars->items[i], '=');
    char *name = equals ? fl_strndup(vars->items[i], (size_t)(equals - vars->items[i])) : NULL;
    if (name) json_object_set_new(t.names, name, json_null());
    free(name);
  }
  t.unknown = json_object_size(t.names);
  fl_code rc = t.unknown ? fl_store_each_vars(t.store, p->row.row, see_vars, &t, err) : FL_OK;
  const char *name;
  json_t *known;
  void *next;
  json_object_foreach_safe(t.names, next, name, known) {
    if (!json_is_true(known)) json_object_del(t.names, name);
  }
  if (!rc && json_object_size(t.names)) json_object_set(request, "text_vars", t.names);
  json_decref(t.names);
  return rc;
}

static fl_code make_request(fl_patching *p, const fl_patch *patch, json_t *request, fl_error *err) {
#define PUT_TEXTS(name) put_texts(request, #name, &patch->name);
#define PUT_NAMES(name) put_texts(request, #name, &patch->name);
#define PUT_TEXT(name)  put_text(request, #name, patch->name);
#define PUT_FLAG(name)                                                                             \
  if (patch->name) json_object_set_new(request, #name, json_true());
#define PUT(kind, name, flag, value, doc, changes, wakes) PUT_##kind(name)
  FL_PATCH_KEYS(PUT)
  fl_code rc = put_json(request, patch->json, err);
  if (!rc) rc = put_file(request, patch, err);
  if (!rc) rc = put_text_vars(p, &patch->vars, request, err);
  return rc ? rc : put_proposal(p, request, patch->proposal, err);
}

// ------------------------------------------------------------------------------------- states

// Says which run to resume instead, and what a patch of it calls the nodes of this one.
static fl_code fail_part(fl_patching *p, fl_error *err) {
  char root[FL_RUN_ID_SIZE];
  char *path = fl_find_root(p->engine->store, &p->row, root);
  fl_fail(err, FL_E_STATE,
          "run %s is part of run %s: resume that one; its name there for a node of "
          "this one is %sNODE",
          p->row.id, root, path);
  free(path);
  return err->code;
}

static fl_code check_state(fl_patching *p, fl_error *err) {
  const fl_run_row *row = &p->row;
  if (row->parent_run) return fail_part(p, err);
  if (p->purpose == FL_PATCHING_PROPOSAL || p->purpose == FL_PATCHING_WITHIN) return FL_OK;
  if (fl_scheduler_find_run(p->engine->scheduler, row->id) || fl_owner_holds(p->engine, row))
    return fl_owner_fail_busy(p->engine, row, err);
  return FL_OK;
}

// A run that has succeeded goes on only where something is asked of its nodes.
static fl_code check_wanted(fl_patching *p, bool wakes, fl_error *err) {
  if (p->row.state != FL_RUN_SUCCEEDED || wakes) return FL_OK;
  return fl_fail(
      err, FL_E_STATE,
      "run %s has succeeded: nothing to resume; a rerun of nodes, other outputs, options "
      "or a mended script would make it go on (--rerun, --output, --option, --script)",
      p->row.id);
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

// The texts are typed by the flow that goes on: with a mended script that makes the patch.
static fl_code build(fl_patching *p, const fl_patch *patch, fl_error *err) {
  fl_made_patch made = {0};
  json_t *request = json_object();
  fl_code rc = make_request(p, patch, request, err);
  char *text = rc ? NULL : json_dumps(request, JSON_COMPACT);
  if (!rc) rc = fl_script_make_patch(p->before, text, false, &made, err);
  char *script = made.script;
  if (!rc) rc = fl_patching_load_mended(p, script, err);
  if (!rc && script) rc = fl_script_make_patch(p->flow, text, true, &made, err);
  free(script);
  if (!rc) p->json = fl_value_to_json(made.patch);
  if (!rc) p->own = fl_value_to_json(made.own);
  if (!rc) rc = check_wanted(p, made.wakes, err);
  fl_value_unref(made.patch);
  fl_value_unref(made.own);
  free(text);
  json_decref(request);
  return rc;
}

// A run that the scheduler still has is as the patch finds it.
static fl_code load_before(fl_patching *p, fl_error *err) {
  fl_run *run = fl_scheduler_find_run(p->engine->scheduler, p->row.id);
  if (!run) return fl_engine_load_run(p->engine, &p->row, &p->before_script, &p->before, err);
  p->before = (fl_flow *)fl_run_get_flow(run);
  p->before_script = p->before->script;
  fl_script_ref(p->before_script);
  return FL_OK;
}

fl_code fl_patching_open(fl_patching *p, fl_engine *e, const char *run_id, const fl_patch *given,
                         fl_patching_purpose purpose, fl_error *err) {
  fl_patch patch = {0};
  if (given) memcpy(&patch, given, given->size < sizeof patch ? given->size : sizeof patch);
  fl_store *store;
  *p = (fl_patching){.engine = e, .purpose = purpose};
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run_id, &p->row, err);
  if (!rc) rc = fl_store_check_run(store, p->row.row, err);
  if (!rc) rc = check_state(p, err);
  if (!rc) rc = load_before(p, err);
  if (!rc) rc = build(p, &patch, err);
  if (!rc && (json_object_size(p->json) || patch.author)) {
    name_author(p, patch.author);
    p->spec.author = p->author;
  }
  p->spec.proposal = patch.proposal;
  if (!rc) rc = fl_patching_load_after(p, err);
  return rc ? rc : fl_patching_resolve(p, err);
}

void fl_patching_close(fl_patching *p) {
  for (size_t i = 0; i < p->part_count; i++) fl_patching_close(&p->parts[i]);
  if (p->script) fl_script_unref(p->script);
  if (p->before_script) fl_script_unref(p->before_script);
  for (size_t i = 0; p->outputs && i < p->target_count; i++) fl_value_unref(p->outputs[i]);
  for (size_t i = 0; i < p->spec.checkpoint_count; i++) fl_value_unref(p->checkpoints[i].value);
  fl_value_unref(p->spec.params);
  fl_value_unref(p->spec.vars);
  fl_value_unref(p->spec.patch);
  json_decref(p->json);
  json_decref(p->own);
  json_decref(p->found);
  fl_run_row_deinit(&p->row);
  free(p->skip);
  free(p->rerun);
  free(p->keep);
  free(p->succeed);
  free(p->outputs);
  free(p->checkpoints);
  free(p->renamed);
  free(p->item_names);
  free(p->items);
  free(p->parts);
  free(p->part_specs);
}
