// How the view looks: a line of totals, and below it a row for each node that runs or waits for
// another try. It takes half of the window at most, so that what has happened stays in sight.
#include "watch.h"

#define BAR_MIN      6
#define BAR_MAX      30
#define BAR_NODE     10
#define TIME_WIDTH   5  // "59:59"; longer ones push what stands behind them
#define NAME_COLUMNS 40 // columns; longer names are cut so that times stand below each other
#define NARROW       60 // columns; in fewer there is no room for bars

/// A line that is composed: what does not fit is cut, styles take no room.
typedef struct live_line {
  fl_cli_text text, plain; // with its styles, and without
  size_t left;             // columns
} live_line;

static void put(live_line *line, fl_cli_style style, const char *fmt, ...) FL_CLI_PRINTF(3, 4);

static void put(live_line *line, fl_cli_style style, const char *fmt, ...) {
  fl_cli_text text = {0};
  va_list args;
  va_start(args, fmt);
  fl_cli_text_vaddf(&text, fmt, args);
  va_end(args);
  if (line->left > 0 && text.size > 0) {
    if (style) fl_cli_text_add_str(&line->text, fl_cli_style_text(style));
    size_t before = line->text.size;
    size_t width = fl_cli_text_cut(&line->text, text.data, text.size, line->left);
    fl_cli_text_add(&line->plain, line->text.data + before, line->text.size - before);
    if (style) fl_cli_text_add_str(&line->text, fl_cli_style_text(FL_STYLE_NONE));
    // What was cut has its "…": nothing may follow.
    line->left = width < fl_cli_text_width(text.data, text.size) ? 0 : line->left - width;
  }
  fl_cli_text_deinit(&text);
}

// Heavy as far as it is, light beyond: told apart without colours, too.
static void put_bar(live_line *line, size_t columns, double part, fl_cli_style style) {
  fl_cli_text full = {0}, rest = {0};
  if (line->left < columns) return;
  size_t filled = part >= 1 ? columns : part > 0 ? (size_t)(part * (double)columns) : 0;
  for (size_t i = 0; i < columns; i++)
    fl_cli_text_add_str(i < filled ? &full : &rest, i < filled ? "━" : "─");
  if (full.size) put(line, style, "%s", fl_cli_text_cstr(&full));
  if (rest.size) put(line, FL_STYLE_DIM, "%s", fl_cli_text_cstr(&rest));
  fl_cli_text_deinit(&full);
  fl_cli_text_deinit(&rest);
}

// "0:12", "1:02:03".
static const char *clock_text(int64_t ms, char out[24]) {
  int64_t s = ms < 0 ? 0 : ms / 1000;
  if (s >= 3600)
    snprintf(out, 24, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
  else
    snprintf(out, 24, "%d:%02d", (int)(s / 60), (int)(s % 60));
  return out;
}

// ------------------------------------------------------------------------------------- totals

// Milliseconds that a part which does equal things still takes, -1: nothing to go by.
static int64_t rest_of(double done, double total, int64_t since_ms, int64_t now_ms) {
  int64_t took = now_ms - since_ms;
  if (done <= 0 || total < done || took < 1000) return -1;
  return (int64_t)((double)took * (total - done) / done);
}

// By the runs before; in a first one by the slowest of its maps, and of nodes that tell how far
// they are.
static int64_t estimate_ms(const fl_cli_watch *w, int64_t now_ms) {
  int64_t elapsed = now_ms - w->started_ms, rest = -1;
  if (w->history_ms > elapsed) return w->history_ms - elapsed;
  for (const fl_cli_live_map *m = w->live.maps; m; m = m->next) {
    if (m->total <= m->done) continue;
    if (m->done_here < 2) return -1; // nobody knows yet
    // What was done before this resume took no time of it.
    double left = m->total - m->done, here = m->done_here;
    int64_t ms = rest_of(here, here + left, m->since_ms, now_ms);
    if (ms > rest) rest = ms;
  }
  for (const fl_cli_live_node *n = w->live.first; n; n = n->next) {
    int64_t ms = n->total > 0 ? rest_of(n->done, n->total, n->since_ms, now_ms) : -1;
    if (ms > rest) rest = ms;
  }
  return rest;
}

static void compose_totals(const fl_cli_watch *w, int64_t now_ms, live_line *line) {
  size_t columns = line->left;
  char text[24];
  int64_t rest = estimate_ms(w, now_ms);
  fl_cli_text counts = {0}, times = {0}, failed = {0};
  if (w->total > 0)
    fl_cli_text_addf(&counts, "%u/%u", w->done, w->total);
  else
    fl_cli_text_addf(&counts, "%u done", w->done);
  if (columns >= NARROW) fl_cli_text_addf(&counts, "  %u running", w->running);
  if (w->failed > 0) fl_cli_text_addf(&failed, "  %u failed", w->failed);
  fl_cli_text_addf(&times, "  %s", clock_text(now_ms - w->started_ms, text));
  if (w->signal)
    fl_cli_text_add_str(&times, "  stopping");
  else if (rest >= 0)
    fl_cli_text_addf(&times, "  ~%s%s", clock_text(rest + 999, text),
                     columns < NARROW ? "" : " left");
  size_t right = counts.size + failed.size + times.size; // all of it ASCII
  // The name makes room for the numbers.
  size_t room = columns > right + 2 ? columns - right - 2 : 0;
  size_t name_max = room < columns / 3 ? room : columns / 3;
  fl_cli_text name = {0}, clean = {0};
  if (w->flow) fl_cli_text_clean(&clean, w->flow, strlen(w->flow), false);
  size_t width = fl_cli_text_cut(&name, clean.data ? clean.data : "", clean.size, name_max);
  if (width > 0) {
    put(line, FL_STYLE_BOLD, "%s", fl_cli_text_cstr(&name));
    put(line, FL_STYLE_NONE, "  ");
    room -= width;
  }
  const char *letters = fl_cli_run_letters(w->run_id);
  if (columns >= NARROW && room >= strlen(letters) + 2) {
    put(line, FL_STYLE_DIM, "%s  ", letters);
    room -= strlen(letters) + 2;
  }
  if (columns >= NARROW && room >= BAR_MIN + 2 && w->total > 0) {
    size_t bar = room - 2 < BAR_MAX ? room - 2 : BAR_MAX;
    put_bar(line, bar, (double)w->done / w->total, w->failed ? FL_STYLE_RED : FL_STYLE_GREEN);
    put(line, FL_STYLE_NONE, "  ");
  }
  put(line, FL_STYLE_NONE, "%s", fl_cli_text_cstr(&counts));
  if (failed.size) put(line, FL_STYLE_RED, "%s", fl_cli_text_cstr(&failed));
  put(line, FL_STYLE_NONE, "%s", fl_cli_text_cstr(&times));
  fl_cli_text_deinit(&counts);
  fl_cli_text_deinit(&failed);
  fl_cli_text_deinit(&times);
  fl_cli_text_deinit(&name);
  fl_cli_text_deinit(&clean);
}

// ------------------------------------------------------------------------------------- rows

static void put_progress(live_line *line, const fl_cli_live_node *node, bool bars) {
  double part = node->done / node->total;
  char total[32], done[32];
  snprintf(total, sizeof total, "%.*g", 15, node->total);
  snprintf(done, sizeof done, "%.*g", 15, node->done);
  put(line, FL_STYLE_NONE, "  ");
  if (bars) put_bar(line, BAR_NODE, part, FL_STYLE_CYAN), put(line, FL_STYLE_NONE, " ");
  double percent = part > 1 ? 100 : part < 0 ? 0 : 100 * part;
  put(line, FL_STYLE_NONE, "%3.0f%% %*s/%s", percent, (int)strlen(total), done, total);
}

static void put_map(live_line *line, const fl_cli_live_map *map, bool bars) {
  char total[16];
  int width = snprintf(total, sizeof total, "%u", map->total);
  put(line, FL_STYLE_NONE, "  ");
  double part = map->total ? (double)map->done / map->total : 0;
  fl_cli_style style = map->failed ? FL_STYLE_RED : FL_STYLE_CYAN;
  if (bars) put_bar(line, BAR_NODE, part, style), put(line, FL_STYLE_NONE, " ");
  put(line, FL_STYLE_NONE, "%3.0f%% %*u/%s", 100 * part, width, map->done, total);
  if (map->failed) put(line, FL_STYLE_RED, "  %u failed", map->failed);
}

static size_t row_indent(const fl_cli_live_node *node) {
  return node->of ? 4 : 2;
}

static void compose_row(const fl_cli_live_node *node, int64_t now_ms, size_t name_columns,
                        bool bars, live_line *line) {
  char text[24];
  fl_cli_text name = {0};
  size_t indent = row_indent(node);
  size_t room = name_columns > indent ? name_columns - indent : 1;
  size_t taken = fl_cli_text_cut(&name, node->name, strlen(node->name), room);
  fl_cli_text_cstr(&name);
  put(line, FL_STYLE_NONE, "%*s", (int)indent, "");
  put(line,
      node->retrying ? FL_STYLE_YELLOW
      : node->of     ? FL_STYLE_NONE
                     : FL_STYLE_CYAN,
      "%s", name.data);
  put(line, FL_STYLE_NONE, "%*s", (int)(room > taken ? room - taken : 0), "");
  fl_cli_text_deinit(&name);
  if (node->retrying) {
    put(line, FL_STYLE_YELLOW, "  again in %s", clock_text(node->due_ms - now_ms + 999, text));
    put(line, FL_STYLE_NONE, "  attempt %u: %s", node->attempt, node->text ? node->text : "failed");
    return;
  }
  put(line, FL_STYLE_NONE, "  %*s", TIME_WIDTH, clock_text(now_ms - node->since_ms, text));
  if (node->map)
    put_map(line, node->map, bars);
  else if (node->total > 0 && node->done >= 0)
    put_progress(line, node, bars);
  if (node->item) put(line, FL_STYLE_NONE, "  %s", node->item);
  const char *says = node->text ? node->text : node->tail;
  if (says) put(line, FL_STYLE_DIM, "  %s", says);
}

static void end_line(live_line *line, fl_cli_text *out, uint16_t *width) {
  fl_cli_text_add(out, line->text.data, line->text.size);
  *width = (uint16_t)fl_cli_text_width(line->plain.data ? line->plain.data : "", line->plain.size);
  fl_cli_text_deinit(&line->text);
  fl_cli_text_deinit(&line->plain);
}

// Which nodes have a row: first what is no item, for a map says how far they are; then items, each
// behind its map. Returns how many.
static uint32_t choose_rows(const fl_cli_live *live, uint32_t room, const fl_cli_live_node **rows) {
  uint32_t count = 0, item_count = 0, items;
  for (const fl_cli_live_node *n = live->first; n; n = n->next) item_count += n->of != NULL;
  uint32_t others = live->count - item_count;
  items = room > others ? room - others : 0;
  for (const fl_cli_live_node *n = live->first; n && count < room; n = n->next) {
    if (n->of) continue;
    rows[count++] = n;
    for (const fl_cli_live_node *i = live->first; n->map && i && items > 0; i = i->next)
      if (i->of == n->map) rows[count++] = i, items--;
  }
  return count;
}

uint32_t fl_cli_live_compose(const fl_cli_watch *w, int64_t now_ms, uint32_t rows, uint32_t columns,
                             fl_cli_text *out, uint16_t *widths) {
  const fl_cli_live_node *shown[FL_CLI_LIVE_ROWS];
  const fl_cli_live *live = &w->live;
  // The last column stays free: a terminal may wrap when it is written.
  columns = columns > 1 ? columns - 1 : 1;
  uint32_t height = rows / 2 < FL_CLI_LIVE_ROWS ? rows / 2 : FL_CLI_LIVE_ROWS;
  uint32_t room = height > 1 ? height - 1 : 0, lines = 0; // the totals take one
  bool all = live->count <= room;
  uint32_t count = choose_rows(live, all || room == 0 ? room : room - 1, shown);
  size_t name_columns = 0, name_max = columns / 2 < NAME_COLUMNS ? columns / 2 : NAME_COLUMNS;
  for (uint32_t i = 0; i < count; i++) {
    size_t width = row_indent(shown[i]) + fl_cli_text_width(shown[i]->name, strlen(shown[i]->name));
    if (width > name_columns) name_columns = width;
  }
  if (name_columns > name_max) name_columns = name_max;
  live_line line = {.left = columns};
  compose_totals(w, now_ms, &line);
  end_line(&line, out, &widths[lines++]);
  for (uint32_t i = 0; i < count; i++) {
    line = (live_line){.left = columns};
    compose_row(shown[i], now_ms, name_columns, columns >= NARROW, &line);
    fl_cli_text_add(out, "\n", 1);
    end_line(&line, out, &widths[lines++]);
  }
  if (count < live->count && lines < height) {
    line = (live_line){.left = columns};
    put(&line, FL_STYLE_DIM, "  and %u more", live->count - count);
    fl_cli_text_add(out, "\n", 1);
    end_line(&line, out, &widths[lines++]);
  }
  return lines;
}
