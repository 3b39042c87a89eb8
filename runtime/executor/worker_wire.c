// Lays the messages of workers out as bytes and reads them back, checked.
#include "executor/worker_wire.h"
#include "base/limits.h"
#include "executor/worker_page.h"

#define ORDER_RECORDED  1u
#define RESULT_NO_RETRY 1u
#define RESULT_WORN     2u
#define RESULT_ASKED    4u

// ------------------------------------------------------------------------------------- lists

static void put_words(fl_buf *b, char *const *words) {
  uint32_t count = 0;
  while (words && words[count]) count++;
  fl_wire_put_u32(b, count);
  for (uint32_t i = 0; i < count; i++) fl_wire_put_text(b, words[i]);
}

// A word takes five bytes at least: a count that the frame cannot hold is refused before memory is
// taken for it.
static uint32_t get_count(fl_wire_in *in) {
  uint32_t count = fl_wire_get_u32(in);
  if (in->failed || count > (size_t)(in->end - in->at) / 5) {
    in->failed = true;
    return 0;
  }
  return count;
}

static char **get_words(fl_wire_in *in) {
  uint32_t count = get_count(in);
  char **words = fl_alloc_zero(count + 1, sizeof *words);
  for (uint32_t i = 0; i < count; i++) {
    const char *word = fl_wire_get_text(in);
    words[i] = fl_strdup(word ? word : "");
  }
  return words;
}

// ------------------------------------------------------------------------------------- init

void fl_worker_put_init(fl_buf *b, const fl_worker_init *init) {
  size_t begin = fl_worker_begin(b, FL_WORKER_INIT);
  fl_wire_put_u32(b, FL_WORKER_VERSION);
  fl_wire_put_text(b, init->path);
  fl_wire_put_text(b, init->lua_dir);
  fl_wire_put_text(b, init->overrides);
  fl_wire_put_text(b, init->snapshot.dir);
  fl_wire_put_u32(b, init->snapshot.language);
  fl_wire_put_u32(b, init->native_count);
  for (uint32_t i = 0; i < init->native_count; i++) fl_wire_put_text(b, init->natives[i]);
  fl_wire_put_u32(b, (uint32_t)init->snapshot.count);
  for (size_t i = 0; i < init->snapshot.count; i++) {
    const fl_source *s = &init->snapshot.sources[i];
    fl_wire_put_text(b, s->path);
    fl_wire_put_bytes(b, s->data, s->size);
  }
  fl_wire_end(b, begin);
}

bool fl_worker_get_init(const fl_wire_frame *frame, fl_worker_init *out, bool *foreign) {
  fl_wire_in in = fl_wire_open(frame);
  memset(out, 0, sizeof *out);
  *foreign = fl_wire_get_u32(&in) != FL_WORKER_VERSION;
  if (*foreign) return false;
  out->path = fl_wire_get_text(&in);
  out->lua_dir = fl_wire_get_text(&in);
  out->overrides = fl_wire_get_text(&in);
  out->snapshot.dir = (char *)(uintptr_t)fl_wire_get_text(&in);
  out->snapshot.language = fl_wire_get_u32(&in);
  uint32_t count = get_count(&in);
  out->natives = fl_alloc_zero(count + 1, sizeof *out->natives);
  while (out->native_count < count) out->natives[out->native_count++] = fl_wire_get_text(&in);
  count = get_count(&in);
  out->snapshot.sources = fl_alloc_zero(count + 1, sizeof *out->snapshot.sources);
  while (out->snapshot.count < count) {
    fl_source *s = &out->snapshot.sources[out->snapshot.count++];
    s->path = (char *)(uintptr_t)fl_wire_get_text(&in);
    s->data = (char *)(uintptr_t)fl_wire_get_bytes(&in, &s->size);
  }
  return fl_wire_done(&in) && out->path && out->snapshot.dir && count;
}

// ------------------------------------------------------------------------------------- order

void fl_worker_put_order(fl_buf *b, const fl_worker_order *o) {
  size_t begin = fl_worker_begin(b, FL_WORKER_TASK);
  fl_wire_put_u32(b, o->slot);
  fl_wire_put_u32(b, o->generation);
  fl_wire_put_u32(b, o->flow);
  fl_wire_put_text(b, o->flow_key);
  fl_wire_put_u32(b, o->node);
  fl_wire_put_text(b, o->node_name);
  fl_wire_put_text(b, o->name);
  fl_wire_put_u32(b, o->position);
  fl_wire_put_u8(b, o->has_recorded ? ORDER_RECORDED : 0);
  for (int i = 0; i < FL_FIELD_TASK_COUNT; i++) {
    fl_wire_put_u8(b, (uint8_t)o->fields[i].where);
    if (o->fields[i].where == FL_WHERE_SHARED) fl_wire_put_u32(b, o->fields[i].place);
    if (o->fields[i].where == FL_WHERE_HERE) {
      fl_wire_put_bytes(b, o->fields[i].text, o->fields[i].size);
    }
  }
  fl_wire_end(b, begin);
}

bool fl_worker_get_order(const fl_wire_frame *frame, fl_worker_order *out) {
  fl_wire_in in = fl_wire_open(frame);
  memset(out, 0, sizeof *out);
  out->slot = fl_wire_get_u32(&in);
  out->generation = fl_wire_get_u32(&in);
  out->flow = fl_wire_get_u32(&in);
  out->flow_key = fl_wire_get_text(&in);
  out->node = fl_wire_get_u32(&in);
  out->node_name = fl_wire_get_text(&in);
  out->name = fl_wire_get_text(&in);
  out->position = fl_wire_get_u32(&in);
  out->has_recorded = fl_wire_get_u8(&in) & ORDER_RECORDED;
  for (int i = 0; i < FL_FIELD_TASK_COUNT; i++) {
    unsigned where = fl_wire_get_u8(&in);
    if (where > FL_WHERE_ASK) return false;
    out->fields[i].where = (fl_worker_where)where;
    if (where == FL_WHERE_SHARED) out->fields[i].place = fl_wire_get_u32(&in);
    if (out->fields[i].place >= FL_WORKER_TEXTS) return false;
    if (where != FL_WHERE_HERE) continue;
    out->fields[i].text = fl_wire_get_bytes(&in, &out->fields[i].size);
    if (!out->fields[i].text) return false;
  }
  return fl_wire_done(&in) && out->flow_key && out->node_name && out->slot < FL_WORKER_SLOTS;
}

// ------------------------------------------------------------------------------------- result

void fl_worker_put_result(fl_buf *b, const fl_worker_result *r) {
  size_t begin = fl_worker_begin(b, FL_WORKER_RESULT);
  fl_wire_put_u32(b, r->slot);
  fl_wire_put_u32(b, r->generation);
  fl_wire_put_u8(b, (uint8_t)r->state);
  fl_wire_put_u8(b, (uint8_t)((r->no_retry ? RESULT_NO_RETRY : 0) | (r->worn ? RESULT_WORN : 0) |
                              (r->asked ? RESULT_ASKED : 0)));
  fl_wire_put_i64(b, r->started_ms);
  fl_wire_put_i64(b, r->ended_ms);
  fl_wire_put_i64(b, r->duration_us);
  fl_wire_put_i64(b, r->cpu_us);
  fl_wire_put_i64(b, r->rss_max_bytes);
  fl_wire_put_bytes(b, r->outputs, r->outputs_size);
  fl_wire_put_bytes(b, r->vars, r->vars_size);
  fl_wire_put_text(b, r->error);
  fl_wire_end(b, begin);
}

bool fl_worker_get_result(fl_wire_in *in, fl_worker_result *out) {
  memset(out, 0, sizeof *out);
  unsigned state = fl_wire_get_u8(in);
  unsigned flags = fl_wire_get_u8(in);
  out->no_retry = flags & RESULT_NO_RETRY;
  out->worn = flags & RESULT_WORN;
  out->asked = flags & RESULT_ASKED;
  out->started_ms = fl_wire_get_i64(in);
  out->ended_ms = fl_wire_get_i64(in);
  out->duration_us = fl_wire_get_i64(in);
  out->cpu_us = fl_wire_get_i64(in);
  out->rss_max_bytes = fl_wire_get_i64(in);
  out->outputs = fl_wire_get_bytes(in, &out->outputs_size);
  out->vars = fl_wire_get_bytes(in, &out->vars_size);
  out->error = fl_wire_get_text(in);
  out->state = (fl_attempt_state)state;
  return fl_wire_done(in) && (state == FL_ATTEMPT_SUCCEEDED || state == FL_ATTEMPT_FAILED ||
                              state == FL_ATTEMPT_SKIPPED);
}

// ------------------------------------------------------------------------------------- command

void fl_worker_put_command(fl_buf *b, const fl_command *c) {
  put_words(b, c->argv);
  put_words(b, c->env);
  fl_wire_put_text(b, c->cwd);
  fl_wire_put_bytes(b, c->stdin_data, c->stdin_size);
  fl_wire_put_u8(b, (uint8_t)(c->capture | c->is_text << 1));
  fl_wire_put_i64(b, c->limit_memory);
  fl_wire_put_i64(b, c->limit_cpu_s);
  fl_wire_put_i64(b, c->limit_open_files);
  fl_wire_put_i64(b, c->log_size_max);
  fl_wire_put_i64(b, c->timeout_ms);
  fl_wire_put_bytes(b, c->ok_codes, c->ok_code_count * sizeof *c->ok_codes);
}

fl_command *fl_worker_get_command(fl_wire_in *in) {
  fl_command *c = fl_alloc_zero(1, sizeof *c);
  size_t size;
  c->argv = get_words(in);
  c->env = get_words(in);
  const char *text = fl_wire_get_text(in);
  if (text) c->cwd = fl_strdup(text);
  text = fl_wire_get_bytes(in, &c->stdin_size);
  if (text) c->stdin_data = fl_strndup(text, c->stdin_size);
  unsigned flags = fl_wire_get_u8(in);
  c->capture = flags & 1;
  c->is_text = flags & 2;
  c->limit_memory = fl_wire_get_i64(in);
  c->limit_cpu_s = fl_wire_get_i64(in);
  c->limit_open_files = fl_wire_get_i64(in);
  c->log_size_max = fl_wire_get_i64(in);
  c->timeout_ms = fl_wire_get_i64(in);
  text = fl_wire_get_bytes(in, &size);
  c->ok_code_count = text ? size / sizeof *c->ok_codes : 0;
  if (c->ok_code_count) {
    c->ok_codes = fl_alloc(c->ok_code_count * sizeof *c->ok_codes);
    memcpy(c->ok_codes, text, c->ok_code_count * sizeof *c->ok_codes);
  }
  if (fl_wire_done(in) && c->argv[0]) return c;
  fl_command_free(c);
  return NULL;
}
