// The simulated disk: names, contents, what of both is durable, and its troubles.
#include "disk.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

#define PUSH(list, count, capacity, item)                                                          \
  do {                                                                                             \
    if ((count) == (capacity)) {                                                                   \
      (capacity) = (capacity) ? (capacity)*2 : 16;                                                 \
      (list) = fl_realloc((list), (capacity) * sizeof *(list));                                    \
    }                                                                                              \
    (list)[(count)++] = (item);                                                                    \
  } while (0)

// ------------------------------------------------------------------------------------- contents

static void bytes_resize(sim_bytes *b, size_t size) {
  if (size > b->capacity) {
    b->capacity = size * 2;
    b->data = fl_realloc(b->data, b->capacity);
  }
  if (size > b->size) memset(b->data + b->size, 0, size - b->size);
  b->size = size;
}

static void bytes_put(sim_bytes *b, const void *data, size_t size, int64_t at) {
  if ((size_t)at + size > b->size) bytes_resize(b, (size_t)at + size);
  if (size) memcpy(b->data + at, data, size);
}

static void apply(sim_bytes *b, const sim_write *w) {
  if (w->data)
    bytes_put(b, w->data, w->size, w->at);
  else
    bytes_resize(b, (size_t)w->at);
}

static void keep_pending(sim_file *f, const void *data, size_t size, int64_t at) {
  sim_write w = {.at = at, .size = size};
  if (data) {
    w.data = fl_alloc(size + 1);
    memcpy(w.data, data, size);
  }
  PUSH(f->pending, f->pending_count, f->pending_capacity, w);
}

// Only some of a write's sectors got there.
static void apply_torn(sim_bytes *b, const sim_write *w, sim_random *r) {
  if (!w->data) return apply(b, w);
  int64_t at = w->at, end = w->at + (int64_t)w->size;
  while (at < end) {
    int64_t next = (at / SIM_SECTOR + 1) * SIM_SECTOR;
    if (next > end) next = end;
    if (sim_chance(r, 50)) bytes_put(b, w->data + (at - w->at), (size_t)(next - at), at);
    at = next;
  }
}

static void drop_pending(sim_file *f) {
  for (size_t i = 0; i < f->pending_count; i++) free(f->pending[i].data);
  f->pending_count = 0;
}

// ------------------------------------------------------------------------------------- names

static sim_name *find_name(sim_name *names, size_t count, const char *path) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(names[i].path, path)) return &names[i];
  return NULL;
}

sim_file *sim_disk_find(sim_disk *d, const char *path) {
  sim_name *n = find_name(d->names, d->name_count, path);
  return n ? n->file : NULL;
}

static void set_name(sim_name **names, size_t *count, size_t *capacity, const char *path,
                     sim_file *file) {
  sim_name *n = find_name(*names, *count, path);
  if (n && file) {
    n->file = file;
  } else if (n) {
    free(n->path);
    *n = (*names)[--*count];
  } else if (file) {
    sim_name new = {fl_strdup(path), file};
    PUSH(*names, *count, *capacity, new);
  }
}

static void put_name(sim_disk *d, const char *path, sim_file *file) {
  set_name(&d->names, &d->name_count, &d->name_capacity, path, file);
  sim_name n = {fl_strdup(path), file};
  PUSH(d->pending_names, d->pending_count, d->pending_capacity, n);
}

static bool is_in(const char *path, const char *dir) {
  size_t size = strlen(dir);
  return !strncmp(path, dir, size) && path[size] == '/' && !strchr(path + size + 1, '/');
}

static void make_name_durable(sim_disk *d, const sim_name *n) {
  set_name(&d->durable_names, &d->durable_count, &d->durable_capacity, n->path, n->file);
}

static sim_file *new_file(sim_disk *d, bool is_dir) {
  sim_file *f = fl_alloc_zero(1, sizeof *f);
  f->is_dir = is_dir;
  PUSH(d->files, d->file_count, d->file_capacity, f);
  return f;
}

sim_file *sim_disk_create(sim_disk *d, const char *path, bool is_dir) {
  sim_file *f = new_file(d, is_dir);
  put_name(d, path, f);
  return f;
}

// ------------------------------------------------------------------------------------- trouble

void sim_mount_kill(sim_mount *m) {
  m->dead = true;
  for (size_t i = 0; i < m->disk->file_count; i++) {
    sim_file *f = m->disk->files[i];
    f->lock[m->index] = 0;
    f->shm_shared[m->index] = f->shm_exclusive[m->index] = 0;
  }
}

static int fail(sim_mount *m, int errnum) {
  errno = m->last_errno = errnum;
  return -1;
}

static bool has_fault(sim_disk *d) {
  if (d->fault_count > 0) return d->fault_count--, true;
  return d->now(d->ud) < d->fault_until_ms;
}

int sim_disk_enter(sim_mount *m, sim_op op, sim_file *f) {
  sim_disk *d = m->disk;
  (void)f;
  if (m->dead) return fail(m, EIO);
  if (m->immune) return 0;
  d->ops++;
  if (d->slow_ms) {
    int64_t most = op == SIM_OP_SYNC ? d->slow_ms : d->slow_ms / 10;
    d->pass(d->ud, sim_range(d->random, 0, most));
  }
  if (m->kill_in && --m->kill_in == 0) {
    // The call may have done its work before its process died: on_death takes what is there.
    if (sim_chance(d->random, 50)) return 1;
    d->on_death(d->ud, m);
    return fail(m, EIO);
  }
  int errnum = op == SIM_OP_SYNC ? d->sync_errno : d->write_errno;
  if (errnum && has_fault(d)) return fail(m, errnum);
  return 0;
}

static int leave(sim_mount *m, int entered, int rc) {
  if (entered != 1) return rc;
  m->disk->on_death(m->disk->ud, m);
  return fail(m, EIO);
}

void sim_disk_heal(sim_disk *d) {
  d->write_errno = d->sync_errno = d->fault_count = d->slow_ms = 0;
  d->fault_until_ms = 0;
  for (int i = 0; i < SIM_MOUNTS; i++) d->mounts[i].kill_in = 0;
}

static void cut_file(sim_disk *d, sim_file *f) {
  // Mostly a run of writes from the first on got there, as a disk that keeps order would have it;
  // sometimes any of them.
  bool ordered = sim_chance(d->random, 40);
  size_t until = ordered ? (size_t)sim_range(d->random, 0, (int64_t)f->pending_count) : 0;
  for (size_t i = 0; i < f->pending_count; i++) {
    sim_write *w = &f->pending[i];
    if (w->abandoned && sim_chance(d->random, 80)) continue;
    if (ordered ? i < until : sim_chance(d->random, 50))
      apply(&f->durable, w);
    else if (!ordered ? sim_chance(d->random, 40) : i == until)
      apply_torn(&f->durable, w, d->random);
  }
  drop_pending(f);
  bytes_resize(&f->seen, 0);
  bytes_put(&f->seen, f->durable.data, f->durable.size, 0);
  for (int i = 0; i < f->shm_count; i++) free(f->shm[i]);
  free(f->shm);
  f->shm = NULL;
  f->shm_count = f->shm_users = 0;
}

static bool has_parent(sim_disk *d, const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == path) return true;
  char *dir = fl_strdup(path);
  dir[slash - path] = 0;
  bool has = find_name(d->durable_names, d->durable_count, dir) != NULL;
  free(dir);
  return has;
}

static void clear_names(sim_name *names, size_t *count) {
  for (size_t i = 0; i < *count; i++) free(names[i].path);
  *count = 0;
}

void sim_disk_cut_power(sim_disk *d) {
  for (int i = 0; i < SIM_MOUNTS; i++)
    if (d->mounts[i].disk) sim_mount_kill(&d->mounts[i]);
  bool ordered = sim_chance(d->random, 60);
  size_t until = (size_t)sim_range(d->random, 0, (int64_t)d->pending_count);
  for (size_t i = 0; i < d->pending_count; i++)
    if (ordered ? i < until : sim_chance(d->random, 50)) make_name_durable(d, &d->pending_names[i]);
  clear_names(d->pending_names, &d->pending_count);
  for (bool more = true; more;) {
    more = false;
    for (size_t i = 0; i < d->durable_count && !more; i++) {
      if (has_parent(d, d->durable_names[i].path)) continue;
      char *path = fl_strdup(d->durable_names[i].path);
      set_name(&d->durable_names, &d->durable_count, &d->durable_capacity, path, NULL);
      free(path);
      more = true;
    }
  }
  clear_names(d->names, &d->name_count);
  for (size_t i = 0; i < d->durable_count; i++)
    set_name(&d->names, &d->name_count, &d->name_capacity, d->durable_names[i].path,
             d->durable_names[i].file);
  for (size_t i = 0; i < d->file_count; i++) cut_file(d, d->files[i]);
}

// ------------------------------------------------------------------------------------- calls

int sim_disk_write(sim_mount *m, sim_file *f, const void *data, size_t size, int64_t at) {
  sim_disk *d = m->disk;
  int entered = sim_disk_enter(m, SIM_OP_WRITE, f);
  if (entered < 0) {
    // A write that failed may have left some sectors behind.
    sim_write w = {.at = at, .size = size, .data = (uint8_t *)data};
    if (!m->dead && m->last_errno == EIO && size <= 8192 && sim_chance(d->random, 50)) {
      apply_torn(&f->seen, &w, d->random);
      if (f->seen.size > (size_t)at)
        keep_pending(f, f->seen.data + at,
                     f->seen.size - (size_t)at < size ? f->seen.size - (size_t)at : size, at);
    }
    errno = m->last_errno;
    return -1;
  }
  bytes_put(&f->seen, data, size, at);
  keep_pending(f, data, size, at);
  return leave(m, entered, 0);
}

int sim_disk_truncate(sim_mount *m, sim_file *f, int64_t size) {
  int entered = sim_disk_enter(m, SIM_OP_WRITE, f);
  if (entered < 0) return -1;
  bytes_resize(&f->seen, (size_t)size);
  size_t kept = 0; // what no sync will ever write and nobody can read any more
  for (size_t i = 0; i < f->pending_count; i++) {
    if (f->pending[i].abandoned && f->pending[i].at >= size)
      free(f->pending[i].data);
    else
      f->pending[kept++] = f->pending[i];
  }
  f->pending_count = kept;
  keep_pending(f, NULL, 0, size);
  return leave(m, entered, 0);
}

static bool is_log(const char *path) {
  size_t size = strlen(path);
  return size > 4 && !strcmp(path + size - 4, "-wal");
}

int sim_disk_sync(sim_mount *m, sim_file *f, const char *path, uint32_t *told) {
  int entered = sim_disk_enter(m, SIM_OP_SYNC, f);
  if (entered < 0) {
    if (!m->dead) {
      for (size_t i = 0; i < f->pending_count; i++) f->pending[i].abandoned = true;
      *told = ++f->sync_errors;
    }
    errno = m->last_errno;
    return -1;
  }
  size_t kept = 0;
  for (size_t i = 0; i < f->pending_count; i++) {
    if (f->pending[i].abandoned) {
      f->pending[kept++] = f->pending[i];
      continue;
    }
    apply(&f->durable, &f->pending[i]);
    free(f->pending[i].data);
  }
  f->pending_count = kept;
  if (*told != f->sync_errors) {
    *told = f->sync_errors;
    return leave(m, entered, fail(m, EIO));
  }
  if (is_log(path)) m->disk->log_syncs++;
  return leave(m, entered, 0);
}

int sim_disk_sync_dir(sim_mount *m, const char *dir) {
  sim_disk *d = m->disk;
  int entered = sim_disk_enter(m, SIM_OP_SYNC, NULL);
  if (entered < 0) return -1;
  size_t kept = 0;
  for (size_t i = 0; i < d->pending_count; i++) {
    if (!is_in(d->pending_names[i].path, dir)) {
      d->pending_names[kept++] = d->pending_names[i];
      continue;
    }
    make_name_durable(d, &d->pending_names[i]);
    free(d->pending_names[i].path);
  }
  d->pending_count = kept;
  return leave(m, entered, 0);
}

int sim_disk_unlink(sim_mount *m, const char *path) {
  int entered = sim_disk_enter(m, SIM_OP_NAME, NULL);
  if (entered < 0) return -1;
  if (!sim_disk_find(m->disk, path)) return fail(m, ENOENT);
  put_name(m->disk, path, NULL);
  return leave(m, entered, 0);
}

size_t sim_disk_log_unsynced(sim_disk *d) {
  size_t bytes = 0;
  for (size_t i = 0; i < d->name_count; i++)
    if (is_log(d->names[i].path))
      for (size_t w = 0; w < d->names[i].file->pending_count; w++)
        bytes += d->names[i].file->pending[w].size;
  return bytes;
}

// ------------------------------------------------------------------------------------- table

static char *full_path(sim_mount *m, int dir, const char *name) {
  if (*name == '/' || dir == AT_FDCWD) return fl_strdup(name);
  const char *base = m->disk->handles[dir].path;
  size_t size = strlen(base) + strlen(name) + 2;
  char *path = fl_alloc(size);
  snprintf(path, size, "%s/%s", base, name);
  return path;
}

static char *table_realpath(void *ud, const char *path) {
  sim_mount *m = ud;
  if (m->dead) return fail(m, EIO), NULL;
  if (!sim_disk_find(m->disk, path)) return fail(m, ENOENT), NULL;
  return fl_strdup(path);
}

static int table_mkdir(void *ud, int dir, const char *name) {
  sim_mount *m = ud;
  char *path = full_path(m, dir, name);
  int entered = sim_disk_enter(m, SIM_OP_NAME, NULL), rc = entered < 0 ? -1 : 0;
  if (!rc && sim_disk_find(m->disk, path)) rc = fail(m, EEXIST);
  if (!rc) sim_disk_create(m->disk, path, true);
  free(path);
  return entered == 1 ? leave(m, entered, rc) : rc;
}

static int table_open(void *ud, int dir, const char *name, int flags) {
  sim_mount *m = ud;
  sim_disk *d = m->disk;
  char *path = full_path(m, dir, name);
  sim_file *f = sim_disk_find(d, path);
  int rc = 0;
  if (m->dead) rc = fail(m, EIO);
  if (!rc && f && (flags & O_CREAT) && (flags & O_EXCL)) rc = fail(m, EEXIST);
  if (!rc && !f && !(flags & O_CREAT)) rc = fail(m, ENOENT);
  int entered = 0;
  if (!rc && !f) {
    entered = sim_disk_enter(m, SIM_OP_NAME, NULL);
    if (entered < 0)
      rc = -1;
    else
      f = sim_disk_create(d, path, false);
  } else if (!rc && (flags & O_TRUNC)) {
    rc = sim_disk_truncate(m, f, 0);
  }
  if (entered == 1) rc = leave(m, entered, rc);
  if (rc) {
    int errnum = errno;
    free(path);
    errno = errnum;
    return -1;
  }
  sim_handle h = {.file = f, .path = path, .sync_errors = f->sync_errors};
  PUSH(d->handles, d->handle_count, d->handle_capacity, h);
  return (int)d->handle_count - 1;
}

static void table_close(void *ud, int fd) {
  sim_mount *m = ud;
  free(m->disk->handles[fd].path);
  m->disk->handles[fd].path = NULL;
}

static int table_stat(void *ud, int dir, const char *name, fl_disk_stat *out) {
  sim_mount *m = ud;
  char *path = full_path(m, dir, name);
  sim_file *f = sim_disk_find(m->disk, path);
  free(path);
  if (m->dead) return fail(m, EIO);
  if (!f) return fail(m, ENOENT);
  *out = (fl_disk_stat){.size = (int64_t)f->seen.size, .is_file = !f->is_dir};
  return 0;
}

static int64_t table_size(void *ud, int fd) {
  sim_mount *m = ud;
  return m->dead ? fail(m, EIO) : (int64_t)m->disk->handles[fd].file->seen.size;
}

static ssize_t table_read(void *ud, int fd, void *data, size_t size) {
  sim_mount *m = ud;
  sim_handle *h = &m->disk->handles[fd];
  if (m->dead) return fail(m, EIO);
  size_t left = h->file->seen.size - (size_t)h->at;
  if (size > left) size = left;
  if (size) memcpy(data, h->file->seen.data + h->at, size);
  h->at += (int64_t)size;
  return (ssize_t)size;
}

static ssize_t table_pwrite(void *ud, int fd, const void *data, size_t size, int64_t at) {
  sim_mount *m = ud;
  return sim_disk_write(m, m->disk->handles[fd].file, data, size, at) ? -1 : (ssize_t)size;
}

static ssize_t table_write(void *ud, int fd, const void *data, size_t size) {
  sim_mount *m = ud;
  sim_handle *h = &m->disk->handles[fd];
  if (table_pwrite(ud, fd, data, size, h->at) < 0) return -1;
  h->at += (int64_t)size;
  return (ssize_t)size;
}

static int table_sync(void *ud, int fd) {
  sim_mount *m = ud;
  sim_handle *h = &m->disk->handles[fd];
  return h->file->is_dir ? sim_disk_sync_dir(m, h->path)
                         : sim_disk_sync(m, h->file, h->path, &h->sync_errors);
}

static int move_name(sim_mount *m, int dir, const char *from, const char *to, bool keep) {
  char *a = full_path(m, dir, from), *b = full_path(m, dir, to);
  int entered = sim_disk_enter(m, SIM_OP_NAME, NULL), rc = entered < 0 ? -1 : 0;
  sim_file *f = sim_disk_find(m->disk, a);
  if (!rc && !f) rc = fail(m, ENOENT);
  if (!rc && keep && sim_disk_find(m->disk, b)) rc = fail(m, EEXIST);
  if (!rc) put_name(m->disk, b, f);
  if (!rc && !keep) put_name(m->disk, a, NULL);
  free(a);
  free(b);
  return entered == 1 ? leave(m, entered, rc) : rc;
}

static int table_link(void *ud, int dir, const char *from, const char *to) {
  return move_name(ud, dir, from, to, true);
}
static int table_rename(void *ud, int dir, const char *from, const char *to) {
  return move_name(ud, dir, from, to, false);
}
static int table_unlink(void *ud, int dir, const char *name) {
  char *path = full_path(ud, dir, name);
  int rc = sim_disk_unlink(ud, path);
  free(path);
  return rc;
}

static void table_list(void *ud, int dir, void (*each)(void *each_ud, const char *name),
                       void *each_ud) {
  sim_mount *m = ud;
  const char *base = m->disk->handles[dir].path;
  size_t count = 0;
  char **found = fl_alloc((m->disk->name_count + 1) * sizeof *found);
  for (size_t i = 0; i < m->disk->name_count; i++)
    if (is_in(m->disk->names[i].path, base))
      found[count++] = fl_strdup(m->disk->names[i].path + strlen(base) + 1);
  for (size_t i = 0; i < count; i++) {
    each(each_ud, found[i]);
    free(found[i]);
  }
  free(found);
}

// ------------------------------------------------------------------------------------- life

void sim_disk_init(sim_disk *d, sim_random *random) {
  *d = (sim_disk){.random = random};
}

sim_mount *sim_disk_mount(sim_disk *d, int index) {
  sim_mount *m = &d->mounts[index];
  if (m->disk) sim_vfs_close(m);
  *m = (sim_mount){.disk = d, .index = index};
  m->table = (fl_disk){.vfs = m->vfs_name,
                       .realpath = table_realpath,
                       .mkdir = table_mkdir,
                       .open = table_open,
                       .close = table_close,
                       .stat = table_stat,
                       .size = table_size,
                       .read = table_read,
                       .write = table_write,
                       .pwrite = table_pwrite,
                       .fsync = table_sync,
                       .fdatasync = table_sync,
                       .link = table_link,
                       .rename = table_rename,
                       .unlink = table_unlink,
                       .list = table_list,
                       .ud = m};
  snprintf(m->vfs_name, sizeof m->vfs_name, "sim%d", index);
  sim_vfs_open(m);
  return m;
}

void sim_disk_deinit(sim_disk *d) {
  for (int i = 0; i < SIM_MOUNTS; i++)
    if (d->mounts[i].disk) sim_vfs_close(&d->mounts[i]);
  for (size_t i = 0; i < d->file_count; i++) {
    sim_file *f = d->files[i];
    drop_pending(f);
    for (int k = 0; k < f->shm_count; k++) free(f->shm[k]);
    free(f->shm);
    free(f->pending);
    free(f->seen.data);
    free(f->durable.data);
    free(f);
  }
  clear_names(d->names, &d->name_count);
  clear_names(d->durable_names, &d->durable_count);
  clear_names(d->pending_names, &d->pending_count);
  for (size_t i = 0; i < d->handle_count; i++) free(d->handles[i].path);
  free(d->files);
  free(d->names);
  free(d->durable_names);
  free(d->pending_names);
  free(d->handles);
}
