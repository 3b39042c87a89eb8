// The library's own thread: order, where what is called, and what is waited for.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "io/thread.h"

typedef struct piece {
  int number;
  pthread_t worked, told;
  bool blocked; // all signals, where it worked
  struct place *place;
} piece;

typedef struct place {
  fl_thread *thread;
  atomic_int wakes;
  int order[8], count;
  piece *more; // given by the end of the first
} place;

static void wake(void *ud) {
  place *p = ud;
  atomic_fetch_add(&p->wakes, 1);
}

static void work(void *arg) {
  piece *w = arg;
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  w->worked = pthread_self();
  w->blocked = sigismember(&mask, SIGINT) && sigismember(&mask, SIGCHLD);
}

static void done(void *arg) {
  piece *w = arg;
  w->told = pthread_self();
  w->place->order[w->place->count++] = w->number;
  piece *more = w->place->more;
  w->place->more = NULL;
  if (more) fl_thread_do(w->place->thread, work, done, more);
}

static void work_is_done_apart_and_told_here_in_order(void **state) {
  (void)state;
  fl_error err;
  place p = {0};
  piece pieces[4];
  assert_int_equal(fl_thread_open(wake, &p, &p.thread, &err), FL_OK);
  for (int i = 0; i < 4; i++) pieces[i] = (piece){.number = i, .place = &p};
  p.more = &pieces[3];
  for (int i = 0; i < 3; i++) fl_thread_do(p.thread, work, done, &pieces[i]);
  fl_thread_wait(p.thread);
  assert_int_equal(p.count, 4);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(p.order[i], i);
    assert_true(pthread_equal(pieces[i].told, pthread_self()));
    assert_false(pthread_equal(pieces[i].worked, pthread_self()));
    assert_true(pieces[i].blocked);
  }
  assert_int_equal(p.wakes, 4);
  assert_false(fl_thread_take_done(p.thread));
  fl_thread_close(p.thread);
}

static void close_does_what_is_left(void **state) {
  (void)state;
  fl_error err;
  place p = {0};
  piece last = {.number = 7, .place = &p};
  assert_int_equal(fl_thread_open(wake, &p, &p.thread, &err), FL_OK);
  fl_thread_do(p.thread, work, done, &last);
  fl_thread_close(p.thread);
  assert_int_equal(p.count, 1);
  assert_int_equal(p.order[0], 7);
  fl_thread_close(NULL);
}

static void a_forked_child_only_frees(void **state) {
  (void)state;
  fl_error err;
  place p = {0};
  assert_int_equal(fl_thread_open(wake, &p, &p.thread, &err), FL_OK);
  pid_t pid = fork();
  if (!pid) {
    alarm(20); // waiting for a thread that is not there would never end
    fl_thread_close(p.thread);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  fl_thread_close(p.thread);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(work_is_done_apart_and_told_here_in_order),
      cmocka_unit_test(close_does_what_is_left),
      cmocka_unit_test(a_forked_child_only_frees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
