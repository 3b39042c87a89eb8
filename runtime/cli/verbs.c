// The table of verbs, the options that all of them take, and where a verb stands.
#include "cli.h"
#include <unistd.h>

const fl_cli_verb *const fl_cli_verbs[] = {
#define X(name) &fl_cli_verb_##name,
    FL_CLI_VERBS(X)
#undef X
        NULL,
};

const fl_cli_option fl_cli_global_options[] = {
    {"state", "DIR", "where runs are kept (default: $FLOWLUA_STATE, else the nearest .flowlua)",
     NULL},
    {"color", "WHEN", "auto, always or never (default: auto; NO_COLOR holds)", "auto always never"},
    {"lua", "DIR", "read the language's own files from DIR (default: $FLOWLUA_LUA, else built in)",
     NULL},
    {"help", NULL, "show this help", NULL},
    {NULL, NULL, NULL, NULL},
};

const fl_cli_verb *fl_cli_verb_find(const char *name) {
  for (size_t i = 0; fl_cli_verbs[i]; i++)
    if (strcmp(fl_cli_verbs[i]->name, name) == 0) return fl_cli_verbs[i];
  return NULL;
}

// Whether all of these letters are of options that take no value.
static bool is_flags(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    const char *name = fl_cli_letter_name(text[i]);
    const fl_cli_option *o = NULL;
    if (!name) return false;
    for (size_t v = 0; !o && fl_cli_verbs[v]; v++)
      o = fl_cli_option_find(fl_cli_verbs[v]->options, name, strlen(name));
    if (o && o->value) return false;
  }
  return true;
}

// True when `arg` is an option whose value is the next word: it is not the verb then.
static bool takes_next(const char *arg) {
  const char *name = arg + 2;
  if (arg[1] != '-')
    name = fl_cli_letter_name(arg[strlen(arg) - 1]);
  else if (strchr(arg, '='))
    return false;
  if (!name) return false;
  // "-j4" has its value; "-nj" has not.
  if (arg[1] != '-' && strlen(arg) > 2 && !is_flags(arg + 1, strlen(arg) - 2)) return false;
  const fl_cli_option *o = fl_cli_option_find(fl_cli_global_options, name, strlen(name));
  for (size_t i = 0; !o && fl_cli_verbs[i]; i++)
    o = fl_cli_option_find(fl_cli_verbs[i]->options, name, strlen(name));
  return o && o->value;
}

int fl_cli_first_word(int argc, char *const argv[]) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--") == 0) return i + 1;
    if (argv[i][0] != '-' || argv[i][1] == '\0') return i;
    if (takes_next(argv[i])) i++;
  }
  return argc;
}

bool fl_cli_is_file_word(const char *word) {
  size_t size = strlen(word);
  return strchr(word, '/') || strcmp(word, "-") == 0 ||
         (size > 4 && strcmp(word + size - 4, ".lua") == 0) || access(word, F_OK) == 0;
}
