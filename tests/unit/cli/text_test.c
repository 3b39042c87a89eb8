// Tests cli/text.c: no byte that reaches a terminal does anything but show, and columns are counted
// as a terminal counts them.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/text.c"

static void text_is_cleaned(void **state) {
  (void)state;
  static const struct {
    const char *in, *line, *lines;
  } rows[] = {
      {"plain", "plain", "plain"},
      {"a\nb\tc", "a b c", "a\nb\tc"},
      {"\x1b[31mred\x1b]0;t\x07", "\\x1b[31mred\\x1b]0;t\\x07", "\\x1b[31mred\\x1b]0;t\\x07"},
      {"50%\r100%", "50%\\r100%", "50%\\r100%"},
      {"\x7f\x01", "\\x7f\\x01", "\\x7f\\x01"},
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m", "\\xc2\\x9b31m"}, // the one-character form of ESC [
      {"a\xe2\x80\xae"
       "b",
       "a\\xe2\\x80\\xaeb", "a\\xe2\\x80\\xaeb"}, // turns the text around
      {"\xff\xc3", "\\xff\\xc3", "\\xff\\xc3"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"}, // a lone surrogate
      {"数据 é ñ", "数据 é ñ", "数据 é ñ"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_text line = {0}, lines = {0};
    fl_cli_text_clean(&line, rows[i].in, strlen(rows[i].in), false);
    fl_cli_text_clean(&lines, rows[i].in, strlen(rows[i].in), true);
    assert_string_equal(fl_cli_text_cstr(&line), rows[i].line);
    assert_string_equal(fl_cli_text_cstr(&lines), rows[i].lines);
    fl_cli_text_deinit(&line);
    fl_cli_text_deinit(&lines);
  }
}

static void a_nul_byte_is_shown(void **state) {
  (void)state;
  fl_cli_text t = {0};
  fl_cli_text_clean(&t, "a\0b", 3, false);
  assert_string_equal(fl_cli_text_cstr(&t), "a\\x00b");
  fl_cli_text_deinit(&t);
}

static void columns_are_those_of_a_terminal(void **state) {
  (void)state;
  assert_int_equal(fl_cli_text_width("abc", 3), 3);
  assert_int_equal(fl_cli_text_width("数据", strlen("数据")), 4);
  assert_int_equal(fl_cli_text_width("e\xcc\x81", 3), 1); // e and a combining accent
  static const struct {
    const char *text;
    size_t columns;
    const char *cut;
    size_t taken;
  } rows[] = {
      {"abcdef", 6, "abcdef", 6}, {"abcdef", 5, "abcd…", 5},
      {"abcdef", 1, "…", 1},      {"abcdef", 0, "", 0},
      {"数据库", 6, "数据库", 6}, {"数据库", 5, "数据…", 5},
      {"数据库", 4, "数…", 3},    {"", 3, "", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_text t = {0};
    assert_int_equal(fl_cli_text_cut(&t, rows[i].text, strlen(rows[i].text), rows[i].columns),
                     rows[i].taken);
    assert_string_equal(fl_cli_text_cstr(&t), rows[i].cut);
    fl_cli_text_deinit(&t);
  }
}

static void json_strings_are_valid(void **state) {
  (void)state;
  fl_cli_text t = {0};
  fl_cli_text_json(&t, "a\"b\\c\n\t\x01 数 \xff \xf0\x9f\x98\x80");
  assert_string_equal(fl_cli_text_cstr(&t),
                      "\"a\\\"b\\\\c\\n\\t\\u0001 数 \uFFFD \xf0\x9f\x98\x80\"");
  fl_cli_text_deinit(&t);
}

static void json_strings_cannot_move_the_cursor(void **state) {
  (void)state;
  fl_cli_text t = {0};
  fl_cli_text_json(&t, "\x7f\xc2\x9b"
                       "2J\xe2\x80\xae");
  assert_string_equal(fl_cli_text_cstr(&t), "\"\\u007f\\u009b2J\\u202e\"");
  fl_cli_text_deinit(&t);
}

static void bytes_that_are_no_text_are_told_apart(void **state) {
  (void)state;
  static const struct {
    const char *data, *json;
    size_t size;
  } rows[] = {{"a\0b\x1b[31m", "\"a\\u0000b\\u001b[31m\"", 8},
              {"\xff", "{\"$bytes\":\"/w==\"}", 1},
              {"\xff\xfe", "{\"$bytes\":\"//4=\"}", 2},
              {"ab\xff", "{\"$bytes\":\"YWL/\"}", 3},
              {"abc\xff", "{\"$bytes\":\"YWJj/w==\"}", 4}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_text t = {0};
    fl_cli_text_json_bytes(&t, rows[i].data, rows[i].size);
    assert_string_equal(fl_cli_text_cstr(&t), rows[i].json);
    fl_cli_text_deinit(&t);
  }
}

static void words_are_quoted_for_a_shell(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"run-1", "run-1"}, {"a b", "'a b'"},
                                        {"", "''"},         {"it's", "'it'\\''s'"},
                                        {"n[3]", "'n[3]'"}, {"$(x)", "'$(x)'"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_text t = {0};
    fl_cli_text_quote(&t, rows[i][0]);
    assert_string_equal(fl_cli_text_cstr(&t), rows[i][1]);
    fl_cli_text_deinit(&t);
  }
}

static void long_lines_break_at_words(void **state) {
  (void)state;
  static const struct {
    const char *text, *wrapped;
  } rows[] = {
      {"short enough", "short enough"},
      {"a sentence that is longer than a line\n", "a sentence that is longer\n    than a line\n"},
      {"  set in and longer than one line is", "  set in and longer than\n      one line is"},
      {"name   what it is about goes on below", "name   what it is about\n       goes on below"},
      {"  --jobs N  how many at once, at most",
       "  --jobs N  how many at\n            once, at most"},
      {"a_word_that_is_longer_than_any_line_is", "a_word_that_is_longer_tha\n    n_any_line_is"},
      {"数据库数据库 数据库数据库数据库", "数据库数据库\n    数据库数据库数据库"},
      {"\x1b[31mred words that\x1b[0m are many more",
       "\x1b[31mred words that\x1b[0m are many\n    more"},
      {"resume: flowlua resume 20260131T235959 --state /a b",
       "resume: flowlua resume 20260131T235959 --state /a b"},
      {"    | what a program printed is as it was", "    | what a program printed is as it was"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_text t = {0};
    fl_cli_text_wrap(&t, rows[i].text, strlen(rows[i].text), 25);
    assert_string_equal(fl_cli_text_cstr(&t), rows[i].wrapped);
    fl_cli_text_deinit(&t);
  }
}

static void a_folded_text_is_no_wider_than_asked(void **state) {
  (void)state;
  static const char text[] = "some words 数据库 of\x1b[1m any\x1b[0m length: internationalisation";
  for (size_t columns = 4; columns < 60; columns++) {
    fl_cli_text t = {0}, joined = {0};
    fl_cli_text_fold(&t, text, strlen(text), columns);
    for (const char *p = fl_cli_text_cstr(&t); *p; p += *p == '\n') {
      size_t n = strcspn(p, "\n");
      for (size_t i = 0; i < n; i++)
        if (!style_size(p + i, n - i))
          fl_cli_text_add(&joined, p + i, 1);
        else
          i += style_size(p + i, n - i) - 1;
      assert_true(fl_cli_text_width(joined.data, joined.size) <= columns);
      joined.size = 0;
      p += n;
    }
    fl_cli_text_deinit(&t);
    fl_cli_text_deinit(&joined);
  }
}

static void sizes_are_readable(void **state) {
  (void)state;
  static const struct {
    int64_t bytes;
    const char *text;
  } rows[] = {{0, "0 B"},          {999, "999 B"},        {1000, "1.0 KB"},
              {1234567, "1.2 MB"}, {250000000, "250 MB"}, {2500000000, "2.5 GB"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_text t = {0};
    fl_cli_text_bytes(&t, rows[i].bytes);
    assert_string_equal(fl_cli_text_cstr(&t), rows[i].text);
    fl_cli_text_deinit(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_cleaned),
      cmocka_unit_test(a_nul_byte_is_shown),
      cmocka_unit_test(columns_are_those_of_a_terminal),
      cmocka_unit_test(json_strings_are_valid),
      cmocka_unit_test(bytes_that_are_no_text_are_told_apart),
      cmocka_unit_test(json_strings_cannot_move_the_cursor),
      cmocka_unit_test(words_are_quoted_for_a_shell),
      cmocka_unit_test(long_lines_break_at_words),
      cmocka_unit_test(a_folded_text_is_no_wider_than_asked),
      cmocka_unit_test(sizes_are_readable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
