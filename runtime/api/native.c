// Node types written in C: their attempts are handed to the host as tasks.
#include "api/engine.h"

struct fl_task {
  fl_engine *engine;
  fl_attempt *attempt;
  const fl_native *native;
  fl_log_sink *log;
  int64_t started_ms;
};

fl_code fl_native_type_register(fl_engine *e, const fl_native_type *type, fl_error *err) {
  if (!type->size || type->size > sizeof *type || !type->run)
    return fl_fail(err, FL_E_USAGE, "fl_native_type: size and run are required");
  if (!type->name || !fl_name_valid(type->name, strlen(type->name)))
    return fl_fail(err, FL_E_USAGE, "fl_native_type.name: '%s' is no valid name",
                   type->name ? type->name : "");
  for (size_t i = 0; i < e->native_count; i++)
    if (!strcmp(e->natives[i].name, type->name))
      return fl_fail(err, FL_E_USAGE, "node type '%s' is registered already", type->name);
  e->natives = fl_realloc(e->natives, (e->native_count + 1) * sizeof *e->natives);
  fl_native *n = &e->natives[e->native_count++];
  *n = (fl_native){.name = fl_strdup(type->name)};
  memcpy(&n->type, type, type->size);
  n->type.name = n->name;
  return FL_OK;
}

static const fl_native *find(fl_engine *e, const char *name) {
  for (size_t i = 0; i < e->native_count; i++)
    if (!strcmp(e->natives[i].name, name)) return &e->natives[i];
  return NULL;
}

static void fail(fl_attempt *a, const char *message) {
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = message});
}

static void native_start(void *ud, fl_attempt *a) {
  fl_engine *e = ud;
  fl_error err;
  fl_value *params = NULL;
  fl_buf context;
  const fl_native *n = find(e, a->options->type);
  fl_buf_init(&context, FL_FRAME_SIZE_MAX);
  if (!n) {
    fl_fail(&err, FL_E_USAGE, "node type '%s' is not registered in this process", a->options->type);
    fail(a, err.message);
  } else if (fl_script_native_params(a, &params, &err) ||
             fl_attempt_write_context(a, &context, &err)) {
    fail(a, err.message);
  } else {
    fl_task *task = fl_alloc_zero(1, sizeof *task);
    *task = (fl_task){.engine = e, .attempt = a, .native = n, .started_ms = fl_wall_ms()};
    a->executor_data = task;
    fl_attempt_arm_timeout(a);
    fl_attempt_started(a, 0, task->started_ms);
    n->type.run(n->type.ud, task, params ? params->text : "{}", fl_buf_cstr(&context));
  }
  fl_value_unref(params);
  fl_buf_deinit(&context);
}

static void native_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  (void)ud, (void)grace_ms;
  fl_task *task = a->executor_data;
  if (task && task->native->type.cancel) task->native->type.cancel(task->native->type.ud, task);
}

fl_executor fl_native_get_executor(fl_engine *e) {
  return (fl_executor){.start = native_start, .cancel = native_cancel, .ud = e};
}

void fl_task_log(fl_task *task, const char *text, size_t size) {
  if (!task->log) task->log = task->engine->services.open_log(task->engine, task->attempt);
  fl_log_sink_write(task->log, text, size);
}

void fl_task_finish(fl_task *task, const char *outputs_json, const char *error) {
  fl_error err;
  fl_value *outputs = NULL;
  fl_outcome o = {.state = FL_ATTEMPT_SUCCEEDED, .exit_code = -1, .started_ms = task->started_ms};
  if (error) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = error;
  } else if (outputs_json && fl_value_parse(outputs_json, strlen(outputs_json), &outputs, &err)) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = err.message;
  }
  // Whoever was told to end it has; a type that cannot be told may still be right in the end.
  const fl_attempt *a = task->attempt;
  if (a->timing_out || (a->cancelling && task->native->type.cancel)) o.state = FL_ATTEMPT_CANCELLED;
  o.outputs = outputs;
  if (task->log) {
    int disk_errno;
    fl_log_sink_finish(task->log, &o.log.path, &o.log.offset, &o.log.size, &o.log.total,
                       &disk_errno);
  }
  task->attempt->executor_data = NULL;
  fl_attempt_end(task->attempt, &o);
  fl_log_sink_close(task->log);
  fl_value_unref(outputs);
  free(task);
}
