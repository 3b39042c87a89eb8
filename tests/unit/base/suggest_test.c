// Tests base/suggest.c by rows: what was typed, and what was meant.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/suggest.h"
#include "flowlua.h"

static const char *const names[] = {"run",   "check",   "graph", "resume",    "cancel",
                                    "runs",  "show",    "logs",  "context",   "explain",
                                    "prune", "version", "help",  "completion"};

static void what_was_meant_is_found(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"rsume", "resume"},
      {"resmue", "resume"},
      {"resumee", "resume"},
      {"rnu", "run"},
      {"shwo", "show"},
      {"comp", "completion"},
      {"chekc", "check"},
      {"versoin", "version"},
      {"explian", "explain"},
      {"exp", "explain"},
      {"log", "logs"},
      {"grpah", "graph"},
      {"RUNS", "runs"},
      {"ru", "run"},
      {"x", NULL},
      {"", NULL},
      {"banana", NULL},
      {"pipeline", NULL},
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *found = fl_suggest(rows[i][0], names, sizeof names / sizeof *names);
    if (!rows[i][1] && found) fail_msg("'%s' gave '%s'", rows[i][0], found);
    if (rows[i][1] && (!found || strcmp(found, rows[i][1]) != 0))
      fail_msg("'%s' gave '%s', expected '%s'", rows[i][0], found ? found : "nothing", rows[i][1]);
  }
}

static void distance_counts_slips(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    size_t slips;
  } rows[] = {{"", "", 0},       {"a", "", 1},      {"", "abc", 3},      {"abc", "abc", 0},
              {"abc", "acb", 1}, {"abc", "axc", 1}, {"abcd", "badc", 2}, {"kitten", "sitting", 3}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(fl_name_distance(rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b)),
                     rows[i].slips);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_meant_is_found),
      cmocka_unit_test(distance_counts_slips),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
