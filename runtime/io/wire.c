// Lays messages out as bytes and reads them back, checked.
#include "io/wire.h"
#include "base/limits.h"

#define NULL_SIZE     UINT32_MAX // the size that stands for NULL
#define VECTOR_MAX    (1u << 20) // words of an argv or an environment: far above what execve takes
#define SPAWN_QUEUE   1u
#define SPAWN_CAPTURE 2u
#define SPAWN_FD      4u
#define SPAWN_FD2     8u
#define SPAWN_TEXT    16u

size_t fl_wire_begin(fl_buf *b, fl_wire_kind kind) {
  size_t begin = b->size;
  fl_wire_put_u32(b, 0);
  fl_wire_put_u8(b, (uint8_t)kind);
  return begin;
}

void fl_wire_end(fl_buf *b, size_t begin) {
  if (b->failed) return;
  uint32_t size = (uint32_t)(b->size - begin - sizeof size);
  memcpy(b->data + begin, &size, sizeof size);
}

void fl_wire_put_u8(fl_buf *b, uint8_t v) {
  fl_buf_add(b, &v, sizeof v);
}
void fl_wire_put_u32(fl_buf *b, uint32_t v) {
  fl_buf_add(b, &v, sizeof v);
}
void fl_wire_put_i32(fl_buf *b, int32_t v) {
  fl_buf_add(b, &v, sizeof v);
}
void fl_wire_put_u64(fl_buf *b, uint64_t v) {
  fl_buf_add(b, &v, sizeof v);
}
void fl_wire_put_i64(fl_buf *b, int64_t v) {
  fl_buf_add(b, &v, sizeof v);
}

void fl_wire_put_bytes(fl_buf *b, const void *data, size_t size) {
  if (!data) {
    fl_wire_put_u32(b, NULL_SIZE);
    return;
  }
  if (size >= FL_FRAME_SIZE_MAX) { // cannot be in a frame anyway
    b->failed = true;
    return;
  }
  fl_wire_put_u32(b, (uint32_t)size);
  fl_buf_add(b, data, size);
  fl_buf_add_char(b, '\0');
}

void fl_wire_put_text(fl_buf *b, const char *text) {
  fl_wire_put_bytes(b, text, text ? strlen(text) : 0);
}

void fl_wire_put_id(fl_buf *b, const fl_child_id *id) {
  fl_wire_put_bytes(b, id->run, strnlen(id->run, sizeof id->run - 1));
  fl_wire_put_u32(b, id->node);
  fl_wire_put_u32(b, id->number);
  fl_wire_put_u32(b, id->child);
}

static void put_vector(fl_buf *b, const char *const *words) {
  uint32_t count = 0;
  while (words && words[count]) count++;
  fl_wire_put_u32(b, count);
  for (uint32_t i = 0; i < count; i++) fl_wire_put_text(b, words[i]);
}

void fl_wire_put_spawn(fl_buf *b, const fl_spawn *s) {
  size_t begin = fl_wire_begin(b, FL_WIRE_SPAWN);
  fl_wire_put_id(b, &s->id);
  fl_wire_put_u8(b, (uint8_t)((s->queue ? SPAWN_QUEUE : 0) | (s->capture ? SPAWN_CAPTURE : 0) |
                              (s->pass_fd >= 0 ? SPAWN_FD : 0) |
                              (s->pass_fd2 >= 0 ? SPAWN_FD2 : 0) | (s->is_text ? SPAWN_TEXT : 0)));
  fl_wire_put_text(b, s->node_name);
  fl_wire_put_text(b, s->cwd);
  fl_wire_put_text(b, s->time);
  fl_wire_put_bytes(b, s->stdin_data, s->stdin_size);
  fl_wire_put_bytes(b, s->context, s->context_size);
  fl_wire_put_i32(b, s->priority);
  fl_wire_put_i64(b, s->capture_size_max);
  fl_wire_put_i64(b, s->timeout_ms);
  fl_wire_put_i64(b, s->grace_ms);
  fl_wire_put_i64(b, s->log_size_max);
  fl_wire_put_i64(b, s->limit_memory);
  fl_wire_put_i64(b, s->limit_cpu_s);
  fl_wire_put_i64(b, s->limit_open_files);
  put_vector(b, s->argv);
  put_vector(b, s->env);
  fl_wire_end(b, begin);
}

void fl_wire_put_exit(fl_buf *b, const fl_wire_exit *w) {
  const fl_child_exit *e = &w->exit;
  size_t begin = fl_wire_begin(b, FL_WIRE_EXITED);
  fl_wire_put_u64(b, w->seq);
  fl_wire_put_id(b, &e->id);
  fl_wire_put_u8(b, (uint8_t)e->end);
  fl_wire_put_i32(b, e->exit_code);
  fl_wire_put_i32(b, e->signal);
  fl_wire_put_i32(b, e->errnum);
  fl_wire_put_u8(b, (uint8_t)(e->timed_out | e->cancelled << 1 | e->unkillable << 2 |
                              e->capture_overflow << 3 | e->output_overflow << 4));
  fl_wire_put_u32(b, e->left_behind);
  fl_wire_put_i32(b, e->pid);
  fl_wire_put_i64(b, e->started_ms);
  fl_wire_put_i64(b, e->ended_ms);
  fl_wire_put_i64(b, e->cpu_us);
  fl_wire_put_i64(b, e->rss_max_bytes);
  fl_wire_put_text(b, e->log_path ? e->log_path : "");
  fl_wire_put_i64(b, e->log_offset);
  fl_wire_put_i64(b, e->log_size);
  fl_wire_put_i64(b, e->log_total);
  fl_wire_put_i32(b, e->log_errno);
  fl_wire_put_bytes(b, e->tail, e->tail_size);
  fl_wire_put_bytes(b, e->capture, e->capture_size);
  fl_wire_put_bytes(b, e->output, e->output_size);
  fl_wire_put_text(b, e->error_what);
  fl_wire_put_i64(b, w->capture_spilled);
  fl_wire_put_i64(b, w->output_spilled);
  fl_wire_put_u32(b, w->capture_sum);
  fl_wire_put_u32(b, w->output_sum);
  fl_wire_put_i64(b, e->duration_ms);
  fl_wire_end(b, begin);
}

int fl_wire_next(const char *data, size_t size, fl_wire_frame *out, size_t *used) {
  uint32_t body;
  *used = FL_WIRE_HEAD_SIZE;
  if (size < sizeof body) return 0;
  memcpy(&body, data, sizeof body);
  if (body < 1 || body > FL_FRAME_SIZE_MAX) return -1;
  *used = sizeof body + body;
  if (size < *used) return 0;
  out->kind = (fl_wire_kind)(uint8_t)data[sizeof body];
  out->data = data + FL_WIRE_HEAD_SIZE;
  out->size = body - 1;
  return 1;
}

fl_wire_in fl_wire_open(const fl_wire_frame *frame) {
  return (fl_wire_in){frame->data, frame->data + frame->size, false};
}

bool fl_wire_done(const fl_wire_in *in) {
  return !in->failed && in->at == in->end;
}

static bool get_fixed(fl_wire_in *in, void *out, size_t size) {
  if (in->failed || (size_t)(in->end - in->at) < size) {
    in->failed = true;
    memset(out, 0, size);
    return false;
  }
  memcpy(out, in->at, size);
  in->at += size;
  return true;
}

#define GETTER(name, type)                                                                         \
  type fl_wire_get_##name(fl_wire_in *in) {                                                        \
    type v;                                                                                        \
    get_fixed(in, &v, sizeof v);                                                                   \
    return v;                                                                                      \
  }
GETTER(u8, uint8_t)
GETTER(u32, uint32_t)
GETTER(i32, int32_t)
GETTER(u64, uint64_t)
GETTER(i64, int64_t)

const char *fl_wire_get_bytes(fl_wire_in *in, size_t *size) {
  uint32_t n = fl_wire_get_u32(in);
  *size = 0;
  if (in->failed) return "";
  if (n == NULL_SIZE) return NULL;
  // One more for the NUL, which spares every reader a copy.
  if ((size_t)(in->end - in->at) <= n || in->at[n] != '\0') {
    in->failed = true;
    return "";
  }
  const char *data = in->at;
  in->at += (size_t)n + 1;
  *size = n;
  return data;
}

const char *fl_wire_get_text(fl_wire_in *in) {
  size_t size;
  const char *text = fl_wire_get_bytes(in, &size);
  if (text && memchr(text, '\0', size)) {
    in->failed = true;
    return "";
  }
  return text;
}

void fl_wire_get_id(fl_wire_in *in, fl_child_id *out) {
  const char *run = fl_wire_get_text(in);
  size_t size = run ? strlen(run) : sizeof out->run;
  memset(out, 0, sizeof *out);
  if (size >= sizeof out->run)
    in->failed = true;
  else
    memcpy(out->run, run, size);
  out->node = fl_wire_get_u32(in);
  out->number = fl_wire_get_u32(in);
  out->child = fl_wire_get_u32(in);
}

// A word takes five bytes at least, so a count that the frame cannot hold is refused before memory
// is taken for it.
static uint32_t get_vector_count(const fl_wire_in *in, uint32_t count) {
  return count > VECTOR_MAX || count > (size_t)(in->end - in->at) / 5 ? UINT32_MAX : count;
}

static bool get_vectors(fl_wire_in *in, fl_spawn *out, char ***vectors) {
  char **all = NULL;
  size_t places = 1;
  for (int which = 0; which < 2; which++) {
    uint32_t count = get_vector_count(in, fl_wire_get_u32(in));
    if (in->failed || count == UINT32_MAX || (which == 0 && count == 0)) goto failed;
    all = fl_realloc(all, (places + count + 1) * sizeof *all);
    for (uint32_t i = 0; i < count; i++) {
      const char *word = fl_wire_get_text(in);
      if (in->failed || !word) goto failed;
      all[places++] = (char *)(uintptr_t)word;
    }
    all[places++] = NULL;
  }
  all[0] = NULL;
  size_t argc = 0;
  while (all[1 + argc]) argc++;
  out->argv = (const char *const *)(all + 1);
  out->env = (const char *const *)(all + 1 + argc + 1);
  *vectors = all;
  return true;
failed:
  free(all);
  in->failed = true;
  return false;
}

bool fl_wire_get_spawn(const fl_wire_frame *frame, fl_spawn *out, char ***vectors) {
  fl_wire_in in = fl_wire_open(frame);
  memset(out, 0, sizeof *out);
  *vectors = NULL;
  fl_wire_get_id(&in, &out->id);
  unsigned flags = fl_wire_get_u8(&in);
  out->queue = flags & SPAWN_QUEUE;
  out->capture = flags & SPAWN_CAPTURE;
  out->is_text = flags & SPAWN_TEXT;
  out->pass_fd = flags & SPAWN_FD ? 0 : -1;
  out->pass_fd2 = flags & SPAWN_FD2 ? 0 : -1;
  out->node_name = fl_wire_get_text(&in);
  out->cwd = fl_wire_get_text(&in);
  out->time = fl_wire_get_text(&in);
  out->stdin_data = fl_wire_get_bytes(&in, &out->stdin_size);
  out->context = fl_wire_get_bytes(&in, &out->context_size);
  out->priority = fl_wire_get_i32(&in);
  out->capture_size_max = fl_wire_get_i64(&in);
  out->timeout_ms = fl_wire_get_i64(&in);
  out->grace_ms = fl_wire_get_i64(&in);
  out->log_size_max = fl_wire_get_i64(&in);
  out->limit_memory = fl_wire_get_i64(&in);
  out->limit_cpu_s = fl_wire_get_i64(&in);
  out->limit_open_files = fl_wire_get_i64(&in);
  if (in.failed || !get_vectors(&in, out, vectors)) return false;
  if (fl_wire_done(&in) && flags < 32) return true;
  free(*vectors);
  *vectors = NULL;
  return false;
}

bool fl_wire_get_exit(const fl_wire_frame *frame, fl_wire_exit *out) {
  fl_wire_in in = fl_wire_open(frame);
  fl_child_exit *e = &out->exit;
  memset(out, 0, sizeof *out);
  out->seq = fl_wire_get_u64(&in);
  fl_wire_get_id(&in, &e->id);
  unsigned end = fl_wire_get_u8(&in);
  if (end > FL_CHILD_LOST) in.failed = true;
  e->end = (fl_child_end)end;
  e->exit_code = fl_wire_get_i32(&in);
  e->signal = fl_wire_get_i32(&in);
  e->errnum = fl_wire_get_i32(&in);
  unsigned flags = fl_wire_get_u8(&in);
  e->timed_out = flags & 1;
  e->cancelled = flags >> 1 & 1;
  e->unkillable = flags >> 2 & 1;
  e->capture_overflow = flags >> 3 & 1;
  e->output_overflow = flags >> 4 & 1;
  e->left_behind = fl_wire_get_u32(&in);
  e->pid = fl_wire_get_i32(&in);
  e->started_ms = fl_wire_get_i64(&in);
  e->ended_ms = fl_wire_get_i64(&in);
  e->cpu_us = fl_wire_get_i64(&in);
  e->rss_max_bytes = fl_wire_get_i64(&in);
  e->log_path = fl_wire_get_text(&in);
  e->log_offset = fl_wire_get_i64(&in);
  e->log_size = fl_wire_get_i64(&in);
  e->log_total = fl_wire_get_i64(&in);
  e->log_errno = fl_wire_get_i32(&in);
  e->tail = fl_wire_get_bytes(&in, &e->tail_size);
  e->capture = fl_wire_get_bytes(&in, &e->capture_size);
  e->output = fl_wire_get_bytes(&in, &e->output_size);
  e->error_what = fl_wire_get_text(&in);
  out->capture_spilled = fl_wire_get_i64(&in);
  out->output_spilled = fl_wire_get_i64(&in);
  out->capture_sum = fl_wire_get_u32(&in);
  out->output_sum = fl_wire_get_u32(&in);
  e->duration_ms = in.at < in.end ? fl_wire_get_i64(&in) : -1; // version 1 did not measure
  if (!e->log_path) in.failed = true;
  return fl_wire_done(&in);
}

bool fl_child_id_equal(const fl_child_id *a, const fl_child_id *b) {
  return a->node == b->node && a->number == b->number && a->child == b->child &&
         strncmp(a->run, b->run, sizeof a->run) == 0;
}

uint64_t fl_child_id_hash(const fl_child_id *id) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < sizeof id->run && id->run[i]; i++) {
    h = (h ^ (uint8_t)id->run[i]) * 1099511628211u;
  }
  h = (h ^ id->node) * 0x9e3779b97f4a7c15u;
  h = (h ^ id->number) * 0x9e3779b97f4a7c15u;
  h = (h ^ id->child) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}
