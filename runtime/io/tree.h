// Looks at processes through /proc: who they are, whose children, and whether a mark is on them.
//
// A pid alone names nobody: it is always taken together with the start time (field 22 of
// /proc/<pid>/stat), and signals go through a pidfd that was checked after it was opened.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fl_proc {
  int pid, ppid, pgid, sid;
  char state; // as in /proc/<pid>/stat: R S D Z T t X I
  uint64_t start_ticks;
} fl_proc;

typedef struct fl_proc_set {
  fl_proc *items;
  size_t count, capacity;
  uint32_t *places; // hash table over items, made when first asked (a fork bomb has thousands)
  size_t place_count, placed;
} fl_proc_set;

/// False when there is no such process.
bool fl_proc_read(int pid, fl_proc *out);
/// Parses the text of /proc/<pid>/stat.
bool fl_proc_parse(const char *text, fl_proc *out);
/// Still there and not a zombie.
bool fl_proc_is_alive(int pid, uint64_t start_ticks);
/// Still there, but on its way out: no thread of it will run a line of its program again. (A large
/// process takes a while to go; what it holds is let go of at the end.)
bool fl_proc_is_dying(int pid, uint64_t start_ticks);
/// Sends a signal to that very process. False when it is gone (or not ours to signal).
bool fl_proc_signal(int pid, uint64_t start_ticks, int signal);

/// Its FLOWLUA_TREE holds `token` as one of its ":"-separated words, or, when `token` ends in "/",
/// a word that begins with it. False when its environment cannot be read.
bool fl_proc_has_mark(int pid, const char *token);
/// Appends "FLOWLUA_TREE" as it stands in its environment to `out` (NUL-terminated, cut to size).
bool fl_proc_get_mark(int pid, char *out, size_t size);

// A tag is a number that a process and all that come from it carry whatever they do to their
// environment, session and group: a hard limit on RLIMIT_RTTIME, of 146,000 years and more, which
// nobody looks at. Its low 32 bits number the tree, 26 bits say whose trees, 4 how deep supervisors
// are nested (limits can only be lowered, so an inner one has lower tags).

/// The tag of the trees of supervisor `id`, made by the calling process; add a tree's number (32
/// bits). 0: this system cannot.
uint64_t fl_tag_make(const char *id);
/// Whether it is the tag of a tree of that supervisor.
bool fl_tag_is_of(uint64_t tag, const char *id);
/// Of a process; 0: none, or it may not be asked.
uint64_t fl_proc_get_tag(int pid);

void fl_proc_set_deinit(fl_proc_set *set);
/// Adds it unless it is there (by pid and start time). Returns whether it was added.
bool fl_proc_set_add(fl_proc_set *set, const fl_proc *proc);
bool fl_proc_set_has(fl_proc_set *set, int pid, uint64_t start_ticks);

/// Appends all descendants of `pid` (not itself), zombies left out.
void fl_tree_walk(int pid, fl_proc_set *set);
/// Appends the processes of the whole machine for which `pick` says so.
void fl_tree_scan(bool (*pick)(void *ud, const fl_proc *proc), void *ud, fl_proc_set *set);

/// A quick view on the caller's own children, for a process with one thread.
typedef struct fl_own_children {
  int fd; // -1: this kernel has no such file, /proc is searched instead
  char *text;
  size_t capacity;
} fl_own_children;

void fl_own_children_open(fl_own_children *own);
void fl_own_children_close(fl_own_children *own);
/// Calls `each` for every child that is not reaped yet.
void fl_own_children_read(fl_own_children *own, void (*each)(void *ud, int pid), void *ud);
