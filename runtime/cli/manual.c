// flowlua help TOPIC: what the reference says of an option, a node type, a function, or a section.
// The page itself is in the binary (docs/reference.md): there is no second text that could differ.
#include "manual.h"
#include <ctype.h>

#define TOPICS_MAX     2048
#define NAME_MAX_BYTES 64
#define LEVELS         6

// Its first byte, and the one behind its last: FL_REFERENCE is the path of the page.
__asm__(".section .rodata\n"
        "fl_cli_reference_begin:\n"
        ".incbin \"" FL_REFERENCE "\"\n"
        "fl_cli_reference_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char fl_cli_reference_begin[] __attribute__((visibility("hidden")));
extern const char fl_cli_reference_end[] __attribute__((visibility("hidden")));

typedef struct line {
  const char *text;
  size_t size;
} line;

static bool next_line(const char **at, line *out) {
  if (*at >= fl_cli_reference_end) return false;
  const char *end = memchr(*at, '\n', (size_t)(fl_cli_reference_end - *at));
  if (!end) end = fl_cli_reference_end;
  *out = (line){*at, (size_t)(end - *at)};
  *at = end + 1;
  return true;
}

static bool begins_with(line l, const char *text) {
  size_t n = strlen(text);
  return l.size >= n && memcmp(l.text, text, n) == 0;
}

// How deep a heading is, 0: it is none. `*out` is its text.
static size_t heading_of(line l, line *out) {
  size_t level = 0;
  while (level < l.size && level < LEVELS && l.text[level] == '#') level++;
  if (level == 0 || level == l.size || l.text[level] != ' ') return 0;
  *out = (line){l.text + level + 1, l.size - level - 1};
  return level;
}

// Without the marks of Markdown: "`a|b`", "**text**", "[text](link)".
static void add_plain(fl_cli_text *t, line l) {
  for (size_t i = 0; i < l.size; i++) {
    char c = l.text[i];
    if (c == '`') continue;
    if (c == '*' && i + 1 < l.size && l.text[i + 1] == '*') {
      i++;
    } else if (c == '\\' && i + 1 < l.size && l.text[i + 1] == '|') {
      continue;
    } else if (c == ']' && i + 1 < l.size && l.text[i + 1] == '(') {
      while (i < l.size && l.text[i] != ')') i++;
    } else if (c != '[' || !memmem(l.text + i, l.size - i, "](", 2)) {
      fl_cli_text_add(t, &c, 1);
    }
  }
}

// The next cell of a row of a table; false: there is none.
static bool next_cell(line *row, line *out) {
  size_t at = 0;
  if (row->size < 2 || row->text[0] != '|') return false;
  for (at = 1; at < row->size && (row->text[at] != '|' || row->text[at - 1] == '\\');) at++;
  const char *from = row->text + 1, *to = row->text + at;
  while (from < to && *from == ' ') from++;
  while (to > from && to[-1] == ' ') to--;
  *out = (line){from, (size_t)(to - from)};
  *row = (line){row->text + at, row->size - at};
  return true;
}

// "name  type, default X: what it is", or the cells as they are. Rows of dashes, and titles of
// columns, have nothing to say.
static void print_row(line row) {
  line cells[4] = {{0}};
  size_t count = 0;
  while (count < 4 && next_cell(&row, &cells[count])) count++;
  if (count < 2 || begins_with(cells[0], "---") || cells[0].text[0] != '`') return;
  fl_cli_text *out = fl_cli_out();
  fl_cli_text_add_str(out, "  ");
  fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_CYAN));
  add_plain(out, cells[0]);
  fl_cli_text_add_str(out, fl_cli_style_text(FL_STYLE_NONE));
  fl_cli_text_add_str(out, "  ");
  add_plain(out, cells[1]);
  if (count == 4) {
    bool required = begins_with(cells[2], "required");
    fl_cli_text_add_str(out, required ? ", " : ", default ");
    add_plain(out, cells[2]);
  }
  if (count > 2 && cells[count - 1].size > 0) {
    fl_cli_text_add_str(out, cells[1].size > 0 ? ": " : "");
    add_plain(out, cells[count - 1]);
  }
  fl_cli_text_add(out, "\n", 1);
}

static void print_title(line title) {
  fl_cli_printf("%s", fl_cli_style_text(FL_STYLE_BOLD));
  add_plain(fl_cli_out(), title);
  fl_cli_printf("%s\n", fl_cli_style_text(FL_STYLE_NONE));
}

// From a heading to the next one that is no deeper. Lines of a paragraph become one, which is then
// broken where the window ends.
static void print_section(const char *at, size_t level, line title) {
  bool code = false, open = false, blank = true;
  line l, text;
  print_title(title);
  while (next_line(&at, &l)) {
    size_t deeper = code ? 0 : heading_of(l, &text);
    if (deeper > 0 && deeper <= level) break;
    bool fence = begins_with(l, "```"), list = begins_with(l, "- ");
    bool ends = l.size == 0 || fence || deeper || code || list || l.text[0] == '|';
    if (open && ends) fl_cli_printf("\n"), open = false;
    if (fence) {
      code = !code;
    } else if (code) {
      fl_cli_printf("    %.*s\n", (int)l.size, l.text);
    } else if (l.size == 0) {
      if (!blank) fl_cli_printf("\n");
    } else if (deeper) {
      print_title(text);
    } else if (l.text[0] == '|') {
      print_row(l);
    } else if (!begins_with(l, "<!--")) {
      if (open) fl_cli_printf(" ");
      while (l.size > 0 && l.text[0] == ' ') l.text++, l.size--;
      add_plain(fl_cli_out(), l);
      open = true;
    } else {
      continue;
    }
    blank = l.size == 0;
  }
  if (open) fl_cli_printf("\n");
}

// ------------------------------------------------------------------------------------- names

// "retries" of "`retries`", "sleep" of "`ctx:sleep(seconds)`": what stands behind the last sign.
static void name_of(line cell, char out[NAME_MAX_BYTES]) {
  size_t n = 0;
  for (size_t i = 0; i < cell.size && n + 1 < NAME_MAX_BYTES; i++) {
    char c = cell.text[i];
    if (c == '(' || c == ' ' || c == ',' || (c == '`' && i > 0)) break;
    n = c == '`' || c == '.' || c == ':' ? 0 : n;
    if (c != '`' && c != '.' && c != ':') out[n++] = c;
  }
  out[n] = '\0';
}

static bool same_title(line title, const char *topic) {
  fl_cli_text plain = {0};
  add_plain(&plain, title);
  const char *text = fl_cli_text_cstr(&plain);
  bool same = strcasecmp(text, topic) == 0 ||
              (strncmp(text, "flow.", 5) == 0 && strcasecmp(text + 5, topic) == 0) ||
              (strncasecmp(text, "the ", 4) == 0 &&
               strncasecmp(text + 4, topic, strlen(topic)) == 0 && text[4 + strlen(topic)] == ' ');
  fl_cli_text_deinit(&plain);
  return same;
}

static bool print_rows(const char *topic) {
  const char *at = fl_cli_reference_begin;
  char name[NAME_MAX_BYTES];
  line l, text, title = {0}, shown = {0}, cell;
  bool code = false;
  while (next_line(&at, &l)) {
    if (begins_with(l, "```")) code = !code;
    if (!code && heading_of(l, &text)) title = text;
    line row = l;
    if (!next_cell(&row, &cell) || cell.size == 0 || cell.text[0] != '`') continue;
    name_of(cell, name);
    if (strcmp(name, topic) != 0) continue;
    if (shown.text && shown.text != title.text) fl_cli_printf("\n");
    if (shown.text != title.text) print_title(title);
    shown = title;
    print_row(l);
  }
  return shown.text != NULL;
}

// All that may be asked for, each once a place; free() the names and the list.
static char **list_topics(size_t *count) {
  const char *at = fl_cli_reference_begin;
  char name[NAME_MAX_BYTES], **list = fl_cli_alloc(TOPICS_MAX, sizeof *list);
  line l, text, cell;
  *count = 0;
  while (next_line(&at, &l) && *count < TOPICS_MAX) {
    line row = l;
    *name = '\0';
    if (heading_of(l, &text) && begins_with(text, "flow."))
      snprintf(name, sizeof name, "%.*s", (int)text.size - 5, text.text + 5);
    else if (next_cell(&row, &cell) && cell.size > 0 && cell.text[0] == '`')
      name_of(cell, name);
    if (*name && !(list[(*count)++] = strdup(name))) abort();
  }
  return list;
}

bool fl_cli_manual_print(const char *topic) {
  const char *at = fl_cli_reference_begin;
  line l, title;
  bool code = false;
  if (strncmp(topic, "flow.", 5) == 0 || strncmp(topic, "ctx.", 4) == 0 ||
      strncmp(topic, "ctx:", 4) == 0)
    topic += strcspn(topic, ".:") + 1;
  while (next_line(&at, &l)) {
    if (begins_with(l, "```")) code = !code;
    size_t level = code ? 0 : heading_of(l, &title);
    if (level == 0 || !same_title(title, topic)) continue;
    print_section(at, level, title);
    return true;
  }
  return print_rows(topic);
}

char *fl_cli_manual_suggest(const char *topic) {
  size_t count;
  char **list = list_topics(&count);
  const char *meant = fl_suggest(topic, (const char *const *)list, count);
  char *copy = meant ? strdup(meant) : NULL;
  for (size_t i = 0; i < count; i++) free(list[i]);
  free(list);
  return copy;
}
