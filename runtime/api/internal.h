// What the files of this folder share: they implement flowlua.h and are the only ones that know
// every part.
#pragma once
#include "store/read.h"

/// The engine's store, opened now when it was not needed before (fl_config.open_late); borrowed.
FL_MUST fl_code fl_engine_need_store(fl_engine *engine, fl_store **out, fl_error *err);

/// A node as it is drawn.
typedef struct fl_draw_node {
  const char *name, *type;
  const uint32_t *parents;
  uint32_t parent_count;
  const char *status; // NULL when the graph is of a script, not of a run
} fl_draw_node;

/// Appends the graph as "text" (indented by depth, with what each waits for), "dot", "mermaid",
/// "svg" (layered, self-contained) or "json"
/// ({"flow","nodes":[{"name","type","after":[],"status"?}]}). FL_E_USAGE names the formats.
FL_MUST fl_code fl_draw(const char *flow, const fl_draw_node *nodes, size_t count,
                        const char *format, fl_buf *out, fl_error *err);
