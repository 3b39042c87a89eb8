// Trees of processes and their end: nothing of a child outlives what is told about it.
#include "fixture.h"

static fl_spawn spawn_misbehaving(fixture *f, uint32_t node, const char *how, char path[160]) {
  static const char *argv[16][5]; // borrowed until it is sent
  static unsigned next;
  const char **words = argv[next++ % 16];
  snprintf(path, 160, "%s/%s.pid", f->dir, how);
  unlink(path);
  words[0] = self_path;
  words[1] = "--misbehave";
  words[2] = how;
  words[3] = path;
  words[4] = NULL;
  return spawn_of(node, words);
}

static bool is_gone(int pid) {
  fl_proc p;
  return !fl_proc_read(pid, &p);
}

// Whatever it does to hide, with a worker living beside it that might have been its parent, too.
static void what_a_child_leaves_behind_is_ended_before_it_is_told(void **state) {
  fixture *f = *state;
  const char *sleeper[] = {"/bin/sleep", "100", NULL};
  fl_spawn other = spawn_of(99, sleeper);
  fl_supervisor_spawn(f->s, &other);
  const char *const rows[] = {"_", "s", "d", "sd", "sde", "sdec", "c", "p", "sdp"};
  for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char path[160], name[32];
    fl_spawn s = spawn_misbehaving(f, i, rows[i], path);
    const fl_child_exit *e = run_spawn(f, &s);
    snprintf(name, sizeof name, "%s.pid", rows[i]);
    int pid = read_number(f, name);
    if (!is_gone(pid)) fail_msg("'%s' left process %d", rows[i], pid);
    assert_int_equal(e->exit_code, 0);
    assert_int_equal(e->signal, 0);
    // Who forked twice may still be on its way out when the second one is there.
    assert_in_range(e->left_behind, 1, strchr(rows[i], 'd') ? 2 : 1);
    assert_false(e->cancelled || e->timed_out || e->unkillable);
  }
  fl_supervisor_kill(f->s, &other.id, 0);
  assert_true(wait_exits(f, sizeof rows / sizeof rows[0] + 1));
}

static void what_ignores_term_is_killed_after_the_grace(void **state) {
  fixture *f = *state;
  const char *const rows[] = {"t", "sdte", "pt"};
  for (uint32_t i = 0; i < 3; i++) {
    char path[160], name[32];
    fl_spawn s = spawn_misbehaving(f, i, rows[i], path);
    s.grace_ms = 30;
    const fl_child_exit *e = run_spawn(f, &s);
    snprintf(name, sizeof name, "%s.pid", rows[i]);
    assert_true(is_gone(read_number(f, name)));
    assert_int_equal(e->exit_code, 0);
    assert_in_range(e->left_behind, 1, strchr(rows[i], 'd') ? 2 : 1);
  }
}

static void a_child_without_children_leaves_none(void **state) {
  fixture *f = *state;
  assert_int_equal(run_shell(f, "sleep 0.01 | cat; true")->left_behind, 0);
}

static void a_timeout_ends_who_ignores_term(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.timeout_ms = 1000; // it has to set its trap before
  s.grace_ms = 50;
  int64_t before = fl_monotonic_ms();
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->signal, SIGKILL);
  assert_int_equal(e->exit_code, -1);
  assert_true(e->timed_out);
  assert_false(e->cancelled);
  assert_true(fl_monotonic_ms() - before >= 1045);
}

static void a_timeout_leaves_time_to_clean_up(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c",
                        "trap 'echo cleaned; exit 7' TERM; while :; do sleep 0.01; done", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.timeout_ms = 1000; // it has to set its trap before
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->exit_code, 7);
  assert_true(e->timed_out);
  assert_non_null(strstr(e->tail, "cleaned\n"));
}

static void a_child_that_ends_in_time_is_not_timed_out(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/true", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.timeout_ms = 20000;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_false(e->timed_out);
  assert_false(e->cancelled);
  assert_int_equal(e->exit_code, 0);
}

static void a_stopped_child_sees_the_term(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c",
                        "trap 'exit 9' TERM; kill -STOP $$; while :; do sleep 0.01; done", NULL};
  fl_spawn s = spawn_of(1, argv);
  fl_supervisor_spawn(f->s, &s);
  assert_true(wait_started(f, 1));
  fl_proc p;
  for (int i = 0; i < WAIT_MS && fl_proc_read(f->started_pid[0], &p) && p.state != 'T'; i++) nap(1);
  fl_supervisor_kill(f->s, &s.id, 10000);
  assert_true(wait_exits(f, 1));
  assert_int_equal(f->exits[0].e.exit_code, 9);
  assert_true(f->exits[0].e.cancelled);
}

// The whole tree, wherever it hides, also from an end that is asked for.
static void a_kill_reaches_the_whole_tree(void **state) {
  fixture *f = *state;
  const char *const rows[] = {"s", "sd", "sdte", "sdtec"};
  for (uint32_t i = 0; i < 4; i++) {
    char text[4400];
    snprintf(text, sizeof text,
             "trap : TERM; %s --misbehave %s %s/k%u.pid & while :; do sleep 1; done", self_path,
             rows[i], f->dir, i);
    const char *argv[] = {"/bin/sh", "-c", text, NULL};
    char name[32];
    fl_spawn s = spawn_of(i, argv);
    size_t before = f->exit_count;
    fl_supervisor_spawn(f->s, &s);
    fl_supervisor_flush(f->s);
    snprintf(name, sizeof name, "k%u.pid", i);
    int pid = read_number(f, name);
    fl_supervisor_kill(f->s, &s.id, 20);
    assert_true(wait_exits(f, before + 1));
    const fl_child_exit *e = &f->exits[before].e;
    assert_true(is_gone(pid));
    assert_true(e->cancelled);
    assert_int_equal(e->signal, SIGKILL);
  }
}

static void a_second_kill_shortens_the_grace(void **state) {
  fixture *f = *state;
  char text[200];
  snprintf(text, sizeof text, "trap '' TERM; echo $$ > %s/s.pid; while :; do sleep 1; done",
           f->dir);
  const char *argv[] = {"/bin/sh", "-c", text, NULL};
  fl_spawn s = spawn_of(1, argv);
  fl_supervisor_spawn(f->s, &s);
  fl_supervisor_flush(f->s);
  read_number(f, "s.pid");
  fl_supervisor_kill(f->s, &s.id, 60000);
  fl_supervisor_kill(f->s, &s.id, 70000);
  fl_supervisor_kill(f->s, &s.id, 10);
  assert_true(wait_exits(f, 1));
  assert_int_equal(f->exits[0].e.signal, SIGKILL);
}

static void a_fork_bomb_is_ended(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c",
                        "b() { if [ $1 -gt 0 ]; then b $(($1-1)) & b $(($1-1)) & fi; wait; "
                        "sleep 100; }; b 6",
                        NULL};
  fl_spawn s = spawn_of(1, argv);
  s.grace_ms = 0;
  fl_supervisor_spawn(f->s, &s);
  assert_true(wait_started(f, 1));
  fl_supervisor_kill(f->s, &s.id, 0);
  assert_true(wait_exits(f, 1));
  assert_int_equal(count_processes(f), 0);
}

static void orphans_of_a_living_child_live_on(void **state) {
  fixture *f = *state;
  char text[4400];
  snprintf(text, sizeof text, "%s --misbehave sd %s/o.pid; while :; do sleep 0.01; done", self_path,
           f->dir);
  const char *argv[] = {"/bin/sh", "-c", text, NULL};
  fl_spawn s = spawn_of(77, argv);
  fl_supervisor_spawn(f->s, &s);
  fl_supervisor_flush(f->s);
  int pid = read_number(f, "o.pid");
  size_t before = f->exit_count;
  run_shell(f, "true"); // makes the supervisor look at its children
  assert_false(is_gone(pid));
  fl_supervisor_kill(f->s, &s.id, 10000);
  assert_true(wait_exits(f, before + 2));
  assert_true(is_gone(pid));
}

// ------------------------------------------------------------------------------------- unkillable

static const char *freezer(const char *file) {
  static char path[128];
  snprintf(path, sizeof path, "/sys/fs/cgroup/freezer/flowlua-test-%d%s", (int)getpid(), file);
  return path;
}

static bool freezer_write(const char *file, const char *text) {
  int fd = open(freezer(file), O_WRONLY);
  bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) close(fd);
  return done;
}

// Nothing but a frozen process (of cgroups before the second version) is deaf to SIGKILL at will.
static void freeze(const char *pid) {
  if (mkdir(freezer(""), 0700) && errno != EEXIST) {
    print_message("skipped: no freezer cgroup can be made here\n");
    skip();
  }
  assert_true(freezer_write("/cgroup.procs", pid) && freezer_write("/freezer.state", "FROZEN"));
}

static void thaw(void) {
  freezer_write("/freezer.state", "THAWED");
  for (int i = 0; i < WAIT_MS && rmdir(freezer("")); i++) nap(1);
}

static void wait_alarms(fixture *f, size_t count) {
  int64_t until = fl_monotonic_ms() + WAIT_MS;
  while (f->alarm_count < count && fl_monotonic_ms() < until) fl_loop_run(f->loop, 100);
  assert_int_equal(f->alarm_count, count);
}

// Whether its root has ended or not, and with the slot that it holds.
static void what_cannot_be_ended_raises_an_alarm_and_is_not_over(void **state) {
  fixture *f = *state;
  for (uint32_t root = 0; root < 2; root++) {
    char text[300], pid[32];
    const char *next[] = {"/bin/true", NULL}, *argv[] = {"/bin/sh", "-c", text, NULL};
    snprintf(text, sizeof text,
             "sleep 100 & echo $! > f%u.pid; while [ ! -e go%u ]; do sleep 0.005; done; exit 3",
             root, root);
    fl_spawn spawn = spawn_of(2 * root, argv), behind = spawn_of(2 * root + 1, next);
    spawn.cwd = f->dir;
    spawn.grace_ms = 10;
    spawn.queue = behind.queue = true;
    f->alarm_count = 0;
    forget_exits(f);
    fl_supervisor_set_alarm(f->s, 100);
    fl_supervisor_spawn(f->s, &spawn);
    fl_supervisor_spawn(f->s, &behind);
    assert_true(wait_started(f, 1));
    snprintf(pid, sizeof pid, "f%u.pid", root);
    int frozen = read_number(f, pid);
    snprintf(pid, sizeof pid, "%d", root ? f->started_pid[0] : frozen);
    freeze(pid);
    snprintf(text, sizeof text, "%s/go%u", f->dir, root);
    fclose(fopen(text, "w"));
    if (root) fl_supervisor_kill(f->s, &spawn.id, 10);
    fl_supervisor_flush(f->s);
    wait_alarms(f, 1);
    assert_non_null(strstr(f->alarm_text, pid));
    assert_int_equal(f->exit_count, 0);
    thaw();
    assert_true(wait_exits(f, 2));
    assert_true(wait_pid_dead(frozen)); // the KILL was waiting for it
    const fl_child_exit *e = get_exit(f, 2 * root);
    assert_int_equal(e->exit_code, root ? -1 : 3);
    assert_int_equal(e->signal, root ? SIGKILL : 0);
    assert_true(e->unkillable);
    assert_int_equal(e->cancelled, root);
    assert_int_equal(f->alarm_count, 1);
  }
}

static bool is_zombie(int pid) {
  fl_proc p;
  return fl_proc_read(pid, &p) && p.state == 'Z';
}

// It has ended by itself, whether its supervisor has seen that yet or not.
static void what_has_ended_is_neither_cancelled_nor_timed_out(void **state) {
  fixture *f = *state;
  for (int timed = 0; timed < 2; timed++) {
    const char *argv[] = {"/bin/sleep", "0.3", NULL};
    fl_spawn spawn = spawn_of((uint32_t)timed + 1, argv);
    if (timed) spawn.timeout_ms = 350;
    fl_supervisor_spawn(f->s, &spawn);
    assert_true(wait_started(f, (size_t)timed + 1));
    kill(fl_supervisor_get_pid(f->s), SIGSTOP);
    for (int i = 0; i < WAIT_MS && !is_zombie(f->started_pid[timed]); i++) nap(1);
    if (timed)
      nap(400);
    else
      fl_supervisor_kill(f->s, &spawn.id, 1000);
    fl_supervisor_flush(f->s);
    kill(fl_supervisor_get_pid(f->s), SIGCONT);
    assert_true(wait_exits(f, (size_t)timed + 1));
    const fl_child_exit *e = &f->exits[timed].e;
    assert_int_equal(e->exit_code, 0);
    assert_false(e->cancelled || e->timed_out);
  }
}

// The alarm is told again to the engine that comes after.
static void an_alarm_is_told_to_the_next_engine(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sleep", "100", NULL};
  char pid[32];
  fl_spawn spawn = spawn_of(1, argv);
  fl_supervisor_set_alarm(f->s, 50);
  fl_supervisor_spawn(f->s, &spawn);
  assert_true(wait_started(f, 1));
  snprintf(pid, sizeof pid, "%d", f->started_pid[0]);
  freeze(pid);
  fl_supervisor_kill(f->s, &spawn.id, 0);
  fl_supervisor_flush(f->s);
  wait_alarms(f, 1);
  fl_supervisor *other = attach_to(f, f->dir, f->id, &spawn.id, 1);
  assert_int_equal(f->fates[0], FL_FATE_RUNNING);
  wait_alarms(f, 2);
  thaw();
  // To the one that it was taken, to the other its end; which is heard first is chance.
  assert_true(wait_exits(f, 2));
  size_t taken = f->exits[0].e.end == FL_CHILD_LOST ? 0 : 1;
  assert_int_equal(f->exits[taken].e.end, FL_CHILD_LOST);
  assert_int_equal(f->exits[1 - taken].e.signal, SIGKILL);
  fl_supervisor_close(other, false);
}

// Nothing is told to be lost while it may still be there.
static void a_dead_supervisors_children_are_lost_when_they_are_gone(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sleep", "100", NULL};
  char pid[32];
  fl_spawn spawn = spawn_of(1, argv);
  fl_supervisor_spawn(f->s, &spawn);
  assert_true(wait_started(f, 1));
  snprintf(pid, sizeof pid, "%d", f->started_pid[0]);
  freeze(pid);
  kill(fl_supervisor_get_pid(f->s), SIGKILL);
  wait_alarms(f, 1);
  assert_int_equal(f->exit_count, 0);
  thaw();
  assert_true(wait_exits(f, 1));
  assert_int_equal(f->exits[0].e.end, FL_CHILD_LOST);
  assert_true(wait_pid_dead(f->started_pid[0]));
}

static bool is_zombie_of(void *ud, const fl_proc *p) {
  return p->state == 'Z' && p->ppid == *(int *)ud;
}

static void no_zombies_stay(void **state) {
  fixture *f = *state;
  int pid = fl_supervisor_get_pid(f->s);
  fl_supervisor_set_slots(f->s, 8);
  const char *argv[] = {"/bin/sh", "-c", "(true & true &) ; true", NULL};
  for (uint32_t i = 0; i < 100; i++) {
    fl_spawn s = spawn_of(i, argv);
    s.queue = true;
    fl_supervisor_spawn(f->s, &s);
  }
  assert_true(wait_exits(f, 100));
  fl_proc_set set = {0};
  for (int i = 0; i < WAIT_MS; i++, nap(1)) {
    set.count = 0;
    fl_tree_scan(is_zombie_of, &pid, &set);
    if (!set.count) break;
  }
  assert_int_equal(set.count, 0);
  fl_proc_set_deinit(&set);
}

// ------------------------------------------------------------------------------------- the queue

static void the_queue_goes_by_priority_then_arrival(void **state) {
  fixture *f = *state;
  const int32_t priorities[] = {0, 1, 5, 1, -3, 5, 0};
  const uint32_t expected[] = {2, 5, 1, 3, 0, 6, 4};
  const char *argv[] = {"/bin/true", NULL}, *first[] = {"/bin/sleep", "0.05", NULL};
  fl_spawn s = spawn_of(100, first);
  s.queue = true;
  s.priority = 100;
  fl_supervisor_spawn(f->s, &s); // holds the only slot until the rest is there
  for (uint32_t i = 0; i < 7; i++) {
    s = spawn_of(i, argv);
    s.queue = true;
    s.priority = priorities[i];
    fl_supervisor_spawn(f->s, &s);
  }
  assert_true(wait_exits(f, 8));
  assert_int_equal(f->exits[0].e.id.node, 100);
  for (int i = 0; i < 7; i++) assert_int_equal(f->exits[i + 1].e.id.node, expected[i]);
}

static void slots_bound_what_is_queued_and_nothing_else(void **state) {
  fixture *f = *state;
  char text[300];
  // Each says how many are there; none may see more than two.
  snprintf(text, sizeof text, "touch %s/r.$$; ls %s | grep -c '^r\\.'; sleep 0.02; rm %s/r.$$",
           f->dir, f->dir, f->dir);
  const char *argv[] = {"/bin/sh", "-c", text, NULL}, *free_one[] = {"/bin/true", NULL};
  fl_supervisor_set_slots(f->s, 2);
  for (uint32_t i = 0; i < 10; i++) {
    fl_spawn s = spawn_of(i, argv);
    s.queue = true;
    fl_supervisor_spawn(f->s, &s);
  }
  fl_spawn s = spawn_of(50, free_one);
  fl_supervisor_spawn(f->s, &s); // does not queue
  assert_true(wait_exits(f, 11));
  assert_int_not_equal(f->exits[10].e.id.node, 50);
  for (uint32_t i = 0; i < 10; i++) {
    int seen = atoi(get_exit(f, i)->tail);
    assert_true(seen == 1 || seen == 2);
  }
}

static void what_waits_can_be_taken_back(void **state) {
  fixture *f = *state;
  const char *sleeper[] = {"/bin/sleep", "100", NULL}, *argv[] = {"/bin/true", NULL};
  fl_spawn s = spawn_of(0, sleeper);
  s.queue = true;
  fl_supervisor_spawn(f->s, &s);
  assert_true(wait_started(f, 1));
  for (uint32_t i = 1; i <= 4; i++) {
    s = spawn_of(i, argv);
    s.queue = true;
    if (i == 4) snprintf(s.id.run, sizeof s.id.run, "run2");
    fl_supervisor_spawn(f->s, &s);
  }
  fl_child_id one = {.run = "run1", .node = 2, .number = 1};
  fl_supervisor_kill(f->s, &one, 1000);
  assert_true(wait_exits(f, 1));
  assert_int_equal(get_exit(f, 2)->end, FL_CHILD_REVOKED);
  fl_supervisor_revoke(f->s, "run1");
  assert_true(wait_exits(f, 3));
  assert_int_equal(get_exit(f, 1)->end, FL_CHILD_REVOKED);
  assert_int_equal(get_exit(f, 3)->end, FL_CHILD_REVOKED);
  fl_supervisor_revoke(f->s, NULL);
  assert_true(wait_exits(f, 4));
  assert_int_equal(get_exit(f, 4)->end, FL_CHILD_REVOKED);
  one.node = 0;
  fl_supervisor_kill(f->s, &one, 1000);
  assert_true(wait_exits(f, 5));
  assert_int_equal(get_exit(f, 0)->end, FL_CHILD_EXITED); // it ran
}

static void a_freed_slot_is_filled_without_us(void **state) {
  fixture *f = *state;
  char text[300];
  fl_loop_run(f->loop, 0);
  for (uint32_t i = 0; i < 5; i++) {
    snprintf(text, sizeof text, "echo x >> %s/count", f->dir);
    const char *argv[] = {"/bin/sh", "-c", text, NULL};
    fl_spawn s = spawn_of(i, argv);
    s.queue = true;
    fl_supervisor_spawn(f->s, &s);
  }
  fl_supervisor_flush(f->s);
  struct stat st = {0};
  snprintf(text, sizeof text, "%s/count", f->dir);
  for (int i = 0; i < WAIT_MS && (stat(text, &st) || st.st_size < 10); i++) nap(1); // no loop runs
  assert_int_equal(st.st_size, 10);
  assert_true(wait_exits(f, 5));
}

int main(int argc, char **argv) {
  int rc = be_helper(argc, argv);
  if (rc >= 0) return rc;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(what_a_child_leaves_behind_is_ended_before_it_is_told),
      TEST(what_ignores_term_is_killed_after_the_grace),
      TEST(a_child_without_children_leaves_none),
      TEST(a_timeout_ends_who_ignores_term),
      TEST(a_timeout_leaves_time_to_clean_up),
      TEST(a_child_that_ends_in_time_is_not_timed_out),
      TEST(a_stopped_child_sees_the_term),
      TEST(a_kill_reaches_the_whole_tree),
      TEST(a_second_kill_shortens_the_grace),
      TEST(a_fork_bomb_is_ended),
      TEST(orphans_of_a_living_child_live_on),
      TEST(what_cannot_be_ended_raises_an_alarm_and_is_not_over),
      TEST(an_alarm_is_told_to_the_next_engine),
      TEST(a_dead_supervisors_children_are_lost_when_they_are_gone),
      TEST(no_zombies_stay),
      TEST(what_has_ended_is_neither_cancelled_nor_timed_out),
      TEST(the_queue_goes_by_priority_then_arrival),
      TEST(slots_bound_what_is_queued_and_nothing_else),
      TEST(what_waits_can_be_taken_back),
      TEST(a_freed_slot_is_filled_without_us),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
