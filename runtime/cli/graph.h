// What the parts of `flowlua graph` share.
#pragma once
#include "cli.h"

/// Prints a graph (as JSON) with branches and colours, for a terminal.
void fl_cli_graph_tree(const char *text);
