// Tests cli/options.c: what a command line means by the tables of its verb, and what is said of a
// wrong one.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/options.c"
#include "cli/output.c"
#include "cli/text.c"

const fl_cli_option fl_cli_global_options[] = {
    {"state", "DIR", "", NULL}, {"help", NULL, "", NULL}, {NULL, NULL, NULL, NULL}};

static const fl_cli_option options[] = {
    {"param", "K=V", "", NULL},
    {"only", "A,B", "", NULL},
    {"json", NULL, "", NULL},
    {"jobs", "N", "", NULL},
    {"color", "WHEN", "", "auto always never"},
    {NULL, NULL, NULL, NULL},
};
static const fl_cli_verb verb = {
    .name = "run", .words = "FILE", .word_count_min = 1, .word_count_max = 3, .options = options};

static char said[4096]; // on stderr, by the parse() before

// Parses words split at blanks; "flowlua" and the verb itself stand before them.
static bool parse_with(fl_cli *cli, const fl_cli_verb *with, const char *line) {
  static char copy[1024];
  char *argv[32] = {"flowlua", "run"}, *saved = NULL;
  int argc = 2;
  snprintf(copy, sizeof copy, "%s", line);
  for (char *p = strtok_r(copy, " ", &saved); p; p = strtok_r(NULL, " ", &saved)) argv[argc++] = p;
  FILE *file = tmpfile();
  assert_non_null(file);
  int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  bool good = fl_cli_parse(cli, with, argc, argv, 1);
  int64_t jobs = 4;
  if (good) good = fl_cli_get_number(cli, "jobs", 1, 100, &jobs);
  dup2(before, STDERR_FILENO);
  close(before);
  rewind(file);
  size_t size = fread(said, 1, sizeof said - 1, file);
  said[size] = '\0';
  fclose(file);
  return good;
}

static bool parse(fl_cli *cli, const char *line) {
  return parse_with(cli, &verb, line);
}

static void words_and_options_may_stand_in_any_order(void **state) {
  (void)state;
  fl_cli cli;
  assert_true(parse(&cli, "--json a.lua --param n=1 --param=m=2 --jobs 8 -- --json c"));
  assert_int_equal(cli.word_count, 3);
  fl_cli_deinit(&cli);
}

static void values_are_found(void **state) {
  (void)state;
  fl_cli cli;
  size_t count;
  fl_cli_list list;
  assert_true(parse(
      &cli, "a.lua --param n=1 --param=m=2 --only a,b --only ,c --jobs 8 --jobs 9 -- --json"));
  assert_string_equal(cli.words[0], "a.lua");
  assert_string_equal(cli.words[1], "--json");
  assert_int_equal(cli.words_before_dashes, 1);
  assert_false(fl_cli_has(&cli, "json"));
  assert_string_equal(fl_cli_get(&cli, "jobs"), "9");
  assert_null(fl_cli_get(&cli, "state"));
  const char **params = fl_cli_get_all(&cli, "param", &count);
  assert_int_equal(count, 2);
  assert_string_equal(params[0], "n=1");
  assert_string_equal(params[1], "m=2");
  free(params);
  fl_cli_list_init(&list, &cli, "only");
  assert_int_equal(list.count, 3);
  assert_string_equal(list.items[2], "c");
  fl_cli_list_deinit(&list);
  fl_cli_deinit(&cli);
}

static void an_empty_value_and_a_single_dash_are_values(void **state) {
  (void)state;
  fl_cli cli;
  assert_true(parse(&cli, "- --state= --param --json"));
  assert_string_equal(cli.words[0], "-");
  assert_string_equal(fl_cli_get(&cli, "state"), "");
  assert_string_equal(fl_cli_get(&cli, "param"), "--json");
  fl_cli_deinit(&cli);
}

static void wrong_lines_are_explained(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"a --jsno", "flowlua: unknown option '--jsno' of run, did you mean '--json'?\n"},
      {"a --stat x", "flowlua: unknown option '--stat' of run, did you mean '--state'?\n"},
      {"a --zzzz=1",
       "flowlua: unknown option '--zzzz' of run (flowlua help run lists them; a script's "
       "own arguments go after '--')\n"},
      {"a -x", "flowlua: unknown option '-x' of run (flowlua help run lists them; a script's own "
               "arguments go after '--')\n"},
      {"a --jobs", "flowlua: --jobs needs a value: --jobs N\n"},
      {"a --json=1", "flowlua: --json takes no value\n"},
      {"a --color red", "flowlua: --color: expected auto, always or never, got \"red\"\n"},
      {"a --jobs two", "flowlua: --jobs: expected a whole number from 1 to 100, got \"two\"\n"},
      {"a --jobs 0", "flowlua: --jobs: expected a whole number from 1 to 100, got \"0\"\n"},
      {"a --jobs 99999999999999999999",
       "flowlua: --jobs: expected a whole number from 1 to 100, got \"99999999999999999999\"\n"},
      {"", "flowlua: FILE is missing: flowlua run FILE\n"},
      {"a -j", "flowlua: --jobs needs a value: --jobs N\n"},
      {"a -jtwo", "flowlua: --jobs: expected a whole number from 1 to 100, got \"two\"\n"},
      {"a -qj4", "flowlua: unknown option '-q' of run: it is short for '--quiet', which run has "
                 "not\n"},
      {"a b c d", "flowlua: unexpected argument 'd' (flowlua run FILE)\n"},
      {"a --\x1b[31m",
       "flowlua: unknown option '--\\x1b[31m' of run (flowlua help run lists them; a "
       "script's own arguments go after '--')\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli cli;
    assert_false(parse(&cli, rows[i][0]));
    assert_string_equal(said, rows[i][1]);
    fl_cli_deinit(&cli);
  }
}

static void options_have_letters(void **state) {
  static const char *const lines[] = {"a.lua -j8 -pn=1 -s dir", "-j 8 -p n=1 -sdir a.lua"};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    fl_cli cli;
    assert_true(parse(&cli, lines[i]));
    assert_string_equal(fl_cli_get(&cli, "jobs"), "8");
    assert_string_equal(fl_cli_get(&cli, "param"), "n=1");
    assert_string_equal(fl_cli_get(&cli, "state"), "dir");
    assert_int_equal(cli.word_count, 1);
    fl_cli_deinit(&cli);
  }
  for (const char *p = "jnqpfsh"; *p; p++)
    assert_int_equal(fl_cli_name_letter(fl_cli_letter_name(*p)), *p);
}

static void the_first_word_that_must_be_there_is_named(void **state) {
  static const char *const rows[][2] = {{"[RUN] NODE", "flowlua: NODE is missing"},
                                        {"FILE|RUN", "flowlua: FILE|RUN is missing"}};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    fl_cli_verb v = verb;
    fl_cli cli = {.verb = &v};
    v.words = rows[i][0];
    assert_false(parse_with(&cli, &v, ""));
    assert_memory_equal(said, rows[i][1], strlen(rows[i][1]));
    fl_cli_deinit(&cli);
  }
}

static void help_needs_no_words(void **state) {
  (void)state;
  fl_cli cli;
  assert_true(parse(&cli, "--help"));
  assert_true(fl_cli_has(&cli, "help"));
  fl_cli_deinit(&cli);
  assert_true(parse(&cli, "-h"));
  assert_true(fl_cli_has(&cli, "help"));
  fl_cli_deinit(&cli);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_and_options_may_stand_in_any_order),
      cmocka_unit_test(values_are_found),
      cmocka_unit_test(an_empty_value_and_a_single_dash_are_values),
      cmocka_unit_test(wrong_lines_are_explained),
      cmocka_unit_test(options_have_letters),
      cmocka_unit_test(the_first_word_that_must_be_there_is_named),
      cmocka_unit_test(help_needs_no_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
