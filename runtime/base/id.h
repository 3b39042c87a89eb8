// Names and ids: what is allowed in one, and how a run's id is made.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define FL_RUN_ID_SIZE 32

/// `[A-Za-z_][A-Za-z0-9_.-]*`, at most FL_ID_SIZE_MAX bytes, for flow keys and node names.
bool fl_name_valid(const char *text, size_t size);
/// `[A-Za-z0-9_.-]{1,128}`, neither "." nor "..": safe as a file name.
bool fl_id_valid(const char *text, size_t size);
/// "20260131T235959-4f7a9c01d2e3": sorts by creation time (UTC), 48 random bits.
void fl_run_id_make(int64_t wall_ms, char out[FL_RUN_ID_SIZE]);
