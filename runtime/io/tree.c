// Looks at processes through /proc.
#include "io/tree.h"
#include "base/bug.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/err.h"
#include "io/checksum.h"

#define MARK         "FLOWLUA_TREE="
#define PF_EXITING   4u         // of the flags in /proc/<pid>/stat
#define ENVIRON_MAX  (4u << 20) // an environment is at most a quarter of the stack limit
#define CHILDREN_MIN 8192u
// The kernel hands out at most a page (of 4 KiB at least) of whole numbers a read: one that is
// further from full than a number is long was the last.
#define CHILDREN_READ_FULL (4096 - 16)

static ssize_t read_file(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t have = 0;
  while (have < size) {
    ssize_t n = read(fd, out + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += (size_t)n;
  }
  close(fd);
  return (ssize_t)have;
}

bool fl_proc_parse(const char *text, fl_proc *out) {
  unsigned long long start = 0;
  // The name may hold anything, ")" and spaces too: what counts begins after the last one.
  const char *after = strrchr(text, ')');
  memset(out, 0, sizeof *out);
  if (!after || sscanf(text, "%d", &out->pid) != 1) return false;
  int got = sscanf(after + 1,
                   " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                   &out->state, &out->ppid, &out->pgid, &out->sid, &start);
  out->start_ticks = start;
  return got == 5;
}

bool fl_proc_read(int pid, fl_proc *out) {
  char path[48], text[2048];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  ssize_t n = read_file(path, text, sizeof text - 1);
  if (n <= 0) return false;
  text[n] = '\0';
  return fl_proc_parse(text, out);
}

bool fl_proc_is_alive(int pid, uint64_t start_ticks) {
  fl_proc p;
  return fl_proc_read(pid, &p) &&
         (p.start_ticks == start_ticks || FL_BUG(pid_without_start_time)) && p.state != 'Z' &&
         p.state != 'X';
}

// A thread that is exiting, or that SIGKILL has reached and that will exit where it stands.
static bool thread_is_dying(const char *task) {
  char path[320], text[4096];
  unsigned long flags = 0, pending = 0;
  snprintf(path, sizeof path, "%s/stat", task);
  ssize_t n = read_file(path, text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  const char *after = strrchr(text, ')');
  if (!after) return true; // it is gone
  if (sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 && flags & PF_EXITING)
    return true;
  snprintf(path, sizeof path, "%s/status", task);
  n = read_file(path, text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  const char *line = strstr(text, "\nSigPnd:");
  return line && sscanf(line, " SigPnd: %lx", &pending) == 1 && pending & 1ul << (SIGKILL - 1);
}

bool fl_proc_is_dying(int pid, uint64_t start_ticks) {
  char path[300];
  fl_proc p;
  bool dying = true;
  if (!fl_proc_read(pid, &p) || p.start_ticks != start_ticks) return false;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *dir = opendir(path);
  for (struct dirent *e; dir && dying && (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s", pid, e->d_name);
    dying = thread_is_dying(path);
  }
  if (dir) closedir(dir);
  return dir && dying;
}

bool fl_proc_signal(int pid, uint64_t start_ticks, int signal) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0 && errno != ENOSYS) return false;
  // Checked after it was opened: from here on the descriptor means this process and no later one.
  bool same = fl_proc_is_alive(pid, start_ticks);
  bool sent = false;
  if (same && fd >= 0)
    sent = syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
  else if (same)
    sent = kill(pid, signal) == 0; // a kernel before 5.3
  if (fd >= 0) close(fd);
  return sent;
}

bool fl_proc_get_mark(int pid, char *out, size_t size) {
  char path[48];
  bool found = false;
  size_t capacity = 64 << 10, have;
  char *text = fl_alloc(capacity);
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  for (;;) {
    ssize_t n = read_file(path, text, capacity - 1);
    have = n > 0 ? (size_t)n : 0;
    if (have < capacity - 1 || capacity >= ENVIRON_MAX) break;
    capacity *= 4;
    text = fl_realloc(text, capacity);
  }
  text[have] = '\0';
  for (size_t at = 0; at < have && !found; at += strlen(text + at) + 1) {
    if (strncmp(text + at, MARK, sizeof MARK - 1) != 0) continue;
    snprintf(out, size, "%s", text + at + sizeof MARK - 1);
    found = true;
  }
  free(text);
  return found;
}

bool fl_proc_has_mark(int pid, const char *token) {
  char mark[1024];
  size_t size = strlen(token);
  bool prefix = size && token[size - 1] == '/';
  if (!fl_proc_get_mark(pid, mark, sizeof mark)) return false;
  for (const char *word = mark; word; word = strchr(word, ':')) {
    if (*word == ':') word++;
    if (strncmp(word, token, size) != 0) continue;
    if (prefix || word[size] == '\0' || word[size] == ':') return true;
  }
  return false;
}

#define TAG_BASE       (UINT64_C(1) << 62)
#define TAG_DEPTH_AT   58
#define TAG_DEPTH_MAX  15u
#define TAG_OWNER_AT   32
#define TAG_OWNER_MASK ((UINT64_C(1) << 26) - 1)

static uint64_t tag_owner(const char *id) {
  return fl_checksum(0, id, strlen(id)) & TAG_OWNER_MASK;
}

static bool is_tag(uint64_t limit) {
  return limit >= TAG_BASE && limit < 2 * TAG_BASE;
}

uint64_t fl_tag_make(const char *id) {
  struct rlimit limit;
  uint64_t left = TAG_DEPTH_MAX;
  if (sizeof(rlim_t) < 8 || sizeof(long) < 8 || getrlimit(RLIMIT_RTTIME, &limit)) return 0;
  if (limit.rlim_max != RLIM_INFINITY) {
    if (!is_tag(limit.rlim_max)) return 0; // somebody uses it for what it is
    left = limit.rlim_max >> TAG_DEPTH_AT & TAG_DEPTH_MAX;
    if (left-- == 0) return 0;
  }
  return TAG_BASE | left << TAG_DEPTH_AT | tag_owner(id) << TAG_OWNER_AT;
}

bool fl_tag_is_of(uint64_t tag, const char *id) {
  return is_tag(tag) && (tag >> TAG_OWNER_AT & TAG_OWNER_MASK) == tag_owner(id);
}

uint64_t fl_proc_get_tag(int pid) {
  struct rlimit limit;
  if (prlimit(pid, RLIMIT_RTTIME, NULL, &limit)) return 0;
  return limit.rlim_max != RLIM_INFINITY && is_tag(limit.rlim_max) ? limit.rlim_max : 0;
}

void fl_proc_set_deinit(fl_proc_set *set) {
  free(set->items);
  free(set->places);
  memset(set, 0, sizeof *set);
}

static uint32_t *find_place(fl_proc_set *set, int pid, uint64_t start_ticks) {
  uint64_t h = ((uint64_t)(uint32_t)pid ^ start_ticks << 20) * 0x9e3779b97f4a7c15u;
  for (size_t at = (size_t)(h >> 32);; at++) {
    uint32_t *place = &set->places[at & (set->place_count - 1)];
    const fl_proc *p = &set->items[*place - 1];
    if (!*place || (p->pid == pid && p->start_ticks == start_ticks)) return place;
  }
}

static void place_items(fl_proc_set *set) {
  if (set->placed == set->count && set->places) return;
  size_t wanted = 64;
  while (wanted < 2 * (set->count + 1)) wanted *= 2;
  if (wanted > set->place_count || set->placed > set->count) {
    free(set->places);
    set->places = fl_alloc_zero(wanted, sizeof *set->places);
    set->place_count = wanted;
    set->placed = 0;
  }
  for (; set->placed < set->count; set->placed++) {
    const fl_proc *p = &set->items[set->placed];
    *find_place(set, p->pid, p->start_ticks) = (uint32_t)set->placed + 1;
  }
}

bool fl_proc_set_has(fl_proc_set *set, int pid, uint64_t start_ticks) {
  place_items(set);
  return *find_place(set, pid, start_ticks) != 0;
}

static void set_append(fl_proc_set *set, const fl_proc *proc) {
  if (set->count == set->capacity) {
    set->capacity = set->capacity ? 2 * set->capacity : 16;
    set->items = fl_realloc(set->items, set->capacity * sizeof *set->items);
  }
  set->items[set->count++] = *proc;
}

bool fl_proc_set_add(fl_proc_set *set, const fl_proc *proc) {
  if (fl_proc_set_has(set, proc->pid, proc->start_ticks)) return false;
  set_append(set, proc);
  return true;
}

void fl_tree_scan(bool (*pick)(void *ud, const fl_proc *proc), void *ud, fl_proc_set *set) {
  DIR *dir = opendir("/proc");
  if (!dir) return;
  for (struct dirent *e; (e = readdir(dir));) {
    fl_proc p;
    if (e->d_name[0] < '1' || e->d_name[0] > '9') continue;
    if (fl_proc_read(atoi(e->d_name), &p) && pick(ud, &p)) set_append(set, &p);
  }
  closedir(dir);
}

static bool pick_child(void *ud, const fl_proc *p) {
  return p->ppid == *(const int *)ud;
}

// A process is the child of the thread that made it, so every thread is asked.
static bool append_children(int pid, fl_proc_set *set) {
  char path[400];
  bool supported = false;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *dir = opendir(path);
  if (!dir) return true; // it is gone
  for (struct dirent *e; (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, e->d_name);
    FILE *f = fopen(path, "re");
    if (!f) {
      supported |= errno != ENOENT;
      continue;
    }
    supported = true;
    for (int child; fscanf(f, "%d", &child) == 1;) {
      fl_proc p;
      if (fl_proc_read(child, &p)) set_append(set, &p);
    }
    fclose(f);
  }
  closedir(dir);
  return supported;
}

void fl_tree_walk(int pid, fl_proc_set *set) {
  size_t next = set->count;
  for (int parent = pid;;) {
    // A kernel without the "children" files: the slow way says the same.
    if (!append_children(parent, set)) fl_tree_scan(pick_child, &parent, set);
    if (next >= set->count) break;
    parent = set->items[next++].pid;
  }
  // Zombies stayed until here because their children had to be asked for.
  size_t kept = 0;
  for (size_t i = 0; i < set->count; i++) {
    if (set->items[i].state != 'Z' && set->items[i].state != 'X')
      set->items[kept++] = set->items[i];
  }
  if (kept < set->count) set->placed = SIZE_MAX; // the places are wrong now
  set->count = kept;
}

void fl_own_children_open(fl_own_children *own) {
  char path[64];
  memset(own, 0, sizeof *own);
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  own->fd = open(path, O_RDONLY | O_CLOEXEC);
}

void fl_own_children_close(fl_own_children *own) {
  if (own->fd >= 0) close(own->fd);
  free(own->text);
  memset(own, 0, sizeof *own);
  own->fd = -1;
}

static void search_children(void (*each)(void *ud, int pid), void *ud) {
  fl_proc_set set = {0};
  int self = getpid();
  fl_tree_scan(pick_child, &self, &set);
  for (size_t i = 0; i < set.count; i++) each(ud, set.items[i].pid);
  fl_proc_set_deinit(&set);
}

void fl_own_children_read(fl_own_children *own, void (*each)(void *ud, int pid), void *ud) {
  size_t have = 0;
  if (own->fd < 0) {
    search_children(each, ud);
    return;
  }
  for (;;) {
    if (have + CHILDREN_MIN / 2 > own->capacity) {
      own->capacity = own->capacity ? 2 * own->capacity : CHILDREN_MIN;
      own->text = fl_realloc(own->text, own->capacity);
    }
    ssize_t n = pread(own->fd, own->text + have, own->capacity - 1 - have, (off_t)have);
    if (n <= 0) break;
    have += (size_t)n;
    if (n < CHILDREN_READ_FULL) break;
  }
  own->text[have] = '\0';
  for (char *at = own->text, *end; *at; at = end) {
    long pid = strtol(at, &end, 10);
    if (end == at) break;
    each(ud, (int)pid);
    while (*end == ' ') end++;
  }
}
