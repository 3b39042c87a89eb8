// What tests/bench measures of the library in a host: `host CASE DIR COUNT`. Writes lines of
// "figure value"; cases_host.lua runs it and holds the figures against their bars.
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "host.h"

// ------------------------------------------------------------------------------- a slow disk

static long disk_us; // what every sync takes

// In place of libc's, for SQLite and the library alike.
int fdatasync(int fd) {
  if (disk_us) usleep((useconds_t)disk_us);
  return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
  if (disk_us) usleep((useconds_t)disk_us);
  return (int)syscall(SYS_fsync, fd);
}

// ------------------------------------------------------------------------------- cases

static char *format_text(const char *format, size_t count) {
  char *text = NULL;
  if (asprintf(&text, format, count) < 0) die("out of memory");
  return text;
}

#define NODES(body)                                                                                \
  "local flow = require 'flow'\nlocal f = flow.dag 'f'\nfor i = 1, %zu do " body " end\nreturn f"

/// A chain of 300 commands, alone and beside `count` runs that sleep, in turns: ms a node of each.
static void idle_runs(const char *dir, size_t count) {
  enum { CHAIN = 300 };
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  char *text =
      format_text(NODES("f['n' .. i] = flow.shell { 'true', after = i > 1 and 'n' .. i - 1 "
                        "or nil }"),
                  CHAIN);
  fl_script *chain = load_text(engine, "./chain.lua", text);
  fl_script *idle = load_text(engine, "./idle.lua",
                              "local flow = require 'flow'\nlocal f = flow.dag 'idle'\n"
                              "f.a = flow.lua { inline = true, run = function(ctx) "
                              "ctx:sleep '2h' end }\nreturn f");
  double alone[3], beside[3];
  char id[32];
  size_t live;
  free(text);
  for (int turn = 0; turn < 6; turn++) {
    if (turn == 3) {
      for (size_t i = 0; i < count; i++) start_run(idle, NULL, NULL);
      double until = seconds_of(CLOCK_MONOTONIC) + 600;
      do {
        MUST(fl_step(engine, 50, &live, &err));
        if (seconds_of(CLOCK_MONOTONIC) > until) die("the runs do not start");
      } while (fl_engine_get_timeout_ms(engine) >= 0 && fl_engine_get_timeout_ms(engine) < 20);
    }
    double from = seconds_of(CLOCK_MONOTONIC);
    start_run(chain, NULL, id);
    wait_run(engine, id, "succeeded");
    (turn < 3 ? alone : beside)[turn % 3] = (seconds_of(CLOCK_MONOTONIC) - from) * 1000 / CHAIN;
  }
  double without = percentile(alone, 3, 0.5), with = percentile(beside, 3, 0.5);
  printf("alone_ms %.3f\nbeside_ms %.3f\nratio %.3f\n", without, with, with / without);
  // Closing would end ten thousand sleepers, each for itself: the measurement is over.
  fflush(stdout);
  _exit(0);
}

/// fl_step(1 ms) while `count` inline nodes are ready: CPU of this thread, a step.
static void step_budget(const char *dir, size_t count) {
  fl_engine *engine = open_engine(dir, FL_DURABILITY_DEFAULT, 2, NULL, NULL);
  char *text = format_text(
      "local flow = require 'flow'\nlocal f = flow.dag 'f'\nlocal function run() return "
      "{ done = true } end\nfor i = 1, %zu do f['n' .. i] = flow.lua { inline = true, "
      "run = run } end\nreturn f",
      count);
  fl_script *script = load_text(engine, "./flow.lua", text);
  size_t live = 1, steps = 0, room = 1 << 16;
  double *cpu = malloc(room * sizeof *cpu);
  start_run(script, NULL, NULL);
  while (live) {
    double from = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    MUST(fl_step(engine, 1, &live, &err));
    if (steps == room) cpu = realloc(cpu, (room *= 2) * sizeof *cpu);
    cpu[steps++] = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - from) * 1000;
  }
  printf("steps %zu\np99_ms %.3f\nworst_ms %.3f\n", steps, percentile(cpu, steps, 0.99),
         percentile(cpu, steps, 1));
  free(cpu), free(text);
  fl_engine_close(engine);
}

/// Steps of 5 ms and more of `count` steps, while inline nodes run on a disk of 20 ms a sync.
static void slow_disk(const char *dir, size_t count) {
  fl_engine *engine = open_engine_as(dir, FL_DURABILITY_FULL, 2, true, NULL, NULL);
  char *text = format_text(NODES("f['n' .. i] = flow.lua { inline = true, after = i > 1 and 'n' .. "
                                 "i - 1 or nil, run = function(ctx) ctx:sleep '1ms' return { i = i "
                                 "} end }"),
                           count * 2);
  fl_script *script = load_text(engine, "./flow.lua", text);
  size_t live = 1, slow = 0;
  double worst = 0;
  start_run(script, NULL, NULL);
  disk_us = 20000;
  for (size_t i = 0; i < count && live; i++) {
    double from = seconds_of(CLOCK_MONOTONIC);
    MUST(fl_step(engine, 1, &live, &err));
    double ms = (seconds_of(CLOCK_MONOTONIC) - from) * 1000;
    if (ms > 5) slow++;
    if (ms > worst) worst = ms;
    usleep(1000);
  }
  disk_us = 0;
  printf("slow_steps %zu\nworst_ms %.2f\n", slow, worst);
  free(text);
  fl_engine_close(engine);
}

static const char five[] = "local flow = require 'flow'\nlocal f = flow.dag 'five'\n"
                           "for i = 1, 5 do f['n' .. i] = flow.lua { inline = true, after = i > 1 "
                           "and 'n' .. i - 1 or nil, run = function() return { i = i } end } end\n"
                           "return f";

/// `count` replays, resumes, plans and whys (a quarter each) of one flow: bytes above those after
/// the first hundred.
static void library_memory(const char *dir, size_t count) {
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  fl_script *script = load_text(engine, "./five.lua", five);
  char first[32], id[32], *json;
  const char *node = "n5";
  fl_patch patch = {.size = sizeof patch, .rerun = {&node, 1}};
  fl_replay_options again = {.size = sizeof again};
  long after = 0;
  start_run(script, NULL, first);
  wait_run(engine, first, "succeeded");
  start_run(script, NULL, id);
  wait_run(engine, id, "succeeded");
  for (size_t i = 0; i < count; i++) {
    if (i == 100) after = resident_bytes();
    switch (i % 4) {
    case 0:
      MUST(fl_run_replay(engine, first, &again, id, &err));
      wait_run(engine, id, "succeeded");
      break;
    case 1:
      MUST(fl_run_resume(engine, id, &patch, &err));
      wait_run(engine, id, "succeeded");
      break;
    case 2:
      MUST(fl_run_resume_plan(engine, first, &patch, &json, &err));
      fl_free(json);
      break;
    default: MUST(fl_read_why(engine, id, "n5", first, &json, &err)); fl_free(json);
    }
  }
  printf("more_bytes %ld\n", resident_bytes() - after);
  fl_engine_close(engine);
}

/// `count` runs of five inline nodes, one after another: CPU seconds of the second and of the last
/// thousand (the first starts with an empty cache, a new file and cold code), each as the quickest
/// of its tenths, for a machine of others changes its pace within seconds by more than the bar.
static void many_runs(const char *dir, size_t count) {
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  fl_script *script = load_text(engine, "./five.lua", five);
  size_t part = count < 4000 ? count / 40 : 100, parts = count / part;
  double first = 0, last = 0;
  long memory = 0;
  char id[32];
  for (size_t at = 0; at < parts; at++) {
    double from = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < part; i++) {
      start_run(script, NULL, id);
      wait_run(engine, id, "succeeded");
    }
    double took = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - from;
    if (at >= 10 && at < 20 && (first == 0 || took < first)) first = took;
    if (at >= parts - 10 && (last == 0 || took < last)) last = took;
    if (at == 19) memory = resident_bytes();
  }
  printf("ms_a_run %.3f\nratio %.3f\nmore_bytes %ld\n", last * 1000 / (double)part, last / first,
         resident_bytes() - memory);
  fl_engine_close(engine);
}

static struct {
  double last, worst;
  size_t events;
} gap;

static void on_gap(void *ud, const fl_event *e) {
  (void)ud;
  if (e->kind != FL_EVENT_NODE_FINISHED) return;
  double now = seconds_of(CLOCK_MONOTONIC);
  if (gap.events++ && now - gap.last > gap.worst) gap.worst = now - gap.last;
  gap.last = now;
}

/// A chain of inline nodes while another process prunes `count` attempts out of the same store: the
/// longest time between two of its nodes is above that of its slowest commit.
static void prune_beside(const char *dir, size_t count) {
  enum { RUNS = 10, CHAIN = 20000 };
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  char *text =
      format_text(NODES("f['n' .. i] = flow.lua { inline = true, run = function() return { "
                        "i = i } end }"),
                  count / RUNS);
  fl_script *script = load_text(engine, "./many.lua", text);
  char id[32];
  size_t live;
  for (int i = 0; i < RUNS; i++) {
    start_run(script, NULL, id);
    wait_run(engine, id, "succeeded");
  }
  fl_engine_close(engine);
  free(text);
  engine = open_engine(dir, FL_DURABILITY_GROUP, 2, on_gap, NULL);
  text =
      format_text(NODES("f['n' .. i] = flow.lua { inline = true, after = i > 1 and 'n' .. i - 1 or "
                        "nil, run = function() return { i = i } end }"),
                  CHAIN);
  fl_script *chain = load_text(engine, "./chain.lua", text);
  start_run(chain, NULL, NULL);
  free(text);
  for (int i = 0; i < 50; i++) MUST(fl_step(engine, 5, &live, &err));
  double from = seconds_of(CLOCK_MONOTONIC);
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stdout)) _exit(1);
    execl(getenv("FLOWLUA_BIN"), "flowlua", "prune", "--keep", "0s", "--state", dir, (char *)NULL);
    _exit(127);
  }
  gap.worst = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    MUST(fl_step(engine, 5, &live, &err));
    if (!live) start_run(chain, NULL, NULL);
  }
  if (status) die("prune ended with %d", status);
  printf("prune_s %.2f\nworst_ms %.1f\nnodes_meanwhile %zu\n", seconds_of(CLOCK_MONOTONIC) - from,
         gap.worst * 1000, gap.events);
  fflush(stdout);
  _exit(0); // the rest of the chain is of no interest
}

#define FLOWS 100

/// Multiplies the run of each flow, so that there are about `count` in the store.
static void multiply_runs(const char *dir, size_t count) {
  char *command = NULL;
  if (asprintf(&command, "sqlite3 '%s/flowlua.db'", dir) < 0) die("out of memory");
  FILE *sql = popen(command, "w");
  if (!sql) die("no sqlite3");
  fputs("BEGIN; CREATE TEMP TABLE t AS SELECT * FROM run;\n", sql);
  for (size_t i = FLOWS; i < count; i += FLOWS)
    fputs("UPDATE t SET row=row+100,id=substr(id,1,16)||printf('%012x',row+100),"
          "time_ms=time_ms+60000,created_ms=created_ms+60000,ended_ms=ended_ms+60000;"
          "INSERT INTO run SELECT * FROM t;\n",
          sql);
  fputs("COMMIT;\n", sql);
  if (pclose(sql)) die("sqlite3 failed");
  free(command);
}

/// The id of the last run of a page; false: there was none.
static bool last_of_page(const char *json, char id[32]) {
  const char *found = NULL;
  for (const char *at = json; (at = strstr(at, "{\"id\":\"")); at += 7) found = at + 7;
  if (found) snprintf(id, 32, "%.*s", (int)strcspn(found, "\""), found);
  return found;
}

/// Pages of 50 runs of a flow, one after the other, in a store of `count` runs of 100 flows.
static void page(const char *dir, size_t count) {
  enum { PAGES = 100 };
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  char *text = format_text("local flow = require 'flow'\nlocal list = {}\n"
                           "for i = 1, %zu do local f = flow.dag('f' .. i)\n"
                           "f.a = flow.lua { inline = true, run = function() end }\n"
                           "list[i] = f end\nreturn list",
                           FLOWS);
  fl_script *script = load_text(engine, "./many.lua", text);
  char id[32], flow[16];
  for (int i = 1; i <= FLOWS; i++) {
    snprintf(flow, sizeof flow, "f%d", i);
    start_run(script, flow, id);
    wait_run(engine, id, "succeeded");
  }
  fl_engine_close(engine);
  free(text);
  multiply_runs(dir, count);
  fl_reader *reader;
  MUST(fl_reader_open(dir, &reader, &err));
  double ms[PAGES];
  size_t pages = 0;
  fl_run_query query = {.size = sizeof query, .flow = "f37", .limit = 50};
  while (pages < PAGES) {
    char *json;
    double from = seconds_of(CLOCK_MONOTONIC);
    MUST(fl_reader_runs(reader, &query, &json, &err));
    ms[pages++] = (seconds_of(CLOCK_MONOTONIC) - from) * 1000;
    bool more = last_of_page(json, id);
    fl_free(json);
    query.before = id;
    if (!more) die("page %zu has no run", pages);
  }
  double first = ms[0];
  printf("first_ms %.2f\nmedian_ms %.2f\nworst_ms %.2f\n", first, percentile(ms, PAGES, 0.5),
         percentile(ms, PAGES, 1));
  fl_reader_close(reader);
}

/// Events of `count` inline nodes, read from the first to the last in portions of 1,000.
static void changes(const char *dir, size_t count) {
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  char *text =
      format_text(NODES("f['n' .. i] = flow.lua { inline = true, run = function() return { "
                        "i = i } end }"),
                  count);
  char id[32];
  start_run(load_text(engine, "./many.lua", text), NULL, id);
  wait_run(engine, id, "succeeded");
  fl_engine_close(engine);
  free(text);
  fl_reader *reader;
  MUST(fl_reader_open(dir, &reader, &err));
  size_t events = 0, found;
  double from = seconds_of(CLOCK_PROCESS_CPUTIME_ID); // it does nothing but read
  do {
    char *json;
    MUST(fl_reader_changes(reader, events, 1000, &json, &err));
    found = 0;
    for (const char *at = json; (at = strstr(at, "\"seq\":")); at += 6) found++;
    events += found;
    fl_free(json);
  } while (found);
  double passed = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - from;
  if (events < 2 * count) die("%zu events of %zu nodes", events, count);
  printf("events %zu\na_second %.0f\n", events, (double)events / passed);
  fl_reader_close(reader);
}

static const struct {
  const char *name;
  void (*run)(const char *dir, size_t count);
} cases[] = {{"idle-runs", idle_runs}, {"step-budget", step_budget},
             {"slow-disk", slow_disk}, {"library-memory", library_memory},
             {"many-runs", many_runs}, {"prune-beside", prune_beside},
             {"page", page},           {"changes", changes}};

int main(int argc, char **argv) {
  int helper = fl_helper_main(argc, argv);
  if (helper >= 0) return helper;
  fl_own_process();
  for (size_t i = 0; argc == 4 && i < sizeof cases / sizeof *cases; i++) {
    if (strcmp(cases[i].name, argv[1]) != 0) continue;
    cases[i].run(argv[2], (size_t)strtoull(argv[3], NULL, 10));
    return 0;
  }
  fputs("usage: bench_host CASE DIR COUNT\n", stderr);
  return 2;
}
