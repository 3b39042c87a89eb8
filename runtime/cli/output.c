// Where text goes: stdout through one buffer, messages to stderr, colours, and the times of a
// reader.
#include "cli.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OUT_FLUSH       (64u << 10) // a pipe's size: more at once gains nothing
#define COLUMNS_DEFAULT 80

static struct {
  fl_cli_text out;
  bool colors, gone;
  bool keeps_lines;
  int error; // why what was printed did not arrive; 0: it did
  void (*make_room)(void);
} output;

void fl_cli_output_init(const char *color) {
  const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
  if (color && strcmp(color, "always") == 0)
    output.colors = true;
  else if (color && strcmp(color, "never") == 0)
    output.colors = false;
  else
    output.colors =
        isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

fl_cli_text *fl_cli_out(void) {
  return &output.out;
}

bool fl_cli_out_is_terminal(void) {
  const char *term = getenv("TERM");
  return isatty(STDOUT_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

bool fl_cli_out_is_gone(void) {
  return output.gone;
}

void fl_cli_printf(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fl_cli_text_vaddf(&output.out, fmt, args);
  va_end(args);
}

void fl_cli_print_clean(const char *text, bool lines) {
  fl_cli_text_clean(&output.out, text, strlen(text), lines);
}

void fl_cli_open_closed(void) {
  // The next file that is opened would be taken for it. The lowest number is the one that is free.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!open("/dev/null", O_RDWR);
}

int fl_cli_output_error(void) {
  return output.error;
}

static bool write_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data += n;
    size -= (size_t)n;
  }
  return true;
}

static void write_out(const char *data, size_t size) {
  if (output.gone || write_all(STDOUT_FILENO, data, size)) return;
  output.gone = true;
  output.error = errno;
  // Who reads no more knows it; a full disk is news.
  if (errno != EPIPE) fl_cli_usage("cannot write to stdout: %s", strerror(errno));
}

void fl_cli_output_set_room(void (*make_room)(void)) {
  output.make_room = make_room;
}

// As many whole lines as OUT_FLUSH holds, at least one.
static size_t measure_piece(const char *data, size_t size) {
  if (size <= OUT_FLUSH) return size;
  const char *end = memrchr(data, '\n', OUT_FLUSH);
  if (!end) end = memchr(data, '\n', size);
  return end ? (size_t)(end - data) + 1 : size;
}

size_t fl_cli_out_columns(void) {
  struct winsize size = {0};
  if (!fl_cli_out_is_terminal()) return 0;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : COLUMNS_DEFAULT;
}

void fl_cli_output_keep_lines(void) {
  fl_cli_flush();
  output.keeps_lines = true;
}

void fl_cli_flush(void) {
  size_t columns = output.out.size > 0 && !output.keeps_lines ? fl_cli_out_columns() : 0;
  if (columns > 0) {
    fl_cli_text wrapped = {0};
    fl_cli_text_wrap(&wrapped, output.out.data, output.out.size, columns);
    fl_cli_text_deinit(&output.out);
    output.out = wrapped;
  }
  fl_cli_flush_raw();
}

void fl_cli_flush_raw(void) {
  fl_cli_text *out = &output.out;
  for (size_t done = 0; done < out->size && !output.gone;) {
    const char *data = out->data + done;
    size_t size = out->size - done;
    if (output.make_room) {
      output.make_room();
      size = measure_piece(data, size);
    }
    write_out(data, size);
    done += size;
  }
  out->size = 0;
}

// Inside JSON these bytes stand in strings only, where an escape says the same.
void fl_cli_print_json(const char *json) {
  fl_cli_output_keep_lines();
  fl_cli_text *out = &output.out;
  size_t size = strlen(json), done = 0;
  bool terminal = isatty(STDOUT_FILENO);
  for (size_t i = 0; i < size && terminal; i++) {
    const unsigned char *c = (const unsigned char *)json + i;
    bool control = *c == 0xC2 && c[1] < 0xA0;
    bool turn = *c == 0xE2 && ((c[1] == 0x80 && c[2] >= 0xAA && c[2] <= 0xAE) ||
                               (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9));
    if (*c != 0x7F && !control && !turn) continue;
    fl_cli_text_add(out, json + done, i - done);
    unsigned code = turn ? 0x2000u + ((c[1] & 0x3Fu) << 6) + (c[2] & 0x3Fu) : control ? c[1] : *c;
    fl_cli_text_addf(out, "\\u%04x", code);
    i += turn ? 2 : control ? 1 : 0;
    done = i + 1;
  }
  if (size - done >= OUT_FLUSH) { // a run of 100,000 nodes is 40 MB: not copied once more
    fl_cli_flush();
    write_out(json + done, size - done);
    done = size;
  }
  fl_cli_text_add(out, json + done, size - done);
  fl_cli_text_add(out, "\n", 1);
}

void fl_cli_flush_some(void) {
  if (output.out.size >= OUT_FLUSH) fl_cli_flush();
}

const char *fl_cli_style_text(fl_cli_style style) {
  static const char *const texts[] = {
      [FL_STYLE_NONE] = "\x1b[0m",  [FL_STYLE_BOLD] = "\x1b[1m",   [FL_STYLE_DIM] = "\x1b[2m",
      [FL_STYLE_RED] = "\x1b[31m",  [FL_STYLE_GREEN] = "\x1b[32m", [FL_STYLE_YELLOW] = "\x1b[33m",
      [FL_STYLE_CYAN] = "\x1b[36m",
  };
  return output.colors ? texts[style] : "";
}

fl_cli_style fl_cli_style_of_status(const char *status) {
  static const struct {
    const char *status;
    fl_cli_style style;
  } styles[] = {
      {"succeeded", FL_STYLE_GREEN},     {"failed", FL_STYLE_RED},
      {"upstream_failed", FL_STYLE_DIM}, {"running", FL_STYLE_CYAN},
      {"retrying", FL_STYLE_YELLOW},     {"waiting", FL_STYLE_YELLOW},
      {"cancelled", FL_STYLE_YELLOW},    {"skipped", FL_STYLE_DIM},
      {"omitted", FL_STYLE_DIM},         {"pending", FL_STYLE_DIM},
      {"queued", FL_STYLE_DIM},          {"interrupted", FL_STYLE_YELLOW},
  };
  for (size_t i = 0; i < sizeof styles / sizeof *styles; i++)
    if (strcmp(status, styles[i].status) == 0) return styles[i].style;
  return FL_STYLE_NONE;
}

bool fl_cli_status_is_final(const char *status) {
  bool final = false;
  const char *name;
  for (size_t i = 0; (name = fl_status_name(i, &final)) != NULL; i++)
    if (strcmp(status, name) == 0) return final;
  return false;
}

bool fl_cli_status_is_over(const char *status) {
  return fl_cli_status_is_final(status) || strcmp(status, "interrupted") == 0;
}

void fl_cli_tally_add(fl_cli_tally *t, const char *status) {
  const char *name;
  for (size_t i = 0; i < FL_CLI_STATUS_MAX && (name = fl_status_name(i, NULL)) != NULL; i++)
    t->counts[i] += strcmp(status, name) == 0;
}

size_t fl_cli_tally_get(const fl_cli_tally *t, const char *status) {
  const char *name;
  for (size_t i = 0; i < FL_CLI_STATUS_MAX && (name = fl_status_name(i, NULL)) != NULL; i++)
    if (strcmp(status, name) == 0) return t->counts[i];
  return 0;
}

void fl_cli_tally_write(const fl_cli_tally *t, fl_cli_text *out) {
  const char *sign = ": ";
  for (size_t i = 0; i < FL_CLI_STATUS_MAX; i++) {
    if (t->counts[i] == 0) continue;
    fl_cli_text_addf(out, "%s%zu %s", sign, t->counts[i], fl_status_name(i, NULL));
    sign = ", ";
  }
}

// One line to stderr in one write, after what stdout has to say.
static void message(const char *prefix, const char *fmt, va_list args) {
  fl_cli_text raw = {0}, line = {0};
  fl_cli_text_vaddf(&raw, fmt, args);
  fl_cli_text_add_str(&line, prefix);
  fl_cli_text_clean(&line, raw.data, raw.size, true);
  fl_cli_text_add(&line, "\n", 1);
  struct winsize size = {0};
  if (isatty(STDERR_FILENO) && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    fl_cli_text wrapped = {0};
    fl_cli_text_wrap(&wrapped, line.data, line.size, size.ws_col);
    fl_cli_text_deinit(&line);
    line = wrapped;
  }
  if (!output.gone) fl_cli_flush();
  // When stderr is gone too there is nobody left to tell.
  (void)write_all(STDERR_FILENO, line.data, line.size);
  fl_cli_text_deinit(&raw);
  fl_cli_text_deinit(&line);
}

void fl_cli_note(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  message("", fmt, args);
  va_end(args);
}

void fl_cli_notices(const fl_script *script) {
  for (const char *line = fl_script_get_notices(script); *line;) {
    int size = (int)strcspn(line, "\n");
    fl_cli_note("notice: %.*s", size, line);
    line += size + (line[size] == '\n');
  }
}

int fl_cli_usage(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  message("flowlua: ", fmt, args);
  va_end(args);
  return FL_EXIT_USAGE;
}

int fl_cli_fail(const fl_error *err) {
  fl_cli_usage("%s", err->message);
  switch (err->code) {
  case FL_OK: return FL_EXIT_OK;
  case FL_E_USAGE:
  case FL_E_SCRIPT:
  case FL_E_NOT_FOUND:
  case FL_E_LIMIT:
  case FL_E_STATE: return FL_EXIT_USAGE;
  case FL_E_BUSY:
  case FL_E_STORE:
  case FL_E_FULL:
  case FL_E_CORRUPT:
  case FL_E_NEWER:
  case FL_E_UNKNOWN:
  case FL_E_FENCED:
  case FL_E_SYSTEM:
  case FL_E_SPAWN: return FL_EXIT_SYSTEM;
  }
  return FL_EXIT_SYSTEM;
}

// ------------------------------------------------------------------------------------- times

static int64_t read_clock(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t fl_cli_wall_ms(void) {
  return read_clock(CLOCK_REALTIME);
}

int64_t fl_cli_monotonic_ms(void) {
  return read_clock(CLOCK_MONOTONIC);
}

static void format_local(int64_t wall_ms, const char *format, char *out, size_t size) {
  time_t seconds = (time_t)(wall_ms / 1000);
  struct tm parts;
  if (!localtime_r(&seconds, &parts) || strftime(out, size, format, &parts) == 0)
    snprintf(out, size, "?");
}

void fl_cli_local_time(int64_t wall_ms, char out[32]) {
  if (wall_ms == 0)
    snprintf(out, 32, "-");
  else
    format_local(wall_ms, "%Y-%m-%d %H:%M:%S", out, 32);
}

void fl_cli_local_minute(int64_t wall_ms, char out[32]) {
  char now[32];
  fl_cli_local_time(wall_ms, out);
  fl_cli_local_time(fl_cli_wall_ms(), now);
  enum { YEAR = 5, MINUTE = 16 }; // where "2026-01-31 23:59:59" may be cut
  if (wall_ms == 0) return;
  out[MINUTE] = '\0';
  if (memcmp(out, now, YEAR) == 0) memmove(out, out + YEAR, strlen(out + YEAR) + 1);
}

void fl_cli_local_clock(int64_t wall_ms, char out[16]) {
  // Thousands of events share a second.
  static int64_t last_second = -1;
  static char last[16];
  if (wall_ms / 1000 != last_second) format_local(wall_ms, "%H:%M:%S", last, sizeof last);
  last_second = wall_ms / 1000;
  memcpy(out, last, sizeof last);
}

int64_t fl_cli_time_of(const char *text) {
  int64_t ms;
  return text && fl_time_parse(text, &ms) ? ms : 0;
}
