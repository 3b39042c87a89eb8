// Text that is safe to show: building it, cleaning it for a terminal, measuring and cutting it.
//
// libc decodes and measures UTF-8, in a locale of its own, so that what is shown does not depend on
// the user's LANG and the process's locale stays "C" for the scripts.
#include "cli.h"
#include <locale.h>
#include <wchar.h>
#include <wctype.h>

void *fl_cli_alloc(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size ? size : 1);
  if (!p) abort();
  return p;
}

void *fl_cli_realloc(void *old, size_t size) {
  void *p = realloc(old, size ? size : 1);
  if (!p) abort();
  return p;
}

void fl_cli_text_deinit(fl_cli_text *t) {
  free(t->data);
  *t = (fl_cli_text){0};
}

// Room for `extra` bytes and a NUL.
static void text_reserve(fl_cli_text *t, size_t extra) {
  if (extra < t->capacity - t->size) return;
  size_t capacity = t->capacity ? t->capacity : 128;
  while (capacity - t->size <= extra) {
    if (capacity > SIZE_MAX / 2) abort();
    capacity *= 2;
  }
  t->data = fl_cli_realloc(t->data, capacity);
  t->capacity = capacity;
}

void fl_cli_text_add(fl_cli_text *t, const char *data, size_t size) {
  if (size == 0) return;
  text_reserve(t, size);
  memcpy(t->data + t->size, data, size);
  t->size += size;
}

void fl_cli_text_add_str(fl_cli_text *t, const char *text) {
  fl_cli_text_add(t, text, strlen(text));
}

void fl_cli_text_vaddf(fl_cli_text *t, const char *fmt, va_list args) {
  va_list again;
  va_copy(again, args);
  text_reserve(t, 64); // what most formats need
  size_t room = t->capacity - t->size;
  int size = vsnprintf(t->data + t->size, room, fmt, args);
  if (size > 0 && (size_t)size >= room) {
    text_reserve(t, (size_t)size);
    vsnprintf(t->data + t->size, (size_t)size + 1, fmt, again);
  }
  if (size > 0) t->size += (size_t)size;
  va_end(again);
}

void fl_cli_text_addf(fl_cli_text *t, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fl_cli_text_vaddf(t, fmt, args);
  va_end(args);
}

void fl_cli_text_pad(fl_cli_text *t, size_t columns) {
  text_reserve(t, columns);
  memset(t->data + t->size, ' ', columns);
  t->size += columns;
}

const char *fl_cli_text_cstr(fl_cli_text *t) {
  text_reserve(t, 0);
  t->data[t->size] = '\0';
  return t->data;
}

// ------------------------------------------------------------------------------------- UTF-8

// The locale all decoding is done in; kept for the life of the process.
static locale_t utf8_locale(void) {
  static locale_t locale;
  if (!locale) locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  return locale;
}

// Decodes the character at `p`; its size, or 0 when the bytes are no UTF-8.
static size_t decode(const char *p, size_t size, wchar_t *out) {
  mbstate_t state = {0};
  size_t n = mbrtowc(out, p, size, &state);
  if (n == 0) return *out = L'\0', 1;
  return n == (size_t)-1 || n == (size_t)-2 ? 0 : n;
}

// Switches marks that reorder what a reader sees: a name could pretend to be another.
static bool is_override(wchar_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

// How many of the bytes are printable ASCII, from the first one on.
static size_t count_plain(const char *text, size_t size) {
  size_t i = 0;
  while (i < size && text[i] >= ' ' && text[i] < 127) i++;
  return i;
}

static void add_escaped(fl_cli_text *t, const char *p, size_t size) {
  for (size_t i = 0; i < size; i++) fl_cli_text_addf(t, "\\x%02x", (unsigned)(unsigned char)p[i]);
}

void fl_cli_text_clean(fl_cli_text *t, const char *text, size_t size, bool lines) {
  size_t plain = count_plain(text, size);
  fl_cli_text_add(t, text, plain);
  if (plain == size) return;
  locale_t before = uselocale(utf8_locale());
  for (size_t i = plain; i < size;) {
    wchar_t c;
    plain = count_plain(text + i, size - i);
    fl_cli_text_add(t, text + i, plain);
    if ((i += plain) == size) break;
    size_t n = decode(text + i, size - i, &c);
    if (n == 0)
      add_escaped(t, text + i, n = 1);
    else if (c == L'\n' || c == L'\t')
      fl_cli_text_add(t, lines ? text + i : " ", 1);
    else if (c == L'\r')
      fl_cli_text_add(t, "\\r", 2);
    else if (iswprint((wint_t)c) && !is_override(c))
      fl_cli_text_add(t, text + i, n);
    else
      add_escaped(t, text + i, n);
    i += n;
  }
  uselocale(before);
}

// Columns of the character at `p`; a tab or new line counts as one.
static size_t char_width(const char *p, size_t size, size_t *bytes) {
  wchar_t c;
  size_t n = decode(p, size, &c);
  *bytes = n ? n : 1;
  int width = n ? wcwidth(c) : 1;
  return width < 0 ? 1 : (size_t)width;
}

size_t fl_cli_text_width(const char *text, size_t size) {
  if (count_plain(text, size) == size) return size;
  locale_t before = uselocale(utf8_locale());
  size_t width = 0, bytes;
  for (size_t i = 0; i < size; i += bytes) width += char_width(text + i, size - i, &bytes);
  uselocale(before);
  return width;
}

size_t fl_cli_text_cut(fl_cli_text *t, const char *text, size_t size, size_t columns) {
  size_t width = fl_cli_text_width(text, size);
  if (width <= columns) return fl_cli_text_add(t, text, size), width;
  if (columns == 0) return 0;
  locale_t before = uselocale(utf8_locale());
  size_t kept = 0, at = 0, bytes;
  while (at < size) {
    size_t w = char_width(text + at, size - at, &bytes);
    if (kept + w > columns - 1) break;
    kept += w;
    at += bytes;
  }
  uselocale(before);
  fl_cli_text_add(t, text, at);
  fl_cli_text_add_str(t, "…");
  return kept + 1;
}

// ------------------------------------------------------------------------------------- lines

// Bytes of an escape that switches a style, at `p`; 0: there is none.
static size_t style_size(const char *p, size_t size) {
  if (size < 3 || p[0] != '\x1b' || p[1] != '[') return 0;
  size_t n = 2;
  while (n < size && ((p[n] >= '0' && p[n] <= '9') || p[n] == ';')) n++;
  return n < size && p[n] == 'm' ? n + 1 : 0;
}

#define LEAD_MAX 8 // what is set in so far is set in no further

// Where what a line is about begins: behind the last gap of two blanks or more that is not too far
// to the right, else four columns behind where the line begins.
static size_t hanging_indent(const char *line, size_t size, size_t columns) {
  size_t at = 0, width = 0, lead = 0, blanks = 0, found = 0, bytes;
  while (at < size && line[at] == ' ') at++;
  lead = width = at;
  while (at < size && width <= columns / 2) {
    size_t style = style_size(line + at, size - at);
    if (style > 0) {
      at += style;
      continue;
    }
    if (line[at] != ' ' && blanks >= 2) found = width;
    blanks = line[at] == ' ' ? blanks + 1 : 0;
    width += char_width(line + at, size - at, &bytes);
    at += bytes;
  }
  if (found > 0) return found;
  return lead >= LEAD_MAX ? lead : lead + 4 < columns / 2 ? lead + 4 : 0;
}

// Commands and what programs printed are for copying: a new line within would be another text.
static bool is_for_copying(const char *line, size_t size) {
  static const char *const starts[] = {"flowlua ", "log: ", "resume: ", "see: ", "watch: ", "| "};
  size_t at = 0;
  while (at < size && line[at] == ' ') at++;
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
    size_t n = strlen(starts[i]);
    // A command stands set in; with a gap behind it it is a row of a list.
    if (size - at >= n && memcmp(line + at, starts[i], n) == 0)
      return i > 0 || (at > 0 && !memmem(line + at, size - at, "  ", 2));
  }
  return false;
}

static void wrap_line(fl_cli_text *t, const char *line, size_t size, size_t columns,
                      size_t indent) {
  size_t width = 0, begin = 0, blank = 0, bytes; // of the row; of its last blank, 0: none
  bool first = true;
  for (size_t at = 0; at < size;) {
    size_t style = style_size(line + at, size - at);
    if (style > 0) {
      at += style;
      continue;
    }
    size_t w = char_width(line + at, size - at, &bytes);
    // A blank within the indentation is no place to break.
    if (line[at] == ' ' && width > (first ? indent : 0)) blank = at;
    if (width + w > columns - (first ? 0 : indent)) {
      size_t end = blank > begin ? blank : at;
      size_t kept = end;
      while (kept > begin && line[kept - 1] == ' ') kept--;
      fl_cli_text_add(t, line + begin, kept - begin);
      fl_cli_text_add(t, "\n", 1);
      fl_cli_text_pad(t, indent);
      while (end < size && line[end] == ' ') end++;
      at = begin = end;
      width = blank = 0;
      first = false;
      continue;
    }
    width += w;
    at += bytes;
  }
  fl_cli_text_add(t, line + begin, size - begin);
}

void fl_cli_text_fold(fl_cli_text *t, const char *text, size_t size, size_t columns) {
  locale_t before = uselocale(utf8_locale());
  wrap_line(t, text, size, columns, 0);
  uselocale(before);
}

void fl_cli_text_wrap(fl_cli_text *t, const char *text, size_t size, size_t columns) {
  locale_t before = uselocale(utf8_locale());
  for (size_t at = 0; at < size;) {
    const char *end = memchr(text + at, '\n', size - at);
    size_t n = end ? (size_t)(end - text) - at : size - at;
    if (n <= columns || columns < 20 || is_for_copying(text + at, n))
      fl_cli_text_add(t, text + at, n);
    else
      wrap_line(t, text + at, n, columns, hanging_indent(text + at, n, columns));
    if (end) fl_cli_text_add(t, "\n", 1);
    at += n + (end != NULL);
  }
  uselocale(before);
}

// As a pair of surrogates past U+FFFF.
static void add_json_escape(fl_cli_text *t, uint32_t c) {
  if (c > 0xFFFF)
    fl_cli_text_addf(t, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + (c & 0x3FF));
  else
    fl_cli_text_addf(t, "\\u%04x", c);
}

static void add_json_text(fl_cli_text *t, const char *text, size_t size) {
  fl_cli_text_add(t, "\"", 1);
  locale_t before = uselocale(utf8_locale());
  for (size_t i = 0; i < size;) {
    unsigned char c = (unsigned char)text[i];
    wchar_t wide;
    size_t n = c < 0x80 ? 1 : decode(text + i, size - i, &wide);
    if (n == 0)
      fl_cli_text_add_str(t, "\uFFFD"), n = 1;
    else if (c == '"' || c == '\\')
      fl_cli_text_addf(t, "\\%c", c);
    else if (c == '\n')
      fl_cli_text_add(t, "\\n", 2);
    else if (c == '\t')
      fl_cli_text_add(t, "\\t", 2);
    else if (c < 0x20 || c == 0x7F || (n > 1 && (!iswprint((wint_t)wide) || is_override(wide))))
      add_json_escape(t, n > 1 ? (uint32_t)wide : c);
    else
      fl_cli_text_add(t, text + i, n);
    i += n;
  }
  uselocale(before);
  fl_cli_text_add(t, "\"", 1);
}

static bool is_utf8(const char *data, size_t size) {
  wchar_t wide;
  bool good = true;
  locale_t before = uselocale(utf8_locale());
  for (size_t i = 0, n; i < size && good; i += n) {
    n = (unsigned char)data[i] < 0x80 ? 1 : decode(data + i, size - i, &wide);
    good = n > 0;
  }
  uselocale(before);
  return good;
}

// RFC 4648, 4.
static void add_base64(fl_cli_text *t, const char *data, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *p = (const unsigned char *)data;
  for (size_t i = 0; i < size; i += 3) {
    uint32_t group = (uint32_t)p[i] << 16 | (i + 1 < size ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < size ? p[i + 2] : 0);
    char four[4] = {digits[group >> 18], digits[group >> 12 & 63],
                    i + 1 < size ? digits[group >> 6 & 63] : '=',
                    i + 2 < size ? digits[group & 63] : '='};
    fl_cli_text_add(t, four, 4);
  }
}

void fl_cli_text_json_bytes(fl_cli_text *t, const char *data, size_t size) {
  if (is_utf8(data, size)) {
    add_json_text(t, data, size);
    return;
  }
  fl_cli_text_add_str(t, "{\"$bytes\":\"");
  add_base64(t, data, size);
  fl_cli_text_add_str(t, "\"}");
}

void fl_cli_text_json(fl_cli_text *t, const char *text) {
  add_json_text(t, text, strlen(text));
}

void fl_cli_text_bytes(fl_cli_text *t, int64_t bytes) {
  static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
  double n = (double)bytes;
  size_t unit = 0;
  for (; n >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++) n /= 1000;
  fl_cli_text_addf(t, unit && n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

void fl_cli_text_quote(fl_cli_text *t, const char *word) {
  static const char safe[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
  if (*word && word[strspn(word, safe)] == '\0') {
    fl_cli_text_add_str(t, word);
    return;
  }
  fl_cli_text_add(t, "'", 1);
  for (const char *p = word; *p; p++)
    if (*p == '\'')
      fl_cli_text_add_str(t, "'\\''");
    else
      fl_cli_text_add(t, p, 1);
  fl_cli_text_add(t, "'", 1);
}
