// The messages between an engine and its workers: what is read is what was put, and nothing else
// passes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/limits.h"
#include "executor/worker_page.h"
#include "executor/worker_wire.h"

static fl_buf bytes;

static int setup(void **state) {
  (void)state;
  fl_buf_init(&bytes, FL_FRAME_SIZE_MAX);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  fl_buf_deinit(&bytes);
  return 0;
}

// The only frame of `bytes`.
static fl_wire_frame take(fl_worker_kind kind) {
  fl_wire_frame frame;
  size_t used;
  assert_false(bytes.failed);
  assert_int_equal(fl_wire_next(bytes.data, bytes.size, &frame, &used), 1);
  assert_int_equal(used, bytes.size);
  assert_int_equal(frame.kind, kind);
  return frame;
}

// The same content in memory that ends where it ends, so that a sanitizer sees a read past it.
static fl_wire_frame cut(const fl_wire_frame *frame, size_t size) {
  char *data = malloc(size ? size : 1);
  assert_non_null(data);
  memcpy(data, frame->data, size);
  return (fl_wire_frame){frame->kind, data, size};
}

// ------------------------------------------------------------------------------------- order

static fl_worker_order sample_order(void) {
  fl_worker_order o = {.slot = 63,
                       .generation = 9,
                       .flow = 2,
                       .flow_key = "daily",
                       .node = 17,
                       .node_name = "clean",
                       .name = "clean[4]",
                       .position = 4,
                       .has_recorded = true};
  o.fields[FL_FIELD_RUN].where = FL_WHERE_SHARED;
  o.fields[FL_FIELD_RUN].place = 31;
  o.fields[FL_FIELD_PARAMS].where = FL_WHERE_ASK;
  o.fields[FL_FIELD_INPUTS].where = FL_WHERE_HERE;
  o.fields[FL_FIELD_INPUTS].text = "{\"a\":1}";
  o.fields[FL_FIELD_INPUTS].size = 7;
  return o;
}

static void an_order_is_read_as_it_was_put(void **state) {
  fl_worker_order put = sample_order(), got;
  (void)state;
  fl_worker_put_order(&bytes, &put);
  fl_wire_frame frame = take(FL_WORKER_TASK);
  assert_true(fl_worker_get_order(&frame, &got));
  assert_int_equal(got.slot, 63);
  assert_int_equal(got.generation, 9);
  assert_int_equal(got.flow, 2);
  assert_string_equal(got.flow_key, "daily");
  assert_int_equal(got.node, 17);
  assert_string_equal(got.node_name, "clean");
  assert_string_equal(got.name, "clean[4]");
  assert_int_equal(got.position, 4);
  assert_true(got.has_recorded);
  assert_int_equal(got.fields[FL_FIELD_RUN].place, 31);
  assert_int_equal(got.fields[FL_FIELD_PARAMS].where, FL_WHERE_ASK);
  assert_int_equal(got.fields[FL_FIELD_VARS].where, FL_WHERE_NONE);
  assert_string_equal(got.fields[FL_FIELD_INPUTS].text, "{\"a\":1}");
  assert_int_equal(got.fields[FL_FIELD_INPUTS].size, 7);
}

static void an_order_that_is_cut_off_anywhere_is_refused(void **state) {
  fl_worker_order put = sample_order(), got;
  (void)state;
  fl_worker_put_order(&bytes, &put);
  fl_wire_frame frame = take(FL_WORKER_TASK);
  for (size_t size = 0; size < frame.size; size++) {
    fl_wire_frame part = cut(&frame, size);
    assert_false(fl_worker_get_order(&part, &got));
    free((void *)(uintptr_t)part.data);
  }
}

static void an_order_for_a_slot_or_place_that_is_not_there_is_refused(void **state) {
  fl_worker_order put = sample_order(), got;
  (void)state;
  put.slot = FL_WORKER_SLOTS;
  fl_worker_put_order(&bytes, &put);
  fl_wire_frame frame = take(FL_WORKER_TASK);
  assert_false(fl_worker_get_order(&frame, &got));
  fl_buf_reset(&bytes);
  put = sample_order();
  put.fields[FL_FIELD_RUN].place = FL_WORKER_TEXTS;
  fl_worker_put_order(&bytes, &put);
  frame = take(FL_WORKER_TASK);
  assert_false(fl_worker_get_order(&frame, &got));
}

// ------------------------------------------------------------------------------------- result

static fl_wire_in result_fields(const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  fl_wire_get_u32(&in);
  fl_wire_get_u32(&in);
  return in;
}

static void a_result_is_read_as_it_was_put(void **state) {
  fl_worker_result got, put = {.slot = 1,
                               .generation = 2,
                               .state = FL_ATTEMPT_FAILED,
                               .no_retry = true,
                               .worn = true,
                               .asked = true,
                               .started_ms = 1000,
                               .ended_ms = 2000,
                               .duration_us = 1000123,
                               .cpu_us = 7,
                               .rss_max_bytes = 1 << 20,
                               .outputs = "a\0b",
                               .outputs_size = 3,
                               .error = "flow.lua:3: no"};
  (void)state;
  fl_worker_put_result(&bytes, &put);
  fl_wire_frame frame = take(FL_WORKER_RESULT);
  fl_wire_in in = result_fields(&frame);
  assert_true(fl_worker_get_result(&in, &got));
  assert_int_equal(got.state, FL_ATTEMPT_FAILED);
  assert_true(got.no_retry && got.worn && got.asked);
  assert_int_equal(got.started_ms, 1000);
  assert_int_equal(got.ended_ms, 2000);
  assert_int_equal(got.duration_us, 1000123);
  assert_int_equal(got.cpu_us, 7);
  assert_int_equal(got.rss_max_bytes, 1 << 20);
  assert_int_equal(got.outputs_size, 3);
  assert_memory_equal(got.outputs, "a\0b", 3);
  assert_null(got.vars);
  assert_string_equal(got.error, "flow.lua:3: no");
}

static void a_result_that_is_cut_off_anywhere_is_refused(void **state) {
  fl_worker_result got, put = {.state = FL_ATTEMPT_SUCCEEDED, .outputs = "{}", .outputs_size = 2};
  (void)state;
  fl_worker_put_result(&bytes, &put);
  fl_wire_frame frame = take(FL_WORKER_RESULT);
  for (size_t size = 0; size < frame.size; size++) {
    fl_wire_frame part = cut(&frame, size);
    fl_wire_in in = result_fields(&part);
    assert_false(fl_worker_get_result(&in, &got));
    free((void *)(uintptr_t)part.data);
  }
}

static void only_ends_that_code_can_have_are_results(void **state) {
  (void)state;
  for (int s = 0; s < 256; s++) {
    fl_worker_result got, put = {.state = (fl_attempt_state)s};
    fl_buf_reset(&bytes);
    fl_worker_put_result(&bytes, &put);
    fl_wire_frame frame = take(FL_WORKER_RESULT);
    fl_wire_in in = result_fields(&frame);
    bool fine = s == FL_ATTEMPT_SUCCEEDED || s == FL_ATTEMPT_FAILED || s == FL_ATTEMPT_SKIPPED;
    assert_int_equal(fl_worker_get_result(&in, &got), fine);
  }
}

// ------------------------------------------------------------------------------------- init

static void what_a_worker_loads_is_read_as_it_was_put(void **state) {
  bool foreign;
  fl_source sources[] = {{"flow.lua", "return", 6}, {"lib/a.lua", "a\0b", 3}};
  const char *natives[] = {"turbine", "pump"};
  fl_worker_init got, put = {.path = "x/flow.lua",
                             .natives = natives,
                             .native_count = 2,
                             .snapshot = {.dir = "/srv/x", .sources = sources, .count = 2}};
  (void)state;
  fl_worker_put_init(&bytes, &put);
  fl_wire_frame frame = take(FL_WORKER_INIT);
  assert_true(fl_worker_get_init(&frame, &got, &foreign));
  assert_string_equal(got.path, "x/flow.lua");
  assert_null(got.lua_dir);
  assert_string_equal(got.snapshot.dir, "/srv/x");
  assert_int_equal(got.native_count, 2);
  assert_string_equal(got.natives[1], "pump");
  assert_int_equal(got.snapshot.count, 2);
  assert_string_equal(got.snapshot.sources[1].path, "lib/a.lua");
  assert_int_equal(got.snapshot.sources[1].size, 3);
  assert_memory_equal(got.snapshot.sources[1].data, "a\0b", 3);
  free(got.natives);
  free(got.snapshot.sources);
  for (size_t size = 0; size < frame.size; size++) {
    fl_wire_frame part = cut(&frame, size);
    assert_false(fl_worker_get_init(&part, &got, &foreign));
    free(got.natives);
    free(got.snapshot.sources);
    free((void *)(uintptr_t)part.data);
  }
  fl_buf_reset(&bytes);
  fl_worker_put_init(&bytes, &put);
  frame = take(FL_WORKER_INIT);
  ((char *)(uintptr_t)frame.data)[0]++;
  assert_false(fl_worker_get_init(&frame, &got, &foreign));
  assert_true(foreign);
}

// ------------------------------------------------------------------------------------- command

static void a_command_is_read_as_it_was_put(void **state) {
  char *argv[] = {"convert", "a b", "", NULL}, *env[] = {"A=1", NULL};
  int codes[] = {0, 3};
  fl_command put = {.argv = argv,
                    .env = env,
                    .cwd = "/srv",
                    .stdin_data = "x\0y",
                    .stdin_size = 3,
                    .capture = true,
                    .limit_memory = 1ll << 40,
                    .limit_cpu_s = 5,
                    .limit_open_files = 6,
                    .log_size_max = 7,
                    .ok_codes = codes,
                    .ok_code_count = 2,
                    .timeout_ms = 8};
  (void)state;
  size_t begin = fl_worker_begin(&bytes, FL_WORKER_EXEC);
  fl_worker_put_command(&bytes, &put);
  fl_wire_end(&bytes, begin);
  fl_wire_frame frame = take(FL_WORKER_EXEC);
  fl_wire_in in = fl_wire_open(&frame);
  fl_command *got = fl_worker_get_command(&in);
  assert_non_null(got);
  assert_string_equal(got->argv[1], "a b");
  assert_string_equal(got->argv[2], "");
  assert_null(got->argv[3]);
  assert_string_equal(got->env[0], "A=1");
  assert_string_equal(got->cwd, "/srv");
  assert_memory_equal(got->stdin_data, "x\0y", 3);
  assert_true(got->capture);
  assert_int_equal(got->limit_memory, 1ll << 40);
  assert_int_equal(got->ok_code_count, 2);
  assert_int_equal(got->ok_codes[1], 3);
  assert_int_equal(got->timeout_ms, 8);
  fl_command_free(got);
  for (size_t size = 0; size < frame.size; size++) {
    fl_wire_frame part = cut(&frame, size);
    in = fl_wire_open(&part);
    assert_null(fl_worker_get_command(&in));
    free((void *)(uintptr_t)part.data);
  }
}

static void a_command_without_words_is_refused(void **state) {
  char *argv[] = {NULL};
  fl_command put = {.argv = argv};
  (void)state;
  size_t begin = fl_worker_begin(&bytes, FL_WORKER_EXEC);
  fl_worker_put_command(&bytes, &put);
  fl_wire_end(&bytes, begin);
  fl_wire_frame frame = take(FL_WORKER_EXEC);
  fl_wire_in in = fl_wire_open(&frame);
  assert_null(fl_worker_get_command(&in));
}

static void a_count_that_the_frame_cannot_hold_takes_no_memory(void **state) {
  (void)state;
  size_t begin = fl_worker_begin(&bytes, FL_WORKER_EXEC);
  fl_wire_put_u32(&bytes, UINT32_MAX - 1);
  fl_wire_end(&bytes, begin);
  fl_wire_frame frame = take(FL_WORKER_EXEC);
  fl_wire_in in = fl_wire_open(&frame);
  assert_null(fl_worker_get_command(&in));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_order_is_read_as_it_was_put),
      TEST(an_order_that_is_cut_off_anywhere_is_refused),
      TEST(an_order_for_a_slot_or_place_that_is_not_there_is_refused),
      TEST(a_result_is_read_as_it_was_put),
      TEST(a_result_that_is_cut_off_anywhere_is_refused),
      TEST(only_ends_that_code_can_have_are_results),
      TEST(what_a_worker_loads_is_read_as_it_was_put),
      TEST(a_command_is_read_as_it_was_put),
      TEST(a_command_without_words_is_refused),
      TEST(a_count_that_the_frame_cannot_hold_takes_no_memory),
  };
  return cmocka_run_group_tests_name("worker_wire", tests, NULL, NULL);
}
