// What ends an engine: the first thing that could not be recorded, or that cannot be believed.
#include "engine/run_internal.h"

bool fl_scheduler_break(fl_scheduler *s, const fl_error *err) {
  if (!s->broken) s->error = *err;
  s->broken = true;
  return false;
}

fl_code fl_scheduler_check_read(fl_scheduler *s, fl_code code, const fl_error *err) {
  if (code == FL_E_CORRUPT) fl_scheduler_break(s, err);
  return code;
}

bool fl_scheduler_is_broken(const fl_scheduler *s) {
  return s->broken;
}
