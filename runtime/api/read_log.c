// fl_read_logs(): what attempts wrote, from a position on or the last lines, safe for a terminal.
//
// Pieces go through up to two filters: the first drops the lines before the wanted tail, the second
// makes bytes visible. A character may be cut by the end of a piece, or by the end of what a
// running attempt has written so far: the bytes of it wait, and do not count as read.
#include "api/reader.h"
#include "io/logfile.h"

typedef void (*log_write)(void *ud, const char *data, size_t size);

typedef struct log_filter {
  log_write write;
  void *ud;
  bool raw;
  int64_t skip_lines; // before the tail
  char held[4];       // the beginning of a character, or a carriage return
  size_t held_size;
} log_filter;

// ------------------------------------------------------------------------------------- making
// visible

static void write_escaped(log_filter *f, const char *p, size_t size) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)p[i];
    char text[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
    f->write(f->ud, text, sizeof text);
  }
}

static bool is_plain(unsigned char c) {
  return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t';
}

// Bytes that a character beginning with `c` takes.
static size_t expected_size(unsigned char c) {
  return c < 0xC2 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

// Control characters of the second kind (U+0080 to U+009F) and marks that turn the direction of
// text.
static bool is_control(const char *p) {
  const unsigned char *c = (const unsigned char *)p;
  if (c[0] == 0xC2) return c[1] < 0xA0;
  if (c[0] != 0xE2) return false;
  return (c[1] == 0x80 && c[2] >= 0xAA && c[2] <= 0xAE) ||
         (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9);
}

// Writes the character at `p` and returns its size; 0 when more bytes are needed to tell.
static size_t write_char(log_filter *f, const char *p, size_t size, bool last) {
  unsigned char c = (unsigned char)*p;
  if (c == '\r') {
    if (size < 2 && !last) return 0;
    if (size >= 2 && p[1] == '\n') return f->write(f->ud, p + 1, 1), 2; // the end of a line
    f->write(f->ud, "\\r", 2);
    return 1;
  }
  size_t n = expected_size(c);
  if (c < 0x80) {
    write_escaped(f, p, 1);
    return 1;
  }
  for (size_t i = 1; i < n; i++) { // what cannot become a character need not wait
    if (i == size && !last) return 0;
    if (i >= size || (p[i] & 0xC0) != 0x80) return write_escaped(f, p, 1), 1;
  }
  if (!fl_utf8_valid(p, n)) return write_escaped(f, p, 1), 1;
  if (is_control(p))
    write_escaped(f, p, n);
  else
    f->write(f->ud, p, n);
  return n;
}

static void write_visible(log_filter *f, const char *p, size_t size) {
  while (f->held_size > 0 && size > 0) { // complete the character that was cut
    char joined[8];
    size_t taken = size < 4 ? size : 4, whole = f->held_size + taken;
    memcpy(joined, f->held, f->held_size);
    memcpy(joined + f->held_size, p, taken);
    size_t n = write_char(f, joined, whole, false);
    if (n == 0) { // a tiny piece: still not enough
      memcpy(f->held, joined, whole);
      f->held_size = whole;
      return;
    }
    if (n >= f->held_size) {
      p += n - f->held_size;
      size -= n - f->held_size;
      f->held_size = 0;
    } else {
      f->held_size -= n;
      memmove(f->held, f->held + n, f->held_size);
    }
  }
  while (size > 0) {
    size_t plain = 0;
    while (plain < size && is_plain((unsigned char)p[plain])) plain++;
    if (plain > 0) f->write(f->ud, p, plain);
    p += plain, size -= plain;
    if (size == 0) break;
    size_t n = write_char(f, p, size, false);
    if (n == 0) {
      memcpy(f->held, p, size); // less than one character
      f->held_size = size;
      break;
    }
    p += n, size -= n;
  }
}

// Nothing more will come: what was cut stays cut.
static void write_held(log_filter *f) {
  for (size_t at = 0; at < f->held_size;)
    at += write_char(f, f->held + at, f->held_size - at, true);
  f->held_size = 0;
}

static void filter_write(void *ud, const char *data, size_t size) {
  log_filter *f = ud;
  while (f->skip_lines > 0 && size > 0) {
    const char *end = memchr(data, '\n', size);
    if (!end) return;
    size -= (size_t)(end + 1 - data);
    data = end + 1;
    f->skip_lines--;
  }
  if (size == 0) return;
  if (f->raw)
    f->write(f->ud, data, size);
  else
    write_visible(f, data, size);
}

// ------------------------------------------------------------------------------------- reading

typedef struct line_count {
  int64_t lines;
  bool open; // the last line has no end yet
} line_count;

static void count_lines(void *ud, const char *data, size_t size) {
  line_count *count = ud;
  if (size == 0) return;
  for (const char *p = data; (p = memchr(p, '\n', size - (size_t)(p - data))); p++) count->lines++;
  count->open = data[size - 1] != '\n';
}

typedef struct log_request {
  fl_store *store;
  const char *run_id;
  const fl_log_options *options;
  void (*on_node)(void *ud, const char *node, uint32_t attempt);
  size_t *removed;
  log_write write;
  void *ud;
  int64_t *position; // of the one node asked for, or NULL
} log_request;

static void read_place(log_request *r, const fl_log_entry *e, const fl_log_place *log) {
  const char *dir = fl_store_get_dir(r->store);
  int64_t from = r->position ? *r->position : 0;
  log_filter filter = {.write = r->write, .ud = r->ud, .raw = r->options->raw};
  if (r->options->tail_lines >= 0) {
    line_count count = {0};
    fl_log_read(dir, log->path, log->offset, log->size, from, count_lines, &count);
    filter.skip_lines = count.lines + count.open - r->options->tail_lines;
    // "The last 0 lines" of a text without a final new line skips that one too.
    if (r->options->tail_lines == 0 && count.open) filter.skip_lines = INT64_MAX;
  }
  if (r->on_node) r->on_node(r->ud, e->node, e->number);
  int64_t to = fl_log_read(dir, log->path, log->offset, log->size, from, filter_write, &filter);
  if (r->removed && log->size > 0 && to == 0) ++*r->removed;
  if (e->ended || !r->position)
    write_held(&filter);
  else
    to -= (int64_t)filter.held_size;
  if (r->position) *r->position = to;
}

static bool read_entry(void *ud, const fl_log_entry *e) {
  log_request *r = ud;
  fl_log_place own = {.size = -1};
  fl_buf path;
  if (e->log.path[0] != '\0') {
    read_place(r, e, &e->log);
    return true;
  }
  // Where it is gets recorded at its end. Until then, and when the end was never seen, it is in a
  // file of its own, or nowhere.
  fl_buf_init(&path, 4096);
  fl_log_path(&path, r->run_id, e->node, e->number);
  own.path = fl_buf_cstr(&path);
  read_place(r, e, &own);
  fl_buf_deinit(&path);
  return true;
}

fl_code fl_reader_logs(fl_reader *reader, const char *run, const fl_log_options *options,
                       int64_t *position, void (*write)(void *ud, const char *data, size_t size),
                       void *ud, fl_error *err) {
  const fl_log_options all = {.size = sizeof all, .tail_lines = -1};
  if (!options) options = &all;
  fl_run_row row = {0};
  log_request request = {.store = reader->store,
                         .options = options,
                         .write = write,
                         .ud = ud,
                         .position = options->node ? position : NULL};
  // A caller of an older header has a shorter struct.
  if (options->size >= offsetof(fl_log_options, on_node) + sizeof options->on_node)
    request.on_node = options->on_node;
  if (options->size >= offsetof(fl_log_options, removed) + sizeof options->removed)
    request.removed = options->removed;
  fl_code code = fl_store_find_run(request.store, run, &row, err);
  const char *node = options->node;
  if (code == FL_OK) code = fl_read_enter(request.store, &row, &node, err);
  request.run_id = row.id;
  if (code == FL_OK)
    code =
        fl_read_store_logs(request.store, &row, node, options->attempt, read_entry, &request, err);
  fl_run_row_deinit(&row);
  return code;
}
