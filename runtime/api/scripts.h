// The engine's library of loaded scripts: what was loaded once serves every start, resume, replay,
// plan and question that needs the same sources.
//
// Whoever works with a script counts as its user: each run of it (by the flows' hooks), each handle
// of the host, each call here from take to fl_script_unref(). One without users is kept for the
// next, up to FL_SCRIPTS_KEPT_MAX and FL_SCRIPTS_KEPT_BYTES; then the one that was used longest ago
// goes, with its workers.
#pragma once
#include "bind/script.h"

typedef struct fl_scripts fl_scripts;

fl_scripts *fl_scripts_new(fl_engine *engine); // borrowed
/// Closes all; handles of the host stand for nothing from now on. No run may be left. NULL-safe.
void fl_scripts_free(fl_scripts *lib);
/// The script in `path` as it is on the disk, or in `snapshot`; loaded now unless the library has
/// it, sources unchanged. `overrides`: as in fl_script_config, or NULL. You are its user:
/// fl_script_unref().
FL_MUST fl_code fl_scripts_take(fl_scripts *lib, const char *path, fl_snapshot *snapshot,
                                const char *overrides, fl_script **out, fl_error *err);
/// Closes what is not needed and above the bounds. From where no script is being used.
void fl_scripts_trim(fl_scripts *lib);
size_t fl_scripts_count(const fl_scripts *lib); // those that are loaded
/// Of a handle: its script and the engine (may be NULL). FL_E_STATE when it has ended. Borrowed.
FL_MUST fl_code fl_scripts_get(const fl_script *handle, fl_script **script, fl_engine **engine,
                               fl_error *err);
/// The flow of that key, or the only one; an error lists those there are.
FL_MUST fl_code fl_script_choose_flow(fl_script *script, const char *key, fl_flow **out,
                                      fl_error *err);
