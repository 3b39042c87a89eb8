// Tests cli/live.c on a screen of its own: whatever is drawn is taken away again, and only what was
// meant to stay is left, on screens of any size.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/engine.c"
#include "cli/lines.c"
#include "cli/live.c"
#include "cli/options.c"
#include "cli/output.c"
#include "cli/suggest.c"
#include "cli/text.c"

const fl_cli_option fl_cli_global_options[] = {{NULL, NULL, NULL, NULL}};
const fl_cli_option *fl_cli_option_find(const fl_cli_option *table, const char *name, size_t size) {
  return (void)table, (void)name, (void)size, NULL;
}

#define RUN "20260131T235959-4f7a9c01"

// ------------------------------------------------------------------------------------- a screen

#define ROWS    60
#define COLUMNS 40

/// A terminal that scrolls, knows \r, \n, ESC[nA and ESC[J, and wraps when a line is full. One
/// column a character: the tests draw nothing wide on it.
typedef struct screen {
  char cells[ROWS][COLUMNS + 1];
  uint32_t row, column, columns;
} screen;

static void screen_init(screen *s, uint32_t columns) {
  *s = (screen){.columns = columns};
  for (int r = 0; r < ROWS; r++) memset(s->cells[r], ' ', COLUMNS);
}

static void screen_clear_below(screen *s) {
  memset(s->cells[s->row] + s->column, ' ', COLUMNS - s->column);
  for (uint32_t r = s->row + 1; r < ROWS; r++) memset(s->cells[r], ' ', COLUMNS);
}

static void screen_write(screen *s, const char *p, size_t size) {
  for (const char *end = p + size; p < end; p++) {
    if (*p == '\r') {
      s->column = 0;
    } else if (*p == '\n') {
      s->row++, s->column = 0;
    } else if (*p == '\x1b') {
      char *rest;
      unsigned long n = strtoul(p + 2, &rest, 10);
      assert_int_equal(p[1], '[');
      assert_true(*rest == 'A' || *rest == 'J');
      if (*rest == 'J') screen_clear_below(s);
      if (*rest == 'A') {
        assert_true(n <= s->row);
        s->row -= (uint32_t)n;
      }
      p = rest;
    } else if ((*p & 0xC0) != 0x80) { // of "…" the first byte counts
      if (s->column == s->columns) s->row++, s->column = 0;
      assert_true(s->row < ROWS);
      s->cells[s->row][s->column++] = *p;
    }
  }
}

static const char *screen_row(screen *s, uint32_t row) {
  static char text[COLUMNS + 1];
  memcpy(text, s->cells[row], COLUMNS);
  for (size_t n = COLUMNS; n > 0 && text[n - 1] == ' '; n--) text[n - 1] = '\0';
  return text;
}

// ------------------------------------------------------------------------------------- a run

static fl_cli cli;
static fl_cli_watch watch;
static uint16_t widths[ROWS_MAX];

static void begin(void) {
  watch = (fl_cli_watch){.cli = &cli, .run_id = RUN, .total = 40, .mode = FL_MODE_LIVE};
}

static void tell(fl_event_kind kind, uint32_t index, const char *name, double done, double total) {
  fl_event e = {.kind = kind,
                .run_id = RUN,
                .flow = "f",
                .node = name,
                .node_index = index,
                .progress_done = done,
                .progress_total = total,
                .exit_code = -1};
  fl_cli_live_event(&watch, &e);
}

// As fl_cli_live_write() does it, on the screen.
static void draw(screen *s, uint32_t rows, const char *above, bool view) {
  fl_cli_text out = {0};
  watch.live.widths = widths;
  add_erase(&watch.live, s->columns, &out);
  fl_cli_text_add_str(&out, above);
  watch.live.line_count = 0;
  if (view)
    watch.live.line_count = fl_cli_live_compose(&watch, 12345, rows, s->columns, &out, widths);
  screen_write(s, fl_cli_text_cstr(&out), out.size);
  fl_cli_text_deinit(&out);
  watch.live.widths = NULL;
}

static void nothing_of_the_view_is_left(void **state) {
  (void)state;
  for (uint32_t columns = 1; columns <= COLUMNS; columns++)
    for (uint32_t rows = 1; rows <= 8; rows++) {
      screen s;
      begin();
      screen_init(&s, columns);
      for (uint32_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "a_rather_long_name_%u", i);
        tell(FL_EVENT_NODE_STARTED, i, name, 0, 0);
        draw(&s, rows, "", true);
      }
      draw(&s, rows, "1\n", true);
      tell(FL_EVENT_NODE_FINISHED, 1, "a_rather_long_name_1", 0, 0);
      tell(FL_EVENT_NODE_FINISHED, 2, "a_rather_long_name_2", 0, 0);
      draw(&s, rows, "2\n3\n", true);
      draw(&s, rows, "", false);
      assert_string_equal(screen_row(&s, 0), "1");
      assert_string_equal(screen_row(&s, 1), "2");
      assert_string_equal(screen_row(&s, 2), "3");
      for (uint32_t r = 3; r < ROWS; r++) assert_string_equal(screen_row(&s, r), "");
      assert_int_equal(s.row, 3);
      fl_cli_live_deinit(&watch.live);
    }
}

static void a_view_is_no_higher_and_no_wider_than_its_screen(void **state) {
  (void)state;
  begin();
  for (uint32_t i = 0; i < 30; i++)
    tell(FL_EVENT_NODE_STARTED, i, i % 2 ? "数据库_数据库_数据库" : "plain", 0, 0);
  for (uint32_t columns = 1; columns <= 120; columns++)
    for (uint32_t rows = 1; rows <= 40; rows++) {
      fl_cli_text out = {0};
      uint32_t lines = fl_cli_live_compose(&watch, 0, rows, columns, &out, widths);
      assert_true(lines <= rows);
      const char *p = fl_cli_text_cstr(&out);
      for (uint32_t i = 0; i < lines; i++) {
        size_t n = strcspn(p, "\n");
        assert_int_equal(fl_cli_text_width(p, n), widths[i]);
        assert_true(columns == 1 || widths[i] < columns);
        p += n + (p[n] == '\n');
      }
      assert_int_equal(*p, '\0');
      fl_cli_text_deinit(&out);
    }
  fl_cli_live_deinit(&watch.live);
}

static void a_screen_made_narrower_is_cleaned_too(void **state) {
  (void)state;
  screen s;
  begin();
  watch.started_ms = 345;
  tell(FL_EVENT_NODE_STARTED, 0, "extract", 0, 0);
  uint32_t wide_rows;
  fl_cli_text out = {0};
  watch.live.line_count = wide_rows = fl_cli_live_compose(&watch, 12345, 24, 40, &out, widths);
  // The terminal breaks the lines that are there anew, at 10 columns.
  screen_init(&s, 10);
  screen_write(&s, "1\n", 2);
  screen_write(&s, fl_cli_text_cstr(&out), out.size);
  assert_true(s.row > wide_rows);
  draw(&s, 24, "2\n", false);
  assert_string_equal(screen_row(&s, 0), "1");
  assert_string_equal(screen_row(&s, 1), "2");
  for (uint32_t r = 2; r < ROWS; r++) assert_string_equal(screen_row(&s, r), "");
  fl_cli_text_deinit(&out);
  fl_cli_live_deinit(&watch.live);
}

static void assert_view(const char *expected) {
  fl_cli_text out = {0};
  fl_cli_live_compose(&watch, 72000, 6, 60, &out, widths);
  assert_string_equal(fl_cli_text_cstr(&out), expected);
  fl_cli_text_deinit(&out);
}

static void the_view_tells_who_runs_and_how_far_all_is(void **state) {
  (void)state;
  begin();
  watch.done = 12, watch.running = 3, watch.failed = 1;
  assert_view("12/40 done, 3 running, 1 failed  01:12");
  watch.history_ms = 103000;
  assert_view("12/40 done, 3 running, 1 failed  01:12  ETA 0:31");
  watch.history_ms = 71000; // it takes longer than it ever did
  assert_view("12/40 done, 3 running, 1 failed  01:12");
  tell(FL_EVENT_NODE_STARTED, 7, "extract", 0, 0);
  tell(FL_EVENT_NODE_STARTED, 3, "load\x1b[2J", 0, 0);
  tell(FL_EVENT_NODE_PROGRESS, 3, "load", 45, 180);
  watch.live.first->since_ms = 60000;
  watch.live.last->since_ms = 71000;
  watch.failed = 0;
  assert_view("  extract      00:12\n"
              "  load\\x1b[2J  00:01  25% (45/180)\n"
              "12/40 done, 3 running  01:12");
  tell(FL_EVENT_NODE_FINISHED, 7, "extract", 0, 0);
  for (uint32_t i = 10; i < 20; i++) tell(FL_EVENT_NODE_STARTED, i, "n", 0, 0);
  for (fl_cli_live_node *n = watch.live.first; n; n = n->next) n->since_ms = 72000;
  watch.signal = 2;
  assert_view("  load\\x1b[2J  00:00  25% (45/180)\n"
              "  n            00:00\n"
              "  n            00:00\n"
              "  n            00:00\n"
              "  and 7 more\n"
              "12/40 done, 3 running  01:12  stopping");
  fl_cli_live_deinit(&watch.live);
}

static void nodes_of_sub_flows_are_told_apart(void **state) {
  (void)state;
  begin();
  fl_event e = {.kind = FL_EVENT_NODE_STARTED,
                .run_id = "20260131T235959-00000000",
                .flow = "sub",
                .node = "a",
                .node_index = 0};
  tell(FL_EVENT_NODE_STARTED, 0, "a", 0, 0);
  fl_cli_live_event(&watch, &e);
  assert_int_equal(watch.live.count, 2);
  assert_string_equal(watch.live.last->name, "sub/a");
  e.kind = FL_EVENT_NODE_FINISHED;
  fl_cli_live_event(&watch, &e);
  assert_int_equal(watch.live.count, 1);
  assert_string_equal(watch.live.first->name, "a");
  fl_cli_live_deinit(&watch.live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_of_the_view_is_left),
      cmocka_unit_test(a_view_is_no_higher_and_no_wider_than_its_screen),
      cmocka_unit_test(a_screen_made_narrower_is_cleaned_too),
      cmocka_unit_test(the_view_tells_who_runs_and_how_far_all_is),
      cmocka_unit_test(nodes_of_sub_flows_are_told_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
