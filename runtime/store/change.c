// What happened, numbered over the whole store: one row a commit, in which its events are packed.
//
// A row an event would cost four times as much of a node's time. Numbers are given out under the
// write lock, so that they rise in the order of commits, whoever writes.
//
//   event: head [run] node? time state [attempt] [duration] [reason] [exit signal] [text]
//
// Numbers are varints: seven bits a byte, the lowest first; signed ones are folded (0, -1, 1, ...).
// Times are counted from the event before, in the first one from the row's at_ms.
#include "store/store_internal.h"
#include "base/bug.h"

enum {
  SAME_RUN = 1,   // as the event before: no run
  HAS_REASON = 2, // a reason
  HAS_END = 4,    // duration, exit code, signal
  HAS_TEXT = 8,   // length and bytes, or, of an attempt, nothing: its row has the error
  KIND = 16,      // times an fl_event_kind
};

static void put(fl_buf *b, uint64_t number) {
  for (; number > 127; number >>= 7) fl_buf_add_char(b, (char)(number | 128));
  fl_buf_add_char(b, (char)number);
}

static void put_signed(fl_buf *b, int64_t number) {
  put(b, (uint64_t)number << 1 ^ (uint64_t)(number >> 63));
}

typedef struct reader {
  const uint8_t *at, *end;
  bool failed;
} reader;

static uint64_t get(reader *r) {
  uint64_t number = 0;
  for (int shift = 0; r->at < r->end && shift < 64; shift += 7) {
    uint8_t byte = *r->at++;
    number |= (uint64_t)(byte & 127) << shift;
    if (!(byte & 128)) return number;
  }
  r->failed = true;
  return 0;
}

static int64_t get_signed(reader *r) {
  uint64_t number = get(r);
  return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

// ------------------------------------------------------------------------------------- writing

/// The number of the last event, and the age of the oldest row, unless they are still known.
static fl_code find_ends(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  if (s->changes.known) return FL_OK;
  fl_code code =
      fl_store_prepare(s, FL_SLOT_CHANGE_ENDS,
                       "SELECT (SELECT seq FROM change ORDER BY seq DESC LIMIT 1),o.seq,o.at_ms"
                       " FROM (SELECT 1) LEFT JOIN (SELECT seq,at_ms FROM change ORDER BY seq"
                       " LIMIT 1) o",
                       &st, err);
  if (!code) code = fl_store_read(s, st, &row, err);
  if (code) return code;
  s->changes.last = (uint64_t)sqlite3_column_int64(st, 0);
  s->changes.oldest = (uint64_t)sqlite3_column_int64(st, 1);
  s->changes.oldest_ms = sqlite3_column_int64(st, 2);
  s->changes.known = true;
  sqlite3_reset(st);
  return FL_OK;
}

void fl_changes_forget(fl_store *s) {
  s->changes.known = false;
  s->changes.count = 0;
  fl_buf_reset(&s->changes.data);
}

fl_code fl_store_add_change(fl_store *s, fl_change *c, fl_error *err) {
  fl_code code = fl_store_begin(s, err);
  if (!code) code = find_ends(s, err);
  if (code) return code;
  fl_buf *b = &s->changes.data;
  bool first = s->changes.count == 0;
  if (first) {
    s->changes.at_ms = s->changes.before_ms = c->at_ms;
    s->changes.run = 0;
  }
  bool same = c->run == s->changes.run, node = c->node != FL_CHANGE_NO_NODE;
  bool end = c->duration_ms || c->exit_code != -1 || c->signal;
  put(b, (uint64_t)c->kind * KIND | (same ? SAME_RUN : 0) | (c->reason ? HAS_REASON : 0) |
             (end ? HAS_END : 0) | (c->text ? HAS_TEXT : 0));
  if (!same) put(b, (uint64_t)c->run);
  put(b, node ? (uint64_t)c->node + 1 : 0);
  put_signed(b, c->at_ms - s->changes.before_ms);
  put(b, (uint64_t)c->state);
  put(b, node ? c->attempt : c->epoch);
  if (c->reason) put(b, (uint64_t)c->reason);
  if (end) {
    put_signed(b, c->duration_ms);
    put_signed(b, c->exit_code);
    put(b, (uint64_t)c->signal);
  }
  if (c->text && !(node && c->attempt)) {
    size_t size = strlen(c->text);
    put(b, size);
    fl_buf_add(b, c->text, size);
  }
  s->changes.run = c->run;
  s->changes.before_ms = c->at_ms;
  if (!FL_BUG(number_given_twice) || !s->changes.count) s->changes.count++;
  c->seq = s->changes.last + s->changes.count;
  return FL_OK;
}

enum {
  TRIM_ROWS = 64,     // that one commit drops ...
  TRIM_EVENTS = 4096, // ... where they have no more than these
};

// Rows up to number `up_to` that were written before `before_ms`, as many as a commit has time for.
static fl_code drop_some(fl_store *s, uint64_t up_to, int64_t before_ms, fl_error *err) {
  sqlite3_stmt *st;
  bool row;
  fl_code code = fl_store_prepare(s, FL_SLOT_CHANGE_CUT,
                                  "SELECT max(seq) FROM (SELECT seq FROM change"
                                  " WHERE seq<=?1 AND at_ms<?2 ORDER BY seq LIMIT ?3)",
                                  &st, err);
  if (code) return code;
  if (up_to > s->changes.oldest + TRIM_EVENTS) up_to = s->changes.oldest + TRIM_EVENTS;
  sqlite3_bind_int64(st, 1, (int64_t)up_to);
  sqlite3_bind_int64(st, 2, before_ms);
  sqlite3_bind_int64(st, 3, TRIM_ROWS);
  code = fl_store_read(s, st, &row, err);
  int64_t cut = code ? 0 : sqlite3_column_int64(st, 0);
  sqlite3_reset(st);
  if (!code)
    code = fl_store_prepare(s, FL_SLOT_CHANGE_DROP, "DELETE FROM change WHERE seq<=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, cut);
  code = fl_store_write(s, st, err);
  s->changes.known = false;
  return code ? code : find_ends(s, err);
}

// Whether there are more than are to be kept, or older ones, by `share` of a hundred.
static bool is_much(const fl_store *s, int64_t share) {
  int64_t behind = (int64_t)(s->changes.last - s->changes.oldest);
  return behind >= FL_CHANGES_MAX + FL_CHANGES_MAX / 100 * share;
}
static bool is_old(const fl_store *s, int64_t now_ms, int64_t share) {
  int64_t behind = (int64_t)(s->changes.last - s->changes.oldest);
  return behind > FL_CHANGES_MIN + FL_CHANGES_MIN / 100 * share &&
         now_ms - s->changes.oldest_ms > FL_CHANGES_AGE_MS + FL_CHANGES_AGE_MS / 100 * share;
}

/// What is too old or too much, some rows a commit. Not as soon as there is a row too many: each
/// commit would change the other end of the table, too, which is a quarter of what a small run
/// costs. There may be a hundredth more, which goes within a few commits.
static fl_code trim(fl_store *s, int64_t now_ms, fl_error *err) {
  int share = s->changes.trimming ? 0 : 1;
  bool much = is_much(s, share);
  if (!s->changes.oldest || (!much && !is_old(s, now_ms, share))) return FL_OK;
  fl_code code =
      much ? drop_some(s, s->changes.last - FL_CHANGES_MAX, INT64_MAX, err)
           : drop_some(s, s->changes.last - FL_CHANGES_MIN - 1, now_ms - FL_CHANGES_AGE_MS, err);
  s->changes.trimming = !code && (is_much(s, 0) || is_old(s, now_ms, 0));
  return code;
}

fl_code fl_changes_write(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  if (!s->changes.count) return FL_OK;
  uint64_t last = s->changes.last + s->changes.count + FL_BUG(number_skipped);
  fl_code code =
      fl_store_prepare(s, FL_SLOT_CHANGE_ADD, "INSERT INTO change VALUES(?1,?2,?3,?4)", &st, err);
  if (code) {
    fl_store_rollback(s);
    return code;
  }
  sqlite3_bind_int64(st, 1, (int64_t)last);
  sqlite3_bind_int64(st, 2, s->changes.count);
  sqlite3_bind_int64(st, 3, s->changes.at_ms);
  sqlite3_bind_blob(st, 4, s->changes.data.data, (int)s->changes.data.size, SQLITE_STATIC);
  code = fl_store_write(s, st, err);
  sqlite3_clear_bindings(st);
  if (code) return code;
  if (!s->changes.oldest) s->changes.oldest = last, s->changes.oldest_ms = s->changes.at_ms;
  s->changes.last = last;
  s->changes.count = 0;
  fl_buf_reset(&s->changes.data);
  return trim(s, s->changes.at_ms, err);
}

// ------------------------------------------------------------------------------------- reading

/// Fills in all but `seq`; the text goes to `text`.
static bool unpack(reader *r, fl_change *c, fl_buf *text) {
  uint64_t head = get(r);
  c->kind = (fl_event_kind)(head / KIND);
  if (!(head & SAME_RUN)) c->run = (int64_t)get(r);
  uint64_t node = get(r);
  c->node = node ? (uint32_t)(node - 1) : FL_CHANGE_NO_NODE;
  c->at_ms += get_signed(r);
  c->state = (int)get(r);
  uint32_t number = (uint32_t)get(r);
  c->attempt = node ? number : 0;
  c->epoch = node ? 0 : number;
  c->reason = head & HAS_REASON ? fl_store_enum((int)get(r), FL_REASON_COUNT) : FL_REASON_NONE;
  bool end = head & HAS_END;
  c->duration_ms = end ? get_signed(r) : 0;
  c->exit_code = end ? (int)get_signed(r) : -1;
  c->signal = end ? (int)get(r) : 0;
  c->text = NULL;
  c->error_of_attempt = head & HAS_TEXT && c->attempt;
  if (head & HAS_TEXT && !c->attempt) {
    uint64_t size = get(r);
    if (r->failed || size > (uint64_t)(r->end - r->at)) return false;
    fl_buf_reset(text);
    fl_buf_add(text, r->at, (size_t)size);
    r->at += size;
    c->text = fl_buf_cstr(text);
  }
  return !r->failed;
}

fl_code fl_store_get_changes(fl_store *s, uint64_t *first, uint64_t *last, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code =
      fl_store_prepare_own(s,
                           "SELECT (SELECT seq-count+1 FROM change ORDER BY seq LIMIT 1),"
                           "(SELECT seq FROM change ORDER BY seq DESC LIMIT 1)",
                           &st, err);
  if (code) return code;
  code = fl_store_read(s, st, &row, err);
  *first = code ? 0 : (uint64_t)sqlite3_column_int64(st, 0);
  *last = code ? 0 : (uint64_t)sqlite3_column_int64(st, 1);
  sqlite3_finalize(st);
  return code;
}

fl_code fl_store_each_change(fl_store *s, uint64_t after,
                             bool (*each)(void *ud, const fl_change *change), void *ud,
                             fl_error *err) {
  sqlite3_stmt *st;
  fl_buf text;
  bool row = false, more = true;
  fl_buf_init(&text, FL_ERROR_TEXT_MAX + 1);
  fl_code code = fl_store_prepare_own(
      s, "SELECT seq,count,at_ms,data FROM change WHERE seq>?1 ORDER BY seq", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, (int64_t)after);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    uint64_t last = (uint64_t)sqlite3_column_int64(st, 0);
    uint64_t count = (uint64_t)sqlite3_column_int64(st, 1);
    reader r = {.at = sqlite3_column_blob(st, 3)};
    r.end = r.at + sqlite3_column_bytes(st, 3);
    fl_change c = {.at_ms = sqlite3_column_int64(st, 2)};
    for (c.seq = last - count + 1; more && c.seq <= last; c.seq++) {
      if (!unpack(&r, &c, &text)) {
        code = fl_store_fail_corrupt(s, err, "change %llu is damaged", (unsigned long long)c.seq);
        break;
      }
      if (c.seq > after) more = each(ud, &c);
    }
    if (code) break;
  }
  sqlite3_finalize(st);
  fl_buf_deinit(&text);
  return code;
}

fl_code fl_store_look(fl_store *s, bool *own, bool *others, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *own = *others = false;
  if (s->open) return FL_OK; // nobody else can have committed
  fl_code code = fl_store_prepare(s, FL_SLOT_NEWS, "PRAGMA data_version", &st, err);
  if (!code) code = fl_store_read(s, st, &row, err);
  if (code) return code;
  int64_t version = sqlite3_column_int64(st, 0);
  sqlite3_reset(st);
  *others = version != s->news.version;
  *own = s->commit != s->news.commits;
  s->news.version = version;
  s->news.commits = s->commit;
  return FL_OK;
}
