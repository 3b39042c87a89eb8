// Opens and closes an engine and steps it: the only place that wires every part to the others.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api/engine.h"

// ------------------------------------------------------------------------------------- services

static fl_log_writer *log_writer(fl_engine *e, const char *run_id) {
  for (size_t i = 0; i < e->log_count; i++)
    if (!strcmp(e->logs[i].run_id, run_id)) return e->logs[i].writer;
  size_t kept = 0;
  for (size_t i = 0; i < e->log_count; i++) { // those of runs that have ended
    if (fl_scheduler_find_run(e->scheduler, e->logs[i].run_id))
      e->logs[kept++] = e->logs[i];
    else
      fl_log_writer_close(e->logs[i].writer);
  }
  e->log_count = kept;
  e->logs = fl_realloc(e->logs, (e->log_count + 1) * sizeof *e->logs);
  fl_run_log *log = &e->logs[e->log_count++];
  snprintf(log->run_id, sizeof log->run_id, "%s", run_id);
  return log->writer = fl_log_writer_open(e->state_dir, run_id, e->id);
}

static fl_log_sink *open_log(void *ud, fl_attempt *a) {
  fl_engine *e = ud;
  return fl_log_sink_open(log_writer(e, fl_attempt_get_run_id(a)), fl_attempt_get_name(a),
                          a->number, FL_LOG_SIZE_DEFAULT);
}

static fl_code find_sub(void *ud, const fl_run_row *row, const fl_flow *sub, const fl_flow **out,
                        fl_value **patch, fl_error *err) {
  return fl_engine_find_sub(ud, row, sub, out, patch, err);
}

static fl_code check_proposal(void *ud, const fl_run *run, const fl_value *patch, fl_error *err) {
  return fl_resume_check_proposal(ud, fl_run_get_id(run), patch->text, err);
}

static fl_code each_failed_part(void *ud, const fl_run *run, fl_see_part each, void *each_ud,
                                fl_error *err) {
  return fl_resume_each_failed_part(ud, fl_run_get_id(run), each, each_ud, err);
}

static double random_unit(void *ud) {
  uint32_t bits;
  (void)ud;
  fl_random_bytes(&bits, sizeof bits);
  return bits / 4294967296.0;
}

static const char *supervisor_id(void *ud) {
  fl_engine *e = ud;
  return fl_processes_get_supervisor_id(e->processes);
}

static void recover(void *ud, fl_run *run, const char *supervisor, fl_attempt **attempts,
                    fl_fate *fates, size_t count) {
  fl_engine *e = ud;
  fl_processes_recover(e->processes, run, supervisor, attempts, fates, count);
}

static void on_knock(void *ud) {
  fl_engine *e = ud;
  fl_scheduler_check_cancels(e->scheduler);
}

// ------------------------------------------------------------------------------------- open, close

static fl_code check_config(const fl_config *c, fl_error *err) {
  if (!c->size || c->size > sizeof *c)
    return fl_fail(err, FL_E_USAGE, "fl_config.size must be sizeof(fl_config)");
  if (!c->state_dir || !*c->state_dir)
    return fl_fail(err, FL_E_USAGE, "fl_config.state_dir is required");
  return FL_OK;
}

static uint32_t core_count(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
}

static void name_engine(fl_engine *e) {
  uint8_t bits[6];
  char identity[96];
  fl_random_bytes(bits, sizeof bits);
  for (size_t i = 0; i < sizeof bits; i++) snprintf(e->id + 2 * i, 3, "%02x", bits[i]);
  fl_process_identity((int)getpid(), identity);
  snprintf(e->owner, sizeof e->owner, "%s#%s", identity, e->id);
}

// All that is in the state directory.
static fl_code open_state(fl_engine *e, fl_error *err) {
  const fl_config *c = &e->config;
  char full[PATH_MAX];
  fl_store_options options = {.read_only = c->read_only,
                              .durability = c->durability == FL_DURABILITY_GROUP
                                                ? FL_DURABILITY_GROUP
                                                : FL_DURABILITY_FULL};
  if (!c->read_only) mkdir(e->state_dir, 0777);
  if (realpath(e->state_dir, full)) {
    free(e->state_dir);
    e->services.state_dir = e->state_dir = fl_strdup(full);
  }
  fl_store *store = NULL;
  fl_code rc = fl_store_open(e->state_dir, &options, &store, err);
  if (!rc && !c->read_only)
    rc = fl_notify_open(e->loop, e->state_dir, e->id, on_knock, e, &e->notify, err);
  if (rc) {
    fl_store_close(store);
    return rc;
  }
  e->store = store;
  fl_scheduler_set_store(e->scheduler, store);
  return FL_OK;
}

fl_code fl_engine_need_store(fl_engine *e, fl_store **out, fl_error *err) {
  fl_code rc = e->store ? FL_OK : open_state(e, err);
  *out = e->store;
  return rc;
}

static fl_code open_parts(fl_engine *e, fl_error *err) {
  const fl_config *c = &e->config;
  fl_code rc = fl_loop_open(&e->loop, err);
  if (rc) return rc;
  uint32_t jobs = c->jobs ? c->jobs : core_count();
  e->services = (fl_services){.loop = e->loop,
                              .state_dir = e->state_dir,
                              .helper = e->helper,
                              .lua_dir = e->lua_dir,
                              .jobs = jobs,
                              .get_supervisor = fl_processes_get_supervisor,
                              .open_log = open_log,
                              .start_child = fl_processes_start_child,
                              .cancel_child = fl_processes_cancel_child,
                              .ud = e};
  e->inlines = fl_inline_new(&e->services);
  e->workers = fl_worker_pool_new(&e->services);
  e->processes = fl_processes_new(e);
  fl_pool_capacity *pools = fl_alloc_zero(c->pool_count + 1, sizeof *pools);
  for (size_t i = 0; i < c->pool_count; i++)
    pools[i] =
        (fl_pool_capacity){.name = (char *)c->pools[i].name, .capacity = c->pools[i].capacity};
  fl_scheduler_config sc = {.clock = *fl_clock_system(),
                            .owner = e->owner,
                            .jobs = jobs,
                            .pools = pools,
                            .pool_count = c->pool_count,
                            .get_supervisor = supervisor_id,
                            .recover = recover,
                            .random = random_unit,
                            .find_sub = find_sub,
                            .check_proposal = check_proposal,
                            .each_failed_part = each_failed_part,
                            .on_event = c->on_event,
                            .event_ud = c->event_ud,
                            .ud = e};
  sc.executors[FL_KIND_PROCESS] = fl_processes_get_executor(e->processes);
  sc.executors[FL_KIND_WORKER] = fl_worker_pool_get_executor(e->workers);
  sc.executors[FL_KIND_INLINE] = sc.executors[FL_KIND_BRANCH] = fl_inline_get_executor(e->inlines);
  sc.executors[FL_KIND_NATIVE] = fl_native_get_executor(e);
  e->scheduler = fl_scheduler_new(&sc);
  free(pools);
  return FL_OK;
}

fl_code fl_engine_open(const fl_config *config, fl_engine **out, fl_error *err) {
  *out = NULL;
  fl_code rc = check_config(config, err);
  if (rc) return rc;
  fl_engine *e = fl_alloc_zero(1, sizeof *e);
  memcpy(&e->config, config, config->size);
  char full[PATH_MAX];
  e->state_dir = fl_strdup(config->state_dir);
  e->helper = config->helper ? fl_strdup(config->helper) : NULL;
  if (config->lua_dir)
    e->lua_dir = fl_strdup(realpath(config->lua_dir, full) ? full : config->lua_dir);
  name_engine(e);
  rc = open_parts(e, err);
  if (!rc && !e->config.open_late) rc = open_state(e, err);
  if (rc)
    fl_engine_close(e);
  else
    *out = e;
  return rc;
}

// What still runs is ended, and recorded as ended; a broken store leaves it to the next resume.
static void stop_runs(fl_engine *e) {
  fl_error err;
  size_t live = 1;
  if (!fl_scheduler_get_run_count(e->scheduler)) return;
  fl_engine_stop(e, true);
  int64_t until = fl_monotonic_ms() + 10000;
  while (live && fl_monotonic_ms() < until) {
    if (fl_step(e, 100, &live, &err)) return;
    if (fl_scheduler_is_stuck(e->scheduler)) break;
    if (live && !e->again) fl_loop_run(e->loop, 50);
  }
  fl_scheduler_release_runs(e->scheduler);
}

static bool is_broken(const fl_engine *e) {
  return !e->scheduler || fl_scheduler_is_broken(e->scheduler);
}

// Of a broken engine nothing is recorded any more: its processes are left to the next one.
static void close_parts(fl_engine *e) {
  bool broken = is_broken(e);
  if (!broken) {
    e->config.on_event = NULL;
    stop_runs(e);
    fl_error err;
    if (e->store) (void)!fl_store_sync(e->store, &err);
  }
  fl_worker_pool_free(e->workers);
  fl_processes_free(e->processes, !broken);
  fl_scheduler_free(e->scheduler);
  fl_inline_free(e->inlines);
  for (size_t i = 0; i < e->log_count; i++) fl_log_writer_close(e->logs[i].writer);
  for (size_t i = 0; i < e->script_count; i++) fl_script_close(e->scripts[i]);
  fl_notify_close(e->notify);
  fl_loop_close(e->loop);
  fl_store_close(e->store);
  free(e->logs);
  free(e->scripts);
  e->log_count = e->script_count = 0;
  e->logs = NULL;
  e->scripts = NULL;
  e->notify = NULL;
  e->loop = NULL;
  e->store = NULL;
  e->scheduler = NULL;
}

fl_code fl_engine_reopen(fl_engine *e, fl_error *err) {
  fl_event_fn on_event = e->config.on_event;
  if (!is_broken(e) && e->store)
    return fl_fail(err, FL_E_STATE, "the engine works: there is nothing to open again");
  close_parts(e);
  e->config.on_event = on_event;
  e->left = fl_realloc(e->left, (e->left_count + 1) * sizeof *e->left);
  e->left[e->left_count++] = fl_strdup(e->owner);
  name_engine(e);
  fl_code rc = open_parts(e, err);
  return rc ? rc : open_state(e, err);
}

void fl_engine_close(fl_engine *e) {
  if (!e) return;
  close_parts(e);
  for (size_t i = 0; i < e->native_count; i++) free(e->natives[i].name);
  for (size_t i = 0; i < e->left_count; i++) free(e->left[i]);
  free(e->left);
  free(e->natives);
  free(e->state_dir);
  free(e->helper);
  free(e->lua_dir);
  free(e);
}

// ------------------------------------------------------------------------------------- scripts

fl_code fl_engine_load(fl_engine *e, const char *path, fl_snapshot *snapshot, const char *overrides,
                       fl_script **out, fl_error *err) {
  const char **natives = fl_alloc((e->native_count + 1) * sizeof *natives);
  for (size_t i = 0; i < e->native_count; i++) natives[i] = e->natives[i].name;
  fl_script_config config = {.path = path,
                             .snapshot = snapshot,
                             .overrides = overrides,
                             .lua_dir = e->lua_dir,
                             .argc = e->argc,
                             .argv = e->argv,
                             .natives = natives,
                             .native_count = e->native_count};
  fl_code rc = fl_script_open(&config, out, err);
  free(natives);
  e->argc = 0;
  if (rc) return rc;
  rc = fl_script_open_backend(*out, e->inlines, err);
  if (rc) {
    fl_script_close(*out);
    *out = NULL;
    return rc;
  }
  if (snapshot) fl_script_get_snapshot(*out)->store_id = snapshot->store_id;
  e->scripts = fl_realloc(e->scripts, (e->script_count + 1) * sizeof *e->scripts);
  e->scripts[e->script_count++] = *out;
  fl_script_set_engine(*out, e);
  return FL_OK;
}

fl_code fl_script_load(fl_engine *e, const char *path, fl_script **out, fl_error *err) {
  return fl_engine_load(e, path, NULL, NULL, out, err);
}

size_t fl_script_get_flow_count(const fl_script *script) {
  return fl_script_count_flows(script);
}

const char *fl_script_get_flow_key(const fl_script *script, size_t index) {
  if (index >= fl_script_count_flows(script)) return NULL;
  return fl_script_get_flow((fl_script *)script, index)->key;
}

void fl_engine_set_args(fl_engine *e, int argc, char *const argv[]) {
  e->argc = argc;
  e->argv = argv;
}

// ------------------------------------------------------------------------------------- stepping

fl_code fl_step(fl_engine *e, uint32_t budget_ms, size_t *live, fl_error *err) {
  int64_t now = fl_monotonic_ms(), until = now + budget_ms, looked_ms = now;
  fl_code rc;
  fl_loop_run(e->loop, 0);
  for (;;) {
    rc = fl_scheduler_step(e->scheduler, budget_ms, &e->again, err);
    // A worker that saves again at once is heard without a turn of the host's loop.
    if (rc || e->again || (now = fl_monotonic_ms()) >= until) break;
    if (!fl_worker_pool_linger(e->workers)) break;
    if (now != looked_ms) fl_loop_run(e->loop, 0);
    looked_ms = now;
  }
  if (!rc) rc = fl_resume_wanted(e, err);
  *live = fl_scheduler_get_run_count(e->scheduler);
  return rc;
}

int fl_engine_get_fd(const fl_engine *e) {
  return fl_loop_get_fd(e->loop);
}

int fl_engine_get_timeout_ms(const fl_engine *e) {
  if (e->again) return 0;
  int64_t due = fl_scheduler_get_due_ms(e->scheduler);
  int loop = fl_loop_get_timeout_ms(e->loop);
  if (due > INT_MAX) due = INT_MAX;
  if (due < 0) return loop;
  return loop >= 0 && loop < due ? loop : (int)due;
}

fl_code fl_wait(fl_engine *e, const char *run_id, const char **status, fl_error *err) {
  size_t live = 1;
  fl_run_row row;
  while (live) {
    if (e->interrupted) {
      e->interrupted = false;
      return fl_fail(err, FL_E_STATE, "interrupted");
    }
    fl_code rc = fl_step(e, 50, &live, err);
    if (rc) return rc;
    if (run_id && !fl_scheduler_find_run(e->scheduler, run_id)) break;
    if (live && !e->again) fl_loop_run(e->loop, fl_engine_get_timeout_ms(e));
  }
  if (!run_id) return FL_OK;
  fl_store *store;
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run_id, &row, err);
  if (rc) return rc;
  if (status) *status = fl_run_state_text(row.state);
  fl_run_row_deinit(&row);
  return FL_OK;
}

void fl_interrupt(fl_engine *e) {
  e->interrupted = true;
  fl_loop_wake(e->loop);
}

void fl_engine_stop(fl_engine *e, bool kill) {
  e->stopping = true;
  fl_scheduler_cancel_all(e->scheduler, kill);
}

// ------------------------------------------------------------------------------------- helper
// modes

int fl_helper_main(int argc, char **argv) {
  if (argc < 2) return -1;
  if (!strcmp(argv[1], "--supervisor")) return fl_supervisor_main(argc, argv);
  if (!strcmp(argv[1], "--worker")) return fl_worker_main(argc, argv);
  return -1;
}
