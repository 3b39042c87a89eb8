// What diff, why, replay and show say of two sides of something.
#include "compare.h"
#include "json.h"

#define VALUE_COLUMNS 100 // of a changed value

const char *fl_cli_json_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

const char *fl_cli_json_side(const json_t *object, const char *key, const char *side) {
  return fl_cli_json_text(json_object_get(object, key), side);
}

bool fl_cli_json_true(const json_t *object, const char *key) {
  return json_is_true(json_object_get(object, key));
}

// -------------------------------------------------------------------------------- changes

static void print_side(const json_t *change, const char *side) {
  const json_t *value = json_object_get(change, side);
  if (!value) {
    fl_cli_printf("(none)");
    return;
  }
  char *text = fl_cli_json_format(value);
  fl_cli_text clean = {0};
  if (!text) abort();
  fl_cli_text_clean(&clean, text, strlen(text), false);
  fl_cli_text_cut(fl_cli_out(), fl_cli_text_cstr(&clean), clean.size, VALUE_COLUMNS);
  fl_cli_text_deinit(&clean);
  free(text);
}

void fl_cli_print_changes(const json_t *pair, const char *prefix) {
  const json_t *changes = json_object_get(pair, "changes"), *change;
  size_t i;
  if (!pair || fl_cli_json_true(pair, "equal")) return;
  if (!json_is_array(changes)) {
    fl_cli_printf("  %s: %.19s -> %.19s (their texts are gone)\n", prefix,
                  fl_cli_json_text(pair, "a"), fl_cli_json_text(pair, "b"));
    return;
  }
  json_array_foreach(changes, i, change) {
    const char *key = fl_cli_json_text(change, "key");
    fl_cli_printf("  ");
    fl_cli_print_clean(prefix, false);
    if (*key && *key != '[') fl_cli_printf(".");
    fl_cli_print_clean(key, false);
    fl_cli_printf(": ");
    print_side(change, "a");
    fl_cli_printf(" -> ");
    print_side(change, "b");
    fl_cli_printf("\n");
  }
  json_int_t more = json_integer_value(json_object_get(pair, "more"));
  if (more > 0) fl_cli_printf("  %s: %lld more differ\n", prefix, (long long)more);
}

void fl_cli_print_inputs(const json_t *inputs) {
  const json_t *parent;
  size_t i;
  json_array_foreach(json_object_get(inputs, "parents"), i, parent) {
    fl_cli_text prefix = {0};
    fl_cli_text_addf(&prefix, "inputs.%s", fl_cli_json_text(parent, "name"));
    fl_cli_print_changes(json_object_get(parent, "outputs"), fl_cli_text_cstr(&prefix));
    const json_t *given = json_object_get(parent, "given");
    if (fl_cli_json_true(given, "a") != fl_cli_json_true(given, "b"))
      fl_cli_printf("  %s: given only %s\n", fl_cli_text_cstr(&prefix),
                    fl_cli_json_true(given, "a") ? "in the first" : "in the second");
    fl_cli_text_deinit(&prefix);
  }
}

void fl_cli_print_script(const json_t *script) {
  const json_t *files = json_object_get(script, "files"), *file;
  size_t i;
  if (fl_cli_json_true(script, "equal")) return;
  if (!json_is_array(files)) {
    fl_cli_printf("  one of them is not in the store any more\n");
    return;
  }
  json_array_foreach(files, i, file) {
    fl_cli_printf("  ");
    fl_cli_print_clean(fl_cli_json_text(file, "path"), false);
    fl_cli_printf(" (%s, +%lld -%lld lines)\n", fl_cli_json_text(file, "status"),
                  (long long)json_integer_value(json_object_get(file, "added")),
                  (long long)json_integer_value(json_object_get(file, "removed")));
    const char *line = fl_cli_json_text(file, "diff");
    for (size_t size; *line; line += size + (line[size] == '\n')) {
      size = strcspn(line, "\n");
      fl_cli_style style = *line == '+'   ? FL_STYLE_GREEN
                           : *line == '-' ? FL_STYLE_RED
                                          : FL_STYLE_DIM;
      fl_cli_printf("    %s", fl_cli_style_text(style));
      fl_cli_text_clean(fl_cli_out(), line, size, false);
      fl_cli_printf("%s\n", fl_cli_style_text(FL_STYLE_NONE));
    }
  }
}

// -------------------------------------------------------------------------------- replays

// Whether a status says that the node's own code had run.
static bool has_run(const char *status) {
  return strcmp(status, "succeeded") == 0 || strcmp(status, "failed") == 0 ||
         strcmp(status, "cancelled") == 0;
}

static const char *verdict_of(const json_t *node) {
  const char *result = fl_cli_json_text(node, "result");
  const char *then = fl_cli_json_side(node, "status", "a");
  const char *now = fl_cli_json_side(node, "status", "b");
  if (strcmp(result, "only_a") == 0) return "not run now";
  if (strcmp(result, "only_b") == 0) return "not run then";
  if (strcmp(result, "different") == 0 && !has_run(then) && has_run(now)) return "not run then";
  if (strcmp(result, "different") == 0 && has_run(then) && !has_run(now)) return "not run now";
  return result;
}

static void add_differs(fl_cli_table *table, const json_t *node) {
  const json_t *name;
  fl_cli_text text = {0};
  size_t i;
  json_array_foreach(json_object_get(node, "differs"), i, name)
      fl_cli_text_addf(&text, "%s%s", text.size ? ", " : "", json_string_value(name));
  if (fl_cli_json_true(json_object_get(node, "by_hand"), "a"))
    fl_cli_text_addf(&text, "%sset by hand then", text.size ? "; " : "");
  fl_cli_table_add(table, fl_cli_text_cstr(&text), FL_STYLE_DIM);
  fl_cli_text_deinit(&text);
}

// "equal" is the sum of all of them: what a person wants to know first.
static void print_counts(const json_t *diff) {
  static const char *const keys[] = {"equal", "different", "skipped", "not run then",
                                     "not run now"};
  size_t counts[5] = {0}, i;
  const json_t *node;
  json_array_foreach(json_object_get(diff, "nodes"), i, node) {
    for (size_t k = 0; k < 5; k++) counts[k] += strcmp(verdict_of(node), keys[k]) == 0;
  }
  bool equal = fl_cli_json_true(diff, "equal");
  fl_cli_printf("replay of %s: %s%s%s", fl_cli_json_side(diff, "a", "id"),
                fl_cli_style_text(equal ? FL_STYLE_GREEN : FL_STYLE_YELLOW),
                equal ? "equal" : "different", fl_cli_style_text(FL_STYLE_NONE));
  const char *sign = ": ";
  for (size_t k = 0; k < 5; k++) {
    if (!counts[k]) continue;
    fl_cli_printf("%s%zu %s", sign, counts[k], keys[k]);
    sign = ", ";
  }
  fl_cli_printf("\n");
}

void fl_cli_print_replay(const json_t *diff, bool all) {
  const json_t *node;
  size_t i;
  fl_cli_table *table = fl_cli_table_new("node:then:now:result:differs in");
  json_array_foreach(json_object_get(diff, "nodes"), i, node) {
    const char *then = fl_cli_json_side(node, "status", "a"), *verdict = verdict_of(node);
    const char *now = fl_cli_json_side(node, "status", "b");
    bool equal = strcmp(verdict, "equal") == 0 || strcmp(verdict, "skipped") == 0;
    if (equal && !all) continue;
    fl_cli_table_add(table, fl_cli_json_text(node, "name"), FL_STYLE_NONE);
    fl_cli_table_add(table, then, fl_cli_style_of_status(then));
    fl_cli_table_add(table, now, fl_cli_style_of_status(now));
    fl_cli_table_add(table, verdict, equal ? FL_STYLE_GREEN : FL_STYLE_YELLOW);
    add_differs(table, node);
  }
  fl_cli_table_print(table);
  print_counts(diff);
}

void fl_cli_print_replay_json(const json_t *diff) {
  json_t *out = json_object(), *list = json_array(), *node;
  size_t i;
  json_object_set_new(out, "event", json_string("replay_compared"));
  json_object_set_new(out, "run", json_string(fl_cli_json_side(diff, "b", "id")));
  json_object_set_new(out, "replay_of", json_string(fl_cli_json_side(diff, "a", "id")));
  json_object_set_new(out, "equal", json_boolean(fl_cli_json_true(diff, "equal")));
  json_array_foreach(json_object_get(diff, "nodes"), i, node) {
    json_t *entry = json_object();
    json_object_set(entry, "node", json_object_get(node, "name"));
    json_object_set_new(entry, "result", json_string(verdict_of(node)));
    json_object_set(entry, "status", json_object_get(node, "status"));
    json_object_set(entry, "differs", json_object_get(node, "differs"));
    json_array_append_new(list, entry);
  }
  json_object_set_new(out, "replay", list);
  char *text = fl_cli_json_format(out);
  fl_cli_print_json(text);
  json_decref(out);
  free(text);
}
