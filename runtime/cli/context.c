// flowlua context RUN NODE: what an attempt saw, and what it left.
#include "cli.h"
#include "json.h"
#include <jansson.h>

#define VALUE_COLUMNS 2000 // longer values are cut: --json has all of them

static const fl_cli_option options[] = {
    {"attempt", "N", "which attempt (default: the last)", NULL},
    {"json", NULL, "as one object", NULL},
    {NULL, NULL, NULL, NULL},
};

static void print_value(const char *name, const json_t *value) {
  char *text = fl_cli_json_format(value);
  fl_cli_text clean = {0};
  if (!text) abort();
  fl_cli_text_clean(&clean, text, strlen(text), false);
  fl_cli_printf("  ");
  if (name) {
    fl_cli_print_clean(name, false);
    fl_cli_printf(" = ");
  }
  fl_cli_text_cut(fl_cli_out(), fl_cli_text_cstr(&clean), clean.size, VALUE_COLUMNS);
  fl_cli_printf("\n");
  fl_cli_text_deinit(&clean);
  free(text);
}

static void print_map(const json_t *map, const char *prefix) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)map, key, value) {
    fl_cli_text name = {0};
    fl_cli_text_addf(&name, "%s%s%s", prefix ? prefix : "", prefix ? "." : "", key);
    print_value(fl_cli_text_cstr(&name), value);
    fl_cli_text_deinit(&name);
  }
}

static void print_title(const char *title) {
  fl_cli_printf("%s%s%s\n", fl_cli_style_text(FL_STYLE_BOLD), title,
                fl_cli_style_text(FL_STYLE_NONE));
}

static void print_section(const char *title, const json_t *value) {
  if (!value || json_is_null(value) || (json_is_object(value) && json_object_size(value) == 0))
    return;
  print_title(title);
  if (json_is_object(value))
    print_map(value, NULL);
  else
    print_value(NULL, value);
}

// What each node it depends on gave, a line a key.
static void print_inputs(const json_t *inputs) {
  const char *node;
  json_t *outputs;
  if (json_object_size(inputs) == 0) return;
  print_title("inputs");
  json_object_foreach((json_t *)inputs, node, outputs) {
    if (json_is_object(outputs) && json_object_size(outputs) > 0)
      print_map(outputs, node);
    else
      print_value(node, outputs);
  }
}

#define DIGEST_SHOWN 19 // "sha256:" and twelve digits: --json has all of them

static void print_digest(const char *name, const json_t *digest) {
  const char *text = json_string_value(digest);
  if (!text) return;
  fl_cli_printf("  ");
  fl_cli_print_clean(name, false);
  fl_cli_printf(" %.*s", DIGEST_SHOWN, text);
}

static void print_digests(const json_t *digests) {
  static const char *const left[] = {"outputs", "vars_out", "checkpoint", "recorded"};
  const char *node;
  json_t *digest;
  fl_cli_printf("     saw ");
  print_digest("params", json_object_get(digests, "params"));
  print_digest("vars", json_object_get(digests, "vars"));
  print_digest("item", json_object_get(digests, "item"));
  print_digest("checkpoint", json_object_get(digests, "restored"));
  json_object_foreach(json_object_get(digests, "inputs"), node, digest) {
    fl_cli_text name = {0};
    fl_cli_text_addf(&name, "inputs.%s", node);
    print_digest(fl_cli_text_cstr(&name), digest);
    fl_cli_text_deinit(&name);
  }
  fl_cli_printf("\n     left");
  bool any = false;
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
    print_digest(left[i], json_object_get(digests, left[i]));
    any = any || json_is_string(json_object_get(digests, left[i]));
  }
  fl_cli_printf(any ? "\n" : "  nothing\n");
}

// All attempts, each with the digests of what it saw and what it left.
static void print_attempts(const json_t *attempts) {
  json_t *attempt;
  size_t i;
  print_title("attempts");
  json_array_foreach((json_t *)attempts, i, attempt) {
    const char *status = json_string_value(json_object_get(attempt, "status"));
    const char *started = json_string_value(json_object_get(attempt, "started_at"));
    const char *error = json_string_value(json_object_get(attempt, "error"));
    char at[32];
    fl_cli_local_time(fl_cli_time_of(started ? started : ""), at);
    fl_cli_printf("  %lld  %s%s%s  %s",
                  (long long)json_integer_value(json_object_get(attempt, "attempt")),
                  fl_cli_style_text(fl_cli_style_of_status(status ? status : "")),
                  status ? status : "", fl_cli_style_text(FL_STYLE_NONE), at);
    if (json_is_true(json_object_get(attempt, "synthetic"))) fl_cli_printf("  set by hand");
    if (error) {
      fl_cli_printf("  ");
      fl_cli_print_clean(error, false);
    }
    fl_cli_printf("\n");
    print_digests(json_object_get(attempt, "digests"));
  }
}

static void print_context(const char *text) {
  json_t *context = json_loads(text, 0, NULL);
  const char *run = json_string_value(json_object_get(context, "run"));
  const char *node = json_string_value(json_object_get(context, "node"));
  fl_cli_printf("run %s, node ", run ? run : "");
  fl_cli_print_clean(node ? node : "", false);
  fl_cli_printf(", attempt %lld\n",
                (long long)json_integer_value(json_object_get(context, "attempt")));
  print_section("params", json_object_get(context, "params"));
  print_section("vars it saw", json_object_get(context, "vars"));
  print_section("item", json_object_get(context, "item"));
  print_section("checkpoint it got back", json_object_get(context, "restored"));
  print_inputs(json_object_get(context, "inputs"));
  print_section("outputs", json_object_get(context, "outputs"));
  print_section("vars it left", json_object_get(context, "vars_out"));
  print_section("checkpoint", json_object_get(context, "checkpoint"));
  print_section("recorded", json_object_get(context, "recorded"));
  print_attempts(json_object_get(context, "attempts"));
  json_decref(context);
}

static int context_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char *text = NULL;
  int64_t attempt = 0;
  const char *run, *node;
  if (!fl_cli_run_and_word(cli, &run, &node)) return FL_EXIT_USAGE;
  if (!fl_cli_get_number(cli, "attempt", 1, UINT32_MAX, &attempt)) return FL_EXIT_USAGE;
  int code = fl_cli_engine_open(cli, FL_CLI_READ, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  if (fl_read_context(engine.engine, run, node, (uint32_t)attempt, &text, &err) != FL_OK) {
    code = fl_cli_fail(&err);
  } else if (fl_cli_has(cli, "json")) {
    fl_cli_print_json(text);
  } else {
    print_context(text);
  }
  fl_free(text);
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_context = {
    .name = "context",
    .words = "[RUN] NODE",
    .summary = "show what an attempt of a node saw, and what it left",
    .word_count_min = 1,
    .word_count_max = 2,
    .options = options,
    .example = "flowlua context clean\n"
               "flowlua context last clean --attempt 1 --json",
    .run = context_run,
};
