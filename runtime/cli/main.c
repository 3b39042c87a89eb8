// The flowlua command: finds the verb and hands over. `flowlua FILE` is `flowlua run FILE`.
#include "watch.h"
#include <signal.h>
#include <unistd.h>

// True when `arg` is an option whose value is the next word: it is not the verb then.
static bool takes_next(const char *arg) {
  if (strncmp(arg, "--", 2) != 0 || strchr(arg, '=')) return false;
  const char *name = arg + 2;
  const fl_cli_option *o = fl_cli_option_find(fl_cli_global_options, name, strlen(name));
  for (size_t i = 0; !o && fl_cli_verbs[i]; i++)
    o = fl_cli_option_find(fl_cli_verbs[i]->options, name, strlen(name));
  return o && o->value;
}

// Index of the first word that is no option, or argc.
static int first_word(int argc, char *const argv[]) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--") == 0) return i + 1;
    if (argv[i][0] != '-' || argv[i][1] == '\0') return i;
    if (takes_next(argv[i])) i++;
  }
  return argc;
}

static bool looks_like_file(const char *word) {
  size_t size = strlen(word);
  return strchr(word, '/') || (size > 4 && strcmp(word + size - 4, ".lua") == 0) ||
         access(word, F_OK) == 0;
}

static int fail_unknown_verb(const char *word) {
  const char *names[64];
  size_t count = 0;
  for (; fl_cli_verbs[count] && count < 64; count++) names[count] = fl_cli_verbs[count]->name;
  const char *meant = fl_cli_suggest(word, names, count);
  return meant ? fl_cli_usage("unknown verb '%s', did you mean '%s'?", word, meant)
               : fl_cli_usage("unknown verb '%s', and no such file (flowlua help lists the verbs)",
                              word);
}

// Without any word: `flowlua --help`, `flowlua --version`, or nothing to do.
static int run_without_word(int argc, char *const argv[]) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return fl_cli_help_print(NULL), FL_EXIT_OK;
    if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0)
      return fl_cli_printf("flowlua %s\n", fl_version_text()), FL_EXIT_OK;
  }
  if (argc > 1) {
    fl_cli cli;
    // Any verb's table will do: only the global options may stand alone, so that this explains.
    if (!fl_cli_parse(&cli, &fl_cli_verb_help, argc, argv, 0)) return fl_cli_deinit(&cli), 2;
    fl_cli_deinit(&cli);
  }
  fl_cli_usage("which file or verb? flowlua FILE runs a script; flowlua help lists the verbs");
  return FL_EXIT_USAGE;
}

static int run_verb(const fl_cli_verb *verb, int argc, char *const argv[], int verb_index) {
  fl_cli cli;
  int code = FL_EXIT_USAGE;
  if (!fl_cli_parse(&cli, verb, argc, argv, verb_index)) goto out;
  fl_cli_output_init(fl_cli_get(&cli, "color"));
  code = FL_EXIT_OK;
  if (fl_cli_has(&cli, "help"))
    fl_cli_help_print(verb);
  else
    code = verb->run(&cli);
out:
  fl_cli_flush();
  fl_cli_deinit(&cli);
  return code;
}

int main(int argc, char **argv) {
  int helper = fl_helper_main(argc, argv);
  if (helper >= 0) return helper;
  fl_cli_output_init(NULL);
  if (!fl_cli_detach_main(&argc, argv)) return FL_EXIT_USAGE;
  int word = first_word(argc, argv), code;
  if (word >= argc) {
    code = run_without_word(argc, argv);
  } else {
    const fl_cli_verb *verb = fl_cli_verb_find(argv[word]);
    if (verb)
      code = run_verb(verb, argc, argv, word);
    else if (looks_like_file(argv[word]))
      code = run_verb(&fl_cli_verb_run, argc, argv, 0);
    else
      code = fail_unknown_verb(argv[word]);
  }
  fl_cli_flush();
  return code;
}
