// How a worker begins and is let go: its socket, its page, what it loads its script from.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/limits.h"
#include "executor/worker_pool_internal.h"

int64_t fl_worker_pool_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static fl_code fail_open(fl_error *err, const char *what) {
  bool temporary = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
  return fl_fail_errno(err, temporary ? FL_E_BUSY : FL_E_SYSTEM, errno,
                       "cannot start a worker: cannot make %s", what);
}

static fl_code open_link(fl_worker *w, fl_error *err) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) || fl_fd_raise_pair(ends))
    return fail_open(err, "a socket");
  w->fd = ends[0];
  w->child_fd = ends[1];
  fcntl(w->fd, F_SETFL, O_NONBLOCK); // ours alone: the ends do not share their flags
  if (pipe2(ends, O_CLOEXEC) || fl_fd_raise_pair(ends)) return fail_open(err, "a pipe");
  w->ends.read = ends[0];
  w->ends.write = ends[1];
  if (pipe2(ends, O_CLOEXEC) || fl_fd_raise_pair(ends)) return fail_open(err, "a pipe");
  w->passed_fd = ends[0];
  w->ends.pass = ends[1];
  fcntl(w->ends.read, F_SETFL, O_NONBLOCK);
  fcntl(w->passed_fd, F_SETFL, O_NONBLOCK);
  fl_code rc = fl_worker_page_open(&w->page, &w->page_fd, err);
  if (rc) return rc;
  return fl_poll_open(w->pool->services->loop, w->fd, fl_worker_on_socket, w, &w->poll, err);
}

static void put_init(fl_worker *w) {
  const fl_worker_group *g = w->group;
  fl_worker_init init = {.path = fl_script_get_path(g->script),
                         .lua_dir = w->pool->services->lua_dir,
                         .overrides = fl_script_get_overrides(g->script),
                         .natives = g->natives,
                         .native_count = g->native_count,
                         .snapshot = *fl_script_get_snapshot(g->script)};
  fl_worker_put_init(&w->out, &init);
}

// Search paths may name folders beside where the engine was started; a worker stands elsewhere.
// "K=V" with every relative piece made absolute, or NULL when the variable is not set.
static char *make_search_path(const char *name) {
  const char *value = getenv(name);
  char cwd[4096];
  fl_buf text;
  if (!value || !getcwd(cwd, sizeof cwd)) return NULL;
  fl_buf_init(&text, 1u << 20);
  fl_buf_addf(&text, "%s=", name);
  for (const char *piece = value; *piece;) {
    size_t size = strcspn(piece, ";");
    if (size && *piece != '/') fl_buf_addf(&text, "%s/", cwd);
    fl_buf_add(&text, piece, size);
    piece += size;
    if (*piece) fl_buf_add_char(&text, *piece++);
  }
  return fl_buf_take(&text);
}

static void spawn(fl_worker *w, fl_supervisor *supervisor) {
  static const char *const paths[] = {"FLOWLUA_PATH", "LUA_PATH", "LUA_CPATH"};
  const char *argv[] = {w->pool->services->helper, "--worker", NULL};
  char *owned[3];
  const char *env[4] = {NULL};
  size_t count = 0;
  for (size_t i = 0; i < 3; i++)
    if ((owned[count] = make_search_path(paths[i]))) env[count] = owned[count], count++;
  fl_spawn s = {.id = {.child = w->child},
                .node_name = "worker",
                .argv = argv,
                .env = env,
                .cwd = "/",
                .time = "",
                .pass_fd = w->child_fd,
                .pass_fd2 = w->page_fd};
  fl_supervisor_spawn(supervisor, &s);
  fl_supervisor_flush(supervisor);
  while (count) free(owned[--count]);
}

fl_code fl_worker_start(fl_worker_pool *pool, fl_worker_group *group, fl_error *err) {
  const fl_services *services = pool->services;
  if (!services->helper) {
    return fl_fail(err, FL_E_USAGE, "cannot start a worker: no helper program is configured");
  }
  fl_supervisor *supervisor = fl_processes_get_supervisor(services->processes, err);
  if (!supervisor) return err->code;
  fl_worker *w = fl_alloc_zero(1, sizeof *w);
  w->pool = pool;
  w->group = group;
  w->child = ++pool->child_counter;
  w->fd = w->child_fd = w->page_fd = w->passed_fd = -1;
  w->ends = (fl_worker_ends){-1, -1, -1};
  w->free_slots = UINT64_MAX;
  w->began_ns = fl_worker_pool_now_ns();
  fl_buf_init(&w->in, FL_FRAME_SIZE_MAX + (1u << 20));
  fl_buf_init(&w->out, 4ull * FL_FRAME_SIZE_MAX);
  fl_code rc = open_link(w, err);
  if (!rc) put_init(w);
  if (!rc && w->out.failed) rc = fl_fail(err, FL_E_LIMIT, "the script is too large for a worker");
  if (rc) {
    fl_worker_free(w);
    return rc;
  }
  fl_worker **last = &pool->workers;
  while (*last) last = &(*last)->next;
  *last = w;
  pool->worker_count++;
  spawn(w, supervisor);
  fl_poll_set(w->poll, true, false);
  return FL_OK;
}

void fl_worker_release_ends(fl_worker *w) {
  close_fd(&w->child_fd);
  close_fd(&w->page_fd);
}

void fl_worker_close_ends(fl_worker *w) {
  close_fd(&w->ends.write);
  close_fd(&w->ends.pass);
}

// The other end sees it, whatever it is doing, and exits.
static void close_link(fl_worker *w) {
  fl_poll_close(w->poll);
  w->poll = NULL;
  close_fd(&w->fd);
  fl_worker_close_ends(w);
  fl_worker_release_ends(w);
}

void fl_worker_close(fl_worker *w) {
  if (w->state == FL_WORKER_CLOSED) return;
  w->state = FL_WORKER_CLOSED;
  w->pool->worker_count--;
  close_link(w);
}

void fl_worker_free(fl_worker *w) {
  if (w->pool->saved == w) w->pool->saved = NULL;
  close_link(w);
  close_fd(&w->ends.read);
  close_fd(&w->passed_fd);
  fl_worker_page_close(w->page);
  for (uint32_t i = 0; i < FL_WORKER_TEXTS; i++) fl_value_unref(w->texts[i]);
  fl_buf_deinit(&w->in);
  fl_buf_deinit(&w->out);
  free(w->complaint);
  free(w);
}

void fl_worker_kill(fl_worker *w) {
  fl_error err;
  if (w->killed) return;
  w->killed = true;
  fl_supervisor *supervisor = fl_processes_get_supervisor(w->pool->services->processes, &err);
  if (!supervisor) return; // then its exit is reported as lost
  fl_child_id id = {.child = w->child};
  fl_supervisor_kill(supervisor, &id, 0);
  fl_supervisor_flush(supervisor);
}
