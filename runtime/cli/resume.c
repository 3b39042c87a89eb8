// flowlua resume [RUN]: continues a run where it stopped, with what the user mends.
#include "watch.h"
#include <jansson.h>

static const fl_cli_option options[] = {
    {"plan", NULL, "tell what would run again and why, and stop", NULL},
    {"set", "NAME=VALUE", "set one of the run's vars: JSON, else text", NULL},
    {"param", "NAME=VALUE", "set a parameter: text where the default is a text, else JSON", NULL},
    {"output", "NODE.KEY=VALUE", "set one key of a node's outputs", NULL},
    {"skip", "NODE", "leave a node out", NULL},
    {"rerun", "NODE[+]", "run a node again, with + also all that depends on it", NULL},
    {"script", "FILE", "use a mended script instead of the one the run used", NULL},
    {"reason", "TEXT", "kept with the change", NULL},
    FL_CLI_WATCH_OPTIONS,
    {NULL, NULL, NULL, NULL},
};

/// The patch of the command line, with what owns it.
typedef struct patch_request {
  fl_patch patch;
  const char **params, **vars, **outputs;
  fl_cli_list skip, rerun;
} patch_request;

static void request_init(patch_request *r, const fl_cli *cli) {
  *r = (patch_request){.patch = {.size = sizeof(fl_patch)}};
  fl_patch *p = &r->patch;
  p->params = r->params = fl_cli_get_all(cli, "param", &p->param_count);
  p->vars = r->vars = fl_cli_get_all(cli, "set", &p->var_count);
  p->outputs = r->outputs = fl_cli_get_all(cli, "output", &p->output_count);
  fl_cli_list_init(&r->skip, cli, "skip");
  fl_cli_list_init(&r->rerun, cli, "rerun");
  p->skip = r->skip.items, p->skip_count = r->skip.count;
  p->rerun = r->rerun.items, p->rerun_count = r->rerun.count;
  p->script = fl_cli_get(cli, "script");
  p->reason = fl_cli_get(cli, "reason");
}

static void request_deinit(patch_request *r) {
  free(r->params);
  free(r->vars);
  free(r->outputs);
  fl_cli_list_deinit(&r->skip);
  fl_cli_list_deinit(&r->rerun);
}

static bool is_empty(const fl_patch *p) {
  return p->param_count + p->var_count + p->output_count + p->skip_count + p->rerun_count == 0 &&
         !p->script;
}

static void take_succeeded(void *ud, const fl_run_info *run) {
  *(bool *)ud = strcmp(run->status, "succeeded") == 0;
}

static void print_plan(const char *text) {
  json_t *plan = json_loads(text, 0, NULL), *node;
  size_t i, runs = 0;
  fl_cli_table *table = fl_cli_table_new("node:action:reason");
  json_array_foreach(json_object_get(plan, "nodes"), i, node) {
    const char *action = json_string_value(json_object_get(node, "action"));
    bool run = action && strcmp(action, "run") == 0;
    fl_cli_table_add(table, json_string_value(json_object_get(node, "name")), FL_STYLE_NONE);
    fl_cli_table_add(table, action, run ? FL_STYLE_CYAN : FL_STYLE_DIM);
    fl_cli_table_add(table, fl_reason_sentence(json_string_value(json_object_get(node, "reason"))),
                     FL_STYLE_NONE);
    runs += run;
  }
  size_t count = json_array_size(json_object_get(plan, "nodes"));
  fl_cli_table_print(table);
  const char *run_id = json_string_value(json_object_get(plan, "run"));
  fl_cli_printf("run %s: %zu of %zu nodes would run\n", run_id ? run_id : "", runs, count);
  json_decref(plan);
}

static int show_plan(const fl_cli *cli, fl_engine *engine, const char *run_id,
                     const fl_patch *patch) {
  char *text = NULL;
  fl_error err = {0};
  if (fl_run_resume_plan(engine, run_id, patch, &text, &err) != FL_OK) return fl_cli_fail(&err);
  if (fl_cli_has(cli, "json"))
    fl_cli_print_json(text);
  else
    print_plan(text);
  fl_free(text);
  return FL_EXIT_OK;
}

static int resume_and_follow(fl_cli_watch *w, fl_engine *engine, const fl_patch *patch) {
  fl_error err = {0};
  w->resumed = true;
  w->started_ms = fl_cli_monotonic_ms();
  if (!fl_cli_drive_begin(w)) return FL_EXIT_SYSTEM;
  if (fl_run_resume(engine, w->run_id, patch, &err) != FL_OK) return fl_cli_fail(&err);
  if (w->mode == FL_MODE_LIVE) fl_cli_watch_count_kept(w, engine);
  int code = fl_cli_drive(w, engine);
  return code != FL_EXIT_OK ? code : fl_cli_watch_finish(w, engine);
}

static void say_succeeded(const fl_cli_watch *w) {
  static const char text[] = "run %s has succeeded: nothing to resume";
  if (w->mode == FL_MODE_JSON) {
    fl_cli_note(text, w->run_id);
  } else {
    fl_cli_printf(text, w->run_id);
    fl_cli_printf("\n");
  }
}

static int resume_run(const fl_cli *cli) {
  patch_request request;
  fl_cli_watch watch;
  fl_cli_engine engine = {0};
  fl_config config = {0};
  fl_pool_size *pools = NULL;
  fl_error err = {0};
  bool plan = fl_cli_has(cli, "plan"), succeeded = false;
  int code = FL_EXIT_USAGE;
  if (fl_cli_detach_wanted(cli)) return fl_cli_detach(cli);
  request_init(&request, cli);
  fl_cli_watch_init(&watch, cli);
  if (!fl_cli_watch_config(&watch, &config, &pools)) goto out;
  code = fl_cli_engine_open(cli, plan ? FL_CLI_READ : FL_CLI_WRITE, &config, &engine);
  if (code != FL_EXIT_OK) goto out;
  const char *name = cli->word_count > 0 ? cli->words[0] : "last";
  if (fl_run_find(engine.engine, name, watch.run_id, &err) != FL_OK ||
      fl_read_status(engine.engine, watch.run_id, take_succeeded, NULL, &succeeded, &err) != FL_OK)
    code = fl_cli_fail(&err);
  else if (succeeded && is_empty(&request.patch))
    say_succeeded(&watch);
  else if (plan)
    code = show_plan(cli, engine.engine, watch.run_id, &request.patch);
  else
    code = resume_and_follow(&watch, engine.engine, &request.patch);
out:
  fl_cli_engine_close(&engine);
  fl_cli_drive_end(&watch);
  fl_cli_watch_deinit(&watch);
  fl_cli_watch_free_pools(pools, config.pool_count);
  request_deinit(&request);
  return code;
}

const fl_cli_verb fl_cli_verb_resume = {
    .name = "resume",
    .words = "[RUN]",
    .summary = "continue a run where it stopped (default: the last run)",
    .word_count_max = 1,
    .word_kind = "run",
    .options = options,
    .example = "flowlua resume --plan\n"
               "flowlua resume last-failed --set limit=100 --rerun clean+\n"
               "flowlua resume --detach",
    .run = resume_run,
};
