// Slots and ring of the memory that an engine shares with a worker.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include "executor/worker_page.h"

static fl_worker_page *page;

static int setup(void **state) {
  fl_error err;
  int fd;
  (void)state;
  assert_int_equal(fl_worker_page_open(&page, &fd, &err), FL_OK);
  close(fd);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  fl_worker_page_close(page);
  return 0;
}

static void a_page_is_the_same_memory_in_both_processes(void **state) {
  fl_error err;
  int fd;
  fl_worker_page *ours;
  (void)state;
  assert_int_equal(fl_worker_page_open(&ours, &fd, &err), FL_OK);
  fl_worker_page *theirs = fl_worker_page_map(fd);
  assert_non_null(theirs);
  assert_ptr_not_equal(ours, theirs);
  fl_slot_queue(&ours->slots[63], 1);
  assert_true(fl_slot_take(&theirs->slots[63], 1, 5));
  assert_int_equal(fl_slot_get_state(&ours->slots[63], 1), FL_SLOT_RUNNING);
  assert_int_equal(ours->slots[63].started_ns, 5);
  fl_worker_page_close(theirs);
  fl_worker_page_close(ours);
  close(fd);
}

static void a_page_cannot_be_cut_off(void **state) {
  fl_error err;
  int fd;
  fl_worker_page *ours;
  (void)state;
  assert_int_equal(fl_worker_page_open(&ours, &fd, &err), FL_OK);
  assert_int_equal(ftruncate(fd, 0), -1);
  fl_worker_page_close(ours);
  close(fd);
}

static void what_is_no_page_is_not_mapped(void **state) {
  int ends[2];
  (void)state;
  assert_int_equal(pipe(ends), 0);
  assert_null(fl_worker_page_map(ends[0]));
  assert_null(fl_worker_page_map(-1));
  close(ends[0]);
  close(ends[1]);
}

static void a_task_is_either_taken_or_taken_back(void **state) {
  fl_worker_slot *slot = &page->slots[0];
  (void)state;
  fl_slot_queue(slot, 1);
  assert_true(fl_slot_take(slot, 1, 7));
  assert_false(fl_slot_revoke(slot, 1));
  fl_slot_finish(slot, 1);
  assert_int_equal(fl_slot_get_state(slot, 1), FL_SLOT_DONE);
  fl_slot_queue(slot, 2);
  assert_true(fl_slot_revoke(slot, 2));
  assert_false(fl_slot_take(slot, 2, 8));
  assert_int_equal(fl_slot_get_state(slot, 2), FL_SLOT_REVOKED);
}

static void a_revoked_task_is_not_taken_for_the_next_one_of_its_slot(void **state) {
  fl_worker_slot *slot = &page->slots[1];
  (void)state;
  fl_slot_queue(slot, 1);
  assert_true(fl_slot_revoke(slot, 1));
  fl_slot_queue(slot, 2);
  assert_false(fl_slot_take(slot, 1, 9)); // the message of the first was still on its way
  assert_true(fl_slot_take(slot, 2, 9));
  assert_int_equal(fl_slot_get_state(slot, 1), FL_SLOT_EMPTY);
}

static void a_late_finish_leaves_the_next_task_queued(void **state) {
  fl_worker_slot *slot = &page->slots[2];
  (void)state;
  fl_slot_queue(slot, 1);
  assert_true(fl_slot_take(slot, 1, 1));
  fl_slot_queue(slot, 2); // the engine had the result before the worker said it is done
  fl_slot_finish(slot, 1);
  assert_int_equal(fl_slot_get_state(slot, 2), FL_SLOT_QUEUED);
}

static void a_cancel_is_for_one_task_of_a_slot(void **state) {
  fl_worker_slot *slot = &page->slots[3];
  (void)state;
  fl_slot_queue(slot, 1);
  assert_false(fl_slot_is_cancelled(slot, 1));
  fl_slot_cancel(slot, 1);
  assert_true(fl_slot_is_cancelled(slot, 1));
  fl_slot_queue(slot, 2);
  assert_false(fl_slot_is_cancelled(slot, 2));
}

static void a_word_that_nobody_wrote_is_an_empty_slot(void **state) {
  fl_worker_slot *slot = &page->slots[4];
  (void)state;
  atomic_store(&slot->word, 3u << 3 | 7u);
  assert_int_equal(fl_slot_get_state(slot, 3), FL_SLOT_EMPTY);
}

#define RACES 20000u

static _Atomic uint32_t sent; // generations whose message has arrived

static void *take_all(void *ud) {
  uint32_t *taken = ud;
  for (uint32_t i = 1; i <= RACES; i++) {
    while (atomic_load(&sent) < i) continue;
    if (!fl_slot_take(&page->slots[5], i, i)) continue;
    (*taken)++;
    fl_slot_finish(&page->slots[5], i);
  }
  return NULL;
}

static void a_race_for_a_task_has_one_winner(void **state) {
  fl_worker_slot *slot = &page->slots[5];
  pthread_t thread;
  uint32_t taken = 0, revoked = 0;
  (void)state;
  assert_int_equal(pthread_create(&thread, NULL, take_all, &taken), 0);
  for (uint32_t i = 1; i <= RACES; i++) {
    fl_slot_queue(slot, i);
    atomic_store(&sent, i);
    for (volatile uint32_t wait = 0; wait < i % 97; wait++) continue;
    if (fl_slot_revoke(slot, i))
      revoked++;
    else
      while (fl_slot_get_state(slot, i) != FL_SLOT_DONE) continue;
  }
  pthread_join(thread, NULL);
  assert_int_equal(taken + revoked, RACES);
}

// ------------------------------------------------------------------------------------- ring

static void the_ring_holds_what_was_said_and_not_heard(void **state) {
  char data[FL_WORKER_RING_SIZE], heard[FL_WORKER_RING_SIZE];
  uint64_t said = 0, received = 0;
  (void)state;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
  for (size_t size = 1; size <= sizeof data; size = size * 3 + 1) {
    fl_ring_write(page, said, data, size);
    assert_int_equal(fl_ring_left(page, received), 0); // not published
    said += size;
    fl_ring_publish(page, said);
    assert_int_equal(fl_ring_left(page, received), size);
    fl_ring_read(page, received, heard, size);
    assert_memory_equal(heard, data, size);
    received += size;
    assert_int_equal(fl_ring_left(page, received), 0);
  }
}

static void the_ring_is_empty_for_a_position_it_does_not_hold(void **state) {
  (void)state;
  fl_ring_publish(page, 1000);
  assert_int_equal(fl_ring_left(page, 1001), 0); // part of a message that went past the ring
  fl_ring_publish(page, 1000 + FL_WORKER_RING_SIZE);
  assert_int_equal(fl_ring_left(page, 1000), FL_WORKER_RING_SIZE);
  fl_ring_publish(page, 1001 + FL_WORKER_RING_SIZE);
  assert_int_equal(fl_ring_left(page, 1000), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_page_is_the_same_memory_in_both_processes),
      cmocka_unit_test(a_page_cannot_be_cut_off),
      cmocka_unit_test(what_is_no_page_is_not_mapped),
      TEST(a_task_is_either_taken_or_taken_back),
      TEST(a_revoked_task_is_not_taken_for_the_next_one_of_its_slot),
      TEST(a_late_finish_leaves_the_next_task_queued),
      TEST(a_cancel_is_for_one_task_of_a_slot),
      TEST(a_word_that_nobody_wrote_is_an_empty_slot),
      TEST(a_race_for_a_task_has_one_winner),
      TEST(the_ring_holds_what_was_said_and_not_heard),
      TEST(the_ring_is_empty_for_a_position_it_does_not_hold),
  };
  return cmocka_run_group_tests_name("worker_page", tests, NULL, NULL);
}
