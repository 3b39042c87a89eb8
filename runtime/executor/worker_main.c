// `flowlua --worker`: loads a script once, then runs the tasks that its engine sends, one at a
// time.
//
// Descriptor 3 is the socket to the engine, 4 the shared page. The process ends when the socket
// does: nothing is worth saving here, all results have been said.
#include <fcntl.h>
#include <lauxlib.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "executor/worker.h"
#include "executor/worker_self_internal.h"

#define SOCKET_FD     3
#define PAGE_FD       4
#define REFUSAL_SIZE  256           // of a result with a short error
#define SHORT_US      50            // a task below this is measured by the clock alone
#define WEAR_RSS      (256ll << 20) // a worker that keeps this much more than it began with is worn
#define WEAR_TASKS    10000u        // how often a slow growth is looked for ...
#define WEAR_RSS_SLOW (64ll << 20)  // ... and what counts as one

// ------------------------------------------------------------------------------------- wear

static int64_t read_statm(int field) {
  long pages[2] = {0, 0};
  FILE *f = fopen("/proc/self/statm", "re");
  if (!f) return 0;
  if (fscanf(f, "%ld %ld", &pages[0], &pages[1]) != 2) pages[field] = 0;
  fclose(f);
  return (int64_t)pages[field] * sysconf(_SC_PAGESIZE);
}

// Only the soft limit, so that a program started by node code can raise it again.
static void limit_memory(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit)) return;
  rlim_t wanted = (rlim_t)read_statm(0) + FL_WORKER_MEMORY_DEFAULT;
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted) return;
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_AS, &limit);
}

// What node code does to its process is no finding about ours: it dies as it does without them.
static void leave_signals_alone(void) {
#ifdef FL_SANITIZED
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
  signal(SIGFPE, SIG_DFL);
#endif
}

// Looks closer only when the peak has moved, or after many tasks.
static bool is_worn(fl_worker_self *self, int64_t rss_max) {
  bool slow = ++self->task_count % WEAR_TASKS == 0;
  if (!slow && rss_max < self->rss_seen + WEAR_RSS) return false;
  lua_gc(self->script->L, LUA_GCCOLLECT, 0);
  int64_t rss = read_statm(1);
  if (!slow) self->rss_seen = rss_max;
  return rss > self->rss_base + (slow ? WEAR_RSS_SLOW : WEAR_RSS);
}

// ------------------------------------------------------------------------------------- one task

// The graph was made by loading the sources again: a script that looks at a clock or a file may
// have made another one.
static bool is_known(fl_worker_self *self, const fl_worker_order *o, fl_error *err) {
  size_t count = fl_script_count_flows(self->script);
  const fl_flow *flow =
      o->flow && o->flow <= count ? fl_script_get_flow(self->script, o->flow - 1) : NULL;
  if (!flow || strcmp(flow->key, o->flow_key)) {
    fl_fail(err, FL_E_SCRIPT,
            "the script defines other flows when it is loaded again: '%s' is not there",
            o->flow_key);
    return false;
  }
  if (o->node < fl_graph_get_count(flow->graph) &&
      !strcmp(fl_graph_get_name(flow->graph, o->node), o->node_name)) {
    return true;
  }
  fl_fail(err, FL_E_SCRIPT,
          "the script defines other nodes when it is loaded again: '%s' is not there",
          o->node_name);
  return false;
}

static const char *text_at(lua_State *L, int index, size_t *size) {
  *size = 0;
  return lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, size) : NULL;
}

// What host.run gave: status, outputs, vars, error, retry. The texts stay on the stack.
static void read_result(lua_State *L, fl_worker_result *r) {
  size_t size;
  const char *status = text_at(L, -5, &size);
  r->outputs = text_at(L, -4, &r->outputs_size);
  r->vars = text_at(L, -3, &r->vars_size);
  r->error = text_at(L, -2, &size);
  r->no_retry = lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  r->state = status && !strcmp(status, "succeeded") ? FL_ATTEMPT_SUCCEEDED
             : status && !strcmp(status, "skipped") ? FL_ATTEMPT_SKIPPED
                                                    : FL_ATTEMPT_FAILED;
}

static void call_host(fl_worker_self *self, fl_worker_job *job, fl_worker_result *r,
                      fl_error *err) {
  lua_State *L = self->script->L;
  const fl_worker_order *o = &job->order;
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->script->run_ref);
  fl_script_push_flow(L, fl_script_get_flow(self->script, o->flow - 1));
  lua_pushinteger(L, (lua_Integer)o->node);
  lua_pushboolean(L, o->position > 0);
  lua_pushlightuserdata(L, job);
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->backend_ref);
  fl_code rc = fl_lua_call(L, 5, 5, true, err);
  fl_error stopped;
  bool limited = job->slice.L != NULL;
  fl_worker_end_limits(job);
  if (limited && fl_budget_fail(&job->slice, &stopped)) {
    *err = stopped;
    r->error = err->message;
    r->worn = true; // whatever it was in the middle of
  } else if (rc) {
    r->error = err->message;
  } else {
    read_result(L, r);
  }
}

// A short task is not worth a system call: it had a core to itself, and moved no peak.
static void measure(fl_worker_self *self, fl_worker_result *r) {
  struct rusage usage;
  r->rss_max_bytes = self->rss_max;
  r->cpu_us = r->duration_us;
  self->cpu_us += r->cpu_us;
  if (r->duration_us < SHORT_US || getrusage(RUSAGE_THREAD, &usage)) return;
  int64_t cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ll +
                   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  int64_t before_us = self->cpu_us - r->cpu_us;
  r->cpu_us = cpu_us > before_us ? cpu_us - before_us : 0;
  self->cpu_us = cpu_us > before_us ? cpu_us : before_us;
  r->rss_max_bytes = self->rss_max = usage.ru_maxrss * 1024ll;
}

static size_t size_of_values(const fl_worker_result *r) {
  return r->outputs_size + r->vars_size + (r->error ? strlen(r->error) : 0);
}

static void say_result(fl_worker_self *self, fl_worker_result *r) {
  fl_buf *b = &self->frame;
  fl_buf_reset(b);
  fl_worker_put_result(b, r);
  if (b->failed) { // node code gave more than the language lets through, or has left no memory
    bool large = size_of_values(r) > FL_FRAME_SIZE_MAX / 2;
    r->state = FL_ATTEMPT_FAILED;
    r->outputs = r->vars = NULL;
    r->error = large ? "outputs: larger than a message may be" : "not enough memory";
    r->worn |= !large;
    b = &self->refusal;
    fl_buf_reset(b);
    fl_worker_put_result(b, r);
    FL_ASSERT(!b->failed);
  }
  fl_worker_out_finish(self->out, b->data, b->size);
  if (self->frame.capacity > 1u << 20) fl_buf_deinit(&self->frame);
}

static void run_job(fl_worker_self *self, fl_worker_job *job) {
  const fl_worker_order *o = &job->order;
  fl_worker_slot *slot = &self->page->slots[o->slot];
  lua_State *L = self->script->L;
  fl_error err;
  int64_t began_ns = fl_worker_now_ns();
  if (!fl_slot_take(slot, o->generation, began_ns)) return; // taken back
  fl_worker_result r = {.slot = o->slot,
                        .generation = o->generation,
                        .state = FL_ATTEMPT_FAILED,
                        .started_ms = fl_wall_ms()};
  fl_worker_out_begin(self->out, o->slot, o->generation);
  if (is_known(self, o, &err))
    call_host(self, job, &r, &err);
  else
    r.error = err.message, r.no_retry = true;
  r.asked = fl_slot_is_cancelled(slot, o->generation);
  fl_worker_tell_progress(self, job);
  // What node code left in a buffer must be in the file before anybody is told that the node is
  // done.
  fflush(NULL);
  r.duration_us = (fl_worker_now_ns() - began_ns) / 1000;
  r.ended_ms = r.started_ms + r.duration_us / 1000;
  measure(self, &r);
  bool memory = r.state == FL_ATTEMPT_FAILED && r.error && strstr(r.error, "not enough memory");
  r.worn |= memory || is_worn(self, r.rss_max_bytes);
  say_result(self, &r);
  fl_slot_finish(slot, o->generation);
  lua_settop(L, 0);
}

// ------------------------------------------------------------------------------------- the process

// The first message, with the ends of the pipes beside its first byte.
static bool receive_init(fl_worker_self *self, fl_worker_ends *ends, fl_worker_init *init,
                         bool *foreign) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(fl_worker_ends))];
  } control;
  char first;
  struct iovec part = {&first, 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.space,
                           .msg_controllen = sizeof control.space};
  if (recvmsg(self->fd, &message, MSG_CMSG_CLOEXEC) != 1) return false;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof *ends)) {
    return false;
  }
  memcpy(ends, CMSG_DATA(header), sizeof *ends);
  fl_buf_add_char(&self->in, first);
  for (size_t used = FL_WIRE_HEAD_SIZE;;) {
    fl_wire_frame frame;
    int got = fl_wire_next(self->in.data, self->in.size, &frame, &used);
    if (got < 0 || (got && (int)frame.kind != FL_WORKER_INIT)) return false;
    self->in_used = used;
    if (got) return fl_worker_get_init(&frame, init, foreign);
    size_t missing = used - self->in.size;
    if (!fl_buf_reserve(&self->in, missing)) return false;
    ssize_t n = recv(self->fd, self->in.data + self->in.size, missing, 0);
    if (n <= 0) return false;
    self->in.size += (size_t)n;
  }
}

static void say_loaded(fl_worker_self *self, const fl_error *err) {
  fl_buf_reset(&self->frame);
  size_t begin = fl_worker_begin(&self->frame, err ? FL_WORKER_LOAD_FAILED : FL_WORKER_READY);
  if (err) {
    fl_wire_put_text(&self->frame, err->message);
  } else {
    fl_wire_put_i32(&self->frame, getpid());
    fl_wire_put_u32(&self->frame, FL_WORKER_VERSION);
  }
  fl_wire_end(&self->frame, begin);
  fl_worker_out_say(self->out, self->frame.data, self->frame.size, 0);
  fl_worker_out_flush(self->out);
}

// The page may be another one, too: the socket has to do.
static void refuse_engine(fl_worker_self *self) {
  fl_buf_reset(&self->frame);
  size_t begin = fl_worker_begin(&self->frame, FL_WORKER_LOAD_FAILED);
  fl_wire_put_text(&self->frame, FL_WORKER_FOREIGN);
  fl_wire_end(&self->frame, begin);
  (void)!send(self->fd, self->frame.data, self->frame.size, MSG_NOSIGNAL);
}

static int l_open_backend(lua_State *L) {
  fl_worker_open_backend(lua_touserdata(L, 1));
  return 0;
}

static fl_code load(fl_worker_self *self, fl_worker_init *init, fl_error *err) {
  fl_script_config config = {.path = init->path,
                             .snapshot = &init->snapshot,
                             .lua_dir = init->lua_dir,
                             .overrides = init->overrides,
                             .natives = init->natives,
                             .native_count = init->native_count,
                             .worker = true};
  // Where the script lies, as its processes; it may be gone when an old run is resumed.
  if (chdir(init->snapshot.dir) && chdir("/"))
    return fl_fail(err, FL_E_SYSTEM, "cannot change to /");
  fl_code rc = fl_script_open(&config, &self->script, err);
  if (rc) return rc;
  lua_pushcfunction(self->script->L, l_open_backend);
  lua_pushlightuserdata(self->script->L, self);
  return fl_lua_call(self->script->L, 1, 0, false, err);
}

static _Noreturn void serve(fl_worker_self *self) {
  for (;;) {
    fl_worker_job *job = fl_worker_take_job(self);
    if (!job) {
      fl_worker_out_flush(self->out);
      fl_worker_receive(self);
      continue;
    }
    run_job(self, job);
    fl_worker_job_free(job);
  }
}

// Without exit(), here and wherever a worker ends: another thread runs, the engine has let go and
// the supervisor may kill at any instant. Handlers that were cut off half way would only do harm.
static _Noreturn void leave(int code) {
  _exit(code);
}

int fl_worker_main(int argc, char **argv) {
  static fl_worker_self self = {.fd = SOCKET_FD};
  fl_worker_init init = {0};
  fl_error err;
  fl_worker_ends ends;
  bool foreign = false;
  (void)argc;
  (void)argv;
  self.last = &self.first;
  fl_buf_init(&self.in, FL_FRAME_SIZE_MAX + (1u << 20));
  fl_buf_init(&self.frame, FL_FRAME_SIZE_MAX);
  fl_buf_init(&self.refusal, REFUSAL_SIZE);
  FL_ASSERT(fl_buf_reserve(&self.refusal, REFUSAL_SIZE));
  self.page = fl_worker_page_map(PAGE_FD);
  // Programs that node code starts have no business with these.
  if (!self.page || fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC) || fcntl(PAGE_FD, F_SETFD, FD_CLOEXEC)) {
    fputs("flowlua --worker is started by flowlua itself\n", stderr);
    return 2;
  }
  mallopt(M_ARENA_MAX, 1); // a second one would reserve 128 MiB of the address space
  if (!receive_init(&self, &ends, &init, &foreign)) {
    if (foreign) refuse_engine(&self);
    leave(70);
  }
  fl_code rc = fl_worker_out_open(SOCKET_FD, self.page, &ends, &self.out, &err);
  if (rc) {
    fprintf(stderr, "%s\n", err.message);
    leave(70);
  }
  limit_memory();
  leave_signals_alone();
  rc = load(&self, &init, &err);
  free(init.natives);
  free(init.snapshot.sources);
  fflush(NULL); // what the script left in a buffer: once it is said, this process may be ended
  say_loaded(&self, rc ? &err : NULL);
  if (rc) leave(1);
  self.rss_base = self.rss_seen = read_statm(1);
  fl_worker_result loading = {.duration_us = SHORT_US};
  measure(&self, &loading); // is not of the first task
  serve(&self);
}
