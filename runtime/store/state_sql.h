// The states of base/state.h for SQL: a statement names a state or asks whether one is final, and
// holds no number of it.
#pragma once
#include "base/state.h"

#define FL_SQL_IF_true(text) text
#define FL_SQL_IF_false(text)
#define FL_SQL_IF_FINAL(id, name, final, ...) FL_SQL_IF_##final("'" name "',")

/// True of a run in a final state.
#define FL_SQL_RUN_IS_FINAL(state)                                                                 \
  state " IN (SELECT id FROM run_state WHERE name IN(" FL_RUN_STATES(FL_SQL_IF_FINAL) "''))"
/// True of a run in any other, also one that only a newer program knows.
#define FL_SQL_RUN_IS_OPEN(state)                                                                  \
  state " IN (SELECT id FROM run_state WHERE name NOT IN(" FL_RUN_STATES(FL_SQL_IF_FINAL) "''))"

/// The numbers of states by name: a constant of the statement.
#define FL_SQL_RUN_STATE(name)     "(SELECT id FROM run_state WHERE name='" name "')"
#define FL_SQL_NODE_STATE(name)    "(SELECT id FROM node_state WHERE name='" name "')"
#define FL_SQL_ATTEMPT_STATE(name) "(SELECT id FROM attempt_state WHERE name='" name "')"
#define FL_SQL_SUCCEEDED           FL_SQL_ATTEMPT_STATE("succeeded")

#define FL_SQL_WHEN(id, name, final, node) " WHEN '" name "' THEN lower('" #node "')"
/// The name of the state of a node whose last attempt is in the state of this number: see
/// fl_node_state_of().
#define FL_SQL_NODE_OF(state, retries)                                                             \
  "(SELECT iif(" retries " AND n='failed','retrying',n) FROM (SELECT CASE name" FL_ATTEMPT_STATES( \
      FL_SQL_WHEN) " END AS n FROM attempt_state WHERE id=" state "))"
