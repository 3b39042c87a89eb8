// "did you mean": the known name that is the fewest slips of the keyboard away from what was typed.
#include "cli.h"

#define WORD_MAX 40 // longer words are no names of ours

static size_t min3(size_t a, size_t b, size_t c) {
  size_t m = a < b ? a : b;
  return m < c ? m : c;
}

// Letters added, dropped, changed, or two neighbours swapped (optimal string alignment).
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size) {
  size_t rows[3][WORD_MAX + 1];
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= b_size; j++) above[j] = before[j] = j;
  for (size_t i = 1; i <= a_size; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b_size; j++) {
      size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = min3(above[j] + 1, row[j - 1] + 1, change);
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
    }
    size_t *oldest = before;
    before = above;
    above = row;
    row = oldest;
  }
  return above[b_size];
}

const char *fl_cli_suggest(const char *word, const char *const *names, size_t count) {
  size_t size = strlen(word), best = SIZE_MAX;
  const char *found = NULL;
  if (size == 0 || size > WORD_MAX) return NULL;
  for (size_t i = 0; i < count; i++) {
    size_t name_size = strlen(names[i]);
    if (name_size > WORD_MAX) continue;
    size_t d = distance(word, size, names[i], name_size);
    // What was typed so far counts as meant: "comp" for "completion".
    if (d > 1 && size >= 3 && strncmp(word, names[i], size) == 0) d = 1;
    size_t longer = size > name_size ? size : name_size;
    if (d < best && d * 3 <= longer + 1) {
      best = d;
      found = names[i];
    }
  }
  return found;
}
