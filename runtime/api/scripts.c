// Finds scripts by path and content, counts who needs them, and lets go of the oldest.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api/engine.h"
#include "base/bug.h"
#include "base/handle.h"
#include "base/limits.h"

#define BUCKETS 256

typedef struct entry {
  fl_scripts *lib;
  struct entry *chain;       // of its bucket
  struct entry *prev, *next; // of those without users, the one unused for longest first
  fl_script *script;
  size_t native_count; // types in C that were there when it was loaded
  size_t size;         // when it was used last
  uint32_t handles;    // the host has of it
  bool kept;           // in the list of those without users
  bool unloaded;       // the host asked for it: not kept
} entry;

// What a host's fl_script * stands for.
typedef struct host_script {
  struct host_script *prev, *next;
  fl_engine *engine;
  entry *of;
  void *handle;
} host_script;

struct fl_scripts {
  fl_engine *engine;
  entry *buckets[BUCKETS];
  size_t count;
  entry *first, *last; // without users
  size_t kept_count, kept_size;
  bool unloaded; // one of them is to go
  host_script *handles;
};

static uint32_t bucket_of(const char *path) {
  uint32_t hash = 2166136261u;
  for (; *path; path++) hash = (hash ^ (uint8_t)*path) * 16777619u;
  return hash % BUCKETS;
}

fl_scripts *fl_scripts_new(fl_engine *engine) {
  fl_scripts *lib = fl_alloc_zero(1, sizeof *lib);
  lib->engine = engine;
  return lib;
}

size_t fl_scripts_count(const fl_scripts *lib) {
  return lib->count;
}

// ------------------------------------------------------------------------------------- users

static void unkeep(entry *e) {
  fl_scripts *lib = e->lib;
  *(e->prev ? &e->prev->next : &lib->first) = e->next;
  *(e->next ? &e->next->prev : &lib->last) = e->prev;
  e->prev = e->next = NULL;
  e->kept = false;
  lib->kept_count--;
  lib->kept_size -= e->size;
}

static void keep(entry *e) {
  fl_scripts *lib = e->lib;
  e->size = fl_script_get_size(e->script);
  e->prev = lib->last;
  *(e->prev ? &e->prev->next : &lib->first) = e;
  lib->last = e;
  e->kept = true;
  lib->kept_count++;
  lib->kept_size += e->size;
  if (e->unloaded) lib->unloaded = true;
}

static void on_users(void *ud, bool used) {
  entry *e = ud;
  if (used)
    unkeep(e);
  else
    keep(e);
}

static void close_entry(entry *e) {
  fl_scripts *lib = e->lib;
  entry **at = &lib->buckets[bucket_of(fl_script_get_path(e->script))];
  while (*at != e) at = &(*at)->chain;
  *at = e->chain;
  if (e->kept) unkeep(e);
  lib->count--;
  if (lib->engine->workers) fl_worker_pool_forget(lib->engine->workers, e->script);
  if (lib->engine->inlines) fl_inline_forget(lib->engine->inlines, e->script);
  fl_script_close(e->script);
  free(e);
}

void fl_scripts_trim(fl_scripts *lib) {
  entry *next;
  for (entry *e = lib->unloaded ? lib->first : NULL; e; e = next) {
    next = e->next;
    if (e->unloaded) close_entry(e);
  }
  lib->unloaded = false;
  while (lib->first &&
         (lib->kept_count > FL_SCRIPTS_KEPT_MAX || lib->kept_size > FL_SCRIPTS_KEPT_BYTES))
    close_entry(lib->first);
}

static void end_handle(host_script *h) {
  fl_scripts *lib = h->of->lib;
  *(h->prev ? &h->prev->next : &lib->handles) = h->next;
  if (h->next) h->next->prev = h->prev;
  fl_handle_end(h->handle);
  h->of->handles--;
  free(h);
}

void fl_scripts_free(fl_scripts *lib) {
  if (!lib) return;
  while (lib->handles) end_handle(lib->handles);
  for (size_t i = 0; i < BUCKETS; i++) {
    while (lib->buckets[i]) {
      fl_script_watch(lib->buckets[i]->script, NULL, NULL);
      close_entry(lib->buckets[i]);
    }
  }
  free(lib);
}

// ------------------------------------------------------------------------------------- finding

// Whether the file holds these bytes.
static bool is_same_file(const char *path, const fl_source *source) {
  char data[16384];
  size_t at = 0;
  ssize_t n = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  while ((n = read(fd, data, sizeof data)) > 0 && at + (size_t)n <= source->size &&
         !memcmp(data, source->data + at, (size_t)n))
    at += (size_t)n;
  close(fd);
  return !n && at == source->size;
}

// Whether a load from the disk would read what it read then, and find no more.
static bool is_on_disk(fl_script *script, const char *path) {
  const fl_snapshot *s = fl_script_get_snapshot(script);
  char full[PATH_MAX], file[PATH_MAX + NAME_MAX];
  if (!realpath(path, full)) return false;
  snprintf(file, sizeof file, "%s/%s", s->dir, s->sources[0].path);
  if (strcmp(full, file) != 0) return false;
  for (size_t i = 0; i < s->count; i++) {
    if ((size_t)snprintf(file, sizeof file, "%s/%s", s->dir, s->sources[i].path) >= sizeof file ||
        !is_same_file(file, &s->sources[i]))
      return false;
  }
  for (const char *const *missed = fl_script_get_missed(script); *missed; missed++) {
    if ((size_t)snprintf(file, sizeof file, "%s/%s", s->dir, *missed) < sizeof file &&
        !access(file, F_OK))
      return false;
  }
  return true;
}

static bool has_overrides(const fl_script *script, const char *overrides) {
  const char *has = fl_script_get_overrides(script);
  return has && overrides ? !strcmp(has, overrides) : has == overrides;
}

static fl_script *find(fl_scripts *lib, const char *path, const fl_snapshot *snapshot,
                       const char *overrides) {
  for (entry *e = lib->buckets[bucket_of(path)]; e; e = e->chain) {
    const fl_snapshot *has = fl_script_get_snapshot(e->script);
    if (e->unloaded || !fl_script_is_shareable(e->script) ||
        e->native_count != fl_natives_count(lib->engine->natives) ||
        strcmp(fl_script_get_path(e->script), path) != 0 || !has_overrides(e->script, overrides))
      continue;
    bool same = snapshot ? has->language == snapshot->language &&
                               !memcmp(has->digest, snapshot->digest, sizeof has->digest) &&
                               !strcmp(has->dir, snapshot->dir)
                         : has->language == FL_LANGUAGE && is_on_disk(e->script, path);
    if (same) return e->script;
  }
  return NULL;
}

static fl_script_limits limits_of(const fl_config *c) {
  int64_t memory = c->inline_memory_max;
  return (fl_script_limits){.load_ms = c->load_ms ? c->load_ms : FL_LOAD_MS_DEFAULT,
                            .hook_ms = c->hook_ms ? c->hook_ms : FL_HOOK_MS_DEFAULT,
                            .inline_ms = c->inline_slice_ms,
                            .inline_memory_max = memory < 0   ? 0
                                                 : memory > 0 ? memory
                                                              : FL_INLINE_MEMORY_DEFAULT};
}

static fl_code load(fl_scripts *lib, const char *path, fl_snapshot *snapshot, const char *overrides,
                    fl_script **out, fl_error *err) {
  fl_engine *engine = lib->engine;
  size_t native_count = fl_natives_count(engine->natives);
  const char **natives = fl_alloc((native_count + 1) * sizeof *natives);
  for (size_t i = 0; i < native_count; i++) natives[i] = fl_natives_get_name(engine->natives, i);
  fl_script_config config = {.path = path,
                             .snapshot = snapshot,
                             .overrides = overrides,
                             .lua_dir = engine->lua_dir,
                             .argc = engine->argc,
                             .argv = engine->argv,
                             .natives = natives,
                             .native_count = native_count,
                             .limits = limits_of(&engine->config)};
  fl_code rc = fl_script_open(&config, out, err);
  free(natives);
  engine->argc = 0;
  if (!rc && (rc = fl_script_open_backend(*out, err))) {
    fl_script_close(*out);
    *out = NULL;
  }
  return rc;
}

fl_code fl_scripts_take(fl_scripts *lib, const char *path, fl_snapshot *snapshot,
                        const char *overrides, fl_script **out, fl_error *err) {
  *out = lib->engine->argc ? NULL : find(lib, path, snapshot, overrides);
  if (*out) {
    fl_script_ref(*out);
    return FL_OK;
  }
  fl_scripts_trim(lib);
  fl_code rc = load(lib, path, snapshot, overrides, out, err);
  if (rc) return rc;
  entry *e = fl_alloc_zero(1, sizeof *e), **bucket = &lib->buckets[bucket_of(path)];
  *e = (entry){.lib = lib,
               .script = *out,
               .chain = *bucket,
               .native_count = fl_natives_count(lib->engine->natives)};
  *bucket = e;
  lib->count++;
  fl_script_ref(*out);
  fl_script_watch(*out, on_users, e);
  return FL_OK;
}

// ------------------------------------------------------------------------------------- handles

fl_code fl_scripts_get(const fl_script *handle, fl_script **script, fl_engine **engine,
                       fl_error *err) {
  const host_script *h = fl_handle_get(FL_HANDLE_SCRIPT, handle);
  *script = h ? h->of->script : NULL;
  if (engine) *engine = h ? h->engine : NULL;
  if (h) return fl_engine_refuse_elsewhere(h->engine, err);
  return fl_refuse_misuse("the script is not loaded any more: it was unloaded, or its engine was "
                          "closed or opened again",
                          err);
}

static fl_code add_handle(fl_scripts *lib, const char *path, fl_snapshot *snapshot, fl_script **out,
                          fl_error *err) {
  fl_script *script;
  *out = NULL;
  fl_code rc = fl_engine_refuse_elsewhere(lib->engine, err);
  if (!rc) rc = fl_scripts_take(lib, path, snapshot, NULL, &script, err);
  if (rc) return rc;
  entry *e = lib->buckets[bucket_of(path)];
  while (e->script != script) e = e->chain;
  host_script *h = fl_alloc_zero(1, sizeof *h);
  *h = (host_script){.next = lib->handles, .engine = lib->engine, .of = e};
  if (h->next) h->next->prev = h;
  lib->handles = h;
  e->handles++;
  *out = h->handle = fl_handle_new(FL_HANDLE_SCRIPT, h);
  return FL_OK;
}

fl_code fl_script_load(fl_engine *e, const char *path, fl_script **out, fl_error *err) {
  return add_handle(e->scripts, path, NULL, out, err);
}

fl_code fl_script_load_text(fl_engine *e, const char *name, const char *text, size_t size,
                            fl_script **out, fl_error *err) {
  const char *slash = strrchr(name, '/');
  const char *file = slash ? slash + 1 : name;
  char dir[PATH_MAX], full[PATH_MAX];
  *out = NULL;
  if (!*file || strlen(name) >= sizeof dir)
    return fl_fail(err, FL_E_USAGE, "fl_script_load_text: '%s' does not name a file", name);
  snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - name + 1) : 1, slash ? name : ".");
  if (!realpath(dir, full))
    return fl_fail_errno(err, FL_E_NOT_FOUND, errno, "cannot find the folder of '%s'", name);
  fl_source source = {.path = (char *)file, .data = (char *)text, .size = size};
  fl_snapshot snapshot = {.dir = full, .language = FL_LANGUAGE, .sources = &source, .count = 1};
  // What it requires from beside it is none of this digest: it is looked for on the disk each time.
  fl_snapshot_digest(&snapshot);
  return add_handle(e->scripts, name, &snapshot, out, err);
}

void fl_script_unload(fl_script *handle) {
  host_script *h = fl_handle_get(FL_HANDLE_SCRIPT, handle);
  if (!h) return;
  entry *e = h->of;
  end_handle(h);
  if (!e->handles) e->unloaded = true;
  fl_scripts *lib = e->lib;
  fl_script_unref(e->script);
  if (FL_BUG(script_freed_in_use) && e->unloaded && !e->kept) close_entry(e);
  fl_scripts_trim(lib);
}

// Whether it has ended may be asked.
static bool find_handle(const fl_script *handle, fl_script **script) {
  const host_script *h = fl_handle_get(FL_HANDLE_SCRIPT, handle);
  *script = h ? h->of->script : NULL;
  return h != NULL;
}

size_t fl_script_get_flow_count(const fl_script *handle) {
  fl_script *script;
  return find_handle(handle, &script) ? fl_script_count_flows(script) : 0;
}

const char *fl_script_get_flow_key(const fl_script *handle, size_t index) {
  fl_script *script;
  if (!find_handle(handle, &script) || index >= fl_script_count_flows(script)) return NULL;
  return fl_script_get_flow(script, index)->key;
}

const char *fl_script_get_notices(const fl_script *handle) {
  fl_script *script;
  return fl_scripts_get(handle, &script, NULL, NULL) ? "" : fl_script_list_notices(script);
}

fl_code fl_script_choose_flow(fl_script *script, const char *key, fl_flow **out, fl_error *err) {
  size_t count = fl_script_count_flows(script), returned = fl_script_count_returned(script);
  fl_buf keys;
  fl_buf_init(&keys, 1024);
  for (size_t i = 0; i < count; i++)
    fl_buf_addf(&keys, "%s%s", i ? ", " : "", fl_script_get_flow(script, i)->key);
  *out = key             ? fl_script_find_flow(script, key)
         : returned == 1 ? fl_script_get_flow(script, 0)
                         : NULL;
  fl_code rc = FL_OK;
  if (!count)
    rc = fl_fail(err, FL_E_USAGE, "%s defines no flow", fl_script_get_path(script));
  else if (key && !*out)
    rc = fl_fail(err, FL_E_USAGE, "%s has no flow '%s'; it has: %s", fl_script_get_path(script),
                 key, fl_buf_cstr(&keys));
  else if (!*out)
    rc = fl_fail(err, FL_E_USAGE, "%s has several flows; choose one with --flow: %s",
                 fl_script_get_path(script), fl_buf_cstr(&keys));
  fl_buf_deinit(&keys);
  return rc;
}
