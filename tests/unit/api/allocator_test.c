// A host's own allocator and its own end of the process: an executable of its own, for the first
// must be set before the library has any memory.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/err.h"
#include "folder.h"

#define MAGIC 0x464c7561464c7561u

// Before each block: whose it is, so that memory of another allocator is known when it comes back.
typedef struct head {
  uint64_t magic, pad;
} head;

static _Atomic int64_t blocks, taken, foreign;

static void *resize(void *ud, void *memory, size_t size) {
  head *h = memory ? (head *)memory - 1 : NULL;
  assert_ptr_equal(ud, &blocks);
  if (h && h->magic != MAGIC) foreign++;
  if (!memory) blocks++;
  taken++;
  h = realloc(h, size + sizeof *h);
  h->magic = MAGIC;
  return h + 1;
}

static void release(void *ud, void *memory) {
  (void)ud;
  if (!memory) return;
  head *h = (head *)memory - 1;
  if (h->magic != MAGIC) foreign++;
  h->magic = 0;
  blocks--;
  free(h);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void run_a_flow(void) {
  static const char text[] =
      "local flow, re = require 'flow', require 're'\n"
      "local f = flow.dag 'f'\n"
      "f.a = flow.lua { inline = true, run = function() return { a = re.find('xay', 'a') } end }\n"
      "f.b = flow.lua { inline = true, after = 'a', run = function(ctx)\n"
      "  return { b = ctx.inputs.a.a, at = #ctx:uuid() } end }\n"
      "return f\n";
  char dir[64], path[96], id[32], *json;
  const char *status;
  fl_engine *engine;
  fl_script *script;
  fl_error err;
  assert_true(make_test_folder("allocator", dir, sizeof dir));
  snprintf(path, sizeof path, "%s/f.lua", dir);
  FILE *file = fopen(path, "w");
  fputs(text, file);
  fclose(file);
  fl_config c = {.size = sizeof c, .state_dir = dir, .jobs = 1};
  fl_run_options o = {.size = sizeof o};
  if (fl_engine_open(&c, &engine, &err) || fl_script_load(engine, path, &script, &err) ||
      fl_run_start(script, &o, id, &err) || fl_wait(engine, id, &status, &err) ||
      fl_read_run(engine, id, &json, &err))
    fail_msg("%s", err.message);
  assert_string_equal(status, "succeeded");
  assert_non_null(strstr(json, "\"outputs\":{\"at\":36,\"b\":2}"));
  fl_free(json);
  fl_engine_close(engine);
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void all_memory_is_the_hosts_and_comes_back(void **state) {
  fl_allocator a = {.size = sizeof a, .resize = resize, .release = release, .ud = &blocks};
  fl_error err;
  (void)state;
  assert_int_equal(fl_set_allocator(&(fl_allocator){.size = sizeof a}, &err), FL_E_USAGE);
  if (fl_set_allocator(&a, &err)) fail_msg("%s", err.message);
  run_a_flow();
  assert_true(taken > 100);
  int64_t kept = blocks; // what is for the process: little, and no more of it later
  run_a_flow();
  assert_true(blocks <= kept);
  assert_true(kept < 50);
  assert_int_equal(foreign, 0);
  assert_int_equal(fl_set_allocator(&a, &err), FL_E_STATE);
}

static jmp_buf out;
static char told[64];

static void on_panic(void *ud, const char *file, int line, const char *what) {
  (void)ud, (void)file, (void)line;
  snprintf(told, sizeof told, "%s", what);
  longjmp(out, 1);
}

static void the_host_is_told_before_the_end(void **state) {
  (void)state;
  fl_set_panic(on_panic, NULL);
  if (!setjmp(out)) fl_panic("here.c", 1, "no sheep left");
  fl_set_panic(NULL, NULL);
  assert_string_equal(told, "no sheep left");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_memory_is_the_hosts_and_comes_back),
      cmocka_unit_test(the_host_is_told_before_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
