// SHA-256 and random bytes, both from libsodium.
#include "base/digest.h"
#include <pthread.h>
#include <sodium.h>

struct fl_digest_state {
  crypto_hash_sha256_state sha;
};

_Static_assert(FL_DIGEST_SIZE == crypto_hash_sha256_BYTES, "a digest is a SHA-256");

static void init_sodium(void) {
  if (sodium_init() < 0) fl_panic(__FILE__, __LINE__, "libsodium cannot be initialised");
}

// Picks the machine's fastest code and opens the random device. Engines may be on any thread.
static void ensure_sodium(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_sodium);
}

void fl_digest(const void *data, size_t size, uint8_t out[FL_DIGEST_SIZE]) {
  ensure_sodium();
  crypto_hash_sha256(out, data, size);
}

fl_digest_state *fl_digest_begin(void) {
  ensure_sodium();
  fl_digest_state *state = fl_alloc(sizeof *state);
  crypto_hash_sha256_init(&state->sha);
  return state;
}

void fl_digest_add(fl_digest_state *state, const void *data, size_t size) {
  crypto_hash_sha256_update(&state->sha, data, size);
}

void fl_digest_end(fl_digest_state *state, uint8_t out[FL_DIGEST_SIZE]) {
  crypto_hash_sha256_final(&state->sha, out);
  free(state);
}

void fl_digest_hex(const uint8_t digest[FL_DIGEST_SIZE], char out[2 * FL_DIGEST_SIZE + 1]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < FL_DIGEST_SIZE; i++) {
    out[2 * i] = digits[digest[i] >> 4];
    out[2 * i + 1] = digits[digest[i] & 15];
  }
  out[2 * FL_DIGEST_SIZE] = '\0';
}

void fl_random_bytes(void *out, size_t size) {
  ensure_sodium();
  randombytes_buf(out, size);
}
