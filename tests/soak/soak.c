// An engine that lives: thousands of short runs, resumes, replays, plans, cancels, reloads of
// scripts and prunes, for some minutes: `soak DIR SECONDS`. Prints what it holds when it is warm
// and at the end; fails when that has grown past its bounds.
#include <ftw.h>
#include <sys/stat.h>
#include "host.h"

/// What may be there at the end above what was there when it was warm.
#define MEMORY_MORE_MAX      (8l << 20)
#define DESCRIPTORS_MORE_MAX 2
#define FILES_MORE_MAX       (16l << 20) // of the state directory, in bytes

/// Scripts without a user that the library keeps (docs/design/3-many-runs.md).
#define SCRIPTS_KEPT 32
/// Runs that ended longer ago are pruned.
#define KEEP_MS 5000

static long bytes_found, files_found;

static int add_size(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)path, (void)ftw;
  if (flag == FTW_F) bytes_found += st->st_size, files_found++;
  return 0;
}

typedef struct sample {
  long memory, bytes, files;
  int descriptors;
} sample;

static sample take_sample(const char *dir, const char *when, size_t runs) {
  bytes_found = files_found = 0;
  nftw(dir, add_size, 16, FTW_PHYS);
  sample s = {resident_bytes(), bytes_found, files_found, count_descriptors()};
  printf("%-6s %8zu runs, %7.1f MiB of memory, %3d descriptors, %7.1f MiB in %ld files\n", when,
         runs, (double)s.memory / 1048576, s.descriptors, (double)s.bytes / 1048576, s.files);
  fflush(stdout);
  return s;
}

// Each kind of node; the text changes with every reload.
static const char story[] =
    "-- version %zu\n"
    "local flow = require 'flow'\n"
    "local f = flow.dag('story', { params = { n = 1 }, durability = 'group' })\n"
    "f.a = flow.lua { inline = true, run = function(ctx) ctx.vars.n = ctx.params.n return { i = 1 "
    "} "
    "end }\n"
    "f.b = flow.shell { 'echo {{inputs.a.i}}', after = 'a', capture = 'text' }\n"
    "f.c = flow.lua { after = 'a', run = function(ctx) ctx:checkpoint { at = 1 } return { at = 2 } "
    "end }\n"
    "f.each = flow.map { over = { 1, 2, 3 }, after = 'c', inline = true, run = function(ctx, item) "
    "return item end }\n"
    "f.last = flow.lua { inline = true, after = { 'b', 'each' }, run = function() return { done = "
    "true } end }\n"
    "local s = flow.dag('sleeper', { durability = 'group' })\n"
    "s.a = flow.lua { inline = true, run = function(ctx) ctx:sleep '1h' end }\n"
    "return { f, s }";

static fl_script *load_story(fl_engine *engine, size_t version) {
  char text[sizeof story + 32];
  snprintf(text, sizeof text, story, version);
  return load_text(engine, "./story.lua", text);
}

// One round of everything; returns how many runs that were.
static size_t live_a_little(fl_engine *engine, fl_script *script, size_t round) {
  const char *rerun = "each", *only[] = {"a", "last"};
  fl_patch patch = {.size = sizeof patch, .rerun = {&rerun, 1}};
  fl_replay_options again = {.size = sizeof again};
  char id[32], other[32], sleepers[3][32], *json;
  size_t live;
  start_run(script, "story", id);
  for (int i = 0; i < 3; i++) start_run(script, "sleeper", sleepers[i]);
  wait_run(engine, id, "succeeded");
  MUST(fl_run_resume_plan(engine, id, &patch, &json, &err));
  fl_free(json);
  MUST(fl_run_resume(engine, id, &patch, &err));
  wait_run(engine, id, "succeeded");
  MUST(fl_run_replay(engine, id, &again, other, &err));
  wait_run(engine, other, "succeeded");
  MUST(fl_read_why(engine, other, "last", id, &json, &err));
  fl_free(json);
  MUST(fl_read_run(engine, other, &json, &err));
  fl_free(json);
  MUST(fl_read_runs(engine, 20, &json, &err));
  fl_free(json);
  for (int i = 0; i < 3; i++) {
    MUST(fl_run_cancel(engine, sleepers[i], round % 2, &err));
    wait_run(engine, sleepers[i], "cancelled");
  }
  fl_run_options part = {.size = sizeof part, .flow = "story", .only = only, .only_count = 2};
  MUST(fl_run_start(script, &part, id, &err));
  MUST(fl_step(engine, 1, &live, &err));
  wait_run(engine, id, "succeeded");
  return 6;
}

int main(int argc, char **argv) {
  int helper = fl_helper_main(argc, argv);
  if (helper >= 0) return helper;
  fl_own_process();
  double seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
  if (seconds <= 0) {
    fputs("usage: soak DIR SECONDS\n", stderr);
    return 2;
  }
  const char *dir = argv[1];
  fl_engine *engine = open_engine(dir, FL_DURABILITY_GROUP, 2, NULL, NULL);
  double from = seconds_of(CLOCK_MONOTONIC), passed = 0;
  size_t runs = 0, version = 0, removed = 0;
  int parts = 0;
  fl_script *script = NULL;
  sample warm = {0};
  size_t warm_runs = 0;
  // However slow the machine: as many runs behind the first look as before it, at least.
  for (size_t round = 0; passed < seconds || !warm.memory || runs < 2 * warm_runs; round++) {
    if (round % 2 == 0) {
      fl_script_unload(script);
      script = load_story(engine, ++version);
    }
    runs += live_a_little(engine, script, round);
    if (round % 20 == 19) {
      char *json;
      fl_prune_options o = {.size = sizeof o, .keep_ms = KEEP_MS, .size_max_bytes = -1};
      MUST(fl_prune(engine, &o, &json, &err));
      for (const char *at = json; (at = strchr(at, '-')); at++) removed++; // one an id
      fl_free(json);
    }
    passed = seconds_of(CLOCK_MONOTONIC) - from;
    // Warm: what is kept for the next one, scripts that nobody needs above all, is full.
    if (!warm.memory && passed > seconds / 5 && version > SCRIPTS_KEPT + 8)
      warm = take_sample(dir, "warm", warm_runs = runs);
    else if (passed > seconds / 5 * (parts + 1) && parts++ && passed < seconds)
      take_sample(dir, "", runs);
  }
  sample end = take_sample(dir, "end", runs);
  printf("%zu versions of the script, %zu runs pruned\n", version, removed);
  bool grew = end.memory - warm.memory > MEMORY_MORE_MAX ||
              end.bytes - warm.bytes > FILES_MORE_MAX ||
              end.descriptors - warm.descriptors > DESCRIPTORS_MORE_MAX;
  fl_engine_close(engine);
  printf("%.0f s: %s\n", passed, grew ? "it GREW past its bounds" : "nothing grew");
  return grew;
}
