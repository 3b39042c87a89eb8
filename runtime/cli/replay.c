// flowlua replay RUN, or FLOW --at TIME: repeats a run with the script and contexts of then.
#include "compare.h"
#include "watch.h"
#include <unistd.h>

#define ALL_MAX 100 // with more nodes, those that are equal are counted only

static const fl_cli_option options[] = {
    {"at", "TIME", "repeat the run of a flow (a key, or a script file) for this logical time",
     NULL},
    {"live", NULL, "let nodes see what their parents give now, not what they saw then", NULL},
    {"current-script", NULL, "use the script file of today, not the one the run used", NULL},
    {"script", "FILE", "use this script file instead of the one the run used", NULL},
    FL_CLI_WATCH_OPTIONS,
    {NULL, NULL, NULL, NULL},
};

// ------------------------------------------------------------------------------------- moments

static void note_runs(const json_t *list, const char *title) {
  size_t i;
  json_t *run;
  json_array_foreach((json_t *)list, i, run) {
    fl_cli_note("  %-6s  %s  for %s  %s", i == 0 ? title : "", fl_cli_json_text(run, "id"),
                fl_cli_json_text(run, "time"), fl_cli_json_text(run, "status"));
  }
}

// Why nothing can be repeated, what there is near it, and how to run it after all.
static int fail_moment(const json_t *moment, const char *at) {
  fl_cli_text script = {0}, flow = {0};
  const char *path = json_string_value(json_object_get(moment, "script"));
  fl_cli_text_quote(&script, path ? path : "FILE");
  fl_cli_text_quote(&flow, fl_cli_json_text(moment, "flow"));
  fl_cli_usage("flow '%s' was never run for %s: there is nothing to repeat",
               fl_cli_json_text(moment, "flow"), fl_cli_json_text(moment, "time"));
  note_runs(json_object_get(moment, "before"), "before");
  note_runs(json_object_get(moment, "after"), "after");
  fl_cli_note("to run it for that time now: flowlua run %s --flow %s --at %s",
              fl_cli_text_cstr(&script), fl_cli_text_cstr(&flow), at);
  if (fl_cli_verb_find("backfill"))
    fl_cli_note("or, with others: flowlua backfill %s --from %s --to %s", fl_cli_text_cstr(&script),
                at, at);
  fl_cli_text_deinit(&script);
  fl_cli_text_deinit(&flow);
  return FL_EXIT_USAGE;
}

// The key of the flow that `word` names: itself, or the only one of a script file.
static int find_flow(fl_engine *engine, const char *word, const char **key, fl_script **out) {
  fl_error err = {0};
  fl_script *script;
  *key = word;
  *out = NULL;
  size_t size = strlen(word);
  bool file = strchr(word, '/') || (size > 4 && strcmp(word + size - 4, ".lua") == 0);
  if (!file || access(word, R_OK) != 0) return FL_EXIT_OK;
  if (fl_script_load(engine, word, &script, &err) != FL_OK) return fl_cli_fail(&err);
  if (fl_script_get_flow_count(script) != 1)
    return fl_cli_usage("'%s' defines %zu flows: name the flow by its key", word,
                        fl_script_get_flow_count(script));
  *key = fl_script_get_flow_key(script, 0);
  *out = script;
  return FL_EXIT_OK;
}

// A time without a zone is the flow's; where its script can be asked no more, UTC's.
static bool read_at(fl_engine *engine, const char *at, const char *key, fl_script *script,
                    int64_t *time_ms) {
  char *text = NULL;
  fl_error ignored;
  if (!fl_time_parse(at, time_ms))
    return fl_cli_usage("--at: expected a time like 2026-01-31 or 2026-01-31T02:00:00+08:00, "
                        "got \"%s\"",
                        at),
           false;
  if (!script && fl_read_moment(engine, key, *time_ms, &text, &ignored) == FL_OK) {
    json_t *moment = json_loads(text, 0, NULL);
    const char *path = json_string_value(json_object_get(moment, "script"));
    if (path && fl_script_load(engine, path, &script, &ignored) != FL_OK) script = NULL;
    json_decref(moment);
  }
  fl_free(text);
  if (script) (void)!fl_script_parse_time(script, key, at, time_ms, &ignored);
  return true;
}

// Finds the run to repeat: its id goes to `out`.
static int find_run(const fl_cli *cli, fl_engine *engine, char out[32]) {
  const char *at = fl_cli_get(cli, "at"), *key;
  fl_error err = {0};
  int64_t time_ms;
  char *text = NULL;
  const char *word = fl_cli_run_word(cli);
  if (!at && fl_run_find(engine, word, out, &err) != FL_OK)
    return fl_cli_fail_run(cli, engine, word, &err);
  if (!at) return FL_EXIT_OK;
  fl_script *script;
  int code = find_flow(engine, cli->words[0], &key, &script);
  if (code != FL_EXIT_OK) return code;
  if (!read_at(engine, at, key, script, &time_ms)) return FL_EXIT_USAGE;
  if (fl_read_moment(engine, key, time_ms, &text, &err) != FL_OK) return fl_cli_fail(&err);
  json_t *moment = json_loads(text, 0, NULL), *run = json_object_get(moment, "run");
  if (json_is_object(run))
    snprintf(out, 32, "%s", fl_cli_json_text(run, "id"));
  else
    code = fail_moment(moment, at);
  json_decref(moment);
  fl_free(text);
  return code;
}

// ------------------------------------------------------------------------------------- the verb

// Says of every node whether its result is the one of then. False: a message was printed.
static bool compare(const fl_cli_watch *w, fl_engine *engine) {
  fl_error err = {0};
  char *text = NULL;
  if (w->mode == FL_MODE_QUIET || w->signal) return true;
  if (fl_read_diff(engine, w->run_id, NULL, true, &text, &err) != FL_OK)
    return fl_cli_fail(&err), false;
  json_t *diff = json_loads(text, 0, NULL);
  if (w->mode == FL_MODE_JSON)
    fl_cli_print_replay_json(diff);
  else
    fl_cli_print_replay(diff, json_array_size(json_object_get(diff, "nodes")) <= ALL_MAX);
  json_decref(diff);
  fl_free(text);
  fl_cli_flush();
  return true;
}

static int start_and_follow(fl_cli_watch *w, fl_engine *engine) {
  fl_error err = {0};
  char then[32], run_id[32];
  fl_replay_options o = {.size = sizeof o,
                         .live = fl_cli_has(w->cli, "live"),
                         .current_script = fl_cli_has(w->cli, "current-script"),
                         .script = fl_cli_get(w->cli, "script")};
  int code = find_run(w->cli, engine, then);
  if (code != FL_EXIT_OK) return code;
  w->started_ms = fl_cli_monotonic_ms();
  if (!fl_cli_drive_begin(w)) return FL_EXIT_SYSTEM;
  if (fl_run_replay(engine, then, &o, run_id, &err) != FL_OK) return fl_cli_fail(&err);
  snprintf(w->run_id, sizeof w->run_id, "%s", run_id);
  code = fl_cli_drive(w, engine);
  if (code != FL_EXIT_OK) return code;
  code = fl_cli_watch_finish(w, engine);
  return compare(w, engine) ? code : FL_EXIT_SYSTEM;
}

static int replay_run(const fl_cli *cli) {
  fl_cli_watch watch;
  fl_cli_engine engine = {0};
  fl_config config = {0};
  fl_pool_size *pools = NULL;
  int code = FL_EXIT_USAGE;
  if (cli->word_count == 0 && fl_cli_has(cli, "at"))
    return fl_cli_usage("FLOW is missing: flowlua replay FLOW --at TIME");
  if (fl_cli_detach_wanted(cli)) return fl_cli_detach(cli);
  fl_cli_watch_init(&watch, cli);
  if (!fl_cli_watch_config(&watch, &config, &pools)) goto out;
  code = fl_cli_engine_open(cli, FL_CLI_CHANGE, &config, &engine);
  if (code == FL_EXIT_OK) code = start_and_follow(&watch, engine.engine);
out:
  fl_cli_engine_close(&engine);
  fl_cli_drive_end(&watch);
  fl_cli_watch_deinit(&watch);
  fl_cli_watch_free_pools(pools, config.pool_count);
  return code;
}

const fl_cli_verb fl_cli_verb_replay = {
    .name = "replay",
    .words = "[RUN] | FLOW --at TIME",
    .summary = "repeat a run with the script and the contexts it had",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua replay\n"
               "flowlua replay daily_sales --at 2026-01-31 --live",
    .run = replay_run,
};
