// flowlua init [DIR]: a small project to begin with. Never overwrites a file.
#include "cli.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static const char pipeline[] =
    "-- A pipeline: flowlua pipeline.lua runs it, flowlua resume continues it where it broke.\n"
    "local flow = require \"flow\"\n"
    "\n"
    "local hello = flow.dag(\"hello\", {\n"
    "  params = { name = \"world\" }, -- flowlua pipeline.lua --param name=you\n"
    "})\n"
    "\n"
    "-- A command. What it prints becomes its outputs: here a list of lines.\n"
    "hello.list = flow.shell { \"ls\", capture = \"lines\" }\n"
    "\n"
    "-- Lua code. It sees what the nodes it comes after have put out, and leaves vars to its "
    "children.\n"
    "hello.count = flow.lua { after = \"list\", run = function(ctx)\n"
    "  ctx.vars.files = #ctx.inputs.list\n"
    "  return { files = ctx.vars.files }\n"
    "end }\n"
    "\n"
    "hello.greet = flow.shell { after = \"count\", \"echo hello {{params.name}}, {{vars.files}} "
    "files\" }\n"
    "\n"
    "return hello\n";

static const char readme[] =
    "# A FlowLua project\n"
    "\n"
    "    flowlua pipeline.lua            run it\n"
    "    flowlua check pipeline.lua      find mistakes without running it\n"
    "    flowlua graph pipeline.lua      what depends on what\n"
    "    flowlua show last               how the last run went\n"
    "    flowlua logs last               what its nodes printed\n"
    "    flowlua resume                  continue it where it broke\n"
    "    flowlua help                    everything else\n"
    "\n"
    "Runs are kept in `.flowlua/`.\n";

static const char gitignore[] = ".flowlua/\n";

static const struct {
  const char *name, *text;
} files[] = {{"pipeline.lua", pipeline}, {"README.md", readme}, {".gitignore", gitignore}};

static int fail_path(const char *what, const char *path) {
  fl_cli_usage("cannot %s '%s': %s", what, path, strerror(errno));
  return FL_EXIT_SYSTEM;
}

static int write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) {
    fl_cli_printf("kept %s\n", path);
    return FL_EXIT_OK;
  }
  if (fd < 0) return fail_path("make", path);
  size_t size = strlen(text);
  bool written = write(fd, text, size) == (ssize_t)size;
  if (close(fd) != 0 || !written) return fail_path("write", path);
  fl_cli_printf("made %s\n", path);
  return FL_EXIT_OK;
}

static int write_into(const char *dir, const char *name, const char *text) {
  fl_cli_text path = {0};
  if (strcmp(dir, ".") != 0) fl_cli_text_addf(&path, "%s/", dir);
  fl_cli_text_add_str(&path, name);
  int code = write_file(fl_cli_text_cstr(&path), text);
  fl_cli_text_deinit(&path);
  return code;
}

// What lua-language-server has to know: which Lua, and where the types are that were installed
// beside this binary. Without them there is nothing to say.
static int write_editor_settings(const char *dir) {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return FL_EXIT_OK;
  path[n] = '\0';
  for (int i = 0; i < 2 && strrchr(path, '/'); i++) *strrchr(path, '/') = '\0';
  fl_cli_text types = {0}, text = {0};
  fl_cli_text_addf(&types, "%s/share/flowlua/types", path);
  int code = FL_EXIT_OK;
  if (access(fl_cli_text_cstr(&types), R_OK) == 0) {
    fl_cli_text_add_str(&text, "{\n  \"runtime.version\": \"LuaJIT\",\n  \"workspace.library\": [");
    fl_cli_text_json(&text, fl_cli_text_cstr(&types));
    fl_cli_text_add_str(&text, "]\n}\n");
    code = write_into(dir, ".luarc.json", fl_cli_text_cstr(&text));
  }
  fl_cli_text_deinit(&types);
  fl_cli_text_deinit(&text);
  return code;
}

// A folder with those above it. False: errno says why.
static bool make_folders(const char *path) {
  char *copy = strdup(path);
  bool made = copy;
  for (char *slash = copy; made && (slash = strchr(slash + 1, '/'));) {
    *slash = '\0';
    made = mkdir(copy, 0777) == 0 || errno == EEXIST;
    *slash = '/';
  }
  free(copy);
  return made && (mkdir(path, 0777) == 0 || errno == EEXIST);
}

static int init_run(const fl_cli *cli) {
  const char *dir = cli->word_count > 0 ? cli->words[0] : ".";
  int code = FL_EXIT_OK;
  if (!*dir) return fl_cli_usage("DIR is empty");
  if (!make_folders(dir)) return fail_path("make", dir);
  for (size_t i = 0; i < sizeof files / sizeof *files && code == FL_EXIT_OK; i++)
    code = write_into(dir, files[i].name, files[i].text);
  if (code == FL_EXIT_OK) code = write_editor_settings(dir);
  if (code != FL_EXIT_OK) return code;
  fl_cli_text command = {0};
  if (strcmp(dir, ".") != 0) {
    fl_cli_text_add_str(&command, "cd ");
    fl_cli_text_quote(&command, dir);
    fl_cli_text_add_str(&command, " && ");
  }
  fl_cli_printf("try: %sflowlua pipeline.lua\n", fl_cli_text_cstr(&command));
  fl_cli_text_deinit(&command);
  return FL_EXIT_OK;
}

const fl_cli_verb fl_cli_verb_init = {
    .name = "init",
    .words = "[DIR]",
    .summary = "make a small project to begin with",
    .word_count_max = 1,
    .example = "flowlua init hello",
    .run = init_run,
};
