// Who listens: several subscribers of an engine, followers of everybody's runs, readers on threads
// of their own. What they hear is what is kept, in the order of its numbers.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "flowlua.h"
#include "folder.h"

static char dir[64];
static fl_error err;

#define ok(call)                                                                                   \
  do {                                                                                             \
    if ((call) != FL_OK) fail_msg("%s", err.message);                                              \
  } while (0)

static int open_box(void **state) {
  (void)state;
  assert_true(make_test_folder("listen", dir, sizeof dir));
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static int close_box(void **state) {
  (void)state;
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}

/// Events as JSON, one a line.
typedef struct heard {
  char *text;
  size_t size, count;
  uint64_t last;
  bool rising, dense;
} heard;

static void hear(void *ud, const fl_event *e) {
  heard *h = ud;
  char *json = fl_event_to_json(e);
  size_t size = strlen(json);
  h->text = realloc(h->text, h->size + size + 2);
  memcpy(h->text + h->size, json, size);
  memcpy(h->text + h->size + size, "\n", 2);
  h->size += size + 1;
  fl_free(json);
  if (!e->seq) return;
  if (h->count++) {
    h->rising &= e->seq > h->last;
    h->dense &= e->seq == h->last + 1;
  } else {
    h->rising = h->dense = true;
  }
  h->last = e->seq;
}

static fl_engine *open_engine(heard *h) {
  fl_engine *e;
  fl_config c = {.size = sizeof c,
                 .state_dir = dir,
                 .jobs = 1,
                 .durability = FL_DURABILITY_GROUP,
                 .on_event = h ? hear : NULL,
                 .event_ud = h};
  ok(fl_engine_open(&c, &e, &err));
  return e;
}

static fl_script *load(fl_engine *e) {
  char path[96];
  fl_script *script;
  snprintf(path, sizeof path, "%s/flow.lua", dir);
  FILE *f = fopen(path, "w");
  fputs("local flow = require 'flow'\n"
        "local f = flow.dag('f', {})\n"
        "f.a = flow.lua { inline = true, run = function(ctx) return { n = 1 } end }\n"
        "f.b = flow.lua { inline = true, after = 'a', run = function(ctx) error('no') end }\n"
        "f.c = flow.lua { inline = true, after = 'b', run = function(ctx) end }\n"
        "f.m = flow.map { over = { 1, 2 }, inline = true, run = function(ctx) return 1 end }\n"
        "return f\n",
        f);
  fclose(f);
  ok(fl_script_load(e, path, &script, &err));
  return script;
}

static void step_to_end(fl_engine *e) {
  size_t live = 1;
  for (int i = 0; live && i < 10000; i++) ok(fl_step(e, 10, &live, &err));
  assert_int_equal(live, 0);
}

static void run_one(fl_engine *e, fl_script *script) {
  char id[32];
  fl_run_options o = {.size = sizeof o};
  ok(fl_run_start(script, &o, id, &err));
  step_to_end(e);
}

/// What is between the brackets of {"events":[...], one a line.
static char *lines_of(const char *json) {
  const char *begin = strchr(json, '[') + 1, *end = strstr(begin, "],\"next\":");
  size_t size = (size_t)(end - begin);
  char *text = calloc(1, size + 2);
  memcpy(text, begin, size);
  for (char *p = text; (p = strstr(p, "},{"));) p[1] = '\n';
  if (size) text[size] = '\n';
  return text;
}

static void what_is_kept_is_what_was_told(void **state) {
  (void)state;
  heard h = {0};
  fl_engine *e = open_engine(&h);
  run_one(e, load(e));
  assert_true(h.dense && h.count >= 12);
  char *json, *text;
  ok(fl_read_changes(e, 0, 1000, &json, &err));
  text = lines_of(json);
  assert_string_equal(text, h.text);
  free(text), fl_free(json);
  // In portions, each behind the one before.
  char *whole = calloc(1, h.size + 1);
  for (uint64_t after = 0; after < h.last;) {
    ok(fl_read_changes(e, after, 5, &json, &err));
    text = lines_of(json);
    strcat(whole, text);
    after = strtoull(strstr(json, "\"next\":") + 7, NULL, 10);
    free(text), fl_free(json);
  }
  assert_string_equal(whole, h.text);
  free(whole);
  assert_int_equal(fl_read_changes(e, h.last + 1, 5, &json, &err), FL_E_USAGE);
  assert_non_null(strstr(err.message, "there is no event"));
  fl_engine_close(e);
  free(h.text);
}

static void who_was_away_too_long_is_told(void **state) {
  (void)state;
  fl_engine *e = open_engine(NULL);
  run_one(e, load(e));
  sqlite3 *db;
  char path[96], *json;
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_exec(db, "DELETE FROM change WHERE seq<=6", NULL, NULL, NULL);
  sqlite3_close(db);
  assert_int_equal(fl_read_changes(e, 2, 100, &json, &err), FL_E_NOT_FOUND);
  assert_non_null(strstr(err.message, "events 3 to "));
  assert_non_null(strstr(err.message, "not kept any more"));
  uint64_t id;
  heard h = {0};
  assert_int_equal(fl_engine_follow(e, 2, hear, &h, &id, &err), FL_E_NOT_FOUND);
  ok(fl_read_changes(e, 0, 100, &json, &err)); // from the first that is kept
  assert_null(strstr(json, "run_started"));
  fl_free(json);
  fl_engine_close(e);
}

// ------------------------------------------------------------------------------------- subscribers

typedef struct guest {
  fl_engine *engine;
  uint64_t id, made;
  int heard, wanted;
  struct guest *next; // subscribed by it
} guest;

static void visit(void *ud, const fl_event *e) {
  guest *g = ud;
  (void)e;
  g->heard++;
  if (g->heard != g->wanted) return;
  fl_engine_unsubscribe(g->engine, g->id);
  if (g->next) ok(fl_engine_subscribe(g->engine, visit, g->next, &g->next->id, &err));
}

static void subscribers_come_and_go_in_a_callback(void **state) {
  (void)state;
  heard all = {0}, mine = {0};
  fl_engine *e = open_engine(&all);
  fl_script *script = load(e);
  guest third = {.engine = e, .wanted = 1}, second = {.engine = e, .wanted = 2, .next = &third};
  guest first = {.engine = e, .wanted = 3, .next = &second};
  uint64_t id;
  ok(fl_engine_subscribe(e, hear, &mine, &id, &err));
  ok(fl_engine_subscribe(e, visit, &first, &first.id, &err));
  run_one(e, script);
  assert_int_equal(first.heard, 3);
  assert_int_equal(second.heard, 2);
  assert_int_equal(third.heard, 1);
  assert_string_equal(mine.text, all.text);
  fl_engine_unsubscribe(e, id);
  fl_engine_unsubscribe(e, id);
  size_t count = mine.count;
  run_one(e, script);
  assert_int_equal(mine.count, count);
  assert_true(all.count > count);
  fl_engine_close(e);
  free(all.text), free(mine.text);
}

static void a_follower_hears_of_everybody(void **state) {
  (void)state;
  heard own = {0}, every = {0}, late = {0};
  fl_engine *a = open_engine(&own), *b = open_engine(NULL);
  fl_script *of_a = load(a), *of_b = load(b);
  uint64_t id, late_id;
  ok(fl_engine_follow(a, 0, hear, &every, &id, &err));
  run_one(b, of_b);
  run_one(a, of_a); // what b did came before: it is told before
  run_one(b, of_b);
  size_t live, total;
  char *json;
  ok(fl_read_changes(b, 0, 0, &json, &err));
  total = strtoull(strstr(json, "\"last\":") + 7, NULL, 10);
  fl_free(json);
  // Woken by the commits of the other engine, without a turn in vain.
  for (int i = 0; every.count < total && i < 200; i++) {
    struct pollfd p = {.fd = fl_engine_get_fd(a), .events = POLLIN};
    (void)poll(&p, 1, fl_engine_get_timeout_ms(a));
    ok(fl_step(a, 10, &live, &err));
  }
  assert_int_equal(every.count, total);
  assert_true(every.dense && every.last == total);
  assert_int_equal(own.count, total / 3);
  ok(fl_engine_follow(a, 5, hear, &late, &late_id, &err));
  ok(fl_step(a, 10, &live, &err));
  assert_true(late.dense && late.last == total);
  assert_int_equal(late.count, total - 5);
  fl_engine_unsubscribe(a, late_id);
  fl_engine_unsubscribe(a, id);
  run_one(a, of_a);
  assert_int_equal(every.count, total);
  fl_engine_close(a), fl_engine_close(b);
  free(own.text), free(every.text), free(late.text);
}

// ------------------------------------------------------------------------------------- readers

typedef struct thread_reader {
  pthread_t thread;
  atomic_bool stop;
  size_t events, lists;
  bool dense;
  char failure[256];
} thread_reader;

static void *read_on(void *ud) {
  thread_reader *t = ud;
  fl_error e = {0};
  fl_reader *r;
  char *json;
  bool more = false;
  uint64_t after = 0;
  t->dense = true;
  fl_code code = fl_reader_open(dir, &r, &e);
  while (!code && !(atomic_load(&t->stop) && !more)) {
    code = fl_reader_wait(r, after, 20, &more, &e);
    if (code || !more) continue;
    code = fl_reader_changes(r, after, 1000, &json, &e);
    if (code) break;
    for (char *p = json; (p = strstr(p, "\"seq\":")); p += 6, t->events++)
      t->dense &= strtoull(p + 6, NULL, 10) == t->events + 1;
    after = strtoull(strstr(json, "\"next\":") + 7, NULL, 10);
    fl_free(json);
    code = fl_reader_runs(r, &(fl_run_query){.size = sizeof(fl_run_query), .limit = 5}, &json, &e);
    if (!code) code = (fl_free(json), fl_reader_run(r, "last", &json, &e));
    if (!code) fl_free(json), t->lists++;
  }
  if (code) snprintf(t->failure, sizeof t->failure, "%.200s", e.message);
  if (r) fl_reader_close(r);
  return NULL;
}

static void a_reader_reads_on_its_thread_while_runs_commit(void **state) {
  (void)state;
  heard h = {0};
  fl_engine *e = open_engine(&h);
  fl_script *script = load(e);
  thread_reader t = {0};
  assert_int_equal(pthread_create(&t.thread, NULL, read_on, &t), 0);
  for (int i = 0; i < 100; i++) run_one(e, script);
  atomic_store(&t.stop, true);
  pthread_join(t.thread, NULL);
  assert_string_equal(t.failure, "");
  assert_true(t.dense && t.lists > 0);
  assert_int_equal(t.events, h.count);
  fl_engine_close(e);
  free(h.text);
}

static void a_reader_is_woken_by_a_commit_and_sleeps_without(void **state) {
  (void)state;
  fl_engine *e = open_engine(NULL);
  fl_script *script = load(e);
  fl_reader *r;
  bool news, more;
  int fd, wakes = 0;
  ok(fl_reader_open(dir, &r, &err));
  ok(fl_reader_get_fd(r, &fd, &err));
  ok(fl_reader_has_news(r, &news, &err));
  struct pollfd p = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&p, 1, 30), 0);
  run_one(e, script);
  assert_int_equal(poll(&p, 1, 1000), 1);
  ok(fl_reader_has_news(r, &news, &err));
  assert_true(news);
  ok(fl_reader_wait(r, 0, 0, &more, &err));
  assert_true(more);
  ok(fl_reader_wait(r, 1000, 30, &more, &err));
  assert_false(more);
  // The looks in vain after a wake-up come to an end by themselves.
  for (; poll(&p, 1, 200) == 1 && wakes < 20; wakes++) ok(fl_reader_has_news(r, &news, &err));
  assert_true(wakes <= 4);
  fl_reader_close(r);
  fl_engine_close(e);
}

static void a_reader_brings_no_older_store_up_to_date(void **state) {
  (void)state;
  fl_reader *r;
  char *json;
  assert_int_equal(fl_reader_open(dir, &r, &err), FL_E_NOT_FOUND);
  fl_engine_close(open_engine(NULL));
  ok(fl_reader_open(dir, &r, &err));
  // A caller that was built for no query at all.
  assert_int_equal(fl_reader_runs(r, &(fl_run_query){.size = 8}, &json, &err), FL_E_USAGE);
  fl_reader_close(r);
  sqlite3 *db;
  char path[96];
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version=3", NULL, NULL, NULL);
  sqlite3_close(db);
  assert_int_equal(fl_reader_open(dir, &r, &err), FL_E_STATE);
  assert_null(r);
  assert_non_null(strstr(err.message, "is of an older version of FlowLua"));
}

int main(void) {
#define row(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)
  const struct CMUnitTest tests[] = {
      row(what_is_kept_is_what_was_told),
      row(who_was_away_too_long_is_told),
      row(subscribers_come_and_go_in_a_callback),
      row(a_follower_hears_of_everybody),
      row(a_reader_reads_on_its_thread_while_runs_commit),
      row(a_reader_is_woken_by_a_commit_and_sleeps_without),
      row(a_reader_brings_no_older_store_up_to_date),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
