// Ends trees of processes: TERM and CONT, the grace, KILL, and a sweep until nothing is left.
//
// A number of a process or group means something only while what it was given to exists. So groups
// are signalled only when a child of ours, not reaped yet, is in them; everyone else through a
// pidfd that is checked against the start time.
#include "io/supervisor_internal.h"
#include "base/bug.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX   64
#define SWEEP_MS_MIN 10

typedef struct sweep {
  fl_proc_set found;      // all living processes of the tree
  int groups[GROUPS_MAX]; // that can be signalled as a whole
  int group_count;
} sweep;

static bool has_group(const sweep *w, int pgid) {
  for (int i = 0; i < w->group_count; i++) {
    if (w->groups[i] == pgid) return true;
  }
  return false;
}

// `pid` is an unreaped child of ours: neither its number nor its group's can mean another.
static void add_own_child(const fl_sup *sup, sweep *w, int pid) {
  fl_proc p;
  if (!fl_proc_read(pid, &p)) return;
  fl_sup_entry *leader = fl_sup_entry_find(sup, p.pgid);
  // A process that put itself into the group of another tree's root is signalled alone.
  bool foreign = p.pgid == getpgrp() || (leader && leader->is_root && leader->pid != pid);
  if (!foreign && w->group_count < GROUPS_MAX && !has_group(w, p.pgid)) {
    w->groups[w->group_count++] = p.pgid;
  }
  if (p.state != 'Z' && p.state != 'X') fl_proc_set_add(&w->found, &p);
  fl_proc_set below = {0};
  fl_tree_walk(pid, &below);
  for (size_t i = 0; i < below.count; i++) fl_proc_set_add(&w->found, &below.items[i]);
  fl_proc_set_deinit(&below);
}

static void collect(const fl_sup *sup, const fl_sup_child *child, sweep *w) {
  memset(w, 0, sizeof *w);
  if (!child->reaped) add_own_child(sup, w, child->entry.pid);
  for (fl_sup_orphan *o = sup->orphans; o && child->orphan_count && !FL_BUG(descendants_left);
       o = o->next) {
    if (o->tree == child) add_own_child(sup, w, o->entry.pid);
  }
}

static void send(const sweep *w, int signal) {
  for (int i = 0; i < w->group_count; i++) kill(-w->groups[i], signal);
  for (size_t i = 0; i < w->found.count && !FL_BUG(descendants_left); i++) {
    const fl_proc *p = &w->found.items[i];
    if (!has_group(w, p->pgid)) fl_proc_signal(p->pid, p->start_ticks, signal);
  }
}

// Remembers who was in the tree, so that a process that hides is known again as an orphan. Returns
// how many living processes were found.
static size_t signal_tree(fl_sup *sup, fl_sup_child *child, int signal) {
  sweep w;
  collect(sup, child, &w);
  for (size_t i = 0; i < w.found.count; i++) fl_proc_set_add(&child->seen, &w.found.items[i]);
  send(&w, signal);
  if (signal == SIGTERM) send(&w, SIGCONT); // a stopped process would never see the TERM
  size_t count = w.found.count;
  fl_proc_set_deinit(&w.found);
  return count;
}

void fl_sup_kill_process(int pid, uint64_t start_ticks) {
  fl_proc_set below = {0};
  fl_tree_walk(pid, &below);
  fl_proc_signal(pid, start_ticks, SIGKILL);
  for (size_t i = 0; i < below.count; i++) {
    fl_proc_signal(below.items[i].pid, below.items[i].start_ticks, SIGKILL);
  }
  fl_proc_set_deinit(&below);
}

static void begin_kill(fl_sup *sup, fl_sup_child *child) {
  child->stage = FL_SUP_KILL;
  child->kill_at = sup->now;
  child->sweep_ms = SWEEP_MS_MIN;
  child->sweep_at = sup->now + child->sweep_ms;
  child->alarm_at = sup->now + sup->alarm_ms;
  size_t left = signal_tree(sup, child, SIGKILL);
  // Of a tree that was ended with its root alive, what survived the root and the grace counts.
  if (child->reaped && !child->left_behind) child->left_behind = (uint32_t)left;
}

bool fl_sup_child_has_ended(const fl_sup_child *child) {
  siginfo_t info = {0};
  if (child->reaped) return true;
  int options = WEXITED | WNOHANG | WNOWAIT;
  return waitid(P_PID, (id_t)child->entry.pid, &info, options) == 0 && info.si_pid;
}

void fl_sup_kill(fl_sup *sup, fl_sup_child *child, int64_t grace_ms) {
  if (child->stage == FL_SUP_KILL) return;
  if (child->stage == FL_SUP_RUNNING) {
    child->stage = FL_SUP_TERM;
    child->kill_at = sup->now + (FL_BUG(term_without_kill) && grace_ms ? INT32_MAX : grace_ms);
    if (grace_ms > 0) signal_tree(sup, child, SIGTERM);
  } else if (sup->now + grace_ms < child->kill_at) {
    child->kill_at = sup->now + grace_ms;
  }
  if (child->kill_at <= sup->now) begin_kill(sup, child);
  fl_sup_child_schedule(sup, child);
}

void fl_sup_kill_leftover(fl_sup *sup, fl_sup_child *child) {
  int64_t grace = child->job->spawn.grace_ms;
  if (grace > FL_SUP_LEFTOVER_MS) grace = FL_SUP_LEFTOVER_MS;
  child->stage = FL_SUP_TERM;
  child->kill_at = sup->now + grace;
  child->left_behind = (uint32_t)signal_tree(sup, child, grace > 0 ? SIGTERM : SIGKILL);
  if (child->kill_at <= sup->now) begin_kill(sup, child);
  fl_sup_child_schedule(sup, child);
}

void fl_sup_kill_found(fl_sup *sup, fl_sup_child *child, const fl_sup_orphan *orphan) {
  sweep w = {0};
  size_t known = child->seen.count;
  add_own_child(sup, &w, orphan->entry.pid);
  for (size_t i = 0; i < w.found.count; i++) fl_proc_set_add(&child->seen, &w.found.items[i]);
  if (child->stage == FL_SUP_KILL) {
    send(&w, SIGKILL);
  } else if (child->seen.count > known) { // those that were seen got their TERM
    send(&w, SIGTERM);
    send(&w, SIGCONT);
  }
  if (child->reaped && child->left_behind) {
    child->left_behind += (uint32_t)(child->seen.count - known);
  }
  fl_proc_set_deinit(&w.found);
}

static const char *explain(char state) {
  switch (state) {
  case 'D': return "it waits inside the kernel, for a disk, a network mount or a frozen cgroup";
  case 't': return "a debugger holds it";
  default: return "it is on its way";
  }
}

void fl_sup_kill_tell(fl_sup *sup, fl_sup_child *child) {
  char text[512];
  sweep w;
  if (!child->owner || child->owner->broken) return;
  collect(sup, child, &w);
  const fl_proc *p = w.found.count ? &w.found.items[0] : NULL;
  char more[48] = "";
  if (w.found.count > 1) snprintf(more, sizeof more, " (and %zu more)", w.found.count - 1);
  snprintf(text, sizeof text, "process %d%s is still there %.1f s after SIGKILL, in state %c: %s",
           p ? p->pid : child->entry.pid, more, (double)(sup->now - child->kill_at) / 1000,
           p ? p->state : '?', explain(p ? p->state : '?'));
  fl_proc_set_deinit(&w.found);
  fl_buf *out = &child->owner->out;
  size_t begin = fl_wire_begin(out, FL_WIRE_ALARM);
  fl_wire_put_id(out, &child->job->spawn.id);
  fl_wire_put_text(out, text);
  fl_wire_end(out, begin);
  fl_sup_link_reported(sup, child->owner);
}

// What cannot be ended has its KILL pending and dies when the system lets it. Until then the child
// is not over: its node's next attempt must not meet it.
void fl_sup_kill_tick(fl_sup *sup, fl_sup_child *child) {
  if (child->stage == FL_SUP_TERM && sup->now >= child->kill_at) {
    begin_kill(sup, child);
    return;
  }
  if (child->stage != FL_SUP_KILL) return;
  if (child->alarm_at && sup->now >= child->alarm_at) {
    child->alarm_at = 0;
    child->unkillable = true;
    fl_sup_kill_tell(sup, child);
  }
  if (sup->now >= child->sweep_at) {
    signal_tree(sup, child, SIGKILL);
    child->sweep_ms = 2 * child->sweep_ms;
    if (child->sweep_ms > FL_SUP_SWEEP_MS_MAX) child->sweep_ms = FL_SUP_SWEEP_MS_MAX;
    child->sweep_at = sup->now + child->sweep_ms;
  }
}
