// flowlua --complete WORD...: what the last word of a command line could become. The scripts of
// `flowlua completion` ask it at each Tab, so that what a shell offers is what is there: verbs and
// options from their rows, runs and nodes from the state, flows from the script.
//
// It prints a line each: "w WORD TEXT" (separated by tabs) is a word, and what it stands for;
// "f END" says that files count, too, those that end so ("": any); "d" that folders do. It is
// silent about everything that is wrong: the command itself will say that.
#include "cli.h"
#include <jansson.h>

#define RUNS_MAX  50
#define NODES_MAX 1000

// What is being completed.
typedef struct asking {
  fl_cli cli;         // what stands before it; `words` are those of the verb
  const char *typed;  // what is completed, behind `before`
  fl_cli_text before; // of the same word: "--only=", "a,b,"
} asking;

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

// A word that begins as what was typed does; `end` is what always follows it ("=").
static void offer(asking *a, const char *word, const char *end, const char *text) {
  if (!begins(word, a->typed)) return;
  fl_cli_printf("w\t%s%s%s\t", fl_cli_text_cstr(&a->before), word, end);
  fl_cli_print_clean(text ? text : "", false);
  fl_cli_printf("\n");
}

static void offer_list(asking *a, const char *list) {
  char word[64];
  for (size_t n; *list; list += n + strspn(list + n, " ")) {
    n = strcspn(list, " ");
    snprintf(word, sizeof word, "%.*s", (int)n, list);
    offer(a, word, "", NULL);
  }
}

// ------------------------------------------------------------------------------------- runs, nodes

static void offer_runs(asking *a) {
  fl_cli_engine engine;
  fl_run_query query = {.size = sizeof query, .limit = RUNS_MAX};
  char *text = NULL;
  offer(a, "last", "", "the newest run");
  offer(a, "last-failed", "", "the newest that failed");
  if (!fl_cli_has_state(&a->cli)) return;
  if (fl_cli_engine_open(&a->cli, FL_CLI_READ, NULL, &engine) != FL_EXIT_OK) return;
  if (fl_read_query(engine.engine, &query, &text, NULL) == FL_OK) {
    json_t *runs = json_loads(text, 0, NULL), *run;
    size_t i;
    json_array_foreach(runs, i, run) {
      const char *id = json_string_value(json_object_get(run, "id")), *flow = "", *status = "";
      char created[32], what[128];
      if (!id || json_unpack(run, "{s:s,s:s}", "flow", &flow, "status", &status) != 0) continue;
      fl_cli_local_minute(fl_cli_time_of(json_string_value(json_object_get(run, "created_at"))),
                          created);
      snprintf(what, sizeof what, "%.60s %s, %s", flow, status, created);
      // People copy the last letters from a table; who types the first ones wants the whole.
      offer(a, begins(fl_cli_run_letters(id), a->typed) ? fl_cli_run_letters(id) : id, "", what);
    }
    json_decref(runs);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
}

typedef struct offering {
  asking *a;
  const char *end;
  size_t count;
} offering;

static bool offer_node(void *ud, const fl_node_info *node) {
  offering *o = ud;
  if (begins(node->name, o->a->typed)) o->count++;
  offer(o->a, node->name, o->end, node->status);
  return o->count < NODES_MAX;
}

// Nodes of a run; behind "call/" those of the run that was called.
static void offer_nodes_of_run(asking *a, const char *run, const char *end) {
  fl_cli_engine engine;
  char id[32];
  if (!fl_cli_has_state(&a->cli)) return;
  if (fl_cli_engine_open(&a->cli, FL_CLI_READ, NULL, &engine) != FL_EXIT_OK) return;
  const char *typed = a->typed, *rest = typed, *slash = strrchr(typed, '/');
  if (fl_run_enter(engine.engine, run, &rest, id, NULL) == FL_OK ||
      fl_run_find(engine.engine, run, id, NULL) == FL_OK) {
    if (slash) fl_cli_text_add(&a->before, typed, (size_t)(slash + 1 - typed));
    if (slash) a->typed = slash + 1;
    offering o = {.a = a, .end = end};
    (void)!fl_read_status(engine.engine, id, NULL, offer_node, &o, NULL);
  }
  fl_cli_engine_close(&engine);
}

// ------------------------------------------------------------------------------------- scripts

// Flows of the script that the command line names.
static void offer_flows_of_script(asking *a, const char *path) {
  fl_cli_engine engine;
  fl_script *script = NULL;
  if (fl_cli_engine_open(&a->cli, FL_CLI_SCRIPT, NULL, &engine) != FL_EXIT_OK) return;
  if (fl_script_load(engine.engine, path, &script, NULL) == FL_OK)
    for (size_t i = 0; i < fl_script_get_flow_count(script); i++)
      offer(a, fl_script_get_flow_key(script, i), "", NULL);
  fl_cli_engine_close(&engine);
}

static void offer_nodes_of_script(asking *a, const char *path, const char *end) {
  fl_cli_engine engine;
  fl_script *script = NULL;
  char *text = NULL;
  if (fl_cli_engine_open(&a->cli, FL_CLI_SCRIPT, NULL, &engine) != FL_EXIT_OK) return;
  if (fl_script_load(engine.engine, path, &script, NULL) == FL_OK &&
      fl_script_graph(script, fl_cli_get(&a->cli, "flow"), "json", &text, NULL) == FL_OK) {
    json_t *graph = json_loads(text, 0, NULL), *node;
    size_t i, count = 0;
    json_array_foreach(json_object_get(graph, "nodes"), i, node) {
      const char *name = json_string_value(json_object_get(node, "name"));
      if (!name || !begins(name, a->typed) || count++ == NODES_MAX) continue;
      offer(a, name, end, json_string_value(json_object_get(node, "type")));
    }
    json_decref(graph);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
}

// Flows that have runs.
static void offer_flows_of_runs(asking *a) {
  fl_cli_engine engine;
  char *text = NULL;
  if (!fl_cli_has_state(&a->cli)) return;
  if (fl_cli_engine_open(&a->cli, FL_CLI_READ, NULL, &engine) != FL_EXIT_OK) return;
  fl_run_query query = {.size = sizeof query, .limit = 1000};
  if (fl_read_query(engine.engine, &query, &text, NULL) == FL_OK) {
    json_t *runs = json_loads(text, 0, NULL), *run, *seen = json_object();
    size_t i;
    json_array_foreach(runs, i, run) {
      const char *flow = json_string_value(json_object_get(run, "flow"));
      if (!flow || json_object_get(seen, flow)) continue;
      offer(a, flow, "", NULL);
      json_object_set_new(seen, flow, json_true());
    }
    json_decref(seen);
    json_decref(runs);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
}

// ------------------------------------------------------------------------------------- what is
// asked

static bool is_verb(const asking *a, const char *names) {
  size_t size = strlen(a->cli.verb->name);
  for (const char *p = names; (p = strstr(p, a->cli.verb->name)); p += size)
    if ((p == names || p[-1] == ' ') && (p[size] == ' ' || p[size] == '\0')) return true;
  return false;
}

static void offer_files(const asking *a, const char *name) {
  bool script = strcmp(name, "script") == 0 || is_verb(a, "run check graph next");
  fl_cli_printf("f\t%s\n", script && strcmp(name, "env-file") != 0 && strcmp(name, "params") != 0
                               ? ".lua"
                               : "");
}

// `end`: what follows the name of a node.
static void offer_nodes(asking *a, const char *end) {
  const char *first = a->cli.word_count > 0 ? a->cli.words[0] : NULL;
  if (!is_verb(a, "run check graph next"))
    offer_nodes_of_run(a, first ? first : "last", end);
  else if (first)
    offer_nodes_of_script(a, first, end);
}

// A list: what stands behind the last comma.
static void go_behind_comma(asking *a) {
  const char *comma = strrchr(a->typed, ',');
  if (!comma) return;
  fl_cli_text_add(&a->before, a->typed, (size_t)(comma + 1 - a->typed));
  a->typed = comma + 1;
}

// A value that help calls `name`: "NODE", "A,B", "FILE", ... What is not known here has no words.
static void offer_kind(asking *a, const char *option, const char *name) {
  if (begins(name, "RUN")) {
    offer_runs(a);
  } else if (strcmp(name, "A,B") == 0) {
    go_behind_comma(a);
    offer_nodes(a, "");
  } else if (strcmp(name, "A") == 0 || strcmp(name, "B") == 0 || strcmp(name, "NODE") == 0 ||
             strcmp(name, "NODE[+]") == 0 || strcmp(name, "NODE[=OUTPUTS]") == 0) {
    offer_nodes(a, "");
  } else if (begins(name, "NODE.") && !strchr(a->typed, '.')) {
    offer_nodes(a, ".");
  } else if ((strcmp(name, "NODE=VALUE") == 0 || strcmp(name, "OLD=NEW") == 0) &&
             !strchr(a->typed, '=')) {
    offer_nodes(a, "=");
  } else if (strcmp(name, "KEY") == 0 && strcmp(option, "flow") == 0) {
    if (is_verb(a, "runs"))
      offer_flows_of_runs(a);
    else if (a->cli.word_count > 0)
      offer_flows_of_script(a, a->cli.words[0]);
  } else if (strcmp(name, "FLOW") == 0) {
    offer_flows_of_runs(a);
  } else if (strcmp(name, "FILE") == 0) {
    offer_files(a, option);
  } else if (strcmp(name, "DIR") == 0) {
    fl_cli_printf("d\n");
  } else if (strcmp(name, "STATE") == 0) {
    for (size_t i = 0; fl_status_name(i, NULL); i++) offer(a, fl_status_name(i, NULL), "", NULL);
  } else if (strcmp(name, "VERB") == 0) {
    for (size_t i = 0; fl_cli_verbs[i]; i++)
      offer(a, fl_cli_verbs[i]->name, "", fl_cli_verbs[i]->summary);
  }
}

// A word of one way to use a verb, "FILE|RUN" or "export", at `text`.
static void offer_word(asking *a, const char *text, size_t size) {
  char name[32];
  for (const char *end = text + size; text < end;) {
    size_t n = strcspn(text, "|[] ");
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    if (name[0] >= 'a' && name[0] <= 'z')
      offer(a, name, "", NULL);
    else
      offer_kind(a, "", name);
    text += n + 1;
  }
}

// Goes through one way to use the verb, "[RUN] NODE" or "export [RUN] FILE": offers what may stand
// behind the words that are there.
static void offer_way(asking *a, const char *way, size_t size) {
  const char *end = way + size;
  size_t at = 0, typed = a->cli.word_count;
  bool left_out = false; // whether all before it may be left out
  while (way < end && at <= typed) {
    size_t n = 0;
    while (way + n < end && way[n] != ' ') n++;
    const char *word = way + (*way == '[');
    size_t word_size = n - (size_t)(word - way);
    bool literal = *word >= 'a' && *word <= 'z' && !memchr(word, '|', word_size);
    if (at == typed || left_out) offer_word(a, word, word_size);
    if (literal && at < typed &&
        (strlen(a->cli.words[at]) != word_size || !begins(word, a->cli.words[at])))
      return;
    left_out = at == typed && *way == '[' && way[n - 1] == ']' && way[n - 2] != ']';
    if (!left_out) at++;
    way += n + (way + n < end);
  }
}

static void offer_words(asking *a) {
  const char *way = a->cli.verb->words;
  for (const char *next; *way; way = next) {
    const char *bar = strstr(way, " | "), *options = strstr(way, " [options]");
    if (options && (!bar || options < bar))
      offer_way(a, way, (size_t)(options - way));
    else
      offer_way(a, way, bar ? (size_t)(bar - way) : strlen(way));
    next = bar ? bar + 3 : "";
  }
}

static void offer_options(asking *a) {
  const fl_cli_option *tables[] = {a->cli.verb->options, fl_cli_global_options};
  fl_cli_text_add_str(&a->before, "--");
  a->typed += 1 + (a->typed[1] == '-');
  for (size_t t = 0; t < 2; t++)
    for (const fl_cli_option *o = tables[t]; o && o->name; o++) offer(a, o->name, "", o->help);
}

static void offer_value(asking *a, const fl_cli_option *option) {
  if (option->choices)
    offer_list(a, option->choices);
  else if (option->value)
    offer_kind(a, option->name, option->value);
}

// ------------------------------------------------------------------------------------- command
// line

static const fl_cli_option *find(const asking *a, const char *name, size_t size) {
  const fl_cli_option *o = fl_cli_option_find(a->cli.verb->options, name, size);
  return o ? o : fl_cli_option_find(fl_cli_global_options, name, size);
}

// The option of "--name", "--name=value" or "-j", whose value is the next word when it takes one
// and `*value` is NULL.
static const fl_cli_option *read_option(const asking *a, const char *arg, const char **value) {
  *value = NULL;
  if (arg[1] != '-') {
    const char *name = fl_cli_letter_name(arg[1]);
    if (arg[1] && arg[2]) *value = arg + 2;
    return name ? find(a, name, strlen(name)) : NULL;
  }
  const char *equals = strchr(arg, '=');
  if (equals) *value = equals + 1;
  return find(a, arg + 2, equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2);
}

// Reads all words but the last; returns the option whose value that one is, or NULL.
static const fl_cli_option *read_words(asking *a, int argc, char *const argv[], int skip) {
  const fl_cli_option *pending = NULL;
  for (int i = 1; i < argc - 1; i++) {
    const char *arg = argv[i], *value;
    if (pending) {
      a->cli.values[a->cli.value_count++] = (fl_cli_value){.option = pending, .text = arg};
      pending = NULL;
    } else if (i == skip) {
      continue;
    } else if (arg[0] == '-' && arg[1]) {
      const fl_cli_option *o = read_option(a, arg, &value);
      if (o && o->value && !value) pending = o;
      if (o && (value || !o->value))
        a->cli.values[a->cli.value_count++] = (fl_cli_value){.option = o, .text = value};
    } else {
      a->cli.words[a->cli.word_count++] = arg;
    }
  }
  return pending;
}

int fl_cli_complete(int argc, char *const argv[]) {
  // As the whole command line has it: argv[0] is the program, the last one is being typed.
  char **args = fl_cli_alloc((size_t)argc + 2, sizeof *args);
  int count = 1;
  args[0] = "flowlua";
  for (int i = strcmp(argc > 0 ? argv[0] : "", "--") == 0; i < argc; i++) args[count++] = argv[i];
  if (count == 1) args[count++] = "";
  asking a = {.typed = args[count - 1]};
  a.cli = (fl_cli){.argc = count, .argv = args};
  a.cli.words = fl_cli_alloc((size_t)count + 1, sizeof *a.cli.words);
  a.cli.values = fl_cli_alloc((size_t)count + 1, sizeof *a.cli.values);
  int word = fl_cli_first_word(count - 1, args);
  const fl_cli_verb *verb = word < count - 1 ? fl_cli_verb_find(args[word]) : NULL;
  bool begun = word < count - 1; // the verb, or the file that stands for `run`, is there
  a.cli.verb = verb ? verb : &fl_cli_verb_run;
  const fl_cli_option *option = read_words(&a, count, args, verb ? word : 0);
  const char *value, *equals = strchr(a.typed, '=');
  if (!option && a.typed[0] == '-' && equals && (option = read_option(&a, a.typed, &value))) {
    fl_cli_text_add(&a.before, a.typed, (size_t)(equals + 1 - a.typed));
    a.typed = equals + 1;
  }
  if (option)
    offer_value(&a, option);
  else if (a.typed[0] == '-')
    offer_options(&a);
  else
    offer_words(&a);
  if (!begun && !option && a.typed[0] != '-') offer_kind(&a, "", "VERB");
  fl_cli_flush();
  fl_cli_text_deinit(&a.before);
  fl_cli_deinit(&a.cli);
  free(args);
  return FL_EXIT_OK;
}
