// CRC-32 (the one of zip and PNG): tells a record that was cut short or damaged from a whole one.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// `crc`: 0 at first, then what the call before returned. Makes no call of the system, so that it
/// may be used between vfork and exec.
uint32_t fl_crc32(uint32_t crc, const void *data, size_t size);
