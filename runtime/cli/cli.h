// What the files of this folder share. They use flowlua.h, jansson and libc only: what the command
// line cannot say through flowlua.h, a host could not either.
//
// A verb is one file that defines its row (fl_cli_verb), and one line of FL_CLI_VERBS. Help,
// completion and suggestions come from the rows.
#pragma once
#include "flowlua.h"
#include <stdarg.h>

#define FL_CLI_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

// Exit codes, promised in docs/command-line.md.
enum {
  FL_EXIT_OK = 0,
  FL_EXIT_FAILED = 1,
  FL_EXIT_USAGE = 2,
  FL_EXIT_SYSTEM = 3,
  FL_EXIT_WAITING = 4,
};

// ------------------------------------------------------------------------------------- verbs

/// An option; a table of them ends with a row without name.
typedef struct fl_cli_option {
  const char *name;    // without the dashes
  const char *value;   // what help calls its value; NULL: it takes none
  const char *help;    // half a sentence
  const char *choices; // "auto always never": nothing else is accepted; NULL: anything
} fl_cli_option;

typedef struct fl_cli fl_cli;

typedef struct fl_cli_verb {
  const char *name;
  const char *words;   // what follows it, for help and completion: "FILE [ARG]..."
  const char *summary; // half a sentence
  size_t word_count_min, word_count_max;
  const fl_cli_option *options;
  const char *example; // lines
  int (*run)(const fl_cli *cli);
} fl_cli_verb;

// In the order of help.
#define FL_CLI_VERBS(X)                                                                            \
  X(run)                                                                                           \
  X(check)                                                                                         \
  X(graph)                                                                                         \
  X(next)                                                                                          \
  X(resume)                                                                                        \
  X(replay)                                                                                        \
  X(cancel)                                                                                        \
  X(runs)                                                                                          \
  X(show)                                                                                          \
  X(watch)                                                                                         \
  X(logs)                                                                                          \
  X(context)                                                                                       \
  X(diff)                                                                                          \
  X(blame)                                                                                         \
  X(why)                                                                                           \
  X(breakpoint)                                                                                    \
  X(explain)                                                                                       \
  X(proposals)                                                                                     \
  X(prune)                                                                                         \
  X(init)                                                                                          \
  X(completion)                                                                                    \
  X(version)                                                                                       \
  X(help)

#define X(name) extern const fl_cli_verb fl_cli_verb_##name;
FL_CLI_VERBS(X)
#undef X

/// Ends with NULL.
extern const fl_cli_verb *const fl_cli_verbs[];
/// Options that every verb takes.
extern const fl_cli_option fl_cli_global_options[];

const fl_cli_verb *fl_cli_verb_find(const char *name); // NULL: there is none
const fl_cli_option *fl_cli_option_find(const fl_cli_option *table, const char *name, size_t size);
void fl_cli_help_print(const fl_cli_verb *verb); // NULL: of all
const char *fl_cli_letter_name(char letter);     // "jobs" of 'j'; NULL: short for nothing
char fl_cli_name_letter(const char *name);       // 'j' of "jobs"; '\0': it has none

// ------------------------------------------------------------------------------------- command
// line

typedef struct fl_cli_value {
  const fl_cli_option *option;
  const char *text; // NULL for one that takes none
} fl_cli_value;

/// Index of the first word that is no option nor the value of one, or argc.
int fl_cli_first_word(int argc, char *const argv[]);
/// Whether a word is meant as the name of a file.
bool fl_cli_is_file_word(const char *word);
/// `flowlua --complete WORD...`: what the last word, which may be empty, could become, a line each
/// (complete.c). What the scripts of `flowlua completion` ask.
int fl_cli_complete(int argc, char *const argv[]);
/// `flowlua --man`: prints flowlua(1) from the verbs' rows (man.c), for the installation.
void fl_cli_print_man(void);

/// A parsed command line. All text is borrowed from argv.
struct fl_cli {
  const fl_cli_verb *verb;
  int argc; // the whole command line
  char *const *argv;
  const char **words;
  size_t word_count;
  size_t words_before_dashes; // how many of them stood before "--"
  fl_cli_value *values;
  size_t value_count;
};

/// Parses what follows the verb (its own word is left out), options also by their letters: "-j4",
/// "-j 4", "-nq". False: a message was printed.
FL_MUST bool fl_cli_parse(fl_cli *cli, const fl_cli_verb *verb, int argc, char *const argv[],
                          int verb_index);
void fl_cli_deinit(fl_cli *cli);
bool fl_cli_has(const fl_cli *cli, const char *option);
/// The last value given, or NULL.
const char *fl_cli_get(const fl_cli *cli, const char *option);
/// The value as a number from `min` to `max`, `*out` unchanged when not given. False: a message was
/// printed.
FL_MUST bool fl_cli_get_number(const fl_cli *cli, const char *option, int64_t min, int64_t max,
                               int64_t *out);
/// All values of an option; free() the list, not the texts. NULL and 0 when not given.
const char **fl_cli_get_all(const fl_cli *cli, const char *option, size_t *count);

/// Texts with an owner: the parts of comma lists.
typedef struct fl_cli_list {
  const char **items;
  size_t count;
  char *storage;
} fl_cli_list;
/// All values of an option, split at commas.
void fl_cli_list_init(fl_cli_list *list, const fl_cli *cli, const char *option);
void fl_cli_list_deinit(fl_cli_list *list);

// ------------------------------------------------------------------------------------- engine

typedef enum fl_cli_access {
  FL_CLI_READ,    // look only; nothing is created
  FL_CLI_WRITE,   // run: makes the state directory when there is none
  FL_CLI_CHANGE,  // resume, replay, cancel: it must be there
  FL_CLI_SCRIPT,  // only a script is looked at: no state is opened, nor made
  FL_CLI_SCRATCH, // an exported run is looked at: a state of its own that is gone afterwards
} fl_cli_access;

/// An open engine and what has to go with it.
typedef struct fl_cli_engine {
  fl_engine *engine;
  char *scratch; // directory to remove, or NULL
} fl_cli_engine;

/// Whether `word` means what comes on stdin.
bool fl_cli_is_stdin(const char *word);
/// As fl_script_load(), of a file, of "-" (stdin) or of what can be read only once (a pipe): then
/// its modules and nodes are in the folder where the program was started.
FL_MUST fl_code fl_cli_load_script(fl_engine *engine, const char *word, fl_script **out,
                                   fl_error *err);
/// The state directory by --state, $FLOWLUA_STATE, the nearest .flowlua here or above.
const char *fl_cli_state_dir(const fl_cli *cli);
/// Whether there is a store in it.
bool fl_cli_has_state(const fl_cli *cli);
/// By which the store's file is known; 0: there is none.
uint64_t fl_cli_store_inode(const fl_cli *cli);
/// Opens with the global options and `config`'s own fields (NULL: none). Returns FL_EXIT_OK, or the
/// exit code after a message was printed.
FL_MUST int fl_cli_engine_open(const fl_cli *cli, fl_cli_access how, const fl_config *config,
                               fl_cli_engine *out);
/// The same, but a state that is not there yet is no error: then out->engine is NULL.
FL_MUST int fl_cli_engine_open_existing(const fl_cli *cli, fl_cli_engine *out);
void fl_cli_engine_close(fl_cli_engine *e);
/// RUN where it is the first word and may be left out: that word, or "last".
const char *fl_cli_run_word(const fl_cli *cli);
/// RUN and the word behind it, of a verb where RUN alone may be left out ("[RUN] NODE"). False: the
/// one word there is names a run; a message was printed.
FL_MUST bool fl_cli_run_and_word(const fl_cli *cli, const char **run, const char **word);
/// As fl_cli_fail(); where the word that should be a run is a node of the last one, says so.
int fl_cli_fail_run(const fl_cli *cli, fl_engine *engine, const char *word, const fl_error *err);
/// The letters of a run's id that tell it from others: what tables show, and RUN may be.
const char *fl_cli_run_letters(const char *id);
/// Whether `word` is a file that holds an exported run (or was one).
bool fl_cli_is_export(const char *word);
/// Puts what the files of --env-file say into the environment, which nodes get. False: a message
/// was printed.
FL_MUST bool fl_cli_read_env_files(const fl_cli *cli);
/// "flowlua VERB RUN", with --state when it was given; safe to paste in a shell. free() it.
char *fl_cli_command(const fl_cli *cli, const char *verb, const char *run, const char *node);

// ------------------------------------------------------------------------------------- text

/// Growable text; running out of memory ends the process.
typedef struct fl_cli_text {
  char *data;
  size_t size, capacity;
} fl_cli_text;

void fl_cli_text_deinit(fl_cli_text *t);
/// A whole file, with a NUL behind it. Returns 0 or an errno.
FL_MUST int fl_cli_read_whole(const char *path, fl_cli_text *out);
/// A whole file that an option names, with a NUL behind it. False: a message was printed.
FL_MUST bool fl_cli_read_file(const char *option, const char *path, fl_cli_text *out);
void fl_cli_text_add(fl_cli_text *t, const char *data, size_t size);
void fl_cli_text_add_str(fl_cli_text *t, const char *text);
void fl_cli_text_addf(fl_cli_text *t, const char *fmt, ...) FL_CLI_PRINTF(2, 3);
void fl_cli_text_vaddf(fl_cli_text *t, const char *fmt, va_list args);
void fl_cli_text_pad(fl_cli_text *t, size_t columns);
const char *fl_cli_text_cstr(fl_cli_text *t); // borrowed until the next change
/// Appends text of any bytes so that a terminal only prints it: controls, bytes that are no UTF-8
/// and direction overrides become "\x1b". `lines`: a new line and a tab stay what they are; else
/// they become a space.
void fl_cli_text_clean(fl_cli_text *t, const char *text, size_t size, bool lines);
/// Columns that clean text takes.
size_t fl_cli_text_width(const char *text, size_t size);
/// Appends clean text, cut with "…" where it would pass `columns`; returns the columns it took.
size_t fl_cli_text_cut(fl_cli_text *t, const char *text, size_t size, size_t columns);
/// Appends clean text, which may have styles, with lines that are longer than `columns` broken at
/// blanks; what goes on is set in below what the line is about. Commands and logs stay whole.
void fl_cli_text_wrap(fl_cli_text *t, const char *text, size_t size, size_t columns);
/// Appends one line of it, broken at blanks, nothing set in.
void fl_cli_text_fold(fl_cli_text *t, const char *text, size_t size, size_t columns);
/// Appends a quoted JSON string; bytes that are no UTF-8 become U+FFFD.
void fl_cli_text_json(fl_cli_text *t, const char *text);
/// The same of `size` bytes; those that are no UTF-8 as {"$bytes":BASE64}.
void fl_cli_text_json_bytes(fl_cli_text *t, const char *data, size_t size);
/// Appends for people: "1.2 MB".
void fl_cli_text_bytes(fl_cli_text *t, int64_t bytes);
/// Appends a word as a shell reads it back.
void fl_cli_text_quote(fl_cli_text *t, const char *word);

// ------------------------------------------------------------------------------------- output

typedef enum fl_cli_style {
  FL_STYLE_NONE,
  FL_STYLE_BOLD,
  FL_STYLE_DIM,
  FL_STYLE_RED,
  FL_STYLE_GREEN,
  FL_STYLE_YELLOW,
  FL_STYLE_CYAN,
} fl_cli_style;

/// Decides on colours: "always", "never", or NULL and "auto": a terminal, and no NO_COLOR.
void fl_cli_output_init(const char *color);
/// What is waiting to be written to stdout; add to it, then fl_cli_flush() at the latest at the
/// end.
fl_cli_text *fl_cli_out(void);
void fl_cli_printf(const char *fmt, ...) FL_CLI_PRINTF(1, 2);
/// Prints text of any bytes, cleaned.
void fl_cli_print_clean(const char *text, bool lines);
/// Prints a JSON text as a line; on a terminal what could move its cursor is escaped.
void fl_cli_print_json(const char *json);
/// Columns of the terminal that stdout is; 0: it is none.
size_t fl_cli_out_columns(void);
/// What is printed from here on is somebody else's text, or JSON: no line of it is broken.
void fl_cli_output_keep_lines(void);
/// Writes what waits, lines broken at words where stdout is a terminal. What cannot be written is
/// dropped: of a reader that went away in silence.
void fl_cli_flush(void);
/// The same, as it is.
void fl_cli_flush_raw(void);
/// From now on `make_room` is called before each piece of at most 64 KiB (or one line) that is
/// written to stdout, which is a file that must not grow for ever. NULL: no more.
void fl_cli_output_set_room(void (*make_room)(void));
/// fl_cli_flush() when much waits.
void fl_cli_flush_some(void);
bool fl_cli_out_is_terminal(void);
bool fl_cli_out_is_gone(void); // the reader went away, or nothing can be written
/// Why what was printed did not arrive: an errno; 0: it did.
int fl_cli_output_error(void);
/// Opens those of stdin, stdout and stderr that are closed on /dev/null. Before any other file.
void fl_cli_open_closed(void);
/// Switches a style on (or all off with FL_STYLE_NONE): "" when there are no colours.
const char *fl_cli_style_text(fl_cli_style style);
fl_cli_style fl_cli_style_of_status(const char *status);
/// Of a run or a node: nothing more happens to it unless it is resumed.
bool fl_cli_status_is_final(const char *status);
/// Of a run: nobody executes it, so that nothing happens to it now.
bool fl_cli_status_is_over(const char *status);

#define FL_CLI_STATUS_MAX 32 // there are fewer (fl_status_name())

/// How many nodes are at which status.
typedef struct fl_cli_tally {
  size_t counts[FL_CLI_STATUS_MAX];
} fl_cli_tally;
void fl_cli_tally_add(fl_cli_tally *t, const char *status);
size_t fl_cli_tally_get(const fl_cli_tally *t, const char *status);
/// ": 3 succeeded, 1 failed", nothing for none.
void fl_cli_tally_write(const fl_cli_tally *t, fl_cli_text *out);

/// Prints "flowlua: <message>" to stderr; returns the exit code of `err->code`.
int fl_cli_fail(const fl_error *err);
/// The same for wrong usage; returns FL_EXIT_USAGE.
int fl_cli_usage(const char *fmt, ...) FL_CLI_PRINTF(1, 2);
/// What is doubtful in a script, to stderr.
void fl_cli_notices(const fl_script *script);
/// A line to stderr, cleaned.
void fl_cli_note(const char *fmt, ...) FL_CLI_PRINTF(1, 2);

/// A table for people: rows of cells, columns as wide as needed, the last one as it comes.
typedef struct fl_cli_table fl_cli_table;
/// `titles`: "name:status:>duration"; ">" aligns to the right.
fl_cli_table *fl_cli_table_new(const char *titles);
/// The next cell, any bytes (NULL: empty); a row ends by itself after as many cells as titles.
void fl_cli_table_add(fl_cli_table *table, const char *text, fl_cli_style style);
void fl_cli_table_addf(fl_cli_table *table, const char *fmt, ...) FL_CLI_PRINTF(2, 3);
/// Prints (nothing when there is no row) and frees.
void fl_cli_table_print(fl_cli_table *table);
void fl_cli_table_free(fl_cli_table *table); // NULL-safe

/// "2026-01-31 23:59:59" in the zone of the reader; "-" for 0.
void fl_cli_local_time(int64_t wall_ms, char out[32]);
/// "01-31 23:59", of another year than this "2025-12-31 23:59".
void fl_cli_local_minute(int64_t wall_ms, char out[32]);
/// "23:59:59".
void fl_cli_local_clock(int64_t wall_ms, char out[16]);
/// An RFC 3339 text of a JSON answer as milliseconds; 0 when it is none.
int64_t fl_cli_time_of(const char *text);
int64_t fl_cli_wall_ms(void);
int64_t fl_cli_monotonic_ms(void);

/// Memory that never runs out without ending the process.
void *fl_cli_alloc(size_t count, size_t size);
void *fl_cli_realloc(void *old, size_t size);

// ------------------------------------------------------------------------------------- mend.c

struct json_t;
/// Adds what a patch changes, in words: "load.timeout=1h, skip check".
void fl_cli_patch_describe(const struct json_t *patch, fl_cli_text *out);
/// A line for each of a run's patches.
void fl_cli_patches_print(const struct json_t *patches);
