// A thread beside the engine's, with a list of what it is to do and one of what it has done.
#include "io/thread.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct job {
  void (*work)(void *arg);
  void (*done)(void *arg);
  void *arg;
  struct job *next;
} job;

typedef struct job_list {
  job *first, **end;
} job_list;

struct fl_thread {
  pthread_t thread;
  pid_t process; // that it runs in
  pthread_mutex_t lock;
  pthread_cond_t asked, finished;
  job_list todo, done;
  size_t open; // given and not yet in `done`
  bool stop;
  void (*wake)(void *ud);
  void *ud;
};

static void put(job_list *list, job *j) {
  j->next = NULL;
  *list->end = j;
  list->end = &j->next;
}

static job *take(job_list *list) {
  job *j = list->first;
  if (!j) return NULL;
  list->first = j->next;
  if (!list->first) list->end = &list->first;
  return j;
}

static void *run(void *arg) {
  fl_thread *t = arg;
  pthread_mutex_lock(&t->lock);
  for (;;) {
    job *j = take(&t->todo);
    if (!j) {
      if (t->stop) break;
      pthread_cond_wait(&t->asked, &t->lock);
      continue;
    }
    pthread_mutex_unlock(&t->lock);
    j->work(j->arg);
    pthread_mutex_lock(&t->lock);
    put(&t->done, j);
    t->open--;
    pthread_cond_signal(&t->finished);
    // Under the lock: who closes the thread may free what `wake` touches right after.
    t->wake(t->ud);
  }
  pthread_mutex_unlock(&t->lock);
  return NULL;
}

fl_code fl_thread_open(void (*wake)(void *ud), void *ud, fl_thread **out, fl_error *err) {
  sigset_t all, old;
  fl_thread *t = fl_alloc_zero(1, sizeof *t);
  *out = NULL;
  t->wake = wake;
  t->ud = ud;
  t->process = getpid();
  t->todo.end = &t->todo.first;
  t->done.end = &t->done.first;
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->asked, NULL);
  pthread_cond_init(&t->finished, NULL);
  // A host's handlers run on its own threads only.
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(&t->thread, NULL, run, t);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (rc) {
    free(t);
    return fl_fail_errno(err, FL_E_SYSTEM, rc, "cannot start a thread");
  }
  *out = t;
  return FL_OK;
}

void fl_thread_do(fl_thread *t, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
  job *j = fl_alloc(sizeof *j);
  *j = (job){.work = work, .done = done, .arg = arg};
  pthread_mutex_lock(&t->lock);
  put(&t->todo, j);
  t->open++;
  pthread_cond_signal(&t->asked);
  pthread_mutex_unlock(&t->lock);
}

bool fl_thread_take_done(fl_thread *t) {
  bool any = false;
  for (;;) {
    pthread_mutex_lock(&t->lock);
    job *j = take(&t->done);
    pthread_mutex_unlock(&t->lock);
    if (!j) return any;
    any = true;
    j->done(j->arg); // may give more to do
    free(j);
  }
}

void fl_thread_wait(fl_thread *t) {
  if (t->process != getpid()) return; // it is not here
  do {
    pthread_mutex_lock(&t->lock);
    while (t->open) pthread_cond_wait(&t->finished, &t->lock);
    pthread_mutex_unlock(&t->lock);
  } while (fl_thread_take_done(t));
}

void fl_thread_close(fl_thread *t) {
  if (!t) return;
  fl_thread_wait(t);
  if (t->process == getpid()) {
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->asked);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->asked);
    pthread_cond_destroy(&t->finished);
    pthread_mutex_destroy(&t->lock);
  }
  for (job *j; (j = take(&t->todo)) || (j = take(&t->done));) free(j);
  free(t);
}
