// The memory that an engine shares with one of its workers: the states of the tasks the worker was
// given, and the last bytes that it said.
//
// A task lies in a slot:
//
//            queue (engine)          take (worker)            finish (worker)
//   EMPTY ------------------> QUEUED -------------> RUNNING -----------------> DONE
//                               |
//                               +-- revoke (engine) --> REVOKED
//
// Taking and revoking are one compare-and-swap, so that a task is either run or taken back. Every
// use of a slot has a generation: a revoked task's message may still lie in the worker's socket
// when its slot is used again.
//
// What a worker says goes through `ring` first and into its socket later: several messages share a
// write, and none is lost when the next task kills the process, at whatever instant. `said` counts
// the bytes of whole messages since the worker began; an engine that has read fewer when the worker
// is gone finds the rest in the ring.
//
// The worker runs the user's code, FFI included: the engine checks all it reads here.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define FL_WORKER_SLOTS     64u         // tasks given to a worker at once: bits of a word
#define FL_WORKER_RING_SIZE (64u << 10) // a power of two; larger messages go past it

typedef enum fl_slot_state {
  FL_SLOT_EMPTY,
  FL_SLOT_QUEUED,
  FL_SLOT_RUNNING,
  FL_SLOT_DONE,
  FL_SLOT_REVOKED,
} fl_slot_state;

typedef struct fl_worker_slot {
  _Alignas(64) _Atomic uint32_t word; // generation << 3 | state
  _Atomic uint32_t cancelled;         // the generation that was asked to end
  _Atomic int64_t started_ns;         // CLOCK_MONOTONIC
} fl_worker_slot;

typedef struct fl_worker_page {
  fl_worker_slot slots[FL_WORKER_SLOTS];
  // For who lingers (executor/worker_linger.h); both sides believe their socket only.
  _Alignas(64) _Atomic uint64_t sent;    // bytes that the worker put into its socket
  _Alignas(64) _Atomic uint64_t answers; // writes of the engine into its own
  _Atomic bool crowded;                  // several workers want the processors: none lingers
  _Alignas(64) _Atomic uint64_t said;
  char ring[FL_WORKER_RING_SIZE];
} fl_worker_page;

/// A new page and its descriptor; the size is sealed, so that nobody can cut it off under us.
FL_MUST fl_code fl_worker_page_open(fl_worker_page **out, int *fd, fl_error *err);
/// Maps the page of descriptor `fd`, NULL when it is none.
fl_worker_page *fl_worker_page_map(int fd);
void fl_worker_page_close(fl_worker_page *page); // NULL-safe

// Generations count from 1.
void fl_slot_queue(fl_worker_slot *slot, uint32_t generation);
/// False: the worker has it already.
bool fl_slot_revoke(fl_worker_slot *slot, uint32_t generation);
/// False: it was taken back.
bool fl_slot_take(fl_worker_slot *slot, uint32_t generation, int64_t now_ns);
void fl_slot_finish(fl_worker_slot *slot, uint32_t generation);
/// FL_SLOT_EMPTY when the slot holds another generation.
fl_slot_state fl_slot_get_state(fl_worker_slot *slot, uint32_t generation);
void fl_slot_cancel(fl_worker_slot *slot, uint32_t generation);
bool fl_slot_is_cancelled(fl_worker_slot *slot, uint32_t generation);

/// Puts bytes at stream position `at`; nobody reads them before fl_ring_publish().
void fl_ring_write(fl_worker_page *page, uint64_t at, const void *data, size_t size);
void fl_ring_publish(fl_worker_page *page, uint64_t end);
/// How many bytes were said after the first `received`, or 0 when the ring does not hold them.
size_t fl_ring_left(fl_worker_page *page, uint64_t received);
void fl_ring_read(const fl_worker_page *page, uint64_t at, void *out, size_t size);
