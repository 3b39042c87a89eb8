// Patches and proposals in words: what a resume changed, or would.
#include "cli.h"
#include "json.h"
#include <jansson.h>
#include <string.h>

static void add_value(fl_cli_text *out, const json_t *value) {
  if (json_is_string(value)) {
    fl_cli_text_addf(out, "%s", json_string_value(value));
    return;
  }
  char *text = fl_cli_json_format(value);
  if (text && strlen(text) > 60)
    fl_cli_text_addf(out, "%.57s...", text);
  else
    fl_cli_text_addf(out, "%s", text ? text : "");
  free(text);
}

static void begin(fl_cli_text *out) {
  if (*fl_cli_text_cstr(out)) fl_cli_text_addf(out, ", ");
}

// {"load":{"retries":2}} -> "load.retries=2"
static void add_maps(fl_cli_text *out, const json_t *maps) {
  const char *name, *key;
  json_t *map, *value;
  json_object_foreach((json_t *)maps, name, map) {
    json_object_foreach(map, key, value) {
      begin(out);
      fl_cli_text_addf(out, "%s.%s=", name, key);
      add_value(out, value);
    }
  }
}

static void add_map(fl_cli_text *out, const char *prefix, const json_t *map) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)map, name, value) {
    begin(out);
    fl_cli_text_addf(out, "%s%s=", prefix, name);
    add_value(out, value);
  }
}

static void add_list(fl_cli_text *out, const char *verb, const json_t *list) {
  size_t i;
  json_t *name;
  if (!json_array_size(list)) return;
  begin(out);
  fl_cli_text_addf(out, "%s", verb);
  json_array_foreach(list, i, name)
      fl_cli_text_addf(out, "%s%s", i ? "," : " ", json_string_value(name));
}

void fl_cli_patch_describe(const json_t *patch, fl_cli_text *out) {
  add_map(out, "param ", json_object_get(patch, "params"));
  add_map(out, "var ", json_object_get(patch, "vars"));
  add_maps(out, json_object_get(patch, "outputs"));
  add_maps(out, json_object_get(patch, "options"));
  add_map(out, "checkpoint ", json_object_get(patch, "checkpoints"));
  add_map(out, "succeed ", json_object_get(patch, "succeed"));
  add_list(out, "skip", json_object_get(patch, "skip"));
  add_list(out, "rerun", json_object_get(patch, "rerun"));
  add_list(out, "keep", json_object_get(patch, "keep"));
  add_map(out, "rename ", json_object_get(patch, "rename"));
  const char *script = json_string_value(json_object_get(patch, "script"));
  if (script) begin(out), fl_cli_text_addf(out, "script %s", script);
  if (json_is_true(json_object_get(patch, "keep_checkpoint")))
    begin(out), fl_cli_text_addf(out, "keep checkpoints");
}

void fl_cli_patches_print(const json_t *patches) {
  size_t i;
  json_t *entry;
  json_array_foreach((json_t *)patches, i, entry) {
    fl_cli_text text = {0};
    const char *author = json_string_value(json_object_get(entry, "author"));
    const char *at = json_string_value(json_object_get(entry, "at"));
    const char *reason = json_string_value(json_object_get(entry, "reason"));
    fl_cli_patch_describe(json_object_get(entry, "patch"), &text);
    char local[32];
    fl_cli_local_time(fl_cli_time_of(at), local);
    fl_cli_printf("%-9s %s", "mended", local);
    if (author) fl_cli_printf(" by "), fl_cli_print_clean(author, false);
    json_int_t proposal = json_integer_value(json_object_get(entry, "proposal"));
    if (proposal) fl_cli_printf(" with proposal %lld", (long long)proposal);
    fl_cli_printf(": ");
    fl_cli_print_clean(*fl_cli_text_cstr(&text) ? fl_cli_text_cstr(&text) : "resumed", false);
    if (reason) fl_cli_printf(" ("), fl_cli_print_clean(reason, false), fl_cli_printf(")");
    fl_cli_printf("\n");
    fl_cli_text_deinit(&text);
  }
}
