// Executes nodes whose type is written in C: the host does, which is handed a task for each.
#pragma once
#include "executor/services.h"

typedef struct fl_natives fl_natives;
fl_natives *fl_natives_new(const fl_services *services); // services: borrowed
void fl_natives_free(fl_natives *n);                     // NULL-safe
fl_executor fl_natives_get_executor(fl_natives *n);
/// Tasks that the host has not finished are the host's alone from now on; `record`: their attempts
/// have ended. What was finished, and is still to be recorded, is forgotten without `record`.
void fl_natives_detach(fl_natives *n, bool record);
/// Whether tasks were finished while another process was writing (fl_scheduler_may_write()).
bool fl_natives_have_late(const fl_natives *n);
/// Records their ends: it may be written now.
void fl_natives_end_late(fl_natives *n);
/// See fl_native_type_register().
FL_MUST fl_code fl_natives_add(fl_natives *n, const fl_native_type *type, fl_error *err);
size_t fl_natives_count(const fl_natives *n);
const char *fl_natives_get_name(const fl_natives *n, size_t index); // borrowed
