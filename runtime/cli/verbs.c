// The table of verbs, and the options that all of them take.
#include "cli.h"

const fl_cli_verb *const fl_cli_verbs[] = {
#define X(name) &fl_cli_verb_##name,
    FL_CLI_VERBS(X)
#undef X
        NULL,
};

const fl_cli_option fl_cli_global_options[] = {
    {"state", "DIR", "where runs are kept (default: $FLOWLUA_STATE, else ./.flowlua)", NULL},
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

const fl_cli_option *fl_cli_option_find(const fl_cli_option *table, const char *name, size_t size) {
  for (; table && table->name; table++)
    if (strlen(table->name) == size && memcmp(table->name, name, size) == 0) return table;
  return NULL;
}
