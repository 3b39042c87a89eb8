// A loaded script: a Lua state of its own, the flows it defined, and the snapshot of its sources.
// The hooks of its flows call into that state.
#pragma once
#include <lua.h>
#include "engine/flow.h"
#include "store/store.h"

/// Opens a state with the language: embedded modules, or those of `lua_dir` (development). Never
/// raises. Close with lua_close().
FL_MUST fl_code fl_lua_new_state(const char *lua_dir, lua_State **out, fl_error *err);

typedef struct fl_script_config {
  const char *path;      // as the user typed it; used in messages
  fl_snapshot *snapshot; // load from here instead of the disk; borrowed. NULL: from the disk
  const char *lua_dir;
  int argc; // for the `arg` of a script that returns nothing
  char *const *argv;
  const char *const *natives; // node types registered in C
  size_t native_count;
  bool worker;
  const char *overrides; // JSON: options that patches of a run gave its nodes; NULL: none
} fl_script_config;

/// Loads and checks. FL_E_NOT_FOUND, FL_E_SCRIPT with the whole message.
FL_MUST fl_code fl_script_open(const fl_script_config *config, fl_script **out, fl_error *err);
void fl_script_close(fl_script *script); // NULL-safe
lua_State *fl_script_get_state(fl_script *script);
size_t fl_script_count_flows(const fl_script *script);
/// Of those the ones that it returned, which come first; the others are called by them.
size_t fl_script_count_returned(const fl_script *script);
fl_flow *fl_script_get_flow(fl_script *script, size_t index); // borrowed, 0-based
fl_flow *fl_script_find_flow(fl_script *script, const char *key);
/// What the script consisted of when it was loaded; borrowed.
fl_snapshot *fl_script_get_snapshot(fl_script *script);
const char *fl_script_get_path(const fl_script *script);
/// The engine it was loaded by; borrowed.
void fl_script_set_engine(fl_script *script, fl_engine *engine);
fl_engine *fl_script_get_engine(fl_script *script);
/// What it was loaded with; NULL: none. Borrowed.
const char *fl_script_get_overrides(const fl_script *script);
/// Types and defaults applied: "k=v" texts and/or one JSON object -> params of a run.
FL_MUST fl_code fl_script_make_params(fl_script *script, const fl_flow *flow,
                                      const char *const *texts, size_t count, const char *json,
                                      fl_value **out, fl_error *err);
/// What of a request is a patch already: a proposal, a file, JSON (lua/flow/patch.lua has both
/// shapes).
FL_MUST fl_code fl_script_read_patch(fl_script *script, const char *request, fl_value **out,
                                     fl_error *err);
/// The patch that a request makes with what fl_script_read_patch() found; `flow` is the one that
/// goes on, as it is before the patch gives options.
FL_MUST fl_code fl_script_build_patch(fl_script *script, const fl_flow *flow, const char *request,
                                      const char *found, fl_value **out, fl_error *err);
/// What of a patch is about the run's own nodes, and its parts for sub-flows;
/// lua/flow/patch_path.lua has the shape.
FL_MUST fl_code fl_script_split_patch(fl_script *script, const char *patch, fl_value **out,
                                      fl_error *err);
/// Whether a patch that was split fits the flow that goes on with it; `before`: the flow as it was.
FL_MUST fl_code fl_script_check_patch(fl_script *script, const fl_flow *flow, const fl_flow *before,
                                      const char *patch, fl_error *err);
/// The params of a run from a resume on: the old ones, as far as the flow has them still, with
/// changes (a JSON object, or NULL).
FL_MUST fl_code fl_script_patch_params(fl_script *script, const fl_flow *flow, const char *old,
                                       const char *changes, fl_value **out, fl_error *err);
/// What a node does, option by option: {"option":text}; equal texts mean the same.
FL_MUST fl_code fl_script_describe_options(const fl_flow *flow, uint32_t node, fl_value **out,
                                           fl_error *err);
/// Own params of a node of a C type, as JSON text.
FL_MUST fl_code fl_script_native_params(fl_attempt *a, fl_value **out, fl_error *err);

/// Pushes host.<name>; for callers in bind/.
void fl_script_push_host(fl_script *script, const char *name);
/// Reads the table at `index` (as host.command gives it) into a command. May raise: call protected.
fl_command *fl_lua_to_command(lua_State *L, int index);
