// After a crash: finds a supervisor again, or what it left behind.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/id.h"
#include "io/supervise_private.h"
#include "io/tree.h"

#define ANSWER_WAIT_MS                                                                             \
  30000 // a living supervisor answers at once, but may have to end workers first
#define SWEEP_WAIT_MS                                                                              \
  3000 // SIGKILL takes milliseconds, but for a process in the middle of a disk wait
#define SLEEP_MS_MAX 50

static void sleep_ms(int ms) {
  poll(NULL, 0, ms);
}

// ------------------------------------------------------------------------------------- the dead

typedef struct leftover {
  const fl_journal_view *view;
  const char *id;
  char token[48]; // "<id>/"
} leftover;

static bool is_leftover(void *ud, const fl_proc *p) {
  const leftover *l = ud;
  if (p->pid == getpid() || p->state == 'Z' || p->state == 'X') return false;
  // Its groups live in its session; who left that carries the tag, or the mark.
  if (l->view->pid && p->sid == l->view->pid && p->start_ticks >= l->view->start_ticks) return true;
  return fl_tag_is_of(fl_proc_get_tag(p->pid), l->id) || fl_proc_has_mark(p->pid, l->token);
}

static bool end_leftovers(const char *id, const fl_journal_view *view, bool wait) {
  leftover l = {.view = view, .id = id};
  int64_t until = fl_monotonic_ms() + (wait ? SWEEP_WAIT_MS : 0);
  snprintf(l.token, sizeof l.token, "%s/", id);
  if (view->boot_id[0] && !view->this_boot) return true; // no process is older than the boot
  for (int pause_ms = 1;; pause_ms = pause_ms * 2 > SLEEP_MS_MAX ? SLEEP_MS_MAX : pause_ms * 2) {
    fl_proc_set found = {0};
    fl_tree_scan(is_leftover, &l, &found);
    for (size_t i = 0; i < found.count; i++) {
      fl_proc_signal(found.items[i].pid, found.items[i].start_ticks, SIGKILL);
    }
    size_t count = found.count;
    fl_proc_set_deinit(&found);
    if (!count) return true;
    if (fl_monotonic_ms() >= until) return false;
    sleep_ms(pause_ms);
  }
}

// A supervisor that cannot be spoken to must not live on beside its journal being read.
static bool end_supervisor(const fl_journal_view *view, bool wait) {
  if (!view->pid || !view->this_boot) return true;
  for (int waited = 0; waited <= (wait ? SWEEP_WAIT_MS : 0); waited += 2) {
    if (!fl_proc_is_alive(view->pid, view->start_ticks)) return true;
    fl_proc_signal(view->pid, view->start_ticks, SIGKILL);
    sleep_ms(2);
  }
  return false;
}

static bool load(const char *dir, const char *id, fl_journal_view *view) {
  fl_error err;
  if (fl_journal_load(dir, id, view, &err) == FL_OK) return true;
  memset(view, 0, sizeof *view);
  return false;
}

bool fl_supervisor_harvest(const char *dir, const char *id, bool wait, fl_journal_view *view) {
  load(dir, id, view);
  bool ended = end_supervisor(view, wait);
  ended &= end_leftovers(id, view, wait);
  fl_journal_unload(view); // it may have written more before it ended
  load(dir, id, view);
  return ended;
}

bool fl_supervisor_forget(const char *dir, const char *id) {
  fl_journal_view view;
  fl_buf path;
  size_t size = strlen(id);
  load(dir, id, &view);
  bool lives = view.pid && view.this_boot && fl_proc_is_alive(view.pid, view.start_ticks);
  fl_journal_unload(&view);
  if (lives || !fl_id_valid(id, size)) return false;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup", dir);
  DIR *d = opendir(fl_buf_cstr(&path));
  fl_buf_deinit(&path);
  if (!d) return true;
  for (struct dirent *e; (e = readdir(d));) {
    if (strncmp(e->d_name, id, size) == 0 && e->d_name[size] == '.') {
      unlinkat(dirfd(d), e->d_name, 0);
    }
  }
  closedir(d);
  return true;
}

// ------------------------------------------------------------------------------------- the living

// Returns a connected socket, or -1 when nobody listens.
static int connect_to(const char *dir, const char *id) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  fl_buf path;
  int fd = -1;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup", dir);
  int dir_fd = open(fl_buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fl_buf_deinit(&path);
  if (dir_fd < 0) return -1;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s.sock", dir_fd, id);
  int64_t until = fl_monotonic_ms() + ANSWER_WAIT_MS;
  fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  while (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address)) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN && fl_monotonic_ms() < until) { // many attach at once
      sleep_ms(5);
      continue;
    }
    close(fd);
    fd = -1;
  }
  close(dir_fd);
  return fd;
}

static bool ask(fl_supervisor *s, int fd, const char *run) {
  fl_buf b;
  fl_buf_init(&b, 4096);
  size_t begin = fl_wire_begin(&b, FL_WIRE_ATTACH);
  fl_wire_put_text(&b, run);
  fl_wire_end(&b, begin);
  bool sent = send(fd, b.data, b.size, MSG_NOSIGNAL) == (ssize_t)b.size;
  fl_buf_deinit(&b);
  int64_t until = fl_monotonic_ms() + ANSWER_WAIT_MS;
  for (;;) {
    fl_wire_frame frame;
    size_t used;
    int got = fl_wire_next(s->in.data, s->in.size, &frame, &used);
    if (got < 0 || !sent) return false;
    if (got > 0) {
      fl_wire_in in = fl_wire_open(&frame);
      if (frame.kind != FL_WIRE_ATTACHED) return false;
      while (!in.failed && in.at < in.end) {
        fl_child_id id;
        fl_wire_get_id(&in, &id);
        if (!in.failed) fl_id_set_add(&s->open, &id);
      }
      fl_buf_consume(&s->in, used);
      return !in.failed;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left = until - fl_monotonic_ms();
    if (left <= 0 || poll(&p, 1, (int)left) == 0) return false;
    fl_buf_reserve(&s->in, 64 << 10);
    ssize_t n = recv(fd, s->in.data + s->in.size, s->in.capacity - s->in.size, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (n > 0) s->in.size += (size_t)n;
  }
}

// What the journal says of a child that does not run. Calls `exited` for one that has ended.
static fl_child_fate get_fate(const fl_supervisor *s, const fl_journal_view *view,
                              const fl_child_id *id) {
  fl_wire_exit e;
  const fl_journal_child *c = fl_journal_find(view, id);
  // Within one boot nothing that was written is lost, so what is not there never was.
  if (!c) return view->this_boot ? FL_FATE_NOT_STARTED : FL_FATE_LOST;
  if (!c->ended || !fl_wire_get_exit(&c->exit, &e)) return FL_FATE_LOST;
  bool told = fl_supervisor_deliver(&s->events, s->dir, s->id, &e, !view->this_boot);
  return told ? FL_FATE_ENDED : FL_FATE_LOST;
}

fl_code fl_supervisor_attach(fl_loop *loop, const char *dir, const char *id, const char *run,
                             const fl_supervisor_events *events, const fl_child_id *ids,
                             fl_child_fate *fates, size_t count, fl_supervisor **out,
                             fl_error *err) {
  fl_journal_view view;
  fl_code code = FL_OK;
  *out = NULL;
  if (!fl_id_valid(id, strlen(id))) {
    return fl_fail(err, FL_E_USAGE, "no supervisor can have the id '%s'", id);
  }
  fl_supervisor *s = fl_supervisor_new(loop, dir, id, events);
  s->adopted = s->greeted = true;
  int fd = connect_to(s->dir, id);
  bool lives = fd >= 0 && ask(s, fd, run), all_ended = true;
  if (lives) {
    code = fl_supervisor_connect(s, fd, err);
    load(s->dir, id, &view);
    s->pid = view.pid;
  } else {
    if (fd >= 0) close(fd);
    fl_id_set_deinit(&s->open);
    all_ended = fl_supervisor_harvest(s->dir, id, true, &view);
  }
  for (size_t i = 0; i < count && !code; i++) {
    bool runs = lives && fl_id_set_has(&s->open, &ids[i]);
    fates[i] = runs ? FL_FATE_RUNNING : get_fate(s, &view, &ids[i]);
    if (all_ended || fates[i] != FL_FATE_LOST) continue;
    fl_id_set_add(&s->open, &ids[i]);
    fates[i] = FL_FATE_RUNNING; // something is: which of them is not known
  }
  fl_journal_unload(&view);
  if (!lives && !code && s->open.count) {
    fl_supervisor_wait_for_rest(s);
    *out = s;
  } else if (lives && !code && s->open.count) {
    fl_timer_set(s->timer, 0); // for what came with the answer
    *out = s;
  } else if (lives && !code) {
    fl_supervisor_close(s, false);
  } else {
    fl_supervisor_free(s);
  }
  return code;
}
