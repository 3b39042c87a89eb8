// Who owns a run: "boot-id/pid/start-time#engine-id", as it stands in the store.
#include <errno.h>
#include <unistd.h>
#include "api/engine.h"
#include "base/clock.h"

bool fl_owner_holds(const fl_engine *e, const fl_run_row *row) {
  return !fl_run_state_is_final(row->state) && fl_owner_lives(e->state_dir, row->owner);
}

bool fl_owner_is_interrupted(const fl_engine *e, const fl_run_row *row) {
  return row->state == FL_RUN_RUNNING && !fl_owner_lives(e->state_dir, row->owner);
}

typedef struct since {
  uint32_t epoch;
  int64_t at_ms;
} since;

static bool see_epoch(void *ud, const fl_epoch_row *row) {
  since *s = ud;
  if (row->epoch == s->epoch) s->at_ms = row->at_ms;
  return true;
}

fl_code fl_owner_fail_busy(fl_engine *e, const fl_run_row *row, fl_error *err) {
  const char *slash = strchr(row->owner, '/');
  char host[256] = "", time[FL_TIME_TEXT_SIZE];
  since s = {.epoch = row->epoch, .at_ms = row->started_ms};
  fl_error ignored;
  if (fl_store_each_epoch(e->store, row->row, see_epoch, &s, &ignored)) s.at_ms = row->started_ms;
  fl_time_format(s.at_ms, time);
  // An owner whose boot id is ours is on this host.
  if (gethostname(host, sizeof host - 1)) host[0] = '\0';
  return fl_fail(err, FL_E_BUSY, "run %s is running: it is owned by process %d on %s since %s",
                 row->id, slash ? atoi(slash + 1) : 0, *host ? host : "this host", time);
}

fl_code fl_owner_name_busy(fl_engine *e, const char *run_id, fl_error *err) {
  fl_run_row row;
  fl_error ignored;
  if (fl_store_find_run(e->store, run_id, &row, &ignored)) return FL_E_BUSY;
  fl_code rc = fl_owner_fail_busy(e, &row, err);
  fl_run_row_deinit(&row);
  return rc;
}
