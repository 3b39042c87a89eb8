// What a resume makes of a node when nobody asks for more: pure, for those who do it and those who
// tell of it.
#pragma once
#include "base/state.h"

typedef enum fl_resume_action { FL_RESUME_KEEP, FL_RESUME_RUN, FL_RESUME_SKIP } fl_resume_action;

/// Skipped or omitted, and nothing that this follows from is another now. `parent_moves`: something
/// it depends on will end otherwise, or may (fl_resume_moves()).
bool fl_resume_stays_out(fl_node_state was, fl_reason reason, bool parent_moves);
/// By its own state. `stays_out`: see above; of an item: true. `unchosen`: a branch before it is
/// kept, and chose others.
fl_resume_action fl_resume_by_state(fl_node_state was, fl_reason reason, bool stays_out,
                                    bool unchosen, fl_reason *why);
/// Whether its end will be another than it was, or may be.
bool fl_resume_moves(fl_node_state was, fl_resume_action action, fl_reason why);
/// Whether an item is decided by its own state; else it goes as its map does.
bool fl_resume_asks_item(fl_node_state was, fl_resume_action map);
/// A process of it may be there still.
bool fl_resume_may_live(fl_node_state was);
