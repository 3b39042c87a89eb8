// flowlua run FILE: starts a flow of a script and follows it to its end.
#include "dry.h"
#include "params.h"
#include "watch.h"
#include <errno.h>
#include <jansson.h>
#include <unistd.h>

static const fl_cli_option options[] = {
    {"flow", "KEY", "which flow, when the script has several", NULL},
    {"param", "NAME=VALUE",
     "set a parameter: text where the default is a text, else JSON (NAME:=JSON)", NULL},
    {"params", "FILE", "parameters as one JSON object; --param holds over it", NULL},
    {"at", "TIME",
     "the logical time the run is for: 2026-01-31 (in the flow's zone) or "
     "2026-01-31T02:00:00+08:00",
     NULL},
    {"only", "A,B", "run these nodes only", NULL},
    {"from", "A", "run A and all that depends on it", NULL},
    {"until", "B", "run B and all it depends on", NULL},
    FL_CLI_WATCH_OPTIONS,
    {"dry-run", NULL, "check everything, tell what would run, and stop", NULL},
    {NULL, NULL, NULL, NULL},
};

/// What of the command line goes into fl_run_options, with what owns it.
typedef struct run_request {
  fl_run_options options;
  const char **params;
  size_t params_typed; // how many of them stood on the command line; those behind are ours
  fl_cli_text params_file;
  fl_cli_list only;
} run_request;

// False: a message was printed.
static bool check_object(const char *path, fl_cli_text *text) {
  json_error_t error;
  json_t *json = json_loadb(text->data ? text->data : "", text->size, JSON_ALLOW_NUL, &error);
  bool good = json_is_object(json);
  if (!json)
    fl_cli_usage("--params: %s:%d: no JSON: %s", path, error.line, error.text);
  else if (!good)
    fl_cli_usage("--params: %s: expected one JSON object, {\"name\": value}", path);
  json_decref(json);
  return good;
}

static bool request_init(run_request *r, const fl_cli *cli) {
  const char *at = fl_cli_get(cli, "at");
  *r = (run_request){.options = {.size = sizeof(fl_run_options)}};
  fl_run_options *o = &r->options;
  if (at && !fl_time_parse(at, &o->time_ms))
    return fl_cli_usage("--at: expected a time like 2026-01-31 or 2026-01-31T02:00:00+08:00, "
                        "got \"%s\"",
                        at),
           false;
  o->flow = fl_cli_get(cli, "flow");
  o->params = r->params = fl_cli_get_all(cli, "param", &o->param_count);
  r->params_typed = o->param_count;
  const char *file = fl_cli_get(cli, "params");
  if (file && !fl_cli_read_file("params", file, &r->params_file)) return false;
  if (file && !check_object(file, &r->params_file)) return false;
  if (file) o->params_json = fl_cli_text_cstr(&r->params_file);
  const char *only = fl_cli_get(cli, "only");
  if (only && only[strspn(only, ",")] == '\0')
    return fl_cli_usage("--only: expected names of nodes, got \"%s\"", only), false;
  fl_cli_list_init(&r->only, cli, "only");
  o->only = r->only.items;
  o->only_count = r->only.count;
  o->from = fl_cli_get(cli, "from");
  o->until = fl_cli_get(cli, "until");
  o->dry_run = fl_cli_has(cli, "dry-run");
  return true;
}

static void request_deinit(run_request *r) {
  for (size_t i = r->params_typed; i < r->options.param_count; i++) free((char *)r->params[i]);
  free(r->params);
  fl_cli_text_deinit(&r->params_file);
  fl_cli_list_deinit(&r->only);
}

// In the words of the command line, before anything is opened.
static bool check_file(const char *path) {
  if (fl_cli_is_stdin(path) || access(path, R_OK) == 0) return true;
  fl_cli_usage("cannot open script '%s': %s", path, strerror(errno));
  return false;
}

// Loads the script, with what stands behind it as its arguments. FL_EXIT_OK and *script NULL: it
// was a script without flows, and has done its work.
static int load(const fl_cli *cli, fl_engine *engine, fl_script **script) {
  fl_error err = {0};
  *script = NULL;
  fl_engine_set_args(engine, (int)cli->word_count - 1, (char *const *)(cli->words + 1));
  if (fl_cli_load_script(engine, cli->words[0], script, &err) != FL_OK) return fl_cli_fail(&err);
  fl_cli_notices(*script);
  if (fl_script_get_flow_count(*script) == 0) {
    *script = NULL;
    return FL_EXIT_OK;
  }
  if (cli->words_before_dashes > 1)
    return fl_cli_usage("unexpected argument '%s': '%s' defines flows (flowlua run FILE [options])",
                        cli->words[1], cli->words[0]);
  return FL_EXIT_OK;
}

// A time without a zone is the flow's.
static int read_at(const fl_cli *cli, fl_script *script, fl_run_options *o) {
  fl_error err = {0};
  const char *at = fl_cli_get(cli, "at");
  if (at && fl_script_parse_time(script, o->flow, at, &o->time_ms, &err) != FL_OK)
    return fl_cli_fail(&err);
  return FL_EXIT_OK;
}

static int start_and_follow(fl_cli_watch *w, fl_engine *engine, fl_script *script,
                            const fl_run_options *run_options) {
  fl_error err = {0};
  char run_id[32];
  const char *flow = run_options->flow ? run_options->flow : fl_script_get_flow_key(script, 0);
  w->flow = strdup(flow ? flow : "");
  w->started_ms = fl_cli_monotonic_ms();
  if (!fl_cli_drive_begin(w)) return FL_EXIT_SYSTEM;
  if (fl_run_start(script, run_options, run_id, &err) != FL_OK) return fl_cli_fail(&err);
  snprintf(w->run_id, sizeof w->run_id, "%s", run_id);
  fl_cli_watch_read_history(w, engine);
  int code = fl_cli_drive(w, engine);
  return code != FL_EXIT_OK ? code : fl_cli_watch_finish(w, engine);
}

static int run_run(const fl_cli *cli) {
  run_request request = {0};
  fl_cli_watch watch;
  fl_cli_engine engine = {0};
  fl_config config = {0};
  fl_pool_size *pools = NULL;
  fl_script *script;
  int code = FL_EXIT_USAGE;
  if (fl_cli_detach_wanted(cli) && !fl_cli_has(cli, "help")) return fl_cli_detach(cli);
  fl_cli_watch_init(&watch, cli);
  if (!request_init(&request, cli) || !fl_cli_watch_config(&watch, &config, &pools)) goto out;
  if (!check_file(cli->words[0])) goto out;
  bool dry = request.options.dry_run || fl_cli_has(cli, "help");
  config.open_late = true; // a script that does not load, or defines no flow, leaves nothing behind
  code = fl_cli_engine_open(cli, dry ? FL_CLI_SCRIPT : FL_CLI_WRITE, &config, &engine);
  if (code != FL_EXIT_OK) goto out;
  code = load(cli, engine.engine, &script);
  if (code != FL_EXIT_OK || !script) goto out;
  if (fl_cli_has(cli, "help")) {
    code = fl_cli_params_print(cli, script, request.options.flow);
    goto out;
  }
  code = read_at(cli, script, &request.options);
  if (code != FL_EXIT_OK) goto out;
  code = FL_EXIT_USAGE;
  if (!fl_cli_params_check_pools(script, pools, config.pool_count)) goto out;
  bool asks = watch.mode == FL_MODE_LIVE || watch.mode == FL_MODE_PLAIN;
  bool answered = !asks || fl_cli_params_ask(script, &request.options, &request.params,
                                             &request.options.param_count);
  request.options.params = request.params;
  code = FL_EXIT_USAGE;
  if (!answered) goto out;
  code = dry ? fl_cli_dry_run(cli, script, &request.options)
             : start_and_follow(&watch, engine.engine, script, &request.options);
out:
  fl_cli_engine_close(&engine);
  fl_cli_drive_end(&watch);
  fl_cli_watch_deinit(&watch);
  fl_cli_watch_free_pools(pools, config.pool_count);
  request_deinit(&request);
  return code;
}

const fl_cli_verb fl_cli_verb_run = {
    .name = "run",
    .words = "FILE [options] [-- ARG...]",
    .summary = "run a flow of a script to its end",
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .options = options,
    .example = "flowlua run pipeline.lua --param n=42 --jobs 4\n"
               "flowlua pipeline.lua --at 2026-01-31 --only extract,clean\n"
               "flowlua run pipeline.lua --detach",
    .run = run_run,
};
