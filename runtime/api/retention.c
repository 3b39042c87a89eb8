// An engine that prunes by itself (fl_config.keep_days, keep_bytes): now and then, on a thread of
// its own, with a connection of its own. What it reads keeps nobody; it writes only while a step
// lets it, so that no step waits for it but the one that has the time.
//
//   the thread:  looks whether anything goes -> slice wanted ---------> writes -> slice over -> ...
//   the steps:           wakes up, does its own work first -> may write           waits for that
#include "api/retention.h"
#include "base/clock.h"
#include "io/owner_lock.h"
#include "io/supervise.h"
#include "io/thread.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define EVERY_MS     (60 * 60 * 1000)
#define FIRST_MS     (60 * 1000) // whoever opens an engine has other things to do
#define DAY_MS       INT64_C(86400000)
#define SLICE_MIN_US 200 // also where a step's own work took all of its time
#define SLICE_MAX_US 5000
#define YOUNG_S      60 // a journal without a line may just have been made

// ------------------------------------------------------------------------------------- leftovers

typedef struct mention {
  fl_store *store;
  const char *supervisor;
  bool found;
} mention;

static bool see_epoch(void *ud, const fl_epoch_row *row) {
  mention *m = ud;
  m->found |= row->supervisor && !strcmp(row->supervisor, m->supervisor);
  return !m->found;
}

static bool see_run(void *ud, const fl_run_row *row) {
  mention *m = ud;
  m->found |= fl_store_each_epoch(m->store, row->row, see_epoch, m, NULL) != FL_OK;
  return !m->found;
}

static bool is_just_made(int dir_fd, const char *name) {
  struct stat st;
  if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_size) return false;
  int64_t age_s = fl_wall_ms() / 1000 - st.st_mtime;
  return age_s > -YOUNG_S && age_s < YOUNG_S;
}

void fl_prune_supervisors(fl_store *s) {
  char path[4096 + 8];
  snprintf(path, sizeof path, "%s/sup", fl_store_get_dir(s));
  DIR *dir = opendir(path);
  if (!dir) return;
  for (struct dirent *e; (e = readdir(dir));) {
    char id[FL_RUN_ID_SIZE];
    size_t size = strcspn(e->d_name, ".");
    if (!size || size >= sizeof id || is_just_made(dirfd(dir), e->d_name)) continue;
    snprintf(id, sizeof id, "%.*s", (int)size, e->d_name);
    mention m = {.store = s, .supervisor = id};
    // That none is left is no matter of a prune's; those of one that lives are left to it.
    if (!fl_store_each_live_run(s, NULL, see_run, &m, NULL) && !m.found)
      (void)fl_supervisor_forget(fl_store_get_dir(s), id);
  }
  closedir(dir);
}

// ------------------------------------------------------------------------------------- the thread

typedef enum slice {
  SLICE_NONE,
  SLICE_WANTED, // by the thread
  SLICE_GIVEN,  // by a step, which waits for it to be taken
  SLICE_TAKEN,  // and to end
} slice;

struct fl_retention {
  fl_retention_config config;
  fl_timer *timer;
  fl_thread *thread; // NULL: it is not time
  bool due;
  // Of both:
  pthread_mutex_t lock;
  pthread_cond_t changed;
  slice slice;
  int64_t slice_us;
  atomic_bool stop;
  // Of who has it: the thread until it has ended.
  size_t runs;
  int64_t bytes;
  fl_code code;
  fl_error err;
};

static bool begin_slice(void *ud, int64_t *slice_us) {
  fl_retention *r = ud;
  pthread_mutex_lock(&r->lock);
  r->slice = SLICE_WANTED;
  r->config.wake(r->config.ud);
  while (!r->stop && r->slice != SLICE_GIVEN) pthread_cond_wait(&r->changed, &r->lock);
  bool given = !r->stop;
  r->slice = given ? SLICE_TAKEN : SLICE_NONE;
  *slice_us = r->slice_us;
  pthread_mutex_unlock(&r->lock);
  return given;
}

static void end_slice(void *ud) {
  fl_retention *r = ud;
  pthread_mutex_lock(&r->lock);
  r->slice = SLICE_NONE;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

static bool is_stopped(void *ud) {
  return ((fl_retention *)ud)->stop;
}

static bool owner_lives(void *ud, const char *owner) {
  const fl_retention *r = ud;
  return fl_owner_lives(r->config.dir, owner);
}

static size_t count_ids(const fl_buf *list) {
  size_t marks = 0;
  for (size_t i = 0; i < list->size; i++) marks += list->data[i] == '"';
  return marks / 2;
}

static void prune(void *ud) {
  fl_retention *r = ud;
  const fl_retention_config *c = &r->config;
  fl_store *s;
  fl_buf ids;
  bool due = false;
  fl_prune_wish wish = {.older_than_ms = FL_PRUNE_ANY_AGE,
                        .size_max_bytes = c->keep_bytes > 0 ? c->keep_bytes : -1,
                        .all = c->all,
                        .stop = is_stopped,
                        .begin = begin_slice,
                        .end = end_slice,
                        .ud = r};
  if (c->keep_days) wish.older_than_ms = fl_wall_ms() - c->keep_days * DAY_MS;
  fl_store_options options = {.read_only = true,
                              .gives_way = true,
                              .durability = FL_DURABILITY_GROUP,
                              .owner_lives = owner_lives,
                              .owner_ud = r};
  r->runs = 0;
  r->bytes = 0;
  r->code = fl_store_open(c->dir, &options, &s, &r->err);
  if (r->code) return;
  // Where nothing goes nothing is written.
  r->code = fl_store_prune_is_due(s, &wish, &due, &r->err);
  fl_store_close(s);
  if (r->code || !due) return;
  options.read_only = false;
  r->code = fl_store_open(c->dir, &options, &s, &r->err);
  if (r->code) return;
  fl_buf_init(&ids, SIZE_MAX / 2);
  r->code = fl_store_prune(s, &wish, &ids, &r->bytes, &r->err);
  if (!r->code) fl_prune_supervisors(s);
  fl_store_close(s);
  r->runs = count_ids(&ids);
  fl_buf_deinit(&ids);
}

// ------------------------------------------------------------------------------------- the engine

static void on_timer(void *ud) {
  ((fl_retention *)ud)->due = true;
}

static void plan_next(fl_retention *r, bool first) {
  int64_t every = r->config.every_ms ? r->config.every_ms : EVERY_MS;
  fl_timer_set(r->timer, first && every > FIRST_MS ? FIRST_MS : every);
}

fl_retention *fl_retention_open(const fl_retention_config *config) {
  fl_retention *r = fl_alloc_zero(1, sizeof *r);
  pthread_condattr_t attributes;
  r->config = *config;
  pthread_mutex_init(&r->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&r->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  r->timer = fl_timer_open(config->loop, on_timer, r);
  plan_next(r, true);
  return r;
}

static void pruned(void *ud) {
  fl_retention *r = ud;
  char text[FL_ERROR_MESSAGE_SIZE + 64];
  r->due = false;
  if (r->code)
    snprintf(text, sizeof text, "retention: %s; it is tried again later", r->err.message);
  else
    snprintf(text, sizeof text, "retention: removed %zu old run%s, about %lld KiB", r->runs,
             r->runs == 1 ? "" : "s", (long long)r->bytes / 1024);
  if (!r->stop && (r->code || r->runs)) r->config.notice(r->config.ud, text);
  plan_next(r, false);
}

/// Lets the thread write, and waits for the end of that. A thread that does not come to it in its
/// time is asked again by the next step.
static void give_slice(fl_retention *r, int64_t until_us) {
  struct timespec late = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
  int rc = 0;
  r->slice = SLICE_GIVEN;
  pthread_cond_broadcast(&r->changed);
  while (r->slice == SLICE_GIVEN && !rc) rc = pthread_cond_timedwait(&r->changed, &r->lock, &late);
  if (r->slice == SLICE_GIVEN) r->slice = SLICE_WANTED;
  while (r->slice == SLICE_TAKEN) pthread_cond_wait(&r->changed, &r->lock);
}

fl_code fl_retention_step(fl_retention *r, int64_t until_us, bool *again, fl_error *err) {
  if (!r || (!r->due && !r->thread)) return FL_OK;
  if (!r->thread) {
    fl_code code = fl_thread_open(r->config.wake, r->config.ud, &r->thread, err);
    if (code) return code;
    fl_thread_do(r->thread, prune, pruned, r);
  }
  if (fl_thread_take_done(r->thread)) {
    fl_thread_close(r->thread);
    r->thread = NULL;
    return FL_OK;
  }
  int64_t now = fl_monotonic_us();
  if (until_us < now + SLICE_MIN_US) until_us = now + SLICE_MIN_US;
  if (until_us > now + SLICE_MAX_US) until_us = now + SLICE_MAX_US;
  pthread_mutex_lock(&r->lock);
  if (r->slice == SLICE_WANTED) {
    r->slice_us = until_us - now;
    give_slice(r, until_us);
  }
  *again |= r->slice == SLICE_WANTED;
  pthread_mutex_unlock(&r->lock);
  return FL_OK;
}

void fl_retention_close(fl_retention *r) {
  if (!r) return;
  pthread_mutex_lock(&r->lock);
  r->stop = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
  fl_thread_close(r->thread);
  fl_timer_close(r->timer);
  pthread_cond_destroy(&r->changed);
  pthread_mutex_destroy(&r->lock);
  free(r);
}
