// Myers' greedy algorithm ("An O(ND) Difference Algorithm", 1986) between the first and the last
// line that differ; then hunks with three lines around each change.
#include "base/line_diff.h"
#include <stdlib.h>
#include <string.h>

#define EDITS_MAX 400 // its memory grows with the square
#define AROUND    3

typedef struct line {
  const char *text;
  size_t size;
  bool changed;
} line;

typedef struct text_lines {
  line *lines;
  size_t count;
} text_lines;

static text_lines split(const char *text, size_t size) {
  text_lines t = {0};
  size_t capacity = 0;
  for (size_t at = 0; at < size;) {
    const char *end = memchr(text + at, '\n', size - at);
    size_t next = end ? (size_t)(end - text) + 1 : size;
    if (t.count == capacity) {
      capacity = capacity ? 2 * capacity : 256;
      t.lines = fl_realloc(t.lines, capacity * sizeof *t.lines);
    }
    t.lines[t.count++] = (line){text + at, (end ? next - 1 : next) - at, false};
    at = next;
  }
  return t;
}

static bool same(const line *a, const line *b) {
  return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

// Goes back over the steps of the search and marks what was removed and added.
static void mark_path(line *a, line *b, int *const *steps, int edits, int x, int y) {
  for (int d = edits; d > 0; d--) {
    const int *v = steps[d - 1] + d; // its middle; diagonals -(d-1)..(d-1), with room at both ends
    int k = x - y;
    bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
    int from_k = down ? k + 1 : k - 1;
    int from_x = v[from_k], from_y = from_x - from_k;
    if (down)
      b[from_y].changed = true;
    else
      a[from_x].changed = true;
    x = from_x;
    y = from_y;
  }
}

// Marks the lines that differ. False: there are too many of them.
static bool search(line *a, int n, line *b, int m) {
  int *steps[EDITS_MAX + 1], edits = -1;
  int *v = fl_alloc_zero(2 * (size_t)EDITS_MAX + 5, sizeof *v), *middle = v + EDITS_MAX + 2;
  int d = 0;
  for (; d <= EDITS_MAX && edits < 0; d++) {
    for (int k = -d; k <= d && edits < 0; k += 2) {
      int x =
          k == -d || (k != d && middle[k - 1] < middle[k + 1]) ? middle[k + 1] : middle[k - 1] + 1;
      int y = x - k;
      while (x < n && y >= 0 && y < m && same(&a[x], &b[y])) x++, y++;
      middle[k] = x;
      if (x >= n && y >= m) edits = d;
    }
    // Of this step, with a diagonal more at each end, as the next one reads it.
    steps[d] = fl_alloc((2 * (size_t)d + 3) * sizeof **steps);
    memcpy(steps[d], middle - d - 1, (2 * (size_t)d + 3) * sizeof **steps);
  }
  if (edits >= 0) mark_path(a, b, steps, edits, n, m);
  for (int i = 0; i < d; i++) free(steps[i]);
  free(v);
  return edits >= 0;
}

static void mark(text_lines *a, text_lines *b) {
  size_t head = 0, tail = 0;
  while (head < a->count && head < b->count && same(&a->lines[head], &b->lines[head])) head++;
  while (tail < a->count - head && tail < b->count - head &&
         same(&a->lines[a->count - 1 - tail], &b->lines[b->count - 1 - tail]))
    tail++;
  size_t n = a->count - head - tail, m = b->count - head - tail;
  if (n && m && n < 1u << 24 && m < 1u << 24 &&
      search(a->lines + head, (int)n, b->lines + head, (int)m))
    return;
  for (size_t i = 0; i < n; i++) a->lines[head + i].changed = true;
  for (size_t i = 0; i < m; i++) b->lines[head + i].changed = true;
}

// -------------------------------------------------------------------------------- hunks

typedef struct writing {
  const text_lines *a, *b;
  fl_buf *out;
  size_t left; // lines that may still be written
  bool cut;
} writing;

static void put(writing *w, char sign, const line *l) {
  if (!w->left) {
    if (!w->cut) fl_buf_add_str(w->out, "...\n");
    w->cut = true;
    return;
  }
  w->left--;
  fl_buf_add_char(w->out, sign);
  fl_buf_add(w->out, l->text, l->size);
  fl_buf_add_char(w->out, '\n');
}

static bool changed_at(const writing *w, size_t i, size_t j) {
  return (i < w->a->count && w->a->lines[i].changed) || (j < w->b->count && w->b->lines[j].changed);
}

// The end of the hunk that begins at (i, j): behind it come more unchanged lines than two hunks
// show.
static void find_end(const writing *w, size_t i, size_t j, size_t *end_i, size_t *end_j) {
  size_t quiet = 0;
  while (i < w->a->count || j < w->b->count) {
    if (changed_at(w, i, j)) {
      quiet = 0;
      while (i < w->a->count && w->a->lines[i].changed) i++;
      while (j < w->b->count && w->b->lines[j].changed) j++;
    } else if (++quiet > 2 * AROUND) {
      break;
    } else {
      i++, j++;
    }
  }
  size_t extra = quiet > AROUND ? (quiet > 2 * AROUND ? 2 * AROUND : quiet) - AROUND : 0;
  *end_i = i - extra;
  *end_j = j - extra;
}

static void put_hunk(writing *w, size_t i, size_t j, size_t end_i, size_t end_j) {
  if (!w->cut)
    fl_buf_addf(w->out, "@@ -%zu,%zu +%zu,%zu @@\n", i + (end_i > i), end_i - i, j + (end_j > j),
                end_j - j);
  while (i < end_i || j < end_j) {
    if (!changed_at(w, i, j)) {
      put(w, ' ', &w->a->lines[i]);
      i++, j++;
      continue;
    }
    for (; i < end_i && w->a->lines[i].changed; i++) put(w, '-', &w->a->lines[i]);
    for (; j < end_j && w->b->lines[j].changed; j++) put(w, '+', &w->b->lines[j]);
  }
}

static void put_hunks(writing *w) {
  size_t i = 0, j = 0;
  while (i < w->a->count || j < w->b->count) {
    if (!changed_at(w, i, j)) {
      i++, j++;
      continue;
    }
    size_t end_i, end_j, back = i < AROUND ? i : AROUND;
    if (back > j) back = j;
    find_end(w, i, j, &end_i, &end_j);
    put_hunk(w, i - back, j - back, end_i, end_j);
    i = end_i;
    j = end_j;
  }
}

fl_line_diff fl_line_diff_write(const char *a, size_t a_size, const char *b, size_t b_size,
                                size_t line_count_max, fl_buf *out) {
  text_lines x = split(a, a_size), y = split(b, b_size);
  mark(&x, &y);
  fl_line_diff d = {.lines_a = x.count, .lines_b = y.count};
  for (size_t i = 0; i < x.count; i++) d.removed += x.lines[i].changed;
  for (size_t i = 0; i < y.count; i++) d.added += y.lines[i].changed;
  writing w = {.a = &x, .b = &y, .out = out, .left = line_count_max};
  put_hunks(&w);
  free(x.lines);
  free(y.lines);
  return d;
}
