// The description of every table (table.h).
#include "store/store_internal.h"

// clang-format off
#define C(name, kind)     {name, FL_COLUMN_##kind, false}
#define LOOSE(name, kind) {name, FL_COLUMN_##kind, true}
#define END               {NULL, FL_COLUMN_INT, false}

static const fl_column run[] = {
  LOOSE("row", RUN), C("id", ID), C("flow", TEXT), C("definition", DEFINITION),
  C("script", SCRIPT), C("state", INT), C("time_ms", INT), C("trigger", TEXT),
  C("params", VALUE), C("vars", VALUE), LOOSE("parent_run", LINK), LOOSE("parent_node", INT),
  LOOSE("replay_of", LINK), LOOSE("created_ms", INT), C("started_ms", INT), C("ended_ms", INT),
  LOOSE("resumes", INT), LOOSE("epoch", INT), LOOSE("owner", OWNER), LOOSE("cancel", MOMENT),
  C("error", TEXT), C("selection", TEXT), C("interval_from_ms", INT),
  C("interval_to_ms", INT), LOOSE("fork_of", LINK), LOOSE("replay_live", INT),
  LOOSE("origin", TEXT), C("duration_ms", INT), END};
static const fl_column run_input[] = {
  C("run", RUN), C("epoch", INT), C("definition", DEFINITION), C("script", SCRIPT),
  C("params", VALUE), C("vars", VALUE), END};
static const fl_column epoch[] = {
  C("run", RUN), C("epoch", INT), C("owner", TEXT), C("supervisor", TEXT), C("at_ms", INT),
  C("patch", VALUE), C("reason", TEXT), C("author", TEXT), END};
static const fl_column attempt[] = {
  C("run", RUN), C("node", INT), C("number", INT), C("epoch", INT), C("seq", INT),
  C("end_seq", INT), C("state", INT), C("reason", INT), C("end_reason", INT),
  C("claimed_ms", INT), C("started_ms", INT), C("ended_ms", INT), C("exit_code", INT),
  C("signal", INT), C("error", TEXT), C("params", VALUE), C("vars_in", VALUE),
  C("vars_out", VALUE), C("vars_by", VALUE), C("outputs", VALUE), C("recorded", VALUE),
  C("synthetic", INT), C("pid", INT), C("retry_at_ms", INT), C("child_run", LINK),
  C("cpu_us", INT), C("rss_max_bytes", INT), C("log_path", LOG), C("log_offset", INT),
  C("log_size", INT), C("log_total", INT), C("item", VALUE), C("duration_ms", INT), END};
static const fl_column decision[] = {
  C("run", RUN), C("node", INT), C("seq", INT), C("epoch", INT), C("state", INT),
  C("reason", INT), C("detail", TEXT), C("at_ms", INT), END};
static const fl_column claim[] = {C("run", RUN), C("at_ms", INT), C("list", TEXT), END};
static const fl_column item[] = {
  C("run", RUN), C("node", INT), C("map_node", INT), C("position", INT), C("name", TEXT),
  C("type", TEXT), C("item", VALUE), END};
// Its first column, a number of SQLite's, is no content: a copy has one of its own.
static const fl_column checkpoint[] = {
  C("run", RUN), C("node", INT), C("number", INT), C("at_ms", INT), C("digest", BLOB),
  C("text", TEXT), C("value", VALUE), END};
static const fl_column step[] = {
  C("run", RUN), C("node", INT), C("name", TEXT), C("value", VALUE), END};
static const fl_column progress[] = {
  C("run", RUN), C("node", INT), C("done", REAL), C("total", REAL), C("text", TEXT),
  C("at_ms", INT), END};
static const fl_column breakpoint[] = {
  C("run", RUN), C("seq", INT), C("epoch", INT), C("node", INT), C("number", INT),
  C("at_ms", INT), END};
static const fl_column proposal[] = {
  C("run", RUN), C("number", INT), C("epoch", INT), C("at_ms", INT), C("origin", TEXT),
  C("reason", TEXT), C("patch", VALUE), C("automatic", INT), C("applied_epoch", INT), END};
static const fl_column seal[] = {C("run", RUN), C("schema", INT), C("digest", BLOB), END};

static const fl_column value[] = {
  C("id", INT), C("digest", BLOB), C("size", INT), C("text", TEXT), END};
static const fl_column source[] = {C("id", INT), C("digest", BLOB), C("data", BLOB), END};
static const fl_column script[] = {C("id", INT), C("digest", BLOB), C("dir", TEXT), END};
static const fl_column script_source[] = {
  C("script", INT), C("position", INT), C("path", TEXT), C("source", SOURCE), END};
static const fl_column definition[] = {
  C("id", INT), C("digest", BLOB), C("flow", TEXT), C("script", SCRIPT), C("node_count", INT),
  C("edited", INT), END};
static const fl_column definition_node[] = {
  C("definition", INT), C("node", INT), C("name", TEXT), C("type", TEXT), C("parents", TEXT),
  C("hook", INT), C("position", INT), C("removed", INT), C("slot", INT), C("pool", TEXT),
  C("weight", INT), C("capacity", INT), END};

static const fl_column change[] = {
  C("seq", INT), C("count", INT), C("at_ms", INT), C("data", BLOB), END};
static const fl_column touched[] = {C("kind", INT), C("id", INT), END};
static const fl_column meta[] = {C("key", TEXT), C("value", ANY), END};
static const fl_column words[] = {C("id", INT), C("name", TEXT), END};
static const fl_column reason[] = {C("id", INT), C("name", TEXT), C("text", TEXT), END};

#define OF_RUN(name, rest, bytes, sealed)                                                          \
  {#name, NULL, FL_TABLE_OF_RUN, "run", rest, NULL, bytes, FL_COLUMN_INT, sealed, false, name}
#define SHARED(name, kind, bytes)                                                                  \
  {#name, NULL, FL_TABLE_SHARED, "id", NULL, NULL, bytes, FL_COLUMN_##kind, false, false, name}
#define PART(name, parent, rest)                                                                   \
  {#name, NULL, FL_TABLE_PART, #parent, rest, #parent, "0", FL_COLUMN_INT, false, false, name}
#define OWN(name, columns)                                                                         \
  {name, NULL, FL_TABLE_OWN, NULL, NULL, NULL, "0", FL_COLUMN_INT, false, false, columns}

const fl_table fl_tables[FL_STORE_TABLES] = {
  {"run", NULL, FL_TABLE_OF_RUN, "row", NULL, NULL, "700", FL_COLUMN_INT, true, false, run},
  OF_RUN(run_input, "epoch", "40", true),
  OF_RUN(epoch, "epoch", "100", false),
  OF_RUN(attempt, "node,number", "110", true),
  OF_RUN(decision, "node,seq", "45", true),
  OF_RUN(claim, NULL, "0", false),
  {"item", "instance", FL_TABLE_OF_RUN, "run", "node", NULL, "60", FL_COLUMN_INT, true, false,
   item},
  OF_RUN(checkpoint, "node", "60+coalesce(length(CAST(text AS BLOB)),0)", true),
  OF_RUN(step, "node,name", "40", true),
  OF_RUN(progress, "node", "40", false),
  OF_RUN(breakpoint, "seq", "25", false),
  OF_RUN(proposal, "number", "60", false),
  {"seal", NULL, FL_TABLE_OF_RUN, "run", NULL, NULL, "45", FL_COLUMN_INT, false, true, seal},
  SHARED(value, VALUE, "90+size"),
  // In the order in which they let go of each other.
  SHARED(definition, DEFINITION, "60+60*node_count"),
  SHARED(script, SCRIPT, "80"),
  SHARED(source, SOURCE, "60+length(data)"),
  PART(definition_node, definition, "node"),
  PART(script_source, script, "position"),
  OWN("change", change),
  OWN("touched", touched),
  OWN("meta", meta),
  OWN("run_state", words),
  OWN("node_state", words),
  OWN("attempt_state", words),
  OWN("hook", words),
  OWN("reason", reason),
};
// clang-format on

const char *fl_column_type(fl_column_kind kind) {
  static const char *const types[FL_COLUMN_KIND_COUNT] = {
      [FL_COLUMN_INT] = "INTEGER",    [FL_COLUMN_REAL] = "REAL",
      [FL_COLUMN_TEXT] = "TEXT",      [FL_COLUMN_BLOB] = "BLOB",
      [FL_COLUMN_ANY] = "ANY",        [FL_COLUMN_RUN] = "INTEGER",
      [FL_COLUMN_LINK] = "INTEGER",   [FL_COLUMN_ID] = "TEXT",
      [FL_COLUMN_VALUE] = "INTEGER",  [FL_COLUMN_DEFINITION] = "INTEGER",
      [FL_COLUMN_SCRIPT] = "INTEGER", [FL_COLUMN_SOURCE] = "INTEGER",
      [FL_COLUMN_OWNER] = "TEXT",     [FL_COLUMN_MOMENT] = "INTEGER",
      [FL_COLUMN_LOG] = "TEXT",
  };
  return types[kind];
}

const fl_table *fl_table_find(const char *name) {
  for (size_t i = 0; i < FL_STORE_TABLES; i++)
    if (!strcmp(fl_tables[i].name, name)) return &fl_tables[i];
  return NULL;
}
