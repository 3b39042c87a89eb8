// JSON as it is shown: as the library writes it, with the fewest digits that read back the same.
#include "cli.h"
#include "json.h"
#include <stdlib.h>
#include <string.h>

static void add_string(fl_cli_text *t, const json_t *string) {
  char *text = json_dumps(string, JSON_COMPACT | JSON_ENCODE_ANY);
  if (!text) abort();
  fl_cli_text_add_str(t, text);
  free(text);
}

static void add_real(fl_cli_text *t, double number) {
  char text[40];
  int digits = 15;
  do {
    snprintf(text, sizeof text, "%.*g", digits, number);
  } while (strtod(text, NULL) != number && ++digits <= 17);
  fl_cli_text_add_str(t, text);
}

static void add_key(fl_cli_text *t, const char *key) {
  json_t *string = json_string(key);
  add_string(t, string);
  json_decref(string);
  fl_cli_text_add_str(t, ":");
}

// A document is not deeper than the library lets it be, which is what bounds the recursion.
static void add_value(fl_cli_text *t, const json_t *value) {
  const char *key, *sign = "";
  json_t *inner;
  size_t i;
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    fl_cli_text_add_str(t, "{");
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) {
      fl_cli_text_add_str(t, sign);
      add_key(t, key);
      add_value(t, inner);
      sign = ",";
    }
    fl_cli_text_add_str(t, "}");
    break;
  case JSON_ARRAY:
    fl_cli_text_add_str(t, "[");
    json_array_foreach((json_t *)(uintptr_t)value, i, inner) {
      if (i) fl_cli_text_add_str(t, ",");
      add_value(t, inner);
    }
    fl_cli_text_add_str(t, "]");
    break;
  case JSON_REAL: add_real(t, json_real_value(value)); break;
  case JSON_INTEGER: fl_cli_text_addf(t, "%lld", (long long)json_integer_value(value)); break;
  case JSON_STRING: add_string(t, value); break;
  default:
    fl_cli_text_add_str(t, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
  }
}

char *fl_cli_json_format(const json_t *value) {
  fl_cli_text t = {0};
  add_value(&t, value);
  fl_cli_text_cstr(&t);
  return t.data;
}
