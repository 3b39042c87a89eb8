// Tests bind/file.c: a file that cannot be replaced is as it was, and nothing is left beside it.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bind/file.h"
#include "folder.h"

static char root[64];

static int make_root(void **state) {
  (void)state;
  return make_test_folder("file", root, sizeof root) ? 0 : -1;
}

static int remove_root(void **state) {
  (void)state;
  char failed[PATH_MAX];
  return fl_file_remove_tree(root, failed);
}

static const char *in_root(const char *name) {
  static char paths[4][PATH_MAX];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, PATH_MAX, "%s/%s", root, name);
  return path;
}

static int replace(const char *path, const char *data, size_t size) {
  fl_file_replace f;
  int error = fl_file_begin(&f, path, 0666);
  if (error) return error;
  error = fl_file_write_all(f.fd, data, size);
  if (error == 0) return fl_file_commit(&f, true);
  fl_file_abort(&f);
  return error;
}

static void assert_content(const char *path, const char *expected) {
  fl_buf b;
  fl_buf_init(&b, 1 << 20);
  assert_int_equal(fl_file_read(path, &b), 0);
  assert_string_equal(fl_buf_cstr(&b), expected);
  fl_buf_deinit(&b);
}

static size_t count_entries(void) {
  size_t count = 0;
  DIR *dir = opendir(root);
  while (readdir(dir)) count++;
  closedir(dir);
  return count - 2;
}

static void a_full_disk_leaves_the_old_content(void **state) {
  (void)state;
  assert_int_equal(replace(in_root("f"), "old", 3), 0);
  struct rlimit old, small = {4096, RLIM_INFINITY};
  getrlimit(RLIMIT_FSIZE, &old);
  small.rlim_max = old.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  char *data = fl_alloc_zero(1, 100000);
  int error = replace(in_root("f"), data, 100000);
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, SIG_DFL);
  free(data);
  assert_int_equal(error, EFBIG);
  assert_content(in_root("f"), "old");
  assert_int_equal(count_entries(), 1);
}

static void a_folder_is_not_replaced(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_root("d"), 0777), 0);
  assert_int_equal(replace(in_root("d"), "x", 1), EISDIR);
  assert_int_equal(count_entries(), 1);
}

static void an_aborted_write_is_gone(void **state) {
  (void)state;
  fl_file_replace f;
  assert_int_equal(fl_file_begin(&f, in_root("f"), 0600), 0);
  assert_int_equal(fl_file_write_all(f.fd, "x", 1), 0);
  assert_int_equal(count_entries(), 1);
  fl_file_abort(&f);
  assert_int_equal(count_entries(), 0);
}

static void a_new_file_obeys_the_umask(void **state) {
  (void)state;
  struct stat info;
  mode_t old = umask(027);
  assert_int_equal(replace(in_root("f"), "x", 1), 0);
  umask(old);
  assert_int_equal(stat(in_root("f"), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640);
}

static void a_file_larger_than_its_buffer_is_refused(void **state) {
  (void)state;
  fl_buf b;
  assert_int_equal(replace(in_root("f"), "0123456789", 10), 0);
  fl_buf_init(&b, 9);
  assert_int_equal(fl_file_read(in_root("f"), &b), EFBIG);
  fl_buf_deinit(&b);
  fl_buf_init(&b, 11);
  assert_int_equal(fl_file_read(in_root("f"), &b), 0);
  fl_buf_deinit(&b);
}

static void a_path_that_is_too_long_is_refused(void **state) {
  (void)state;
  char path[PATH_MAX + 10], failed[PATH_MAX];
  memset(path, 'a', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  assert_int_equal(replace(path, "x", 1), ENAMETOOLONG);
  assert_int_equal(fl_file_make_dirs(path), ENAMETOOLONG);
  assert_int_equal(fl_file_remove_tree(path, failed), ENAMETOOLONG);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
  const struct CMUnitTest tests[] = {
      TEST(a_full_disk_leaves_the_old_content),
      TEST(a_folder_is_not_replaced),
      TEST(an_aborted_write_is_gone),
      TEST(a_new_file_obeys_the_umask),
      TEST(a_file_larger_than_its_buffer_is_refused),
      TEST(a_path_that_is_too_long_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
