// Tells a record or file that was cut short or damaged from a whole one. Not against malice.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// `sum`: 0 at first, then what the call before returned, however the data is cut. Without tables
/// and system calls: it is used between clone and exec, and where the caches belong to somebody
/// else.
uint32_t fl_checksum(uint32_t sum, const void *data, size_t size);
