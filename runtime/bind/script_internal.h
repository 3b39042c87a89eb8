// A script's insides, shared by the files that call into its state. Private to this folder.
#pragma once
#include "bind/call.h"
#include "bind/script.h"

struct fl_script {
  lua_State *L;
  char *path;
  char *overrides;
  fl_engine *engine;
  fl_snapshot snapshot;
  fl_flow **flows;
  size_t flow_count;
  size_t returned_count; // of the flows, those that the script returned: they come first
  char version[80];      // "sha256:..."
  int script_ref;        // the table that loader.load() gave
  int backend_ref;       // the inline backend, LUA_NOREF before it is opened
  int run_ref;           // host.run
  void *inline_owner;    // fl_inline of the backend
};

extern const fl_hooks fl_script_hooks;
/// hooks.advise
FL_MUST fl_code fl_script_advise(const fl_flow *flow, const char *breakpoint, const char *within,
                                 fl_advice *out, fl_error *err);
/// hooks.definition
FL_MUST fl_code fl_script_describe_node(const fl_flow *flow, uint32_t node, fl_buf *out,
                                        fl_error *err);
