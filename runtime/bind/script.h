// A loaded script: a Lua state of its own, the flows it defined, and the snapshot of its sources.
// The hooks of its flows call into that state.
#pragma once
#include <lua.h>
#include "bind/budget.h"
#include "calendar/rule.h"
#include "engine/flow.h"
#include "store/store.h"

/// Opens a state with the language: embedded modules, or those of `lua_dir` (development). Never
/// raises. fl_lua_close_state().
FL_MUST fl_code fl_lua_new_state(const char *lua_dir, lua_State **out, fl_error *err);

/// Of code on the engine's thread; 0: none.
typedef struct fl_script_limits {
  uint32_t load_ms, hook_ms, inline_ms; // of CPU time: loading, each hook, each slice of a node
  int64_t inline_memory_max;            // what inline nodes may take beyond twice the script itself
} fl_script_limits;

typedef struct fl_script_config {
  const char *path;      // as the user typed it; used in messages
  fl_snapshot *snapshot; // load from here instead of the disk; borrowed. NULL: from the disk
  const char *lua_dir;
  int argc; // for the `arg` of a script that returns nothing
  char *const *argv;
  const char *const *natives; // node types registered in C
  size_t native_count;
  bool worker;
  fl_script_limits limits;
  const char *overrides; // JSON: options that patches of a run gave its nodes; NULL: none
} fl_script_config;

/// Loads and checks. FL_E_NOT_FOUND, FL_E_SCRIPT with the whole message.
FL_MUST fl_code fl_script_open(const fl_script_config *config, fl_script **out, fl_error *err);
void fl_script_close(fl_script *script); // NULL-safe
/// Counts a user: a run of one of its flows, or whoever works with it. Nothing is closed at the
/// last one's end; `changed` of fl_script_watch() is told.
void fl_script_ref(fl_script *script);
void fl_script_unref(fl_script *script);
/// Has `changed` called when the first user comes (`used`) and when the last one goes.
void fl_script_watch(fl_script *script, void (*changed)(void *ud, bool used), void *ud);
/// Whether another may use what was loaded instead of loading the same sources again: they look at
/// nothing else, as far as their text tells.
bool fl_script_is_shareable(const fl_script *script);
/// What is doubtful in it, a line each; "": nothing. Borrowed.
const char *fl_script_list_notices(const fl_script *script);
/// The files that its modules and node types were looked for in, and that were not there: names
/// relative to its folder, NULL at the end. Borrowed.
const char *const *fl_script_get_missed(const fl_script *script);
/// The bytes that it takes now, about.
size_t fl_script_get_size(fl_script *script);
/// Where the pool of workers keeps what belongs to the script; NULL at first.
void **fl_script_get_workers(fl_script *script);
size_t fl_script_count_flows(const fl_script *script);
/// Of those the ones that it returned, which come first; the others are called by them.
size_t fl_script_count_returned(const fl_script *script);
fl_flow *fl_script_get_flow(fl_script *script, size_t index); // borrowed, 0-based
fl_flow *fl_script_find_flow(fl_script *script, const char *key);
/// A rule of a flow's schedule.
typedef struct fl_script_rule {
  const fl_rule *rule; // a calendar that is a function is asked in the script's state
  char *name;          // as it was given, else its position
} fl_script_rule;

/// In order of declaration; they live as long as the script.
const fl_script_rule *fl_script_get_rules(const fl_script *script, const fl_flow *flow,
                                          size_t *count);
/// What the script consisted of when it was loaded; borrowed.
fl_snapshot *fl_script_get_snapshot(fl_script *script);
const char *fl_script_get_path(const fl_script *script);
/// What it was loaded with; NULL: none. Borrowed.
const char *fl_script_get_overrides(const fl_script *script);
/// Types and defaults applied: "k=v" texts and/or one JSON object -> params of a run.
FL_MUST fl_code fl_script_make_params(fl_script *script, const fl_flow *flow,
                                      const char *const *texts, size_t count, const char *json,
                                      fl_value **out, fl_error *err);
/// A patch as the language makes it of a request (lua/flow/host/patch.lua).
typedef struct fl_made_patch {
  char *script;    // another one that the flow is to go on with has to make it; owned. Else:
  fl_value *patch; // JSON; a reference
  fl_value *own;   // the same split: what is about the run's own nodes, and parts for sub-flows
  bool wakes;      // a run that has succeeded goes on for it
} fl_made_patch;
/// Makes it for the flow that goes on, as it is before the patch gives options; `is_mended`: the
/// flow is of the script that the patch names. FL_E_USAGE; takes FL_ADVISE_MS at most.
FL_MUST fl_code fl_script_make_patch(const fl_flow *flow, const char *request, bool is_mended,
                                     fl_made_patch *out, fl_error *err);
/// What the names of one that was split stand for in the flow that goes on with it: JSON
/// (lua/flow/patch_target.lua); `before`: the flow as it was. With `old_params` (JSON, or NULL)
/// also the params from here on. FL_E_USAGE when it does not fit.
FL_MUST fl_code fl_script_resolve_patch(const fl_flow *flow, const fl_flow *before, const char *own,
                                        const char *old_params, fl_value **found, fl_value **params,
                                        fl_error *err);
/// {"flow","doc","params":[{"name","type","default","required","doc","min","max","enum"}]}; keys
/// without a value are left out.
FL_MUST fl_code fl_script_describe_flow(const fl_flow *flow, fl_value **out, fl_error *err);
/// What a node does, option by option: {"option":text}; equal texts mean the same.
FL_MUST fl_code fl_script_describe_options(const fl_flow *flow, uint32_t node, fl_value **out,
                                           fl_error *err);
/// What the flow's on_breakpoint proposes. `breakpoint`: the JSON of fl_read_store_breakpoint().
/// `within`: what names begin with in the patch of the calling run, "load/"; "": it is of the run
/// itself. Takes as long as the script does, FL_ADVISE_MS at most.
FL_MUST fl_code fl_script_advise(const fl_flow *flow, const char *breakpoint, const char *within,
                                 fl_advice *out, fl_error *err);
/// Own params of a node of a C type, as JSON text.
FL_MUST fl_code fl_script_native_params(fl_attempt *a, fl_value **out, fl_error *err);

/// Pushes host.<name>; for callers in bind/.
void fl_script_push_host(lua_State *L, const char *name);
/// Pushes the compiled flow, as host functions take it first.
void fl_script_push_flow(lua_State *L, const fl_flow *flow);
/// Reads the table at `index` (as host.command gives it) into a command. May raise: call protected.
fl_command *fl_lua_to_command(lua_State *L, int index);
