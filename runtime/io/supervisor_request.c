// What engines ask for: start, end, take back, settle, and take over after a crash.
#include "io/supervisor_internal.h"

static bool is_fenced(const fl_sup_link *link, const char *run) {
  for (size_t i = 0; i < link->fenced_count; i++) {
    if (strcmp(link->fenced[i], run) == 0) return true;
  }
  return false;
}

static int claim_passed(fl_sup_link *link) {
  if (!link->passed_count) return -1;
  int fd = link->passed[0];
  memmove(link->passed, link->passed + 1, (size_t)--link->passed_count * sizeof fd);
  return fd;
}

static bool request_spawn(fl_sup *sup, fl_sup_link *link, const fl_wire_frame *frame) {
  fl_sup_job *job = fl_alloc_zero(1, sizeof *job);
  job->spawn.pass_fd = job->spawn.pass_fd2 = -1;
  job->link = link;
  job->frame = fl_alloc(frame->size + 1);
  job->frame_size = frame->size;
  memcpy(job->frame, frame->data, frame->size);
  fl_wire_frame own = {frame->kind, job->frame, frame->size};
  fl_spawn *s = &job->spawn;
  bool valid = fl_wire_get_spawn(&own, s, &job->vectors);
  bool first = valid && s->pass_fd >= 0, second = valid && s->pass_fd2 >= 0;
  s->pass_fd = s->pass_fd2 = -1;
  if (first) valid = (s->pass_fd = claim_passed(link)) >= 0;
  if (second && valid) valid = (s->pass_fd2 = claim_passed(link)) >= 0;
  if (!valid) {
    fl_sup_job_free(job);
    return false;
  }
  if (is_fenced(link, s->id.run)) {
    fl_sup_exit_revoked(sup, job);
    fl_sup_job_free(job);
    return true;
  }
  fl_sup_queue_add(link, job);
  return true;
}

static void kill_child(fl_sup *sup, fl_sup_child *child, int64_t grace_ms) {
  if (!child->timed_out && !fl_sup_child_has_ended(child)) child->cancelled = true;
  fl_sup_kill(sup, child, grace_ms);
}

static bool request_kill(fl_sup *sup, fl_sup_link *link, fl_wire_in *in) {
  fl_child_id id;
  fl_wire_get_id(in, &id);
  int64_t grace_ms = fl_wire_get_i64(in);
  if (!fl_wire_done(in)) return false;
  if (fl_sup_queue_revoke(sup, link, &id, NULL)) return true;
  for (fl_sup_child *c = sup->children; c; c = c->next) {
    if (c->owner == link && fl_child_id_equal(&c->job->spawn.id, &id)) kill_child(sup, c, grace_ms);
  }
  return true;
}

static void let_go(fl_sup_child *child) {
  if (child->holds_slot) child->owner->running--;
  child->holds_slot = false;
  child->owner = NULL;
}

// A worker's and a Lua node's processes answer to an engine that is gone: nobody could use what
// they do. A node's own process is worth as much as before.
static bool can_go_on(const fl_sup_child *child) {
  return child->job->spawn.id.run[0] && child->job->spawn.id.child == 0;
}

static void end_dropped(fl_sup *sup, fl_sup_child *child) {
  int64_t grace = child->job->spawn.grace_ms;
  child->dropped = true;
  kill_child(sup, child, grace < FL_SUP_LEFTOVER_MS ? grace : FL_SUP_LEFTOVER_MS);
}

void fl_sup_abandon(fl_sup *sup, fl_sup_link *link) {
  fl_sup_queue_drop(link);
  if (link->unsettled) sup->untidy = true;
  sup->untidy |= !link->tidy;
  for (fl_sup_child *c = sup->children, *after; c; c = after) {
    after = c->next;
    if (c->owner != link) continue;
    let_go(c);
    if (!can_go_on(c)) end_dropped(sup, c);
  }
}

static bool request_close(fl_sup *sup, fl_sup_link *link, fl_wire_in *in) {
  bool kill_all = fl_wire_get_u8(in) != 0;
  link->tidy = fl_wire_get_u8(in) != 0;
  if (!fl_wire_done(in)) return false;
  if (link->tidy) {
    sup->settled += link->unsettled;
    link->unsettled = 0;
  }
  for (fl_sup_child *c = sup->children; c && kill_all; c = c->next) {
    if (c->owner == link) kill_child(sup, c, 0);
  }
  link->broken = true;
  fl_sup_abandon(sup, link);
  return true;
}

static bool request_settle(fl_sup *sup, fl_sup_link *link, const fl_wire_frame *frame) {
  size_t count = frame->size / sizeof(uint64_t);
  if (frame->size % sizeof(uint64_t) || count > link->unsettled) return false;
  uint64_t *seqs = fl_alloc(frame->size + 1);
  memcpy(seqs, frame->data, frame->size);
  link->unsettled -= count;
  sup->settled += count;
  fl_sup_exit_settle(sup, seqs, count);
  free(seqs);
  return true;
}

// Another engine owns the run now. What this one still asks for it is refused.
static void fence(fl_sup *sup, fl_sup_link *old, const char *run) {
  fl_sup_queue_revoke(sup, old, NULL, run);
  if (is_fenced(old, run)) return;
  old->fenced = fl_realloc(old->fenced, (old->fenced_count + 1) * sizeof(char *));
  old->fenced[old->fenced_count++] = fl_strdup(run);
}

static void take_from(fl_sup *sup, fl_sup_link *old, fl_sup_child *child) {
  size_t begin = fl_wire_begin(&old->out, FL_WIRE_TAKEN);
  fl_wire_put_id(&old->out, &child->job->spawn.id);
  fl_wire_end(&old->out, begin);
  let_go(child);
  fl_sup_link_reported(sup, old);
}

// Something that cannot go on still ends: its run's next attempts must not overlap with it.
static bool must_wait(const fl_sup *sup, const char *run) {
  for (const fl_sup_child *c = sup->children; c; c = c->next) {
    const char *of = c->job->spawn.id.run;
    if (c->dropped && (!of[0] || strcmp(of, run) == 0)) return true;
  }
  return false;
}

static void answer_attach(fl_sup *sup, fl_sup_link *link) {
  size_t begin = fl_wire_begin(&link->out, FL_WIRE_ATTACHED);
  for (fl_sup_child *c = sup->children; c; c = c->next) {
    if (c->owner || c->dropped || strcmp(c->job->spawn.id.run, link->attach_run) != 0) continue;
    c->owner = link;
    fl_wire_put_id(&link->out, &c->job->spawn.id);
  }
  fl_wire_end(&link->out, begin);
  for (fl_sup_child *c = sup->children; c; c = c->next) {
    if (c->owner == link && c->unkillable) fl_sup_kill_tell(sup, c);
  }
  link->attaching = false;
  sup->attach_count--;
  fl_sup_link_send(sup, link);
}

void fl_sup_attach_continue(fl_sup *sup) {
  for (fl_sup_link *link = sup->links; link; link = link->next) {
    if (link->attaching && !link->broken && !must_wait(sup, link->attach_run)) {
      answer_attach(sup, link);
    }
  }
}

static bool request_attach(fl_sup *sup, fl_sup_link *link, fl_wire_in *in) {
  const char *run = fl_wire_get_text(in);
  if (!fl_wire_done(in) || !run || !*run || strlen(run) >= sizeof link->attach_run) return false;
  if (link->attaching) return false;
  snprintf(link->attach_run, sizeof link->attach_run, "%s", run);
  // What a dead engine had sent before is read first: it must not start after this answer.
  for (fl_sup_link *old = sup->links; old; old = old->next) {
    if (old == link || old->broken) continue;
    fl_sup_link_read(sup, old, true);
    if (!old->broken) fence(sup, old, link->attach_run);
  }
  for (fl_sup_child *c = sup->children, *after; c; c = after) {
    after = c->next;
    if (strcmp(c->job->spawn.id.run, link->attach_run) != 0) continue;
    if (c->owner && c->owner != link) take_from(sup, c->owner, c);
    if (!can_go_on(c) && !c->dropped) end_dropped(sup, c);
  }
  link->attaching = true;
  sup->attach_count++;
  fl_sup_attach_continue(sup);
  return true;
}

bool fl_sup_request(fl_sup *sup, fl_sup_link *link, const fl_wire_frame *frame) {
  fl_wire_in in = fl_wire_open(frame);
  switch ((int)frame->kind) {
  case FL_WIRE_SPAWN: return request_spawn(sup, link, frame);
  case FL_WIRE_SLOTS: link->slots = fl_wire_get_u32(&in); return fl_wire_done(&in);
  case FL_WIRE_KILL: return request_kill(sup, link, &in);
  case FL_WIRE_REVOKE: {
    const char *run = fl_wire_get_text(&in);
    if (!fl_wire_done(&in)) return false;
    fl_sup_queue_revoke(sup, link, NULL, run);
    return true;
  }
  case FL_WIRE_CLOSE: return request_close(sup, link, &in);
  case FL_WIRE_ATTACH: return request_attach(sup, link, &in);
  case FL_WIRE_SETTLE: return request_settle(sup, link, frame);
  case FL_WIRE_ALARM_MS: sup->alarm_ms = fl_wire_get_i64(&in); return fl_wire_done(&in);
  default: return false;
  }
}
