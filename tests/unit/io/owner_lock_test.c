// Who lives: the lock that says so, and who holds it after forks, closes and deaths.
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "io/owner_lock.h"
#include "io/supervise.h"
#include "io/tree.h"
#include "folder.h"

typedef struct place {
  char dir[64], id[FL_ENGINE_ID_SIZE], owner[160];
  fl_owner_lock *lock;
} place;

static fl_error err;
static int life[2]; // a pipe that only the test itself can write to: children end with it

static void live_on(void) {
  char none;
  close(life[1]);
  (void)!read(life[0], &none, 1);
  _exit(0);
}

static int open_place(void **state) {
  place *p = calloc(1, sizeof *p);
  *state = p;
  return make_test_folder("owner", p->dir, sizeof p->dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static int close_place(void **state) {
  place *p = *state;
  fl_owner_lock_close(p->lock);
  nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(p);
  return 0;
}

// As api/engine.c names an owner.
static void name_owner(place *p) {
  char identity[96];
  fl_process_identity((int)getpid(), identity);
  snprintf(p->owner, sizeof p->owner, "%s#%s", identity, p->id);
}

static void take(place *p) {
  if (fl_owner_lock_open(p->dir, p->id, &p->lock, &err)) fail_msg("%s", err.message);
  name_owner(p);
}

static void an_owner_lives_until_its_lock_is_closed(void **state) {
  place *p = *state, other = {0};
  take(p);
  assert_true(fl_owner_lives(p->dir, p->owner));
  snprintf(other.dir, sizeof other.dir, "%s", p->dir);
  take(&other);
  assert_string_not_equal(p->id, other.id);
  fl_owner_lock_close(other.lock);
  // The process of both lives: it is the engine that counts.
  assert_false(fl_owner_lives(p->dir, other.owner));
  assert_true(fl_owner_lives(p->dir, p->owner));
}

static void who_holds_no_lock_lives_as_long_as_its_process(void **state) {
  place *p = *state;
  name_owner(p);
  assert_false(fl_owner_lives(p->dir, ""));
  snprintf(p->id, sizeof p->id, "00000000000000");
  name_owner(p);
  assert_false(fl_owner_lives(p->dir, p->owner)); // no engine of this version was ever here
  snprintf(p->id, sizeof p->id, "0123456789ab");  // one of a version without locks
  name_owner(p);
  assert_true(fl_owner_lives(p->dir, p->owner));
  p->owner[0] ^= 1; // another boot
  assert_false(fl_owner_lives(p->dir, p->owner));
}

static void a_lock_outlives_the_close_of_another_descriptor(void **state) {
  place *p = *state;
  char path[96];
  take(p);
  snprintf(path, sizeof path, "%s/ctl/owners", p->dir);
  close(open(path, O_RDWR | O_CLOEXEC));
  assert_true(fl_owner_lives(p->dir, p->owner));
}

static void wait_for(int pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

// A process that takes a lock and tells it, then waits; `twin`: with a child of its own.
static int start_owner(place *p, bool twin, size_t memory, int *twin_pid) {
  int out[2];
  assert_int_equal(pipe(out), 0);
  int pid = fork();
  if (pid == 0) {
    take(p);
    if (memory) {
      char *all = mmap(NULL, memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      for (size_t i = 0; i < memory; i += 4096) all[i] = 1;
    }
    if (!twin || fork() == 0) { // the child of both, once it runs
      *twin_pid = getpid();
      (void)!write(out[1], p, sizeof *p);
      (void)!write(out[1], twin_pid, sizeof *twin_pid);
    }
    live_on();
  }
  assert_int_equal(read(out[0], p, sizeof *p), sizeof *p);
  assert_int_equal(read(out[0], twin_pid, sizeof *twin_pid), sizeof *twin_pid);
  p->lock = NULL;
  close(out[0]), close(out[1]);
  return pid;
}

static void a_forked_child_holds_nothing_for_its_dead_parent(void **state) {
  place *p = *state;
  int twin, pid = start_owner(p, true, 0, &twin);
  assert_true(fl_owner_lives(p->dir, p->owner));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  assert_int_equal(kill(twin, 0), 0);
  assert_false(fl_owner_lives(p->dir, p->owner));
  kill(twin, SIGKILL);
}

static void a_forked_child_that_closes_takes_nothing_from_its_parent(void **state) {
  place *p = *state;
  take(p);
  int pid = fork();
  if (pid == 0) {
    int fd = open("/dev/null", O_RDWR); // under the number that was the lock's
    fl_owner_lock_close(p->lock);
    _exit(fcntl(fd, F_GETFD) < 0 || !fl_owner_lives(p->dir, p->owner));
  }
  wait_for(pid);
  assert_true(fl_owner_lives(p->dir, p->owner));
}

static void an_owner_that_is_stopped_lives(void **state) {
  place *p = *state;
  int none, pid = start_owner(p, false, 0, &none);
  kill(pid, SIGSTOP);
  waitpid(pid, NULL, WUNTRACED);
  assert_true(fl_owner_lives(p->dir, p->owner));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  assert_false(fl_owner_lives(p->dir, p->owner));
}

static bool is_held(const place *p) {
  char path[96];
  struct flock lock = {.l_type = F_WRLCK, .l_start = (off_t)strtoull(p->id, NULL, 16), .l_len = 1};
  snprintf(path, sizeof path, "%s/ctl/owners", p->dir);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
  close(fd);
  return lock.l_type != F_UNLCK;
}

static void whom_sigkill_has_reached_is_dead_before_the_kernel_lets_go(void **state) {
  place *p = *state;
  bool early = false;
  // A few hundred megabytes take milliseconds to be freed, and the lock goes after them.
  for (int i = 0; i < 20 && !early; i++) {
    int none, pid = start_owner(p, false, (size_t)256 << 20, &none);
    kill(pid, SIGKILL);
    while (fl_owner_lives(p->dir, p->owner)) continue;
    early = is_held(p);
    waitpid(pid, NULL, 0);
    assert_false(fl_owner_lives(p->dir, p->owner));
  }
  assert_true(early);
}

static void *wait_for_ever(void *arg) {
  place *p = arg;
  (void)!write(*(int *)p->lock, p, sizeof *p);
  live_on();
  return NULL;
}

static void an_owner_whose_first_thread_has_ended_lives(void **state) {
  place *p = *state;
  int out[2];
  fl_proc proc;
  assert_int_equal(pipe(out), 0);
  int pid = fork();
  if (pid == 0) {
    pthread_t thread;
    take(p);
    p->lock = (void *)&out[1]; // where the thread tells it
    pthread_create(&thread, NULL, wait_for_ever, p);
    pthread_exit(NULL);
  }
  assert_int_equal(read(out[0], p, sizeof *p), sizeof *p);
  p->lock = NULL;
  while (fl_proc_read(pid, &proc) && proc.state != 'Z') continue;
  assert_false(fl_proc_is_dying(pid, proc.start_ticks));
  assert_true(fl_owner_lives(p->dir, p->owner));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  assert_false(fl_owner_lives(p->dir, p->owner));
  close(out[0]), close(out[1]);
}

static void what_cannot_be_asked_for_is_left_alone(void **state) {
  place *p = *state;
  char path[96];
  take(p);
  fl_owner_lock_close(p->lock);
  p->lock = NULL;
  snprintf(path, sizeof path, "%s/ctl/owners", p->dir);
  remove(path);
  assert_false(fl_owner_lives(p->dir, p->owner));
  assert_int_equal(symlink("owners", path), 0); // ELOOP: also root cannot open it
  assert_true(fl_owner_lives(p->dir, p->owner));
  assert_int_equal(fl_owner_lock_open(p->dir, p->id, &p->lock, &err), FL_E_SYSTEM);
  assert_non_null(strstr(err.message, "ctl/owners"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
  const struct CMUnitTest tests[] = {
      TEST(an_owner_lives_until_its_lock_is_closed),
      TEST(who_holds_no_lock_lives_as_long_as_its_process),
      TEST(a_lock_outlives_the_close_of_another_descriptor),
      TEST(a_forked_child_holds_nothing_for_its_dead_parent),
      TEST(a_forked_child_that_closes_takes_nothing_from_its_parent),
      TEST(an_owner_that_is_stopped_lives),
      TEST(whom_sigkill_has_reached_is_dead_before_the_kernel_lets_go),
      TEST(an_owner_whose_first_thread_has_ended_lives),
      TEST(what_cannot_be_asked_for_is_left_alone),
  };
  if (pipe2(life, O_CLOEXEC)) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
