// Opens the engine as the command line says: state directory, helper, the language's files.
#include "cli.h"
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_NAME ".flowlua"

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const char *fl_cli_state_dir(const fl_cli *cli) {
  static char above[PATH_MAX + sizeof "/" STATE_NAME];
  const char *dir = fl_cli_get(cli, "state");
  if (!dir || !*dir) dir = getenv("FLOWLUA_STATE");
  if (dir && *dir) return dir;
  if (above[0] || is_folder(STATE_NAME) || !getcwd(above, PATH_MAX)) {
    if (!above[0]) return STATE_NAME;
    return above;
  }
  // As git does: the nearest one above.
  for (char *slash; (slash = strrchr(above, '/'));) {
    snprintf(slash, sizeof above - (size_t)(slash - above), "/" STATE_NAME);
    if (is_folder(above)) return above;
    *slash = '\0';
  }
  snprintf(above, sizeof above, STATE_NAME);
  return above;
}

// The path of this very binary: it is run again as supervisor and worker.
static bool find_helper(char out[PATH_MAX]) {
  ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
  if (n <= 0) return false;
  out[n] = '\0';
  // While the binary is replaced under a running one the kernel marks its path.
  static const char mark[] = " (deleted)";
  size_t size = (size_t)n, mark_size = sizeof mark - 1;
  if (size > mark_size && strcmp(out + size - mark_size, mark) == 0) out[size - mark_size] = '\0';
  return true;
}

static char *make_scratch(void) {
  const char *tmp = getenv("TMPDIR");
  fl_cli_text path = {0};
  fl_cli_text_addf(&path, "%s/flowlua-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  fl_cli_text_cstr(&path);
  if (mkdtemp(path.data)) return path.data;
  fl_cli_text_deinit(&path);
  return NULL;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st, (void)type, (void)at;
  (void)remove(path); // what cannot be removed stays: it is in the folder for temporary files
  return 0;
}

static fl_code open_engine(const fl_cli *cli, fl_cli_access how, const fl_config *config,
                           fl_cli_engine *out, fl_error *err) {
  char helper[PATH_MAX];
  fl_config c = {0};
  if (config) c = *config;
  c.size = sizeof c;
  c.state_dir = fl_cli_state_dir(cli);
  if (how == FL_CLI_SCRATCH) {
    out->scratch = make_scratch();
    if (out->scratch) c.state_dir = out->scratch;
  }
  if (find_helper(helper)) c.helper = helper;
  c.lua_dir = fl_cli_get(cli, "lua");
  if (!c.lua_dir) c.lua_dir = getenv("FLOWLUA_LUA");
  if (c.lua_dir && !*c.lua_dir) c.lua_dir = NULL;
  c.read_only = how == FL_CLI_READ || how == FL_CLI_SCRIPT;
  c.open_late |= how == FL_CLI_SCRIPT;
  c.own_process = true;
  return fl_engine_open(&c, &out->engine, err);
}

bool fl_cli_has_state(const fl_cli *cli) {
  fl_cli_text path = {0};
  fl_cli_text_addf(&path, "%s/flowlua.db", fl_cli_state_dir(cli));
  bool there = access(fl_cli_text_cstr(&path), F_OK) == 0;
  // A log alone is what is left of one: whoever opens it says so.
  fl_cli_text_add_str(&path, "-wal");
  if (!there) there = access(fl_cli_text_cstr(&path), F_OK) == 0;
  fl_cli_text_deinit(&path);
  return there;
}

uint64_t fl_cli_store_inode(const fl_cli *cli) {
  fl_cli_text path = {0};
  struct stat st;
  fl_cli_text_addf(&path, "%s/flowlua.db", fl_cli_state_dir(cli));
  bool there = stat(fl_cli_text_cstr(&path), &st) == 0;
  fl_cli_text_deinit(&path);
  return there ? (uint64_t)st.st_ino : 0;
}

int fl_cli_engine_open(const fl_cli *cli, fl_cli_access how, const fl_config *config,
                       fl_cli_engine *out) {
  fl_error err = {0};
  *out = (fl_cli_engine){0};
  // What is to be changed must be there: a mistyped --state makes no new one.
  if (how == FL_CLI_CHANGE && !fl_cli_has_state(cli))
    how = FL_CLI_READ; // says that it is not there
  if (open_engine(cli, how, config, out, &err) == FL_OK) return FL_EXIT_OK;
  fl_cli_engine_close(out);
  return fl_cli_fail(&err);
}

int fl_cli_engine_open_existing(const fl_cli *cli, fl_cli_engine *out) {
  fl_error err = {0};
  *out = (fl_cli_engine){0};
  fl_code code = open_engine(cli, FL_CLI_READ, NULL, out, &err);
  if (code == FL_OK || code == FL_E_NOT_FOUND) return FL_EXIT_OK;
  return fl_cli_fail(&err);
}

void fl_cli_engine_close(fl_cli_engine *e) {
  fl_engine_close(e->engine);
  if (e->scratch) nftw(e->scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
  free(e->scratch);
  *e = (fl_cli_engine){0};
}

const char *fl_cli_run_word(const fl_cli *cli) {
  return cli->word_count > 0 ? cli->words[0] : "last";
}

bool fl_cli_run_and_word(const fl_cli *cli, const char **run, const char **word) {
  *run = cli->word_count > 1 ? cli->words[0] : "last";
  *word = cli->words[cli->word_count - 1];
  // No node has such a name: ids begin with a digit.
  bool is_run = (**word >= '0' && **word <= '9') || strcmp(*word, "last") == 0 ||
                strncmp(*word, "last-", 5) == 0;
  if (cli->word_count > 1 || !is_run) return true;
  const char *name = strrchr(cli->verb->words, ' ');
  fl_cli_usage("%s is missing: flowlua %s %s", name ? name + 1 : cli->verb->words, cli->verb->name,
               cli->verb->words);
  return false;
}

typedef struct node_search {
  const char *name;
  bool found;
} node_search;

static bool see_node(void *ud, const fl_node_info *node) {
  node_search *s = ud;
  s->found = strcmp(node->name, s->name) == 0;
  return !s->found;
}

int fl_cli_fail_run(const fl_cli *cli, fl_engine *engine, const char *word, const fl_error *err) {
  node_search s = {.name = word};
  fl_error ignored;
  char id[32];
  bool unknown = err->code == FL_E_NOT_FOUND && fl_run_find(engine, word, id, &ignored) != FL_OK;
  if (!unknown || fl_read_status(engine, "last", NULL, see_node, &s, &ignored) != FL_OK || !s.found)
    return fl_cli_fail(err);
  char *command = fl_cli_command(cli, cli->verb->name, "last", word);
  fl_cli_usage("there is no run '%s'; it is a node of the last run%s%s", word,
               cli->verb->word_count_max > 1 ? ": " : "",
               cli->verb->word_count_max > 1 ? command : "");
  free(command);
  return FL_EXIT_USAGE;
}

const char *fl_cli_run_letters(const char *id) {
  enum { SHOWN = 8 };
  size_t size = strlen(id);
  return size > SHOWN ? id + size - SHOWN : id;
}

int fl_cli_read_whole(const char *path, fl_cli_text *out) {
  char part[8192];
  size_t n;
  errno = 0;
  FILE *file = fopen(path, "rbe");
  while (file && (n = fread(part, 1, sizeof part, file)) > 0) fl_cli_text_add(out, part, n);
  int error = file && !ferror(file) ? 0 : errno ? errno : EIO;
  if (file) fclose(file);
  fl_cli_text_cstr(out);
  return error;
}

bool fl_cli_read_file(const char *option, const char *path, fl_cli_text *out) {
  int error = fl_cli_read_whole(path, out);
  if (error) fl_cli_usage("--%s: cannot read '%s': %s", option, path, strerror(error));
  return !error;
}

// "NAME=value", all behind "=" is the value; blank lines and such that begin with "#" say nothing.
static bool set_variable(const char *path, int line, char *text) {
  char *equals = strchr(text, '=');
  text += strspn(text, " \t");
  if (*text == '\0' || *text == '#') return true;
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  size_t size = equals ? (size_t)(equals - text) : 0;
  if (size == 0 || strspn(text, letters) != size || (*text >= '0' && *text <= '9'))
    return fl_cli_usage("--env-file: %s:%d: expected NAME=value", path, line), false;
  *equals = '\0';
  return setenv(text, equals + 1, 1) == 0 ||
         (fl_cli_usage("--env-file: %s:%d: %s", path, line, strerror(errno)), false);
}

bool fl_cli_read_env_files(const fl_cli *cli) {
  size_t count;
  const char **paths = fl_cli_get_all(cli, "env-file", &count);
  bool good = true;
  for (size_t i = 0; i < count && good; i++) {
    fl_cli_text text = {0};
    good = fl_cli_read_file("env-file", paths[i], &text);
    if (good && strlen(text.data) < text.size) {
      fl_cli_usage("--env-file: %s: expected text, there is a NUL in it", paths[i]);
      good = false;
    }
    int line = 0;
    for (char *at = text.data, *next; good && at && *at; at = next) {
      size_t n = strcspn(at, "\n");
      next = at + n + (at[n] == '\n');
      at[n - (n > 0 && at[n - 1] == '\r')] = '\0';
      good = set_variable(paths[i], ++line, at);
    }
    fl_cli_text_deinit(&text);
  }
  free(paths);
  return good;
}

char *fl_cli_command(const fl_cli *cli, const char *verb, const char *run, const char *node) {
  fl_cli_text text = {0};
  fl_cli_text_addf(&text, "flowlua %s ", verb);
  fl_cli_text_quote(&text, run);
  if (node) {
    fl_cli_text_add(&text, " ", 1);
    fl_cli_text_quote(&text, node);
  }
  const char *state = fl_cli_get(cli, "state");
  if (state) {
    fl_cli_text_add_str(&text, " --state ");
    fl_cli_text_quote(&text, state);
  }
  fl_cli_text_cstr(&text);
  return text.data;
}
