// The description of the tables is what the schema has and what docs/data.md says, and whatever a
// row names outlives a prune.
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

static void every_table_of_the_schema_is_described(void **state) {
  (void)state;
  fl_buf names;
  fl_buf_init(&names, 1 << 16);
  char *schema = text_of(s, "SELECT name FROM sqlite_schema WHERE type='table'"
                            " AND name NOT LIKE 'sqlite_%' ORDER BY name");
  size_t count = 0;
  for (char *save, *name = strtok_r(schema, "\n", &save); name;
       name = strtok_r(NULL, "\n", &save)) {
    if (!fl_table_find(name)) fail_msg("table %s is not described", name);
    count++;
  }
  assert_int_equal(count, FL_STORE_TABLES);
  free(schema);
  fl_buf_deinit(&names);
}

static void every_column_is_described_with_its_type(void **state) {
  (void)state;
  fl_buf listed;
  fl_buf_init(&listed, 1 << 16);
  for (size_t i = 0; i < FL_STORE_TABLES; i++) {
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT name||' '||type FROM pragma_table_info('%s')"
             " WHERE '%s'<>'checkpoint' OR name<>'id' ORDER BY cid",
             fl_tables[i].name, fl_tables[i].name);
    char *columns = text_of(s, sql);
    fl_buf_reset(&listed);
    for (const fl_column *k = fl_tables[i].columns; k->name; k++)
      fl_buf_addf(&listed, "%s%s %s", k == fl_tables[i].columns ? "" : "\n", k->name,
                  fl_column_type(k->kind));
    if (strcmp(fl_buf_cstr(&listed), columns))
      fail_msg("table %s:\n%s\nis described as\n%s", fl_tables[i].name, columns,
               fl_buf_cstr(&listed));
    free(columns);
  }
  fl_buf_deinit(&listed);
}

/// The keys of a description are those of the table: rows of one owner stand together, and `rest`
/// orders them.
static void keys_are_those_of_the_schema(void **state) {
  (void)state;
  for (size_t i = 0; i < FL_STORE_TABLES; i++) {
    const fl_table *t = &fl_tables[i];
    if (t->use == FL_TABLE_OWN || !strcmp(t->name, "checkpoint")) continue;
    char sql[256], expected[64];
    snprintf(sql, sizeof sql,
             "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info('%s')"
             " WHERE pk ORDER BY pk)",
             t->name);
    snprintf(expected, sizeof expected, "%s%s%s", t->key, t->rest ? "," : "",
             t->rest ? t->rest : "");
    assert_rows(s, sql, expected);
  }
}

/// Numbers that name nothing. A column that is in no list here names a row, and says of what kind.
static void a_number_names_nothing(void **state) {
  static const char plain[] =
      " time_ms parent_node created_ms started_ms ended_ms resumes epoch interval_from_ms"
      " interval_to_ms replay_live duration_ms at_ms node number seq end_seq state reason "
      "end_reason"
      " claimed_ms exit_code signal synthetic pid retry_at_ms cpu_us rss_max_bytes log_offset"
      " log_size log_total map_node position automatic applied_epoch schema size node_count edited"
      " hook removed count kind id definition script slot weight capacity ";
  (void)state;
  for (size_t i = 0; i < FL_STORE_TABLES; i++)
    for (const fl_column *k = fl_tables[i].columns; k->name; k++) {
      char word[64];
      snprintf(word, sizeof word, " %s ", k->name);
      if (k->kind == FL_COLUMN_INT && !strstr(plain, word))
        fail_msg("%s.%s is a plain number?", fl_tables[i].name, k->name);
      // Those two are keys of parts, and nothing else.
      bool key = fl_tables[i].use == FL_TABLE_PART && !strcmp(k->name, fl_tables[i].key);
      if (k->kind == FL_COLUMN_INT && !key &&
          (!strcmp(k->name, "definition") || !strcmp(k->name, "script")))
        fail_msg("%s.%s names a row", fl_tables[i].name, k->name);
    }
}

/// Puts a row into table `t` for run `run`, with `id` in column `named` and something in the
/// others.
static void put_row(const fl_table *t, const fl_column *named, int64_t run, int64_t id) {
  fl_buf names, values;
  fl_buf_init(&names, 1 << 16);
  fl_buf_init(&values, 1 << 16);
  for (const fl_column *k = t->columns; k->name; k++) {
    const char *type = fl_column_type(k->kind);
    bool is_name = k->kind >= FL_COLUMN_VALUE && k->kind <= FL_COLUMN_SOURCE && k != named;
    if (is_name && strcmp(t->name, "run_input") && strcmp(t->name, "definition")) continue;
    fl_buf_addf(&names, "%s\"%s\"", names.size ? "," : "", k->name);
    fl_buf_add_str(&values, values.size ? "," : "");
    if (k == named)
      fl_buf_addf(&values, "%lld", (long long)id);
    else if (k->kind == FL_COLUMN_RUN)
      fl_buf_addf(&values, "%lld", (long long)run);
    else if (is_name)
      fl_buf_addf(&values, "1");
    else
      fl_buf_addf(&values, "%s",
                  !strcmp(type, "BLOB")   ? "x'99'"
                  : !strcmp(type, "TEXT") ? "'t'"
                                          : "7");
  }
  fl_buf sql;
  fl_buf_init(&sql, 1 << 16);
  fl_buf_addf(&sql, "INSERT OR REPLACE INTO \"%s\"(%s) VALUES(%s)", t->name, fl_buf_cstr(&names),
              fl_buf_cstr(&values));
  ok(fl_store_begin(s, &err));
  ok(fl_store_exec(s, fl_buf_cstr(&sql), &err));
  ok(fl_store_commit(s, &err));
  fl_buf_deinit(&names), fl_buf_deinit(&values), fl_buf_deinit(&sql);
}

static void prune_all(void) {
  fl_buf ids;
  int64_t bytes;
  fl_buf_init(&ids, 1 << 16);
  fl_prune_wish wish = {.older_than_ms = INT64_MAX, .size_max_bytes = -1, .all = true};
  ok(fl_store_prune(s, &wish, &ids, &bytes, &err));
  fl_buf_deinit(&ids);
}

/// Of every column that names a value, in every table: prune keeps what it names, and removes it
/// when the row is gone.
static void what_a_row_names_outlives_a_prune(void **state) {
  int columns = 0;
  (void)state;
  fl_run_row run;
  add_run(s, "20231114T221320-00000001", &run);
  ok(fl_store_commit(s, &err));
  for (size_t i = 0; i < FL_STORE_TABLES; i++)
    for (const fl_column *k = fl_tables[i].columns; k->name; k++) {
      const fl_table *t = &fl_tables[i];
      char text[64], sql[256];
      if (k->kind != FL_COLUMN_VALUE) continue;
      snprintf(text, sizeof text, "[\"%s.%s\"]", t->name, k->name);
      ok(fl_store_begin(s, &err));
      int64_t id = put_text(s, text);
      ok(fl_store_commit(s, &err));
      if (strcmp(t->name, "run")) {
        put_row(t, k, run.row, id);
      } else {
        snprintf(sql, sizeof sql, "UPDATE run SET \"%s\"=%lld", k->name, (long long)id);
        ok(fl_store_exec(s, sql, &err));
      }
      prune_all();
      snprintf(sql, sizeof sql, "SELECT count(*) FROM value WHERE id=%lld", (long long)id);
      if (number_of(s, sql) != 1) fail_msg("%s.%s: what it named is gone", t->name, k->name);
      char drop[256];
      snprintf(drop, sizeof drop,
               strcmp(t->name, "run") ? "DELETE FROM \"%s\" WHERE run=%lld"
                                      : "UPDATE \"%s\" SET params=NULL,vars=NULL WHERE row=%lld",
               t->name, (long long)run.row);
      ok(fl_store_exec(s, drop, &err));
      prune_all();
      if (number_of(s, sql) != 0) fail_msg("%s.%s: nothing names it any more", t->name, k->name);
      columns++;
    }
  assert_int_equal(columns, 16);
}

static void rows_of_a_run_go_with_it(void **state) {
  (void)state;
  fl_run_row run;
  add_run(s, "20231114T221320-00000001", &run);
  ok(fl_store_commit(s, &err));
  int tables = 0;
  for (size_t i = 0; i < FL_STORE_TABLES; i++)
    if (fl_tables[i].use == FL_TABLE_OF_RUN && strcmp(fl_tables[i].name, "run")) {
      const fl_column *value = fl_tables[i].columns;
      while (value->name && value->kind != FL_COLUMN_VALUE) value++;
      put_row(&fl_tables[i], value, run.row, 1);
      tables++;
    }
  assert_int_equal(tables, 12);
  ok(fl_store_exec(s, "UPDATE run SET state=3,ended_ms=5,owner=''", &err));
  prune_all();
  for (size_t i = 0; i < FL_STORE_TABLES; i++) {
    char sql[128];
    if (fl_tables[i].use != FL_TABLE_OF_RUN) continue;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", fl_tables[i].name);
    if (number_of(s, sql) != 0) fail_msg("rows of %s are left", fl_tables[i].name);
  }
}

int main(void) {
#define row(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)
  const struct CMUnitTest tests[] = {
      row(every_table_of_the_schema_is_described), row(every_column_is_described_with_its_type),
      row(keys_are_those_of_the_schema),           row(a_number_names_nothing),
      row(what_a_row_names_outlives_a_prune),      row(rows_of_a_run_go_with_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
