// Tests cli/live*.c on a screen of its own: whatever is drawn is taken away again, only what was
// meant to stay is left, and nothing of the view ever scrolls out of a window of any size.
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
#include "cli/live_draw.c"
#include "cli/live_view.c"
#include "cli/options.c"
#include "cli/output.c"
#include "cli/text.c"

const fl_cli_option fl_cli_global_options[] = {{NULL, NULL, NULL, NULL}};

#define RUN "20260131T235959-4f7a9c01"

// ------------------------------------------------------------------------------------- a screen

#define ROWS    60
#define COLUMNS 100

/// A terminal: a window that scrolls, and what has scrolled out of it. It knows what the view uses:
/// \r, \n, ESC[nA, ESC[K, ESC[J, modes and styles, and wraps when a line is full. One column a
/// character: the tests draw nothing wide on it.
typedef struct screen {
  char cells[ROWS][COLUMNS + 1]; // of the window, and below it
  uint32_t row, column, rows, columns;
  char history[400][COLUMNS + 1];
  uint32_t history_count;
  uint32_t written; // characters
} screen;

static void screen_init(screen *s, uint32_t rows, uint32_t columns) {
  *s = (screen){.rows = rows, .columns = columns};
  for (int r = 0; r < ROWS; r++) memset(s->cells[r], ' ', COLUMNS);
}

static void screen_new_line(screen *s) {
  if (s->row + 1 < s->rows) {
    s->row++;
    return;
  }
  assert_true(s->history_count < 400);
  memcpy(s->history[s->history_count++], s->cells[0], COLUMNS + 1);
  memmove(s->cells[0], s->cells[1], sizeof s->cells - sizeof s->cells[0]);
  memset(s->cells[ROWS - 1], ' ', COLUMNS);
}

static void screen_escape(screen *s, char what, unsigned long n) {
  if (what == 'K' || what == 'J') memset(s->cells[s->row] + s->column, ' ', COLUMNS - s->column);
  if (what == 'J') {
    // A terminal that keeps what is cleared from the first row on must not be asked to.
    assert_true(s->row > 0 || s->column > 0);
    for (uint32_t r = s->row + 1; r < ROWS; r++) memset(s->cells[r], ' ', COLUMNS);
  }
  if (what == 'A') s->row -= n ? (uint32_t)n : 1;
  assert_true(s->row < ROWS);
}

static void screen_write(screen *s, const char *p, size_t size) {
  for (const char *end = p + size; p < end; p++) {
    if (*p == '\r') {
      s->column = 0;
    } else if (*p == '\n') {
      screen_new_line(s);
    } else if (*p == '\x1b') {
      char *rest;
      assert_int_equal(p[1], '[');
      unsigned long n = strtoul(p + 2 + (p[2] == '?'), &rest, 10);
      assert_non_null(strchr("AJKhlm", *rest));
      screen_escape(s, *rest, n);
      p = rest;
    } else if ((*p & 0xC0) != 0x80) { // of "…" the first byte counts
      if (s->column == s->columns) s->column = 0, screen_new_line(s);
      s->cells[s->row][s->column++] = *p;
      s->written++;
    }
  }
}

static const char *trimmed(const char *row) {
  static char text[COLUMNS + 1];
  memcpy(text, row, COLUMNS);
  for (size_t n = COLUMNS; n > 0 && text[n - 1] == ' '; n--) text[n - 1] = '\0';
  return text;
}

static const char *screen_row(const screen *s, uint32_t row) {
  return trimmed(s->cells[row]);
}

// ------------------------------------------------------------------------------------- a run

static fl_cli cli;
static fl_cli_watch watch;
static char flow[] = "sales";

static void begin(void) {
  watch =
      (fl_cli_watch){.cli = &cli, .run_id = RUN, .flow = flow, .total = 40, .mode = FL_MODE_LIVE};
}

static void tell_more(fl_event e, uint32_t index, const char *name) {
  e.run_id = e.run_id ? e.run_id : RUN;
  e.node = name;
  e.node_index = index;
  e.exit_code = -1;
  fl_cli_live_event(&watch, &e);
}

static void tell(fl_event_kind kind, uint32_t index, const char *name) {
  tell_more((fl_event){.kind = kind, .attempt = 1, .status = "succeeded"}, index, name);
}

static void draw(screen *s, const char *above, bool view) {
  fl_cli_text out = {0}, kept = {0};
  fl_cli_text_add_str(&kept, above);
  fl_cli_live_draw(&watch, 12345, s->rows, s->columns, view, &kept, &out);
  screen_write(s, fl_cli_text_cstr(&out), out.size);
  fl_cli_text_deinit(&out);
  fl_cli_text_deinit(&kept);
}

static void nothing_of_the_view_is_left(void **state) {
  (void)state;
  static screen s;
  for (uint32_t columns = 1; columns <= COLUMNS; columns += columns < 20 ? 1 : 9)
    for (uint32_t rows = 2; rows <= 20; rows++) {
      begin();
      screen_init(&s, rows, columns);
      screen_write(&s, "$\r\n", 3);
      for (uint32_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "a_rather_long_name_%u", i);
        tell(FL_EVENT_NODE_STARTED, i, name);
        draw(&s, "", true);
      }
      draw(&s, "1\n", true);
      tell(FL_EVENT_NODE_FINISHED, 1, "a_rather_long_name_1");
      tell(FL_EVENT_NODE_FINISHED, 2, "a_rather_long_name_2");
      draw(&s, "2\n3\n", true);
      for (int i = 0; i < 30; i++) draw(&s, "x\n", true);
      draw(&s, "4\n", false);
      static const char *const first[] = {"$", "1", "2", "3"};
      uint32_t lines = s.history_count + s.row;
      assert_int_equal(lines, 35);
      for (uint32_t i = 0; i < lines; i++) {
        const char *expected = i < 4 ? first[i] : i < 34 ? "x" : "4";
        const char *row = i < s.history_count ? s.history[i] : s.cells[i - s.history_count];
        assert_string_equal(trimmed(row), expected);
      }
      for (uint32_t r = s.row; r < ROWS; r++) assert_string_equal(screen_row(&s, r), "");
      fl_cli_live_deinit(&watch.live);
    }
}

static void a_view_takes_half_of_its_window(void **state) {
  (void)state;
  uint16_t widths[FL_CLI_LIVE_ROWS];
  begin();
  for (uint32_t i = 0; i < 30; i++)
    tell(FL_EVENT_NODE_STARTED, i, i % 2 ? "数据库_数据库_数据库" : "plain");
  for (uint32_t columns = 1; columns <= 120; columns++)
    for (uint32_t rows = 1; rows <= 40; rows++) {
      fl_cli_text out = {0};
      uint32_t lines = fl_cli_live_compose(&watch, 0, rows, columns, &out, widths);
      assert_int_equal(lines, rows < 4 ? 1 : rows / 2);
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
  static screen s;
  fl_cli_text view = {0};
  uint16_t widths[FL_CLI_LIVE_ROWS];
  begin();
  watch.started_ms = 345;
  tell(FL_EVENT_NODE_STARTED, 0, "extract");
  screen_init(&s, 24, 40);
  draw(&s, "", true);
  uint32_t wide_rows = fl_cli_live_compose(&watch, 12345, 24, 40, &view, widths);
  // The terminal breaks the lines that are there anew, at 10 columns.
  screen_init(&s, 24, 10);
  screen_write(&s, "1\r\n", 3);
  for (const char *p = fl_cli_text_cstr(&view); *p; p += *p != '\0') {
    size_t n = strcspn(p, "\n");
    screen_write(&s, p, n);
    p += n;
    if (*p) screen_write(&s, "\r\n", 2);
  }
  assert_true(s.row > wide_rows);
  draw(&s, "2\n", false);
  assert_string_equal(screen_row(&s, 0), "1");
  assert_string_equal(screen_row(&s, 1), "2");
  for (uint32_t r = 2; r < ROWS; r++) assert_string_equal(screen_row(&s, r), "");
  fl_cli_text_deinit(&view);
  fl_cli_live_deinit(&watch.live);
}

static void only_lines_that_changed_are_written(void **state) {
  (void)state;
  static screen s;
  begin();
  screen_init(&s, 24, 80);
  for (uint32_t i = 0; i < 5; i++) tell(FL_EVENT_NODE_STARTED, i, "a_node_with_a_name");
  draw(&s, "", true);
  uint32_t all = s.written;
  draw(&s, "", true);
  assert_int_equal(s.written, all);
  tell_more((fl_event){.kind = FL_EVENT_NODE_PROGRESS, .progress_done = 1, .progress_total = 2}, 4,
            "a_node_with_a_name");
  draw(&s, "", true);
  assert_true(s.written > all && s.written - all < 80);
  assert_non_null(strstr(screen_row(&s, 5), "50% 1/2"));
  fl_cli_live_deinit(&watch.live);
}

// ------------------------------------------------------------------------------------- what it
// says

static void assert_view(uint32_t rows, uint32_t columns, const char *expected) {
  uint16_t widths[FL_CLI_LIVE_ROWS];
  fl_cli_text out = {0};
  for (fl_cli_live_node *n = watch.live.first; n; n = n->next) {
    n->since_ms = 60000;
    if (n->retrying) n->due_ms = 75000;
  }
  for (fl_cli_live_map *m = watch.live.maps; m; m = m->next) m->since_ms = 60000;
  fl_cli_live_compose(&watch, 72000, rows, columns, &out, widths);
  assert_string_equal(fl_cli_text_cstr(&out), expected);
  fl_cli_text_deinit(&out);
}

static void the_view_tells_who_runs_and_how_far_all_is(void **state) {
  (void)state;
  begin();
  watch.done = 10, watch.running = 3, watch.failed = 1;
  assert_view(12, 80,
              "sales  4f7a9c01  ━━━━━━━─────────────────────  "
              "10/40  3 running  1 failed  1:12");
  watch.history_ms = 103000;
  assert_view(12, 40, "sales  10/40  1 failed  1:12  ~0:31");
  watch.history_ms = 71000; // it takes longer than it ever did
  assert_view(12, 40, "sales  10/40  1 failed  1:12");
  tell(FL_EVENT_NODE_STARTED, 7, "extract");
  tell(FL_EVENT_NODE_STARTED, 3, "load\x1b[2J");
  tell_more((fl_event){.kind = FL_EVENT_NODE_PROGRESS,
                       .progress_done = 9,
                       .progress_total = 180,
                       .error = "rows"},
            3, "load");
  tell_more((fl_event){.kind = FL_EVENT_NODE_RETRYING,
                       .attempt = 2,
                       .duration_ms = 3000,
                       .error = "exit code 7\nmore"},
            9, "flaky");
  watch.failed = 0;
  assert_view(12, 40,
              "sales  10/40  1:12  ~3:48\n"
              "  extract       0:12\n"
              "  load\\x1b[2J   0:12    5%   9/180  ro…\n"
              "  flaky        again in 0:03  attempt …");
  tell(FL_EVENT_NODE_FINISHED, 7, "extract");
  watch.signal = 2;
  assert_view(6, 40,
              "sales  10/40  1:12  stopping\n"
              "  load\\x1b[2J   0:12    5%   9/180  ro…\n"
              "  flaky        again in 0:03  attempt …");
  for (uint32_t i = 10; i < 20; i++) tell(FL_EVENT_NODE_STARTED, i, "n");
  assert_view(6, 40,
              "sales  10/40  1:12  stopping\n"
              "  load\\x1b[2J   0:12    5%   9/180  ro…\n"
              "  and 11 more");
  fl_cli_live_deinit(&watch.live);
}

static void a_map_tells_how_many_of_its_items_are_done(void **state) {
  (void)state;
  begin();
  watch.done = 2;
  tell_more((fl_event){.kind = FL_EVENT_NODE_STARTED, .attempt = 1, .items_open = 4}, 1, "each");
  tell(FL_EVENT_NODE_STARTED, 2, "other");
  for (uint32_t i = 1; i <= 2; i++) {
    char name[16];
    snprintf(name, sizeof name, "each[%u]", i);
    fl_event item = {.kind = FL_EVENT_NODE_STARTED, .items_open = 4, .item = "\"photo 37.png\""};
    tell_more(item, 40 + i, name);
  }
  assert_view(12, 40,
              "sales  2/40  1:12\n"
              "  each        0:12    0% 0/4\n"
              "    each[1]   0:12  photo 37.png\n"
              "    each[2]   0:12  photo 37.png\n"
              "  other       0:12");
  // Two end in one commit: then two are open.
  for (uint32_t i = 1; i <= 2; i++) {
    char name[16];
    snprintf(name, sizeof name, "each[%u]", i);
    fl_event end = {.kind = FL_EVENT_NODE_FINISHED, .items_open = 2};
    end.status = i == 2 ? "failed" : "succeeded";
    tell_more(end, 40 + i, name);
  }
  assert_view(12, 40,
              "sales  2/40  1:12  ~0:12\n"
              "  each    0:12   50% 2/4  1 failed\n"
              "  other   0:12");
  // Of ten rows items give way first: their map counts them.
  for (uint32_t i = 3; i <= 4; i++) {
    char name[16];
    snprintf(name, sizeof name, "each[%u]", i);
    tell_more((fl_event){.kind = FL_EVENT_NODE_STARTED, .items_open = 2}, 40 + i, name);
  }
  assert_view(8, 70,
              "sales  4f7a9c01  ─────────────────  2/40  0 running  1:12  ~0:12 left\n"
              "  each    0:12  ━━━━━─────  50% 2/4  1 failed\n"
              "  other   0:12\n"
              "  and 2 more");
  tell(FL_EVENT_NODE_FINISHED, 1, "each");
  assert_null(watch.live.maps);
  fl_cli_live_deinit(&watch.live);
}

static void items_that_are_there_count_after_a_resume(void **state) {
  (void)state;
  begin();
  static const char *const kept[][2] = {
      {"each", "pending"}, {"each[1]", "succeeded"}, {"each[2]", "failed"}, {"each[3]", "pending"}};
  for (uint32_t i = 0; i < 4; i++)
    fl_cli_live_keep(&watch, &(fl_node_info){.name = kept[i][0], .status = kept[i][1]});
  tell_more((fl_event){.kind = FL_EVENT_NODE_STARTED, .items_open = 1}, 1, "each");
  assert_view(12, 40,
              "sales  0/40  1:12\n"
              "  each   0:12   67% 2/3  1 failed");
  fl_cli_live_deinit(&watch.live);
}

static void the_last_line_is_what_a_node_says(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"one\n", "one"},
      {"one\ntwo", "two"},
      {"one\n\n \t\n", "one"},
      {"  set in\n", "set in"},
      {"50%\r100%\r", "50%\\r100%\\r"},
      {"\n\n", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cli_live_node node = {0};
    take_last_line(&node, rows[i][0], strlen(rows[i][0]));
    if (rows[i][1])
      assert_string_equal(node.tail, rows[i][1]);
    else
      assert_null(node.tail);
    free(node.tail);
  }
}

static void nodes_of_sub_flows_are_told_apart(void **state) {
  (void)state;
  begin();
  fl_event e = {.kind = FL_EVENT_NODE_STARTED,
                .run_id = "20261131T235959-00000000",
                .flow = "inner",
                .call = "sub/"};
  tell(FL_EVENT_NODE_STARTED, 0, "a");
  tell_more(e, 0, "a");
  assert_int_equal(watch.live.count, 2);
  assert_string_equal(watch.live.last->name, "sub/a");
  e.kind = FL_EVENT_NODE_FINISHED;
  tell_more(e, 0, "a");
  assert_int_equal(watch.live.count, 1);
  assert_string_equal(watch.live.first->name, "a");
  fl_cli_live_deinit(&watch.live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_of_the_view_is_left),
      cmocka_unit_test(a_view_takes_half_of_its_window),
      cmocka_unit_test(a_screen_made_narrower_is_cleaned_too),
      cmocka_unit_test(only_lines_that_changed_are_written),
      cmocka_unit_test(the_view_tells_who_runs_and_how_far_all_is),
      cmocka_unit_test(a_map_tells_how_many_of_its_items_are_done),
      cmocka_unit_test(items_that_are_there_count_after_a_resume),
      cmocka_unit_test(the_last_line_is_what_a_node_says),
      cmocka_unit_test(nodes_of_sub_flows_are_told_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
