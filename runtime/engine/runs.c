// The runs that live in an engine: found by id, woken up when something of them may have to be
// done. Work follows what is awake, not what lives.
#include "engine/run_internal.h"

void fl_scheduler_add_run(fl_scheduler *s, fl_run *run) {
  run->order = run->turn = ++s->run_order;
  run->index = s->run_count;
  FL_PUSH(s->runs, s->run_count, s->run_capacity, run);
  fl_table_add(&s->by_id, &run->link, fl_table_hash(run->row.id));
  fl_run_wake(run);
}

fl_run *fl_scheduler_find_run(fl_scheduler *s, const char *run_id) {
  for (fl_link *l = fl_table_first(&s->by_id, fl_table_hash(run_id)); l; l = fl_table_next(l))
    if (!strcmp(((fl_run *)l)->row.id, run_id)) return ((fl_run *)l)->fenced ? NULL : (fl_run *)l;
  return NULL;
}

fl_attempt *fl_scheduler_find_attempt(fl_scheduler *s, const char *run_id, uint32_t node_number,
                                      uint32_t number) {
  fl_run *run = fl_scheduler_find_run(s, run_id);
  uint32_t node = run ? fl_run_find_number(run, node_number) : FL_NODE_NONE;
  if (node == FL_NODE_NONE) return NULL;
  fl_attempt *a = fl_run_get_node(run, node)->live;
  return a && a->number == number ? a : NULL;
}

size_t fl_scheduler_get_run_count(const fl_scheduler *s) {
  return s->run_count - s->fenced_count + s->untold_count;
}
fl_run *fl_scheduler_get_run(fl_scheduler *s, size_t index) {
  return s->runs[index];
}

void fl_scheduler_keeper_changed(fl_scheduler *s) {
  for (size_t i = 0; i < s->run_count; i++) s->runs[i]->keeper_known = false;
}

void fl_run_wake(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  s->fill_wanted = true;
  if (run->awake) return;
  run->awake = true;
  FL_PUSH(s->awake, s->awake_count, s->awake_capacity, run);
}

fl_run *fl_scheduler_take_awake(fl_scheduler *s) {
  if (s->awake_at == s->awake_count) {
    s->awake_at = s->awake_count = 0;
    return NULL;
  }
  fl_run *run = s->awake[s->awake_at++];
  run->awake = false;
  return run;
}

void fl_scheduler_set_gone(fl_scheduler *s, fl_run *run) {
  if (run->going) return;
  run->going = true;
  FL_PUSH(s->gone, s->gone_count, s->gone_capacity, run);
}

void fl_scheduler_set_advising(fl_scheduler *s, fl_run *run) {
  if (run->going) return;
  run->going = true;
  FL_PUSH(s->advising, s->advising_count, s->advising_capacity, run);
}
