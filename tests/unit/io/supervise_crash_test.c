// Crashes: of the engine, of the supervisor, of both. No exit is lost or invented, nothing is left.
#include "fixture.h"
#include "io/journal.h"

#define SLEEPER "while [ ! -e go ]; do sleep 0.005; done; "
// Lives until its engine is dead: one that ends before it is told to run is not told of at all.
#define SURVIVOR "while [ ! -e crashed ]; do sleep 0.005; done; "

// What an engine in a process of its own asked for before it dies.
typedef struct victim {
  int pid;
  char id[40], identity[96];
} victim;

static fl_spawn queued(uint32_t node, const char *const *argv, const char *cwd) {
  fl_spawn s = spawn_of(node, argv);
  s.queue = true;
  s.cwd = cwd;
  return s;
}

// Starts another engine, which lets `ask` spawn, waits until `count` children run, and hangs.
static victim start_victim(fixture *f, void (*ask)(fixture *f), size_t running) {
  victim v;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  v.pid = fork();
  if (v.pid == 0) {
    static fixture other; // nothing of the parent's loop or supervisor is touched
    fl_error err;
    close(ready[0]);
    snprintf(other.dir, sizeof other.dir, "%s", f->dir);
    if (fl_loop_open(&other.loop, &err)) _exit(1);
    start_supervisor(&other);
    ask(&other);
    if (!wait_started(&other, running)) _exit(1);
    snprintf(v.id, sizeof v.id, "%s", other.id);
    snprintf(v.identity, sizeof v.identity, "%s", other.identity);
    if (write(ready[1], &v, sizeof v) != sizeof v) _exit(1);
    for (;;) pause();
  }
  int pid = v.pid;
  close(ready[1]);
  assert_int_equal(read(ready[0], &v, sizeof v), sizeof v);
  close(ready[0]);
  v.pid = pid;
  return v;
}

static void touch(fixture *f, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", f->dir, name);
  fclose(fopen(path, "w"));
}

static void crash(fixture *f, victim *v) {
  kill(v->pid, SIGKILL);
  waitpid(v->pid, NULL, 0);
  touch(f, "crashed");
}

static int identity_pid(const char *identity) {
  return atoi(strchr(identity, '/') + 1);
}

static fl_child_id id_of(uint32_t node) {
  fl_child_id id = {.run = "run1", .node = node, .number = 1};
  return id;
}

static fl_supervisor *attach(fixture *f, const char *id, const fl_child_id *ids, fl_fate *fates,
                             size_t count) {
  fl_supervisor *s = attach_to(f, f->dir, id, ids, count);
  memcpy(fates, f->fates, count * sizeof *fates);
  return s;
}

static bool exists(fixture *f, const char *id, const char *ending) {
  char path[160];
  snprintf(path, sizeof path, "%s/sup/%s.%s", f->dir, id, ending);
  return access(path, F_OK) == 0;
}

// 0 runs on, 1 ends meanwhile, 2 and 3 wait in the queue
static void ask_several(fixture *f) {
  const char *waits[] = {"/bin/sh", "-c", "echo early; " SLEEPER "echo late; exit 42", NULL};
  const char *ends[] = {
      "/bin/sh", "-c", SURVIVOR "echo out; echo r=1 > $FLOWLUA_OUTPUT; touch ended; exit 17", NULL};
  fl_spawn s = queued(0, waits, f->dir);
  fl_supervisor_set_slots(f->s, 1);
  fl_supervisor_spawn(f->s, &s);
  s = spawn_of(1, ends);
  s.cwd = f->dir;
  s.capture = true;
  fl_supervisor_spawn(f->s, &s);
  for (uint32_t i = 2; i <= 3; i++) {
    s = queued(i, ends, f->dir);
    fl_supervisor_spawn(f->s, &s);
  }
}

static void wait_for_file(fixture *f, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", f->dir, name);
  for (int i = 0; i < WAIT_MS && access(path, F_OK); i++) nap(1);
  assert_int_equal(access(path, F_OK), 0);
}

static void a_killed_engines_children_are_adopted_and_harvested(void **state) {
  fixture *f = *state;
  const fl_child_id ids[] = {id_of(0), id_of(1), id_of(2), id_of(3)};
  fl_fate fates[4];
  victim v = start_victim(f, ask_several, 2);
  crash(f, &v);
  wait_for_file(f, "ended");
  for (int i = 0; i < WAIT_MS; i++, nap(1)) { // until it is in the journal
    fl_journal_view view;
    fl_error err;
    assert_int_equal(fl_journal_load(f->dir, v.id, &view, &err), FL_OK);
    const fl_journal_child *c = fl_journal_find(&view, &ids[1]);
    bool ended = c && c->ended;
    fl_journal_unload(&view);
    if (ended) break;
  }
  fl_supervisor *s = attach(f, v.id, ids, fates, 4);
  assert_non_null(s);
  assert_int_equal(fates[0], FL_FATE_RUNNING);
  assert_int_equal(fates[1], FL_FATE_ENDED);
  assert_int_equal(fates[2], FL_FATE_NOT_STARTED);
  assert_int_equal(fates[3], FL_FATE_NOT_STARTED);
  assert_int_equal(f->exit_count, 1);
  const fl_child_exit *e = get_exit(f, 1);
  assert_int_equal(e->exit_code, 17);
  assert_string_equal(e->capture, "out\n");
  assert_string_equal(e->output, "r=1\n");
  touch(f, "go");
  assert_true(wait_exits(f, 2));
  e = get_exit(f, 0);
  assert_int_equal(e->exit_code, 42);
  char *log = read_log(f, e);
  assert_string_equal(log, "early\nlate\n");
  free(log);
  fl_supervisor_close(s, false);
  assert_true(wait_dead(v.identity));
  assert_int_equal(f->exit_count, 2); // what had not started was not started later
  assert_int_equal(f->gone_count, 0);
}

// Its answer is waited for by whoever has something else to do meanwhile.
static void a_supervisor_that_does_not_answer_keeps_nobody(void **state) {
  fixture *f = *state;
  const fl_child_id ids[] = {id_of(0), id_of(1)};
  fl_error err;
  fl_supervisor *s;
  victim v = start_victim(f, ask_several, 2);
  kill(identity_pid(v.identity), SIGSTOP);
  kill(v.pid, SIGKILL);
  waitpid(v.pid, NULL, 0);
  int64_t began = fl_monotonic_ms();
  assert_int_equal(
      fl_supervisor_attach(f->loop, f->dir, v.id, "run1", &f->events, ids, 2, &s, &err), FL_OK);
  for (int i = 0; i < 10; i++) fl_loop_run(f->loop, 5);
  fl_supervisor_kill(s, &ids[0], 0); // it hears of it after the question
  fl_supervisor_flush(s);
  assert_true(fl_monotonic_ms() - began < 5000); // and not 30 s
  assert_int_equal(f->attached_count, 0);
  kill(identity_pid(v.identity), SIGCONT);
  for (int i = 0; i < WAIT_MS / 20 && !f->attached_count; i++) fl_loop_run(f->loop, 20);
  assert_int_equal(f->fates[0], FL_FATE_RUNNING);
  assert_int_equal(f->fates[1], FL_FATE_RUNNING);
  assert_true(wait_exits(f, 1));
  assert_int_equal(get_exit(f, 0)->signal, SIGKILL);
  touch(f, "crashed");
  assert_true(wait_exits(f, 2));
  fl_supervisor_close(s, false);
  assert_true(wait_dead(v.identity));
}

static void a_supervisor_without_engine_ends_itself_and_its_journal_tells(void **state) {
  fixture *f = *state;
  const fl_child_id ids[] = {id_of(0), id_of(1), id_of(2)};
  fl_fate fates[3];
  victim v = start_victim(f, ask_several, 2);
  crash(f, &v);
  touch(f, "go");
  assert_true(wait_dead(v.identity));
  assert_false(exists(f, v.id, "sock"));
  assert_true(exists(f, v.id, "journal"));
  fl_supervisor *s = attach(f, v.id, ids, fates, 3);
  assert_null(s);
  assert_int_equal(fates[0], FL_FATE_ENDED);
  assert_int_equal(fates[1], FL_FATE_ENDED);
  assert_int_equal(fates[2], FL_FATE_NOT_STARTED);
  assert_int_equal(get_exit(f, 0)->exit_code, 42);
  assert_int_equal(get_exit(f, 1)->exit_code, 17);
  forget_exits(f);
  attach(f, v.id, ids, fates, 3); // as often as one likes
  assert_int_equal(f->exit_count, 2);
  assert_true(fl_supervisor_forget(f->dir, v.id));
  assert_false(exists(f, v.id, "journal"));
  forget_exits(f);
  attach(f, v.id, ids, fates, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(fates[i], FL_FATE_LOST); // unknown is not success
  assert_int_equal(f->exit_count, 0);
}

static void ask_large(fixture *f) {
  const char *ends[] = {"/bin/sh", "-c",
                        "head -c 1000000 /dev/zero | tr '\\0' a | tee $FLOWLUA_OUTPUT; " SURVIVOR,
                        NULL};
  fl_spawn s = spawn_of(0, ends);
  s.cwd = f->dir;
  s.capture = true;
  s.capture_size_max = 4 << 20;
  fl_supervisor_spawn(f->s, &s);
}

static void large_results_are_harvested_too(void **state) {
  fixture *f = *state;
  const fl_child_id id = id_of(0);
  fl_fate fate;
  victim v = start_victim(f, ask_large, 1);
  crash(f, &v);
  assert_true(wait_dead(v.identity));
  attach(f, v.id, &id, &fate, 1);
  assert_int_equal(fate, FL_FATE_ENDED);
  assert_int_equal(f->exits[0].e.capture_size, 1000000);
  assert_int_equal(f->exits[0].e.output_size, 1000000);
  assert_memory_equal(f->exits[0].e.capture, f->exits[0].e.output, 1000000);
}

static void ask_dependent(fixture *f) {
  const char *sleeper[] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done", NULL};
  fl_spawn s = spawn_of(0, sleeper);
  s.grace_ms = 20;
  s.id.run[0] = '\0'; // a worker
  s.id.child = 1;
  fl_supervisor_spawn(f->s, &s);
  s = spawn_of(0, sleeper);
  s.grace_ms = 20;
  s.id.child = 1; // a Lua node's
  fl_supervisor_spawn(f->s, &s);
  s = spawn_of(1, sleeper);
  fl_supervisor_spawn(f->s, &s);
}

static void what_depends_on_the_engine_is_gone_before_its_run_goes_on(void **state) {
  fixture *f = *state;
  const fl_child_id id = id_of(1);
  fl_fate fate;
  victim v = start_victim(f, ask_dependent, 3);
  crash(f, &v);
  fl_supervisor *s = attach(f, v.id, &id, &fate, 1);
  assert_int_equal(fate, FL_FATE_RUNNING);
  snprintf(f->id, sizeof f->id, "%s", v.id);
  fl_proc_set set = {0};
  fl_tree_scan(is_of_supervisor, f->id, &set);
  for (size_t i = 0; i < set.count; i++) {
    fl_proc p = set.items[i]; // the node's own sh and its sleep, nothing else
    assert_true(p.pgid == set.items[0].pgid);
  }
  fl_proc_set_deinit(&set);
  fl_supervisor_kill(s, &id, 0);
  fl_supervisor_flush(s);
  assert_true(wait_exits(f, 1));
  fl_supervisor_close(s, false);
  assert_true(wait_dead(v.identity));
  snprintf(f->id, sizeof f->id, "%s", fl_supervisor_get_id(f->s));
}

static void ask_hiding(fixture *f) {
  static char path[128];
  snprintf(path, sizeof path, "%s/h.pid", f->dir);
  const char *waits[] = {"/bin/sleep", "100", NULL}, *quick[] = {"/bin/sh", "-c", "exit 5", NULL};
  static char text[4400];
  snprintf(text, sizeof text, "%s --misbehave sdte %s; sleep 100", self_path, path);
  const char *argv[] = {"/bin/sh", "-c", text, NULL};
  fl_spawn s = spawn_of(0, argv);
  fl_supervisor_spawn(f->s, &s);
  s = queued(1, waits, "/");
  fl_supervisor_spawn(f->s, &s);
  s = queued(2, waits, "/");
  fl_supervisor_spawn(f->s, &s);
  s = spawn_of(3, quick);
  fl_supervisor_spawn(f->s, &s);
}

static void a_killed_supervisor_loses_what_ran_and_leaves_nothing(void **state) {
  fixture *f = *state;
  ask_hiding(f);
  assert_true(wait_started(f, 2) && wait_exits(f, 1));
  int hidden = read_number(f, "h.pid");
  kill(fl_supervisor_get_pid(f->s), SIGKILL);
  assert_true(wait_exits(f, 4));
  assert_int_equal(get_exit(f, 3)->exit_code, 5);
  assert_int_equal(get_exit(f, 0)->end, FL_CHILD_LOST);
  assert_int_equal(get_exit(f, 1)->end, FL_CHILD_LOST);
  assert_int_equal(get_exit(f, 2)->end, FL_CHILD_REVOKED); // was still queued
  assert_int_equal(get_exit(f, 0)->exit_code, -1);
  assert_int_equal(f->gone_count, 1);
  assert_int_equal(count_processes(f), 0);
  assert_true(wait_pid_dead(hidden));
  // What is asked of it afterwards is answered, too.
  const char *argv[] = {"/bin/true", NULL};
  fl_spawn s = spawn_of(9, argv);
  assert_int_equal(run_spawn(f, &s)->end, FL_CHILD_REVOKED);
  assert_int_equal(f->gone_count, 1);
}

static void an_exit_that_was_written_but_not_told_is_told(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c", "exit 23", NULL};
  fl_child_id id = id_of(0);
  fl_spawn s = spawn_of(0, argv);
  fl_supervisor_spawn(f->s, &s);
  fl_supervisor_flush(f->s);
  for (int i = 0; i < WAIT_MS; i++, nap(1)) { // the loop does not run: the report is not read
    fl_journal_view view;
    fl_error err;
    if (fl_journal_load(f->dir, f->id, &view, &err)) continue;
    const fl_journal_child *c = fl_journal_find(&view, &id);
    bool ended = c && c->ended;
    fl_journal_unload(&view);
    if (ended) break;
  }
  kill(fl_supervisor_get_pid(f->s), SIGKILL);
  assert_true(wait_dead(f->identity));
  assert_true(wait_exits(f, 1));
  for (int i = 0; i < 50 && !f->gone_count; i++) fl_loop_run(f->loop, 20);
  assert_int_equal(f->exit_count, 1);
  assert_int_equal(f->exits[0].e.exit_code, 23);
  assert_int_equal(f->gone_count, 1);
}

static void when_both_die_nothing_is_left_and_nothing_is_guessed(void **state) {
  fixture *f = *state;
  const fl_child_id ids[] = {id_of(0), id_of(1), id_of(2), id_of(3)};
  fl_fate fates[4];
  victim v = start_victim(f, ask_hiding, 2);
  int hidden = read_number(f, "h.pid");
  crash(f, &v);
  kill(identity_pid(v.identity), SIGKILL);
  assert_true(wait_dead(v.identity));
  assert_null(attach(f, v.id, ids, fates, 4));
  assert_int_equal(fates[0], FL_FATE_LOST);
  assert_int_equal(fates[1], FL_FATE_LOST);
  assert_int_equal(fates[2], FL_FATE_NOT_STARTED);
  assert_int_equal(fates[3], FL_FATE_ENDED);
  assert_true(wait_pid_dead(hidden));
  char id[40];
  snprintf(id, sizeof id, "%s", f->id);
  snprintf(f->id, sizeof f->id, "%s", v.id);
  assert_int_equal(count_processes(f), 0);
  snprintf(f->id, sizeof f->id, "%s", id);
}

// A journal as it lies there after a power cut.
static void write_journal_of_another_boot(fixture *f, bool with_exit) {
  fl_buf all, b;
  char path[128];
  fl_child_id id = id_of(0);
  fl_buf_init(&all, 1 << 16);
  fl_buf_init(&b, 1 << 16);
  fl_journal_record_begin(&b);
  size_t begin = fl_wire_begin(&b, FL_WIRE_HEADER);
  fl_wire_put_text(&b, "00000000-0000-0000-0000-000000000000");
  fl_wire_put_i32(&b, getppid()); // somebody has that pid again
  fl_wire_put_u64(&b, 1);
  fl_wire_put_i64(&b, 0);
  fl_wire_end(&b, begin);
  fl_journal_record_end(&b);
  fl_buf_add(&all, b.data, b.size);
  if (with_exit) {
    fl_wire_exit e = {.seq = 1, .capture_spilled = -1, .output_spilled = -1};
    e.exit.id = id;
    e.exit.exit_code = 8;
    e.exit.log_path = "";
    fl_journal_record_begin(&b);
    fl_wire_put_exit(&b, &e);
    fl_journal_record_end(&b);
    fl_buf_add(&all, b.data, b.size);
  }
  snprintf(path, sizeof path, "%s/sup/cut.journal", f->dir);
  FILE *file = fopen(path, "w");
  fwrite(all.data, 1, all.size, file);
  fclose(file);
  fl_buf_deinit(&all);
  fl_buf_deinit(&b);
}

static void after_a_power_cut_only_what_is_written_counts(void **state) {
  fixture *f = *state;
  fl_child_id id = id_of(0);
  fl_fate fate;
  run_shell(f, "true"); // makes the folder
  forget_exits(f);
  write_journal_of_another_boot(f, true);
  assert_null(attach(f, "cut", &id, &fate, 1));
  assert_int_equal(fate, FL_FATE_ENDED);
  assert_int_equal(f->exits[0].e.exit_code, 8);
  write_journal_of_another_boot(f, false);
  assert_null(attach(f, "cut", &id, &fate, 1));
  assert_int_equal(fate, FL_FATE_LOST); // it may have run: the record may have been in memory only
  assert_true(fl_supervisor_forget(f->dir, "cut"));
}

static void ask_one(fixture *f) {
  const char *waits[] = {"/bin/sh", "-c", SLEEPER "exit 6", NULL};
  fl_spawn s = spawn_of(0, waits);
  s.cwd = f->dir;
  fl_supervisor_spawn(f->s, &s);
}

static void an_engine_that_was_taken_over_loses_only_its_claim(void **state) {
  fixture *f = *state;
  const fl_child_id id = id_of(0);
  static fixture other;
  other = (fixture){.loop = f->loop};
  ask_one(f);
  assert_true(wait_started(f, 1));
  // Its engine lives, but somebody else holds the lease now.
  other.events = events_of(&other);
  fl_supervisor *s = attach_to(&other, f->dir, f->id, &id, 1);
  assert_int_equal(other.fates[0], FL_FATE_RUNNING);
  assert_true(wait_exits(f, 1));
  assert_int_equal(f->exits[0].e.end, FL_CHILD_LOST);
  assert_int_equal(f->gone_count, 0);
  // What the first one still asks for that run is refused; other runs are its own.
  const char *argv[] = {"/bin/sh", "-c", "exit 2", NULL};
  fl_spawn spawn = spawn_of(5, argv);
  assert_int_equal(run_spawn(f, &spawn)->end, FL_CHILD_REVOKED);
  snprintf(spawn.id.run, sizeof spawn.id.run, "run2");
  assert_int_equal(run_spawn(f, &spawn)->exit_code, 2);
  touch(f, "go");
  for (int i = 0; i < 1000 && !other.exit_count; i++) fl_loop_run(f->loop, 20);
  assert_int_equal(other.exits[0].e.exit_code, 6);
  forget_exits(&other);
  fl_supervisor_close(s, false);
}

static void letting_go_lets_children_finish(void **state) {
  fixture *f = *state;
  const fl_child_id ids[] = {id_of(0), id_of(1)};
  fl_fate fates[2];
  char id[40], identity[96];
  ask_one(f);
  const char *argv[] = {"/bin/true", NULL};
  fl_supervisor_set_slots(f->s, 0);
  fl_spawn s = queued(1, argv, "/");
  fl_supervisor_spawn(f->s, &s);
  assert_true(wait_started(f, 1));
  snprintf(id, sizeof id, "%s", f->id);
  snprintf(identity, sizeof identity, "%s", f->identity);
  fl_supervisor_close(f->s, false);
  assert_true(fl_process_is_alive(identity));
  assert_false(fl_supervisor_forget(f->dir, id)); // it lives
  touch(f, "go");
  assert_true(wait_dead(identity));
  assert_null(attach(f, id, ids, fates, 2));
  assert_int_equal(fates[0], FL_FATE_ENDED);
  assert_int_equal(fates[1], FL_FATE_NOT_STARTED);
  assert_int_equal(f->exits[0].e.exit_code, 6);
  start_supervisor(f);
}

static void closing_with_kill_ends_all_at_once(void **state) {
  fixture *f = *state;
  char identity[96];
  ask_hiding(f);
  assert_true(wait_started(f, 2));
  read_number(f, "h.pid");
  snprintf(identity, sizeof identity, "%s", f->identity);
  fl_supervisor_close(f->s, true);
  assert_true(wait_dead(identity));
  assert_int_equal(count_processes(f), 0);
  start_supervisor(f);
}

static void a_path_longer_than_an_address_will_do(void **state) {
  fixture *f = *state;
  char dir[300];
  int n = snprintf(dir, sizeof dir, "%s", f->dir);
  for (int i = 0; i < 3; i++) {
    n += snprintf(dir + n, sizeof dir - (size_t)n, "/%060d", i);
    assert_int_equal(mkdir(dir, 0700), 0);
  }
  fl_error err;
  fl_supervisor *mine = f->s;
  const char *argv[] = {"/bin/sh", "-c", "sleep 0.03; exit 3", NULL};
  fl_child_id id = id_of(1);
  assert_int_equal(fl_supervisor_start(f->loop, dir, "/proc/self/exe", &f->events, &f->s, &err),
                   FL_OK);
  fl_spawn spawn = spawn_of(1, argv);
  fl_supervisor_spawn(f->s, &spawn);
  fl_supervisor_flush(f->s);
  while (!f->started_count && !f->exit_count) fl_loop_run(f->loop, 100);
  char other_id[40], identity[96];
  snprintf(other_id, sizeof other_id, "%s", fl_supervisor_get_id(f->s));
  fl_process_identity(fl_supervisor_get_pid(f->s), identity);
  fl_supervisor_close(f->s, false);
  fl_supervisor *s = f->s = attach_to(f, dir, other_id, &id, 1);
  if (s) assert_true(wait_exits(f, 1));
  assert_int_equal(f->exits[0].e.exit_code, 3);
  fl_supervisor_close(s, false);
  assert_true(wait_dead(identity));
  f->s = mine;
}

static void an_engine_that_does_not_read_delays_nothing(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c",
                        "head -c 200000 /dev/zero > $FLOWLUA_OUTPUT; echo >> count", NULL};
  fl_supervisor_set_slots(f->s, 2);
  for (uint32_t i = 0; i < 40; i++) {
    fl_spawn s = queued(i, argv, f->dir);
    fl_supervisor_spawn(f->s, &s);
  }
  fl_supervisor_flush(f->s);
  char path[128];
  struct stat st = {0};
  snprintf(path, sizeof path, "%s/count", f->dir);
  for (int i = 0; i < WAIT_MS && (stat(path, &st) || st.st_size < 40); i++) nap(1);
  assert_int_equal(st.st_size, 40);
  assert_true(wait_exits(f, 40));
  for (size_t i = 0; i < 40; i++) assert_int_equal(f->exits[i].e.output_size, 200000);
}

int main(int argc, char **argv) {
  int rc = be_helper(argc, argv);
  if (rc >= 0) return rc;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_killed_engines_children_are_adopted_and_harvested),
      TEST(a_supervisor_that_does_not_answer_keeps_nobody),
      TEST(a_supervisor_without_engine_ends_itself_and_its_journal_tells),
      TEST(large_results_are_harvested_too),
      TEST(what_depends_on_the_engine_is_gone_before_its_run_goes_on),
      TEST(a_killed_supervisor_loses_what_ran_and_leaves_nothing),
      TEST(an_exit_that_was_written_but_not_told_is_told),
      TEST(when_both_die_nothing_is_left_and_nothing_is_guessed),
      TEST(after_a_power_cut_only_what_is_written_counts),
      TEST(an_engine_that_was_taken_over_loses_only_its_claim),
      TEST(letting_go_lets_children_finish),
      TEST(closing_with_kill_ends_all_at_once),
      TEST(a_path_longer_than_an_address_will_do),
      TEST(an_engine_that_does_not_read_delays_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
