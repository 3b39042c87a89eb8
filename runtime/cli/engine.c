// Opens the engine as the command line says: state directory, helper, the language's files.
#include "cli.h"
#include <ftw.h>
#include <limits.h>
#include <unistd.h>

const char *fl_cli_state_dir(const fl_cli *cli) {
  const char *dir = fl_cli_get(cli, "state");
  if (!dir || !*dir) dir = getenv("FLOWLUA_STATE");
  return dir && *dir ? dir : ".flowlua";
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
  c.read_only = how == FL_CLI_READ;
  return fl_engine_open(&c, &out->engine, err);
}

bool fl_cli_has_state(const fl_cli *cli) {
  fl_cli_text path = {0};
  fl_cli_text_addf(&path, "%s/flowlua.db", fl_cli_state_dir(cli));
  bool there = access(fl_cli_text_cstr(&path), F_OK) == 0;
  fl_cli_text_deinit(&path);
  return there;
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
