// Tests cli/lines.c: what each kind of event looks like, as a line and as JSON.
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

// lines.c and engine.c need no verb; options.c asks for this.
const fl_cli_option fl_cli_global_options[] = {{NULL, NULL, NULL, NULL}};

#define RUN "20260131T235959-4f7a9c01"

static fl_cli cli;
static fl_cli_watch watch;

static int begin(void **state) {
  (void)state;
  setenv("TZ", "UTC", 1);
  tzset();
  watch = (fl_cli_watch){.cli = &cli, .run_id = RUN, .total = 4};
  fl_cli_out()->size = 0;
  return 0;
}

static void forget_told(void) {
  for (size_t i = 0; i < watch.told_count && i < FL_CLI_TOLD_MAX; i++) {
    free(watch.told[i].key);
    free(watch.told[i].name);
    free(watch.told[i].error);
  }
  watch.told_count = 0;
}

static const char *line(fl_cli_mode mode, fl_event e) {
  e.run_id = e.run_id ? e.run_id : RUN;
  e.flow = e.flow ? e.flow : "sales";
  e.wall_ms = 1769904000123; // 2026-02-01T00:00:00.123Z
  watch.mode = mode;
  fl_cli_out()->size = 0;
  fl_cli_lines_add(&watch, &e);
  for (size_t i = 0; i < watch.failure_count; i++) {
    free(watch.failures[i].node);
    free(watch.failures[i].error);
  }
  watch.failure_count = 0;
  free(watch.failures);
  watch.failures = NULL, watch.failure_capacity = 0;
  forget_told();
  return fl_cli_text_cstr(fl_cli_out());
}

#define NODE(what) .kind = FL_EVENT_NODE_##what, .node = "load", .exit_code = -1

static void plain_lines_tell_what_happened(void **state) {
  (void)state;
  const struct {
    fl_event event;
    const char *line;
  } rows[] = {
      {{.kind = FL_EVENT_RUN_STARTED, .nodes_total = 4}, "run " RUN " of sales started, 4 nodes"},
      {{NODE(STARTED), .attempt = 1, .status = "running"}, "load started"},
      {{NODE(STARTED), .attempt = 2, .status = "running"}, "load started (attempt 2)"},
      {{NODE(FINISHED), .attempt = 1, .status = "succeeded", .duration_ms = 1234},
       "load succeeded 1.2s"},
      {{.kind = FL_EVENT_NODE_FINISHED,
        .node = "load",
        .attempt = 1,
        .status = "failed",
        .duration_ms = 300,
        .exit_code = 2},
       "load failed 300ms: exit code 2"},
      {{NODE(FINISHED), .attempt = 1, .status = "failed", .duration_ms = 300, .signal = 9},
       "load failed 300ms: signal 9"},
      {{NODE(FINISHED), .attempt = 1, .status = "failed", .duration_ms = 300,
        .error = "a.lua:3: boom\nstack:\n\ta.lua:9\n"},
       "load failed 300ms: a.lua:3: boom\n    stack:\n     a.lua:9"},
      {{NODE(RETRYING), .attempt = 1, .status = "retrying", .duration_ms = 20,
        .error = "exit code 1", .reason = "retry"},
       "load retrying in 20ms (attempt 1 failed): exit code 1"},
      {{NODE(FINISHED), .status = "skipped", .reason = "when_false"},
       "load skipped: its `when` was false"},
      {{NODE(FINISHED), .status = "upstream_failed", .reason = "upstream_failed",
        .error = "extract"},
       "load upstream_failed: something it depends on failed (extract)"},
      {{NODE(FINISHED), .status = "failed", .reason = "merge_conflict", .error = "a and b set n"},
       "load failed: a and b set n"},
      {{NODE(FINISHED), .attempt = 1, .status = "cancelled", .reason = "interrupted",
        .duration_ms = 9},
       "load cancelled 9ms: the engine was interrupted"},
      {{NODE(FINISHED), .run_id = "20260131T235959-00000000", .flow = "inner", .call = "sub/",
        .attempt = 1, .status = "succeeded", .duration_ms = 9},
       "sub/load succeeded 9ms"},
      {{.kind = FL_EVENT_NOTICE, .error = "the disk is nearly full", .exit_code = -1},
       "notice: the disk is nearly full"},
      {{.kind = FL_EVENT_RUN_FINISHED,
        .run_id = "20260131T235959-00000000",
        .flow = "sub",
        .status = "succeeded",
        .duration_ms = 1000},
       "run 20260131T235959-00000000 of sub succeeded 1.0s"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char expected[512];
    snprintf(expected, sizeof expected, "00:00:00 %s\n", rows[i].line);
    assert_string_equal(line(FL_MODE_PLAIN, rows[i].event), expected);
  }
}

static void some_events_have_no_line(void **state) {
  (void)state;
  fl_event progress = {NODE(PROGRESS), .progress_done = 1};
  fl_event end = {.kind = FL_EVENT_RUN_FINISHED, .status = "failed"};
  fl_event good = {NODE(FINISHED), .attempt = 1, .status = "succeeded"};
  fl_event bad = {NODE(FINISHED), .attempt = 1, .status = "failed"};
  fl_event start = {NODE(STARTED), .attempt = 1};
  assert_string_equal(line(FL_MODE_PLAIN, progress), "");
  assert_string_equal(line(FL_MODE_PLAIN, end), ""); // the summary tells it
  assert_string_equal(line(FL_MODE_QUIET, good), "");
  assert_string_not_equal(line(FL_MODE_QUIET, bad), "");
  assert_string_equal(line(FL_MODE_LIVE, start), "");
  assert_string_not_equal(line(FL_MODE_LIVE, good), "");
  watch.total = 1000;
  assert_string_equal(line(FL_MODE_LIVE, good), "");
  assert_string_not_equal(line(FL_MODE_LIVE, bad), "");
  assert_string_equal(line(FL_MODE_JSON, progress), "");
}

static void a_notice_waits_for_the_failures_before_it(void **state) {
  (void)state;
  watch.mode = FL_MODE_QUIET;
  fl_event bad = {NODE(FINISHED), .run_id = RUN, .flow = "sales", .status = "failed"};
  fl_event notice = {.kind = FL_EVENT_NOTICE, .error = "a proposal", .run_id = RUN};
  fl_cli_lines_add(&watch, &bad);
  size_t end = fl_cli_out()->size;
  fl_cli_lines_add(&watch, &notice);
  assert_int_equal(watch.failure_count, 1);
  assert_int_equal(watch.failures[0].offset, end);
  assert_string_equal(fl_cli_text_cstr(fl_cli_out()) + end, "flowlua: a proposal\n");
  fl_cli_lines_add_logs(&watch, NULL);
  assert_int_equal(fl_cli_out()->size, 0);
  free(watch.failures);
  forget_told();
}

static void names_and_errors_cannot_move_the_cursor(void **state) {
  (void)state;
  fl_event e = {NODE(FINISHED), .attempt = 1, .status = "failed", .error = "\x1b[2Jgone\r\n\x07"};
  e.node = "a\x1b[Hb";
  assert_string_equal(line(FL_MODE_PLAIN, e),
                      "00:00:00 a\\x1b[Hb failed 0ms: \\x1b[2Jgone\\r\n    \\x07\n");
}

static void json_is_one_object_a_line(void **state) {
  (void)state;
  fl_event started = {.kind = FL_EVENT_RUN_STARTED, .status = "running", .nodes_total = 4};
  assert_string_equal(
      line(FL_MODE_JSON, started),
      "{\"event\":\"run_started\",\"ts\":\"2026-02-01T00:00:00.123Z\",\"run\":\"" RUN "\","
      "\"flow\":\"sales\",\"status\":\"running\"}\n");
  fl_event failed = {NODE(FINISHED), .attempt = 2, .status = "failed", .duration_ms = 7,
                     .error = "no \"x\"\n\xff"};
  assert_string_equal(
      line(FL_MODE_JSON, failed),
      "{\"event\":\"node_finished\",\"ts\":\"2026-02-01T00:00:00.123Z\",\"run\":\"" RUN "\","
      "\"flow\":\"sales\",\"node\":\"load\",\"attempt\":2,\"status\":\"failed\","
      "\"duration_ms\":7,\"error\":\"no \\\"x\\\"\\n\uFFFD\"}\n");
  fl_event skipped = {NODE(FINISHED), .status = "skipped", .reason = "when_false"};
  assert_string_equal(
      line(FL_MODE_JSON, skipped),
      "{\"event\":\"node_finished\",\"ts\":\"2026-02-01T00:00:00.123Z\",\"run\":\"" RUN "\","
      "\"flow\":\"sales\",\"node\":\"load\",\"status\":\"skipped\"}\n");
}

static void each_status_has_a_style_and_is_counted(void **state) {
  (void)state;
  fl_cli_tally tally = {0};
  fl_cli_text text = {0};
  const char *name;
  bool final;
  for (size_t i = 0; (name = fl_status_name(i, &final)) != NULL; i++) {
    assert_true(i < FL_CLI_STATUS_MAX);
    if (fl_cli_style_of_status(name) == FL_STYLE_NONE) fail_msg("no style for %s", name);
    assert_int_equal(fl_cli_status_is_final(name), final);
  }
  assert_int_equal(fl_cli_style_of_status("interrupted"), FL_STYLE_YELLOW);
  assert_false(fl_cli_status_is_final("interrupted"));
  fl_cli_tally_write(&tally, &text);
  assert_int_equal(text.size, 0);
  fl_cli_tally_add(&tally, "failed");
  fl_cli_tally_add(&tally, "succeeded");
  fl_cli_tally_add(&tally, "failed");
  fl_cli_tally_add(&tally, "none");
  fl_cli_tally_write(&tally, &text);
  fl_cli_text_add(&text, "", 1);
  assert_string_equal(text.data, ": 1 succeeded, 2 failed");
  free(text.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(plain_lines_tell_what_happened, begin),
      cmocka_unit_test(each_status_has_a_style_and_is_counted),
      cmocka_unit_test_setup(some_events_have_no_line, begin),
      cmocka_unit_test_setup(a_notice_waits_for_the_failures_before_it, begin),
      cmocka_unit_test_setup(names_and_errors_cannot_move_the_cursor, begin),
      cmocka_unit_test_setup(json_is_one_object_a_line, begin),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  fl_cli_text_deinit(fl_cli_out());
  return failed;
}
