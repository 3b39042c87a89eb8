// Runs that move between stores, and forks: every row of every table of a run, and nothing half.
#include "store_helper.h"
#include "store/copy_internal.h"

#define ID "20231114T221320-00000001"

/// Every table of a run with its rows, each by what it means: values by text, runs by id.
static char *dump_run(fl_store *s, const char *id) {
  static const char *const parts[] = {
      "SELECT flow,status,time,\"trigger\",params,vars,started_at,ended_at,resumes,error,epoch,"
      "owner,leased,cancel,parent_node,version FROM v_run WHERE id='%s'",
      "SELECT node,name,type,map,position,item,status,attempts,checkpoint,progress_done,place,"
      "removed FROM v_node WHERE run='%s' ORDER BY node",
      "SELECT node,name,number,status,reason,end_reason,epoch,seq,end_seq,claimed_at,started_at,"
      "ended_at,exit_code,signal,error,synthetic,log_path,log_total,child_run IS NULL FROM"
      " v_attempt WHERE run='%s' ORDER BY node,number",
      "SELECT node,number,params,vars,vars_out,vars_by,outputs,recorded FROM v_context"
      " WHERE run='%s' ORDER BY node,number",
      "SELECT node,seq,status,reason,detail FROM v_decision WHERE run='%s' ORDER BY seq",
      "SELECT epoch,owner,supervisor,at,patch,reason,author FROM v_epoch WHERE run='%s'",
      "SELECT seq,epoch,node,attempt FROM v_breakpoint WHERE run='%s' ORDER BY seq",
      "SELECT number,epoch,origin,reason,patch FROM v_proposal WHERE run='%s'",
      "SELECT version,dir,position,path,data FROM v_script WHERE run='%s'",
      "SELECT t.node,t.name,v.text FROM step t JOIN run r ON r.row=t.run LEFT JOIN value v"
      " ON v.id=t.value WHERE r.id='%s'",
      "SELECT at_ms,list FROM claim c JOIN run r ON r.row=c.run WHERE r.id='%s'",
      "SELECT i.epoch,p.text,v.text FROM run_input i JOIN run r ON r.row=i.run LEFT JOIN value p"
      " ON p.id=i.params LEFT JOIN value v ON v.id=i.vars WHERE r.id='%s'",
  };
  fl_buf out;
  fl_buf_init(&out, 64 << 20);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char sql[1024];
    snprintf(sql, sizeof sql, parts[i], id);
    char *rows = text_of(s, sql);
    fl_buf_addf(&out, "%s\n--\n", rows);
    free(rows);
  }
  return fl_buf_take(&out);
}

/// A run with something in every table, and a sub-flow run that its node 1 called.
static void add_rich_run(fl_store *s, fl_run_row *run, fl_run_row *child) {
  fl_value *big = NULL;
  char *text = malloc(FL_VALUE_INLINE_MAX + 100);
  memset(text, 'x', FL_VALUE_INLINE_MAX + 99);
  text[0] = text[FL_VALUE_INLINE_MAX + 98] = '"';
  big = fl_value_new(text, FL_VALUE_INLINE_MAX + 99);
  free(text);
  add_run(s, ID, run);
  run->params = put_text(s, "{\"p\":1}");
  ok(fl_store_set_run_inputs(s, run->row, run->definition, run->script, run->params,
                             put_text(s, "{\"v\":[1,2]}"), &err));
  add_run(s, "20231114T221320-00000002", child);
  sqlite3_exec(s->db, "UPDATE run SET parent_run=1,parent_node=1 WHERE row=2", NULL, NULL, NULL);
  add_ended(s, child, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"inner\":true}");
  add_ended(s, run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"rows\":10}");
  ok(fl_store_put_value(s, big, &err));
  fl_attempt_row a = claim(run, 1, 1, 3);
  a.vars_in = put_text(s, "{\"k\":\"v\"}");
  a.child_run = child->row;
  a.state = FL_ATTEMPT_FAILED;
  a.end_seq = 4;
  a.outputs = big->store_id;
  a.vars_out = a.vars_by = a.recorded = a.params = put_text(s, "{\"other\":0}");
  a.log = (fl_log_place){.path = "logs/x", .offset = 7, .size = 9, .total = 11};
  ok(fl_store_add_attempt(s, &a, &err));
  ok(fl_store_add_breakpoint(
      s, &(fl_breakpoint_row){.run = run->row, .seq = 4, .epoch = 1, .node = 1, .number = 1},
      &err));
  decide(s, run, 2, 5, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "clean");
  ok(fl_store_add_item(s,
                       &(fl_item_row){.run = run->row,
                                      .node = 4,
                                      .map_node = 2,
                                      .position = 1,
                                      .name = "load[1]",
                                      .value = put_text(s, "\"i\"")},
                       &err));
  fl_value *v = value_of("{\"at\":5}");
  ok(fl_store_put_checkpoint(s, run->row, 1, 1, T0, v, &err));
  ok(fl_store_put_step(s, run->row, 1, "once", v, &err));
  fl_value_unref(v);
  ok(fl_store_put_progress(s, run->row, 1, 1, 2, "half", T0, &err));
  ok(fl_store_put_claims(s, run->row, T0, "[[3,1]]", &err));
  fl_epoch_row epoch = {.epoch = 1,
                        .owner = (char *)"o",
                        .supervisor = (char *)"sup",
                        .at_ms = T0,
                        .patch = put_text(s, "{\"vars\":{}}"),
                        .reason = (char *)"why",
                        .author = (char *)"ann"};
  ok(fl_store_put_epoch(s, run->row, &epoch, &err));
  char sql[256];
  snprintf(sql, sizeof sql, "INSERT INTO proposal VALUES(1,1,1,5,'rules','slow',%d,NULL,NULL)",
           (int)put_text(s, "{\"skip\":[\"load\"]}"));
  ok(fl_store_exec(s, sql, &err));
  ok(fl_store_set_run_state(s, run->row, FL_RUN_FAILED, 0, T0 + 500, "node 'clean': bad", &err));
  ok(fl_store_set_run_state(s, child->row, FL_RUN_FAILED, 0, T0 + 400, "x", &err));
  ok(fl_store_commit(s, &err));
  fl_value_unref(big);
}

typedef struct box {
  char *dir, *file;
  fl_store *s;
  fl_run_row run, child;
} box;

static int open_box(void **state) {
  box *b = calloc(1, sizeof *b);
  b->dir = make_dir();
  b->file = join(b->dir, "run.flowlua");
  b->s = open_store(b->dir);
  add_rich_run(b->s, &b->run, &b->child);
  ok(fl_store_export(b->s, &b->run, "host", T0, b->file, false, &err));
  *state = b;
  return 0;
}

static int close_box(void **state) {
  box *b = *state;
  fl_store_close(b->s);
  remove_dir(b->dir);
  free(b->file);
  free(b);
  return 0;
}

// ------------------------------------------------------------------------------------- tests

/// Every value that its rows name.
static void every_value_of_a_run_goes_along(void **state) {
  box *b = *state;
  fl_buf sql;
  fl_buf_init(&sql, 1 << 16);
  fl_buf_addf(&sql, "SELECT count(*) FROM (");
  fl_copy_add_ids_sql(FL_COLUMN_VALUE, &sql);
  fl_buf_addf(&sql, ")");
  // All of this store's values but "null" belong to the two runs.
  char *all = text_of(b->s, fl_buf_cstr(&sql));
  char *values = text_of(b->s, "SELECT count(*) FROM value WHERE id<>2 AND id<>1");
  assert_string_equal(all, values);
  free(all);
  free(values);
  fl_buf_deinit(&sql);
}

static void an_exported_run_is_the_same_in_another_store(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *dir = make_dir();
  fl_run_row other;
  fl_store *t = open_store(dir);
  // Ids of rows differ there.
  put_text(t, "{\"first\":1}");
  put_text(t, "{\"p\":1}");
  add_run(t, "20231114T221320-0000000a", &other);
  ok(fl_store_commit(t, &err));
  ok(fl_store_import(t, b->file, id, &err));
  assert_string_equal(id, ID);
  char *before = dump_run(b->s, ID), *after = dump_run(t, ID);
  assert_string_equal(before, after);
  free(before), free(after);
  before = dump_run(b->s, b->child.id), after = dump_run(t, b->child.id);
  assert_string_equal(before, after);
  free(before), free(after);
  assert_rows(t, "SELECT id,parent,parent_node FROM v_run ORDER BY id",
              ID "|-|-\n20231114T221320-00000002|" ID "|clean\n20231114T221320-0000000a|-|-");
  assert_rows(t, "SELECT child_run FROM v_attempt WHERE child_run IS NOT NULL",
              "20231114T221320-00000002");
  // The large value is a file there too.
  assert_int_equal(number_of(t, "SELECT count(*) FROM value WHERE text IS NULL"), 1);
  fl_value *big;
  ok(fl_store_get_value(t, number_of(t, "SELECT id FROM value WHERE text IS NULL"), &big, &err));
  assert_int_equal(big->size, FL_VALUE_INLINE_MAX + 99);
  fl_value_unref(big);
  char *origin = text_of(t, "SELECT origin FROM v_run WHERE id='" ID "'");
  char start[256];
  snprintf(start, sizeof start, "{\"host\":\"host\",\"state\":\"%s\"", b->dir);
  assert_non_null(strstr(origin, start));
  assert_non_null(strstr(origin, "\"exported_at\":\"2023-11-14T22:13:20.000Z\",\"epoch\":1}"));
  free(origin);
  fl_store_close(t);
  remove_dir(dir);
}

/// What held while an engine ran it does not go along: nobody owns the copy, and no wish waits.
static void a_copy_is_owned_by_nobody(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *dir = make_dir();
  fl_store *t = open_store(dir);
  ok(fl_store_exec(b->s, "UPDATE run SET owner='engine-1',cancel=1", &err));
  ok(fl_store_export(b->s, &b->run, "host", T0, b->file, true, &err));
  ok(fl_store_import(t, b->file, id, &err));
  assert_rows(t, "SELECT DISTINCT owner,cancel FROM run", "|0");
  fl_store_close(t);
  remove_dir(dir);
}

/// A file of schema 3: the table of items had another name there.
static void items_of_an_older_file_are_taken_in(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *dir = make_dir(), *data = NULL;
  size_t at, size;
  sqlite3 *db = NULL;
  sqlite3_int64 bytes = 0;
  ok(fl_export_read(fl_disk_system(), b->file, &data, &at, &size, &err));
  unsigned char *payload = sqlite3_malloc64(size);
  memcpy(payload, data + at, size);
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  sqlite3_deserialize(db, "main", payload, (sqlite3_int64)size, (sqlite3_int64)size,
                      SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  assert_int_equal(sqlite3_exec(db, "ALTER TABLE item RENAME TO instance", NULL, NULL, NULL), 0);
  unsigned char *older = sqlite3_serialize(db, "main", &bytes, 0);
  ok(fl_export_write(fl_disk_system(), b->file, older, (size_t)bytes, true, &err));
  fl_store *t = open_store(dir);
  ok(fl_store_import(t, b->file, id, &err));
  assert_rows(t, "SELECT name,map,position,item FROM v_node WHERE map IS NOT NULL",
              "load[1]|load|1|\"i\"");
  fl_store_close(t);
  sqlite3_free(older), sqlite3_close(db);
  free(data), remove_dir(dir);
}

static void a_run_that_is_there_is_left_as_it_is(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *before = dump_run(b->s, ID);
  fails(fl_store_import(b->s, b->file, id, &err), FL_E_STATE, "run " ID " is in '");
  char *after = dump_run(b->s, ID);
  assert_string_equal(before, after);
  assert_int_equal(number_of(b->s, "SELECT count(*) FROM run"), 2);
  free(before), free(after);
}

static void a_file_that_is_there_is_not_overwritten_unasked(void **state) {
  box *b = *state;
  size_t size, again;
  write_all_to(b->file, "mine", 4);
  fails(fl_store_export(b->s, &b->run, "host", T0, b->file, false, &err), FL_E_STATE,
        "is there already");
  char *text = read_all(b->file, &size);
  assert_int_equal(size, 4);
  ok(fl_store_export(b->s, &b->run, "host", T0, b->file, true, &err));
  free(text);
  text = read_all(b->file, &again);
  assert_true(again > 1000);
  free(text);
  fails(fl_store_export(b->s, &b->run, "host", T0, "/nowhere/at/all", false, &err), FL_E_SYSTEM,
        "cannot write '/nowhere/at/all'");
}

/// Rows of all tables of the store, as one text.
static char *dump_counts(fl_store *s) {
  return text_of(s, "SELECT (SELECT count(*) FROM run),(SELECT count(*) FROM attempt),(SELECT"
                    " count(*) FROM value),(SELECT count(*) FROM script),(SELECT count(*) FROM"
                    " definition),(SELECT count(*) FROM source)");
}

static void a_file_with_any_byte_changed_is_refused(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *dir = make_dir(), *copy = join(b->dir, "copy");
  size_t size;
  uint32_t seed = 20231114;
  fl_store *t = open_store(dir);
  char *data = read_all(b->file, &size), *before = dump_counts(t);
  for (int i = 0; i < 300; i++) {
    // The first hundred within the header, where each byte has a meaning of its own.
    seed = seed * 1664525 + 1013904223;
    size_t at = i < 100 ? (size_t)i : seed % size;
    int bit = (int)(seed >> 24) % 8;
    data[at] ^= (char)(1 << bit);
    write_all_to(copy, data, size);
    fl_code code = fl_store_import(t, copy, id, &err);
    if (code != FL_E_CORRUPT && code != FL_E_NEWER)
      fail_msg("byte %zu bit %d: %d %s", at, bit, code, err.message);
    data[at] ^= (char)(1 << bit);
  }
  for (size_t cut = 0; cut < size; cut += cut < 200 ? 1 : size / 20) {
    write_all_to(copy, data, cut);
    assert_int_equal(fl_store_import(t, copy, id, &err), FL_E_CORRUPT);
  }
  char *longer = malloc(size + 1);
  memcpy(longer, data, size);
  longer[size] = 0;
  write_all_to(copy, longer, size + 1);
  fails(fl_store_import(t, copy, id, &err), FL_E_CORRUPT, "its digest differs");
  char *after = dump_counts(t);
  assert_string_equal(before, after);
  ok(fl_store_import(t, b->file, id, &err)); // and the whole one is taken
  fl_store_close(t);
  free(longer), free(before), free(after), free(data), free(copy);
  remove_dir(dir);
}

static void a_file_of_a_newer_version_is_refused(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE];
  size_t size, at, n;
  char *data;
  ok(fl_export_read(fl_disk_system(), b->file, &data, &at, &n, &err));
  free(data);
  data = read_all(b->file, &size);
  data[strlen("flowlua-run ")] = '2';
  write_all_to(b->file, data, size);
  fails(fl_store_import(b->s, b->file, id, &err), FL_E_NEWER, "newer FlowLua (format 2");
  free(data);
  fails(fl_store_import(b->s, "/nowhere", id, &err), FL_E_NOT_FOUND, "no file '/nowhere'");
}

/// A payload that its writer made to do harm has a right digest all the same.
static void what_is_not_rows_is_refused(void **state) {
  static const char *const bad[][2] = {
      {"CREATE VIEW v AS SELECT 1", "more than rows"},
      {"UPDATE attempt SET outputs=999999 WHERE outputs IS NOT NULL", "names what it does not"},
      {"UPDATE value SET text='{\"p\":2}' WHERE text='{\"p\":1}'", "a value in it is not"},
      {"UPDATE script_source SET data='os.exit()'", "a script in it is not"},
      {"UPDATE run SET id='../../etc'", "has no name"},
      {"UPDATE attempt SET epoch='many'", "cannot store TEXT"},
      {"DELETE FROM origin", "where it is from"},
      {"DROP TABLE value", "no such table"},
  };
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *dir = make_dir();
  fl_store *t = open_store(dir);
  char *before = dump_counts(t);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *data;
    size_t at, size;
    sqlite3 *db;
    sqlite3_int64 new_size;
    ok(fl_export_read(fl_disk_system(), b->file, &data, &at, &size, &err));
    unsigned char *page = sqlite3_malloc64(size);
    memcpy(page, data + at, size);
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_deserialize(db, "main", page, (sqlite3_int64)size, (sqlite3_int64)size,
                        SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
    if (sqlite3_exec(db, bad[i][0], NULL, NULL, NULL)) fail_msg("%s", sqlite3_errmsg(db));
    unsigned char *made = sqlite3_serialize(db, "main", &new_size, 0);
    char *path = join(b->dir, "bad");
    ok(fl_export_write(fl_disk_system(), path, made, (size_t)new_size, true, &err));
    err.message[0] = 0;
    fl_code code = fl_store_import(t, path, id, &err);
    if (!code || !strstr(err.message, bad[i][1])) fail_msg("%s: %s", bad[i][0], err.message);
    free(path), free(data);
    sqlite3_free(made);
    sqlite3_close(db);
  }
  char *after = dump_counts(t);
  assert_string_equal(before, after);
  fl_store_close(t);
  free(before), free(after);
  remove_dir(dir);
}

static void a_fork_is_the_run_again_and_leaves_it_alone(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], sql[200];
  char *before = dump_run(b->s, ID), *values = dump_counts(b->s);
  ok(fl_store_fork(b->s, &b->run, T0 + 9000, id, &err));
  assert_string_not_equal(id, ID);
  char *after = dump_run(b->s, ID), *fork = dump_run(b->s, id);
  assert_string_equal(before, after);
  assert_string_equal(before, fork);
  free(after), free(fork), free(before);
  snprintf(sql, sizeof sql, "SELECT fork_of,created_at FROM v_run WHERE id='%s'", id);
  assert_rows(b->s, sql, ID "|2023-11-14T22:13:29.000Z");
  snprintf(sql, sizeof sql, "SELECT fork_of FROM v_run WHERE parent='%s'", id);
  assert_rows(b->s, sql, "20231114T221320-00000002");
  assert_int_equal(number_of(b->s, "SELECT count(DISTINCT child_run) FROM attempt"), 2);
  char *shared = dump_counts(b->s);
  assert_string_equal(strchr(values, '|') + 3, strchr(shared, '|') + 3); // runs, attempts doubled
  free(values), free(shared);
}

/// Either of the two may be pruned, with its logs, and the other still has them.
static void a_fork_has_its_own_names_for_the_logs(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], sql[300], path[200];
  size_t size;
  snprintf(path, sizeof path, "%s/logs", b->dir);
  mkdir(path, 0777);
  snprintf(path, sizeof path, "%s/logs/" ID, b->dir);
  mkdir(path, 0777);
  snprintf(path, sizeof path, "%s/logs/" ID "/shared.log", b->dir);
  write_all_to(path, "hello", 5);
  ok(fl_store_begin(b->s, &err));
  ok(fl_store_exec(b->s,
                   "UPDATE attempt SET log_path=CASE node WHEN 0 THEN 'logs/" ID "/gone.log' ELSE"
                   " 'logs/" ID "/shared.log' END WHERE run=1",
                   &err));
  ok(fl_store_commit(b->s, &err));
  ok(fl_store_fork(b->s, &b->run, T0 + 9000, id, &err));
  remove(path);
  snprintf(path, sizeof path, "%s/logs/%s/shared.log", b->dir, id);
  char *text = read_all(path, &size);
  assert_int_equal(size, 5);
  free(text);
  snprintf(sql, sizeof sql,
           "SELECT replace(log_path,'%s','NEW') FROM v_attempt WHERE run='%s' ORDER BY node", id,
           id);
  assert_rows(b->s, sql, "logs/" ID "/gone.log\nlogs/NEW/shared.log");
}

/// A copy is sealed as a run that ended is; what is damaged is not copied and sealed anew.
static void copies_are_sealed_and_damage_is_not_copied(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE], *dir = make_dir();
  fl_store *t = open_store(dir);
  ok(fl_store_seal_run(b->s, b->run.row, &err));
  ok(fl_store_commit(b->s, &err));
  ok(fl_store_fork(b->s, &b->run, T0, id, &err));
  ok(fl_store_import(t, b->file, id, &err));
  assert_int_equal(number_of(b->s, "SELECT count(*) FROM seal"), 3);
  assert_int_equal(number_of(t, "SELECT count(*) FROM seal"), 2);
  ok(fl_store_check_run(b->s, 3, &err));
  ok(fl_store_check_run(t, 1, &err));
  ok(fl_store_begin(t, &err));
  ok(fl_store_exec(t, "UPDATE attempt SET state=2", &err));
  ok(fl_store_commit(t, &err));
  fl_run_row row;
  ok(fl_store_find_run(t, ID, &row, &err));
  fails(fl_store_fork(t, &row, T0, id, &err), FL_E_CORRUPT, "is damaged");
  fails(fl_store_export(t, &row, "host", T0, b->file, true, &err), FL_E_CORRUPT, "is damaged");
  fl_run_row_deinit(&row);
  fl_store_close(t);
  remove_dir(dir);
}

static void what_has_not_ended_is_not_forked(void **state) {
  box *b = *state;
  char id[FL_RUN_ID_SIZE];
  ok(fl_store_set_run_state(b->s, b->run.row, FL_RUN_RUNNING, 0, -1, "", &err));
  ok(fl_store_commit(b->s, &err));
  fails(fl_store_fork(b->s, &b->run, T0, id, &err), FL_E_STATE, "has not ended");
  assert_int_equal(number_of(b->s, "SELECT count(*) FROM run"), 2);
}

int main(void) {
#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)
  const struct CMUnitTest tests[] = {
      BOXED(every_value_of_a_run_goes_along),
      BOXED(an_exported_run_is_the_same_in_another_store),
      BOXED(a_copy_is_owned_by_nobody),
      BOXED(items_of_an_older_file_are_taken_in),
      BOXED(a_run_that_is_there_is_left_as_it_is),
      BOXED(a_file_that_is_there_is_not_overwritten_unasked),
      BOXED(a_file_with_any_byte_changed_is_refused),
      BOXED(a_file_of_a_newer_version_is_refused),
      BOXED(what_is_not_rows_is_refused),
      BOXED(a_fork_is_the_run_again_and_leaves_it_alone),
      BOXED(a_fork_has_its_own_names_for_the_logs),
      BOXED(copies_are_sealed_and_damage_is_not_copied),
      BOXED(what_has_not_ended_is_not_forked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
