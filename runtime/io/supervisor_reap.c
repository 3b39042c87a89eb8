// Who of our children has ended, and whose the orphans are that came to us.
//
// Every process of a tree has an ancestor that is a child of this process: the root, or, as this
// process is the subreaper, an orphan. So a tree is empty when its root and its orphans are reaped,
// and one look at our own children after each exit finds what a root left behind.
#include "io/supervisor_internal.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"

#define LOOKS_MAX        1000 // at our children after one SIGCHLD: each reaps one at least
#define BUCKET(sup, pid) (&(sup)->entries[(unsigned)(pid) % FL_SUP_BUCKETS])

void fl_sup_entry_add(fl_sup *sup, fl_sup_entry *entry) {
  fl_sup_entry **bucket = BUCKET(sup, entry->pid);
  entry->next = *bucket;
  *bucket = entry;
}

fl_sup_entry *fl_sup_entry_find(const fl_sup *sup, int pid) {
  fl_sup_entry *e = *BUCKET(sup, pid);
  while (e && e->pid != pid) e = e->next;
  return e;
}

static fl_sup_entry *entry_take(fl_sup *sup, int pid) {
  fl_sup_entry **at = BUCKET(sup, pid);
  while (*at && (*at)->pid != pid) at = &(*at)->next;
  fl_sup_entry *e = *at;
  if (e) *at = e->next;
  return e;
}

static void orphan_assign(fl_sup *sup, fl_sup_orphan *orphan, fl_sup_child *tree) {
  if (orphan->tree)
    orphan->tree->orphan_count--;
  else if (!orphan->doomed)
    sup->stray_count--;
  orphan->tree = tree;
  if (tree)
    tree->orphan_count++;
  else if (!orphan->doomed)
    sup->stray_count++;
}

static void orphan_forget(fl_sup *sup, fl_sup_orphan *orphan) {
  orphan->doomed = true;
  if (orphan->tree)
    orphan->tree->orphan_count--;
  else
    sup->stray_count--;
  orphan->tree = NULL;
}

static fl_sup_orphan *orphan_new(fl_sup *sup, const fl_proc *proc) {
  fl_sup_orphan *o = fl_alloc_zero(1, sizeof *o);
  o->entry.pid = proc->pid;
  o->start_ticks = proc->start_ticks;
  o->before_seq = sup->seq;
  o->next = sup->orphans;
  if (o->next) o->next->prev = o;
  sup->orphans = o;
  sup->stray_count++; // until it is assigned
  fl_sup_entry_add(sup, &o->entry);
  return o;
}

static void orphan_free(fl_sup *sup, fl_sup_orphan *o) {
  if (o->prev)
    o->prev->next = o->next;
  else
    sup->orphans = o->next;
  if (o->next) o->next->prev = o->prev;
  if (o->tree)
    o->tree->orphan_count--;
  else if (!o->doomed)
    sup->stray_count--;
  free(o);
}

// The word of ours in a FLOWLUA_TREE: the number of the tree, 0 without.
static uint64_t find_seq(const fl_sup *sup, const char *mark) {
  size_t size = strlen(sup->id);
  for (const char *word = mark; word; word = strchr(word, ':')) {
    if (*word == ':') word++;
    if (strncmp(word, sup->id, size) == 0 && word[size] == '/') {
      return strtoull(word + size + 1, NULL, 10);
    }
  }
  return 0;
}

static fl_sup_child *find_numbered(const fl_sup *sup, uint64_t seq) {
  fl_sup_child *c = sup->children;
  while (c && c->seq != seq) c = c->next;
  return c;
}

// By what was seen of a tree before: the process itself, or a session or group it had made.
static fl_sup_child *find_seen(const fl_sup *sup, const fl_proc *p) {
  for (fl_sup_child *c = sup->children; c; c = c->next) {
    if (!c->seen.count) continue;
    if (fl_proc_set_has(&c->seen, p->pid, p->start_ticks)) return c;
    for (size_t i = 0; i < c->seen.count; i++) {
      const fl_proc *s = &c->seen.items[i];
      if (s->pid == p->sid || s->pid == p->pgid || (s->sid != sup->pid && s->sid == p->sid)) {
        return c;
      }
    }
  }
  return NULL;
}

// Whose is it? NULL: not known, or (`*seq`) of a tree that is no more.
static fl_sup_child *find_tree(const fl_sup *sup, const fl_proc *p, uint64_t *seq) {
  char mark[1024];
  uint64_t tag = fl_proc_get_tag(p->pid);
  *seq = 0;
  if (sup->tag && tag - sup->tag <= UINT32_MAX)
    *seq = tag - sup->tag;
  else if (fl_proc_get_mark(p->pid, mark, sizeof mark))
    *seq = find_seq(sup, mark);
  if (*seq) return find_numbered(sup, *seq);
  for (fl_sup_child *c = sup->children; c; c = c->next) {
    if (c->entry.pid == p->pgid) return c;
  }
  return find_seen(sup, p);
}

// A child that we did not start: its parent died, and it came to us.
static void find_orphan(void *ud, int pid) {
  fl_sup *sup = ud;
  fl_proc p;
  uint64_t seq;
  if (fl_sup_entry_find(sup, pid)) return;
  if (!fl_proc_read(pid, &p) || p.state == 'Z' || p.state == 'X') {
    // It ended after the last wait, and what it had came to us then, perhaps too late for this
    // list.
    sup->look_again = true;
    return;
  }
  fl_sup_orphan *o = orphan_new(sup, &p);
  fl_sup_child *tree = find_tree(sup, &p, &seq);
  if (tree) {
    orphan_assign(sup, o, tree);
    if (tree->stage != FL_SUP_RUNNING) fl_sup_kill_found(sup, tree, o);
  } else if (seq) {
    // Of a tree that has been told to be gone: it hid from the sweep, and is not let live.
    orphan_forget(sup, o);
    fl_sup_kill_process(pid, p.start_ticks);
  }
}

// A stray belongs to one of the trees that were there when it was found; the last of them gets it.
static void claim_strays(fl_sup *sup, fl_sup_child *child) {
  for (fl_sup_orphan *o = sup->orphans; o; o = o->next) {
    if (o->tree || o->doomed || o->before_seq < child->seq) continue;
    bool other = false;
    for (fl_sup_child *c = sup->children; c && !other; c = c->next) {
      other = c != child && c->seq <= o->before_seq;
    }
    if (!other) orphan_assign(sup, o, child);
  }
}

// Its root has ended: finishes it when nothing is left of the tree.
static void reap_check(fl_sup *sup, fl_sup_child *child) {
  if (sup->stray_count) claim_strays(sup, child);
  if (child->orphan_count == 0) {
    fl_sup_exit_finish(sup, child);
    if (sup->attach_count) fl_sup_attach_continue(sup);
  } else if (child->stage == FL_SUP_RUNNING) {
    fl_sup_kill_leftover(sup, child);
  }
}

static void root_ended(fl_sup *sup, fl_sup_child *child, int status, const struct rusage *usage) {
  child->reaped = true;
  child->next_ending = sup->ending;
  sup->ending = child;
  child->status = status;
  child->ended_ms = fl_wall_ms();
  child->duration_ms = fl_monotonic_ms() - child->began_ms;
  child->cpu_us = (int64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
                  usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
  child->rss_max_bytes = (int64_t)usage->ru_maxrss * 1024;
}

// Returns what the last wait4() said: 0 when there are children that still live.
static int reap_all(fl_sup *sup, bool *any) {
  struct rusage usage;
  int status, pid;
  while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
    fl_sup_entry *e = entry_take(sup, pid);
    *any = true;
    if (!e) continue; // an orphan that died before we had seen it
    if (e->is_root)
      root_ended(sup, (fl_sup_child *)e, status, &usage);
    else
      orphan_free(sup, (fl_sup_orphan *)e);
  }
  return pid;
}

void fl_sup_reap(fl_sup *sup) {
  bool any = false;
  for (int i = 0; i < LOOKS_MAX; i++) {
    int pid = reap_all(sup, &any);
    sup->look_again = false;
    // Without any child left there is no orphan either.
    if (any && pid == 0) fl_own_children_read(&sup->own, find_orphan, sup);
    if (!sup->look_again) break;
  }
  for (fl_sup_child *c = sup->ending, *after; c && any; c = after) {
    after = c->next_ending;
    reap_check(sup, c);
  }
}
