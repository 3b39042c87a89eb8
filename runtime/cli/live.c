// The view on a terminal: a line a node that runs now, and the totals. It is drawn below what
// stays, and taken away before more is written: nothing but lines that were meant to stay is left
// behind.
#include "watch.h"
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS_DEFAULT    24
#define COLUMNS_DEFAULT 80
#define ROWS_MAX        200
#define NAME_COLUMNS    40 // longer names are cut so that the times stand below each other

static void free_node(fl_cli_live_node *node) {
  free(node->name);
  free(node->text);
  free(node);
}

static void remove_node(fl_cli_live *live, fl_cli_live_node *node) {
  if (node->prev)
    node->prev->next = node->next;
  else
    live->first = node->next;
  if (node->next)
    node->next->prev = node->prev;
  else
    live->last = node->prev;
  if (node->run_id[0] == '\0') live->by_index[node->index] = NULL;
  live->count--;
  free_node(node);
}

void fl_cli_live_deinit(fl_cli_live *live) {
  for (fl_cli_live_node *node = live->first, *next; node; node = next) {
    next = node->next;
    free_node(node);
  }
  free(live->by_index);
  free(live->widths);
  *live = (fl_cli_live){0};
}

static fl_cli_live_node *find_node(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live *live = &w->live;
  if (!e->run_id || strcmp(e->run_id, w->run_id) == 0)
    return e->node_index < live->by_index_count ? live->by_index[e->node_index] : NULL;
  for (fl_cli_live_node *n = live->first; n; n = n->next)
    if (n->index == e->node_index && strcmp(n->run_id, e->run_id) == 0) return n;
  return NULL;
}

static void add_node(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live *live = &w->live;
  if (find_node(w, e)) return;
  fl_cli_live_node *node = fl_cli_alloc(1, sizeof *node);
  fl_cli_text name = {0};
  fl_cli_lines_add_name(&name, w, e);
  fl_cli_text_cstr(&name);
  node->name = name.data;
  node->index = e->node_index;
  node->since_ms = fl_cli_monotonic_ms();
  if (e->run_id && strcmp(e->run_id, w->run_id) != 0) {
    snprintf(node->run_id, sizeof node->run_id, "%s", e->run_id);
  } else {
    if (e->node_index >= live->by_index_count) {
      size_t count = (size_t)e->node_index * 2 + 64;
      live->by_index = fl_cli_realloc(live->by_index, count * sizeof *live->by_index);
      memset(live->by_index + live->by_index_count, 0,
             (count - live->by_index_count) * sizeof *live->by_index);
      live->by_index_count = (uint32_t)count;
    }
    live->by_index[e->node_index] = node;
  }
  node->prev = live->last;
  *(live->last ? &live->last->next : &live->first) = node;
  live->last = node;
  live->count++;
}

static void set_text(fl_cli_live_node *node, const char *text) {
  fl_cli_text clean = {0};
  free(node->text);
  node->text = NULL;
  if (!text || !*text) return;
  fl_cli_text_clean(&clean, text, strlen(text), false);
  fl_cli_text_cstr(&clean);
  node->text = clean.data;
}

void fl_cli_live_event(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live_node *node;
  switch (e->kind) {
  case FL_EVENT_NODE_STARTED: add_node(w, e); break;
  case FL_EVENT_NODE_PROGRESS:
    if (!(node = find_node(w, e))) break;
    node->done = e->progress_done;
    node->total = e->progress_total;
    set_text(node, e->error);
    break;
  case FL_EVENT_NODE_RETRYING:
  case FL_EVENT_NODE_FINISHED:
    if ((node = find_node(w, e))) remove_node(&w->live, node);
    break;
  default: break;
  }
}

// ------------------------------------------------------------------------------------- composing

// "00:12", "1:02:03".
static void add_elapsed(fl_cli_text *t, int64_t ms, bool pad) {
  int64_t s = ms < 0 ? 0 : ms / 1000;
  if (s >= 3600)
    fl_cli_text_addf(t, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
  else
    fl_cli_text_addf(t, pad ? "%02d:%02d" : "%d:%02d", (int)(s / 60), (int)(s % 60));
}

static void add_totals(const fl_cli_watch *w, int64_t now_ms, fl_cli_text *t) {
  if (w->total > 0)
    fl_cli_text_addf(t, "%u/%u done, %u running", w->done, w->total, w->running);
  else
    fl_cli_text_addf(t, "%u done, %u running", w->done, w->running);
  if (w->failed > 0) fl_cli_text_addf(t, ", %u failed", w->failed);
  int64_t elapsed = now_ms - w->started_ms;
  fl_cli_text_add_str(t, "  ");
  add_elapsed(t, elapsed, true);
  if (w->signal) {
    fl_cli_text_add_str(t, "  stopping");
  } else if (w->history_ms > elapsed) {
    fl_cli_text_add_str(t, "  ETA ");
    add_elapsed(t, w->history_ms - elapsed + 999, false);
  }
}

static void add_progress(fl_cli_text *t, const fl_cli_live_node *node) {
  if (node->total > 0 && node->done >= 0) {
    double percent = 100 * node->done / node->total;
    fl_cli_text_addf(t, "  %.0f%% (%.*g/%.*g)", percent > 100 ? 100 : percent, 15, node->done, 15,
                     node->total);
  }
  if (node->text) fl_cli_text_addf(t, "  %s", node->text);
}

static uint16_t end_line(fl_cli_text *out, fl_cli_text *line, uint32_t columns) {
  size_t width = fl_cli_text_cut(out, line->data, line->size, columns);
  line->size = 0;
  return (uint16_t)width;
}

static void add_node_row(fl_cli_text *line, const fl_cli_live_node *node, int64_t now_ms,
                         size_t name_columns) {
  fl_cli_text_add_str(line, "  ");
  size_t taken = fl_cli_text_cut(line, node->name, strlen(node->name), name_columns);
  fl_cli_text_pad(line, name_columns - taken + 2);
  add_elapsed(line, now_ms - node->since_ms, true);
  add_progress(line, node);
}

uint32_t fl_cli_live_compose(const fl_cli_watch *w, int64_t now_ms, uint32_t rows, uint32_t columns,
                             fl_cli_text *out, uint16_t *widths) {
  // The last column stays free: a terminal may wrap when it is written.
  columns = columns > 1 ? columns - 1 : 1;
  uint32_t room = rows > 1 ? rows - 1 : 0, lines = 0; // the totals take one
  uint32_t shown = w->live.count <= room ? w->live.count : room > 0 ? room - 1 : 0;
  fl_cli_text line = {0};
  size_t name_columns = 0;
  const fl_cli_live_node *node = w->live.first;
  for (uint32_t i = 0; i < shown; i++, node = node->next) {
    size_t width = fl_cli_text_width(node->name, strlen(node->name));
    if (width > name_columns) name_columns = width;
  }
  if (name_columns > NAME_COLUMNS) name_columns = NAME_COLUMNS;
  node = w->live.first;
  for (uint32_t i = 0; i < shown; i++, node = node->next) {
    add_node_row(&line, node, now_ms, name_columns);
    widths[lines++] = end_line(out, &line, columns);
    fl_cli_text_add(out, "\n", 1);
  }
  if (shown < w->live.count && room > 0) {
    fl_cli_text_addf(&line, "  and %u more", w->live.count - shown);
    widths[lines++] = end_line(out, &line, columns);
    fl_cli_text_add(out, "\n", 1);
  }
  add_totals(w, now_ms, &line);
  widths[lines++] = end_line(out, &line, columns);
  fl_cli_text_deinit(&line);
  return lines;
}

// ------------------------------------------------------------------------------------- drawing

static void screen_size(uint32_t *rows, uint32_t *columns) {
  struct winsize size = {0};
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  *rows = known && size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
  *columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
  if (*rows > ROWS_MAX) *rows = ROWS_MAX;
  if (*columns > UINT16_MAX) *columns = UINT16_MAX;
}

// The cursor stands at the end of the last line. Lines that a narrower screen has broken since take
// more rows than they were.
static void add_erase(const fl_cli_live *live, uint32_t columns, fl_cli_text *out) {
  if (live->line_count == 0) return;
  uint32_t rows = 0;
  for (uint32_t i = 0; i < live->line_count; i++) {
    uint32_t width = live->widths[i] ? live->widths[i] : 1;
    rows += (width + columns - 1) / columns;
  }
  fl_cli_text_add(out, "\r", 1);
  if (rows > 1) fl_cli_text_addf(out, "\x1b[%uA", rows - 1);
  fl_cli_text_add_str(out, "\x1b[J");
}

void fl_cli_live_write(fl_cli_watch *w, bool draw) {
  fl_cli_live *live = &w->live;
  fl_cli_text *out = fl_cli_out(), whole = {0};
  uint32_t rows, columns;
  screen_size(&rows, &columns);
  if (!live->widths) live->widths = fl_cli_alloc(ROWS_MAX, sizeof *live->widths);
  add_erase(live, columns, &whole);
  fl_cli_text_add(&whole, out->data, out->size);
  live->line_count = 0;
  if (draw)
    live->line_count =
        fl_cli_live_compose(w, fl_cli_monotonic_ms(), rows, columns, &whole, live->widths);
  out->size = 0;
  fl_cli_text_add(out, whole.data, whole.size);
  fl_cli_text_deinit(&whole);
  fl_cli_flush();
  w->changed = false;
}
