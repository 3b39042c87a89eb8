// What waits to be started, and the slots it waits for.
#include "io/supervisor_internal.h"
#include <unistd.h>

#define FRAME_KEPT_MAX (16u << 10) // a larger request is not kept while its child runs

void fl_sup_job_free(fl_sup_job *job) {
  if (!job) return;
  if (job->spawn.pass_fd >= 0) close(job->spawn.pass_fd);
  if (job->spawn.pass_fd2 >= 0) close(job->spawn.pass_fd2);
  free(job->frame);
  free(job->vectors);
  free(job);
}

void fl_sup_job_shrink(fl_sup_job *job) {
  fl_spawn *s = &job->spawn;
  s->stdin_data = s->context = s->time = s->cwd = NULL;
  if (job->frame_size <= FRAME_KEPT_MAX) return;
  char *name = s->node_name ? fl_strdup(s->node_name) : NULL;
  free(job->frame);
  free(job->vectors);
  job->frame = name;
  job->vectors = NULL;
  s->node_name = name;
  s->argv = s->env = NULL;
}

static bool is_before(const fl_sup_job *a, const fl_sup_job *b) {
  if (a->spawn.priority != b->spawn.priority) return a->spawn.priority > b->spawn.priority;
  return a->arrival < b->arrival;
}

static void sift(fl_sup_link *link, size_t at, fl_sup_job *job) {
  fl_sup_job **queue = link->queue;
  for (; at > 0 && is_before(job, queue[(at - 1) / 2]); at = (at - 1) / 2) {
    queue[at] = queue[(at - 1) / 2];
  }
  for (;;) {
    size_t below = 2 * at + 1;
    if (below >= link->queue_count) break;
    if (below + 1 < link->queue_count && is_before(queue[below + 1], queue[below])) below++;
    if (!is_before(queue[below], job)) break;
    queue[at] = queue[below];
    at = below;
  }
  queue[at] = job;
}

static void push(fl_sup_link *link, fl_sup_job *job) {
  if (link->queue_count == link->queue_capacity) {
    link->queue_capacity = link->queue_capacity ? 2 * link->queue_capacity : 64;
    link->queue = fl_realloc(link->queue, link->queue_capacity * sizeof(fl_sup_job *));
  }
  sift(link, link->queue_count++, job);
}

static fl_sup_job *pop(fl_sup_link *link) {
  fl_sup_job *first = link->queue[0];
  fl_sup_job *last = link->queue[--link->queue_count];
  if (link->queue_count) sift(link, 0, last);
  return first;
}

void fl_sup_queue_add(fl_sup_link *link, fl_sup_job *job) {
  job->arrival = ++link->arrivals;
  job->link = link;
  job->next = NULL;
  if (job->spawn.queue) {
    push(link, job);
  } else {
    *link->at_once_end = job;
    link->at_once_end = &job->next;
  }
}

// Starts what must not wait for a slot. False: the system has no room now.
static bool run_at_once(fl_sup *sup, fl_sup_link *link) {
  for (fl_sup_job *job; (job = link->at_once);) {
    fl_sup_job *after = job->next;
    if (fl_sup_child_start(sup, job) == FL_SUP_AGAIN) return false;
    link->at_once = after;
    if (!after) link->at_once_end = &link->at_once;
  }
  return true;
}

static bool run_queue(fl_sup *sup, fl_sup_link *link) {
  while (link->queue_count && link->running < link->slots) {
    fl_sup_job *job = pop(link);
    if (fl_sup_child_start(sup, job) == FL_SUP_AGAIN) {
      push(link, job); // it keeps its place: the arrival is the same
      return false;
    }
  }
  return true;
}

int64_t fl_sup_queue_run(fl_sup *sup) {
  if (sup->retry_at > sup->now) return sup->retry_at;
  sup->retry_at = 0;
  for (fl_sup_link *link = sup->links; link; link = link->next) {
    if (link->broken || (run_at_once(sup, link) && run_queue(sup, link))) continue;
    sup->retry_ms = sup->retry_ms ? 2 * sup->retry_ms : 10;
    if (sup->retry_ms > FL_SUP_RETRY_MS_MAX) sup->retry_ms = FL_SUP_RETRY_MS_MAX;
    sup->retry_at = sup->now + sup->retry_ms;
    return sup->retry_at;
  }
  return INT64_MAX;
}

static bool is_meant(const fl_sup_job *job, const fl_child_id *id, const char *run) {
  if (id) return fl_child_id_equal(&job->spawn.id, id);
  return !run || strcmp(job->spawn.id.run, run) == 0;
}

bool fl_sup_queue_revoke(fl_sup *sup, fl_sup_link *link, const fl_child_id *id, const char *run) {
  bool found = false;
  size_t kept = 0;
  for (size_t i = 0; i < link->queue_count; i++) {
    fl_sup_job *job = link->queue[i];
    if (!is_meant(job, id, run)) {
      link->queue[kept++] = job;
      continue;
    }
    found = true;
    fl_sup_exit_revoked(sup, job);
    fl_sup_job_free(job);
  }
  // What is left is no heap any more: it is built again, one by one.
  size_t count = found ? kept : 0;
  if (found) link->queue_count = 0;
  for (size_t i = 0; i < count; i++) sift(link, link->queue_count++, link->queue[i]);
  for (fl_sup_job **at = &link->at_once; *at;) {
    fl_sup_job *job = *at;
    if (!is_meant(job, id, run)) {
      at = &job->next;
      continue;
    }
    found = true;
    *at = job->next;
    fl_sup_exit_revoked(sup, job);
    fl_sup_job_free(job);
  }
  link->at_once_end = &link->at_once;
  while (*link->at_once_end) link->at_once_end = &(*link->at_once_end)->next;
  return found;
}

void fl_sup_queue_drop(fl_sup_link *link) {
  for (size_t i = 0; i < link->queue_count; i++) fl_sup_job_free(link->queue[i]);
  link->queue_count = 0;
  for (fl_sup_job *job = link->at_once, *after; job; job = after) {
    after = job->next;
    fl_sup_job_free(job);
  }
  link->at_once = NULL;
  link->at_once_end = &link->at_once;
}
