// The file of an exported run: one line of text, then the bytes of a database.
//
//   flowlua-run <format> <schema> <size> <sha256 of all that stands before and after it>\n<payload>
//
// The line has one spelling for each meaning, and the digest covers all of the file but itself: no
// byte can change, go or come unnoticed.
#include "store/copy_internal.h"
#include <errno.h>
#include <fcntl.h>

#define MAGIC        "flowlua-run "
#define HEADER_MAX   160
#define FILE_MAX     ((int64_t)2 << 30) // what SQLite takes as one block of memory
#define READ_AT_ONCE (1 << 20)

static void digest_of(const char *head, const void *payload, size_t size,
                      char hex[2 * FL_DIGEST_SIZE + 1]) {
  uint8_t digest[FL_DIGEST_SIZE];
  fl_digest_state *state = fl_digest_begin();
  fl_digest_add(state, head, strlen(head));
  fl_digest_add(state, payload, size);
  fl_digest_end(state, digest);
  fl_digest_hex(digest, hex);
}

/// The header of `payload`; returns its size.
static size_t make_header(int format, int schema, const void *payload, size_t size,
                          char out[HEADER_MAX]) {
  char hex[2 * FL_DIGEST_SIZE + 1];
  snprintf(out, HEADER_MAX, MAGIC "%d %d %zu ", format, schema, size);
  digest_of(out, payload, size, hex);
  size_t used = strlen(out);
  return used + (size_t)snprintf(out + used, HEADER_MAX - used, "%s\n", hex);
}

// ------------------------------------------------------------------------------------- writing

static int write_all(const fl_disk *d, int fd, const char *data, size_t size) {
  while (size) {
    ssize_t n = d->write(d->ud, fd, data, size);
    if (n < 0 && errno != EINTR) return -1;
    if (n > 0) data += n, size -= (size_t)n;
  }
  return 0;
}

static fl_code fail_write(const char *path, int errnum, fl_error *err) {
  if (errnum == EEXIST)
    return fl_fail(err, FL_E_STATE, "'%s' is there already: choose another name, or --force", path);
  if (errnum == ENOSPC || errnum == EDQUOT)
    return fl_fail(err, FL_E_FULL, "cannot write '%s': no space left on the device", path);
  return fl_fail_errno(err, FL_E_SYSTEM, errnum, "cannot write '%s'", path);
}

fl_code fl_export_write(const fl_disk *d, const char *path, const void *payload, size_t size,
                        bool overwrite, fl_error *err) {
  char header[HEADER_MAX], temporary[64];
  uint8_t random[8];
  int errnum = 0, fd = -1;
  fl_disk_stat st;
  if (size > (size_t)FILE_MAX)
    return fl_fail(err, FL_E_LIMIT, "the run is too large to export: %zu bytes", size);
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  char *folder = slash ? fl_strndup(path, (size_t)(slash - path) + 1) : fl_strdup(".");
  int dir = d->open(d->ud, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
  free(folder);
  if (dir < 0) return fail_write(path, errno, err);
  // Told before the work; link() below holds it.
  if (!overwrite && !d->stat(d->ud, dir, name, &st)) errnum = EEXIST;
  fl_random_bytes(random, sizeof random);
  int used = snprintf(temporary, sizeof temporary, ".flowlua-");
  for (size_t i = 0; i < sizeof random; i++)
    used += snprintf(temporary + used, sizeof temporary - (size_t)used, "%02x", random[i]);
  if (!errnum) fd = d->open(d->ud, dir, temporary, O_WRONLY | O_CREAT | O_EXCL);
  if (!errnum && fd < 0) errnum = errno;
  size_t header_size = make_header(FL_EXPORT_FORMAT, FL_STORE_SCHEMA, payload, size, header);
  if (!errnum && (write_all(d, fd, header, header_size) || write_all(d, fd, payload, size) ||
                  d->fsync(d->ud, fd)))
    errnum = errno;
  if (fd >= 0) d->close(d->ud, fd);
  // It gets its name, whole.
  if (!errnum && ((overwrite ? d->rename(d->ud, dir, temporary, name)
                             : d->link(d->ud, dir, temporary, name)) ||
                  d->fsync(d->ud, dir)))
    errnum = errno;
  if (fd >= 0) d->unlink(d->ud, dir, temporary);
  d->close(d->ud, dir);
  return errnum ? fail_write(path, errnum, err) : FL_OK;
}

// ------------------------------------------------------------------------------------- reading

static fl_code read_all(const fl_disk *d, const char *path, fl_buf *out, fl_error *err) {
  fl_disk_stat st;
  int errnum = 0;
  int fd = d->open(d->ud, AT_FDCWD, path, O_RDONLY);
  if (fd < 0 && errno == ENOENT) return fl_fail(err, FL_E_NOT_FOUND, "there is no file '%s'", path);
  if (fd < 0) return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot open '%s'", path);
  if (!d->stat(d->ud, AT_FDCWD, path, &st) && st.is_file && st.size < FILE_MAX)
    fl_buf_reserve(out, (size_t)st.size + 1);
  while (!errnum && fl_buf_reserve(out, READ_AT_ONCE)) {
    ssize_t n = d->read(d->ud, fd, out->data + out->size, READ_AT_ONCE);
    if (n == 0) break;
    if (n < 0 && errno != EINTR) errnum = errno;
    if (n > 0) out->size += (size_t)n;
  }
  d->close(d->ud, fd);
  if (errnum) return fl_fail_errno(err, FL_E_SYSTEM, errnum, "cannot read '%s'", path);
  if (out->failed) return fl_fail(err, FL_E_LIMIT, "'%s' is too large for an exported run", path);
  return FL_OK;
}

static fl_code check(const char *path, const fl_buf *file, size_t *at, size_t *size,
                     fl_error *err) {
  char header[HEADER_MAX] = "", expected[HEADER_MAX];
  int format = 0, schema = 0;
  const char *end = memchr(file->data, '\n', file->size < HEADER_MAX ? file->size : HEADER_MAX - 1);
  if (file->size < sizeof MAGIC || memcmp(file->data, MAGIC, sizeof MAGIC - 1))
    return fl_fail(err, FL_E_CORRUPT,
                   "'%s' is no exported run (or its beginning is damaged): `flowlua breakpoint "
                   "export RUN FILE` makes one",
                   path);
  memcpy(header, file->data, end ? (size_t)(end - file->data) : 0);
  int fields = end ? sscanf(header, MAGIC "%d %d %zu", &format, &schema, size) : 0;
  if (fields >= 1 && format > FL_EXPORT_FORMAT)
    return fl_fail(err, FL_E_NEWER,
                   "'%s' was written by a newer FlowLua (format %d, this one knows %d): upgrade "
                   "flowlua",
                   path, format, FL_EXPORT_FORMAT);
  *at = end ? (size_t)(end + 1 - file->data) : 0;
  size_t there = end ? file->size - *at : 0;
  if (fields == 3 && there < *size)
    return fl_fail(err, FL_E_CORRUPT,
                   "'%s' is damaged: its end is missing (%zu of %zu bytes are there); nothing was "
                   "taken from it",
                   path, there, *size);
  size_t used = fields == 3 ? make_header(format, schema, file->data + *at, there, expected) : 0;
  if (used != *at || used == 0 || memcmp(file->data, expected, used))
    return fl_fail(err, FL_E_CORRUPT,
                   "'%s' is damaged: it is not what was exported (its digest differs); nothing was "
                   "taken from it",
                   path);
  if (schema <= FL_STORE_SCHEMA) return FL_OK;
  return fl_fail(err, FL_E_NEWER,
                 "'%s' was written by a newer FlowLua (schema %d, this one knows %d): upgrade "
                 "flowlua",
                 path, schema, FL_STORE_SCHEMA);
}

fl_code fl_export_read(const fl_disk *d, const char *path, char **data, size_t *at, size_t *size,
                       fl_error *err) {
  fl_buf file;
  *data = NULL;
  fl_buf_init(&file, (size_t)FILE_MAX + HEADER_MAX + READ_AT_ONCE);
  fl_code code = read_all(d, path, &file, err);
  if (!code) code = check(path, &file, at, size, err);
  if (!code) *data = fl_buf_take(&file);
  fl_buf_deinit(&file);
  return code;
}
