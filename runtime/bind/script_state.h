// A script with its Lua state, for those that call into it: the files of this folder, and
// executors of code in Lua.
#pragma once
#include "bind/call.h"
#include "bind/script.h"

// The rules of one flow's schedule.
typedef struct fl_script_rules {
  fl_script_rule *at;
  size_t count;
} fl_script_rules;

struct fl_script {
  lua_State *L;
  char *path;
  char *overrides;
  fl_snapshot snapshot;
  fl_flow **flows;
  fl_script_rules *rules; // of each flow
  size_t flow_count;
  size_t returned_count; // of the flows, those that the script returned: they come first
  char version[80];      // "sha256:..."
  int script_ref;        // the table that loader.load() gave
  int backend_ref;       // the inline backend, LUA_NOREF before it is opened
  int run_ref;           // host.run
  int flows_ref;         // the compiled flows, at their fl_flow.index
  fl_script_limits limits;
  char **missed; // see fl_script_get_missed(); NULL-terminated
  char *notices; // a line each
  bool shareable;
  uint32_t users;
  void (*changed)(void *ud, bool used);
  void *changed_ud;
  void *workers; // fl_worker_group
};

extern const fl_hooks fl_script_hooks;
/// hooks.definition
FL_MUST fl_code fl_script_describe_node(const fl_flow *flow, uint32_t node, fl_buf *out,
                                        fl_error *err);
