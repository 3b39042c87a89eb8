// The supervisor's journal: what any crash leaves of it reads as a prefix of what was written.
#include <fcntl.h>
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
#include "folder.h"
#include "io/journal.h"

#define CHILDREN 6

typedef struct fixture {
  char dir[64];
  int dir_fd;
  fl_journal journal;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  char path[96];
  if (!make_test_folder("journal", f->dir, sizeof f->dir)) return -1;
  snprintf(path, sizeof path, "%s/sup", f->dir);
  mkdir(path, 0700);
  f->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = f;
  return fl_journal_create(&f->journal, f->dir_fd, "abc");
}

static int teardown(void **state) {
  fixture *f = *state;
  char path[96];
  fl_journal_close(&f->journal);
  unlinkat(f->dir_fd, "abc.journal", 0);
  close(f->dir_fd);
  snprintf(path, sizeof path, "%s/sup", f->dir);
  int rc = rmdir(path) || rmdir(f->dir) ? -1 : 0; // nothing else may lie there
  free(f);
  return rc;
}

static fl_child_id id_of(uint64_t seq) {
  fl_child_id id = {.run = "run", .node = (uint32_t)seq, .number = 1};
  return id;
}

static void begin_child(fl_journal *j, uint64_t seq) {
  fl_buf b;
  fl_child_id id = id_of(seq);
  fl_buf_init(&b, 4096);
  fl_journal_begun(&b, seq, &id, 1000 + (int64_t)seq);
  assert_int_equal(fl_journal_write_begun(j, b.data, b.size, 100 + (int)seq, 5000 + seq), 0);
  j->size += (int64_t)b.size;
  fl_buf_deinit(&b);
}

static void end_child(fl_journal *j, uint64_t seq, int exit_code) {
  fl_buf b;
  fl_wire_exit e = {.seq = seq, .capture_spilled = -1, .output_spilled = -1};
  e.exit.id = id_of(seq);
  e.exit.exit_code = exit_code;
  e.exit.log_path = "";
  fl_buf_init(&b, 4096);
  fl_journal_record_begin(&b);
  fl_wire_put_exit(&b, &e);
  fl_journal_record_end(&b);
  assert_true(fl_journal_append(j, &b));
  fl_buf_deinit(&b);
}

// All begin; every other one ends, with its number as exit code.
static void write_some(fl_journal *j) {
  for (uint64_t seq = 1; seq <= CHILDREN; seq++) {
    begin_child(j, seq);
    if (seq % 2) end_child(j, seq, (int)seq);
  }
}

static void load(fixture *f, fl_journal_view *view) {
  fl_error err;
  if (fl_journal_load(f->dir, "abc", view, &err)) fail_msg("%s", err.message);
}

static void what_was_written_is_read_back(void **state) {
  fixture *f = *state;
  fl_journal_view view;
  write_some(&f->journal);
  load(f, &view);
  assert_true(view.this_boot);
  assert_int_equal(view.pid, getpid());
  assert_true(view.start_ticks > 0);
  assert_int_equal(view.count, CHILDREN);
  for (uint64_t seq = 1; seq <= CHILDREN; seq++) {
    fl_child_id id = id_of(seq);
    const fl_journal_child *c = fl_journal_find(&view, &id);
    fl_wire_exit e;
    assert_non_null(c);
    assert_int_equal(c->pid, 100 + seq);
    assert_int_equal(c->start_ticks, 5000 + seq);
    assert_int_equal(c->ended, seq % 2);
    if (c->ended) {
      assert_true(fl_wire_get_exit(&c->exit, &e));
      assert_int_equal(e.exit.exit_code, seq);
    }
  }
  fl_child_id other = id_of(CHILDREN + 1);
  assert_null(fl_journal_find(&view, &other));
  fl_journal_unload(&view);
}

// As one of version 1 begins, which did not tell it, and as one of a later version may.
static void a_journal_tells_its_version(void **state) {
  fixture *f = *state;
  fl_journal_view view;
  fl_error err;
  assert_int_equal(fl_journal_load(f->dir, "abc", &view, &err), FL_OK);
  assert_int_equal(view.version, FL_WIRE_VERSION);
  fl_journal_unload(&view);
  for (uint32_t version = 1; version <= FL_WIRE_VERSION + 1; version += FL_WIRE_VERSION) {
    fl_buf b;
    fl_buf_init(&b, 4096);
    fl_journal_record_begin(&b);
    size_t begin = fl_wire_begin(&b, FL_WIRE_HEADER);
    fl_wire_put_text(&b, "boot");
    fl_wire_put_i32(&b, 7);
    fl_wire_put_u64(&b, 8);
    fl_wire_put_i64(&b, 9);
    if (version > 1) fl_wire_put_u32(&b, version), fl_wire_put_text(&b, "more");
    fl_wire_end(&b, begin);
    fl_journal_record_end(&b);
    assert_int_equal(pwrite(f->journal.fd, b.data, b.size, 0), b.size);
    assert_int_equal(fl_journal_load(f->dir, "abc", &view, &err), FL_OK);
    assert_int_equal(view.version, version);
    assert_int_equal(view.pid, 7);
    fl_journal_unload(&view);
    fl_buf_deinit(&b);
  }
}

static void any_length_of_it_is_a_prefix(void **state) {
  fixture *f = *state;
  write_some(&f->journal);
  size_t size = (size_t)f->journal.size, valid_before = 0, count_before = 0;
  char *all = malloc(size);
  assert_int_equal(pread(f->journal.fd, all, size, 0), size);
  for (size_t cut = 0; cut <= size; cut++) {
    fl_journal_view view;
    char *part = malloc(cut ? cut : 1);
    memcpy(part, all, cut);
    fl_journal_parse(part, cut, &view);
    assert_true(view.valid_size <= cut && view.valid_size >= valid_before);
    assert_true(view.count >= count_before);
    valid_before = view.valid_size;
    count_before = view.count;
    fl_journal_unload(&view);
    free(part);
  }
  assert_int_equal(valid_before, size);
  assert_int_equal(count_before, CHILDREN);
  free(all);
}

static void a_damaged_byte_ends_it_there(void **state) {
  fixture *f = *state;
  write_some(&f->journal);
  size_t size = (size_t)f->journal.size;
  char *all = malloc(size);
  assert_int_equal(pread(f->journal.fd, all, size, 0), size);
  for (size_t at = 0; at < size; at++) {
    fl_journal_view view;
    all[at] ^= 0x10;
    fl_journal_parse(all, size, &view);
    assert_true(view.valid_size <= at);
    fl_journal_unload(&view);
    all[at] ^= 0x10;
  }
  free(all);
}

static void a_record_that_was_cut_short_is_written_over(void **state) {
  fixture *f = *state;
  fl_journal_view view;
  begin_child(&f->journal, 1);
  assert_int_equal(pwrite(f->journal.fd, "half a record, long enough to stick out behind the next",
                          55, f->journal.size),
                   55);
  load(f, &view);
  assert_int_equal(view.count, 1);
  fl_journal_unload(&view);
  end_child(&f->journal, 1, 3);
  load(f, &view);
  assert_true(view.children[0].ended);
  fl_journal_unload(&view);
}

static void a_failure_without_a_process_needs_no_start(void **state) {
  fixture *f = *state;
  fl_journal_view view;
  fl_child_id id = id_of(2);
  begin_child(&f->journal, 1);
  end_child(&f->journal, 2, -1);
  begin_child(&f->journal, 3);
  load(f, &view);
  assert_int_equal(view.count, 3);
  const fl_journal_child *c = fl_journal_find(&view, &id);
  assert_true(c && c->ended && c->pid == 0);
  fl_journal_unload(&view);
}

static bool is_old(void *ud, uint64_t seq) {
  (void)ud;
  return seq <= 3;
}

static void compacting_leaves_out_only_what_is_settled(void **state) {
  fixture *f = *state;
  fl_journal_view view;
  write_some(&f->journal);
  int64_t before = f->journal.size;
  assert_int_equal(fl_journal_compact(&f->journal, is_old, NULL), 0);
  assert_true(f->journal.size < before);
  end_child(&f->journal, 4, 44);
  load(f, &view);
  assert_int_equal(view.count, CHILDREN - 3);
  assert_int_equal(view.children[0].seq, 4);
  assert_true(view.children[0].ended);
  assert_false(view.children[2].ended);
  assert_int_equal(view.pid, getpid());
  fl_journal_unload(&view);
}

static void room_is_set_aside_before_a_start(void **state) {
  fixture *f = *state;
  int errnum = 0;
  assert_true(fl_journal_reserve(&f->journal, &errnum));
  assert_true(f->journal.reserved > f->journal.size);
  struct stat st;
  fstat(f->journal.fd, &st);
  assert_int_equal(st.st_size, f->journal.size); // it is no content
}

static void a_missing_journal_is_not_found(void **state) {
  fixture *f = *state;
  fl_journal_view view;
  fl_error err;
  assert_int_equal(fl_journal_load(f->dir, "other", &view, &err), FL_E_NOT_FOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_was_written_is_read_back, setup, teardown),
      cmocka_unit_test_setup_teardown(a_journal_tells_its_version, setup, teardown),
      cmocka_unit_test_setup_teardown(any_length_of_it_is_a_prefix, setup, teardown),
      cmocka_unit_test_setup_teardown(a_damaged_byte_ends_it_there, setup, teardown),
      cmocka_unit_test_setup_teardown(a_record_that_was_cut_short_is_written_over, setup, teardown),
      cmocka_unit_test_setup_teardown(a_failure_without_a_process_needs_no_start, setup, teardown),
      cmocka_unit_test_setup_teardown(compacting_leaves_out_only_what_is_settled, setup, teardown),
      cmocka_unit_test_setup_teardown(room_is_set_aside_before_a_start, setup, teardown),
      cmocka_unit_test_setup_teardown(a_missing_journal_is_not_found, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
