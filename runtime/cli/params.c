// The params of a flow: what --help says of them, and asking for those that are required.
#include "params.h"
#include "json.h"
#include <jansson.h>
#include <unistd.h>

static json_t *describe(fl_script *script, const char *flow, fl_error *err) {
  char *text = NULL;
  if (fl_script_describe(script, flow, &text, err) != FL_OK) return NULL;
  json_t *json = json_loads(text, 0, NULL);
  fl_free(text);
  return json;
}

static const char *text_of(const json_t *json, const char *key) {
  const char *text = json_string_value(json_object_get(json, key));
  return text ? text : "";
}

// A text without its quotes, all else as JSON.
static void add_value(fl_cli_text *t, const json_t *value) {
  if (json_is_string(value)) {
    fl_cli_text_clean(t, json_string_value(value), json_string_length(value), false);
    return;
  }
  char *text = fl_cli_json_format(value);
  if (text) fl_cli_text_clean(t, text, strlen(text), false);
  free(text);
}

// "integer 1 to 9", "one of a, b".
static void add_type(fl_cli_text *t, const json_t *param) {
  const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
  const json_t *choices = json_object_get(param, "enum"), *choice;
  size_t i;
  if (json_array_size(choices) > 0) {
    fl_cli_text_add_str(t, "one of ");
    json_array_foreach((json_t *)choices, i, choice) {
      if (i) fl_cli_text_add_str(t, ", ");
      add_value(t, choice);
    }
    return;
  }
  fl_cli_text_add_str(t, text_of(param, "type"));
  if (min) fl_cli_text_add_str(t, max ? " " : " from "), add_value(t, min);
  if (max) fl_cli_text_add_str(t, min ? " to " : " up to "), add_value(t, max);
}

static void print_param(const json_t *param, size_t width) {
  fl_cli_text *out = fl_cli_out();
  const char *name = text_of(param, "name"), *doc = text_of(param, "doc");
  fl_cli_printf("  --param ");
  fl_cli_print_clean(name, false);
  fl_cli_text_pad(out, width - strlen(name) + 2);
  add_type(out, param);
  if (json_is_true(json_object_get(param, "required")))
    fl_cli_printf(", required");
  else if (json_object_get(param, "default"))
    fl_cli_printf(", default "), add_value(out, json_object_get(param, "default"));
  if (*doc) fl_cli_printf(": "), fl_cli_print_clean(doc, false);
  fl_cli_printf("\n");
}

static void print_flow(const json_t *flow) {
  const json_t *params = json_object_get(flow, "params"), *param;
  size_t i, width = 0;
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_BOLD));
  fl_cli_print_clean(text_of(flow, "flow"), false);
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_NONE));
  if (*text_of(flow, "doc")) fl_cli_printf(": "), fl_cli_print_clean(text_of(flow, "doc"), true);
  fl_cli_printf("\n");
  json_array_foreach((json_t *)params, i, param) {
    size_t n = strlen(text_of(param, "name"));
    if (n > width) width = n;
  }
  json_array_foreach((json_t *)params, i, param) print_param(param, width);
  if (json_array_size(params) == 0) fl_cli_printf("  no params\n");
}

int fl_cli_params_print(const fl_cli *cli, fl_script *script, const char *flow) {
  fl_error err = {0};
  size_t count = flow ? 1 : fl_script_get_flow_count(script);
  for (size_t i = 0; i < count; i++) {
    json_t *json = describe(script, flow ? flow : fl_script_get_flow_key(script, i), &err);
    if (!json) return fl_cli_fail(&err);
    if (i) fl_cli_printf("\n");
    print_flow(json);
    json_decref(json);
  }
  fl_cli_printf("\n  flowlua ");
  fl_cli_text_quote(fl_cli_out(), cli->words[0]);
  fl_cli_printf(" %s--param NAME=VALUE; flowlua help run lists all options\n",
                count > 1 ? "--flow KEY " : "");
  return FL_EXIT_OK;
}

// ------------------------------------------------------------------------------------- asking

static bool is_given(const fl_run_options *o, const json_t *object, const char *name) {
  size_t size = strlen(name);
  for (size_t i = 0; i < o->param_count; i++) {
    const char *text = o->params[i];
    if (strncmp(text, name, size) == 0 && (text[size] == '=' || text[size] == ':')) return true;
  }
  return json_object_get(object, name) != NULL;
}

static char *ask(const json_t *param) {
  fl_cli_text text = {0};
  char *line = NULL;
  size_t capacity = 0;
  fl_cli_text_clean(&text, text_of(param, "name"), strlen(text_of(param, "name")), false);
  fl_cli_text_add_str(&text, " (");
  add_type(&text, param);
  if (*text_of(param, "doc")) {
    fl_cli_text_add_str(&text, "; ");
    fl_cli_text_clean(&text, text_of(param, "doc"), strlen(text_of(param, "doc")), false);
  }
  fl_cli_printf("%s): ", fl_cli_text_cstr(&text));
  fl_cli_flush_raw();
  fl_cli_text_deinit(&text);
  ssize_t n = getline(&line, &capacity, stdin);
  while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = '\0';
  if (n > 0) {
    fl_cli_text answer = {0};
    fl_cli_text_addf(&answer, "%s=%s", text_of(param, "name"), line);
    fl_cli_text_cstr(&answer);
    free(line);
    return answer.data;
  }
  free(line);
  return NULL;
}

bool fl_cli_params_ask(fl_script *script, const fl_run_options *options, const char ***texts,
                       size_t *count) {
  if (!isatty(STDIN_FILENO) || !fl_cli_out_is_terminal()) return true;
  fl_error err = {0};
  json_t *flow = describe(script, options->flow, &err), *param;
  json_t *object = options->params_json ? json_loads(options->params_json, 0, NULL) : NULL;
  bool good = true;
  size_t i;
  // A flow that is not there is told when it is to run.
  json_array_foreach(json_object_get(flow, "params"), i, param) {
    const char *name = text_of(param, "name");
    bool wanted =
        json_is_true(json_object_get(param, "required")) && !is_given(options, object, name);
    char *answer = wanted && good ? ask(param) : NULL;
    if (wanted && good && !answer)
      good = (fl_cli_usage("parameter %s is required (give it with --param %s=VALUE)", name, name),
              false);
    if (!answer) continue;
    *texts = fl_cli_realloc(*texts, (*count + 1) * sizeof **texts);
    (*texts)[(*count)++] = answer;
  }
  json_decref(object);
  json_decref(flow);
  return good;
}

bool fl_cli_params_check_pools(fl_script *script, const fl_pool_size *pools, size_t count) {
  fl_error err;
  size_t known = 0, flows = count ? fl_script_get_flow_count(script) : 0;
  json_t *all = json_array(), *name;
  for (size_t i = 0; i < flows; i++) {
    json_t *flow = describe(script, fl_script_get_flow_key(script, i), &err);
    json_array_extend(all, json_object_get(flow, "pools"));
    json_decref(flow);
  }
  const char **names = fl_cli_alloc(json_array_size(all) + 1, sizeof *names);
  json_array_foreach(all, known, name) names[known] = json_string_value(name);
  bool good = true;
  for (size_t i = 0; i < count && good; i++) {
    for (size_t k = 0; k < known && good; k++) good = strcmp(names[k], pools[i].name) != 0;
    if ((good = !good)) continue;
    const char *meant = fl_suggest(pools[i].name, names, known);
    fl_cli_usage(meant   ? "--pool: no node takes from a pool \"%s\"; did you mean \"%s\"?"
                 : known ? "--pool: no node takes from a pool \"%s\"; there is \"%s\""
                         : "--pool: no node takes from a pool \"%s\", nor from any",
                 pools[i].name,
                 meant   ? meant
                 : known ? names[0]
                         : "");
  }
  free(names);
  json_decref(all);
  return good;
}
