// Names a process for ever: "boot-id/pid/start-time".
#include <errno.h>
#include "base/clock.h"
#include "io/supervise.h"
#include "io/tree.h"

void fl_process_identity(int pid, char out[96]) {
  char boot[40];
  fl_proc p;
  fl_boot_id(boot);
  if (!fl_proc_read(pid, &p)) p.start_ticks = 0; // matches no process: it is gone already
  snprintf(out, 96, "%s/%d/%llu", boot, pid, (unsigned long long)p.start_ticks);
}

// False for what is no identity, or one of another boot.
static bool read_identity(const char *identity, int *pid, uint64_t *start_ticks) {
  char boot[40];
  int used = 0;
  unsigned long long start;
  fl_boot_id(boot);
  size_t size = strlen(boot);
  if (!size || strncmp(identity, boot, size) != 0 || identity[size] != '/') return false;
  if (sscanf(identity + size + 1, "%d/%llu%n", pid, &start, &used) != 2) return false;
  *start_ticks = start;
  return identity[size + 1 + (size_t)used] == '\0' && start;
}

bool fl_process_is_alive(const char *identity) {
  int pid;
  uint64_t start;
  return read_identity(identity, &pid, &start) && fl_proc_is_alive(pid, start);
}

bool fl_process_is_dying(const char *identity) {
  int pid;
  uint64_t start;
  return read_identity(identity, &pid, &start) && fl_proc_is_dying(pid, start);
}
