// What a child finds in its environment, and where its program is looked for.
#include "io/supervisor_internal.h"

#define TEXT_MAX       (128u << 20) // execve refuses far less; it says so itself
#define PATH_DIRS_MAX  256u
#define PATH_DEFAULT   "/usr/local/bin:/usr/bin:/bin"
#define MARK_OUTER_MAX 512 // marks of supervisors around us that are handed on

// Set for each child; what the outer environment or a script says about them does not count.
static const char *const reserved[] = {"FLOWLUA_RUN",      "FLOWLUA_NODE",    "FLOWLUA_ATTEMPT",
                                       "FLOWLUA_TIME",     "FLOWLUA_CONTEXT", "FLOWLUA_OUTPUT",
                                       "FLOWLUA_PROGRESS", "FLOWLUA_TREE"};
#define RESERVED_COUNT (sizeof reserved / sizeof reserved[0])

static size_t name_size(const char *var) {
  return strcspn(var, "=");
}

static bool is_reserved(const char *var) {
  if (strncmp(var, "FLOWLUA_", 8) != 0) return false;
  size_t size = name_size(var);
  for (size_t i = 0; i < RESERVED_COUNT; i++) {
    if (strlen(reserved[i]) == size && strncmp(var, reserved[i], size) == 0) return true;
  }
  return false;
}

void fl_sup_env_init(fl_sup *sup, char **environment) {
  size_t count = 0, kept = 0;
  const char *outer = "";
  while (environment[count]) count++;
  sup->env = fl_alloc_zero(count + 1, sizeof(char *));
  for (size_t i = 0; i < count; i++) {
    const char *var = environment[i];
    if (strncmp(var, "FLOWLUA_TREE=", 13) == 0) outer = var + 13;
    if (!is_reserved(var)) sup->env[kept++] = fl_strdup(var);
  }
  // A flow inside a node of another: its processes belong to both trees, and say so.
  fl_buf mark;
  fl_buf_init(&mark, 2048);
  fl_buf_add_str(&mark, "FLOWLUA_TREE=");
  if (*outer && strlen(outer) <= MARK_OUTER_MAX) fl_buf_addf(&mark, "%s:", outer);
  fl_buf_addf(&mark, "%s/", sup->id);
  sup->mark = fl_buf_take(&mark);
}

static const char *find_var(const char *const *vars, const char *name, size_t size) {
  for (; vars && *vars; vars++) {
    if (strncmp(*vars, name, size) == 0 && (*vars)[size] == '=') return *vars + size + 1;
  }
  return NULL;
}

// `text` was given its whole size before, so that what points into it stays right.
static void add_number(fl_buf *text, uint64_t number) {
  char digits[24];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  fl_buf_add(text, digits + at, sizeof digits - at);
}

static char *var_begin(fl_sup_env *out, const char *name) {
  char *at = out->text.data + out->text.size;
  fl_buf_add_str(&out->text, name);
  return at;
}

static void add_text_var(fl_sup_env *out, size_t *count, const char *name, const char *value) {
  out->vars[(*count)++] = var_begin(out, name);
  fl_buf_add_str(&out->text, value);
  fl_buf_add_char(&out->text, '\0');
}

static void add_number_var(fl_sup_env *out, size_t *count, const char *name, uint64_t value) {
  out->vars[(*count)++] = var_begin(out, name);
  add_number(&out->text, value);
  fl_buf_add_char(&out->text, '\0');
}

// A file of ours that any process of the tree can open, without having inherited anything.
static void add_file_var(fl_sup_env *out, size_t *count, const char *name, int pid, int fd) {
  out->vars[(*count)++] = var_begin(out, name);
  fl_buf_add_str(&out->text, "/proc/");
  add_number(&out->text, (uint64_t)pid);
  fl_buf_add_str(&out->text, "/fd/");
  add_number(&out->text, (uint64_t)fd);
  fl_buf_add_char(&out->text, '\0');
}

// Of a node, and of what its code starts, which speaks for it.
static void add_progress_var(const fl_sup *sup, const fl_sup_child *child, fl_sup_env *out,
                             size_t *count) {
  if (!sup->progress_dir || !child->job->spawn.id.run[0]) return;
  out->vars[(*count)++] = var_begin(out, "FLOWLUA_PROGRESS=");
  fl_buf_add_str(&out->text, sup->progress_dir);
  add_number(&out->text, child->seq);
  fl_buf_add_char(&out->text, '\0');
}

static void add_candidates(fl_sup_env *out, const char *name, const char *path) {
  out->candidate_count = 0;
  if (strchr(name, '/') || !*name) {
    out->candidates[out->candidate_count++] = (char *)(uintptr_t)name;
    return;
  }
  for (;;) {
    size_t size = strcspn(path, ":");
    out->candidates[out->candidate_count++] = out->text.data + out->text.size;
    if (size) {
      fl_buf_add(&out->text, path, size);
      fl_buf_add_char(&out->text, '/');
    }
    fl_buf_add_str(&out->text, name);
    fl_buf_add_char(&out->text, '\0');
    if (!path[size] || out->candidate_count == PATH_DIRS_MAX) break;
    path += size + 1;
  }
}

// Where it starts, as a shell would say.
static void add_folder(const fl_sup *sup, const fl_spawn *spawn, fl_sup_env *out, size_t *count) {
  const char *cwd = spawn->cwd && *spawn->cwd ? spawn->cwd : NULL;
  out->vars[(*count)++] = var_begin(out, "PWD=");
  if (!cwd || *cwd != '/') fl_buf_add_str(&out->text, sup->cwd ? sup->cwd : "/");
  if (cwd && *cwd != '/') fl_buf_add_char(&out->text, '/');
  if (cwd) fl_buf_add_str(&out->text, cwd);
  fl_buf_add_char(&out->text, '\0');
}

static void add_shell_text(const fl_spawn *spawn, fl_sup_env *out) {
  out->shell_text = NULL;
  if (!spawn->is_text) return;
  out->shell_text = out->text.data + out->text.size;
  for (size_t i = 0; spawn->argv[i]; i++) {
    if (i) fl_buf_add_char(&out->text, ' ');
    fl_buf_add_str(&out->text, spawn->argv[i]);
  }
  fl_buf_add_char(&out->text, '\0');
}

static bool reserve(const fl_sup *sup, const fl_spawn *spawn, const char *path, fl_sup_env *out) {
  size_t count = RESERVED_COUNT + 2, dirs = 1;
  for (char **v = sup->env; *v; v++) count++;
  for (const char *const *v = spawn->env; v && *v; v++) count++;
  for (const char *p = path; *p; p++) dirs += *p == ':';
  if (dirs > PATH_DIRS_MAX) dirs = PATH_DIRS_MAX;
  if (count > out->capacity) {
    free(out->vars);
    out->vars = fl_alloc(2 * count * sizeof(char *));
    out->capacity = 2 * count;
  }
  if (dirs > out->candidate_capacity) {
    free(out->candidates);
    out->candidates = fl_alloc(dirs * sizeof(char *));
    out->candidate_capacity = dirs;
  }
  size_t size = 1024 + strlen(sup->mark) + strlen(path) + dirs * (strlen(spawn->argv[0]) + 2);
  size += spawn->node_name ? strlen(spawn->node_name) : 0;
  size += spawn->time ? strlen(spawn->time) : 0;
  size += sup->progress_dir ? strlen(sup->progress_dir) : 0;
  size += (sup->cwd ? strlen(sup->cwd) : 0) + (spawn->cwd ? strlen(spawn->cwd) : 0);
  for (size_t i = 0; spawn->is_text && spawn->argv[i]; i++) size += strlen(spawn->argv[i]) + 1;
  if (!out->text.size_max) fl_buf_init(&out->text, TEXT_MAX);
  fl_buf_reset(&out->text);
  return fl_buf_reserve(&out->text, size);
}

bool fl_sup_env_build(const fl_sup *sup, const fl_sup_child *child, fl_sup_env *out) {
  const fl_spawn *spawn = &child->job->spawn;
  const char *path = find_var(spawn->env, "PATH", 4);
  size_t count = 0;
  if (!path) path = find_var((const char *const *)sup->env, "PATH", 4);
  if (!path || !*path) path = PATH_DEFAULT;
  if (!reserve(sup, spawn, path, out)) return false;
  add_text_var(out, &count, "FLOWLUA_RUN=", spawn->id.run);
  if (spawn->node_name) add_text_var(out, &count, "FLOWLUA_NODE=", spawn->node_name);
  add_number_var(out, &count, "FLOWLUA_ATTEMPT=", spawn->id.number);
  if (spawn->time) add_text_var(out, &count, "FLOWLUA_TIME=", spawn->time);
  if (child->context_fd >= 0) {
    add_file_var(out, &count, "FLOWLUA_CONTEXT=", sup->pid, child->context_fd);
  }
  add_file_var(out, &count, "FLOWLUA_OUTPUT=", sup->pid, child->output_fd);
  add_progress_var(sup, child, out, &count);
  add_number_var(out, &count, sup->mark, child->seq);
  if (!find_var(spawn->env, "PWD", 3)) add_folder(sup, spawn, out, &count);
  for (const char *const *v = spawn->env; v && *v; v++) {
    if (!is_reserved(*v)) out->vars[count++] = (char *)(uintptr_t)*v;
  }
  for (char **v = sup->env; *v; v++) {
    if (!strncmp(*v, "PWD=", 4)) continue;
    if (!spawn->env || !*spawn->env || !find_var(spawn->env, *v, name_size(*v))) {
      out->vars[count++] = *v;
    }
  }
  out->vars[count] = NULL;
  add_candidates(out, spawn->argv[0], path);
  add_shell_text(spawn, out);
  return true;
}
