// A table for people. Cells are kept as one text and offsets: 100,000 rows are a few big blocks.
#include "cli.h"

#define COLUMNS_MAX 12
#define GAP         2

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

// Blanks are printed only before something: no line ends with them.
static void print_row(const fl_cli_table *table, size_t row, const size_t *widths) {
  fl_cli_text *out = fl_cli_out();
  size_t blanks = 0;
  for (size_t c = 0; c < table->column_count; c++) {
    size_t at = row * table->column_count + c;
    const table_cell *cell = &table->cells[at];
    size_t begin = at ? table->cells[at - 1].end : 0;
    size_t fill = widths[c] - cell->width;
    if (table->right[c]) blanks += fill;
    if (cell->end > begin) {
      fl_cli_text_pad(out, blanks);
      blanks = 0;
      if (cell->style) fl_cli_text_add_str(out, fl_cli_style_text(cell->style));
      fl_cli_text_add(out, table->text.data + begin, cell->end - begin);
      if (cell->style) fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_NONE));
    }
    if (!table->right[c]) blanks += fill;
    blanks += GAP;
  }
  fl_cli_text_add(out, "\n", 1);
  fl_cli_flush_some();
}

void fl_cli_table_print(fl_cli_table *table) {
  size_t widths[COLUMNS_MAX] = {0};
  size_t rows = table->cell_count / table->column_count;
  if (rows == 1) rows = 0; // titles over nothing
  for (size_t i = 0; i < rows * table->column_count; i++) {
    size_t c = i % table->column_count;
    if (table->cells[i].width > widths[c]) widths[c] = table->cells[i].width;
  }
  for (size_t row = 0; row < rows; row++) print_row(table, row, widths);
  fl_cli_table_free(table);
}

void fl_cli_table_free(fl_cli_table *table) {
  if (!table) return;
  fl_cli_text_deinit(&table->text);
  free(table->cells);
  free(table);
}
