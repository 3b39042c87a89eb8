// flowlua breakpoint RUN: where a run stopped and why, what is done, what waits, what helps.
// Written to be read by somebody who was woken up for it: what failed comes first, commands last.
#include "cli.h"
#include "json.h"
#include <jansson.h>
#include <unistd.h>

#define FAILED_MAX  10 // shown with their logs; of the rest the names
#define NAMES_MAX   12
#define LOG_LINES   8
#define VALUE_WIDTH 300

static const fl_cli_option options[] = {
    {"json", NULL, "all that is known, as one object", NULL},
    {"force", NULL, "export: replace the file if it is there", NULL},
    {NULL, NULL, NULL, NULL},
};

typedef struct view {
  const fl_cli *cli;
  fl_engine *engine;
  json_t *all, *run;
  const char *id;
  const char *root, *path; // the run that is resumed, and what it puts before names of nodes
  bool line_open;          // of a log
  size_t log_size;
} view;

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static json_int_t number_of(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static void print_title(const char *title) {
  fl_cli_printf("\n%s%s%s", fl_cli_style_text(FL_STYLE_BOLD), title,
                fl_cli_style_text(FL_STYLE_NONE));
}

static void print_styled(fl_cli_style style, const char *text) {
  fl_cli_printf("%s", fl_cli_style_text(style));
  fl_cli_print_clean(text, false);
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_NONE));
}

/// "5 of 7: a, b, c and 2 more"; `of` 0: without it.
static void print_names(const char *title, const json_t *names, size_t of) {
  size_t count = json_array_size(names);
  if (!count) return;
  print_title(title);
  if (of)
    fl_cli_printf(" %zu of %zu: ", count, of);
  else
    fl_cli_printf(" %zu: ", count);
  for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
    if (i) fl_cli_printf(", ");
    fl_cli_print_clean(json_string_value(json_array_get(names, i)), false);
  }
  if (count > NAMES_MAX) fl_cli_printf(" and %zu more", count - NAMES_MAX);
  fl_cli_printf("\n");
}

// ------------------------------------------------------------------------------------- the run

static void print_run(const view *v) {
  char at[32], age[32];
  const json_t *origin = json_object_get(v->run, "origin");
  const char *flow = text_of(v->run, "flow"), *status = text_of(v->run, "status");
  const char *version = text_of(v->all, "version"), *fork = text_of(v->run, "fork_of");
  int64_t at_ms = fl_cli_time_of(text_of(v->all, "at"));
  fl_cli_printf("run %s%s%s of flow ", fl_cli_style_text(FL_STYLE_BOLD), v->id,
                fl_cli_style_text(FL_STYLE_NONE));
  fl_cli_print_clean(flow ? flow : "", false);
  fl_cli_local_time(at_ms, at);
  fl_duration_format(fl_cli_wall_ms() - at_ms, age);
  if (status && !fl_cli_status_is_final(status))
    fl_cli_printf(" was interrupted: no engine executes it\n");
  else if (status && strcmp(status, "cancelled") == 0)
    fl_cli_printf(" was cancelled on %s (%s ago)\n", at, age);
  else
    fl_cli_printf(" stopped at a failure on %s (%s ago)\n", at, age);
  fl_cli_printf("script %.19s", version ? version : "");
  json_int_t resumes = number_of(v->run, "resumes");
  if (resumes) fl_cli_printf(", resumed %lld time%s", (long long)resumes, resumes > 1 ? "s" : "");
  if (fork) fl_cli_printf(", forked from %s", fork);
  fl_cli_printf("\n");
  if (*v->path) {
    fl_cli_printf("part of run %s, where its node NODE is ", v->root);
    fl_cli_print_clean(v->path, false);
    fl_cli_printf("NODE\n");
  }
  if (json_is_object(origin)) {
    fl_cli_printf("taken in from ");
    fl_cli_print_clean(text_of(origin, "host"), false);
    fl_cli_printf(", state directory ");
    fl_cli_print_clean(text_of(origin, "state"), false);
    fl_cli_printf(", exported %s\n", text_of(origin, "exported_at"));
  }
}

// ------------------------------------------------------------------------------------- failures

static void write_log(void *ud, const char *data, size_t size) {
  view *v = ud;
  v->log_size += size;
  while (size) {
    const char *end = memchr(data, '\n', size);
    size_t n = end ? (size_t)(end - data) : size;
    if (!v->line_open) fl_cli_printf("    | ");
    fl_cli_text_add(fl_cli_out(), data, n);
    v->line_open = !end;
    if (end) fl_cli_printf("\n");
    data += n + (end != NULL);
    size -= n + (end != NULL);
  }
}

/// Maps and sub-flows print nothing themselves.
static bool prints(const view *v, const char *name) {
  size_t i;
  json_t *node;
  json_array_foreach(json_object_get(v->all, "nodes"), i, node) {
    const char *its = text_of(node, "name"), *type = text_of(node, "type");
    if (its && type && strcmp(its, name) == 0)
      return strcmp(type, "map") != 0 && strcmp(type, "call") != 0;
  }
  return true;
}

static void print_log(view *v, const char *node, uint32_t attempt) {
  fl_error err = {0};
  int64_t position = 0;
  size_t removed = 0;
  fl_log_options log = {.size = sizeof log,
                        .node = node,
                        .attempt = attempt,
                        .tail_lines = LOG_LINES,
                        .removed = &removed};
  v->log_size = 0;
  if (fl_read_logs(v->engine, v->id, &log, &position, write_log, v, &err) != FL_OK)
    fl_cli_note("flowlua: %s", err.message);
  if (v->line_open) fl_cli_printf("\n");
  v->line_open = false;
  if (v->log_size) return;
  const json_t *origin = json_object_get(v->run, "origin");
  if (json_is_object(origin))
    fl_cli_printf("    (what it printed stayed where it ran, on %s)\n", text_of(origin, "host"));
  else
    fl_cli_printf("    (%s)\n", removed ? "what it printed was removed" : "it printed nothing");
}

static void print_failure(view *v, const json_t *failure) {
  const char *node = text_of(failure, "node"), *error = text_of(failure, "error");
  const char *reason = text_of(failure, "text");
  json_int_t attempt = number_of(failure, "attempt"), signal = number_of(failure, "signal");
  const json_t *exit_code = json_object_get(failure, "exit_code");
  fl_cli_printf("  ");
  print_styled(FL_STYLE_RED, node ? node : "");
  if (attempt) fl_cli_printf(", attempt %lld", (long long)attempt);
  if (!error && signal) fl_cli_printf(", signal %lld", (long long)signal);
  if (!error && json_is_integer(exit_code))
    fl_cli_printf(", exit code %lld", (long long)json_integer_value(exit_code));
  fl_cli_printf(": ");
  fl_cli_print_clean(error ? error : reason ? reason : "it failed", true);
  if (error && reason && *reason && attempt) fl_cli_printf(" (%s)", reason);
  fl_cli_printf("\n");
  if (attempt && node && prints(v, node)) print_log(v, node, (uint32_t)attempt);
}

static void print_failures(view *v) {
  const json_t *failed = json_object_get(v->all, "failed");
  size_t count = json_array_size(failed);
  print_title("failed");
  const char *error = text_of(v->run, "error");
  if (!count && error) {
    fl_cli_printf(" ");
    fl_cli_print_clean(error, true);
  } else if (!count) {
    fl_cli_printf(": no node; what was not done waits");
  }
  fl_cli_printf("\n");
  for (size_t i = 0; i < count && i < FAILED_MAX; i++) print_failure(v, json_array_get(failed, i));
  if (count > FAILED_MAX)
    fl_cli_printf("  and %zu more (flowlua show %s)\n", count - FAILED_MAX, v->id);
}

// ------------------------------------------------------------------------------------- the rest

static void print_saved(const json_t *nodes) {
  size_t i;
  json_t *node;
  bool titled = false;
  json_array_foreach((json_t *)nodes, i, node) {
    const json_t *checkpoint = json_object_get(node, "checkpoint");
    size_t steps = json_array_size(json_object_get(node, "steps"));
    const char *status = text_of(node, "status");
    if ((!json_is_object(checkpoint) && !steps) || strcmp(status ? status : "", "succeeded") == 0)
      continue;
    if (!titled) print_title("saved"), fl_cli_printf(" and given back by a resume\n");
    titled = true;
    fl_cli_printf("  ");
    fl_cli_print_clean(text_of(node, "name"), false);
    if (json_is_object(checkpoint)) {
      char *text = fl_cli_json_format(json_object_get(checkpoint, "value"));
      fl_cli_text clean = {0};
      fl_cli_text_clean(&clean, text ? text : "(large)", strlen(text ? text : "(large)"), false);
      fl_cli_printf(" checkpoint ");
      fl_cli_text_cut(fl_cli_out(), fl_cli_text_cstr(&clean), clean.size, VALUE_WIDTH);
      fl_cli_text_deinit(&clean);
      free(text);
    }
    if (steps)
      fl_cli_printf("%s %zu step%s", json_is_object(checkpoint) ? "," : "", steps,
                    steps > 1 ? "s" : "");
    fl_cli_printf("\n");
  }
}

// A proposal that was not applied, the newest; NULL: there is none.
static const json_t *find_proposal(const view *v) {
  const json_t *all = json_object_get(v->all, "proposals");
  for (size_t i = json_array_size(all); i > 0; i--) {
    const json_t *entry = json_array_get(all, i - 1);
    if (json_is_null(json_object_get(entry, "applied_epoch"))) return entry;
  }
  return NULL;
}

static void print_changes(const view *v) {
  const json_t *patches = json_object_get(v->all, "patches"), *proposal = find_proposal(v);
  if (json_array_size(patches)) fl_cli_printf("\n");
  fl_cli_patches_print(patches);
  if (!proposal) return;
  fl_cli_text text = {0};
  const char *origin = text_of(proposal, "origin");
  fl_cli_patch_describe(json_object_get(proposal, "patch"), &text);
  print_title("proposed");
  fl_cli_printf(" by ");
  fl_cli_print_clean(origin ? origin : "", false);
  fl_cli_printf(": ");
  fl_cli_print_clean(fl_cli_text_cstr(&text), false);
  fl_cli_printf("\n");
  fl_cli_text_deinit(&text);
}

static void print_command(const view *v, const char *verb, const char *run, const char *node,
                          const char *more, const char *what) {
  char *command = fl_cli_command(v->cli, verb, run, node);
  fl_cli_printf("  ");
  print_styled(FL_STYLE_CYAN, command);
  fl_cli_printf("%s%s\n      %s\n", *more ? " " : "", more, what);
  free(command);
}

/// A failed node that is no item of a map: that is what a resume can skip.
static const char *find_declared(const view *v, const char *otherwise) {
  size_t i;
  json_t *failure;
  json_array_foreach(json_object_get(v->all, "failed"), i, failure) {
    const char *node = text_of(failure, "node");
    if (node && !strchr(node, '[')) return node;
  }
  return otherwise;
}

static void print_accept(const view *v) {
  const json_t *proposal = find_proposal(v);
  char more[48];
  if (!proposal || *v->path) return;
  snprintf(more, sizeof more, "--accept %lld", (long long)number_of(proposal, "number"));
  print_command(v, "resume", v->root, NULL, more, "with the change that is proposed");
}

// What can be changed: of a part, by the names that the whole has for it.
static void print_changing(const view *v, const char *node) {
  fl_cli_text skip = {0}, path = {0}, option = {0};
  fl_cli_text_addf(&path, "%s%s.OPTION=VALUE", v->path, find_declared(v, node));
  fl_cli_text_add_str(&option, "--option ");
  fl_cli_text_quote(&option, fl_cli_text_cstr(&path));
  fl_cli_text_deinit(&path);
  // Of a map the item that failed, not all of it.
  fl_cli_text_addf(&path, "%s%s", v->path, node);
  if (*v->path)
    print_command(v, "resume", v->root, NULL, fl_cli_text_cstr(&option),
                  "with an option of it changed; --script FILE: a mended script");
  else
    print_command(v, "resume", v->root, NULL, "--set NAME=VALUE",
                  "with a var changed; --param NAME=VALUE, --script FILE: a mended script");
  fl_cli_text_add_str(&skip, "--skip ");
  fl_cli_text_quote(&skip, fl_cli_text_cstr(&path));
  print_command(v, "resume", v->root, NULL, fl_cli_text_cstr(&skip), "without it");
  fl_cli_text_deinit(&skip);
  fl_cli_text_deinit(&path);
  fl_cli_text_deinit(&option);
}

static void print_commands(const view *v) {
  const json_t *first = json_array_get(json_object_get(v->all, "failed"), 0);
  const char *node = text_of(first, "node"), *run = text_of(first, "run");
  print_title("what helps");
  fl_cli_printf("\n");
  if (run)
    print_command(v, "breakpoint", run, NULL, "", "where its sub-flow stopped, and why");
  else if (node)
    print_command(v, "logs", v->id, node, "", "all that it printed");
  if (node) {
    print_command(v, "context", v->id, node, "", "what it was given");
    print_command(v, "resume", v->root, NULL, "--plan", "what a resume would run, and why");
    print_command(v, "resume", v->root, NULL, "", "try again from here");
    print_accept(v);
    print_changing(v, node);
  } else {
    print_command(v, "resume", v->root, NULL, "--plan", "what a resume would run, and why");
    print_command(v, "resume", v->root, NULL, "", "go on from here");
  }
  print_command(v, "breakpoint export", v->root, NULL, "FILE",
                "carry it to another host: flowlua resume FILE");
}

static bool is_live(const char *status) {
  return strcmp(status, "running") == 0 || strcmp(status, "queued") == 0 ||
         strcmp(status, "waiting") == 0;
}

static void print_breakpoint(view *v) {
  json_t *nodes = json_object_get(v->all, "nodes"), *queue = json_object_get(v->all, "queue");
  json_t *done = json_array(), *live = json_array(), *node;
  size_t i;
  json_array_foreach(nodes, i, node) {
    const char *status = text_of(node, "status");
    if (status && strcmp(status, "succeeded") == 0)
      json_array_append(done, json_object_get(node, "name"));
    if (status && is_live(status)) json_array_append(live, json_object_get(node, "name"));
  }
  print_run(v);
  print_failures(v);
  print_names("running when its engine was killed", live, 0);
  print_names("done", done, json_array_size(nodes));
  print_names("a resume runs", queue, 0);
  print_saved(nodes);
  print_changes(v);
  print_commands(v);
  json_decref(done);
  json_decref(live);
}

// ------------------------------------------------------------------------------------- the verb

static int show_breakpoint(const fl_cli *cli, fl_engine *engine) {
  fl_error err = {0};
  char *text = NULL;
  if (fl_read_breakpoint(engine, fl_cli_run_word(cli), &text, &err) != FL_OK)
    return fl_cli_fail_run(cli, engine, fl_cli_run_word(cli), &err);
  if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(text);
  } else {
    view v = {.cli = cli, .engine = engine, .all = json_loads(text, 0, NULL)};
    v.run = json_object_get(v.all, "run");
    v.id = text_of(v.run, "id");
    const json_t *part = json_object_get(v.all, "part_of");
    v.root = json_is_object(part) ? text_of(part, "run") : v.id;
    v.path = json_is_object(part) ? text_of(part, "path") : "";
    if (v.id) print_breakpoint(&v);
    json_decref(v.all);
  }
  fl_free(text);
  return FL_EXIT_OK;
}

static bool count_live(void *ud, const fl_node_info *node) {
  *(size_t *)ud += is_live(node->status);
  return true;
}

static void tell_export(const fl_cli *cli, const char *id, const char *path, size_t live) {
  fl_cli_text quoted = {0};
  if (fl_cli_has(cli, "json")) {
    fl_cli_text_add_str(&quoted, "{\"run\":");
    fl_cli_text_json(&quoted, id);
    fl_cli_text_add_str(&quoted, ",\"file\":");
    fl_cli_text_json(&quoted, path);
    fl_cli_text_addf(&quoted, ",\"live\":%zu}", live);
    fl_cli_print_json(fl_cli_text_cstr(&quoted));
  } else if (strcmp(path, "-") != 0) {
    fl_cli_text_quote(&quoted, path);
    fl_cli_printf("run %s is in ", id);
    fl_cli_print_clean(path, false);
    fl_cli_printf(", without its logs: flowlua resume %s continues it elsewhere\n",
                  fl_cli_text_cstr(&quoted));
  }
  fl_cli_text_deinit(&quoted);
  if (live)
    fl_cli_note("%zu node%s of it may still run here: to continue it elsewhere they start again; "
                "`flowlua cancel %s` ends them",
                live, live > 1 ? "s" : "", id);
}

// Whole or not at all: made as a file first.
static fl_code export_to_stdout(fl_engine *engine, const char *id, fl_error *err) {
  const char *folder = getenv("TMPDIR");
  fl_cli_text path = {0};
  char part[8192];
  size_t n;
  fl_cli_text_addf(&path, "%s/flowlua-XXXXXX", folder && *folder ? folder : "/tmp");
  fl_cli_text_cstr(&path);
  int fd = mkstemp(path.data);
  fl_code code = fl_run_export(engine, id, path.data, true, err);
  FILE *file = code == FL_OK ? fopen(path.data, "rb") : NULL;
  while (file && (n = fread(part, 1, sizeof part, file)) > 0) {
    fl_cli_text_add(fl_cli_out(), part, n);
    fl_cli_flush_some();
  }
  if (file) fclose(file);
  if (fd >= 0) close(fd);
  unlink(path.data);
  fl_cli_text_deinit(&path);
  return code;
}

static int export_run(const fl_cli *cli, fl_engine *engine) {
  fl_error err = {0};
  char id[32];
  size_t live = 0;
  const char *path = cli->words[cli->word_count - 1];
  bool out = strcmp(path, "-") == 0;
  if (out && (fl_cli_has(cli, "json") || fl_cli_out_is_terminal()))
    return fl_cli_usage("the run would go to stdout: %s",
                        fl_cli_has(cli, "json") ? "--json cannot, too"
                                                : "redirect it to a file, or name one");
  fl_code code = fl_run_find(engine, cli->word_count > 2 ? cli->words[1] : "last", id, &err);
  if (code == FL_OK) code = fl_read_status(engine, id, NULL, count_live, &live, &err);
  if (code == FL_OK)
    code = out ? export_to_stdout(engine, id, &err)
               : fl_run_export(engine, id, path, fl_cli_has(cli, "force"), &err);
  if (code != FL_OK) return fl_cli_fail(&err);
  fl_cli_flush();
  if (out && fl_cli_out_is_gone()) {
    fl_cli_usage("the run was not written to stdout as a whole");
    return FL_EXIT_SYSTEM;
  }
  tell_export(cli, id, path, live);
  return FL_EXIT_OK;
}

bool fl_cli_is_export(const char *word) {
  static const char magic[] = "flowlua-run ";
  char head[sizeof magic - 1];
  FILE *file = fopen(word, "rb");
  bool is = file && fread(head, sizeof head, 1, file) == 1 && !memcmp(head, magic, sizeof head);
  if (file) fclose(file);
  return is;
}

static int breakpoint_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  bool export = cli->word_count > 0 && strcmp(cli->words[0], "export") == 0;
  const char *file = cli->word_count == 2 ? cli->words[1] : "";
  bool is_run = strcmp(file, "last") == 0 || strncmp(file, "last-", 5) == 0;
  if (export && (cli->word_count < 2 || is_run))
    return fl_cli_usage("FILE is missing: flowlua breakpoint export [RUN] FILE");
  if (!export && cli->word_count > 1)
    return fl_cli_usage("unexpected argument '%s' (flowlua breakpoint [RUN], or flowlua breakpoint "
                        "export [RUN] FILE)",
                        cli->words[1]);
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  code = export ? export_run(cli, engine.engine) : show_breakpoint(cli, engine.engine);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_breakpoint = {
    .name = "breakpoint",
    .words = "[RUN] | export [RUN] FILE",
    .summary = "show where a run stopped and what helps, or carry it elsewhere",
    .word_count_max = 3,
    .options = options,
    .example = "flowlua breakpoint last-failed\n"
               "flowlua breakpoint export last-failed stopped.flowlua",
    .run = breakpoint_run,
};
