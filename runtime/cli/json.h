// JSON as it is shown.
#pragma once
#include <jansson.h>

/// Without blanks, numbers with as few digits as read back the same. free() it.
char *fl_cli_json_format(const json_t *value);
