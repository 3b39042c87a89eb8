// The heart of SHA-256 by the processor's own instructions, where it has them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool fl_sha256_is_native(void);
/// Takes `count` blocks of 64 bytes into `state`. Only where fl_sha256_is_native().
void fl_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t count);
