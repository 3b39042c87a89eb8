// The view on the screen. It stands below what stays, and is written in place: a line that is the
// same is not written again, and nothing of it ever scrolls away, since what stays is written over
// it, from its first line on. A terminal that knows how shows each change at once (mode 2026).
#include "watch.h"
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS_DEFAULT    24
#define COLUMNS_DEFAULT 80

static void screen_size(uint32_t *rows, uint32_t *columns) {
  struct winsize size = {0};
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  *rows = known && size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
  *columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
  if (*columns > UINT16_MAX) *columns = UINT16_MAX;
}

static void forget_lines(fl_cli_live *live) {
  for (uint32_t i = 0; i < live->line_count; i++) free(live->lines[i].text);
  live->line_count = 0;
}

// To the beginning of the view's first line, from the end of its last one.
static void add_up(uint32_t rows, fl_cli_text *out) {
  fl_cli_text_add(out, "\r", 1);
  if (rows > 1) fl_cli_text_addf(out, "\x1b[%uA", rows - 1);
}

// Row by row: some terminals keep a copy of what is cleared from the first row on. Lines that a
// narrower screen has broken since take more rows than they were.
static void add_erase(const fl_cli_live *live, uint32_t columns, fl_cli_text *out) {
  uint32_t rows = 0;
  for (uint32_t i = 0; i < live->line_count; i++) {
    uint32_t width = live->lines[i].width ? live->lines[i].width : 1;
    rows += (width + columns - 1) / columns;
  }
  for (uint32_t i = 0; i < rows; i++) fl_cli_text_add_str(out, i ? "\x1b[A\r\x1b[K" : "\r\x1b[K");
}

// Lines of what stays, over the view; what a line does not reach of the row is cleared.
static void add_kept(const fl_cli_text *kept, fl_cli_text *out) {
  for (size_t at = 0; at < kept->size;) {
    const char *end = memchr(kept->data + at, '\n', kept->size - at);
    size_t n = end ? (size_t)(end - kept->data) - at : kept->size - at;
    fl_cli_text_add(out, kept->data + at, n);
    fl_cli_text_add_str(out, "\x1b[K\r\n");
    at += n + (end != NULL);
  }
}

// `old` lines stand there, and the cursor at the first one; 0: what is there is to be cleared.
static void add_lines(fl_cli_live *live, fl_cli_text *view, const uint16_t *widths, uint32_t count,
                      uint32_t old, fl_cli_text *out) {
  const char *p = fl_cli_text_cstr(view);
  live->lines = fl_cli_realloc(live->lines, FL_CLI_LIVE_ROWS * sizeof *live->lines);
  for (uint32_t i = 0; i < count; i++) {
    size_t n = strcspn(p, "\n");
    char *text = strndup(p, n);
    if (!text) abort();
    if (i > 0) fl_cli_text_add_str(out, "\r\n");
    bool same = i < old && strcmp(live->lines[i].text, text) == 0;
    if (!same) fl_cli_text_addf(out, "%s\x1b[K", text);
    // The cursor ends behind the last line, whatever became of it.
    if (same && i + 1 == count) fl_cli_text_add_str(out, text);
    if (i < live->line_count) free(live->lines[i].text);
    live->lines[i] = (fl_cli_live_line){.text = text, .width = widths[i]};
    p += n + (p[n] == '\n');
  }
  for (uint32_t i = count; i < live->line_count; i++) free(live->lines[i].text);
  if (old == 0 || old > count) fl_cli_text_add_str(out, "\x1b[J");
  live->line_count = count;
}

void fl_cli_live_draw(fl_cli_watch *w, int64_t now_ms, uint32_t rows, uint32_t columns, bool draw,
                      const fl_cli_text *kept, fl_cli_text *out) {
  fl_cli_live *live = &w->live;
  uint16_t widths[FL_CLI_LIVE_ROWS];
  fl_cli_text view = {0}, change = {0};
  uint32_t count = draw ? fl_cli_live_compose(w, now_ms, rows, columns, &view, widths) : 0;
  bool same = draw && kept->size == 0 && count == live->line_count && columns == live->columns;
  const char *p = same ? fl_cli_text_cstr(&view) : "";
  for (uint32_t i = 0; same && i < count; i++) {
    size_t n = strlen(live->lines[i].text);
    same = strncmp(live->lines[i].text, p, n) == 0 && (p[n] == '\n' || p[n] == '\0');
    p += n + 1;
  }
  if (!same) {
    uint32_t old = live->line_count;
    bool broken = old > 0 && columns != live->columns;
    if (broken || (!draw && kept->size == 0))
      add_erase(live, columns, &change);
    else
      add_up(old, &change);
    if (broken || kept->size > 0) {
      old = 0;
      forget_lines(live);
    }
    add_kept(kept, &change);
    if (draw)
      add_lines(live, &view, widths, count, old, &change);
    else if (kept->size > 0)
      fl_cli_text_add_str(&change, "\x1b[J");
    if (!draw) forget_lines(live);
    fl_cli_text_addf(out, "\x1b[?2026h%s\x1b[?2026l", fl_cli_text_cstr(&change));
  }
  live->columns = columns;
  fl_cli_text_deinit(&view);
  fl_cli_text_deinit(&change);
}

void fl_cli_live_write(fl_cli_watch *w, bool draw) {
  fl_cli_text *out = fl_cli_out(), whole = {0};
  uint32_t rows, columns;
  screen_size(&rows, &columns);
  fl_cli_text kept = {0};
  fl_cli_text_wrap(&kept, out->data, out->size, columns);
  if (w->live.line_count > 0 || kept.size > 0 || draw)
    fl_cli_live_draw(w, fl_cli_monotonic_ms(), rows, columns, draw, &kept, &whole);
  fl_cli_text_deinit(&kept);
  out->size = 0;
  fl_cli_text_add(out, whole.data, whole.size);
  fl_cli_text_deinit(&whole);
  fl_cli_flush_raw();
  w->changed = false;
}
