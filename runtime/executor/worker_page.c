// Slots and ring of the memory shared with a worker.
#include "base/fd.h"
#include "executor/worker_page.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

fl_code fl_worker_page_open(fl_worker_page **out, int *fd, fl_error *err) {
  *out = NULL;
  *fd = fl_fd_raise(memfd_create("flowlua-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (*fd < 0) return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot make shared memory");
  if (!ftruncate(*fd, sizeof **out) &&
      !fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
    *out = fl_worker_page_map(*fd);
  }
  if (*out) return FL_OK;
  int errnum = errno;
  close(*fd);
  *fd = -1;
  return fl_fail_errno(err, FL_E_SYSTEM, errnum, "cannot make shared memory");
}

fl_worker_page *fl_worker_page_map(int fd) {
  struct stat st;
  if (fstat(fd, &st) || st.st_size != (off_t)sizeof(fl_worker_page)) return NULL;
  void *page = mmap(NULL, sizeof(fl_worker_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return page == MAP_FAILED ? NULL : page;
}

void fl_worker_page_close(fl_worker_page *page) {
  if (page) munmap(page, sizeof *page);
}

// ------------------------------------------------------------------------------------- slots

static uint32_t word_of(uint32_t generation, fl_slot_state state) {
  return generation << 3 | (uint32_t)state;
}

void fl_slot_queue(fl_worker_slot *slot, uint32_t generation) {
  atomic_store_explicit(&slot->word, word_of(generation, FL_SLOT_QUEUED), memory_order_release);
}

bool fl_slot_revoke(fl_worker_slot *slot, uint32_t generation) {
  uint32_t word = word_of(generation, FL_SLOT_QUEUED);
  return atomic_compare_exchange_strong(&slot->word, &word, word_of(generation, FL_SLOT_REVOKED));
}

bool fl_slot_take(fl_worker_slot *slot, uint32_t generation, int64_t now_ns) {
  uint32_t word = word_of(generation, FL_SLOT_QUEUED);
  // First, so that whoever sees RUNNING sees since when.
  atomic_store_explicit(&slot->started_ns, now_ns, memory_order_relaxed);
  return atomic_compare_exchange_strong(&slot->word, &word, word_of(generation, FL_SLOT_RUNNING));
}

void fl_slot_finish(fl_worker_slot *slot, uint32_t generation) {
  // The result was said before: the engine may have queued the next task in this slot already.
  uint32_t word = word_of(generation, FL_SLOT_RUNNING);
  atomic_compare_exchange_strong(&slot->word, &word, word_of(generation, FL_SLOT_DONE));
}

fl_slot_state fl_slot_get_state(fl_worker_slot *slot, uint32_t generation) {
  uint32_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  uint32_t state = word & 7;
  return word >> 3 == (generation & UINT32_MAX >> 3) && state <= FL_SLOT_REVOKED
             ? (fl_slot_state)state
             : FL_SLOT_EMPTY;
}

void fl_slot_cancel(fl_worker_slot *slot, uint32_t generation) {
  atomic_store_explicit(&slot->cancelled, generation, memory_order_release);
}

bool fl_slot_is_cancelled(fl_worker_slot *slot, uint32_t generation) {
  return atomic_load_explicit(&slot->cancelled, memory_order_relaxed) == generation;
}

// ------------------------------------------------------------------------------------- ring

void fl_ring_write(fl_worker_page *page, uint64_t at, const void *data, size_t size) {
  size_t begin = at % FL_WORKER_RING_SIZE, first = FL_WORKER_RING_SIZE - begin;
  if (first > size) first = size;
  memcpy(page->ring + begin, data, first);
  memcpy(page->ring, (const char *)data + first, size - first);
}

void fl_ring_publish(fl_worker_page *page, uint64_t end) {
  atomic_store_explicit(&page->said, end, memory_order_release);
}

size_t fl_ring_left(fl_worker_page *page, uint64_t received) {
  uint64_t left = atomic_load_explicit(&page->said, memory_order_acquire) - received;
  return left <= FL_WORKER_RING_SIZE ? (size_t)left : 0;
}

void fl_ring_read(const fl_worker_page *page, uint64_t at, void *out, size_t size) {
  size_t begin = at % FL_WORKER_RING_SIZE, first = FL_WORKER_RING_SIZE - begin;
  if (first > size) first = size;
  memcpy(out, page->ring + begin, first);
  memcpy((char *)out + first, page->ring, size - first);
}
