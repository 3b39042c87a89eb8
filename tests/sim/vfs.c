// SQLite's way to the simulated disk: a VFS a mount, with the locks and the shared memory that the
// write-ahead log needs between processes.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "disk.h"

typedef struct vfs_file {
  sqlite3_file base;
  sim_mount *mount;
  sim_file *file;
  char *path;
  bool mapped;
  uint32_t sync_errors; // of its file, that it was told of
  bool created;         // by this opening: its first sync makes its name durable too
} vfs_file;

static vfs_file *of(sqlite3_file *f) {
  return (vfs_file *)f;
}

static int result(sim_mount *m, int rc, int code) {
  if (!rc) return SQLITE_OK;
  return m->last_errno == ENOSPC ? SQLITE_FULL : code;
}

static int shm_unmap(sqlite3_file *base, int remove);

static int file_close(sqlite3_file *base) {
  vfs_file *f = of(base);
  if (f->mapped) shm_unmap(base, 0);
  f->file->lock[f->mount->index] = 0;
  free(f->path);
  return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *data, int size, sqlite3_int64 at) {
  vfs_file *f = of(base);
  if (f->mount->dead) return SQLITE_IOERR_READ;
  size_t have = f->file->seen.size > (size_t)at ? f->file->seen.size - (size_t)at : 0;
  size_t take = have < (size_t)size ? have : (size_t)size;
  if (take) memcpy(data, f->file->seen.data + at, take);
  if (take == (size_t)size) return SQLITE_OK;
  memset((char *)data + take, 0, (size_t)size - take);
  return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 at) {
  vfs_file *f = of(base);
  return result(f->mount, sim_disk_write(f->mount, f->file, data, (size_t)size, at),
                SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
  vfs_file *f = of(base);
  return result(f->mount, sim_disk_truncate(f->mount, f->file, size), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags) {
  vfs_file *f = of(base);
  (void)flags;
  int rc = sim_disk_sync(f->mount, f->file, f->path, &f->sync_errors);
  if (rc || !f->created) return result(f->mount, rc, SQLITE_IOERR_FSYNC);
  f->created = false; // as SQLite's own does it for its logs
  char *dir = fl_strdup(f->path);
  *strrchr(dir, '/') = 0;
  rc = sim_disk_sync_dir(f->mount, dir);
  free(dir);
  return result(f->mount, rc, SQLITE_IOERR_DIR_FSYNC);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
  vfs_file *f = of(base);
  if (f->mount->dead) return SQLITE_IOERR_FSTAT;
  *size = (sqlite3_int64)f->file->seen.size;
  return SQLITE_OK;
}

// ------------------------------------------------------------------------------------- locks

// Highest lock that another process holds.
static int others(const vfs_file *f) {
  int most = SQLITE_LOCK_NONE;
  for (int i = 0; i < SIM_MOUNTS; i++)
    if (i != f->mount->index && f->file->lock[i] > most) most = f->file->lock[i];
  return most;
}

static int file_lock(sqlite3_file *base, int level) {
  vfs_file *f = of(base);
  if (f->mount->dead) return SQLITE_IOERR_LOCK;
  int held = others(f);
  bool busy = level == SQLITE_LOCK_SHARED      ? held >= SQLITE_LOCK_PENDING
              : level == SQLITE_LOCK_EXCLUSIVE ? held >= SQLITE_LOCK_SHARED
                                               : held >= SQLITE_LOCK_RESERVED;
  if (busy) return SQLITE_BUSY;
  if (f->file->lock[f->mount->index] < level) f->file->lock[f->mount->index] = level;
  return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level) {
  vfs_file *f = of(base);
  if (!f->mount->dead) f->file->lock[f->mount->index] = level;
  return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *out) {
  *out = others(of(base)) >= SQLITE_LOCK_RESERVED;
  return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg) {
  (void)base, (void)op, (void)arg;
  return SQLITE_NOTFOUND;
}
static int file_sector(sqlite3_file *base) {
  (void)base;
  return SIM_SECTOR;
}
static int file_traits(sqlite3_file *base) {
  (void)base;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

// ------------------------------------------------------------------------------------- shm

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
  vfs_file *f = of(base);
  sim_file *s = f->file;
  *out = NULL;
  if (f->mount->dead) return SQLITE_IOERR_SHMMAP;
  if (!f->mapped) {
    // The first of all processes begins with empty memory, whatever a killed one left.
    for (int i = 0; !s->shm_users && i < s->shm_count; i++) memset(s->shm[i], 0, (size_t)size);
    s->shm_users++;
    f->mapped = true;
  }
  if (region >= s->shm_count && !extend) return SQLITE_OK;
  while (s->shm_count <= region) {
    s->shm = fl_realloc(s->shm, (size_t)(s->shm_count + 1) * sizeof *s->shm);
    s->shm[s->shm_count++] = fl_alloc_zero(1, (size_t)size);
  }
  *out = s->shm[region];
  return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int from, int count, int flags) {
  vfs_file *f = of(base);
  sim_file *s = f->file;
  int me = f->mount->index;
  unsigned mask = ((1u << count) - 1) << from;
  if (f->mount->dead) return SQLITE_IOERR_SHMLOCK;
  if (flags & SQLITE_SHM_UNLOCK) {
    s->shm_shared[me] &= ~mask;
    s->shm_exclusive[me] &= ~mask;
    return SQLITE_OK;
  }
  for (int i = 0; i < SIM_MOUNTS; i++) {
    if (i == me) continue;
    if (s->shm_exclusive[i] & mask) return SQLITE_BUSY;
    if ((flags & SQLITE_SHM_EXCLUSIVE) && (s->shm_shared[i] & mask)) return SQLITE_BUSY;
  }
  if (flags & SQLITE_SHM_EXCLUSIVE)
    s->shm_exclusive[me] |= mask;
  else
    s->shm_shared[me] |= mask;
  return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base) {
  (void)base;
}

static int shm_unmap(sqlite3_file *base, int remove) {
  vfs_file *f = of(base);
  (void)remove;
  if (!f->mapped) return SQLITE_OK;
  f->mapped = false;
  if (f->file->shm_users > 0) f->file->shm_users--;
  f->file->shm_shared[f->mount->index] = f->file->shm_exclusive[f->mount->index] = 0;
  return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_unlock,
                                           .xCheckReservedLock = file_is_reserved,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector,
                                           .xDeviceCharacteristics = file_traits,
                                           .xShmMap = shm_map,
                                           .xShmLock = shm_lock,
                                           .xShmBarrier = shm_barrier,
                                           .xShmUnmap = shm_unmap};

// ------------------------------------------------------------------------------------- the VFS

static sim_mount *mount_of(sqlite3_vfs *vfs) {
  return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out) {
  sim_mount *m = mount_of(vfs);
  vfs_file *f = of(base);
  *f = (vfs_file){.mount = m};
  if (m->dead) return m->last_errno = EIO, SQLITE_CANTOPEN;
  sim_file *file = name ? sim_disk_find(m->disk, name) : NULL;
  if (!file && !(flags & SQLITE_OPEN_CREATE)) return m->last_errno = ENOENT, SQLITE_CANTOPEN;
  f->created = !file;
  if (!file) {
    int entered = sim_disk_enter(m, SIM_OP_NAME, NULL);
    if (entered < 0) return result(m, -1, SQLITE_CANTOPEN);
    file = sim_disk_create(m->disk, name ? name : "/sim/temporary", false);
    if (entered == 1) {
      m->disk->on_death(m->disk->ud, m);
      return SQLITE_CANTOPEN;
    }
  }
  f->base.pMethods = &methods;
  f->file = file;
  f->sync_errors = file->sync_errors;
  f->path = fl_strdup(name ? name : "/sim/temporary");
  if (out) *out = flags;
  return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
  sim_mount *m = mount_of(vfs);
  if (!sim_disk_find(m->disk, name)) return SQLITE_IOERR_DELETE_NOENT;
  if (sim_disk_unlink(m, name)) return result(m, -1, SQLITE_IOERR_DELETE);
  if (!sync_dir) return SQLITE_OK;
  char *dir = fl_strdup(name);
  *strrchr(dir, '/') = 0;
  int rc = sim_disk_sync_dir(m, dir);
  free(dir);
  return result(m, rc, SQLITE_IOERR_DIR_FSYNC);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
  sim_mount *m = mount_of(vfs);
  sim_file *f = sim_disk_find(m->disk, name);
  if (m->dead) return SQLITE_IOERR_ACCESS;
  *out = f && (flags != SQLITE_ACCESS_EXISTS || f->seen.size > 0);
  return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int size, char *out) {
  (void)vfs;
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int size, char *out) {
  sim_mount *m = mount_of(vfs);
  for (int i = 0; i < size; i++) out[i] = (char)sim_next(m->disk->random);
  return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
  sim_mount *m = mount_of(vfs);
  m->disk->pass(m->disk->ud, us / 1000 ? us / 1000 : 1);
  return us;
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  sim_mount *m = mount_of(vfs);
  *out = 210866760000000LL + m->disk->now(m->disk->ud); // Julian day of 1970, in milliseconds
  return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out) {
  (void)size, (void)out;
  return mount_of(vfs)->last_errno;
}

void sim_vfs_open(sim_mount *m) {
  m->vfs = (sqlite3_vfs){.iVersion = 2,
                         .szOsFile = sizeof(vfs_file),
                         .mxPathname = 512,
                         .zName = m->vfs_name,
                         .pAppData = m,
                         .xOpen = vfs_open,
                         .xDelete = vfs_delete,
                         .xAccess = vfs_access,
                         .xFullPathname = vfs_full_name,
                         .xRandomness = vfs_random,
                         .xSleep = vfs_sleep,
                         .xGetLastError = vfs_last_error,
                         .xCurrentTimeInt64 = vfs_time};
  sqlite3_vfs_register(&m->vfs, 0);
}

void sim_vfs_close(sim_mount *m) {
  sqlite3_vfs_unregister(&m->vfs);
}
