// The tables, as SQL. Columns and who writes them: docs/data.md.
// Numbers of states and reasons are those of base/state.h; 0 is stored as NULL where it means
// "none".
#include "store/store_internal.h"

// Ids that a caller may remember longer than their rows live (run, script, definition) are never
// given out twice (AUTOINCREMENT). attempt and decision have no other index than their key: a
// million of them are written a minute, and all that is asked of them goes by run and node.
// Schema 1.
const char fl_store_tables_sql[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE run_state(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
    "CREATE TABLE node_state(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
    "CREATE TABLE attempt_state(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
    "CREATE TABLE reason(id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL) STRICT;"
    "CREATE TABLE hook(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"

    "CREATE TABLE value(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL,"
    " text TEXT) STRICT;"
    "CREATE UNIQUE INDEX value_digest ON value(digest);"

    "CREATE TABLE source(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"
    " data BLOB NOT NULL) STRICT;"
    "CREATE TABLE script(id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL,"
    " dir TEXT NOT NULL,"
    " UNIQUE(digest, dir)) STRICT;"
    "CREATE TABLE script_source(script INTEGER NOT NULL, position INTEGER NOT NULL,"
    " path TEXT NOT NULL, source INTEGER NOT NULL,"
    " PRIMARY KEY(script, position)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE definition(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " digest BLOB NOT NULL UNIQUE, flow TEXT NOT NULL, script INTEGER NOT NULL, node_count INTEGER "
    "NOT NULL) STRICT;"
    "CREATE TABLE definition_node(definition INTEGER NOT NULL, node INTEGER NOT NULL,"
    " name TEXT NOT NULL, type TEXT NOT NULL, parents TEXT NOT NULL, hook INTEGER NOT NULL,"
    " PRIMARY KEY(definition, node)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE run(row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " flow TEXT NOT NULL, definition INTEGER NOT NULL, script INTEGER NOT NULL,"
    " state INTEGER NOT NULL, time_ms INTEGER NOT NULL, \"trigger\" TEXT NOT NULL,"
    " params INTEGER, vars INTEGER, parent_run INTEGER, parent_node INTEGER, replay_of INTEGER,"
    " created_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER,"
    " resumes INTEGER NOT NULL, epoch INTEGER NOT NULL, owner TEXT NOT NULL,"
    " lease_ms INTEGER NOT NULL, cancel INTEGER NOT NULL, error TEXT, selection TEXT,"
    " interval_from_ms INTEGER, interval_to_ms INTEGER) STRICT;"
    "CREATE INDEX run_by_state ON run(state);"
    "CREATE INDEX run_by_parent ON run(parent_run) WHERE parent_run IS NOT NULL;"
    "CREATE TABLE run_input(run INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " definition INTEGER NOT NULL, script INTEGER NOT NULL, params INTEGER, vars INTEGER,"
    " PRIMARY KEY(run, epoch)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE epoch(run INTEGER NOT NULL, epoch INTEGER NOT NULL, owner TEXT NOT NULL,"
    " supervisor TEXT NOT NULL, at_ms INTEGER NOT NULL, patch INTEGER, reason TEXT,"
    " PRIMARY KEY(run, epoch)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE attempt(run INTEGER NOT NULL, node INTEGER NOT NULL, number INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, seq INTEGER NOT NULL, end_seq INTEGER, state INTEGER NOT NULL,"
    " reason INTEGER NOT NULL, end_reason INTEGER, claimed_ms INTEGER NOT NULL,"
    " started_ms INTEGER, ended_ms INTEGER, exit_code INTEGER, signal INTEGER, error TEXT,"
    " params INTEGER, vars_in INTEGER, vars_out INTEGER, vars_by INTEGER, outputs INTEGER,"
    " recorded INTEGER, synthetic INTEGER, pid INTEGER, retry_at_ms INTEGER, child_run INTEGER,"
    " cpu_us INTEGER, rss_max_bytes INTEGER, log_path TEXT, log_offset INTEGER,"
    " log_size INTEGER, log_total INTEGER,"
    " PRIMARY KEY(run, node, number)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE decision(run INTEGER NOT NULL, node INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, state INTEGER NOT NULL, reason INTEGER NOT NULL, detail TEXT,"
    " at_ms INTEGER NOT NULL, PRIMARY KEY(run, node, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE claim(run INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, list TEXT NOT NULL)"
    " STRICT;"
    "CREATE TABLE instance(run INTEGER NOT NULL, node INTEGER NOT NULL,"
    " map_node INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, type TEXT,"
    " item INTEGER, PRIMARY KEY(run, node)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE checkpoint(run INTEGER NOT NULL, node INTEGER NOT NULL,"
    " number INTEGER NOT NULL, at_ms INTEGER NOT NULL, value INTEGER NOT NULL,"
    " PRIMARY KEY(run, node)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE step(run INTEGER NOT NULL, node INTEGER NOT NULL, name TEXT NOT NULL,"
    " value INTEGER, PRIMARY KEY(run, node, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE progress(run INTEGER NOT NULL, node INTEGER NOT NULL, done REAL NOT NULL,"
    " total REAL NOT NULL, text TEXT, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY(run, node)) STRICT, WITHOUT ROWID;";

// Schema 2: mended runs, and checkpoints in place. A definition that a resume changed (`edited`)
// gives each node the number that the run's records know it by, apart from its place in the script:
// a node keeps its number for the life of the run, new ones get the next, and one that is gone
// stays as `removed`.
const char fl_store_tables_2_sql[] =
    "ALTER TABLE definition ADD COLUMN edited INTEGER;"
    "ALTER TABLE definition_node ADD COLUMN position INTEGER;" // NULL: its number
    "ALTER TABLE definition_node ADD COLUMN removed INTEGER;"
    "ALTER TABLE run ADD COLUMN fork_of INTEGER;"
    "ALTER TABLE run ADD COLUMN replay_live INTEGER;"
    "ALTER TABLE run ADD COLUMN origin TEXT;"
    "ALTER TABLE epoch ADD COLUMN author TEXT;"
    "CREATE TABLE breakpoint(run INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, node INTEGER NOT NULL, number INTEGER, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY(run, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE proposal(run INTEGER NOT NULL, number INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, at_ms INTEGER NOT NULL, origin TEXT NOT NULL, reason TEXT,"
    " patch INTEGER NOT NULL, automatic INTEGER, applied_epoch INTEGER,"
    " PRIMARY KEY(run, number)) STRICT, WITHOUT ROWID;"

    // A checkpoint holds its own text: one that replaces another is one page written, and the old
    // one is gone. Named in `value`, old ones would stay until a prune. With a rowid, for rows of a
    // kilobyte would not lie within a page of the key's tree.
    "CREATE TABLE saved(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, node INTEGER NOT NULL,"
    " number INTEGER NOT NULL, at_ms INTEGER NOT NULL, digest BLOB, text TEXT,"
    " value INTEGER) STRICT;" // value: of schema 1, in place of digest and text
    "INSERT INTO saved(run,node,number,at_ms,value)"
    " SELECT run,node,number,at_ms,value FROM checkpoint;"
    "DROP TABLE checkpoint;"
    "ALTER TABLE saved RENAME TO checkpoint;"
    "CREATE UNIQUE INDEX checkpoint_node ON checkpoint(run,node);";

// Schema 3: the value of an item with each of its attempts, for a list that is made again may
// have another in its place. NULL: that of the item.
const char fl_store_tables_3_sql[] = "ALTER TABLE attempt ADD COLUMN item INTEGER;";

// Schema 4: many runs. Durations as they were measured; what happened, numbered over the whole
// store (change.c); indexes for lists of runs; a prune that lets others write while it looks for
// what nobody names (prune_sweep.c). Who lives owns, and a lease in time says nothing any more; one
// that was given up was written as 0.
const char fl_store_tables_4_sql[] =
    "ALTER TABLE instance RENAME TO item;"
    "UPDATE run SET owner='' WHERE lease_ms=0 AND owner<>'';"
    "ALTER TABLE run DROP COLUMN lease_ms;"
    "ALTER TABLE run ADD COLUMN duration_ms INTEGER;"     // NULL: not measured
    "ALTER TABLE attempt ADD COLUMN duration_ms INTEGER;" // likewise
    "CREATE INDEX run_by_flow ON run(flow);"              // and row, as in every index
    "CREATE INDEX run_by_flow_time ON run(flow,time_ms);"
    "CREATE INDEX run_by_time ON run(time_ms);"
    "CREATE INDEX run_by_trigger ON run(\"trigger\");"
    "CREATE TABLE change(seq INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE touched(kind INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(kind, id))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE seal(run INTEGER PRIMARY KEY, schema INTEGER NOT NULL, digest BLOB NOT NULL)"
    " STRICT;"
    "DELETE FROM meta WHERE key GLOB 'seal:*';" // over columns that have changed
    "DROP INDEX value_digest;"                  // short values are not looked for (value.c)
    "CREATE UNIQUE INDEX value_digest ON value(digest) WHERE " FL_SQL_LONG ";";

// Schema 5: what a node needs to run, so that it can be said what it waits for. `slot` NULL: not
// known.
const char fl_store_tables_5_sql[] = "ALTER TABLE definition_node ADD COLUMN slot INTEGER;"
                                     "ALTER TABLE definition_node ADD COLUMN pool TEXT;"
                                     "ALTER TABLE definition_node ADD COLUMN weight INTEGER;"
                                     "ALTER TABLE definition_node ADD COLUMN capacity INTEGER;";
