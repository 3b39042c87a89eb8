// Reads a supervisor's journal, whatever state a crash left it in.
#include "io/journal.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/checksum.h"
#include "io/tree.h"

static bool read_header(fl_journal_view *v, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  const char *boot = fl_wire_get_text(&in);
  int pid = fl_wire_get_i32(&in);
  uint64_t start_ticks = fl_wire_get_u64(&in);
  fl_wire_get_i64(&in);
  v->version = !in.failed && in.at < in.end ? fl_wire_get_u32(&in) : 1;
  if (v->version > FL_WIRE_VERSION) in.at = in.end; // whatever else it says
  if (!fl_wire_done(&in) || !boot || strlen(boot) >= sizeof v->boot_id) return false;
  snprintf(v->boot_id, sizeof v->boot_id, "%s", boot);
  v->pid = pid;
  v->start_ticks = start_ticks;
  return true;
}

static fl_journal_child *add_child(fl_journal_view *v) {
  if (v->count == v->capacity) {
    v->capacity = v->capacity ? 2 * v->capacity : 64;
    v->children = fl_realloc(v->children, v->capacity * sizeof *v->children);
  }
  fl_journal_child *c = &v->children[v->count++];
  memset(c, 0, sizeof *c);
  return c;
}

static bool read_begun(fl_journal_view *v, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  fl_journal_child c = {0};
  c.pid = fl_wire_get_i32(&in);
  c.start_ticks = fl_wire_get_u64(&in);
  c.seq = fl_wire_get_u64(&in);
  fl_wire_get_id(&in, &c.id);
  c.started_ms = fl_wire_get_i64(&in);
  if (!fl_wire_done(&in)) return false;
  if (v->count && v->children[v->count - 1].seq >= c.seq) return false; // they are counted up
  *add_child(v) = c;
  return true;
}

static fl_journal_child *find_seq(const fl_journal_view *v, uint64_t seq) {
  size_t low = 0, high = v->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (v->children[middle].seq < seq)
      low = middle + 1;
    else
      high = middle;
  }
  return low < v->count && v->children[low].seq == seq ? &v->children[low] : NULL;
}

static bool read_exit(fl_journal_view *v, const fl_wire_frame *frame) {
  fl_wire_exit e;
  if (!fl_wire_get_exit(frame, &e)) return false;
  fl_journal_child *c = find_seq(v, e.seq);
  if (!c) { // it failed before there was a process
    if (v->count && v->children[v->count - 1].seq >= e.seq) return false;
    c = add_child(v);
    c->seq = e.seq;
    c->id = e.exit.id;
    c->started_ms = e.exit.started_ms;
  }
  c->ended = true;
  c->exit = *frame;
  return true;
}

static bool read_record(fl_journal_view *v, const fl_wire_frame *frame) {
  if (!v->boot_id[0]) return frame->kind == FL_WIRE_HEADER && read_header(v, frame);
  if (frame->kind == FL_WIRE_BEGUN) return read_begun(v, frame);
  if (frame->kind == FL_WIRE_EXITED) return read_exit(v, frame);
  return false;
}

static int compare_children(const fl_journal_child *x, const fl_journal_child *y) {
  int order = strncmp(x->id.run, y->id.run, sizeof x->id.run);
  if (order) return order;
  if (x->id.node != y->id.node) return x->id.node < y->id.node ? -1 : 1;
  if (x->id.number != y->id.number) return x->id.number < y->id.number ? -1 : 1;
  if (x->id.child != y->id.child) return x->id.child < y->id.child ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int compare_indexes(const void *a, const void *b, void *ud) {
  const fl_journal_child *children = ud;
  return compare_children(&children[*(const size_t *)a], &children[*(const size_t *)b]);
}

void fl_journal_parse(const void *bytes, size_t size, fl_journal_view *v) {
  const char *data = bytes;
  size_t at = 0;
  memset(v, 0, sizeof *v);
  while (size - at > sizeof(uint32_t)) {
    uint32_t sum;
    size_t used;
    fl_wire_frame frame;
    memcpy(&sum, data + at, sizeof sum);
    const char *record = data + at + sizeof sum;
    if (fl_wire_next(record, size - at - sizeof sum, &frame, &used) != 1) break;
    if (fl_checksum(0, record, used) != sum || !read_record(v, &frame)) break;
    at += sizeof sum + used;
  }
  v->valid_size = at;
  v->by_id = fl_alloc((v->count + 1) * sizeof *v->by_id);
  for (size_t i = 0; i < v->count; i++) v->by_id[i] = i;
  if (v->count) qsort_r(v->by_id, v->count, sizeof *v->by_id, compare_indexes, v->children);
  char boot[FL_BOOT_ID_SIZE];
  fl_boot_id(boot);
  v->this_boot = v->boot_id[0] && strcmp(boot, v->boot_id) == 0;
}

fl_code fl_journal_load(const char *dir, const char *id, fl_journal_view *v, fl_error *err) {
  fl_code code = FL_OK;
  struct stat st;
  fl_buf path;
  memset(v, 0, sizeof *v);
  fl_buf_init(&path, 1 << 16);
  fl_buf_addf(&path, "%s/sup/%s.journal", dir, id);
  int fd = open(fl_buf_cstr(&path), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st)) {
    code = fl_fail_errno(err, errno == ENOENT ? FL_E_NOT_FOUND : FL_E_SYSTEM, errno,
                         "cannot read the journal '%s'", fl_buf_cstr(&path));
    goto out;
  }
  void *map = NULL;
  if (st.st_size > 0) {
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
      code = fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot read the journal '%s'",
                           fl_buf_cstr(&path));
      goto out;
    }
  }
  fl_journal_parse(map ? map : "", (size_t)st.st_size, v);
  v->map = map;
  v->map_size = (size_t)st.st_size;
out:
  if (fd >= 0) close(fd);
  fl_buf_deinit(&path);
  return code;
}

void fl_journal_unload(fl_journal_view *v) {
  if (v->map) munmap(v->map, v->map_size);
  free(v->children);
  free(v->by_id);
  memset(v, 0, sizeof *v);
}

const fl_journal_child *fl_journal_find(const fl_journal_view *v, const fl_child_id *id) {
  const fl_journal_child after = {.id = *id, .seq = UINT64_MAX}; // sorts behind all of that id
  size_t low = 0, high = v->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare_children(&v->children[v->by_id[middle]], &after) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  if (!low) return NULL;
  const fl_journal_child *c = &v->children[v->by_id[low - 1]];
  return fl_child_id_equal(&c->id, id) ? c : NULL;
}
