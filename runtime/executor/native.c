// Node types written in C: their attempts are handed to the host as tasks.
//
// A task is the host's until it is finished, also past its engine: what the host holds is a handle
// (base/handle.h), so that one that has been finished says nothing more.
#include "executor/native.h"
#include "base/handle.h"
#include "engine/scheduler.h"
#include "bind/script.h"

typedef struct task task;

struct fl_natives {
  const fl_services *services;
  fl_native_type **types; // each with a name of its own
  size_t count;
  task *tasks; // that the host has not finished, or whose end is still to be recorded
  size_t late; // of them: those
};

struct task {
  fl_natives *natives; // NULL: gone, what is said is dropped
  task *next, *prev;
  fl_attempt *attempt;
  const fl_native_type *type;
  fl_log_sink *log;
  int64_t started_ms;
  fl_task *handle;
  bool late;             // it was finished while another process was writing
  char *outputs, *error; // ... with these; NULL: none
};

fl_natives *fl_natives_new(const fl_services *services) {
  fl_natives *n = fl_alloc_zero(1, sizeof *n);
  n->services = services;
  return n;
}

void fl_natives_free(fl_natives *n) {
  if (!n) return;
  for (size_t i = 0; i < n->count; i++) {
    free((char *)n->types[i]->name);
    free(n->types[i]);
  }
  free(n->types);
  free(n);
}

static const fl_native_type *find(const fl_natives *n, const char *name) {
  for (size_t i = 0; i < n->count; i++)
    if (!strcmp(n->types[i]->name, name)) return n->types[i];
  return NULL;
}

fl_code fl_natives_add(fl_natives *n, const fl_native_type *type, fl_error *err) {
  if (!type || !type->size || type->size > sizeof *type || !type->run)
    return fl_fail(err, FL_E_USAGE, "fl_native_type: size and run are required");
  if (!type->name || !fl_name_valid(type->name, strlen(type->name)))
    return fl_fail(err, FL_E_USAGE, "fl_native_type.name: '%s' is no valid name",
                   type->name ? type->name : "");
  if (find(n, type->name))
    return fl_fail(err, FL_E_USAGE, "node type '%s' is registered already", type->name);
  n->types = fl_realloc(n->types, (n->count + 1) * sizeof *n->types);
  fl_native_type *kept = n->types[n->count++] = fl_alloc_zero(1, sizeof *kept);
  memcpy(kept, type, type->size);
  kept->name = fl_strdup(type->name);
  return FL_OK;
}

size_t fl_natives_count(const fl_natives *n) {
  return n->count;
}
const char *fl_natives_get_name(const fl_natives *n, size_t index) {
  return n->types[index]->name;
}

static void fail(fl_attempt *a, const char *message) {
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = message});
}

static void native_start(void *ud, fl_attempt *a) {
  fl_natives *n = ud;
  fl_error err;
  fl_value *params = NULL;
  fl_buf context;
  const fl_native_type *type = find(n, fl_attempt_get_options(a)->type);
  fl_buf_init(&context, FL_FRAME_SIZE_MAX);
  if (!type) {
    fl_fail(&err, FL_E_USAGE, "node type '%s' is not registered in this process",
            fl_attempt_get_options(a)->type);
    fail(a, err.message);
  } else if (fl_script_native_params(a, &params, &err) ||
             fl_attempt_write_context(a, &context, &err)) {
    fail(a, err.message);
  } else {
    task *t = fl_alloc_zero(1, sizeof *t);
    *t = (task){
        .natives = n, .next = n->tasks, .attempt = a, .type = type, .started_ms = fl_wall_ms()};
    if (t->next) t->next->prev = t;
    n->tasks = t;
    t->handle = fl_handle_new(FL_HANDLE_TASK, t);
    fl_attempt_set_data(a, t);
    fl_attempt_arm_timeout(a);
    fl_attempt_started(a, 0, t->started_ms);
    fl_slice_clock clock;
    fl_attempt_begin_slice(a, &clock);
    ++*n->services->inside;
    type->run(type->ud, t->handle, params ? params->text : "{}", fl_buf_cstr(&context));
    --*n->services->inside;
    fl_attempt_end_slice(&clock);
  }
  fl_value_unref(params);
  fl_buf_deinit(&context);
}

static void native_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  fl_natives *n = ud;
  (void)grace_ms;
  const task *t = fl_attempt_get_data(a);
  if (!t || t->late || !t->type->cancel) return;
  ++*n->services->inside;
  t->type->cancel(t->type->ud, t->handle);
  --*n->services->inside;
}

fl_executor fl_natives_get_executor(fl_natives *n) {
  return (fl_executor){.name = "native",
                       .kinds = 1u << FL_KIND_NATIVE,
                       .start = native_start,
                       .cancel = native_cancel,
                       .ud = n};
}

// The attempt, which the task has nothing to do with any more.
static fl_attempt *leave(task *t) {
  FL_ASSERT(t->natives); // it has not left before
  if (t->prev)
    t->prev->next = t->next;
  else
    t->natives->tasks = t->next;
  if (t->next) t->next->prev = t->prev;
  t->natives = NULL;
  fl_attempt_set_data(t->attempt, NULL);
  return t->attempt;
}

static void free_late(task *t) {
  free(t->outputs);
  free(t->error);
  free(t);
}

void fl_natives_detach(fl_natives *n, bool record) {
  for (task *t = n->tasks, *next; t; t = next) {
    next = t->next;
    if (t->late && record) continue; // as it ended
    fl_log_sink *log = t->log;
    fl_attempt *a = leave(t);
    if (record) fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1});
    fl_log_sink_close(log);
    if (!t->late) continue;
    n->late--;
    free_late(t);
  }
}

void fl_task_log(fl_task *handle, const char *text, size_t size) {
  task *t = fl_handle_get(FL_HANDLE_TASK, handle);
  if (!t || !t->natives) return;
  const fl_services *services = t->natives->services;
  if (!t->log) t->log = services->open_log(services->ud, t->attempt);
  fl_log_sink_write(t->log, text, size);
}

static void end_task(task *t, const char *outputs_json, const char *error) {
  fl_error err;
  fl_value *outputs = NULL;
  fl_outcome o = {.state = FL_ATTEMPT_SUCCEEDED, .exit_code = -1, .started_ms = t->started_ms};
  if (error) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = error;
  } else if (outputs_json && fl_value_parse(outputs_json, strlen(outputs_json), &outputs, &err)) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = err.message;
  }
  // Whoever was told to end it has; a type that cannot be told may still be right in the end.
  fl_attempt *a = leave(t);
  if (fl_attempt_has_timed_out(a) || (fl_attempt_is_ending(a) && t->type->cancel))
    o.state = FL_ATTEMPT_CANCELLED;
  o.outputs = outputs;
  if (t->log) {
    int disk_errno;
    fl_log_sink_finish(t->log, &o.log.path, &o.log.offset, &o.log.size, &o.log.total, &disk_errno);
  }
  fl_attempt_end(a, &o);
  fl_log_sink_close(t->log);
  fl_value_unref(outputs);
}

bool fl_natives_have_late(const fl_natives *n) {
  return n->late > 0;
}

void fl_natives_end_late(fl_natives *n) {
  for (task *t = n->tasks, *next; t && n->late; t = next) {
    next = t->next;
    if (!t->late) continue;
    n->late--;
    end_task(t, t->outputs, t->error);
    free_late(t);
  }
}

void fl_task_finish(fl_task *handle, const char *outputs_json, const char *error) {
  fl_error err;
  task *t = fl_handle_get(FL_HANDLE_TASK, handle);
  if (!t) return;
  fl_handle_end(handle);
  if (!t->natives) {
    free(t);
    return;
  }
  fl_scheduler *scheduler = t->natives->services->scheduler;
  if (!fl_scheduler_may_write(scheduler)) {
    t->late = true;
    t->natives->late++;
    t->outputs = outputs_json ? fl_strdup(outputs_json) : NULL;
    t->error = error ? fl_strdup(error) : NULL;
    return;
  }
  end_task(t, outputs_json, error);
  free(t);
  // Between steps nobody else commits it. Why it failed is what the next step says.
  (void)!fl_scheduler_unlock(scheduler, &err);
}
