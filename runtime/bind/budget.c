// Budgets of a script's code: ticks of a timer or counted instructions, and a counting allocator.
#include <errno.h>
#include <lauxlib.h>
#include <luajit.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "bind/call.h"
#include "bind/watchdog.h"

#define TICK_MS       50
#define INTERRUPT_MS  500           // from fl_budgets_interrupt() to the end of a slice
#define COUNT         1000          // instructions between two looks at the clock
#define MEMORY_GRACE  (8u << 20)    // for the way out of code that has used up its memory
#define PROFILE_NEVER "i1000000000" // ms of CPU time

#ifdef FL_INTERPRETED // this LuaJIT compiles wrongly (CMakeLists.txt)
#define COMPILES false
#else
#define COMPILES true
#endif

// What a state's allocator knows; its userdata.
typedef struct meter {
  lua_Alloc alloc;
  void *alloc_ud;
  lua_State *L;
  size_t used, limit; // limit 0: none
  bool spent;         // by the slice that runs
  bool compiled;      // code may have been compiled since it was last thrown away
} meter;

static _Thread_local fl_budget *volatile current;
static _Thread_local lua_State *owner; // of the profiler, when no slice is; NULL: no ticks here
static atomic_uint interrupts;

static bool is_own_process(void) {
  return owner != NULL;
}

static meter *meter_of(lua_State *L) {
  void *m;
  lua_getallocf(L, &m);
  return m;
}

// ------------------------------------------------------------------------------------- stopping

static void see_profile(void *ud, lua_State *L, int samples, int state) {
  (void)ud, (void)L, (void)samples, (void)state;
}

// The first line of the user's own that is being executed.
static void find_place(lua_State *L, fl_budget *s) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0 || *ar.source != '@') continue;
    if (strstr(ar.source, "/lua/flow/") || strstr(ar.source, "/stdlib/")) continue;
    snprintf(s->place, sizeof s->place, "%s:%d", ar.source + 1, ar.currentline);
    return;
  }
}

// Raises before each instruction, until the slice has returned.
static void on_stop(lua_State *L, lua_Debug *ar) {
  fl_budget *s = current;
  (void)ar;
  if (!s || !s->stopping) return;
  if (!*s->place) find_place(L, s);
  luaL_error(L, "stopped");
}

static void arm(fl_budget *s) {
  s->stopping = true;
  lua_sethook(s->L, on_stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

// A handler of xpcall() runs before its error has left the hook that raised it, and no hook is
// called until then: it is not asked about that one.
static int l_handle(lua_State *L) {
  fl_budget *s = current;
  if (s && s->stopping) return lua_gettop(L) > 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

int fl_budget_guard(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isfunction(L, 1)) lua_pushcclosure(L, l_handle, 1);
  return 1;
}

// In the handler. Compiled code looks for a profiler's tick, not for hooks: it gets one.
static void stop(fl_budget *s, fl_budget_end_reason why) {
  if (!s->stopping) s->why = why;
  arm(s); // again at each tick: code may have taken the hook away
  if (s->profiled) return;
  s->profiled = true;
  luaJIT_profile_stop(owner);
  luaJIT_profile_start(s->L, "i1", see_profile, NULL);
}

static char *put(char *at, const char *end, const char *text) {
  while (*text && at < end) *at++ = *text++;
  return at;
}

// In the handler, so by hand: it may be that nothing else is ever said of it.
static void tell(const fl_budget *s) {
  char line[512] = "", *at = line, *end = line + sizeof line - 1;
  if (!s->flow) return; // loading takes what it takes
  at = put(at, end, "flowlua: flow ");
  at = put(at, end, s->flow);
  if (s->node) at = put(put(at, end, ", node "), end, s->node);
  if (s->what) at = put(put(at, end, ", "), end, s->what);
  at = put(at, end, ": its code has kept the engine for a second: nothing else goes on meanwhile");
  *at++ = '\n';
  if (write(STDERR_FILENO, line, (size_t)(at - line)) < 0) return;
}

static void on_tick(int number) {
  fl_budget *s = current;
  int saved = errno;
  (void)number;
  if (s) {
    uint32_t now = atomic_load(&interrupts);
    uint32_t ms = ++s->ticks * TICK_MS;
    if (s->limit_ms && ms > s->limit_ms) stop(s, FL_BUDGET_TOO_LONG);
    if (now != s->interrupts && !s->interrupted_ms) s->interrupted_ms = ms;
    if (s->interrupted_ms && ms - s->interrupted_ms >= INTERRUPT_MS) stop(s, FL_BUDGET_INTERRUPTED);
    if (ms == FL_BUDGET_LONG_MS) tell(s);
  }
  errno = saved;
}

static int64_t cpu_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_count(lua_State *L, lua_Debug *ar) {
  fl_budget *s = current;
  int64_t limit_us = s ? (int64_t)s->limit_ms * 1000 : 0;
  // The clock on the wall costs no system call, and is never behind.
  if (!limit_us || fl_monotonic_us() - s->began_us < limit_us || cpu_us() - s->cpu_us < limit_us)
    return;
  s->why = FL_BUDGET_TOO_LONG;
  arm(s);
  on_stop(L, ar);
}

void fl_budgets_own_process(void) {
  if (owner || !(owner = luaL_newstate())) return;
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
  struct itimerspec every = {.it_value.tv_nsec = TICK_MS * 1000000,
                             .it_interval.tv_nsec = TICK_MS * 1000000};
  timer_t timer;
  event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
  if (sigaction(SIGVTALRM, &action, NULL) ||
      timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) ||
      timer_settime(timer, 0, &every, NULL)) {
    lua_close(owner);
    owner = NULL; // instructions are counted, then
    return;
  }
  luaJIT_profile_start(owner, PROFILE_NEVER, see_profile, NULL);
}

void fl_budgets_interrupt(void) {
  atomic_fetch_add(&interrupts, 1);
}

// ------------------------------------------------------------------------------------- memory

static void *count_alloc(void *ud, void *block, size_t old, size_t size) {
  meter *m = ud;
  bool over = m->limit && size > old && m->used + (size - old) > m->limit;
  if (over && !m->spent && current && current->L == m->L) {
    // A little more, for it to be stopped where it is, and for what is said of it then. Whoever
    // catches the error goes no further.
    m->spent = true;
    m->limit += MEMORY_GRACE;
    if (is_own_process())
      stop(current, FL_BUDGET_TOO_LARGE);
    else if (!current->stopping)
      current->why = FL_BUDGET_TOO_LARGE, arm(current);
  }
  if (over && m->used + (size - old) > m->limit) return NULL;
  void *p = m->alloc(m->alloc_ud, block, old, size);
  if (p || !size) m->used += size - old;
  return p;
}

#ifdef __x86_64__
static void *take(void *ud, void *memory, size_t before, size_t size) {
  (void)ud, (void)before;
  if (size) return fl_try_realloc(memory, size);
  fl_free(memory);
  return NULL;
}
#endif

// Elsewhere LuaJIT keeps to its own: what it points to must lie below 2^47.
static lua_State *new_state(void) {
#ifdef __x86_64__
  if (fl_has_allocator()) return lua_newstate(take, NULL);
#endif
  return luaL_newstate();
}

lua_State *fl_lua_open_state(void) {
  lua_State *L = new_state();
  if (!L) return NULL;
  meter *m = fl_alloc_zero(1, sizeof *m);
  m->L = L;
  m->compiled = COMPILES;
  if (!COMPILES) luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  m->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) << 10;
  m->alloc = lua_getallocf(L, &m->alloc_ud);
  lua_setallocf(L, count_alloc, m);
  // Has compiled code look for ticks from the first on. The profiler itself stays its owner's.
  if (is_own_process()) luaJIT_profile_start(L, "l", see_profile, NULL);
  return L;
}

void fl_lua_close_state(lua_State *L) {
  if (!L) return;
  meter *m = meter_of(L);
  lua_setallocf(L, m->alloc, m->alloc_ud); // LuaJIT gives its own memory back whole
  lua_close(L);
  fl_free(m);
}

size_t fl_lua_get_size(lua_State *L) {
  return meter_of(L)->used;
}

static int l_collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}

// ------------------------------------------------------------------------------------- slices

// Without ticks what has a limit is interpreted, and nothing that was compiled may be entered.
static void set_compiling(fl_budget *s, meter *m) {
  if (!s->limit_ms) {
    if (COMPILES && !m->compiled) luaJIT_setmode(s->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    m->compiled = COMPILES;
    return;
  }
  luaJIT_setmode(s->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  if (m->compiled) luaJIT_setmode(s->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
  m->compiled = false;
  s->cpu_us = cpu_us();
  lua_sethook(s->L, on_count, LUA_MASKCOUNT, COUNT);
}

void fl_budget_begin(fl_budget *s) {
  meter *m = meter_of(s->L);
  s->outer = current;
  s->interrupts = atomic_load(&interrupts);
  s->began_us = fl_monotonic_us();
  m->spent = false;
  m->limit = s->memory_max ? 2 * m->used + (size_t)s->memory_max : 0;
  if (!is_own_process()) set_compiling(s, m);
  current = s;
  fl_watchdog_see(s);
}

void fl_budget_end(fl_budget *s) {
  meter *m = meter_of(s->L);
  current = s->outer;
  fl_watchdog_see(s->outer);
  s->held_ms = (fl_monotonic_us() - s->began_us) / 1000;
  m->limit = 0;
  if (s->stopping || (s->limit_ms && !is_own_process())) lua_sethook(s->L, NULL, 0, 0);
  if (s->profiled) {
    luaJIT_profile_stop(s->L);
    luaJIT_profile_start(owner, PROFILE_NEVER, see_profile, NULL);
    luaJIT_profile_start(s->L, "l", see_profile, NULL);
  }
  fl_error ignored;
  if (m->spent) (void)!fl_lua_protect(s->L, l_collect, NULL, &ignored);
}

bool fl_budget_may_compile(void) {
  return COMPILES && (is_own_process() || !current || !current->limit_ms);
}

fl_code fl_budget_fail(const fl_budget *s, fl_error *err) {
  if (!s->why) return FL_OK;
  char who[512], why[96];
  const char *dot = s->flow && s->node ? "." : "";
  snprintf(who, sizeof who, "%s%s%s%s%s%s%s", *s->place ? s->place : s->path, ": ",
           s->flow ? s->flow : "", dot, s->node ? s->node : "", s->flow && s->what ? "." : "",
           s->what ? s->what : "");
  if (s->why == FL_BUDGET_TOO_LONG)
    snprintf(why, sizeof why, "took longer than %g s of computing", s->limit_ms / 1000.0);
  else if (s->why == FL_BUDGET_TOO_LARGE)
    snprintf(why, sizeof why, "not enough memory: it may take %lld MiB more",
             (long long)(s->memory_max >> 20));
  else
    snprintf(why, sizeof why, "interrupted");
  return fl_fail(err, s->why == FL_BUDGET_INTERRUPTED ? FL_E_STATE : FL_E_SCRIPT, "%s: %s", who,
                 why);
}

fl_code fl_budget_call(fl_budget *s, lua_CFunction body, void *question, fl_error *err) {
  fl_budget_begin(s);
  fl_code rc = fl_lua_protect(s->L, body, question, err);
  fl_budget_end(s);
  // Stopped in time or not: what it had not begun to raise counts.
  return rc && s->why ? fl_budget_fail(s, err) : rc;
}
