// The logs of attempts: what is read back is what was written, or says how much of it is missing.
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/limits.h"
#include "folder.h"
#include "io/logfile.h"

typedef struct fixture {
  char dir[64];
  fl_log_writer *w;
  const char *path;
  int64_t offset, size, total;
  int disk_errno;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  if (!make_test_folder("log", f->dir, sizeof f->dir)) return -1;
  f->w = fl_log_writer_open(f->dir, "run1", "w1");
  *state = f;
  return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int teardown(void **state) {
  fixture *f = *state;
  fl_log_writer_close(f->w);
  nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  free(f);
  return 0;
}

static bool finish(fixture *f, fl_log_sink *s) {
  return fl_log_sink_finish(s, &f->path, &f->offset, &f->size, &f->total, &f->disk_errno);
}

static void add(void *ud, const char *data, size_t n) {
  fl_buf_add(ud, data, n);
}

static char *read_back(fixture *f, int64_t position, int64_t *end) {
  fl_buf b;
  fl_buf_init(&b, 8u << 20);
  int64_t at = fl_log_read(f->dir, f->path, f->offset, f->size, position, add, &b);
  if (end) *end = at;
  return fl_buf_take(&b);
}

static void expect(fixture *f, const char *text) {
  char *got = read_back(f, 0, NULL);
  assert_string_equal(got, text);
  free(got);
}

static bool exists(fixture *f, const char *path) {
  char full[256];
  snprintf(full, sizeof full, "%s/%s", f->dir, path);
  return access(full, F_OK) == 0;
}

static void nothing_written_makes_no_file(void **state) {
  fixture *f = *state;
  fl_log_sink *s = fl_log_sink_open(f->w, "a", 1, 0);
  fl_log_sink_flush(s);
  assert_true(finish(f, s));
  assert_string_equal(f->path, "");
  assert_int_equal(f->total, 0);
  fl_log_sink_close(s);
  assert_false(exists(f, "logs"));
}

static void small_outputs_share_a_file(void **state) {
  fixture *f = *state;
  const char *texts[] = {"first\n", "zwei", "3"};
  for (int i = 0; i < 3; i++) {
    fl_log_sink *s = fl_log_sink_open(f->w, "a", (uint32_t)i, 0);
    fl_log_sink_write(s, texts[i], strlen(texts[i]));
    assert_true(finish(f, s));
    assert_string_equal(f->path, "logs/run1/w1.log");
    assert_int_equal(f->size, strlen(texts[i]));
    expect(f, texts[i]);
    fl_log_sink_close(s);
  }
  assert_int_equal(f->offset, 10);
}

static void any_bytes_survive(void **state) {
  fixture *f = *state;
  char all[256];
  for (int i = 0; i < 256; i++) all[i] = (char)i;
  fl_log_sink *s = fl_log_sink_open(f->w, "a", 1, 0);
  fl_log_sink_write(s, all, sizeof all);
  assert_true(finish(f, s));
  char *got = read_back(f, 0, NULL);
  assert_memory_equal(got, all, sizeof all);
  free(got);
  fl_log_sink_close(s);
}

static void a_flushed_output_can_be_followed(void **state) {
  fixture *f = *state;
  int64_t end;
  fl_log_sink *s = fl_log_sink_open(f->w, "load[3]", 2, 0);
  fl_log_sink_write(s, "one ", 4);
  fl_log_sink_flush(s);
  f->path = "logs/run1/load%5B3%5D.2.log";
  f->size = -1;
  char *got = read_back(f, 0, &end);
  assert_string_equal(got, "one ");
  assert_int_equal(end, 4);
  free(got);
  fl_log_sink_write(s, "two", 3);
  got = read_back(f, end, &end);
  assert_string_equal(got, "two");
  assert_int_equal(end, 7);
  free(got);
  assert_true(finish(f, s));
  assert_string_equal(f->path, "logs/run1/load%5B3%5D.2.log");
  assert_int_equal(f->size, -1);
  expect(f, "one two");
  fl_log_sink_close(s);
}

static void a_large_output_gets_a_file_of_its_own(void **state) {
  fixture *f = *state;
  size_t size = FL_LOG_SPILL + 1;
  char *data = malloc(size + 1);
  memset(data, 'x', size);
  data[size] = '\0';
  fl_log_sink *s = fl_log_sink_open(f->w, "a", 1, 0);
  fl_log_sink_write(s, data, size - 1);
  fl_log_sink_write(s, data, 1);
  assert_true(finish(f, s));
  assert_string_equal(f->path, "logs/run1/a.1.log");
  expect(f, data);
  free(data);
  fl_log_sink_close(s);
}

// limit 100: head 50, segments of 25; pieces of any size give the same files.
static void past_its_limit_head_and_tail_are_kept(void **state) {
  fixture *f = *state;
  const size_t pieces[] = {1, 7, 25, 50, 60, 1000};
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    char data[310], expected[200];
    for (int i = 0; i < 310; i++) data[i] = (char)('a' + i % 26);
    fl_log_sink *s = fl_log_sink_open(f->w, "a", (uint32_t)p, 100);
    for (size_t at = 0; at < 310; at += pieces[p]) {
      size_t n = 310 - at < pieces[p] ? 310 - at : pieces[p];
      fl_log_sink_write(s, data + at, n);
    }
    assert_true(finish(f, s));
    assert_int_equal(f->total, 310);
    // 50 + 10 x 25 = 300: the last segment has 10 bytes, the one before 25
    snprintf(expected, sizeof expected, "%.50s\n[... 225 bytes not kept ...]\n%.35s", data,
             data + 275);
    expect(f, expected);
    fl_log_sink_close(s);
  }
}

static void reading_from_within_the_gap_tells_the_rest_of_it(void **state) {
  fixture *f = *state;
  char data[310], expected[200];
  for (int i = 0; i < 310; i++) data[i] = (char)('a' + i % 26);
  fl_log_sink *s = fl_log_sink_open(f->w, "a", 1, 100);
  fl_log_sink_write(s, data, 310);
  finish(f, s);
  const int64_t positions[] = {60, 274, 275, 280, 300, 305, 310};
  for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
    int64_t end, from = positions[i] < 275 ? 275 : positions[i];
    int n = 0;
    if (positions[i] < 275) {
      n = snprintf(expected, sizeof expected, "\n[... %d bytes not kept ...]\n",
                   (int)(275 - positions[i]));
    }
    snprintf(expected + n, sizeof expected - (size_t)n, "%.*s", (int)(310 - from), data + from);
    char *got = read_back(f, positions[i], &end);
    assert_string_equal(got, expected);
    assert_int_equal(end, 310);
    free(got);
  }
  fl_log_sink_close(s);
}

static void another_writer_goes_on_where_the_first_died(void **state) {
  fixture *f = *state;
  char data[310], expected[200];
  for (int i = 0; i < 310; i++) data[i] = (char)('a' + i % 26);
  const size_t cuts[] = {20, 50, 60, 75, 76, 200};
  for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
    fl_log_sink *s = fl_log_sink_open(f->w, "a", (uint32_t)c, 100);
    fl_log_sink_write(s, data, cuts[c]);
    fl_log_sink_flush(s);
    fl_log_sink_close(s); // as good as a crash: nothing was finished
    s = fl_log_sink_reopen(f->w, "a", (uint32_t)c, 100);
    fl_log_sink_write(s, data + cuts[c], 310 - cuts[c]);
    assert_true(finish(f, s));
    assert_int_equal(f->total, 310);
    snprintf(expected, sizeof expected, "%.50s\n[... 225 bytes not kept ...]\n%.35s", data,
             data + 275);
    expect(f, expected);
    fl_log_sink_close(s);
  }
}

static void pieces_are_taken_by_their_place_once_and_without_gaps(void **state) {
  fixture *f = *state;
  static const struct {
    int64_t position;
    const char *text;
    int64_t have;
  } rows[] = {{0, "abc", 3}, {0, "abc", 3},   {1, "b", 3},  {1, "bcde", 5}, {6, "g", 5},
              {5, "", 5},    {-1, "xabc", 5}, {5, "fg", 7}, {7, "", 7},     {0, "abcdefgh", 8}};
  fl_log_sink *s = fl_log_sink_open(f->w, "a", 1, 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    assert_int_equal(fl_log_sink_write_at(s, rows[i].position, rows[i].text, strlen(rows[i].text)),
                     rows[i].have);
  assert_true(finish(f, s));
  expect(f, "abcdefgh");
  fl_log_sink_close(s);
}

static void reopening_what_was_never_written_begins_anew(void **state) {
  fixture *f = *state;
  fl_log_sink *s = fl_log_sink_reopen(f->w, "a", 1, 0);
  fl_log_sink_write(s, "x", 1);
  assert_true(finish(f, s));
  expect(f, "x");
  fl_log_sink_close(s);
}

static void a_disk_error_is_remembered_and_harmless(void **state) {
  fixture *f = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/logs", f->dir);
  fclose(fopen(path, "w")); // a file where the folder should be
  fl_log_sink *s = fl_log_sink_open(f->w, "a", 1, 0);
  fl_log_sink_write(s, "abc", 3);
  fl_log_sink_flush(s);
  fl_log_sink_write(s, "def", 3);
  assert_false(finish(f, s));
  assert_int_not_equal(f->disk_errno, 0);
  assert_int_equal(f->total, 6);
  fl_log_sink_close(s);
}

static void a_missing_file_reads_as_nothing(void **state) {
  fixture *f = *state;
  f->path = "logs/run1/none.1.log";
  f->size = -1;
  expect(f, "");
  f->size = 10;
  expect(f, "");
  f->path = "";
  expect(f, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(nothing_written_makes_no_file, setup, teardown),
      cmocka_unit_test_setup_teardown(small_outputs_share_a_file, setup, teardown),
      cmocka_unit_test_setup_teardown(any_bytes_survive, setup, teardown),
      cmocka_unit_test_setup_teardown(a_flushed_output_can_be_followed, setup, teardown),
      cmocka_unit_test_setup_teardown(a_large_output_gets_a_file_of_its_own, setup, teardown),
      cmocka_unit_test_setup_teardown(past_its_limit_head_and_tail_are_kept, setup, teardown),
      cmocka_unit_test_setup_teardown(reading_from_within_the_gap_tells_the_rest_of_it, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(another_writer_goes_on_where_the_first_died, setup, teardown),
      cmocka_unit_test_setup_teardown(pieces_are_taken_by_their_place_once_and_without_gaps, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(reopening_what_was_never_written_begins_anew, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(a_disk_error_is_remembered_and_harmless, setup, teardown),
      cmocka_unit_test_setup_teardown(a_missing_file_reads_as_nothing, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
