// The state directory of an engine, opened with it or at the first need: what can own runs, the
// store, the thread for its disk, what is kept for how long.
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api/engine.h"

static void on_knock(void *ud) {
  fl_engine *e = ud;
  fl_scheduler_check_cancels(e->scheduler);
}

static bool owner_lives(void *ud, const char *owner) {
  const fl_engine *e = ud;
  return fl_owner_lives(e->state_dir, owner);
}

// What can own runs: known to live before a row names it, and reached by a knock.
static fl_code open_owner(fl_engine *e, fl_error *err) {
  char identity[96];
  // By when a process began it is known for ever; sockets in deep folders go through it, too.
  if (access("/proc/self/stat", R_OK))
    return fl_fail_errno(err, FL_E_SYSTEM, errno,
                         "cannot tell processes apart without /proc: mount it");
  fl_code rc = fl_owner_lock_open(e->state_dir, e->id, &e->lock, err);
  if (rc) return rc;
  fl_process_identity((int)getpid(), identity);
  snprintf(e->owner, sizeof e->owner, "%s#%s", identity, e->id);
  return fl_notify_open(e->loop, e->state_dir, e->id, on_knock, e, &e->notify, err);
}

static void wake(void *ud) {
  fl_engine *e = ud;
  fl_loop_wake(e->loop);
}
static void notice(void *ud, const char *text) {
  fl_engine *e = ud;
  e->inside++;
  fl_scheduler_notice(e->scheduler, "%s", text);
  e->inside--;
}
static void do_aside(void *ud, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
  fl_thread_do(ud, work, done, arg);
}
static void wait_aside(void *ud) {
  fl_thread_wait(ud);
}

// All that is in the state directory.
static fl_code open_state(fl_engine *e, fl_error *err) {
  const fl_config *c = &e->config;
  char full[PATH_MAX];
  fl_store_options options = {
      .read_only = c->read_only,
      .durability = c->durability == FL_DURABILITY_GROUP ? FL_DURABILITY_GROUP : FL_DURABILITY_FULL,
      .sync_ms = c->sync_ms,
      .log_room = c->wal_room,
      .owner_lives = owner_lives,
      .owner_ud = e};
  fl_code rc = FL_OK;
  if (c->disk_thread && !c->read_only) {
    if (!e->disk) rc = fl_thread_open(wake, e, &e->disk, err);
    if (rc) return rc;
    options.aside = (fl_aside){.run = do_aside, .wait = wait_aside, .ud = e->disk};
  }
  if (!c->read_only) mkdir(e->state_dir, 0700);
  if (realpath(e->state_dir, full)) {
    free(e->state_dir);
    e->services.state_dir = e->state_dir = fl_strdup(full);
  }
  fl_store *store = NULL;
  rc = fl_store_open(e->state_dir, &options, &store, err);
  if (!rc && !c->read_only) rc = open_owner(e, err);
  if (rc) {
    fl_store_close(store);
    return rc;
  }
  e->store = store;
  if (!c->read_only && (c->keep_days || c->keep_bytes > 0)) {
    fl_retention_config retention = {.dir = e->state_dir,
                                     .loop = e->loop,
                                     .keep_days = c->keep_days,
                                     .keep_bytes = c->keep_bytes,
                                     .all = c->prune_all,
                                     .every_ms = c->prune_ms,
                                     .wake = wake,
                                     .notice = notice,
                                     .ud = e};
    e->retention = fl_retention_open(&retention);
  }
  fl_scheduler_set_store(e->scheduler, store, e->owner);
  return FL_OK;
}

fl_code fl_engine_need_state(fl_engine *e, fl_error *err) {
  fl_code rc = fl_engine_refuse_elsewhere(e, err);
  return rc || e->store ? rc : open_state(e, err);
}

fl_code fl_engine_need_store(fl_engine *e, fl_store **out, fl_error *err) {
  fl_code rc = fl_engine_need_state(e, err);
  if (!rc && !fl_scheduler_is_broken(e->scheduler))
    rc = fl_scheduler_record_runs(e->scheduler, err);
  *out = e->store;
  return rc;
}
