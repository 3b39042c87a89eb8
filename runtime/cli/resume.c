// flowlua resume [RUN]: continues a run where it stopped, with what the user mends.
#include "patch_keys.h"
#include "watch.h"
#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static const fl_cli_option options[] = {
    {"plan", NULL, "tell what would run again and why, and stop", NULL},
    {"patch", "FILE", "apply a patch: JSON, or Lua that returns a table; -: from stdin", NULL},
    {"accept", "N", "apply proposal N of the run (see `flowlua proposals`)", NULL},
#define OPTION(kind, name, flag, value, doc, changes, wakes) {flag, value, doc, NULL},
    FL_PATCH_KEYS(OPTION){"as-new", NULL,
                          "leave the run as it is and continue a copy of it, a new run", NULL},
    {"author", "TEXT", "who changes it (default: user@host)", NULL},
    FL_CLI_WATCH_OPTIONS,
    {NULL, NULL, NULL, NULL},
};

#define ONE(kind, name, flag, value, doc, changes, wakes) +1
enum { KEY_COUNT = 0 FL_PATCH_KEYS(ONE) };

/// The patch of the command line, with what owns it.
typedef struct patch_request {
  fl_patch patch;
  const char **texts[KEY_COUNT];
  size_t text_count;
  fl_cli_list lists[KEY_COUNT];
  size_t list_count;
  fl_cli_text file; // of a patch that can be read only once
} patch_request;

static fl_texts take_all(patch_request *r, const fl_cli *cli, const char *option) {
  fl_texts texts;
  const char **all = fl_cli_get_all(cli, option, &texts.count);
  texts.items = r->texts[r->text_count++] = all;
  return texts;
}

// Names may stand in comma lists.
static fl_texts take_names(patch_request *r, const fl_cli *cli, const char *option) {
  fl_cli_list *list = &r->lists[r->list_count++];
  fl_cli_list_init(list, cli, option);
  return (fl_texts){.items = list->items, .count = list->count};
}

static bool has_gap(const char *list) {
  return !*list || *list == ',' || strstr(list, ",,") || list[strlen(list) - 1] == ',';
}

// An empty text is a variable of a shell that was not set: it must not go unnoticed. False: a
// message was printed.
static bool check_texts(const fl_cli *cli) {
  for (size_t i = 0; i < cli->value_count; i++) {
    const char *name = cli->values[i].option->name, *text = cli->values[i].text;
    if (!text) continue;
    bool bad = !*text && (!strcmp(name, "patch") || !strcmp(name, "author"));
#define BAD_TEXTS                                        false
#define BAD_FLAG                                         false
#define BAD_TEXT                                         !*text
#define BAD_NAMES                                        has_gap(text)
#define BAD(kind, key, flag, value, doc, changes, wakes) bad |= !strcmp(name, flag) && BAD_##kind;
    FL_PATCH_KEYS(BAD)
    if (!bad) continue;
    fl_cli_usage("--%s: expected %s, got \"%s\"", name, cli->values[i].option->value, text);
    return false;
  }
  return true;
}

// "-" is stdin. What is no regular file may be looked at only once, and a patch is: for a plan, and
// for what is done. False: a message was printed.
static bool read_file(patch_request *r) {
  struct stat info;
  char part[8192];
  if (!r->patch.file) return true;
  if (!strcmp(r->patch.file, "-")) r->patch.file = "/dev/stdin";
  if (stat(r->patch.file, &info) || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) return true;
  FILE *file = fopen(r->patch.file, "rb");
  size_t n;
  while (file && (n = fread(part, 1, sizeof part, file)) > 0) fl_cli_text_add(&r->file, part, n);
  int error = !file || ferror(file) ? errno : 0;
  if (file) fclose(file);
  if (error) {
    fl_cli_usage("cannot read the patch '%s': %s", r->patch.file, strerror(error));
    return false;
  }
  r->patch.file_text = fl_cli_text_cstr(&r->file);
  return true;
}

// False: a message was printed.
static bool request_init(patch_request *r, const fl_cli *cli) {
  int64_t proposal = 0;
  size_t files = 0;
  *r = (patch_request){.patch = {.size = sizeof(fl_patch)}};
  fl_patch *p = &r->patch;
  p->file = fl_cli_get(cli, "patch");
#define TAKE_TEXTS(flag)                                   take_all(r, cli, flag)
#define TAKE_NAMES(flag)                                   take_names(r, cli, flag)
#define TAKE_TEXT(flag)                                    fl_cli_get(cli, flag)
#define TAKE_FLAG(flag)                                    fl_cli_has(cli, flag)
#define TAKE(kind, name, flag, value, doc, changes, wakes) p->name = TAKE_##kind(flag);
  FL_PATCH_KEYS(TAKE)
  p->author = fl_cli_get(cli, "author");
  free(fl_cli_get_all(cli, "patch", &files));
  if (files > 1) {
    fl_cli_usage("--patch is given %zu times: put the changes into one file", files);
    return false;
  }
  if (!fl_cli_get_number(cli, "accept", 1, UINT32_MAX, &proposal)) return false;
  p->proposal = (uint32_t)proposal;
  return check_texts(cli) && read_file(r);
}

static void request_deinit(patch_request *r) {
  for (size_t i = 0; i < r->text_count; i++) free(r->texts[i]);
  for (size_t i = 0; i < r->list_count; i++) fl_cli_list_deinit(&r->lists[i]);
  fl_cli_text_deinit(&r->file);
}

static bool is_empty(const fl_patch *p) {
  size_t count = 0;
#define COUNT_TEXTS(name) p->name.count
#define COUNT_NAMES(name) p->name.count
#define COUNT_TEXT(name)  (p->name != NULL)
#define COUNT_FLAG(name)  p->name
#define COUNT(kind, name, flag, value, doc, changes, wakes)                                        \
  count += changes ? COUNT_##kind(name) : 0;
  FL_PATCH_KEYS(COUNT)
  return count == 0 && !p->proposal && !p->file;
}

static void take_succeeded(void *ud, const fl_run_info *run) {
  *(bool *)ud = strcmp(run->status, "succeeded") == 0;
}

static void print_removed(const json_t *plan) {
  json_t *removed = json_object_get(plan, "removed"), *name;
  size_t i;
  json_array_foreach(removed, i, name) fl_cli_printf(
      "removed: %s is not in the script any more; its history is kept\n", json_string_value(name));
}

static void print_folder(const json_t *plan) {
  const json_t *folder = json_object_get(plan, "folder");
  if (!folder) return;
  fl_cli_printf("nodes run in ");
  fl_cli_print_clean(json_string_value(json_object_get(folder, "to")), false);
  fl_cli_printf(" from now on, not in ");
  fl_cli_print_clean(json_string_value(json_object_get(folder, "from")), false);
  fl_cli_printf("\n");
}

static void print_plan(const char *text) {
  json_t *plan = json_loads(text, 0, NULL), *node;
  size_t i, runs = 0, changed = 0;
  fl_cli_table *table = fl_cli_table_new("node:action:reason");
  json_array_foreach(json_object_get(plan, "nodes"), i, node) {
    const char *action = json_string_value(json_object_get(node, "action"));
    const char *reason = json_string_value(json_object_get(node, "reason"));
    bool run = action && strcmp(action, "run") == 0;
    bool open = reason && strcmp(reason, "kept_changed") == 0;
    fl_cli_table_add(table, json_string_value(json_object_get(node, "name")), FL_STYLE_NONE);
    fl_cli_table_add(table, action, run ? FL_STYLE_CYAN : FL_STYLE_DIM);
    fl_cli_table_add(table, fl_reason_sentence(reason), open ? FL_STYLE_YELLOW : FL_STYLE_NONE);
    runs += run;
    changed += open;
  }
  size_t count = json_array_size(json_object_get(plan, "nodes"));
  fl_cli_table_print(table);
  print_removed(plan);
  print_folder(plan);
  const char *run_id = json_string_value(json_object_get(plan, "run"));
  fl_cli_printf("run %s: %zu of %zu nodes would run\n", run_id ? run_id : "", runs, count);
  if (changed)
    fl_cli_printf(
        "%zu finished node%s changed: say --rerun NODE+ or --keep NODE for each of them\n", changed,
        changed > 1 ? "s" : "");
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

static void say_succeeded(const fl_cli_watch *w) {
  static const char text[] = "run %s has succeeded: nothing to resume";
  if (w->mode == FL_MODE_JSON) {
    fl_cli_note(text, w->run_id);
  } else {
    fl_cli_printf(text, w->run_id);
    fl_cli_printf("\n");
  }
}

static void say(const fl_cli_watch *w, const char *fmt, const char *run_id, const char *of) {
  if (w->mode == FL_MODE_JSON) {
    fl_cli_note(fmt, run_id, of);
  } else {
    fl_cli_printf(fmt, run_id, of);
    fl_cli_printf("\n");
  }
}

// The run that was named: of the store, or in a file that another one exported.
static fl_code choose_run(const fl_cli *cli, fl_cli_watch *w, fl_engine *engine, fl_error *err) {
  const char *name = fl_cli_run_word(cli);
  bool file = fl_cli_is_export(name);
  fl_code code = file ? FL_E_NOT_FOUND : fl_run_find(engine, name, w->run_id, err);
  if (code != FL_E_NOT_FOUND || access(name, F_OK) != 0) return code;
  code = fl_run_import(engine, name, w->run_id, err); // or says what is wrong with the file
  if (code == FL_OK && !fl_cli_has(cli, "plan"))
    say(w, "run %s was taken in from %s", w->run_id, name);
  return code;
}

// What the patch would do is looked at first: a copy is not made in vain.
static fl_code fork_run(fl_cli_watch *w, fl_engine *engine, const fl_patch *patch, fl_error *err) {
  char *plan = NULL, old[32];
  snprintf(old, sizeof old, "%s", w->run_id);
  fl_code code = fl_run_resume_plan(engine, old, patch, &plan, err);
  if (code == FL_OK) code = fl_run_fork(engine, old, w->run_id, err);
  if (code == FL_OK) say(w, "run %s is a copy of run %s", w->run_id, old);
  fl_free(plan);
  return code;
}

static int resume_and_follow(const fl_cli *cli, fl_cli_watch *w, fl_engine *engine,
                             const fl_patch *patch) {
  fl_error err = {0};
  if (fl_cli_has(cli, "as-new") && fork_run(w, engine, patch, &err) != FL_OK)
    return fl_cli_fail(&err);
  w->resumed = true;
  w->started_ms = fl_cli_monotonic_ms();
  if (!fl_cli_drive_begin(w)) return FL_EXIT_SYSTEM;
  if (fl_run_resume(engine, w->run_id, patch, &err) != FL_OK) return fl_cli_fail(&err);
  if (w->mode == FL_MODE_LIVE) fl_cli_watch_count_kept(w, engine);
  int code = fl_cli_drive(w, engine);
  return code != FL_EXIT_OK ? code : fl_cli_watch_finish(w, engine);
}

// A run is taken in only when its file is whole and what is asked of it is sound: looked at in a
// state of its own first, so that a wrong one leaves nothing behind.
static int would_resume(const fl_cli *cli, const fl_config *config, const fl_patch *patch) {
  fl_cli_engine scratch = {0};
  fl_error err = {0};
  char id[32], *plan = NULL;
  if (is_empty(patch) && fl_cli_has_state(cli)) return FL_EXIT_OK;
  int code = fl_cli_engine_open(cli, FL_CLI_SCRATCH, config, &scratch);
  if (code != FL_EXIT_OK) return code;
  if (fl_run_import(scratch.engine, cli->words[0], id, &err) != FL_OK ||
      (!is_empty(patch) && fl_run_resume_plan(scratch.engine, id, patch, &plan, &err) != FL_OK))
    code = fl_cli_fail(&err);
  fl_free(plan);
  fl_cli_engine_close(&scratch);
  return code;
}

// An exported run; or, where there are no runs yet, what can only be one.
static bool names_file(const fl_cli *cli) {
  struct stat info;
  if (cli->word_count == 0) return false;
  if (fl_cli_is_export(cli->words[0])) return true;
  return !fl_cli_has_state(cli) && !stat(cli->words[0], &info) && S_ISREG(info.st_mode);
}

static int resume_run(const fl_cli *cli) {
  patch_request request;
  fl_cli_watch watch;
  fl_cli_engine engine = {0};
  fl_config config = {0};
  fl_pool_size *pools = NULL;
  fl_error err = {0};
  bool plan = fl_cli_has(cli, "plan"), succeeded = false;
  bool file = names_file(cli);
  int code = FL_EXIT_USAGE;
  if (fl_cli_detach_wanted(cli)) return fl_cli_detach(cli);
  fl_cli_watch_init(&watch, cli);
  if (!request_init(&request, cli) || !fl_cli_watch_config(&watch, &config, &pools)) goto out;
  fl_cli_access access = plan   ? (file ? FL_CLI_SCRATCH : FL_CLI_READ)
                         : file ? FL_CLI_WRITE
                                : FL_CLI_CHANGE;
  code = file && !plan ? would_resume(cli, &config, &request.patch) : FL_EXIT_OK;
  if (code == FL_EXIT_OK) code = fl_cli_engine_open(cli, access, &config, &engine);
  if (code != FL_EXIT_OK) goto out;
  if (choose_run(cli, &watch, engine.engine, &err) != FL_OK ||
      fl_read_status(engine.engine, watch.run_id, take_succeeded, NULL, &succeeded, &err) != FL_OK)
    code = fl_cli_fail(&err);
  else if (succeeded && is_empty(&request.patch))
    say_succeeded(&watch);
  else if (plan)
    code = show_plan(cli, engine.engine, watch.run_id, &request.patch);
  else
    code = resume_and_follow(cli, &watch, engine.engine, &request.patch);
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
    .words = "[RUN|FILE]",
    .summary = "continue a run where it stopped (default: the last run; FILE: an exported one)",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua resume --plan\n"
               "flowlua resume last-failed --set limit=100 --rerun clean+\n"
               "flowlua resume --rerun 'each[37]' --output load/fetch.rows=12\n"
               "flowlua resume --detach\n"
               "flowlua resume stopped.flowlua --set limit=100",
    .run = resume_run,
};
