// Picks lines out of the last words of a program. Many end with a sentence that says nothing ("tar:
// Error is not recoverable: exiting now") behind the one that says why; others, as those that print
// a traceback, end with the reason.
#include "executor/telling.h"
#include <ctype.h>
#include "base/json.h"

#define LINE_MAX_BYTES 1000

typedef struct line {
  const char *text;
  size_t size;
} line;

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static line trimmed(const char *text, size_t size) {
  while (size && is_blank(text[size - 1])) size--;
  return (line){text, size};
}

static bool has_word(line l, const char *word) {
  size_t n = strlen(word);
  for (size_t i = 0; i + n <= l.size; i++) {
    size_t k = 0;
    while (k < n && tolower((unsigned char)l.text[i + k]) == word[k]) k++;
    if (k == n) return true;
  }
  return false;
}

// Set in lines belong to something else: a traceback's code, a list.
static bool speaks_of_an_error(line l) {
  static const char *const words[] = {
      "error",    "cannot",  "can't",     "couldn't",  "could not", "failed",    "failure",
      "fatal",    "no such", "not found", "denied",    "refused",   "invalid",   "unable",
      "improper", "missing", "panic",     "exception", "unknown",   "undefined", "no space"};
  if (!l.size || is_blank(l.text[0])) return false;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (has_word(l, words[i])) return true;
  return false;
}

static void add(fl_buf *text, line l) {
  fl_utf8_clean(text, l.text, l.size > LINE_MAX_BYTES ? LINE_MAX_BYTES : l.size);
}

void fl_telling_add(fl_buf *text, const char *tail, size_t size) {
  line last = {0}, first = {0};
  // Where the tail begins within a line, that one is only half of it: a whole one is better.
  for (size_t at = 0; at < size;) {
    const char *end = memchr(tail + at, '\n', size - at);
    size_t n = end ? (size_t)(end - tail) - at : size - at;
    line l = trimmed(tail + at, n);
    if (l.size) last = l;
    if (!first.size && speaks_of_an_error(l)) first = l;
    at += n + (end != NULL);
  }
  if (!last.size) return;
  fl_buf_add_str(text, ": ");
  bool same = first.size == last.size && !memcmp(first.text, last.text, last.size);
  if (first.size && !same && first.text != last.text) {
    add(text, first);
    fl_buf_add_str(text, " ... ");
  }
  add(text, last);
}
