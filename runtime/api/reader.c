// Readers: a connection of their own, on whatever thread.
#include "api/reader.h"
#include "base/clock.h"
#include "io/owner_lock.h"
#include <errno.h>
#include <poll.h>

#define COMMIT_MS 1 // from the first byte of a commit to its last, mostly

fl_code fl_answer_take(fl_buf *text, fl_code code, char **out, fl_error *err) {
  if (code == FL_OK && !(*out = fl_buf_take(text)))
    code = fl_fail(err, FL_E_LIMIT, "the answer is larger than %zu bytes", FL_ANSWER_SIZE_MAX);
  fl_buf_deinit(text);
  return code;
}

static bool owner_lives(void *ud, const char *owner) {
  return fl_owner_lives(ud, owner);
}

fl_code fl_reader_connect(char *state_dir, fl_store **out, fl_error *err) {
  fl_store_options options = {
      .read_only = true, .no_upgrade = true, .owner_lives = owner_lives, .owner_ud = state_dir};
  return fl_store_open(state_dir, &options, out, err);
}

fl_code fl_reader_open(const char *state_dir, fl_reader **out, fl_error *err) {
  *out = NULL;
  if (!state_dir) return fl_fail(err, FL_E_USAGE, "a reader needs a state directory");
  fl_reader *reader = fl_alloc_zero(1, sizeof *reader);
  reader->dir = fl_strdup(state_dir);
  fl_code code = fl_reader_connect(reader->dir, &reader->store, err);
  if (code)
    fl_reader_close(reader);
  else
    *out = reader;
  return code;
}

void fl_reader_close(fl_reader *reader) {
  if (!reader) return;
  fl_watch_close(reader->watch);
  fl_store_close(reader->store);
  free(reader->dir);
  free(reader);
}

// ------------------------------------------------------------------------------------- waiting

static fl_code need_watch(fl_reader *reader, fl_error *err) {
  fl_buf path;
  if (reader->watch) return FL_OK;
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/flowlua.db-wal", fl_store_get_dir(reader->store));
  fl_code code = fl_watch_open(fl_buf_cstr(&path), &reader->watch, err);
  fl_buf_deinit(&path);
  return code;
}

/// Whether anybody has committed since this was asked last; the descriptor is unreadable until
/// something more happens.
static fl_code look(fl_reader *reader, bool *news, fl_error *err) {
  bool own, others;
  if (reader->watch) fl_watch_clear(reader->watch);
  fl_code code = fl_store_look(reader->store, &own, &others, err);
  *news = own || others;
  if (!code && reader->watch) fl_watch_looked(reader->watch, *news);
  return code;
}

fl_code fl_reader_get_fd(fl_reader *reader, int *fd, fl_error *err) {
  *fd = -1;
  fl_code code = need_watch(reader, err);
  if (!code) *fd = fl_watch_get_fd(reader->watch);
  return code;
}

fl_code fl_reader_has_news(fl_reader *reader, bool *news, fl_error *err) {
  return look(reader, news, err);
}

fl_code fl_reader_wait(fl_reader *reader, uint64_t after, int timeout_ms, bool *more,
                       fl_error *err) {
  int64_t until = timeout_ms < 0 ? INT64_MAX : fl_monotonic_ms() + timeout_ms;
  *more = false;
  fl_code code = need_watch(reader, err);
  while (!code) {
    uint64_t first, last;
    bool news;
    code = look(reader, &news, err);
    if (!code) code = fl_store_get_changes(reader->store, &first, &last, err);
    int64_t left = until == INT64_MAX ? -1 : until - fl_monotonic_ms();
    *more = !code && last > after;
    if (code || *more || (until != INT64_MAX && left <= 0)) break;
    struct pollfd p = {.fd = fl_watch_get_fd(reader->watch), .events = POLLIN};
    int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (n < 0 && errno != EINTR) code = fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot wait");
    // Woken by its first byte: one look for the whole commit.
    if (n > 0) (void)poll(NULL, 0, COMMIT_MS);
  }
  return code;
}
