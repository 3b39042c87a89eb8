// Handles: what a host holds instead of a pointer. A number with a generation, never given out
// twice, so that one of something that has ended is told from all that live.
#pragma once
#include <stddef.h>

/// What a handle stands for: one of a kind is none of another.
typedef enum fl_handle_kind {
  FL_HANDLE_FREE,
  FL_HANDLE_SCRIPT,
  FL_HANDLE_TASK,
} fl_handle_kind;

/// A handle for `object`, of this process; never NULL. From any thread. fl_handle_end() it.
void *fl_handle_new(fl_handle_kind kind, void *object);
/// What it stands for; NULL: it has ended, or never was one. Whatever the pointer: it is not
/// followed.
void *fl_handle_get(fl_handle_kind kind, const void *handle);
/// It stands for nothing from now on. One that has ended already stays so.
void fl_handle_end(void *handle);
