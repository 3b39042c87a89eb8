/// A host of the library for benches and the soak: opens an engine, loads flows from text, runs
/// them, and looks at its own memory and descriptors. Whatever fails ends the process with a word.
#ifndef FLOWLUA_TESTS_HOST_H
#define FLOWLUA_TESTS_HOST_H

#include <dirent.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "flowlua.h"

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

/// `call` with `err` at hand; any other code than FL_OK ends the process.
#define MUST(call)                                                                                 \
  do {                                                                                             \
    fl_error err = {0};                                                                            \
    if (call) die("%s:%d: %s", __FILE__, __LINE__, err.message);                                   \
  } while (0)

/// Seconds on CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, ...
static inline double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/// Bytes of memory that are this process's own.
static inline long resident_bytes(void) {
  long pages = 0, shared = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld %ld %ld", &pages, &resident, &shared) != 3) die("no /proc/self/statm");
  fclose(f);
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

static inline int count_descriptors(void) {
  int count = 0;
  DIR *d = opendir("/proc/self/fd");
  if (!d) die("no /proc/self/fd");
  while (readdir(d)) count++;
  closedir(d);
  return count - 3; // ".", ".." and the folder's own
}

static inline fl_engine *open_engine_as(const char *dir, fl_durability durability, uint32_t jobs,
                                        bool disk_thread, fl_event_fn on_event, void *ud) {
  fl_engine *engine;
  fl_config c = {.size = sizeof c,
                 .state_dir = dir,
                 .helper = getenv("FLOWLUA_BIN"),
                 .durability = durability,
                 .jobs = jobs,
                 .on_event = on_event,
                 .event_ud = ud,
                 .disk_thread = disk_thread};
  MUST(fl_engine_open(&c, &engine, &err));
  return engine;
}

static inline fl_engine *open_engine(const char *dir, fl_durability durability, uint32_t jobs,
                                     fl_event_fn on_event, void *ud) {
  return open_engine_as(dir, durability, jobs, false, on_event, ud);
}

/// `name` is the path that stands for the text in messages.
static inline fl_script *load_text(fl_engine *engine, const char *name, const char *text) {
  fl_script *script;
  MUST(fl_script_load_text(engine, name, text, strlen(text), &script, &err));
  return script;
}

static inline void start_run(fl_script *script, const char *flow, char id[32]) {
  fl_run_options o = {.size = sizeof o, .flow = flow};
  char ignored[32];
  MUST(fl_run_start(script, &o, id ? id : ignored, &err));
}

static inline void wait_run(fl_engine *engine, const char *id, const char *wanted) {
  const char *status = "";
  MUST(fl_wait(engine, id, &status, &err));
  if (wanted && strcmp(status, wanted) != 0) die("%s: %s, not %s", id, status, wanted);
}

static inline int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/// Sorts; `part` of the list is not above what it returns.
static inline double percentile(double *list, size_t count, double part) {
  if (!count) die("nothing was measured");
  qsort(list, count, sizeof *list, compare_doubles);
  size_t at = (size_t)((double)count * part);
  return list[at < count ? at : count - 1];
}

#endif
