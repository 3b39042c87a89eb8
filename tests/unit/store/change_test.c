// Numbered changes: no gap, no duplicate, whoever writes; what is read is what was told; bounds.
#include "store_helper.h"

static char *dir;
static fl_store *s;

static int open_box(void **state) {
  (void)state;
  dir = make_dir();
  s = open_store(dir);
  return 0;
}

static int close_box(void **state) {
  (void)state;
  fl_store_close(s);
  remove_dir(dir);
  return 0;
}

static uint64_t add(fl_store *to, int64_t run, fl_event_kind kind, int64_t at_ms) {
  fl_change c = {
      .kind = kind, .run = run, .at_ms = at_ms, .node = 3, .attempt = 1, .exit_code = -1};
  ok(fl_store_add_change(to, &c, &err));
  return c.seq;
}

typedef struct list {
  fl_change changes[64];
  char text[64][128];
  size_t count, wanted;
} list;

static bool collect(void *ud, const fl_change *c) {
  list *l = ud;
  l->changes[l->count] = *c;
  snprintf(l->text[l->count++], 128, "%s", c->text ? c->text : "-");
  return l->count < l->wanted;
}

static list read_after(fl_store *from, uint64_t after, size_t wanted) {
  list l = {.wanted = wanted};
  ok(fl_store_each_change(from, after, collect, &l, &err));
  return l;
}

static const fl_change told[] = {
    {.kind = FL_EVENT_RUN_STARTED,
     .run = 7,
     .at_ms = T0,
     .node = FL_CHANGE_NO_NODE,
     .epoch = 3,
     .state = FL_RUN_RUNNING,
     .exit_code = -1},
    {.kind = FL_EVENT_NODE_STARTED,
     .run = 7,
     .at_ms = T0 - 5000,
     .node = 0,
     .attempt = 1,
     .state = FL_NODE_RUNNING,
     .exit_code = -1},
    {.kind = FL_EVENT_NODE_FINISHED,
     .run = 7,
     .at_ms = T0 + 9,
     .node = 0,
     .attempt = 1,
     .state = FL_NODE_FAILED,
     .reason = FL_REASON_RETRIES_USED,
     .duration_ms = 5009,
     .exit_code = 1},
    {.kind = FL_EVENT_NODE_FINISHED,
     .run = 1234567890123,
     .at_ms = T0 + 9,
     .node = 4000000000u,
     .state = FL_NODE_SKIPPED,
     .reason = FL_REASON_UPSTREAM_SKIPPED,
     .exit_code = -1,
     .text = "extract"},
    {.kind = FL_EVENT_NODE_RETRYING,
     .run = 7,
     .at_ms = T0 + 10,
     .node = 1,
     .attempt = 200,
     .state = FL_NODE_RETRYING,
     .duration_ms = INT64_C(864000000000),
     .exit_code = -1,
     .signal = 9},
    {.kind = FL_EVENT_RUN_FINISHED,
     .run = 7,
     .at_ms = T0 + 11,
     .node = FL_CHANGE_NO_NODE,
     .epoch = 3,
     .state = FL_RUN_FAILED,
     .duration_ms = 1,
     .exit_code = -1,
     .text = "why"},
};

static void what_is_read_is_what_was_told(void **state) {
  (void)state;
  size_t count = sizeof told / sizeof *told;
  for (size_t i = 0; i < count; i++) {
    fl_change c = told[i];
    ok(fl_store_add_change(s, &c, &err));
    assert_int_equal(c.seq, i + 1);
  }
  ok(fl_store_commit(s, &err));
  assert_int_equal(number_of(s, "SELECT count(*) FROM change"), 1);
  list l = read_after(s, 0, 64);
  assert_int_equal(l.count, count);
  for (size_t i = 0; i < count; i++) {
    const fl_change *a = &told[i], *b = &l.changes[i];
    assert_int_equal(b->seq, i + 1);
    assert_int_equal(b->kind, a->kind);
    assert_int_equal(b->run, a->run);
    assert_int_equal(b->at_ms, a->at_ms);
    assert_int_equal(b->node, a->node);
    assert_int_equal(b->attempt, a->attempt);
    assert_int_equal(b->epoch, a->epoch);
    assert_int_equal(b->state, a->state);
    assert_int_equal(b->reason, a->reason);
    assert_int_equal(b->duration_ms, a->duration_ms);
    assert_int_equal(b->exit_code, a->exit_code);
    assert_int_equal(b->signal, a->signal);
    assert_string_equal(l.text[i], a->text ? a->text : "-");
  }
}

static void numbers_rise_whoever_writes(void **state) {
  (void)state;
  fl_store *other = open_store(dir);
  uint64_t expected = 0;
  for (int i = 0; i < 20; i++) {
    fl_store *writer = i % 3 ? s : other;
    for (int k = 0; k <= i % 4; k++)
      assert_int_equal(add(writer, i + 1, FL_EVENT_NODE_STARTED, T0 + i), ++expected);
    ok(fl_store_commit(writer, &err));
  }
  list l = read_after(other, 0, 64);
  assert_int_equal(l.count, expected);
  for (size_t i = 0; i < l.count; i++) assert_int_equal(l.changes[i].seq, i + 1);
  l = read_after(s, 17, 5); // from the middle of a row on
  assert_int_equal(l.count, 5);
  assert_int_equal(l.changes[0].seq, 18);
  fl_store_close(other);
}

static void what_is_rolled_back_has_no_number(void **state) {
  (void)state;
  add(s, 1, FL_EVENT_NODE_STARTED, T0);
  ok(fl_store_commit(s, &err));
  assert_int_equal(add(s, 1, FL_EVENT_NODE_STARTED, T0), 2);
  fl_store_rollback(s);
  assert_int_equal(add(s, 1, FL_EVENT_NODE_FINISHED, T0), 2);
  ok(fl_store_commit(s, &err));
  list l = read_after(s, 1, 64);
  assert_int_equal(l.count, 1);
  assert_int_equal(l.changes[0].kind, FL_EVENT_NODE_FINISHED);
}

static void begin_again(uint64_t last, int64_t at_ms) {
  char text[200];
  snprintf(text, sizeof text, "UPDATE change SET at_ms=%lld", (long long)at_ms);
  ok(fl_store_exec(s, text, &err));
  snprintf(text, sizeof text, "INSERT INTO change VALUES(%llu,1,%lld,x'1208000101')",
           (unsigned long long)last, (long long)at_ms);
  ok(fl_store_exec(s, text, &err));
  fl_store_close(s);
  s = open_store(dir);
}

// The number of the oldest row after so many commits, with an event each.
static uint64_t oldest_after(int commits, uint64_t expected_last) {
  uint64_t first, last;
  for (int i = 0; i < commits; i++) {
    add(s, 1, FL_EVENT_NODE_STARTED, T0);
    ok(fl_store_commit(s, &err));
  }
  ok(fl_store_get_changes(s, &first, &last, &err));
  assert_int_equal(last, expected_last);
  return first;
}

static void old_ones_go_and_the_last_stay(void **state) {
  (void)state;
  const int64_t week_ms = 7 * 86400000LL, month_ago = T0 - 30 * 86400000LL;
  // One a commit, as far as one may be kept in any case, and somewhat more.
  ok(fl_store_begin(s, &err));
  ok(fl_store_exec(s,
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<10098)"
                   " INSERT INTO change SELECT i,1,0,x'1208000101' FROM n",
                   &err));
  ok(fl_store_commit(s, &err));
  begin_again(10099, month_ago);
  assert_int_equal(oldest_after(2, 10101), 1);  // a hundredth more
  assert_int_equal(oldest_after(1, 10102), 65); // some of it a commit
  assert_int_equal(oldest_after(7, 10109), 103);
  assert_int_equal(oldest_after(50, 10159), 103); // until there is a hundredth again
  // Of a week and somewhat more than an hour.
  begin_again(10300, T0 - week_ms - 3600000);
  assert_int_equal(oldest_after(10, 10310), 103);
  begin_again(10320, T0 - week_ms - 2 * 3600000);
  assert_int_equal(oldest_after(10, 10330), 324);
  // Not old, but too many.
  begin_again(1010329, T0);
  assert_int_equal(oldest_after(0, 1010329), 324);
  assert_int_equal(oldest_after(1, 1010330), 388);
  assert_int_equal(oldest_after(200, 1010530), 1010329);
}

static void damaged_ones_are_said_to_be(void **state) {
  (void)state;
  list l = {.wanted = 64};
  add(s, 1, FL_EVENT_NODE_STARTED, T0);
  add(s, 1, FL_EVENT_NODE_STARTED, T0);
  ok(fl_store_commit(s, &err));
  ok(fl_store_exec(s, "UPDATE change SET data=substr(data,1,length(data)-1)", &err));
  fails(fl_store_each_change(s, 0, collect, &l, &err), FL_E_CORRUPT, "change 2 is damaged");
}

static void others_commits_are_news(void **state) {
  (void)state;
  fl_store *other = open_store(dir), *reader = open_reader(dir);
  bool own, others;
  ok(fl_store_look(other, &own, &others, &err));
  ok(fl_store_look(reader, &own, &others, &err));
  ok(fl_store_look(reader, &own, &others, &err));
  assert_false(own || others);
  add(other, 1, FL_EVENT_NODE_STARTED, T0);
  ok(fl_store_look(reader, &own, &others, &err));
  assert_false(own || others);
  ok(fl_store_commit(other, &err));
  ok(fl_store_look(reader, &own, &others, &err));
  assert_true(others && !own);
  ok(fl_store_look(other, &own, &others, &err));
  assert_true(own && !others);
  ok(fl_store_look(reader, &own, &others, &err));
  assert_false(own || others);
  fl_store_close(other), fl_store_close(reader);
}

int main(void) {
#define row(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)
  const struct CMUnitTest tests[] = {
      row(what_is_read_is_what_was_told),     row(numbers_rise_whoever_writes),
      row(what_is_rolled_back_has_no_number), row(old_ones_go_and_the_last_stay),
      row(damaged_ones_are_said_to_be),       row(others_commits_are_news),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
