// The file of an exported run on a disk that fails: whole or not at all, whichever call fails.
#include "store_helper.h"
#include <errno.h>
#include "store/copy_internal.h"

/// A disk whose call number `fail_at` fails, and every later one where `for_ever`.
typedef struct faulty {
  fl_disk disk;
  int calls, fail_at;
  bool for_ever;
} faulty;

static const fl_disk *sys;

static bool fails_now(faulty *f) {
  int call = f->calls++;
  errno = EIO;
  return call == f->fail_at || (f->for_ever && call > f->fail_at);
}

static int faulty_open(void *ud, int dir, const char *name, int flags) {
  return fails_now(ud) ? -1 : sys->open(sys->ud, dir, name, flags);
}
static ssize_t faulty_write(void *ud, int fd, const void *data, size_t size) {
  faulty *f = ud;
  if (fails_now(f)) return -1;
  return sys->write(sys->ud, fd, data, size > 7 ? size / 2 : size); // short writes are no error
}
static int faulty_fsync(void *ud, int fd) {
  return fails_now(ud) ? -1 : sys->fsync(sys->ud, fd);
}
static int faulty_link(void *ud, int dir, const char *from, const char *to) {
  return fails_now(ud) ? -1 : sys->link(sys->ud, dir, from, to);
}
static int faulty_rename(void *ud, int dir, const char *from, const char *to) {
  return fails_now(ud) ? -1 : sys->rename(sys->ud, dir, from, to);
}

static void count_name(void *ud, const char *name) {
  *(int *)ud += strcmp(name, ".") && strcmp(name, "..");
}

static int count_files(const char *dir) {
  int count = 0, fd = sys->open(sys->ud, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
  sys->list(sys->ud, fd, count_name, &count);
  sys->close(sys->ud, fd);
  return count;
}

/// Exports with each call failing in turn, over `old` (NULL: there is no such file).
static void fail_every_call(const char *old, bool for_ever) {
  char *dir = make_dir(), *path = join(dir, "run");
  bool done = false;
  sys = fl_disk_system();
  for (int at = 0; !done; at++) {
    faulty f = {.disk = *sys, .fail_at = at, .for_ever = for_ever};
    f.disk.ud = &f;
    f.disk.open = faulty_open;
    f.disk.write = faulty_write;
    f.disk.fsync = faulty_fsync;
    f.disk.link = faulty_link;
    f.disk.rename = faulty_rename;
    unlink(path);
    if (old) write_all_to(path, old, strlen(old));
    fl_code code = fl_export_write(&f.disk, path, "payload", 7, old != NULL, &err);
    size_t size;
    char *text = read_all(path, &size), *data = NULL;
    size_t payload, payload_size;
    done = code == FL_OK;
    if (done) {
      assert_int_equal(fl_export_read(sys, path, &data, &payload, &payload_size, &err), FL_OK);
      assert_int_equal(payload_size, 7);
      assert_memory_equal(data + payload, "payload", 7);
    } else if (f.calls < 2 || !text || (old && size == strlen(old) && !memcmp(text, old, size))) {
      assert_int_equal(code, FL_E_SYSTEM);
    } else { // only the last sync, of the folder, failed: the file is there, and whole
      assert_int_equal(fl_export_read(sys, path, &data, &payload, &payload_size, &err), FL_OK);
    }
    assert_true(count_files(dir) <= 1); // no temporary file stays
    free(text), free(data);
    assert_true(at < 100);
  }
  free(path);
  remove_dir(dir);
}

static void a_failing_disk_leaves_no_half_file(void **state) {
  (void)state;
  fail_every_call(NULL, false);
  fail_every_call(NULL, true);
}

static void a_failing_disk_leaves_the_old_file(void **state) {
  (void)state;
  fail_every_call("old", false);
  fail_every_call("old", true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_failing_disk_leaves_no_half_file),
      cmocka_unit_test(a_failing_disk_leaves_the_old_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
