// SHA-256 (libsodium) and random bytes.
#pragma once
#include "base/buf.h"

#define FL_DIGEST_SIZE 32

typedef struct fl_digest_state fl_digest_state;

void fl_digest(const void *data, size_t size, uint8_t out[FL_DIGEST_SIZE]);
/// Streaming form; fl_digest_end() frees the state.
fl_digest_state *fl_digest_begin(void);
void fl_digest_add(fl_digest_state *state, const void *data, size_t size);
void fl_digest_end(fl_digest_state *state, uint8_t out[FL_DIGEST_SIZE]);
/// 64 hexadecimal digits and a NUL.
void fl_digest_hex(const uint8_t digest[FL_DIGEST_SIZE], char out[2 * FL_DIGEST_SIZE + 1]);
void fl_random_bytes(void *out, size_t size);
