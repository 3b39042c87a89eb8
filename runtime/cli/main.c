// The flowlua command: finds the verb and hands over. `flowlua FILE` is `flowlua run FILE`.
#include "watch.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

// What others call what is one of our verbs.
static const char *const others[][2] = {
    {"ls", "runs"},         {"list", "runs"},      {"ps", "runs --status running"},
    {"status", "show"},     {"stop", "cancel"},    {"kill", "cancel --kill"},
    {"rm", "prune"},        {"delete", "prune"},   {"tail", "logs --follow"},
    {"start", "run"},       {"exec", "run"},       {"retry", "resume"},
    {"continue", "resume"}, {"validate", "check"}, {"lint", "check"},
};

static int fail_unknown_verb(const char *word) {
  fl_cli_text file = {0};
  fl_cli_text_addf(&file, "%s.lua", word);
  bool there = access(fl_cli_text_cstr(&file), F_OK) == 0;
  fl_cli_text_deinit(&file);
  if (there)
    return fl_cli_usage("no verb and no file is called '%s', did you mean '%s.lua'?", word, word);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcmp(word, others[i][0]) == 0)
      return fl_cli_usage("unknown verb '%s': that is 'flowlua %s'", word, others[i][1]);
  const char *names[64];
  size_t count = 0;
  for (; fl_cli_verbs[count] && count < 64; count++) names[count] = fl_cli_verbs[count]->name;
  const char *meant = fl_suggest(word, names, count);
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
  // Of a script it is the params that one wants to know.
  bool of_script = verb == &fl_cli_verb_run && cli.word_count > 0;
  if (fl_cli_has(&cli, "help") && !of_script)
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
  fl_cli_open_closed();
  fl_own_process();
  if (argc > 1 && strcmp(argv[1], "--complete") == 0) return fl_cli_complete(argc - 2, argv + 2);
  fl_cli_output_init(NULL);
  if (argc == 2 && strcmp(argv[1], "--man") == 0) {
    fl_cli_print_man();
    fl_cli_flush();
    return fl_cli_output_error() ? FL_EXIT_SYSTEM : FL_EXIT_OK;
  }
  if (!fl_cli_detach_main(&argc, argv)) return FL_EXIT_USAGE;
  int word = fl_cli_first_word(argc, argv), code;
  if (word >= argc) {
    code = run_without_word(argc, argv);
  } else {
    const fl_cli_verb *verb = fl_cli_verb_find(argv[word]);
    if (verb)
      code = run_verb(verb, argc, argv, word);
    else if (fl_cli_is_file_word(argv[word]))
      code = run_verb(&fl_cli_verb_run, argc, argv, 0);
    else
      code = fail_unknown_verb(argv[word]);
  }
  fl_cli_flush();
  int error = fl_cli_output_error();
  return error && error != EPIPE ? FL_EXIT_SYSTEM : code;
}
