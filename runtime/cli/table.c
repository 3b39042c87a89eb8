// A table for people, as wide as their terminal. Cells are kept as one text and offsets: 100,000
// rows are a few big blocks.
#include "cli.h"

#define COLUMNS_MAX 12
#define GAP         2
#define CUT_MIN     16 // a column is not cut to less
#define LAST_MIN    24 // in fewer columns text has a line of its own
#define INDENT      4  // of that line
#define KEPT_COUNT  3  // columns that are never left out

typedef struct table_cell {
  size_t end; // in the text; the cell before ends where it begins
  uint32_t width;
  fl_cli_style style;
} table_cell;

struct fl_cli_table {
  fl_cli_text text;
  table_cell *cells;
  size_t cell_count, cell_capacity;
  size_t column_count;
  bool right[COLUMNS_MAX];
};

static void add_cell(fl_cli_table *table, const char *text, size_t size, fl_cli_style style) {
  if (table->cell_count == table->cell_capacity) {
    table->cell_capacity = table->cell_capacity ? table->cell_capacity * 2 : 64;
    table->cells = fl_cli_realloc(table->cells, table->cell_capacity * sizeof *table->cells);
  }
  size_t begin = table->text.size;
  fl_cli_text_clean(&table->text, text, size, false);
  size_t width = fl_cli_text_width(table->text.data + begin, table->text.size - begin);
  table->cells[table->cell_count++] =
      (table_cell){.end = table->text.size, .width = (uint32_t)width, .style = style};
}

fl_cli_table *fl_cli_table_new(const char *titles) {
  fl_cli_table *table = fl_cli_alloc(1, sizeof *table);
  for (const char *p = titles; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL) {
    if (table->column_count == COLUMNS_MAX) abort();
    bool right = *p == '>';
    if (right) p++;
    table->right[table->column_count++] = right;
    add_cell(table, p, strcspn(p, ":"), FL_STYLE_BOLD);
  }
  return table;
}

void fl_cli_table_add(fl_cli_table *table, const char *text, fl_cli_style style) {
  add_cell(table, text ? text : "", text ? strlen(text) : 0, style);
}

void fl_cli_table_addf(fl_cli_table *table, const char *fmt, ...) {
  fl_cli_text text = {0};
  va_list args;
  va_start(args, fmt);
  fl_cli_text_vaddf(&text, fmt, args);
  va_end(args);
  add_cell(table, text.data ? text.data : "", text.size, FL_STYLE_NONE);
  fl_cli_text_deinit(&text);
}

/// How a table is laid out for the terminal it is printed on.
typedef struct table_layout {
  size_t columns; // of the terminal, 0: none
  size_t widths[COLUMNS_MAX];
  bool hidden[COLUMNS_MAX];
  size_t last, last_from; // the last column, and where it begins
} table_layout;

static size_t measure(const fl_cli_table *table, const table_layout *l, size_t *widest) {
  size_t sum = 0;
  *widest = l->last;
  for (size_t c = 0; c < l->last; c++) {
    if (l->hidden[c]) continue;
    sum += l->widths[c] + GAP;
    if (!table->right[c] && (*widest == l->last || l->widths[c] > l->widths[*widest])) *widest = c;
  }
  return sum;
}

// On a terminal columns of text make room, the widest first; what is cut ends with "…". Where that
// is not enough columns are left out, from the right. The last one goes on below where it begins,
// or has a line of its own where it would be too narrow.
static void lay_out(const fl_cli_table *table, table_layout *l) {
  size_t wanted = l->widths[l->last], widest, sum;
  if (wanted > LAST_MIN) wanted = LAST_MIN;
  while ((sum = measure(table, l, &widest)), l->columns > 0 && sum + wanted > l->columns) {
    size_t over = sum + wanted - l->columns;
    if (widest == l->last || l->widths[widest] <= CUT_MIN) break;
    l->widths[widest] = l->widths[widest] - CUT_MIN > over ? l->widths[widest] - over : CUT_MIN;
  }
  for (size_t c = l->last; c-- > KEPT_COUNT && l->columns > 0 && sum > l->columns + GAP;) {
    l->hidden[c] = true;
    sum = measure(table, l, &widest);
  }
  l->last_from = sum;
}

static bool is_below(const table_layout *l, size_t width) {
  return l->columns > 0 && l->last_from + width > l->columns &&
         l->columns < l->last_from + LAST_MIN;
}

static void print_last(const table_layout *l, const char *text, size_t size, size_t width,
                       size_t *blanks) {
  fl_cli_text *out = fl_cli_out(), rows = {0};
  bool fits = l->columns == 0 || l->last_from + width <= l->columns, below = is_below(l, width);
  size_t from = below ? INDENT : l->last_from;
  if (below) fl_cli_text_add(out, "\n", 1);
  fl_cli_text_pad(out, below ? INDENT : *blanks);
  *blanks = 0;
  if (fits || l->columns <= from) {
    fl_cli_text_add(out, text, size);
    return;
  }
  fl_cli_text_fold(&rows, text, size, l->columns - from);
  for (const char *p = fl_cli_text_cstr(&rows); *p;) {
    size_t n = strcspn(p, "\n");
    fl_cli_text_add(out, p, n);
    p += n;
    if (*p) fl_cli_text_add(out, p++, 1), fl_cli_text_pad(out, from);
  }
  fl_cli_text_deinit(&rows);
}

// Blanks are printed only before something: no line ends with them.
static void print_row(const fl_cli_table *table, size_t row, const table_layout *l) {
  fl_cli_text *out = fl_cli_out();
  size_t blanks = 0;
  for (size_t c = 0; c < table->column_count; c++) {
    size_t at = row * table->column_count + c;
    const table_cell *cell = &table->cells[at];
    size_t begin = at ? table->cells[at - 1].end : 0, size = cell->end - begin;
    // A title says nothing where what it is about stands on lines of its own.
    bool bare = row == 0 && c == l->last && is_below(l, cell->width);
    if (l->hidden[c] || bare) continue;
    size_t fill = cell->width < l->widths[c] ? l->widths[c] - cell->width : 0;
    if (table->right[c]) blanks += fill;
    if (size > 0) {
      if (c != l->last) fl_cli_text_pad(out, blanks);
      if (cell->style) fl_cli_text_add_str(out, fl_cli_style_text(cell->style));
      if (c == l->last)
        print_last(l, table->text.data + begin, size, cell->width, &blanks);
      else if (cell->width > l->widths[c])
        fill = l->widths[c] - fl_cli_text_cut(out, table->text.data + begin, size, l->widths[c]);
      else
        fl_cli_text_add(out, table->text.data + begin, size);
      if (cell->style) fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_NONE));
      blanks = 0;
    }
    if (!table->right[c]) blanks += fill;
    blanks += GAP;
  }
  fl_cli_text_add(out, "\n", 1);
  fl_cli_flush_some();
}

void fl_cli_table_print(fl_cli_table *table) {
  table_layout l = {.columns = fl_cli_out_columns(), .last = table->column_count - 1};
  size_t rows = table->cell_count / table->column_count;
  if (rows == 1) rows = 0; // titles over nothing
  for (size_t i = 0; i < rows * table->column_count; i++) {
    size_t c = i % table->column_count;
    if (table->cells[i].width > l.widths[c]) l.widths[c] = table->cells[i].width;
  }
  if (rows > 0) lay_out(table, &l);
  for (size_t row = 0; row < rows; row++) print_row(table, row, &l);
  fl_cli_table_free(table);
}

void fl_cli_table_free(fl_cli_table *table) {
  if (!table) return;
  fl_cli_text_deinit(&table->text);
  free(table->cells);
  free(table);
}
