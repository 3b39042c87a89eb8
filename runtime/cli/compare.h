// What diff, why, replay and show say of two sides ("a", "b") of something.
#pragma once
#include "cli.h"
#include <jansson.h>

/// A text of a JSON object, "" when there is none.
const char *fl_cli_json_text(const json_t *object, const char *key);
/// member(object, key).side as a text, "" when there is none.
const char *fl_cli_json_side(const json_t *object, const char *key, const char *side);
bool fl_cli_json_true(const json_t *object, const char *key);

/// Lines "  <prefix>KEY: A -> B" of a pair's changes ({"equal","changes","more"}); nothing when it
/// is equal.
void fl_cli_print_changes(const json_t *pair, const char *prefix);
/// The same of the inputs of a node ({"equal","parents"}).
void fl_cli_print_inputs(const json_t *inputs);
/// A script's files that differ ({"equal","files"}), with their hunks.
void fl_cli_print_script(const json_t *script);
/// Which results of a replay are those of then: a table, and a line of counts; `diff`: what
/// fl_read_diff() says. `all`: equal nodes are listed, too.
void fl_cli_print_replay(const json_t *diff, bool all);
/// The same as one JSON object a line: {"event":"replay_compared",...}.
void fl_cli_print_replay_json(const json_t *diff);
