// flow.core.fs: the file operations that a pipeline needs. All of them block.
#include "bind/error.h"
#include "bind/file.h"
#include "bind/modules.h"
#include "bind/path.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <lauxlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_SIZE_MAX 0x7fffff00u // what a Lua string can hold

static int push_result(lua_State *L, int error, const char *what, const char *path) {
  if (error) return fl_lua_fail_errno(L, error, "cannot %s '%s'", what, path);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_read(lua_State *L) {
  const char *path = fl_lua_check_cstr(L, 1, "fs.read: path");
  fl_buf *text = fl_lua_push_buf(L, TEXT_SIZE_MAX);
  int error = fl_file_read(path, text);
  if (error) return fl_lua_fail_errno(L, error, "cannot read '%s'", path);
  lua_pushlstring(L, text->data, text->size);
  return 1;
}

static int l_write(lua_State *L) {
  static const char *const options[] = {"sync", NULL};
  size_t size;
  const char *path = fl_lua_check_cstr(L, 1, "fs.write: path");
  const char *data = fl_lua_check_text(L, 2, "fs.write: data", &size);
  fl_lua_check_options(L, 3, "fs.write", options);
  bool sync = fl_lua_opt_flag(L, 3, "fs.write", "sync", true);
  fl_file_replace f;
  int error = fl_file_begin(&f, path, 0666);
  if (error == 0) {
    error = fl_file_write_all(f.fd, data, size);
    if (error == 0)
      error = fl_file_commit(&f, sync);
    else
      fl_file_abort(&f);
  }
  return push_result(L, error, "write", path);
}

static int l_append(lua_State *L) {
  size_t size;
  const char *path = fl_lua_check_cstr(L, 1, "fs.append: path");
  const char *data = fl_lua_check_text(L, 2, "fs.append: data", &size);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), error = 0;
  if (fd < 0) return push_result(L, errno, "append to", path);
  error = fl_file_write_all(fd, data, size);
  if (close(fd) != 0 && error == 0) error = errno;
  return push_result(L, error, "append to", path);
}

static int l_exists(lua_State *L) {
  struct stat info;
  lua_pushboolean(L, stat(fl_lua_check_cstr(L, 1, "fs.exists: path"), &info) == 0);
  return 1;
}

static const char *get_type_text(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return "file";
  case S_IFDIR: return "directory";
  case S_IFLNK: return "link";
  case S_IFIFO: return "pipe";
  case S_IFSOCK: return "socket";
  case S_IFBLK: return "block_device";
  default: return "char_device";
  }
}

static int l_stat(lua_State *L) {
  static const char *const options[] = {"follow", NULL};
  const char *path = fl_lua_check_cstr(L, 1, "fs.stat: path");
  fl_lua_check_options(L, 2, "fs.stat", options);
  bool follow = fl_lua_opt_flag(L, 2, "fs.stat", "follow", true);
  struct stat info;
  if ((follow ? stat(path, &info) : lstat(path, &info)) != 0)
    return fl_lua_fail_errno(L, errno, "cannot stat '%s'", path);
  const struct {
    const char *name;
    double value;
  } fields[] = {
      {"size", (double)info.st_size},
      {"mtime", (double)info.st_mtim.tv_sec + (double)info.st_mtim.tv_nsec / 1e9},
      {"mode", info.st_mode & 07777},
      {"uid", info.st_uid},
      {"gid", info.st_gid},
      {"links", (double)info.st_nlink},
      {"inode", (double)info.st_ino},
  };
  lua_createtable(L, 0, 8);
  lua_pushstring(L, get_type_text(info.st_mode));
  lua_setfield(L, -2, "type");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushnumber(L, fields[i].value);
    lua_setfield(L, -2, fields[i].name);
  }
  return 1;
}

static int compare_texts(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Pushes a list of the `count` texts in `texts`, each with its NUL, sorted by bytes.
static int push_sorted(lua_State *L, fl_buf *texts, size_t count) {
  if (texts->failed) return luaL_error(L, "fs: too many names");
  const char **sorted = lua_newuserdata(L, (count + 1) * sizeof *sorted);
  const char *text = texts->data;
  for (size_t i = 0; i < count; i++, text += strlen(text) + 1) sorted[i] = text;
  qsort(sorted, count, sizeof *sorted, compare_texts);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, sorted[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int l_list(lua_State *L) {
  const char *path = fl_lua_check_cstr(L, 1, "fs.list: path");
  fl_buf *names = fl_lua_push_buf(L, TEXT_SIZE_MAX);
  size_t count = 0;
  DIR *dir = opendir(path);
  if (!dir) return fl_lua_fail_errno(L, errno, "cannot list '%s'", path);
  for (struct dirent *entry; (errno = 0, entry = readdir(dir));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    fl_buf_add(names, entry->d_name, strlen(entry->d_name) + 1);
    count++;
  }
  int error = errno;
  closedir(dir);
  if (error) return fl_lua_fail_errno(L, error, "cannot list '%s'", path);
  return push_sorted(L, names, count);
}

static int l_glob(lua_State *L) {
  const char *pattern = fl_lua_check_cstr(L, 1, "fs.glob: pattern");
  fl_buf *paths = fl_lua_push_buf(L, TEXT_SIZE_MAX);
  glob_t found;
  // Unsorted: glob() would sort by the host's locale.
  int rc = glob(pattern, GLOB_BRACE | GLOB_NOSORT, NULL, &found);
  size_t count = rc == 0 ? found.gl_pathc : 0;
  for (size_t i = 0; i < count; i++)
    fl_buf_add(paths, found.gl_pathv[i], strlen(found.gl_pathv[i]) + 1);
  globfree(&found);
  if (rc == GLOB_NOSPACE) return fl_lua_fail_errno(L, ENOMEM, "cannot match '%s'", pattern);
  return push_sorted(L, paths, count);
}

static int l_mkdir(lua_State *L) {
  const char *path = fl_lua_check_cstr(L, 1, "fs.mkdir: path");
  return push_result(L, fl_file_make_dirs(path), "make the folder", path);
}

static int l_remove(lua_State *L) {
  static const char *const options[] = {"recursive", NULL};
  const char *path = fl_lua_check_cstr(L, 1, "fs.remove: path");
  fl_lua_check_options(L, 2, "fs.remove", options);
  char failed[PATH_MAX];
  if (fl_lua_opt_flag(L, 2, "fs.remove", "recursive", false)) {
    int error = fl_file_remove_tree(path, failed);
    return push_result(L, error, "remove", failed);
  }
  return push_result(L, remove(path) == 0 ? 0 : errno, "remove", path);
}

static int l_rename(lua_State *L) {
  const char *from = fl_lua_check_cstr(L, 1, "fs.rename: from");
  const char *to = fl_lua_check_cstr(L, 2, "fs.rename: to");
  if (rename(from, to) != 0)
    return fl_lua_fail_errno(L, errno, "cannot rename '%s' to '%s'", from, to);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_copy(lua_State *L) {
  const char *from = fl_lua_check_cstr(L, 1, "fs.copy: from");
  const char *to = fl_lua_check_cstr(L, 2, "fs.copy: to");
  int error = fl_file_copy(from, to);
  if (error) return fl_lua_fail_errno(L, error, "cannot copy '%s' to '%s'", from, to);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_tempdir(lua_State *L) {
  const char *prefix = fl_lua_opt_cstr(L, 1, "fs.tempdir: prefix", "flowlua-");
  if (strchr(prefix, '/')) return luaL_error(L, "fs.tempdir: prefix: has a '/' in it");
  const char *base = getenv("TMPDIR");
  char path[PATH_MAX];
  int size = snprintf(path, sizeof path, "%s/%sXXXXXX", base && *base ? base : "/tmp", prefix);
  if (size >= (int)sizeof path || !mkdtemp(path))
    return fl_lua_fail_errno(L, size >= (int)sizeof path ? ENAMETOOLONG : errno,
                             "cannot make the folder '%s'", path);
  lua_pushstring(L, path);
  return 1;
}

int luaopen_flow_core_fs(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"append", l_append}, {"copy", l_copy},   {"exists", l_exists},   {"glob", l_glob},
      {"list", l_list},     {"mkdir", l_mkdir}, {"read", l_read},       {"remove", l_remove},
      {"rename", l_rename}, {"stat", l_stat},   {"tempdir", l_tempdir}, {"write", l_write},
      {NULL, NULL},
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  fl_lua_add_path_functions(L);
  return 1;
}
