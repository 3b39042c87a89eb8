// Opens and closes an engine and steps it: the only place that wires every part to the others.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api/engine.h"

// ------------------------------------------------------------------------------------- services

static fl_log_sink *open_log(void *ud, fl_attempt *a) {
  fl_engine *e = ud;
  fl_log_writer *writer = fl_run_get_log(fl_attempt_get_run(a));
  if (!writer) {
    writer = fl_log_writer_open(e->state_dir, fl_attempt_get_run_id(a), e->id);
    fl_run_set_log(fl_attempt_get_run(a), writer);
  }
  return fl_log_sink_open(writer, fl_attempt_get_name(a), fl_attempt_get_number(a),
                          FL_LOG_SIZE_DEFAULT);
}

static void free_log(void *ud, void *log) {
  (void)ud;
  fl_log_writer_close(log);
}

static int64_t budget_us(void *ud) {
  (void)ud;
  return fl_monotonic_us();
}

static fl_code find_sub(void *ud, const fl_run_row *row, const fl_flow *sub, const fl_flow **out,
                        fl_value **patch, fl_error *err) {
  return fl_engine_find_sub(ud, row, sub, out, patch, err);
}

static void advise(void *ud, fl_run *run, bool within) {
  fl_engine_advise(ud, run, within);
}

static double random_unit(void *ud) {
  uint32_t bits;
  (void)ud;
  fl_random_bytes(&bits, sizeof bits);
  return bits / 4294967296.0;
}

static void tell(void *ud, const fl_event *event) {
  fl_engine *e = ud;
  e->inside++;
  e->config.on_event(e->config.event_ud, event);
  e->inside--;
}

// ------------------------------------------------------------------------------------- open, close

static fl_code check_config(const fl_config *c, fl_error *err) {
  if (!c || !c->size || c->size > sizeof *c)
    return fl_fail(err, FL_E_USAGE, "fl_config.size must be sizeof(fl_config)");
  if (!c->state_dir || !*c->state_dir)
    return fl_fail(err, FL_E_USAGE, "fl_config.state_dir is required");
  return FL_OK;
}

static uint32_t core_count(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
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
                              .alarm_ms = c->alarm_ms,
                              .inside = &e->inside,
                              .open_log = open_log,
                              .ud = e};
  e->scripts = fl_scripts_new(e);
  e->services.processes = e->processes = fl_processes_new(&e->services);
  e->inlines = fl_inline_new(&e->services);
  e->workers = fl_worker_pool_new(&e->services);
  fl_pool_capacity *pools = fl_alloc_zero(c->pool_count + 1, sizeof *pools);
  for (size_t i = 0; i < c->pool_count; i++)
    pools[i] =
        (fl_pool_capacity){.name = (char *)c->pools[i].name, .capacity = c->pools[i].capacity};
  fl_scheduler_config sc = {.clock = *fl_clock_system(),
                            .never_waits = c->disk_thread && !c->read_only,
                            .owner = e->owner,
                            .durability = c->durability,
                            .jobs = jobs,
                            .pools = pools,
                            .pool_count = c->pool_count,
                            .random = random_unit,
                            .free_log = free_log,
                            .budget_us = budget_us,
                            .find_sub = find_sub,
                            .advise = advise,
                            .on_event = c->on_event ? tell : NULL,
                            .event_ud = e,
                            .ud = e};
  e->services.scheduler = e->scheduler = fl_scheduler_new(&sc);
  const fl_executor executors[] = {
      fl_processes_get_executor(e->processes), fl_worker_pool_get_executor(e->workers),
      fl_inline_get_executor(e->inlines), fl_natives_get_executor(e->natives)};
  for (size_t i = 0; i < sizeof executors / sizeof *executors; i++)
    fl_scheduler_register(e->scheduler, &executors[i]);
  free(pools);
  return FL_OK;
}

fl_code fl_engine_open(const fl_config *config, fl_engine **out, fl_error *err) {
  *out = NULL;
  fl_code rc = check_config(config, err);
  if (rc) return rc;
  fl_engine *e = fl_alloc_zero(1, sizeof *e);
  memcpy(&e->config, config, config->size);
  e->pid = (int)getpid();
  atomic_store(&e->thread, (unsigned long)pthread_self());
  char full[PATH_MAX];
  e->state_dir = fl_strdup(config->state_dir);
  e->helper = config->helper ? fl_strdup(config->helper) : NULL;
  if (config->lua_dir)
    e->lua_dir = fl_strdup(realpath(config->lua_dir, full) ? full : config->lua_dir);
  e->natives = fl_natives_new(&e->services);
  if (config->size > offsetof(fl_config, own_process) && config->own_process)
    fl_budgets_own_process();
  rc = open_parts(e, err);
  if (!rc && e->config.on_held)
    rc = fl_watchdog_open(e->config.on_held, e->config.held_ud, &e->watchdog, err);
  if (!rc && !e->config.open_late) rc = fl_engine_need_state(e, err);
  if (rc)
    fl_engine_close(e);
  else
    *out = e;
  return rc;
}

fl_code fl_engine_flush(fl_engine *e, fl_error *err) {
  fl_code rc = fl_engine_refuse_elsewhere(e, err);
  if (rc || !e->store) return rc;
  rc = fl_scheduler_flush(e->scheduler, err);
  if (e->disk) fl_thread_wait(e->disk);
  return rc;
}

#define LOCKED_MS 2 // until a step is tried again that found another process writing

// With a thread for the disk. What the loop has to tell is heard only while it can be recorded: the
// lock comes first, and is not even asked for while nothing is there.
static bool begin_step(fl_engine *e) {
  struct pollfd fd = {.fd = fl_loop_get_fd(e->loop), .events = POLLIN};
  bool told = fl_thread_take_done(e->disk);
  if (!told && !e->again && poll(&fd, 1, 0) <= 0 && fl_loop_get_timeout_ms(e->loop) != 0 &&
      !fl_scheduler_has_work(e->scheduler) && !fl_natives_have_late(e->natives))
    return false;
  return !e->store || fl_scheduler_may_write(e->scheduler);
}

// Waits for something that a step would do. With a thread for the disk the step dispatches it.
static void wait_for_work(fl_engine *e, int timeout_ms) {
  struct pollfd fd = {.fd = fl_loop_get_fd(e->loop), .events = POLLIN};
  if (!e->disk)
    fl_loop_run(e->loop, timeout_ms);
  else if (fl_scheduler_is_locked_out(e->scheduler))
    (void)poll(NULL, 0, LOCKED_MS); // whatever is there cannot be heard now
  else
    (void)poll(&fd, 1, timeout_ms);
}

// What still runs is ended, and recorded as ended; a broken store leaves it to the next resume.
static void stop_runs(fl_engine *e) {
  fl_error err;
  size_t live = 1;
  if (!fl_scheduler_get_run_count(e->scheduler)) return;
  fl_engine_stop(e, true);
  fl_natives_detach(e->natives, true); // a host that waits here finishes none
  int64_t until = fl_monotonic_ms() + 10000;
  while (live && fl_monotonic_ms() < until) {
    if (fl_step(e, 100, &live, &err)) return;
    if (fl_scheduler_is_stuck(e->scheduler)) break;
    if (live && !e->again) wait_for_work(e, 50);
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
    stop_runs(e);
    fl_error err;
    if (e->store) (void)!fl_store_sync(e->store, &err);
  }
  fl_natives_detach(e->natives, false);
  fl_followers_close(e);
  fl_retention_close(e->retention);
  e->retention = NULL;
  fl_worker_pool_free(e->workers);
  e->workers = NULL;
  fl_processes_free(e->processes, !broken);
  fl_scheduler_free(e->scheduler);
  fl_inline_free(e->inlines);
  e->inlines = NULL;
  fl_scripts_free(e->scripts);
  fl_notify_close(e->notify);
  fl_engine_close_reader(e);
  fl_store_close(e->store);
  fl_thread_close(e->disk); // it wakes the loop
  fl_loop_close(e->loop);
  fl_owner_lock_close(e->lock); // now the last word is written
  e->disk = NULL;
  e->scripts = NULL;
  e->notify = NULL;
  e->lock = NULL;
  e->loop = NULL;
  e->store = NULL;
  e->scheduler = NULL;
}

fl_code fl_engine_reopen(fl_engine *e, fl_error *err) {
  fl_code rc = fl_engine_refuse_inside(e, "fl_engine_reopen", err);
  if (rc) return rc;
  if (!is_broken(e) && e->store)
    return fl_fail(err, FL_E_STATE, "the engine works: there is nothing to open again");
  close_parts(e);
  rc = open_parts(e, err);
  return rc ? rc : fl_engine_need_state(e, err);
}

void fl_engine_close(fl_engine *e) {
  fl_error ignored;
  // Whose thread has ended may be closed by any other.
  if (!e || fl_engine_take(e, &ignored) || fl_engine_refuse_inside(e, "fl_engine_close", &ignored))
    return;
  // In a child of the host's all that is open is its parent's, too: SQLite would drop or copy its
  // log, libuv change its epoll set, Lua write what is buffered. That goes when the child does.
  if (e->pid == (int)getpid()) {
    close_parts(e);
    fl_watchdog_close(e->watchdog);
  }
  fl_natives_free(e->natives);
  free(e->state_dir);
  free(e->helper);
  free(e->lua_dir);
  free(e);
}

// ------------------------------------------------------------------------------------- scripts

fl_code fl_native_type_register(fl_engine *e, const fl_native_type *type, fl_error *err) {
  fl_code rc = fl_engine_refuse_elsewhere(e, err);
  return rc ? rc : fl_natives_add(e->natives, type, err);
}

void fl_engine_set_args(fl_engine *e, int argc, char *const argv[]) {
  if (fl_engine_refuse_elsewhere(e, NULL)) return;
  e->argc = argc;
  e->argv = argv;
}

// ------------------------------------------------------------------------------------- stepping

static void tell_step(const fl_engine *e, int64_t began_us, const fl_slice *longest,
                      fl_step_info *info) {
  if (!info) return;
  fl_step_info all = {.size = info->size,
                      .live = fl_scheduler_get_run_count(e->scheduler),
                      .again = e->again,
                      .used_us = (uint32_t)(fl_monotonic_us() - began_us),
                      .longest_us = (uint32_t)longest->us,
                      .longest_node = longest->node};
  snprintf(all.longest_run, sizeof all.longest_run, "%s", longest->run);
  memcpy(info, &all, info->size < sizeof all ? info->size : sizeof all);
}

static void tell_log_alarm(fl_engine *e) {
  char text[256], who[32] = "";
  int64_t bytes;
  int pid;
  if (!fl_store_take_log_alarm(e->store, &bytes, &pid)) return;
  if (pid) snprintf(who, sizeof who, " (process %d)", pid);
  snprintf(text, sizeof text,
           "the store's log has grown to %lld MiB: somebody%s has been reading in it for long, and "
           "it is not taken up before that ends",
           (long long)(bytes >> 20), who);
  e->inside++;
  fl_scheduler_notice(e->scheduler, "%s", text);
  e->inside--;
}

static fl_code step(fl_engine *e, uint32_t budget_us, fl_step_info *info, fl_error *err) {
  const int64_t began = fl_monotonic_us(), until = began + budget_us;
  fl_code rc = FL_OK;
  fl_slice longest = {0};
  if (e->disk && !begin_step(e)) {
    e->again = false;
    tell_step(e, began, &longest, info);
    return FL_OK;
  }
  fl_scheduler_watch_slices(e->scheduler, &longest);
  if (e->disk) fl_natives_end_late(e->natives);
  bool due = fl_loop_run_until(e->loop, 0, until);
  // What the thread did since begin_step() has been announced: the loop has just heard it.
  if (e->disk) (void)fl_thread_take_done(e->disk);
  for (;;) {
    int64_t now = fl_monotonic_us();
    rc = fl_scheduler_step(e->scheduler, until > now ? until - now : 0, &e->again, err);
    // A worker that saves again at once is heard without a turn of the host's loop.
    if (rc || e->disk || e->again || fl_monotonic_us() >= until) break;
    if (!fl_worker_pool_linger(e->workers)) break;
    due = fl_loop_run_until(e->loop, 0, until);
  }
  e->again |= due;
  if (!rc && !fl_scheduler_is_locked_out(e->scheduler)) rc = fl_resume_wanted(e, err);
  fl_scripts_trim(e->scripts);
  if (!rc) tell_log_alarm(e);
  if (!rc) rc = fl_followers_step(e, err);
  e->again |= fl_followers_are_due(e);
  if (!rc && e->store && !fl_store_is_open(e->store))
    rc = fl_retention_step(e->retention, e->again ? 0 : until, &e->again, err);
  fl_scheduler_watch_slices(e->scheduler, NULL);
  tell_step(e, began, &longest, info);
  return rc;
}

fl_code fl_step_us(fl_engine *e, uint32_t budget_us, fl_step_info *info, fl_error *err) {
  fl_code rc = fl_engine_refuse_inside(e, "fl_step", err);
  if (rc) {
    if (info) memset((char *)info + sizeof info->size, 0, info->size - sizeof info->size);
    return rc;
  }
  atomic_store(&e->turning, true);
  fl_watchdog_use(e->watchdog);
  rc = step(e, budget_us, info, err);
  fl_watchdog_use(NULL);
  atomic_store(&e->turning, false);
  return rc;
}

fl_code fl_step(fl_engine *e, uint32_t budget_ms, size_t *live, fl_error *err) {
  fl_step_info info = {.size = sizeof info};
  uint32_t budget_us = budget_ms < UINT32_MAX / 1000 ? budget_ms * 1000 : UINT32_MAX;
  fl_code rc = fl_step_us(e, budget_us, &info, err);
  *live = info.live;
  return rc;
}

void fl_wake(fl_engine *e) {
  fl_loop_wake(e->loop);
}

int fl_engine_get_fd(const fl_engine *e) {
  return fl_loop_get_fd(e->loop);
}

int fl_engine_get_timeout_ms(const fl_engine *e) {
  if (e->again) return 0;
  if (fl_scheduler_is_locked_out(e->scheduler)) return LOCKED_MS;
  int64_t due = fl_scheduler_get_due_ms(e->scheduler);
  int loop = fl_loop_get_timeout_ms(e->loop);
  if (due > INT_MAX) due = INT_MAX;
  if (due < 0) return loop;
  return loop >= 0 && loop < due ? loop : (int)due;
}

fl_code fl_wait(fl_engine *e, const char *run_id, const char **status, fl_error *err) {
  size_t live = 1;
  fl_run_row row;
  fl_code code = fl_engine_refuse_inside(e, "fl_wait", err);
  if (code) return code;
  while (live) {
    if (atomic_exchange(&e->interrupted, false)) return fl_fail(err, FL_E_STATE, "interrupted");
    fl_code rc = fl_step(e, 50, &live, err);
    if (rc) return rc;
    if (run_id && !fl_scheduler_find_run(e->scheduler, run_id)) break;
    if (live && !e->again) wait_for_work(e, fl_engine_get_timeout_ms(e));
  }
  if (!run_id) return FL_OK;
  if (e->disk) { // its end is recorded, and told when that is durable
    fl_code rc = fl_engine_flush(e, err);
    if (!rc) rc = fl_step(e, 50, &live, err);
    if (rc) return rc;
  }
  fl_store *store;
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run_id, &row, err);
  if (rc) return rc;
  bool left = fl_owner_is_interrupted(e, &row);
  if (status) *status = left ? FL_RUN_INTERRUPTED_TEXT : fl_run_state_text(row.state);
  if (!left && row.state != FL_RUN_QUEUED && !fl_run_state_is_final(row.state))
    rc = fl_fail(err, FL_E_FENCED, "run %s was taken over by another engine", row.id);
  fl_run_row_deinit(&row);
  return rc;
}

void fl_interrupt(fl_engine *e) {
  fl_budgets_interrupt();
  e->interrupted = true;
  fl_loop_wake(e->loop);
}

void fl_engine_stop(fl_engine *e, bool kill) {
  fl_error err;
  if (fl_engine_refuse_elsewhere(e, NULL)) return;
  e->stopping = true;
  fl_scheduler_cancel_all(e->scheduler, kill);
  (void)!fl_scheduler_unlock(e->scheduler, &err); // why it failed is what the next step says
}

// ------------------------------------------------------------------------------------- helper
// modes

int fl_helper_main(int argc, char **argv) {
  if (argc < 2) return -1;
  if (!strcmp(argv[1], "--supervisor")) return fl_supervisor_main(argc, argv);
  if (!strcmp(argv[1], "--worker")) return fl_worker_main(argc, argv);
  return -1;
}

fl_code fl_set_allocator(const fl_allocator *allocator, fl_error *err) {
  fl_code rc = fl_use_allocator(allocator, err);
  if (rc) return rc;
  fl_json_use_allocator();
  return fl_loop_use_allocator() ? FL_OK : fl_fail(err, FL_E_USAGE, "libuv refuses the allocator");
}

void fl_own_process(void) {
  fl_store_own_process();
}
