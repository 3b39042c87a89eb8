// What all that reads stands on: a store, an engine's or one of its own.
#pragma once
#include "read/read.h"
#include "io/watch.h"

struct fl_reader {
  fl_store *store; // a connection of its own; of an engine that only reads: the engine's
  fl_watch *watch; // NULL until somebody wants to be woken
  char *dir;       // of a host's own: where owners are looked for
};

#define FL_ANSWER_SIZE_MAX ((size_t)1 << 30) // JSON past this is no help to anybody

/// A connection that only reads, and leaves an older store as it is. `state_dir` is kept.
FL_MUST fl_code fl_reader_connect(char *state_dir, fl_store **out, fl_error *err);
/// Moves the text out of `text`, and frees it in any case. FL_E_LIMIT: it was too large.
FL_MUST fl_code fl_answer_take(fl_buf *text, fl_code code, char **out, fl_error *err);
