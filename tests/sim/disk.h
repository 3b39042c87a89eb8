// A disk in memory that knows what was synced. Processes see it through a mount each; a power cut
// leaves what was synced and a random part, torn by sectors, of what was not.
//
// A failed sync behaves as Linux's: the pages count as clean afterwards, so that a later sync says
// ok and yet writes none of them. But every descriptor that was open then is told, once, by its own
// next sync (errseq_t): a process does not take for durable what another one failed to sync.
#pragma once
#include <sqlite3.h>
#include "random.h"
#include "store/disk.h"

#define SIM_MOUNTS 4
#define SIM_SECTOR 512

typedef struct sim_write {
  int64_t at;
  size_t size;
  uint8_t *data;  // NULL: a truncation to `at`
  bool abandoned; // its sync failed: no later one writes it
} sim_write;

typedef struct sim_bytes {
  uint8_t *data;
  size_t size, capacity;
} sim_bytes;

typedef struct sim_file {
  bool is_dir;
  sim_bytes seen, durable;
  sim_write *pending;
  size_t pending_count, pending_capacity;
  uint32_t sync_errors; // syncs of it that failed
  // SQLite's locks, by mount
  int lock[SIM_MOUNTS];
  uint8_t **shm;
  int shm_count, shm_users;
  unsigned shm_shared[SIM_MOUNTS], shm_exclusive[SIM_MOUNTS];
} sim_file;

typedef struct sim_name {
  char *path;
  sim_file *file; // NULL: the name was removed
} sim_name;

typedef enum sim_op { SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_NAME } sim_op;

typedef struct sim_disk sim_disk;

/// A process's view.
typedef struct sim_mount {
  sim_disk *disk;
  int index;
  bool dead;
  bool immune;     // whoever looks from outside has no trouble
  int64_t kill_in; // dies at this many writes, syncs and renames from now; 0: it does not
  bool cut_in;     // ... and the power with it
  int last_errno;
  fl_disk table;
  sqlite3_vfs vfs;
  char vfs_name[8];
} sim_mount;

typedef struct sim_handle {
  sim_file *file;
  char *path;
  int64_t at;
  uint32_t sync_errors; // of those of its file, it was told of so many
} sim_handle;

struct sim_disk {
  sim_random *random;
  sim_file **files;
  size_t file_count, file_capacity;
  sim_name *names, *durable_names, *pending_names;
  size_t name_count, name_capacity, durable_count, durable_capacity, pending_count,
      pending_capacity;
  sim_handle *handles;
  size_t handle_count, handle_capacity;
  sim_mount mounts[SIM_MOUNTS];
  // Trouble: what fails until when, or how many times more.
  int write_errno, sync_errno;
  int fault_count;
  int64_t fault_until_ms;
  int slow_ms; // a sync takes up to this, a write a tenth
  int64_t (*now)(void *ud);
  void (*pass)(void *ud, int64_t ms);
  void (*on_death)(void *ud, sim_mount *m); // a mount's process died within a call
  void *ud;
  uint64_t ops, log_syncs; // log_syncs: times that the store's log was made durable
};

void sim_disk_init(sim_disk *d, sim_random *random);
void sim_disk_deinit(sim_disk *d);
/// What is on it is given to a new process.
sim_mount *sim_disk_mount(sim_disk *d, int index);
/// Its process is gone: its locks too.
void sim_mount_kill(sim_mount *m);
/// All processes are gone, and some of what was not synced.
void sim_disk_cut_power(sim_disk *d);
/// No more trouble.
void sim_disk_heal(sim_disk *d);
/// Bytes of the store's log that no sync has covered; 0 when there is no log.
size_t sim_disk_log_unsynced(sim_disk *d);
/// What `path` names now; NULL: nothing.
sim_file *sim_disk_find(sim_disk *d, const char *path);

// between disk.c and vfs.c: -1 and errno, or 0
int sim_disk_enter(sim_mount *m, sim_op op, sim_file *f);
int sim_disk_write(sim_mount *m, sim_file *f, const void *data, size_t size, int64_t at);
int sim_disk_truncate(sim_mount *m, sim_file *f, int64_t size);
/// `told`: of the descriptor, how many errors of its file it knows of.
int sim_disk_sync(sim_mount *m, sim_file *f, const char *path, uint32_t *told);
int sim_disk_unlink(sim_mount *m, const char *path);
int sim_disk_sync_dir(sim_mount *m, const char *dir);
sim_file *sim_disk_create(sim_disk *d, const char *path, bool is_dir);
void sim_vfs_open(sim_mount *m);
void sim_vfs_close(sim_mount *m);
