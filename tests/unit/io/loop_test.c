// The event loop: timers, polls and wake-ups, and closing any of them from anywhere.
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "io/loop.h"

#define LONG_MS 20000 // not waited for, unless a test fails

static int setup(void **state) {
  fl_error err;
  return fl_loop_open((fl_loop **)state, &err);
}

static int teardown(void **state) {
  fl_loop_close(*state);
  return 0;
}

static void count(void *ud) {
  ++*(int *)ud;
}

static void a_timer_fires_once(void **state) {
  int fired = 0;
  fl_timer *t = fl_timer_open(*state, count, &fired);
  fl_timer_set(t, 0);
  fl_loop_run(*state, LONG_MS);
  assert_int_equal(fired, 1);
  fl_loop_run(*state, 0);
  assert_int_equal(fired, 1);
  fl_timer_close(t);
}

static void a_turn_that_fired_a_timer_does_not_wait_for_more(void **state) {
  int fired = 0;
  fl_timer *t = fl_timer_open(*state, count, &fired);
  fl_timer_set(t, 0);
  int64_t before = fl_monotonic_ms();
  fl_loop_run(*state, LONG_MS);
  assert_true(fl_monotonic_ms() - before < LONG_MS / 2);
  assert_int_equal(fired, 1);
  before = fl_monotonic_ms();
  fl_loop_run(*state, 5); // and the next one waits again
  assert_true(fl_monotonic_ms() - before >= 4);
  fl_timer_close(t);
}

static void a_timer_can_be_called_off(void **state) {
  int fired = 0;
  fl_timer *t = fl_timer_open(*state, count, &fired);
  fl_timer_set(t, 0);
  fl_timer_set(t, -1);
  fl_loop_run(*state, 0);
  assert_int_equal(fired, 0);
  fl_timer_close(t);
}

static void running_without_waiting_returns_at_once(void **state) {
  int fired = 0;
  fl_timer *t = fl_timer_open(*state, count, &fired);
  fl_timer_set(t, LONG_MS);
  int64_t before = fl_monotonic_ms();
  fl_loop_run(*state, 0);
  assert_true(fl_monotonic_ms() - before < LONG_MS / 2);
  assert_int_equal(fired, 0);
  fl_timer_close(t);
}

static void a_wait_ends_when_its_time_is_over(void **state) {
  int64_t before = fl_monotonic_ms();
  fl_loop_run(*state, 5);
  assert_true(fl_monotonic_ms() - before >= 4);
}

static void a_heap_of_timers_stays_one_whatever_is_done_to_them(void **state) {
  enum { COUNT = 200 };
  fl_timer *timers[COUNT];
  int fired = 0;
  for (int i = 0; i < COUNT; i++) timers[i] = fl_timer_open(*state, count, &fired);
  // Set, set anew, called off and closed in a mixed-up order: the heap stays one.
  for (int i = 0; i < COUNT; i++) fl_timer_set(timers[i * 77 % COUNT], i * 37 % 5 ? LONG_MS : 0);
  for (int i = 0; i < COUNT; i += 3) fl_timer_set(timers[i], -1);
  for (int i = 0; i < COUNT; i += 4) fl_timer_set(timers[i], 0);
  int expected = 0;
  for (int i = 0; i < COUNT; i++) {
    int at = i * 77 % COUNT;
    expected += at % 4 == 0 || (at % 3 != 0 && i * 37 % 5 == 0);
  }
  fl_loop_run(*state, 0);
  assert_int_equal(fired, expected);
  for (int i = 0; i < COUNT; i++) fl_timer_close(timers[i * 51 % COUNT]);
  assert_int_equal(fl_loop_get_timeout_ms(*state), -1);
}

static void note_a(void *ud) {
  strcat(ud, "a");
}

static void note_b(void *ud) {
  strcat(ud, "b");
}

static void who_was_set_first_is_called_first(void **state) {
  char said[8] = "";
  fl_timer *a = fl_timer_open(*state, note_a, said), *b = fl_timer_open(*state, note_b, said);
  fl_timer_set(b, 1);
  fl_timer_set(a, 1);
  fl_loop_run(*state, LONG_MS), fl_loop_run(*state, 2);
  assert_string_equal(said, "ba");
  fl_timer_close(a), fl_timer_close(b);
}

static void what_is_due_at_once_is_done_in_portions(void **state) {
  fl_timer *timers[3];
  int fired = 0;
  for (int i = 0; i < 3; i++) {
    timers[i] = fl_timer_open(*state, count, &fired);
    fl_timer_set(timers[i], 0);
  }
  assert_true(fl_loop_run_until(*state, 0, 0)); // no time at all: one
  assert_int_equal(fired, 1);
  assert_int_equal(fl_loop_get_timeout_ms(*state), 0);
  assert_true(fl_loop_run_until(*state, 0, 0));
  assert_false(fl_loop_run_until(*state, 0, 0));
  assert_int_equal(fired, 3);
  for (int i = 0; i < 3; i++) fl_timer_close(timers[i]);
}

typedef struct again {
  fl_timer *timer;
  int count;
} again;

static void set_again(void *ud) {
  again *a = ud;
  a->count++;
  fl_timer_set(a->timer, 0);
}

static void who_sets_itself_at_once_has_its_next_turn_in_the_next_run(void **state) {
  again a = {0};
  a.timer = fl_timer_open(*state, set_again, &a);
  fl_timer_set(a.timer, 0);
  fl_loop_run(*state, 0);
  fl_loop_run(*state, 0);
  assert_int_equal(a.count, 2);
  fl_timer_close(a.timer);
}

static void a_loop_that_is_closed_neither_runs_nor_waits_for_its_timers(void **state) {
  fl_error err;
  fl_loop *loop;
  int fired = 0;
  (void)state;
  assert_int_equal(fl_loop_open(&loop, &err), FL_OK);
  fl_timer_set(fl_timer_open(loop, count, &fired), 0);
  fl_timer_set(fl_timer_open(loop, count, &fired), LONG_MS);
  fl_timer_open(loop, count, &fired);
  int64_t before = fl_monotonic_ms();
  fl_loop_close(loop);
  assert_true(fl_monotonic_ms() - before < LONG_MS / 2);
  assert_int_equal(fired, 0);
}

static void a_host_without_standard_descriptors_keeps_their_numbers(void **state) {
  (void)state;
  int status, pid = fork();
  if (pid == 0) {
    fl_error err;
    fl_loop *loop;
    close(0), close(1), close(2);
    int failed = fl_loop_open(&loop, &err) || fl_loop_get_fd(loop) <= 2;
    for (int fd = 0; fd <= 2; fd++) failed |= fcntl(fd, F_GETFD) != -1;
    fl_loop_close(loop);
    _exit(failed);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void *wake(void *ud) {
  fl_loop_wake(ud);
  return NULL;
}

static void another_thread_ends_a_wait(void **state) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, wake, *state), 0);
  fl_loop_run(*state, -1);
  pthread_join(thread, NULL);
}

static void a_host_is_told_to_wait_when_nothing_is_due(void **state) {
  fl_loop_run(*state, 0);
  assert_int_equal(fl_loop_get_timeout_ms(*state), -1);
  assert_true(fl_loop_get_fd(*state) >= 0);
  int fired = 0;
  fl_timer *t = fl_timer_open(*state, count, &fired);
  fl_timer_set(t, LONG_MS);
  int timeout = fl_loop_get_timeout_ms(*state);
  assert_true(timeout > 0 && timeout <= LONG_MS);
  fl_timer_close(t);
}

typedef struct watcher {
  fl_poll *poll;
  int readable, writable;
  bool close_it;
} watcher;

static void on_ready(void *ud, bool readable, bool writable) {
  watcher *w = ud;
  w->readable += readable;
  w->writable += writable;
  if (!w->close_it) return;
  fl_poll_close(w->poll);
  w->poll = NULL;
}

static void a_poll_says_what_a_descriptor_is_ready_for(void **state) {
  int ends[2];
  watcher w = {0};
  fl_error err;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_int_equal(fl_poll_open(*state, ends[0], on_ready, &w, &w.poll, &err), FL_OK);
  fl_poll_set(w.poll, true, false);
  fl_loop_run(*state, 0);
  assert_int_equal(w.readable + w.writable, 0);
  assert_int_equal(write(ends[1], "x", 1), 1);
  fl_loop_run(*state, LONG_MS);
  assert_int_equal(w.readable, 1);
  assert_int_equal(w.writable, 0);
  fl_poll_set(w.poll, false, true);
  fl_loop_run(*state, LONG_MS);
  assert_int_equal(w.writable, 1);
  fl_poll_set(w.poll, false, false);
  fl_loop_run(*state, 0);
  assert_int_equal(w.readable + w.writable, 2);
  fl_poll_close(w.poll);
  close(ends[0]);
  close(ends[1]);
}

static void a_poll_may_be_closed_in_its_own_call(void **state) {
  int ends[2];
  watcher w = {.close_it = true};
  fl_error err;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_int_equal(fl_poll_open(*state, ends[0], on_ready, &w, &w.poll, &err), FL_OK);
  fl_poll_set(w.poll, true, true);
  fl_loop_run(*state, LONG_MS);
  assert_null(w.poll);
  close(ends[0]);
  close(ends[1]);
  fl_loop_run(*state, 0);
}

static void a_descriptor_that_is_none_is_refused(void **state) {
  fl_error err;
  fl_poll *poll;
  assert_int_equal(fl_poll_open(*state, 12345, on_ready, NULL, &poll, &err), FL_E_SYSTEM);
  assert_null(poll);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_timer_fires_once, setup, teardown),
      cmocka_unit_test_setup_teardown(a_turn_that_fired_a_timer_does_not_wait_for_more, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(a_timer_can_be_called_off, setup, teardown),
      cmocka_unit_test_setup_teardown(running_without_waiting_returns_at_once, setup, teardown),
      cmocka_unit_test_setup_teardown(a_wait_ends_when_its_time_is_over, setup, teardown),
      cmocka_unit_test_setup_teardown(another_thread_ends_a_wait, setup, teardown),
      cmocka_unit_test_setup_teardown(a_host_is_told_to_wait_when_nothing_is_due, setup, teardown),
      cmocka_unit_test_setup_teardown(a_poll_says_what_a_descriptor_is_ready_for, setup, teardown),
      cmocka_unit_test_setup_teardown(a_poll_may_be_closed_in_its_own_call, setup, teardown),
      cmocka_unit_test_setup_teardown(a_descriptor_that_is_none_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(a_heap_of_timers_stays_one_whatever_is_done_to_them, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(who_was_set_first_is_called_first, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_due_at_once_is_done_in_portions, setup, teardown),
      cmocka_unit_test_setup_teardown(who_sets_itself_at_once_has_its_next_turn_in_the_next_run,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(a_loop_that_is_closed_neither_runs_nor_waits_for_its_timers,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(a_host_without_standard_descriptors_keeps_their_numbers,
                                      setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
