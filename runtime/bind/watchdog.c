// The watchdog of a host: see watchdog.h.
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "base/clock.h"
#include "bind/watchdog.h"

#define LOOK_MS 100

struct fl_watchdog {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  void (*tell)(void *ud, const char *text);
  void *ud;
  const fl_budget *slice; // that runs; NULL: none
  bool told;              // of it
  bool seen;              // one has begun since the thread looked last
  bool asleep, closing;
};

static _Thread_local fl_watchdog *mine;

static void look_later(fl_watchdog *w) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_nsec += LOOK_MS * 1000000;
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  (void)pthread_cond_timedwait(&w->changed, &w->lock, &at);
}

// Locked, and again when it returns; what it tells is a copy, for the slice may end meanwhile.
static void look(fl_watchdog *w) {
  const fl_budget *s = w->slice;
  char text[512];
  if (!s || w->told || !s->flow || fl_monotonic_us() - s->began_us < FL_BUDGET_LONG_MS * 1000)
    return;
  snprintf(text, sizeof text, "flow '%s'%s%s%s%s%s: its code has kept the engine for a second",
           s->flow, s->node ? ", node '" : "", s->node ? s->node : "", s->node ? "'" : "",
           s->what ? ", " : "", s->what ? s->what : "");
  w->told = true;
  pthread_mutex_unlock(&w->lock);
  w->tell(w->ud, text);
  pthread_mutex_lock(&w->lock);
}

static void *watch(void *ud) {
  fl_watchdog *w = ud;
  pthread_mutex_lock(&w->lock);
  while (!w->closing) {
    if (!w->slice && !w->seen) {
      w->asleep = true;
      pthread_cond_wait(&w->changed, &w->lock);
      w->asleep = false;
      continue;
    }
    w->seen = false;
    look_later(w);
    look(w);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

fl_code fl_watchdog_open(void (*tell)(void *ud, const char *text), void *ud, fl_watchdog **out,
                         fl_error *err) {
  sigset_t all, before;
  pthread_condattr_t monotonic;
  fl_watchdog *w = fl_alloc_zero(1, sizeof *w);
  *out = NULL;
  w->tell = tell;
  w->ud = ud;
  pthread_mutex_init(&w->lock, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&w->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int errnum = pthread_create(&w->thread, NULL, watch, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (errnum) {
    free(w);
    return fl_fail_errno(err, FL_E_SYSTEM, errnum, "cannot start a thread to watch code");
  }
  *out = w;
  return FL_OK;
}

void fl_watchdog_close(fl_watchdog *w) {
  if (!w) return;
  if (mine == w) mine = NULL;
  pthread_mutex_lock(&w->lock);
  w->closing = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->changed);
  pthread_mutex_destroy(&w->lock);
  free(w);
}

void fl_watchdog_use(fl_watchdog *w) {
  mine = w;
}

void fl_watchdog_see(const fl_budget *slice) {
  fl_watchdog *w = mine;
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->slice = slice;
  w->told = false;
  w->seen = true;
  bool wake = slice && w->asleep;
  pthread_mutex_unlock(&w->lock);
  if (wake) pthread_cond_signal(&w->changed);
}
