// Scripts as the command line names them: files, and what is read only once (pipes, stdin).
#include "cli.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// Where a script without a path of its own would lie: here, so that its modules and nodes do.
#define STDIN_NAME "stdin.lua"

bool fl_cli_is_stdin(const char *word) {
  static const char *const names[] = {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(word, names[i])) return true;
  return false;
}

static bool is_read_once(const char *word) {
  struct stat st;
  return fl_cli_is_stdin(word) ||
         (stat(word, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)));
}

fl_code fl_cli_load_script(fl_engine *engine, const char *word, fl_script **out, fl_error *err) {
  if (!is_read_once(word)) return fl_script_load(engine, word, out, err);
  const char *path = strcmp(word, "-") == 0 ? "/dev/stdin" : word;
  fl_cli_text text = {0};
  *out = NULL;
  int error = fl_cli_read_whole(path, &text);
  fl_code code = FL_E_NOT_FOUND;
  if (error)
    snprintf(err->message, sizeof err->message, "cannot read '%s': %s", word, strerror(error));
  else
    code = fl_script_load_text(engine, STDIN_NAME, text.data, text.size, out, err);
  fl_cli_text_deinit(&text);
  return code;
}
