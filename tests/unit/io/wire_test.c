// The messages between engine and supervisor: what is read is what was put, and nothing else
// passes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/limits.h"
#include "io/checksum.h"
#include "io/wire.h"

static const char *const argv_words[] = {"convert", "a b", "", NULL};
static const char *const env_words[] = {"A=1", "B=", NULL};

static fl_spawn sample_spawn(void) {
  fl_spawn s = {.node_name = "thumb[3]", .argv = argv_words, .env = env_words, .cwd = "/srv"};
  snprintf(s.id.run, sizeof s.id.run, "20260131T235959-4f7a9c01");
  s.id.node = 7;
  s.id.number = 2;
  s.id.child = 1;
  s.stdin_data = "a\0b";
  s.stdin_size = 3;
  s.context = "{}";
  s.context_size = 2;
  s.queue = true;
  s.priority = -5;
  s.capture = true;
  s.capture_size_max = 1 << 20;
  s.timeout_ms = 60000;
  s.grace_ms = 10000;
  s.limit_memory = 1ll << 40;
  s.pass_fd = 9;
  s.pass_fd2 = -1;
  return s;
}

static fl_wire_exit sample_exit(void) {
  fl_wire_exit w = {.seq = 99, .capture_spilled = -1, .output_spilled = 1 << 30, .output_sum = 5};
  fl_child_exit *e = &w.exit;
  snprintf(e->id.run, sizeof e->id.run, "r");
  e->end = FL_CHILD_EXITED;
  e->exit_code = -1;
  e->signal = 9;
  e->timed_out = e->unkillable = e->output_overflow = true;
  e->left_behind = 3;
  e->pid = 4711;
  e->started_ms = 1769903999123;
  e->cpu_us = 1234567;
  e->log_path = "logs/r/x.1.log";
  e->log_size = -1;
  e->tail = "oh\xff";
  e->tail_size = 3;
  e->capture = "";
  e->error_what = "run 'x'";
  return w;
}

static fl_wire_frame whole(const fl_buf *b) {
  fl_wire_frame frame;
  size_t used;
  assert_int_equal(fl_wire_next(b->data, b->size, &frame, &used), 1);
  assert_int_equal(used, b->size);
  return frame;
}

static void a_spawn_reads_back_as_it_was(void **state) {
  (void)state;
  fl_buf b;
  fl_spawn in = sample_spawn(), out;
  char **vectors;
  fl_buf_init(&b, 1 << 16);
  fl_wire_put_spawn(&b, &in);
  fl_wire_frame frame = whole(&b);
  assert_int_equal(frame.kind, FL_WIRE_SPAWN);
  assert_true(fl_wire_get_spawn(&frame, &out, &vectors));
  assert_true(fl_child_id_equal(&in.id, &out.id));
  assert_string_equal(out.node_name, in.node_name);
  assert_string_equal(out.argv[1], "a b");
  assert_string_equal(out.argv[2], "");
  assert_null(out.argv[3]);
  assert_null(vectors[0]);
  assert_string_equal(out.env[1], "B=");
  assert_null(out.env[2]);
  assert_memory_equal(out.stdin_data, "a\0b", 3);
  assert_int_equal(out.stdin_size, 3);
  assert_null(out.time);
  assert_int_equal(out.priority, -5);
  assert_true(out.queue && out.capture);
  assert_int_equal(out.limit_memory, 1ll << 40);
  assert_int_equal(out.pass_fd, 0);
  assert_int_equal(out.pass_fd2, -1);
  free(vectors);
  fl_buf_deinit(&b);
}

static void an_exit_reads_back_as_it_was(void **state) {
  (void)state;
  fl_buf b;
  fl_wire_exit in = sample_exit(), out;
  fl_buf_init(&b, 1 << 16);
  fl_wire_put_exit(&b, &in);
  fl_wire_frame frame = whole(&b);
  assert_true(fl_wire_get_exit(&frame, &out));
  assert_int_equal(out.seq, 99);
  assert_int_equal(out.exit.exit_code, -1);
  assert_int_equal(out.exit.signal, 9);
  assert_true(out.exit.timed_out && out.exit.unkillable && out.exit.output_overflow);
  assert_false(out.exit.cancelled || out.exit.capture_overflow);
  assert_memory_equal(out.exit.tail, "oh\xff", 3);
  assert_non_null(out.exit.capture);
  assert_null(out.exit.output);
  assert_string_equal(out.exit.error_what, "run 'x'");
  assert_int_equal(out.exit.log_size, -1);
  assert_int_equal(out.output_spilled, 1 << 30);
  fl_buf_deinit(&b);
}

// Each cut is handed over in memory of exactly its size, so that a sanitizer sees a read past it.
static void no_cut_of_a_message_is_taken_for_one(void **state) {
  (void)state;
  fl_buf b;
  fl_spawn spawn = sample_spawn();
  fl_wire_exit exit = sample_exit();
  for (int which = 0; which < 2; which++) {
    fl_buf_init(&b, 1 << 16);
    if (which)
      fl_wire_put_exit(&b, &exit);
    else
      fl_wire_put_spawn(&b, &spawn);
    for (size_t cut = 0; cut < b.size; cut++) {
      fl_wire_frame frame;
      size_t used;
      char *part = malloc(cut ? cut : 1);
      memcpy(part, b.data, cut);
      assert_int_equal(fl_wire_next(part, cut, &frame, &used), 0);
      assert_true(used > cut);
      free(part);
      // A frame whose own size is right, but that lacks its last fields.
      if (cut < FL_WIRE_HEAD_SIZE) continue;
      size_t size = cut - FL_WIRE_HEAD_SIZE;
      char *fields = malloc(size ? size : 1);
      memcpy(fields, b.data + FL_WIRE_HEAD_SIZE, size);
      frame = (fl_wire_frame){which ? FL_WIRE_EXITED : FL_WIRE_SPAWN, fields, size};
      fl_wire_exit e;
      fl_spawn s;
      char **vectors = NULL;
      bool got = which ? fl_wire_get_exit(&frame, &e) : fl_wire_get_spawn(&frame, &s, &vectors);
      if (got && which && cut + sizeof(int64_t) == b.size) { // as version 1 wrote it
        assert_int_equal(e.exit.duration_ms, -1);
        got = false;
      }
      assert_false(got);
      assert_null(vectors);
      free(fields);
    }
    fl_buf_deinit(&b);
  }
}

static void no_changed_byte_leads_outside_the_frame(void **state) {
  (void)state;
  fl_buf b;
  fl_spawn spawn = sample_spawn();
  fl_buf_init(&b, 1 << 16);
  fl_wire_put_spawn(&b, &spawn);
  size_t size = b.size - FL_WIRE_HEAD_SIZE;
  for (size_t at = 0; at < size; at++) {
    for (int bit = 0; bit < 8; bit++) {
      char *fields = malloc(size);
      memcpy(fields, b.data + FL_WIRE_HEAD_SIZE, size);
      fields[at] ^= (char)(1 << bit);
      fl_wire_frame frame = {FL_WIRE_SPAWN, fields, size};
      fl_spawn s;
      char **vectors = NULL;
      if (fl_wire_get_spawn(&frame, &s, &vectors)) {
        for (size_t i = 0; s.argv[i]; i++) assert_true(strlen(s.argv[i]) < size);
        for (size_t i = 0; s.env[i]; i++) assert_true(strlen(s.env[i]) < size);
      }
      free(vectors);
      free(fields);
    }
  }
  fl_buf_deinit(&b);
}

static void a_size_that_cannot_be_is_refused_at_once(void **state) {
  (void)state;
  const uint32_t sizes[] = {0, FL_FRAME_SIZE_MAX + 1, UINT32_MAX};
  for (size_t i = 0; i < 3; i++) {
    fl_wire_frame frame;
    size_t used;
    char data[8] = {0};
    memcpy(data, &sizes[i], 4);
    assert_int_equal(fl_wire_next(data, sizeof data, &frame, &used), -1);
  }
}

static void text_with_a_nul_inside_is_refused(void **state) {
  (void)state;
  fl_buf b;
  fl_buf_init(&b, 100);
  fl_wire_put_bytes(&b, "a\0b", 3);
  fl_wire_frame frame = {FL_WIRE_REVOKE, b.data, b.size};
  fl_wire_in in = fl_wire_open(&frame);
  fl_wire_get_text(&in);
  assert_true(in.failed);
  fl_buf_deinit(&b);
}

static void a_checksum_does_not_depend_on_how_the_data_is_cut(void **state) {
  (void)state;
  char data[100];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
  uint32_t sum = fl_checksum(0, data, sizeof data);
  for (size_t cut = 0; cut <= sizeof data; cut++) {
    assert_int_equal(fl_checksum(fl_checksum(0, data, cut), data + cut, sizeof data - cut), sum);
    if (cut < sizeof data) assert_int_not_equal(fl_checksum(0, data, cut), sum);
  }
  assert_int_not_equal(fl_checksum(0, "\0", 1), fl_checksum(0, "\0\0", 2));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_spawn_reads_back_as_it_was),
      cmocka_unit_test(an_exit_reads_back_as_it_was),
      cmocka_unit_test(no_cut_of_a_message_is_taken_for_one),
      cmocka_unit_test(no_changed_byte_leads_outside_the_frame),
      cmocka_unit_test(a_size_that_cannot_be_is_refused_at_once),
      cmocka_unit_test(text_with_a_nul_inside_is_refused),
      cmocka_unit_test(a_checksum_does_not_depend_on_how_the_data_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
