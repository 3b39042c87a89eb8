// Tests the filters of api/read_log.c, byte by byte at every cut.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/read_log.c"

static void collect(void *ud, const char *data, size_t size) {
  fl_buf_add(ud, data, size);
}

// What the filter makes of `size` bytes given in two pieces, cut at `cut`.
static const char *filter_text(fl_buf *out, const char *in, size_t size, size_t cut, bool raw,
                               int64_t skip) {
  log_filter f = {.write = collect, .ud = out, .raw = raw, .skip_lines = skip};
  fl_buf_reset(out);
  filter_write(&f, in, cut);
  filter_write(&f, in + cut, size - cut);
  write_held(&f);
  return fl_buf_cstr(out);
}

static void bytes_are_made_visible_wherever_they_are_cut(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
  } rows[] = {
      {"plain\ttext\n", "plain\ttext\n"},
      {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
      {"10%\r20%\r\n", "10%\\r20%\n"},
      {"end\r", "end\\r"},
      {"\r\r\n", "\\r\n"},
      {"é 数 \xf0\x9f\x98\x80 ok", "é 数 \xf0\x9f\x98\x80 ok"},
      {"\xff\xfe", "\\xff\\xfe"},
      {"\xe6\x95", "\\xe6\\x95"}, // cut for ever
      {"\xe6\x95x", "\\xe6\\x95x"},
      {"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
      {"\xf0\x9f\x98\x0a", "\\xf0\\x9f\\x98\n"},
      {"\xc0\xaf", "\\xc0\\xaf"},          // overlong
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, // a lone surrogate
      {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m"}, // the one-character form of ESC [
      {"\xc2\xa0|", "\xc2\xa0|"},
      {"a\xe2\x80\xae"
       "b\xe2\x81\xa6"
       "c\xe2\x80\x94",
       "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c\xe2\x80\x94"},
      {"\x07\x7f\x01", "\\x07\\x7f\\x01"},
  };
  fl_buf out;
  fl_buf_init(&out, 1000);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (size_t cut = 0; cut <= strlen(rows[i].in); cut++)
      assert_string_equal(filter_text(&out, rows[i].in, strlen(rows[i].in), cut, false, 0),
                          rows[i].out);
  fl_buf_deinit(&out);
}

static void single_bytes_in_a_row_read_as_the_whole(void **state) {
  (void)state;
  static const char in[] = "a\xe6\x95\xb0\r\n\xf0\x9f\x98\x80\xf0\x9f\r\x1b\xe6";
  fl_buf out;
  fl_buf_init(&out, 1000);
  log_filter f = {.write = collect, .ud = &out};
  for (size_t i = 0; i < sizeof in - 1; i++) filter_write(&f, in + i, 1);
  write_held(&f);
  assert_string_equal(fl_buf_cstr(&out), "a\xe6\x95\xb0\n\xf0\x9f\x98\x80\\xf0\\x9f\\r\\x1b\\xe6");
  fl_buf_deinit(&out);
}

static void raw_text_and_skipped_lines_are_exact(void **state) {
  (void)state;
  static const char in[] = "one\ntwo\x1b\nthree\r\nfour";
  fl_buf out;
  fl_buf_init(&out, 1000);
  for (size_t cut = 0; cut <= sizeof in - 1; cut++) {
    assert_string_equal(filter_text(&out, in, sizeof in - 1, cut, true, 0), in);
    assert_string_equal(filter_text(&out, in, sizeof in - 1, cut, true, 2), "three\r\nfour");
    assert_string_equal(filter_text(&out, in, sizeof in - 1, cut, false, 1),
                        "two\\x1b\nthree\nfour");
    assert_string_equal(filter_text(&out, in, sizeof in - 1, cut, true, 9), "");
  }
  fl_buf_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_are_made_visible_wherever_they_are_cut),
      cmocka_unit_test(single_bytes_in_a_row_read_as_the_whole),
      cmocka_unit_test(raw_text_and_skipped_lines_are_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
