// flowlua show --timeline: when each node ran, as bars one below the other.
#include "show.h"

#define ROWS_MAX        60 // of a larger run the longest ones, unless all are asked for
#define COLUMNS_DEFAULT 80
#define NAME_COLUMNS    30
#define BAR_MIN         10
#define TAKEN           10 // columns of a duration

typedef struct span {
  char *name; // clean
  fl_cli_style style;
  int64_t from_ms, to_ms;
  size_t at; // in the order of declaration
} span;

typedef struct timeline {
  span *spans;
  size_t count, capacity;
  int64_t from_ms, to_ms; // of the run
} timeline;

static void take_run(void *ud, const fl_run_info *run) {
  timeline *t = ud;
  t->from_ms = run->started_ms;
  t->to_ms = run->ended_ms > 0 ? run->ended_ms : fl_cli_wall_ms();
}

static bool take_node(void *ud, const fl_node_info *node) {
  timeline *t = ud;
  bool runs = strcmp(node->status, "running") == 0;
  if (node->started_ms == 0 || (node->ended_ms == 0 && !runs)) return true;
  if (t->count == t->capacity) {
    t->capacity = t->capacity ? 2 * t->capacity : 64;
    t->spans = fl_cli_realloc(t->spans, t->capacity * sizeof *t->spans);
  }
  fl_cli_text name = {0};
  fl_cli_text_clean(&name, node->name, strlen(node->name), false);
  fl_cli_text_cstr(&name);
  t->spans[t->count] = (span){.name = name.data,
                              .style = fl_cli_style_of_status(node->status),
                              .from_ms = node->started_ms,
                              .to_ms = runs ? fl_cli_wall_ms() : node->ended_ms,
                              .at = t->count};
  t->count++;
  return true;
}

static int by_length(const void *a, const void *b) {
  const span *x = a, *y = b;
  int64_t p = x->to_ms - x->from_ms, q = y->to_ms - y->from_ms;
  return p != q ? (p < q ? 1 : -1) : x->at < y->at ? -1 : 1;
}

static int by_begin(const void *a, const void *b) {
  const span *x = a, *y = b;
  return x->from_ms != y->from_ms ? (x->from_ms < y->from_ms ? -1 : 1) : x->at < y->at ? -1 : 1;
}

// The column of a moment; what was done by a clock that was set since is at an edge.
static size_t column_of(const timeline *t, int64_t ms, size_t columns) {
  if (ms <= t->from_ms || t->to_ms <= t->from_ms) return 0;
  if (ms >= t->to_ms) return columns;
  return (size_t)((double)columns * (double)(ms - t->from_ms) / (double)(t->to_ms - t->from_ms));
}

static void print_span(const timeline *t, const span *s, size_t name_columns, size_t columns) {
  fl_cli_text *out = fl_cli_out();
  char took[32];
  size_t width = fl_cli_text_cut(out, s->name, strlen(s->name), name_columns);
  size_t from = column_of(t, s->from_ms, columns), to = column_of(t, s->to_ms, columns);
  if (from == columns) from--;
  if (to <= from) to = from + 1; // short ones are seen, too
  fl_cli_text_pad(out, name_columns - width + 2 + from);
  fl_cli_text_add_str(out, fl_cli_style_text(s->style));
  for (size_t i = from; i < to; i++) fl_cli_text_add_str(out, "━");
  fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_NONE));
  fl_duration_format(s->to_ms > s->from_ms ? s->to_ms - s->from_ms : 0, took);
  fl_cli_text_pad(out, columns - to + 2);
  fl_cli_text_addf(out, "%s\n", took);
}

static void print_spans(timeline *t, bool all) {
  size_t count = t->count, columns = fl_cli_out_columns(), name_columns = 4;
  if (columns == 0) columns = COLUMNS_DEFAULT;
  if (!all && count > ROWS_MAX) {
    qsort(t->spans, count, sizeof *t->spans, by_length);
    count = ROWS_MAX;
  }
  if (count > 0) qsort(t->spans, count, sizeof *t->spans, by_begin);
  for (size_t i = 0; i < count; i++) {
    size_t width = fl_cli_text_width(t->spans[i].name, strlen(t->spans[i].name));
    if (width > name_columns) name_columns = width;
  }
  if (name_columns > NAME_COLUMNS) name_columns = NAME_COLUMNS;
  if (name_columns > columns / 3) name_columns = columns / 3;
  size_t taken = name_columns + 2 + TAKEN, bar = columns > taken ? columns - taken : 0;
  if (bar < BAR_MIN) bar = BAR_MIN;
  for (size_t i = 0; i < count; i++) print_span(t, &t->spans[i], name_columns, bar);
  if (count < t->count)
    fl_cli_printf("%zu nodes that took less are not listed (--all lists them)\n", t->count - count);
}

fl_code fl_cli_show_timeline(fl_engine *engine, const char *run, bool all, fl_error *err) {
  timeline t = {0};
  fl_code code = fl_read_status(engine, run, take_run, take_node, &t, err);
  if (code == FL_OK) {
    char from[32], to[32], took[32];
    fl_cli_local_time(t.from_ms, from);
    fl_cli_local_clock(t.to_ms, to);
    fl_duration_format(t.to_ms > t.from_ms ? t.to_ms - t.from_ms : 0, took);
    if (t.from_ms > 0) fl_cli_printf("%s to %s: %s\n\n", from, to, took);
    print_spans(&t, all);
  }
  for (size_t i = 0; i < t.count; i++) free(t.spans[i].name);
  free(t.spans);
  return code;
}
