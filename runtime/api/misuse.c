// Calls that are not possible where they are made: on another thread, within a callback, of what
// has ended.
#include <pthread.h>
#include "api/engine.h"

fl_code fl_refuse_misuse(const char *sentence, fl_error *err) {
#ifdef FL_CHECKED
  (void)err;
  fl_panic("a call of the host's", 0, sentence);
#else
  return fl_fail(err, FL_E_STATE, "%s", sentence);
#endif
}

static unsigned long this_thread(void) {
  return (unsigned long)pthread_self();
}

fl_code fl_engine_refuse_elsewhere(const fl_engine *e, fl_error *err) {
  if (atomic_load_explicit(&e->thread, memory_order_relaxed) == this_thread()) return FL_OK;
  return fl_refuse_misuse("the engine belongs to another thread: fl_engine_take() hands it over",
                          err);
}

fl_code fl_engine_refuse_inside(const fl_engine *e, const char *function, fl_error *err) {
  char sentence[128];
  fl_code rc = fl_engine_refuse_elsewhere(e, err);
  if (rc || !e->inside) return rc;
  snprintf(sentence, sizeof sentence, "%s() cannot be called from within a callback", function);
  return fl_refuse_misuse(sentence, err);
}

fl_code fl_engine_take(fl_engine *e, fl_error *err) {
  unsigned long had = atomic_load(&e->thread);
  if (had != this_thread() && atomic_load(&e->turning))
    return fl_refuse_misuse("the engine cannot be taken: another thread is in a step of it", err);
  atomic_store(&e->thread, this_thread());
  return FL_OK;
}
