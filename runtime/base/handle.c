// A table of the process: a handle is the index of a row and the row's generation.
#include <pthread.h>
#include <stdint.h>
#include "base/err.h"
#include "base/handle.h"

#define INDEX_BITS (sizeof(void *) == 8 ? 24 : 16)
#define INDEX_MAX  (((uintptr_t)1 << INDEX_BITS) - 1)

typedef struct row {
  fl_handle_kind kind; // FL_HANDLE_FREE: nobody's
  uintptr_t generation;
  void *object;
  size_t next; // of the free ones, index + 1; 0: none
} row;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static row *rows;
static size_t count, capacity, free_first; // free_first: index + 1

// Locked. The row of a handle that lives, or NULL.
static row *find(const void *handle) {
  uintptr_t number = (uintptr_t)handle;
  size_t index = number & INDEX_MAX;
  if (index >= count || rows[index].generation != number >> INDEX_BITS) return NULL;
  return rows[index].kind == FL_HANDLE_FREE ? NULL : &rows[index];
}

void *fl_handle_new(fl_handle_kind kind, void *object) {
  pthread_mutex_lock(&lock);
  size_t index = free_first ? free_first - 1 : count;
  if (free_first) {
    free_first = rows[index].next;
  } else {
    FL_ASSERT(count <= INDEX_MAX);
    if (count == capacity) {
      capacity = capacity ? 2 * capacity : 64;
      rows = fl_realloc(rows, capacity * sizeof *rows);
    }
    rows[count++] = (row){0};
  }
  row *r = &rows[index];
  r->kind = kind;
  r->object = object;
  r->generation++; // from 1: a handle is never NULL
  uintptr_t number = r->generation << INDEX_BITS | index;
  pthread_mutex_unlock(&lock);
  return (void *)number; // NOLINT(performance-no-int-to-ptr): never followed
}

void *fl_handle_get(fl_handle_kind kind, const void *handle) {
  pthread_mutex_lock(&lock);
  const row *r = find(handle);
  void *object = r && r->kind == kind ? r->object : NULL;
  pthread_mutex_unlock(&lock);
  return object;
}

void fl_handle_end(void *handle) {
  pthread_mutex_lock(&lock);
  row *r = find(handle);
  if (r) {
    r->kind = FL_HANDLE_FREE;
    r->object = NULL;
    // A row whose generations are used up is given out no more.
    if (r->generation < UINTPTR_MAX >> INDEX_BITS) {
      r->next = free_first;
      free_first = (size_t)(r - rows) + 1;
    }
  }
  pthread_mutex_unlock(&lock);
}
