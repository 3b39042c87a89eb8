// How near two names are (optimal string alignment), and which of many is the nearest.
#include "base/suggest.h"
#include "base/limits.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

static bool same(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t fl_name_distance(const char *a, size_t a_size, const char *b, size_t b_size) {
  size_t rows[3][FL_ID_SIZE_MAX + 1];
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  if (a_size > FL_ID_SIZE_MAX || b_size > FL_ID_SIZE_MAX) return SIZE_MAX;
  for (size_t j = 0; j <= b_size; j++) above[j] = before[j] = j;
  for (size_t i = 1; i <= a_size; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b_size; j++) {
      size_t change = above[j - 1] + !same(a[i - 1], b[j - 1]);
      row[j] = least(least(above[j] + 1, row[j - 1] + 1), change);
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
        row[j] = least(row[j], before[j - 2] + 1);
    }
    size_t *oldest = before;
    before = above;
    above = row;
    row = oldest;
  }
  return above[b_size];
}

void fl_suggestion_init(fl_suggestion *s, const char *word, size_t size) {
  size_t third = size / 3;
  *s = (fl_suggestion){.word = word, .size = size};
  // One slip in a short word, three in a long one; one letter is like any other.
  if (size >= 2) s->distance_max = (third < 1 ? 1 : least(third, 3)) + 1;
}

void fl_suggestion_try(fl_suggestion *s, const char *name, size_t size) {
  bool longer = size > s->size;
  // What was typed so far counts as meant: "comp" for "completion".
  bool begun = longer && s->size >= 3 && strncasecmp(s->word, name, s->size) == 0;
  if (!begun && (longer ? size - s->size : s->size - size) >= s->distance_max) return;
  size_t d = begun ? 1 : fl_name_distance(s->word, s->size, name, size);
  if (d >= s->distance_max || (d == 0 && memcmp(s->word, name, size) == 0)) return;
  s->distance_max = d;
  s->nearest = name;
}
