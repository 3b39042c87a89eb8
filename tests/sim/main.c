// Runs seeds of the simulator: `sim --seeds 1..500`, `sim --seed 17 --trace`, `sim --many ...`.
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/digest.h"
#include "many.h"
#include "world.h"

// Run ids and the like come from the seed too.
static sim_random numbers;
static uint32_t next_number(void) {
  return (uint32_t)sim_next(&numbers);
}
static void next_bytes(void *out, size_t size) {
  for (size_t i = 0; i < size; i++) ((uint8_t *)out)[i] = (uint8_t)sim_next(&numbers);
}
static const char *name(void) {
  return "seed";
}
static randombytes_implementation implementation = {
    .implementation_name = name, .random = next_number, .buf = next_bytes};

static int usage(void) {
  fprintf(stderr, "usage: sim [--many] --seed N [--trace] | --seeds FROM..TO [--twice] [--stop]\n"
                  "  --many   many runs at once instead of one that has all kinds of trouble\n"
                  "  --trace  print what happens\n"
                  "  --twice  run each seed twice and compare what happened\n"
                  "  --stop   end at the first failure\n");
  return 2;
}

typedef struct options {
  uint64_t from, to;
  bool many, trace, twice, stop;
} options;

static bool read_options(int argc, char **argv, options *o) {
  *o = (options){.from = 1, .to = 500};
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(argv[i], "--trace")) {
      o->trace = true;
    } else if (!strcmp(argv[i], "--many")) {
      o->many = true;
    } else if (!strcmp(argv[i], "--twice")) {
      o->twice = true;
    } else if (!strcmp(argv[i], "--stop")) {
      o->stop = true;
    } else if (!strcmp(argv[i], "--seed") && next) {
      o->from = o->to = strtoull(argv[++i], NULL, 10);
    } else if (!strcmp(argv[i], "--seeds") && next && strstr(next, "..")) {
      o->from = strtoull(next, NULL, 10);
      o->to = strtoull(strstr(next, "..") + 2, NULL, 10);
      i++;
    } else {
      return false;
    }
  }
  return o->from <= o->to;
}

static sim_totals totals;
static many_totals many;

static bool run_once(const options *o, uint64_t seed, bool first, char *failure, size_t size,
                     uint64_t *digest) {
  sim_totals other = {0};
  many_totals other_many = {0};
  bool trace = first && o->trace;
  numbers.state = seed;
  return o->many ? many_run_seed(seed, trace, failure, size, digest, first ? &many : &other_many)
                 : sim_run_seed(seed, trace, failure, size, digest, first ? &totals : &other);
}

int main(int argc, char **argv) {
  options o;
  uint64_t passed = 0, failed = 0;
  char failure[700];
  if (!read_options(argc, argv, &o)) return usage();
  json_object_seed(1);
  randombytes_set_implementation(&implementation);
  fl_random_bytes(failure, 1); // the library's own first use is not part of a seed
  for (uint64_t seed = o.from; seed <= o.to && !(o.stop && failed); seed++) {
    uint64_t digest = 0, again = 0;
    bool ok = run_once(&o, seed, true, failure, sizeof failure, &digest);
    if (ok && o.twice) {
      ok = run_once(&o, seed, false, failure, sizeof failure, &again) && again == digest;
      if (!ok) snprintf(failure, sizeof failure, "the second time it went another way");
    }
    passed += ok;
    failed += !ok;
    if (!ok)
      printf("seed %llu: %s\n  again: %s%s --seed %llu --trace\n", (unsigned long long)seed,
             failure, argv[0], o.many ? " --many" : "", (unsigned long long)seed);
    fflush(stdout);
  }
  if (o.many)
    printf("%llu runs, %llu events, %llu crashes, %llu robberies, %llu pruned\n",
           (unsigned long long)many.runs, (unsigned long long)many.told,
           (unsigned long long)many.crashes, (unsigned long long)many.robberies,
           (unsigned long long)many.pruned);
  else
    printf(
        "%llu crashes, %llu takeovers, %llu resumes, %llu facts checked, %.1f h of virtual time\n",
        (unsigned long long)totals.crashes, (unsigned long long)totals.takeovers,
        (unsigned long long)totals.resumes, (unsigned long long)totals.facts,
        (double)totals.virtual_ms / 3600000);
  printf("%llu seeds passed, %llu failed\n", (unsigned long long)passed,
         (unsigned long long)failed);
  return failed > 0;
}
