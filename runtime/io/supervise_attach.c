// After a crash: finds a supervisor again, or what it left behind.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "io/supervise_internal.h"
#include "io/supervisor_internal.h"
#include "io/tree.h"

// A living supervisor answers at once, but may have to end workers first.
#define ANSWER_WAIT_MS   30000
#define CONNECT_AGAIN_MS 5 // many attach at once

// ------------------------------------------------------------------------------------- the dead

typedef struct leftover {
  const fl_journal_view *view;
  const char *id;
  char token[48]; // "<id>/"
} leftover;

static bool is_leftover(void *ud, const fl_proc *p) {
  const leftover *l = ud;
  // Its groups live in its session; who left that carries the tag, or the mark.
  bool of_session =
      l->view->pid && p->sid == l->view->pid && p->start_ticks >= l->view->start_ticks;
  // Of a host that adopts orphans it is a child now, which nobody else would wait for.
  if (of_session && p->state == 'Z' && p->ppid == getpid()) (void)waitpid(p->pid, NULL, WNOHANG);
  if (p->pid == getpid() || p->state == 'Z' || p->state == 'X') return false;
  if (of_session) return true;
  return fl_tag_is_of(fl_proc_get_tag(p->pid), l->id) || fl_proc_has_mark(p->pid, l->token);
}

static bool end_leftovers(const char *id, const fl_journal_view *view) {
  leftover l = {.view = view, .id = id};
  fl_proc_set found = {0};
  snprintf(l.token, sizeof l.token, "%s/", id);
  if (view->boot_id[0] && !view->this_boot) return true; // no process is older than the boot
  fl_tree_scan(is_leftover, &l, &found);
  for (size_t i = 0; i < found.count; i++)
    fl_proc_signal(found.items[i].pid, found.items[i].start_ticks, SIGKILL);
  size_t count = found.count;
  fl_proc_set_deinit(&found);
  return !count;
}

// A supervisor that cannot be spoken to must not live on beside its journal being read.
static bool end_supervisor(const fl_journal_view *view) {
  if (!view->pid || !view->this_boot || !fl_proc_is_alive(view->pid, view->start_ticks))
    return true;
  fl_proc_signal(view->pid, view->start_ticks, SIGKILL);
  return false;
}

static bool load(const char *dir, const char *id, fl_journal_view *view) {
  fl_error err;
  if (fl_journal_load(dir, id, view, &err) == FL_OK) return true;
  memset(view, 0, sizeof *view);
  return false;
}

bool fl_supervisor_harvest(const char *dir, const char *id, fl_journal_view *view) {
  load(dir, id, view);
  if (!end_supervisor(view) || !end_leftovers(id, view)) return false;
  fl_journal_unload(view); // it may have written more before it ended
  load(dir, id, view);
  return true;
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
  fl_sup_progress_remove(dirfd(d), id);
  closedir(d);
  return true;
}

// ------------------------------------------------------------------------------------- the living

// Returns a connected socket; -1: nobody listens, or, with EAGAIN, too many want to be heard now.
static int connect_to(const char *dir, const char *id) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  fl_buf path;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup", dir);
  int dir_fd = open(fl_buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fl_buf_deinit(&path);
  if (dir_fd < 0) return -1;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s.sock", dir_fd, id);
  int fd = fl_fd_raise(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int rc = -1;
  while (fd >= 0 && (rc = connect(fd, (struct sockaddr *)&address, sizeof address)) &&
         errno == EINTR) {
  }
  int errnum = errno;
  if (rc && fd >= 0) close(fd);
  close(dir_fd);
  errno = errnum;
  return rc ? -1 : fd;
}

bool fl_supervisor_try_attach(fl_supervisor *s) {
  int64_t now = fl_monotonic_ms();
  fl_error err;
  if (now >= s->attaching->until_ms) return false;
  if (s->link.fd < 0) {
    int fd = connect_to(s->dir, s->id);
    if (fd < 0 && errno != EAGAIN) return false;
    if (fd < 0) return fl_timer_set(s->timer, CONNECT_AGAIN_MS), true;
    if (fl_supervisor_connect(s, fd, &err)) return false;
    fl_supervisor_flush(s);
  }
  fl_timer_set(s->timer, s->attaching->until_ms - now);
  return true;
}

// What the journal says of a child that does not run. Calls `exited` for one that has ended.
static fl_fate get_fate(const fl_supervisor *s, const fl_journal_view *view,
                        const fl_child_id *id) {
  fl_wire_exit e;
  const fl_journal_child *c = fl_journal_find(view, id);
  // Within one boot nothing that was written is lost, so what is not there never was.
  if (!c) return view->this_boot ? FL_FATE_NOT_STARTED : FL_FATE_LOST;
  if (!c->ended || !fl_wire_get_exit(&c->exit, &e)) return FL_FATE_LOST;
  bool told = fl_supervisor_deliver(&s->events, s->dir, s->id, &e, !view->this_boot);
  return told ? FL_FATE_ENDED : FL_FATE_LOST;
}

void fl_supervisor_answer(fl_supervisor *s, const fl_journal_view *view, bool all_ended) {
  fl_attaching *a = s->attaching;
  fl_fate *fates = fl_alloc_zero(a->count + 1, sizeof *fates);
  for (size_t i = 0; i < a->count && !s->closed; i++) {
    bool runs = fl_id_set_has(&s->open, &a->ids[i]);
    fates[i] = runs ? FL_FATE_RUNNING : get_fate(s, view, &a->ids[i]);
    if (all_ended || fates[i] != FL_FATE_LOST) continue;
    fl_id_set_add(&s->open, &a->ids[i]);
    fates[i] = FL_FATE_RUNNING; // something is: which of them is not known
  }
  s->attaching = NULL;
  if (!s->closed) s->events.attached(s->events.ud, s, a->ids, fates, a->count);
  free(fates);
  fl_attaching_free(a);
}

bool fl_supervisor_hear_attached(fl_supervisor *s, const fl_wire_frame *frame) {
  fl_journal_view view;
  fl_wire_in in = fl_wire_open(frame);
  if (!s->attaching) return false;
  while (!in.failed && in.at < in.end) {
    fl_child_id id;
    fl_wire_get_id(&in, &id);
    if (!in.failed) fl_id_set_add(&s->open, &id);
  }
  if (in.failed) return fl_id_set_deinit(&s->open), false;
  fl_timer_set(s->timer, -1);
  load(s->dir, s->id, &view);
  s->pid = view.pid;
  fl_supervisor_answer(s, &view, true);
  fl_journal_unload(&view);
  return true;
}

void fl_attaching_free(fl_attaching *a) {
  if (!a) return;
  free(a->ids);
  free(a);
}

fl_code fl_supervisor_attach(fl_loop *loop, const char *dir, const char *id, const char *run,
                             const fl_supervisor_events *events, const fl_child_id *ids,
                             size_t count, fl_supervisor **out, fl_error *err) {
  *out = NULL;
  if (!fl_id_valid(id, strlen(id)))
    return fl_fail(err, FL_E_USAGE, "no supervisor can have the id '%s'", id);
  fl_supervisor *s = fl_supervisor_new(loop, dir, id, events);
  fl_attaching *a = s->attaching = fl_alloc_zero(1, sizeof *a);
  s->adopted = s->greeted = true;
  a->ids = fl_alloc((count + 1) * sizeof *ids);
  if (count) memcpy(a->ids, ids, count * sizeof *ids);
  a->count = count;
  a->until_ms = fl_monotonic_ms() + ANSWER_WAIT_MS;
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_ATTACH);
  fl_wire_put_text(&s->out, run);
  fl_wire_end(&s->out, begin);
  fl_timer_set(s->timer, 0);
  *out = s;
  return FL_OK;
}
