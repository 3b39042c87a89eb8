// A supervisor under test: the test binary is its own helper, and its own misbehaving child.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "folder.h"
#include "io/supervise.h"
#include "io/tree.h"

#define WAIT_MS 20000 // a test that waits longer has failed

typedef struct kept_exit {
  fl_child_exit e; // its texts are copies
} kept_exit;

typedef struct fixture {
  char dir[64];
  fl_loop *loop;
  fl_supervisor *s;
  fl_supervisor_events events;
  char id[40];
  char identity[96];
  kept_exit exits[512];
  size_t exit_count;
  fl_child_id started[512];
  int started_pid[512];
  size_t started_count, alarm_count, gone_count;
  fl_fate fates[8]; // what the last attach found
  size_t attached_count, running_count;
  char alarm_text[512];
} fixture;

static char self_path[4096];

static inline char *copy(const char *data, size_t size) {
  if (!data) return NULL;
  char *c = malloc(size + 1);
  memcpy(c, data, size);
  c[size] = '\0';
  return c;
}

static inline void keep_exit(void *ud, const fl_child_exit *e) {
  fixture *f = ud;
  assert_true(f->exit_count < 512);
  fl_child_exit *k = &f->exits[f->exit_count++].e;
  *k = *e;
  k->log_path = copy(e->log_path, strlen(e->log_path));
  k->tail = copy(e->tail, e->tail_size);
  k->capture = copy(e->capture, e->capture_size);
  k->output = copy(e->output, e->output_size);
  k->error_what = e->error_what ? copy(e->error_what, strlen(e->error_what)) : NULL;
}

static inline void keep_started(void *ud, const fl_child_id *id, int pid, int64_t started_ms) {
  fixture *f = ud;
  (void)started_ms;
  assert_true(f->started_count < 512);
  f->started_pid[f->started_count] = pid;
  f->started[f->started_count++] = *id;
}

static inline void keep_gone(void *ud) {
  ((fixture *)ud)->gone_count++;
}

static inline void keep_alarm(void *ud, const fl_child_id *id, const char *text) {
  fixture *f = ud;
  (void)id;
  f->alarm_count++;
  snprintf(f->alarm_text, sizeof f->alarm_text, "%s", text);
}

static inline void keep_fates(void *ud, fl_supervisor *s, const fl_child_id *ids,
                              const fl_fate *fates, size_t count) {
  fixture *f = ud;
  (void)s, (void)ids;
  assert_true(count <= 8);
  f->attached_count++;
  f->running_count = 0;
  for (size_t i = 0; i < count; i++) {
    f->fates[i] = fates[i];
    f->running_count += fates[i] == FL_FATE_RUNNING;
  }
}

static inline fl_supervisor_events events_of(fixture *f) {
  return (fl_supervisor_events){.started = keep_started,
                                .exited = keep_exit,
                                .gone = keep_gone,
                                .alarm = keep_alarm,
                                .attached = keep_fates,
                                .ud = f};
}

/// Attaches and waits for the answer; NULL when nothing runs there any more.
static inline fl_supervisor *attach_to(fixture *f, const char *dir, const char *id,
                                       const fl_child_id *ids, size_t count) {
  fl_error err;
  fl_supervisor *s;
  size_t before = f->attached_count;
  if (fl_supervisor_attach(f->loop, dir, id, "run1", &f->events, ids, count, &s, &err))
    fail_msg("%s", err.message);
  for (int64_t until = fl_monotonic_ms() + WAIT_MS;
       f->attached_count == before && fl_monotonic_ms() < until;)
    fl_loop_run(f->loop, 100);
  assert_int_equal(f->attached_count, before + 1);
  if (f->running_count) return s;
  fl_supervisor_close(s, false);
  return NULL;
}

static inline void forget_exits(fixture *f) {
  for (size_t i = 0; i < f->exit_count; i++) {
    fl_child_exit *k = &f->exits[i].e;
    const char *texts[] = {k->log_path, k->tail, k->capture, k->output, k->error_what};
    for (size_t t = 0; t < 5; t++) free((char *)(uintptr_t)texts[t]);
  }
  f->exit_count = 0;
  f->started_count = 0;
}

static inline void start_supervisor(fixture *f) {
  fl_error err;
  f->events = events_of(f);
  if (fl_supervisor_start(f->loop, f->dir, "/proc/self/exe", &f->events, &f->s, &err)) {
    fail_msg("%s", err.message);
  }
  snprintf(f->id, sizeof f->id, "%s", fl_supervisor_get_id(f->s));
  fl_process_identity(fl_supervisor_get_pid(f->s), f->identity);
}

static inline int setup(void **state) {
  fl_error err;
  fixture *f = calloc(1, sizeof *f);
  if (!make_test_folder("io", f->dir, sizeof f->dir) || fl_loop_open(&f->loop, &err)) return -1;
  start_supervisor(f);
  *state = f;
  return 0;
}

static inline void nap(int ms) {
  poll(NULL, 0, ms);
}

static inline bool wait_dead(const char *identity) {
  for (int i = 0; i < WAIT_MS && fl_process_is_alive(identity); i++) nap(1);
  return !fl_process_is_alive(identity);
}

static inline bool wait_pid_dead(int pid) {
  fl_proc p;
  for (int i = 0; i < WAIT_MS; i++, nap(1)) {
    if (!fl_proc_read(pid, &p) || p.state == 'Z') return true;
  }
  return false;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static inline bool is_of_supervisor(void *ud, const fl_proc *p) {
  return p->state != 'Z' && fl_tag_is_of(fl_proc_get_tag(p->pid), ud);
}

static inline size_t count_processes(fixture *f) {
  fl_proc_set set = {0};
  fl_tree_scan(is_of_supervisor, f->id, &set);
  size_t count = set.count;
  fl_proc_set_deinit(&set);
  return count;
}

static inline int teardown(void **state) {
  fixture *f = *state;
  fl_supervisor_close(f->s, true);
  bool dead = wait_dead(f->identity);
  size_t left = count_processes(f);
  fl_loop_close(f->loop);
  forget_exits(f);
  nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  free(f);
  if (!dead || left) fprintf(stderr, "supervisor dead: %d, processes left: %zu\n", dead, left);
  return dead && !left ? 0 : -1;
}

static inline bool wait_exits(fixture *f, size_t count) {
  int64_t until = fl_monotonic_ms() + WAIT_MS;
  if (f->s) fl_supervisor_flush(f->s);
  while (f->exit_count < count && fl_monotonic_ms() < until) fl_loop_run(f->loop, 100);
  return f->exit_count >= count;
}

static inline bool wait_started(fixture *f, size_t count) {
  int64_t until = fl_monotonic_ms() + WAIT_MS;
  if (f->s) fl_supervisor_flush(f->s);
  while (f->started_count < count && fl_monotonic_ms() < until) fl_loop_run(f->loop, 100);
  return f->started_count >= count;
}

static inline const fl_child_exit *get_exit(fixture *f, uint32_t node) {
  for (size_t i = 0; i < f->exit_count; i++) {
    if (f->exits[i].e.id.node == node) return &f->exits[i].e;
  }
  fail_msg("no exit of node %u", node);
  return NULL;
}

/// "node<N>": those that print for long have a log by their name.
static inline const char *name_of(uint32_t node) {
  static char names[512][16];
  assert_true(node < 512);
  snprintf(names[node], sizeof names[node], "node%u", node);
  return names[node];
}

static inline fl_spawn spawn_of(uint32_t node, const char *const *argv) {
  fl_spawn s = {.node_name = name_of(node), .argv = argv, .time = "2026-01-31T00:00:00Z"};
  snprintf(s.id.run, sizeof s.id.run, "run1");
  s.id.node = node;
  s.id.number = 1;
  s.cwd = "/";
  s.grace_ms = 10000;
  s.pass_fd = s.pass_fd2 = -1;
  return s;
}

/// Runs one child to its end.
static inline const fl_child_exit *run_spawn(fixture *f, const fl_spawn *s) {
  size_t before = f->exit_count;
  fl_supervisor_spawn(f->s, s);
  assert_true(wait_exits(f, before + 1));
  assert_int_equal(f->exit_count, before + 1);
  return &f->exits[before].e;
}

static inline const fl_child_exit *run_shell(fixture *f, const char *text) {
  const char *argv[] = {"/bin/sh", "-c", text, NULL};
  fl_spawn s = spawn_of((uint32_t)f->exit_count + 1, argv);
  return run_spawn(f, &s);
}

/// The whole of a child's log.
static inline void add_piece(void *ud, const char *data, size_t n) {
  fl_buf_add(ud, data, n);
}

static inline char *read_log(fixture *f, const fl_child_exit *e) {
  fl_buf b;
  fl_buf_init(&b, 64u << 20);
  fl_log_read(f->dir, e->log_path, e->log_offset, e->log_size, 0, add_piece, &b);
  return fl_buf_take(&b);
}

static inline int read_number(fixture *f, const char *name) {
  char path[256], text[32] = "";
  snprintf(path, sizeof path, "%s/%s", f->dir, name);
  for (int i = 0; i < WAIT_MS; i++, nap(1)) {
    FILE *file = fopen(path, "r");
    if (!file) continue;
    char *got = fgets(text, sizeof text, file);
    fclose(file);
    if (got && strchr(text, '\n')) return atoi(text);
  }
  fail_msg("nobody wrote %s", path);
  return 0;
}

// -------------------------------------------------------------------------------------
// misbehaviour

// `how`: s setsid, d double fork, t ignores TERM, e clears its environment, c closes what it has
// open, p stops itself. The one that stays writes its pid to `path`; the first one goes when it
// has.
static inline int misbehave(const char *how, const char *path) {
  if (strchr(how, 'd')) {
    if (fork() > 0) {
      while (access(path, F_OK)) nap(1);
      _exit(0);
    }
    if (strchr(how, 's')) setsid();
    if (fork() > 0) _exit(0);
  } else if (fork() > 0) {
    while (access(path, F_OK)) nap(1);
    _exit(0);
  }
  if (strchr(how, 's')) setsid();
  if (strchr(how, 't')) signal(SIGTERM, SIG_IGN);
  if (strchr(how, 'e')) {
    char text[5000];
    snprintf(text, sizeof text, "--stay=%s", how);
    char *argv[] = {self_path, text, (char *)(uintptr_t)path, NULL}, *env[] = {NULL};
    execve(self_path, argv, env);
    _exit(1);
  }
  return -1;
}

static inline int stay(const char *how, const char *path) {
  char text[32], temporary[4200];
  if (strchr(how, 'c')) {
    for (int i = 0; i < 3; i++) close(i);
  }
  snprintf(temporary, sizeof temporary, "%s.new", path);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
  if (write(fd, text, (size_t)n) != n) return 1;
  close(fd);
  if (rename(temporary, path)) return 1;
  if (strchr(how, 'p')) raise(SIGSTOP);
  for (;;) pause();
}

/// The first line of main(): does what a helper or child of the test has to do. -1: it is the test.
static inline int be_helper(int argc, char **argv) {
  ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
  if (n > 0) self_path[n] = '\0';
  if (argc > 1 && strcmp(argv[1], "--supervisor") == 0) return fl_supervisor_main(argc, argv);
  if (argc > 2 && strncmp(argv[1], "--stay=", 7) == 0) return stay(argv[1] + 7, argv[2]);
  if (argc > 3 && strcmp(argv[1], "--misbehave") == 0) {
    int rc = misbehave(argv[2], argv[3]);
    return rc >= 0 ? rc : stay(argv[2], argv[3]);
  }
  return -1;
}
