// What the parts of `flowlua show` share.
#pragma once
#include "cli.h"

/// Prints when the nodes of a run ran; of a large run the longest ones, unless `all`.
FL_MUST fl_code fl_cli_show_timeline(fl_engine *engine, const char *run, bool all, fl_error *err);
