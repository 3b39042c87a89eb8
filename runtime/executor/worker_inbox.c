// What a worker hears: tasks, which queue, the values they share, and answers to what it asked.
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/limits.h"
#include "executor/worker_self_internal.h"

#define READ_SIZE   (64u << 10)
#define KEEP_SIZE   (1u << 20) // a buffer that a message made larger is given back
#define WAIT_MS_MAX 3600000    // of one poll()

// A message that this worker cannot make sense of: it is of another version, or its memory was
// overwritten. The engine reports it as the exit code says.
static _Noreturn void give_up(void) {
  _exit(70);
}

// ------------------------------------------------------------------------------------- tasks

static void take_task(fl_worker_self *self, const fl_wire_frame *frame) {
  fl_worker_job *job = fl_alloc(sizeof *job + frame->size + 1);
  *job = (fl_worker_job){0};
  memcpy(job->frame, frame->data, frame->size);
  fl_wire_frame copy = {frame->kind, job->frame, frame->size};
  if (!fl_worker_get_order(&copy, &job->order)) give_up();
  for (int i = 0; i < FL_FIELD_TASK_COUNT; i++) {
    if (job->order.fields[i].where != FL_WHERE_SHARED) continue;
    job->shared[i] = fl_value_ref(self->texts[job->order.fields[i].place]);
    if (!job->shared[i]) give_up();
  }
  *self->last = job;
  self->last = &job->next;
}

fl_worker_job *fl_worker_take_job(fl_worker_self *self) {
  fl_worker_job *job = self->first;
  if (!job) return NULL;
  self->first = job->next;
  if (!self->first) self->last = &self->first;
  return job;
}

void fl_worker_job_free(fl_worker_job *job) {
  for (int i = 0; i < FL_FIELD_TASK_COUNT; i++) fl_value_unref(job->shared[i]);
  fl_recorded_deinit(&job->recorded);
  free(job->progress_text);
  free(job);
}

static void take_text(fl_worker_self *self, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  size_t size;
  uint32_t place = fl_wire_get_u32(&in);
  const char *text = fl_wire_get_bytes(&in, &size);
  if (!fl_wire_done(&in) || !text || place >= FL_WORKER_TEXTS) give_up();
  fl_value_unref(self->texts[place]);
  self->texts[place] = fl_value_new(text, size);
}

// ------------------------------------------------------------------------------------- receiving

static void take_frame(fl_worker_self *self, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  switch ((int)frame->kind) {
  case FL_WORKER_TASK: take_task(self, frame); return;
  case FL_WORKER_TEXT: take_text(self, frame); return;
  case FL_WORKER_CANCEL: return; // it has woken us: whoever waits looks at the page
  case FL_WORKER_REPLY:
    if (fl_wire_get_u32(&in) != self->request) return;
    self->reply = *frame;
    self->replied = true;
    return;
  default: give_up();
  }
}

// Stops behind an answer, which stays where it is until the next fl_worker_receive().
static void take_frames(fl_worker_self *self) {
  fl_wire_frame frame;
  size_t used;
  while (!self->replied && self->in_used < self->in.size) {
    int got =
        fl_wire_next(self->in.data + self->in_used, self->in.size - self->in_used, &frame, &used);
    if (got < 0) give_up();
    if (!got) return;
    self->in_used += used;
    take_frame(self, &frame);
  }
}

static void drop_used(fl_worker_self *self) {
  self->replied = false;
  fl_buf_consume(&self->in, self->in_used);
  self->in_used = 0;
  if (!self->in.size && self->in.capacity > KEEP_SIZE) fl_buf_deinit(&self->in);
}

// Blocks until there is something.
static void receive(fl_worker_self *self) {
  if (!fl_buf_reserve(&self->in, READ_SIZE)) give_up();
  ssize_t n = recv(self->fd, self->in.data + self->in.size, READ_SIZE, 0);
  if (n < 0 && errno == EINTR) return;
  if (n <= 0) _exit(0); // the engine does not need this worker any more, or is gone
  self->in.size += (size_t)n;
  take_frames(self);
}

void fl_worker_receive(fl_worker_self *self) {
  drop_used(self);
  take_frames(self); // what stood behind an answer
  if (!self->first) receive(self);
}

void fl_worker_wait(fl_worker_self *self, int64_t wait_ms) {
  struct pollfd fd = {.fd = self->fd, .events = POLLIN};
  if (poll(&fd, 1, wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int)wait_ms) <= 0) return;
  drop_used(self);
  receive(self);
}

// ------------------------------------------------------------------------------------- asking

size_t fl_worker_frame_begin(fl_worker_self *self, const fl_worker_job *job, fl_worker_kind kind) {
  fl_buf_reset(&self->frame);
  size_t begin = fl_worker_begin(&self->frame, kind);
  fl_wire_put_u32(&self->frame, job->order.slot);
  fl_wire_put_u32(&self->frame, job->order.generation);
  return begin;
}

static bool frame_end(fl_worker_self *self, size_t begin) {
  if (self->frame.failed) return false;
  fl_wire_end(&self->frame, begin);
  return true;
}

static void frame_done(fl_worker_self *self) {
  if (self->frame.capacity > KEEP_SIZE) fl_buf_deinit(&self->frame);
}

bool fl_worker_frame_say(fl_worker_self *self, size_t begin, int delay_ms) {
  if (!frame_end(self, begin)) return false;
  fl_worker_out_say(self->out, self->frame.data, self->frame.size, delay_ms);
  frame_done(self);
  return true;
}

size_t fl_worker_ask(fl_worker_self *self, const fl_worker_job *job, fl_worker_kind kind) {
  size_t begin = fl_worker_frame_begin(self, job, kind);
  fl_wire_put_u32(&self->frame, ++self->request);
  self->soon = kind != FL_WORKER_EXEC;
  return begin;
}

fl_code fl_worker_await(fl_worker_self *self, size_t begin, fl_wire_in *in, fl_error *err) {
  if (!frame_end(self, begin)) {
    return fl_fail(err, FL_E_LIMIT, "it is larger than %u MiB (the limit of a message)",
                   FL_FRAME_SIZE_MAX >> 20);
  }
  uint64_t answers = atomic_load_explicit(&self->page->answers, memory_order_acquire);
  fl_worker_out_send(self->out, self->frame.data, self->frame.size);
  frame_done(self);
  drop_used(self);
  take_frames(self);
  if (self->soon && !atomic_load_explicit(&self->page->crowded, memory_order_relaxed))
    fl_linger_until(&self->linger, &self->page->answers, answers);
  while (!self->replied) receive(self);
  *in = fl_wire_open(&self->reply);
  fl_wire_get_u32(in);
  if (fl_wire_get_u8(in)) return FL_OK;
  const char *text = fl_wire_get_text(in);
  return fl_fail(err, FL_E_STATE, "%s", text ? text : "the engine refused");
}
