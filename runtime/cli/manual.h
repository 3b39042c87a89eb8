// The reference page, in the binary.
#pragma once
#include "cli.h"

/// Prints what it says of an option, a node type, a function or a section. False: nothing.
bool fl_cli_manual_print(const char *topic);
/// What a mistyped topic most likely meant; free() it. NULL: nothing is near.
char *fl_cli_manual_suggest(const char *topic);
