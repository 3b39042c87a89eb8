// Reads a command line by the tables of its verb. Prints what is wrong with it; decides nothing.
#include "cli.h"
#include <errno.h>

#define SUGGEST_MAX 64

static const struct {
  char letter;
  const char *name;
} letters[] = {{'j', "jobs"},   {'n', "dry-run"}, {'q', "quiet"}, {'p', "param"},
               {'f', "follow"}, {'s', "state"},   {'h', "help"}};

const char *fl_cli_letter_name(char letter) {
  for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
    if (letters[i].letter == letter) return letters[i].name;
  return NULL;
}

char fl_cli_name_letter(const char *name) {
  for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
    if (strcmp(letters[i].name, name) == 0) return letters[i].letter;
  return '\0';
}

const fl_cli_option *fl_cli_option_find(const fl_cli_option *table, const char *name, size_t size) {
  for (; table && table->name; table++)
    if (strlen(table->name) == size && memcmp(table->name, name, size) == 0) return table;
  return NULL;
}

static const fl_cli_option *find_option(const fl_cli_verb *verb, const char *name, size_t size) {
  const fl_cli_option *option = fl_cli_option_find(verb->options, name, size);
  return option ? option : fl_cli_option_find(fl_cli_global_options, name, size);
}

static const char *own_arguments(const fl_cli_verb *verb) {
  return strcmp(verb->name, "run") == 0 ? "; a script's own arguments go after '--'" : "";
}

static bool fail_unknown(const fl_cli_verb *verb, const char *arg, size_t name_size) {
  const char *names[SUGGEST_MAX];
  size_t count = 0;
  for (const fl_cli_option *o = verb->options; o && o->name && count < SUGGEST_MAX; o++)
    names[count++] = o->name;
  for (const fl_cli_option *o = fl_cli_global_options; o->name && count < SUGGEST_MAX; o++)
    names[count++] = o->name;
  char *typed = strndup(arg + 2, name_size);
  if (!typed) abort();
  const char *meant = fl_suggest(typed, names, count);
  int shown = (int)(name_size + 2);
  if (meant)
    fl_cli_usage("unknown option '%.*s' of %s, did you mean '--%s'?", shown, arg, verb->name,
                 meant);
  else
    fl_cli_usage("unknown option '%.*s' of %s (flowlua help %s lists them%s)", shown, arg,
                 verb->name, verb->name, own_arguments(verb));
  free(typed);
  return false;
}

static bool is_choice(const char *choices, const char *text) {
  size_t size = strlen(text);
  for (const char *p = choices; *p;) {
    size_t n = strcspn(p, " ");
    if (n == size && memcmp(p, text, n) == 0) return true;
    p += n + (p[n] == ' ');
  }
  return false;
}

static bool check_choice(const fl_cli_option *option, const char *text) {
  if (!option->choices || is_choice(option->choices, text)) return true;
  fl_cli_text list = {0};
  for (const char *p = option->choices; *p;) {
    size_t n = strcspn(p, " ");
    const char *rest = p[n] ? p + n + 1 : p + n;
    if (p != option->choices) fl_cli_text_add_str(&list, *rest ? ", " : " or ");
    fl_cli_text_add(&list, p, n);
    p = rest;
  }
  fl_cli_usage("--%s: expected %s, got \"%s\"", option->name, fl_cli_text_cstr(&list), text);
  fl_cli_text_deinit(&list);
  return false;
}

/// Where a command line is read.
typedef struct reading {
  int argc;
  char *const *argv;
  int index;   // of what was used last
  int skipped; // of the verb
} reading;

// `text`: what stands behind the name, NULL where nothing does.
static bool take_value(fl_cli *cli, reading *r, const fl_cli_option *option, const char *text) {
  if (option->value && !text) {
    int next = r->index + 1 == r->skipped ? r->index + 2 : r->index + 1;
    if (next >= r->argc)
      return fl_cli_usage("--%s needs a value: --%s %s", option->name, option->name, option->value),
             false;
    text = r->argv[next];
    r->index = next;
  }
  if (text && !check_choice(option, text)) return false;
  cli->values[cli->value_count++] = (fl_cli_value){.option = option, .text = text};
  return true;
}

static bool fail_letter(const fl_cli_verb *verb, char letter) {
  const char *name = fl_cli_letter_name(letter);
  if (name)
    fl_cli_usage("unknown option '-%c' of %s: it is short for '--%s', which %s has not", letter,
                 verb->name, name, verb->name);
  else
    fl_cli_usage("unknown option '-%c' of %s (flowlua help %s lists them%s)", letter, verb->name,
                 verb->name, own_arguments(verb));
  return false;
}

// "-nq", "-j4", "-j 4", "-pk=v".
static bool take_letters(fl_cli *cli, reading *r) {
  for (const char *at = r->argv[r->index] + 1; *at; at++) {
    const char *name = fl_cli_letter_name(*at);
    const fl_cli_option *option = name ? find_option(cli->verb, name, strlen(name)) : NULL;
    if (!option) return fail_letter(cli->verb, *at);
    if (option->value) return take_value(cli, r, option, at[1] ? at + 1 : NULL);
    if (!take_value(cli, r, option, NULL)) return false;
  }
  return true;
}

static bool take_option(fl_cli *cli, reading *r) {
  const char *arg = r->argv[r->index];
  if (arg[1] != '-') return take_letters(cli, r);
  const char *equals = strchr(arg, '=');
  size_t name_size = (equals ? (size_t)(equals - arg) : strlen(arg)) - 2;
  const fl_cli_option *option = find_option(cli->verb, arg + 2, name_size);
  if (!option) return fail_unknown(cli->verb, arg, name_size);
  if (!option->value && equals) return fl_cli_usage("--%s takes no value", option->name), false;
  return take_value(cli, r, option, equals ? equals + 1 : NULL);
}

// The word that is missing, by its name in help: the first of those that must be there.
static bool fail_missing(const fl_cli *cli) {
  const fl_cli_verb *verb = cli->verb;
  const char *at = verb->words;
  for (size_t passed = 0; *at; at += strspn(at, " ")) {
    if (*at != '[' && passed++ == cli->word_count) break;
    at += strcspn(at, " ");
  }
  fl_cli_usage("%.*s is missing: flowlua %s %s", (int)strcspn(at, " "), at, verb->name,
               verb->words);
  return false;
}

static bool check_words(const fl_cli *cli) {
  const fl_cli_verb *verb = cli->verb;
  if (fl_cli_has(cli, "help")) return true;
  if (cli->word_count < verb->word_count_min) return fail_missing(cli);
  if (cli->word_count > verb->word_count_max)
    return fl_cli_usage("unexpected argument '%s' (flowlua %s%s%s)",
                        cli->words[verb->word_count_max], verb->name, *verb->words ? " " : "",
                        verb->words),
           false;
  return true;
}

bool fl_cli_parse(fl_cli *cli, const fl_cli_verb *verb, int argc, char *const argv[],
                  int verb_index) {
  *cli = (fl_cli){.verb = verb, .argc = argc, .argv = argv};
  cli->words = fl_cli_alloc((size_t)argc + 1, sizeof *cli->words);
  // Of "-nq" each letter is one.
  size_t letter_count = 0;
  for (int i = 1; i < argc; i++) letter_count += strlen(argv[i]);
  cli->values = fl_cli_alloc(letter_count + 1, sizeof *cli->values);
  bool dashes = false;
  reading r = {.argc = argc, .argv = argv, .index = 1, .skipped = verb_index};
  for (; r.index < argc; r.index++) {
    const char *arg = argv[r.index];
    if (r.index == verb_index) continue;
    if (!dashes && strcmp(arg, "--") == 0) {
      dashes = true;
      cli->words_before_dashes = cli->word_count;
    } else if (!dashes && arg[0] == '-' && arg[1] != '\0') {
      if (!take_option(cli, &r)) return false;
    } else {
      cli->words[cli->word_count++] = arg;
    }
  }
  if (!dashes) cli->words_before_dashes = cli->word_count;
  return check_words(cli);
}

void fl_cli_deinit(fl_cli *cli) {
  free(cli->words);
  free(cli->values);
  *cli = (fl_cli){0};
}

bool fl_cli_has(const fl_cli *cli, const char *option) {
  for (size_t i = 0; i < cli->value_count; i++)
    if (strcmp(cli->values[i].option->name, option) == 0) return true;
  return false;
}

const char *fl_cli_get(const fl_cli *cli, const char *option) {
  for (size_t i = cli->value_count; i > 0; i--)
    if (strcmp(cli->values[i - 1].option->name, option) == 0) return cli->values[i - 1].text;
  return NULL;
}

bool fl_cli_get_number(const fl_cli *cli, const char *option, int64_t min, int64_t max,
                       int64_t *out) {
  const char *text = fl_cli_get(cli, option);
  if (!text) return true;
  char *end;
  errno = 0;
  long long n = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || n < min || n > max)
    return fl_cli_usage("--%s: expected a whole number from %lld to %lld, got \"%s\"", option,
                        (long long)min, (long long)max, text),
           false;
  *out = n;
  return true;
}

const char **fl_cli_get_all(const fl_cli *cli, const char *option, size_t *count) {
  const char **texts = NULL;
  *count = 0;
  for (size_t i = 0; i < cli->value_count; i++) {
    if (strcmp(cli->values[i].option->name, option) != 0) continue;
    if (!texts) texts = fl_cli_alloc(cli->value_count, sizeof *texts);
    texts[(*count)++] = cli->values[i].text;
  }
  return texts;
}

void fl_cli_list_init(fl_cli_list *list, const fl_cli *cli, const char *option) {
  *list = (fl_cli_list){0};
  size_t count, commas = 0;
  const char **texts = fl_cli_get_all(cli, option, &count);
  fl_cli_text joined = {0};
  for (size_t i = 0; i < count; i++) {
    if (i) fl_cli_text_add(&joined, ",", 1);
    fl_cli_text_add_str(&joined, texts[i]);
  }
  free(texts);
  fl_cli_text_cstr(&joined);
  for (const char *p = joined.data; *p; p++) commas += *p == ',';
  list->storage = joined.data;
  list->items = fl_cli_alloc(commas + 1, sizeof *list->items);
  for (char *p = joined.data; p;) {
    char *comma = strchr(p, ',');
    if (comma) *comma = '\0';
    if (*p) list->items[list->count++] = p;
    p = comma ? comma + 1 : NULL;
  }
}

void fl_cli_list_deinit(fl_cli_list *list) {
  free(list->items);
  free(list->storage);
  *list = (fl_cli_list){0};
}
