// What workers say, and what the engine does about it: results, logs, and the wishes of node code.
#include <errno.h>
#include <unistd.h>
#include "base/limits.h"
#include "executor/worker_pool_internal.h"
#include "engine/scheduler.h"

#define CHECKED_MAX (256u << 10) // values to here are parsed again; larger ones cost too much time
#define PIECE_SIZE  (16u << 10)  // of what was printed

// ------------------------------------------------------------------------------------- values

// The worker ran the user's code, FFI included: what it calls JSON need not be.
static fl_code read_value(const char *text, size_t size, fl_value **out, fl_error *err) {
  *out = NULL;
  if (!text || (size == 4 && !memcmp(text, "null", 4))) return FL_OK;
  if (size == 2 && !memcmp(text, "{}", 2)) return *out = fl_value_empty_map(), FL_OK;
  if (size <= CHECKED_MAX) return fl_value_parse(text, size, out, err);
  if (size > FL_VALUE_SIZE_MAX) {
    return fl_fail(err, FL_E_LIMIT, "larger than %u MiB (the limit of a value)",
                   FL_VALUE_SIZE_MAX >> 20);
  }
  if (!fl_utf8_valid(text, size))
    return fl_fail(err, FL_E_CORRUPT, "the worker sent no valid JSON");
  *out = fl_value_new(text, size);
  return FL_OK;
}

// ------------------------------------------------------------------------------------- answers

static size_t begin_reply(fl_worker_task *t, bool ok) {
  fl_buf *b = &t->worker->out;
  size_t begin = fl_worker_begin(b, FL_WORKER_REPLY);
  fl_wire_put_u32(b, t->request);
  fl_wire_put_u8(b, ok);
  return begin;
}

static void reply_error(fl_worker_task *t, const fl_error *err) {
  size_t begin = begin_reply(t, false);
  fl_wire_put_text(&t->worker->out, err->message);
  fl_wire_end(&t->worker->out, begin);
}

static void reply_value(fl_worker_task *t, bool found, const char *text, size_t size) {
  size_t begin = begin_reply(t, true);
  fl_wire_put_u8(&t->worker->out, found);
  fl_wire_put_bytes(&t->worker->out, text, size);
  fl_wire_end(&t->worker->out, begin);
}

// ------------------------------------------------------------------------------------- reading

static void get_inputs(fl_worker_task *t) {
  fl_buf text;
  fl_error err;
  fl_buf_init(&text, FL_FRAME_SIZE_MAX - 64);
  if (fl_attempt_write_inputs(t->attempt, &text, &err))
    reply_error(t, &err);
  else
    reply_value(t, true, fl_buf_cstr(&text), text.size);
  fl_buf_deinit(&text);
}

static void handle_get(fl_worker_task *t, fl_worker_field field, const char *step) {
  fl_attempt *a = t->attempt;
  fl_value *v = NULL;
  bool found = true;
  fl_error err;
  fl_code rc = FL_OK;
  switch (field) {
  case FL_FIELD_INPUTS: get_inputs(t); return;
  case FL_FIELD_PARAMS: v = fl_value_ref(fl_attempt_get_params(a)); break;
  case FL_FIELD_VARS: v = fl_value_ref(fl_attempt_get_vars(a)); break;
  case FL_FIELD_ITEM: v = fl_value_ref(fl_attempt_get_item(a)); break;
  case FL_FIELD_RECORDED: v = fl_recorded_get_rest(fl_attempt_get_recorded(a)); break;
  case FL_FIELD_RESTORED: rc = fl_attempt_get_checkpoint(a, &v, &err); break;
  case FL_FIELD_STEP: rc = fl_attempt_get_step(a, step ? step : "", &found, &v, &err); break;
  default: rc = fl_fail(&err, FL_E_USAGE, "there is no such value"); break;
  }
  if (rc)
    reply_error(t, &err);
  else
    reply_value(t, found, v ? v->text : NULL, v ? v->size : 0);
  fl_value_unref(v);
}

// ------------------------------------------------------------------------------------- saving

static void on_saved(void *ud) {
  fl_worker_task *t = ud;
  t->saving = false;
  if (!t->worker) return;
  t->pool->saved = t->worker;
  reply_value(t, true, NULL, 0);
}

static void handle_save(fl_worker_task *t, const char *step, const char *text, size_t size) {
  fl_value *v = NULL;
  fl_error err;
  fl_code rc = FL_OK;
  // A checkpoint of nil is one too; a step without a result has none.
  if (text && size == 4 && !memcmp(text, "null", 4))
    v = fl_value_ref(fl_value_null());
  else
    rc = read_value(text, size, &v, &err);
  if (!rc && !v && !step) rc = fl_fail(&err, FL_E_USAGE, "checkpoint: there is no value");
  if (rc) {
    reply_error(t, &err);
    return;
  }
  t->saving = true;
  if (step)
    fl_attempt_put_step(t->attempt, step, v, on_saved, t);
  else
    fl_attempt_checkpoint(t->attempt, v, on_saved, t);
  fl_value_unref(v);
}

static void handle_record(fl_worker_task *t, const char *kind, const char *text, size_t size) {
  fl_value *v;
  fl_error err;
  if (read_value(text, size, &v, &err)) return; // not JSON: nothing a replay could use
  fl_attempt_record(t->attempt, kind, v ? v->text : "null", v ? v->size : 4);
  fl_value_unref(v);
}

// ------------------------------------------------------------------------------------- children

static void on_child(void *ud, const fl_child_result *r) {
  fl_worker_task *t = ud;
  t->child = NULL;
  if (t->place == FL_PLACE_ENDING) {
    fl_worker_task_child_ended(t);
    return;
  }
  size_t begin = begin_reply(t, true);
  fl_buf *b = &t->worker->out;
  fl_wire_put_i32(b, r->exit_code);
  fl_wire_put_i32(b, r->signal);
  fl_wire_put_text(b, r->status);
  fl_wire_put_text(b, r->error);
  fl_wire_put_bytes(b, r->stdout_data, r->stdout_size);
  fl_wire_put_bytes(b, r->tail, r->tail_size);
  fl_wire_end(b, begin);
  fl_worker_send(t->worker);
}

static void handle_exec(fl_worker_task *t, fl_command *command) {
  fl_error err;
  t->child = fl_processes_start_child(t->pool->services->processes, t->attempt, command, on_child,
                                      t, &err);
  if (!t->child) reply_error(t, &err);
}

// ------------------------------------------------------------------------------------- telling

void fl_worker_task_log(fl_worker_task *t, bool printed, const char *data, size_t size) {
  const fl_services *services = t->pool->services;
  if (!size) return;
  if (!t->log) t->log = services->open_log(services->ud, t->attempt);
  if (t->log) fl_log_sink_write(t->log, data, size);
  // A task that runs for long has somebody who looks at its log meanwhile.
  if (t->log && fl_attempt_is_told(t->attempt)) fl_log_sink_flush(t->log);
  if (!printed) return;
  if (!t->tail) t->tail = fl_alloc(FL_WORKER_TAIL_MAX);
  size_t keep = size < FL_WORKER_TAIL_MAX ? size : FL_WORKER_TAIL_MAX;
  size_t room = FL_WORKER_TAIL_MAX - keep, old = t->tail_size < room ? t->tail_size : room;
  memmove(t->tail, t->tail + t->tail_size - old, old);
  memcpy(t->tail + old, data + size - keep, keep);
  t->tail_size = old + keep;
}

static void handle_progress(fl_worker_task *t, fl_wire_in *in) {
  uint64_t bits[2];
  bits[0] = fl_wire_get_u64(in);
  bits[1] = fl_wire_get_u64(in);
  const char *text = fl_wire_get_text(in);
  double done, total;
  memcpy(&done, &bits[0], sizeof done);
  memcpy(&total, &bits[1], sizeof total);
  fl_attempt_progress(t->attempt, done, total, text);
}

// ------------------------------------------------------------------------------------- results

static void learn_duration(fl_worker_group *g, int64_t us) {
  double duration = us > 0 ? (double)us : 1;
  g->mean_us = g->mean_us > 0 ? g->mean_us + (duration - g->mean_us) / 8 : duration;
}

static void handle_result(fl_worker_task *t, const fl_worker_result *r) {
  fl_worker *w = t->worker;
  fl_value *outputs = NULL, *vars = NULL;
  fl_error err;
  fl_outcome o = {.state = r->state,
                  .exit_code = -1,
                  .error = r->error,
                  .no_retry = r->no_retry,
                  .started_ms = r->started_ms,
                  .ended_ms = r->ended_ms,
                  .duration_ms = r->duration_us / 1000,
                  .measured = true,
                  .cpu_us = r->cpu_us,
                  .rss_max_bytes = r->rss_max_bytes,
                  .pid = w->pid};
  // Code that was told to end may have caught that and gone on: what it returns is not the result
  // of all its work. One that had returned before it could hear of it is done.
  if (r->asked && t->kill_ns) o.state = FL_ATTEMPT_CANCELLED;
  if (o.state == FL_ATTEMPT_SUCCEEDED && (read_value(r->outputs, r->outputs_size, &outputs, &err) ||
                                          read_value(r->vars, r->vars_size, &vars, &err))) {
    fl_wrap(&err, "outputs");
    o.state = FL_ATTEMPT_FAILED;
    o.error = err.message;
  } else if (o.state == FL_ATTEMPT_SUCCEEDED) {
    o.outputs = outputs;
    o.vars = vars;
  }
  learn_duration(t->group, r->duration_us);
  w->answered++;
  w->cpu_us += r->cpu_us;
  w->slow = false;
  if (r->worn) w->retiring = true;
  fl_worker_take_back(t);
  fl_worker_task_end(t, &o);
  if (r->worn) fl_worker_revoke_queued(w);
  fl_value_unref(outputs);
  fl_value_unref(vars);
}

// ------------------------------------------------------------------------------------- all

static fl_worker_task *get_task(fl_worker *w, fl_wire_in *in) {
  uint32_t slot = fl_wire_get_u32(in), generation = fl_wire_get_u32(in);
  if (slot >= FL_WORKER_SLOTS || !w->tasks[slot]) return NULL;
  return w->tasks[slot]->generation == generation ? w->tasks[slot] : NULL;
}

static bool handle_ready(fl_worker *w, fl_wire_in *in) {
  w->pid = fl_wire_get_i32(in);
  uint32_t version = in->at < in->end ? fl_wire_get_u32(in) : 0; // the first one did not say it
  if (in->failed || w->state != FL_WORKER_STARTING) return false;
  if (version != FL_WORKER_VERSION) {
    fl_worker_fail_load(w, FL_WORKER_FOREIGN);
    return true;
  }
  if (!fl_wire_done(in)) return false;
  w->state = FL_WORKER_SERVING;
  w->pool->backoff_ms = 0;
  fl_worker_release_ends(w);
  return true;
}

static bool handle_wish(fl_worker_task *t, int kind, fl_wire_in *in) {
  size_t size = 0;
  uint32_t request = fl_wire_get_u32(in);
  fl_command *command;
  // Node code waits for each: a second one beside it is no message of ours.
  if (in->failed || t->saving || t->child) return false;
  t->request = request;
  if (kind == FL_WORKER_EXEC) {
    command = fl_worker_get_command(in);
    if (command) handle_exec(t, command);
    return command;
  }
  unsigned field = kind == FL_WORKER_GET ? fl_wire_get_u8(in) : 0;
  const char *step = fl_wire_get_text(in);
  const char *text = kind == FL_WORKER_SAVE ? fl_wire_get_bytes(in, &size) : NULL;
  if (!fl_wire_done(in) || field >= FL_FIELD_COUNT) return false;
  if (kind == FL_WORKER_GET)
    handle_get(t, (fl_worker_field)field, step);
  else
    handle_save(t, step, text, size);
  return true;
}

static bool handle_told(fl_worker_task *t, int kind, fl_wire_in *in) {
  size_t size;
  fl_worker_result result;
  if (kind == FL_WORKER_RESULT) {
    if (!fl_worker_get_result(in, &result)) return false;
    handle_result(t, &result);
    return true;
  }
  if (kind == FL_WORKER_PROGRESS) {
    handle_progress(t, in);
    return !in->failed;
  }
  const char *name = kind == FL_WORKER_RECORD ? fl_wire_get_text(in) : NULL;
  const char *data = fl_wire_get_bytes(in, &size);
  if (!fl_wire_done(in) || !data) return false;
  if (kind == FL_WORKER_LOG)
    fl_worker_task_log(t, false, data, size);
  else if (name)
    handle_record(t, name, data, size);
  return true;
}

// Taken out of the pipe even when the task was ended meanwhile: what follows is of others.
static bool handle_printed(fl_worker *w, fl_wire_in *in) {
  char data[PIECE_SIZE];
  fl_worker_task *t = get_task(w, in);
  size_t left = fl_wire_get_u32(in);
  if (!fl_wire_done(in)) return false;
  while (left) {
    ssize_t n = read(w->passed_fd, data, left < sizeof data ? left : sizeof data);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false; // it was moved before it was said
    if (t) fl_worker_task_log(t, true, data, (size_t)n);
    left -= (size_t)n;
  }
  return true;
}

bool fl_worker_handle(fl_worker *w, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  int kind = (int)frame->kind;
  if (kind == FL_WORKER_READY) return handle_ready(w, &in);
  if (kind == FL_WORKER_PRINTED) return handle_printed(w, &in);
  if (kind == FL_WORKER_LOAD_FAILED) {
    const char *text = fl_wire_get_text(&in);
    if (!fl_wire_done(&in) || !text) return false;
    fl_worker_fail_load(w, text);
    return true;
  }
  if (kind < FL_WORKER_RESULT || kind > FL_WORKER_EXEC) return false;
  fl_worker_task *t = get_task(w, &in);
  if (!t) return !in.failed; // of a task that was ended meanwhile
  return kind >= FL_WORKER_GET ? handle_wish(t, kind, &in) : handle_told(t, kind, &in);
}
