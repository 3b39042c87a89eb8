// The engine's end of a supervisor: requests out, reports in.
#include "io/supervise.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "io/checksum.h"
#include "io/supervise_internal.h"
#include "io/tree.h"

#define IN_MAX        (FL_FRAME_SIZE_MAX + (1u << 20)) // the largest report and what came with it
#define IN_KEPT_MAX   (1u << 20)                       // memory for reports that is kept
#define OUT_MAX       (1u << 30)                       // requests that the supervisor does not read
#define READ_SIZE     (64u << 10)
#define CLOSE_WAIT_MS 2000 // for a supervisor that does not read our good-bye
#define REST_WAIT_MS  1000 // between two looks at what a dead one's trees have left
// SIGKILL takes milliseconds, but for a process in the middle of a disk wait.
#define SWEEP_WAIT_MS      3000
#define SWEEP_PAUSE_MS_MAX 50

static void on_timer(void *ud);

fl_supervisor *fl_supervisor_new(fl_loop *loop, const char *dir, const char *id,
                                 const fl_supervisor_events *events) {
  fl_supervisor *s = fl_alloc_zero(1, sizeof *s);
  s->loop = loop;
  s->events = *events;
  char full[PATH_MAX];
  s->dir = fl_strdup(realpath(dir, full) ? full : dir);
  s->link.fd = -1;
  snprintf(s->id, sizeof s->id, "%s", id);
  s->timer = fl_timer_open(loop, on_timer, s);
  fl_buf_init(&s->in, IN_MAX);
  fl_buf_init(&s->out, OUT_MAX);
  return s;
}

static void drop_passing(fl_supervisor *s) {
  for (size_t i = 0; i < s->passing_count; i++) {
    for (int k = 0; k < s->passing[i].count; k++) close(s->passing[i].fds[k]);
  }
  s->passing_count = 0;
}

static void disconnect(fl_supervisor *s) {
  fl_poll_close(s->poll);
  s->poll = NULL;
  fl_own_fd_deinit(&s->link);
  drop_passing(s);
}

void fl_supervisor_free(fl_supervisor *s) {
  disconnect(s);
  fl_timer_close(s->timer);
  fl_buf_deinit(&s->in);
  fl_buf_deinit(&s->out);
  fl_id_set_deinit(&s->open);
  for (size_t i = 0; i < s->report_count; i++) free((char *)(uintptr_t)s->reports[i].what);
  fl_attaching_free(s->attaching);
  free(s->reports);
  free(s->passing);
  free(s->told);
  free(s->helper);
  free(s->dir);
  free(s);
}

// ------------------------------------------------------------------------------------- reports

// The content of a file beside the journal, mapped; NULL when it is not what was written.
static const char *map_file(const char *dir, const char *id, uint64_t seq, const char *kind,
                            int64_t size, uint32_t sum) {
  fl_buf path;
  struct stat st;
  char *map = NULL;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup/%s.%llu.%s", dir, id, (unsigned long long)seq, kind);
  int fd = open(fl_buf_cstr(&path), O_RDONLY | O_CLOEXEC);
  fl_buf_deinit(&path);
  if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == size && size > 0) {
    map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) map = NULL;
  }
  if (fd >= 0) close(fd);
  if (map && fl_checksum(0, map, (size_t)size) != sum) {
    munmap(map, (size_t)size);
    map = NULL;
  }
  return map;
}

bool fl_supervisor_deliver(const fl_supervisor_events *events, const char *dir, const char *id,
                           fl_wire_exit *e, bool whole_only) {
  const char *capture = NULL, *output = NULL;
  bool whole = true;
  if (e->capture_spilled >= 0) {
    capture = map_file(dir, id, e->seq, "stdout", e->capture_spilled, e->capture_sum);
    whole &= capture != NULL;
    e->exit.capture = capture;
    e->exit.capture_size = capture ? (size_t)e->capture_spilled : 0;
    e->exit.capture_overflow |= !capture;
  }
  if (e->output_spilled >= 0) {
    output = map_file(dir, id, e->seq, "output", e->output_spilled, e->output_sum);
    whole &= output != NULL;
    e->exit.output = output;
    e->exit.output_size = output ? (size_t)e->output_spilled : 0;
    e->exit.output_overflow |= !output;
  }
  bool told = whole || !whole_only;
  if (told) events->exited(events->ud, &e->exit);
  if (capture) munmap((void *)(uintptr_t)capture, (size_t)e->capture_spilled);
  if (output) munmap((void *)(uintptr_t)output, (size_t)e->output_spilled);
  return told;
}

static void report_locally(fl_supervisor *s, const fl_child_id *id, fl_child_end end, int errnum,
                           const char *what) {
  fl_child_exit e = {.id = *id,
                     .end = end,
                     .errnum = errnum,
                     .exit_code = -1,
                     .duration_ms = -1,
                     .error_what = what};
  e.log_path = e.tail = "";
  s->events.exited(s->events.ud, &e);
}

static void add_report(fl_supervisor *s, const fl_child_id *id, fl_child_end end, int errnum,
                       const char *what) {
  if (s->report_count == s->report_capacity) {
    s->report_capacity = s->report_capacity ? 2 * s->report_capacity : 16;
    s->reports = fl_realloc(s->reports, s->report_capacity * sizeof *s->reports);
  }
  s->reports[s->report_count++] =
      (fl_local_report){*id, end, errnum, what ? fl_strdup(what) : NULL};
  fl_timer_set(s->timer, 0);
}

static void tell_reports(fl_supervisor *s) {
  while (s->report_count && !s->closed) {
    fl_local_report r = s->reports[0];
    memmove(s->reports, s->reports + 1, --s->report_count * sizeof r);
    report_locally(s, &r.id, r.end, r.errnum, r.what);
    free((char *)(uintptr_t)r.what);
  }
}

void fl_supervisor_tell(fl_supervisor *s) {
  tell_reports(s);
}

// Not all of its trees could be ended. Their next attempts must not meet them: nothing is told but
// an alarm, until they are gone.
static void wait_for_rest(fl_supervisor *s) {
  for (size_t i = 0; i < s->open.capacity && !s->rest_told && s->events.alarm; i++) {
    if (fl_id_set_is_free(&s->open.ids[i])) continue;
    s->events.alarm(s->events.ud, &s->open.ids[i],
                    "its supervisor is dead, and a process that it had started cannot be ended: it "
                    "waits inside the kernel");
  }
  s->rest_told = true;
  fl_timer_set(s->timer, REST_WAIT_MS);
}

// Before its greeting it starts nothing.
static void tell_not_started(fl_supervisor *s) {
  size_t count;
  fl_child_id *ids = fl_id_set_take(&s->open, &count);
  const char *what = s->what[0] ? s->what : "run the supervisor";
  for (size_t i = 0; i < count && !s->closed; i++)
    report_locally(s, &ids[i], FL_CHILD_NOT_STARTED, s->errnum ? s->errnum : ECHILD, what);
  free(ids);
}

// Where the host is a subreaper, or process 1, the supervisor becomes its child: the host knows
// nothing of it, and would keep a zombie. By its start it is told from a child of the host's own.
static void reap(const fl_supervisor *s, int wait_ms) {
  fl_proc p;
  if (s->adopted || !s->start_ticks || !fl_proc_read(s->pid, &p) || p.start_ticks != s->start_ticks)
    return;
  while (waitpid(s->pid, NULL, WNOHANG) == 0 && wait_ms-- > 0) (void)poll(NULL, 0, 1);
}

static bool look_again(fl_supervisor *s) {
  if (s->rest_told || fl_monotonic_ms() >= s->sweep_until_ms) return false;
  s->sweep_pause_ms = s->sweep_pause_ms ? 2 * s->sweep_pause_ms : 1;
  if (s->sweep_pause_ms > SWEEP_PAUSE_MS_MAX) s->sweep_pause_ms = SWEEP_PAUSE_MS_MAX;
  fl_timer_set(s->timer, s->sweep_pause_ms);
  return true;
}

// The supervisor is gone: every child that is open is told, from the journal where it knows. False:
// not yet.
static bool tell_lost(fl_supervisor *s) {
  fl_journal_view view;
  size_t count;
  if (!s->greeted) return tell_not_started(s), true;
  bool all_ended = fl_supervisor_harvest(s->dir, s->id, &view);
  if (!all_ended && look_again(s)) {
    fl_journal_unload(&view);
    return false;
  }
  if (s->attaching) {
    fl_supervisor_answer(s, &view, all_ended);
    all_ended |= !s->open.count;
  }
  if (!all_ended) {
    fl_journal_unload(&view);
    if (!s->closed) wait_for_rest(s);
    return false;
  }
  reap(s, 0);
  fl_child_id *ids = fl_id_set_take(&s->open, &count);
  for (size_t i = 0; i < count && !s->closed; i++) {
    const fl_journal_child *c = fl_journal_find(&view, &ids[i]);
    fl_wire_exit e;
    if (c && c->ended && fl_wire_get_exit(&c->exit, &e)) {
      fl_supervisor_deliver(&s->events, s->dir, s->id, &e, false);
    } else {
      // What its journal does not know was still in its queue.
      bool began = c || !view.boot_id[0];
      report_locally(s, &ids[i], began ? FL_CHILD_LOST : FL_CHILD_REVOKED, 0, NULL);
    }
  }
  fl_journal_unload(&view);
  free(ids);
  return true;
}

static void lose(fl_supervisor *s) {
  if (s->dead) return;
  s->dead = true;
  s->sweep_until_ms = fl_monotonic_ms() + SWEEP_WAIT_MS;
  disconnect(s);
  fl_timer_set(s->timer, 0);
}

static void on_exited(fl_supervisor *s, const fl_wire_frame *frame) {
  fl_wire_exit e;
  if (!fl_wire_get_exit(frame, &e)) {
    lose(s);
    return;
  }
  if (!fl_id_set_remove(&s->open, &e.exit.id)) return; // told already
  if (e.seq) {
    if (s->told_count == s->told_capacity) {
      s->told_capacity = s->told_capacity ? 2 * s->told_capacity : 64;
      s->told = fl_realloc(s->told, s->told_capacity * sizeof *s->told);
    }
    s->told[s->told_count++] = e.seq;
    s->told_files |= e.capture_spilled >= 0 || e.output_spilled >= 0;
  }
  fl_supervisor_deliver(&s->events, s->dir, s->id, &e, false);
}

/// Whether an end is to come that somebody may ask for later: of a node's own process, not of a
/// worker, or of what one started, which are ended with us.
static bool leaves_ends(const fl_supervisor *s, bool kill_all) {
  if (s->report_count || !kill_all) return s->report_count || s->open.count;
  for (size_t i = 0; i < s->open.capacity; i++) {
    const fl_child_id *id = &s->open.ids[i];
    if (!fl_id_set_is_free(id) && id->run[0] && !id->child) return true;
  }
  return false;
}

// The last message has to arrive: without it the supervisor would think that we crashed.
static void say_goodbye(fl_supervisor *s, bool kill_all) {
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_CLOSE);
  fl_wire_put_u8(&s->out, kill_all);
  fl_wire_put_u8(&s->out, !leaves_ends(s, kill_all));
  fl_wire_end(&s->out, begin);
  for (int waited = 0; waited < CLOSE_WAIT_MS; waited += 50) {
    struct pollfd p = {.fd = s->link.fd, .events = POLLOUT};
    fl_supervisor_flush(s);
    if (!s->out.size || (poll(&p, 1, 50) > 0 && p.revents & (POLLERR | POLLHUP))) break;
  }
}

// An older helper is understood. A newer one, which may have replaced it on the disk, is let go
// before what it says is taken for something else.
static void greet(fl_supervisor *s, uint32_t version) {
  s->greeted = s->errnum == 0 && version <= FL_WIRE_VERSION;
  if (s->errnum || s->greeted) return;
  s->errnum = EPROTONOSUPPORT;
  snprintf(s->what, sizeof s->what,
           "use the helper '%.60s' (it speaks version %u, this library version %u)", s->helper,
           version, FL_WIRE_VERSION);
  say_goodbye(s, true);
  lose(s);
}

static void on_frame(fl_supervisor *s, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  fl_child_id id;
  switch ((int)frame->kind) {
  case FL_WIRE_HELLO:
    s->errnum = fl_wire_get_i32(&in);
    snprintf(s->what, sizeof s->what, "%s", fl_wire_get_text(&in));
    greet(s, !in.failed && in.at < in.end ? fl_wire_get_u32(&in) : 1);
    break;
  case FL_WIRE_STARTED: {
    fl_wire_get_id(&in, &id);
    int pid = fl_wire_get_i32(&in);
    int64_t started_ms = fl_wire_get_i64(&in);
    if (!fl_wire_done(&in))
      lose(s);
    else if (s->events.started)
      s->events.started(s->events.ud, &id, pid, started_ms);
    break;
  }
  case FL_WIRE_EXITED: on_exited(s, frame); break;
  case FL_WIRE_ALARM: {
    fl_wire_get_id(&in, &id);
    const char *text = fl_wire_get_text(&in);
    if (!fl_wire_done(&in) || !text)
      lose(s);
    else if (s->events.alarm)
      s->events.alarm(s->events.ud, &id, text);
    break;
  }
  case FL_WIRE_PROGRESS: {
    fl_wire_get_id(&in, &id);
    const char *line = fl_wire_get_text(&in);
    if (!fl_wire_done(&in) || !line)
      lose(s);
    else if (s->events.progress)
      s->events.progress(s->events.ud, &id, line);
    break;
  }
  case FL_WIRE_TAKEN:
    fl_wire_get_id(&in, &id);
    if (!fl_wire_done(&in))
      lose(s);
    else if (fl_id_set_remove(&s->open, &id))
      report_locally(s, &id, FL_CHILD_LOST, 0, NULL);
    break;
  case FL_WIRE_ATTACHED:
    if (!fl_supervisor_hear_attached(s, frame)) lose(s);
    break;
  default: lose(s);
  }
}

// Handles whole frames; what a callback asks for meanwhile goes to `out`, never to `in`.
static void handle_frames(fl_supervisor *s) {
  size_t at = 0, used = 0;
  fl_wire_frame frame;
  int got = 0;
  while (!s->closed && !s->dead &&
         (got = fl_wire_next(s->in.data + at, s->in.size - at, &frame, &used)) == 1) {
    at += used;
    on_frame(s, &frame);
  }
  fl_buf_consume(&s->in, at);
  if (!s->in.size && s->in.capacity > IN_KEPT_MAX) {
    fl_buf_deinit(&s->in);
    fl_buf_init(&s->in, IN_MAX);
  }
  if (got < 0)
    lose(s);
  else if (got == 0 && used > s->in.size)
    fl_buf_reserve(&s->in, used - s->in.size);
}

static void enter(fl_supervisor *s) {
  s->depth++;
}

static void leave(fl_supervisor *s) {
  if (--s->depth == 0 && s->closed) fl_supervisor_free(s);
}

static void on_timer(void *ud) {
  fl_supervisor *s = ud;
  enter(s);
  if (s->attaching && !s->dead && !fl_supervisor_try_attach(s)) lose(s);
  if (s->dead && !s->told_gone && !s->closed && tell_lost(s)) {
    s->told_gone = true;
    s->all_told = !s->closed;
    if (s->events.gone && !s->closed) s->events.gone(s->events.ud);
  }
  // Behind `gone`: who then spawns anew would be answered here again, and for ever.
  if (!s->dead || s->told_gone) tell_reports(s);
  leave(s);
}

static void read_some(fl_supervisor *s) {
  while (!s->closed && !s->dead) {
    if (s->in.capacity - s->in.size < READ_SIZE / 2) fl_buf_reserve(&s->in, READ_SIZE);
    size_t room = s->in.capacity - s->in.size;
    ssize_t n = recv(s->link.fd, s->in.data + s->in.size, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      lose(s);
      return;
    }
    s->in.size += (size_t)n;
    handle_frames(s); // and on to the end: after an error the poll does not call again
  }
}

static void on_poll(void *ud, bool readable, bool writable) {
  fl_supervisor *s = ud;
  enter(s);
  if (writable) fl_supervisor_flush(s);
  if (readable) read_some(s);
  leave(s);
}

// ------------------------------------------------------------------------------------- requests

static ssize_t send_part(fl_supervisor *s, size_t size) {
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * 2)];
  } control;
  struct iovec iov = {s->out.data, size};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  if (s->passing_count && s->passing[0].at == 0) {
    const fl_passing *p = &s->passing[0];
    size_t fds_size = (size_t)p->count * sizeof(int);
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(fds_size);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds_size);
    memcpy(CMSG_DATA(c), p->fds, fds_size);
  }
  return sendmsg(s->link.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void fl_supervisor_flush(fl_supervisor *s) {
  while (s->out.size && s->link.fd >= 0) {
    size_t size = s->out.size;
    // Descriptors go with the first byte of their message, so the bytes before it go without.
    size_t next = s->passing_count && s->passing[0].at == 0 ? 1 : 0;
    if (s->passing_count > next) size = s->passing[next].at;
    ssize_t n = send_part(s, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break; // full: later; gone: reading says so
    if (next) {
      for (int k = 0; k < s->passing[0].count; k++) close(s->passing[0].fds[k]);
      memmove(s->passing, s->passing + 1, --s->passing_count * sizeof *s->passing);
    }
    for (size_t i = 0; i < s->passing_count; i++) s->passing[i].at -= (size_t)n;
    fl_buf_consume(&s->out, (size_t)n);
  }
  if (s->poll) fl_poll_set(s->poll, true, s->out.size > 0);
}

// Copies the descriptors, as the caller may close them at once. Returns an errno.
static int pass(fl_supervisor *s, const fl_spawn *spawn, size_t at) {
  fl_passing p = {.at = at};
  const int fds[] = {spawn->pass_fd, spawn->pass_fd2};
  for (int i = 0; i < 2; i++) {
    if (fds[i] < 0) continue;
    int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
      int errnum = errno;
      while (p.count) close(p.fds[--p.count]);
      return errnum;
    }
    p.fds[p.count++] = fd;
  }
  if (!p.count) return 0;
  if (s->passing_count == s->passing_capacity) {
    s->passing_capacity = s->passing_capacity ? 2 * s->passing_capacity : 8;
    s->passing = fl_realloc(s->passing, s->passing_capacity * sizeof *s->passing);
  }
  s->passing[s->passing_count++] = p;
  return 0;
}

void fl_supervisor_spawn(fl_supervisor *s, const fl_spawn *spawn) {
  size_t before = s->out.size;
  if (s->dead) {
    add_report(s, &spawn->id, FL_CHILD_REVOKED, 0, NULL);
    return;
  }
  fl_wire_put_spawn(&s->out, spawn);
  int errnum = s->out.failed || s->out.size - before > FL_FRAME_SIZE_MAX ? E2BIG : 0;
  if (!errnum) errnum = pass(s, spawn, before);
  if (errnum) {
    s->out.failed = false;
    s->out.size = before;
    add_report(s, &spawn->id, FL_CHILD_NOT_STARTED, errnum, "send it to the supervisor");
    return;
  }
  fl_id_set_add(&s->open, &spawn->id);
}

void fl_supervisor_set_slots(fl_supervisor *s, uint32_t slots) {
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_SLOTS);
  fl_wire_put_u32(&s->out, slots);
  fl_wire_end(&s->out, begin);
}

void fl_supervisor_set_alarm(fl_supervisor *s, int64_t alarm_ms) {
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_ALARM_MS);
  fl_wire_put_i64(&s->out, alarm_ms);
  fl_wire_end(&s->out, begin);
}

void fl_supervisor_kill(fl_supervisor *s, const fl_child_id *id, int64_t grace_ms) {
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_KILL);
  fl_wire_put_id(&s->out, id);
  fl_wire_put_i64(&s->out, grace_ms);
  fl_wire_end(&s->out, begin);
}

void fl_supervisor_revoke(fl_supervisor *s, const char *run) {
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_REVOKE);
  fl_wire_put_text(&s->out, run);
  fl_wire_end(&s->out, begin);
}

static void remove_told_file(const fl_supervisor *s, uint64_t seq, const char *kind) {
  fl_buf path;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup/%s.%llu.%s", s->dir, s->id, (unsigned long long)seq, kind);
  unlink(fl_buf_cstr(&path));
  fl_buf_deinit(&path);
}

void fl_supervisor_settle(fl_supervisor *s) {
  if (!s->told_count || s->dead) return;
  size_t begin = fl_wire_begin(&s->out, FL_WIRE_SETTLE);
  fl_buf_add(&s->out, s->told, s->told_count * sizeof *s->told);
  fl_wire_end(&s->out, begin);
  for (size_t i = 0; i < s->told_count && s->told_files; i++) {
    remove_told_file(s, s->told[i], "stdout");
    remove_told_file(s, s->told[i], "output");
  }
  s->told_files = false;
  s->told_count = 0;
}

void fl_supervisor_close(fl_supervisor *s, bool kill_all) {
  if (!s || s->closed) return;
  s->closed = true;
  bool speaks = !s->dead && s->link.fd >= 0 && !s->attaching;
  if (speaks)
    say_goodbye(s, kill_all);
  else if (!s->adopted && s->all_told)
    fl_supervisor_forget(s->dir, s->id);
  disconnect(s);
  if (speaks && kill_all) reap(s, CLOSE_WAIT_MS);
  if (!s->depth) fl_supervisor_free(s);
}

void fl_supervisor_abandon(fl_supervisor *s) {
  if (!s || s->closed) return;
  s->closed = true;
  disconnect(s);
  if (!s->depth) fl_supervisor_free(s);
}

fl_code fl_supervisor_connect(fl_supervisor *s, int fd, fl_error *err) {
  fl_own_fd_init(&s->link, fd);
  fl_code code = fl_poll_open(s->loop, fd, on_poll, s, &s->poll, err);
  if (!code) fl_poll_set(s->poll, true, false);
  return code;
}

const char *fl_supervisor_get_id(const fl_supervisor *s) {
  return s->id;
}

int fl_supervisor_get_pid(const fl_supervisor *s) {
  return s->pid;
}
