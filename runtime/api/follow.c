// Those who listen to an engine: to its own runs, or to everybody's in the state directory. The
// second read what others did from the store, each behind its own number, so that none holds a
// queue.
#include "api/engine.h"

#define COMMIT_MS 1
#define PORTION   64 // events of others that are told in one go: some 200 us

typedef struct follower {
  struct follower *next;
  fl_engine *engine;
  uint64_t id, cursor; // number of the last event it was told
  fl_event_fn on_event;
  void *ud;
  bool ended;
} follower;

struct fl_followers {
  follower *first;
  fl_reader *reader; // of their own: the engine's may be in the middle of a transaction
  fl_poll *poll;
  fl_timer *timer;
  bool due;
  int telling;
};

static bool tell(void *ud, const fl_event *event) {
  follower *f = ud;
  f->cursor = event->seq;
  f->on_event(f->ud, event);
  return !f->ended;
}

/// What is in the store behind its number, up to `until`; *more: that is not all.
static fl_code catch_up(follower *f, uint64_t until, bool *more, fl_error *err) {
  uint64_t first, last, behind = until > f->cursor ? until - f->cursor : 0;
  size_t limit = behind < PORTION ? (size_t)behind : PORTION;
  *more = false;
  if (f->ended || !limit) return FL_OK;
  fl_code code = fl_read_store_events(f->engine->followers->reader->store, f->cursor, limit, &first,
                                      &last, tell, f, err);
  if (code == FL_E_NOT_FOUND) { // it was away for too long: it is told so once, and goes on
    fl_event notice = {.kind = FL_EVENT_NOTICE, .error = err ? err->message : "", .exit_code = -1};
    f->cursor = last;
    f->on_event(f->ud, &notice);
    return FL_OK;
  }
  if (!code && last < until) until = last;
  *more = !code && f->cursor < until && limit == PORTION;
  // Events of runs that were removed are in nobody's way.
  if (!code && !*more && f->cursor < until) f->cursor = until;
  return code;
}

static void on_own(void *ud, const fl_event *event) {
  follower *f = ud;
  fl_error err;
  bool more = true;
  if (event->seq) {
    if (event->seq <= f->cursor) return;
    while (more && !catch_up(f, event->seq - 1, &more, &err)) {
    }
    f->cursor = event->seq;
  }
  if (!f->ended) f->on_event(f->ud, event);
}

static void on_readable(void *ud, bool readable, bool writable) {
  fl_followers *l = ud;
  (void)readable, (void)writable;
  // Woken by its first byte: one look for a whole commit, and for those that come with it.
  fl_poll_set(l->poll, false, false);
  fl_timer_set(l->timer, COMMIT_MS);
}

static void on_timer(void *ud) {
  ((fl_followers *)ud)->due = true;
}

static void sweep(fl_followers *l) {
  for (follower **at = &l->first; !l->telling && *at;) {
    follower *f = *at;
    if (f->ended)
      *at = f->next, free(f);
    else
      at = &f->next;
  }
}

fl_code fl_followers_step(fl_engine *e, fl_error *err) {
  fl_followers *l = e->followers;
  bool news, again = false, more;
  if (!l || !l->due || fl_store_is_open(e->store)) return FL_OK;
  fl_code code = fl_reader_has_news(l->reader, &news, err);
  l->telling++;
  for (follower *f = l->first; !code && f; f = f->next) {
    code = catch_up(f, UINT64_MAX, &more, err);
    again |= more;
  }
  l->telling--;
  sweep(l);
  l->due = again;
  fl_poll_set(l->poll, true, false);
  return code;
}

bool fl_followers_are_due(const fl_engine *e) {
  return e->followers && e->followers->due;
}

static fl_code open_followers(fl_engine *e, fl_error *err) {
  int fd;
  if (e->followers) return FL_OK;
  fl_followers *l = fl_alloc_zero(1, sizeof *l);
  fl_code code = fl_reader_open(e->state_dir, &l->reader, err);
  if (!code) code = fl_reader_get_fd(l->reader, &fd, err);
  if (!code) code = fl_poll_open(e->loop, fd, on_readable, l, &l->poll, err);
  if (code) {
    fl_reader_close(l->reader);
    free(l);
    return code;
  }
  fl_poll_set(l->poll, true, false);
  l->timer = fl_timer_open(e->loop, on_timer, l);
  e->followers = l;
  return FL_OK;
}

void fl_followers_close(fl_engine *e) {
  fl_followers *l = e->followers;
  if (!l) return;
  FL_ASSERT(!l->telling);
  for (follower *f = l->first, *next; f; f = next) {
    next = f->next;
    free(f);
  }
  fl_poll_close(l->poll);
  fl_timer_close(l->timer);
  fl_reader_close(l->reader);
  free(l);
  e->followers = NULL;
}

fl_code fl_engine_subscribe(fl_engine *e, fl_event_fn on_event, void *ud, uint64_t *id,
                            fl_error *err) {
  *id = 0;
  if (!on_event) return fl_fail(err, FL_E_USAGE, "a subscriber needs a function");
  fl_code rc = fl_engine_refuse_elsewhere(e, err);
  if (rc) return rc;
  *id = fl_scheduler_subscribe(e->scheduler, on_event, ud);
  return FL_OK;
}

fl_code fl_engine_follow(fl_engine *e, uint64_t after, fl_event_fn on_event, void *ud, uint64_t *id,
                         fl_error *err) {
  fl_store *store;
  uint64_t first, last;
  *id = 0;
  if (!on_event) return fl_fail(err, FL_E_USAGE, "a subscriber needs a function");
  fl_code code = fl_engine_need_store(e, &store, err);
  if (!code) code = open_followers(e, err);
  // Asked as a reader would be: what is gone, or not there yet, is an error now.
  if (!code)
    code =
        fl_read_store_events(e->followers->reader->store, after, 0, &first, &last, NULL, NULL, err);
  if (code) return code;
  follower *f = fl_alloc_zero(1, sizeof *f);
  *f = (follower){.next = e->followers->first, .engine = e, .on_event = on_event, .ud = ud};
  f->cursor = after ? after : last;
  *id = f->id = fl_scheduler_subscribe(e->scheduler, on_own, f);
  e->followers->first = f;
  e->followers->due |= f->cursor < last;
  return FL_OK;
}

void fl_engine_unsubscribe(fl_engine *e, uint64_t id) {
  if (fl_engine_refuse_elsewhere(e, NULL)) return;
  fl_scheduler_unsubscribe(e->scheduler, id);
  if (!e->followers) return;
  for (follower *f = e->followers->first; f; f = f->next)
    if (f->id == id) f->ended = true;
  // Those that are telling now are freed by the next step.
  e->followers->due = true;
}
