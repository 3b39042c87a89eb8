// What the tables are: one description of each, from which copies (export, import, fork), prune,
// seals, the check of a store that is opened and the sizes of runs are made. A table or column that
// is in the schema and not here, or here and not in the schema or in docs/data.md, fails
// tests/unit/store/table_test.c. Nobody outside store/ includes this.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// What a column holds. Its type in SQL follows from it.
typedef enum fl_column_kind {
  FL_COLUMN_INT,
  FL_COLUMN_REAL,
  FL_COLUMN_TEXT,
  FL_COLUMN_BLOB,
  FL_COLUMN_ANY,
  FL_COLUMN_RUN,        // row of the run that the row belongs to
  FL_COLUMN_LINK,       // row of a run that may be gone
  FL_COLUMN_ID,         // a run's id
  FL_COLUMN_VALUE,      // row of a value, which is kept as long as this names it
  FL_COLUMN_DEFINITION, // row of a definition, likewise
  FL_COLUMN_SCRIPT,     // row of a script, likewise
  FL_COLUMN_SOURCE,     // row of a source, likewise
  FL_COLUMN_OWNER,      // text of a living engine: "" in a copy
  FL_COLUMN_MOMENT,     // holds while an engine runs it: 0 in a copy
  FL_COLUMN_LOG,        // path of a log
  FL_COLUMN_KIND_COUNT
} fl_column_kind;

typedef struct fl_column {
  const char *name; // NULL: the one before was the last
  fl_column_kind kind;
  bool loose; // may change after a run has ended: its seal leaves it out
} fl_column;

typedef enum fl_table_use {
  FL_TABLE_OF_RUN, // copied with its run, removed after it
  FL_TABLE_SHARED, // named by other rows through a column of its kind; removed when none does
  FL_TABLE_PART,   // of a shared row: removed after it
  FL_TABLE_OWN,    // the store's own
} fl_table_use;

typedef struct fl_table {
  const char *name;
  const char *was; // its name in older schemas, NULL: the same
  fl_table_use use;
  const char *key;    // of a run's or a part's rows: names whose they are. Of shared ones: their id
  const char *rest;   // what orders rows of one key. NULL: they are at most one
  const char *parent; // FL_TABLE_PART: table of which they are a part
  const char *bytes;  // about what a row takes, with its share of the B-tree, as SQL
  fl_column_kind named_by; // FL_TABLE_SHARED: kind of the columns that name its rows
  bool sealed;             // the seal of a run covers its rows
  bool remade;             // not copied: it is made again
  const fl_column *columns;
} fl_table;

#define FL_STORE_TABLES 27
extern const fl_table fl_tables[FL_STORE_TABLES];
/// Index of the runs themselves.
#define FL_STORE_TABLE_RUN 0

/// "INTEGER", ... as PRAGMA table_info says it.
const char *fl_column_type(fl_column_kind kind);
/// NULL: there is none.
const fl_table *fl_table_find(const char *name);
