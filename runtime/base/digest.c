// SHA-256 and random bytes: libsodium's, and of the first what the processor does better.
#include "base/digest.h"
#include "base/sha256.h"
#include <pthread.h>
#include <sodium.h>

// Where the processor has instructions for it, libsodium's state is filled by them.
struct fl_digest_state {
  crypto_hash_sha256_state sha;
};

_Static_assert(FL_DIGEST_SIZE == crypto_hash_sha256_BYTES, "a digest is a SHA-256");

#define BLOCK_SIZE 64

static bool native;

static void init(void) {
  if (sodium_init() < 0) fl_panic(__FILE__, __LINE__, "libsodium cannot be initialised");
  native = fl_sha256_is_native();
}

// Picks the machine's fastest code and opens the random device. Engines may be on any thread.
static void ensure_init(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init);
}

static void add(crypto_hash_sha256_state *sha, const uint8_t *data, size_t size) {
  if (size == 0) return;
  if (!native) {
    crypto_hash_sha256_update(sha, data, size);
    return;
  }
  size_t held = (size_t)(sha->count / 8) % BLOCK_SIZE;
  sha->count += (uint64_t)size * 8;
  if (held > 0) {
    size_t part = size < BLOCK_SIZE - held ? size : BLOCK_SIZE - held;
    memcpy(sha->buf + held, data, part);
    if (held + part < BLOCK_SIZE) return;
    fl_sha256_blocks(sha->state, sha->buf, 1);
    data += part;
    size -= part;
  }
  fl_sha256_blocks(sha->state, data, size / BLOCK_SIZE);
  memcpy(sha->buf, data + size / BLOCK_SIZE * BLOCK_SIZE, size % BLOCK_SIZE);
}

static void put_u32(uint8_t *at, uint32_t number) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(number >> (24 - 8 * i));
}

static void end(crypto_hash_sha256_state *sha, uint8_t out[FL_DIGEST_SIZE]) {
  if (!native) {
    crypto_hash_sha256_final(sha, out);
    return;
  }
  // A one and zeros up to the last eight bytes of a block, which are the size in bits.
  uint8_t tail[2 * BLOCK_SIZE] = {0x80};
  size_t held = (size_t)(sha->count / 8) % BLOCK_SIZE;
  size_t size = (held < BLOCK_SIZE - 8 ? BLOCK_SIZE : 2 * BLOCK_SIZE) - held;
  uint64_t bits = sha->count;
  put_u32(tail + size - 8, (uint32_t)(bits >> 32));
  put_u32(tail + size - 4, (uint32_t)bits);
  add(sha, tail, size);
  for (int i = 0; i < 8; i++) put_u32(out + (size_t)4 * (size_t)i, sha->state[i]);
}

void fl_digest(const void *data, size_t size, uint8_t out[FL_DIGEST_SIZE]) {
  crypto_hash_sha256_state sha;
  ensure_init();
  crypto_hash_sha256_init(&sha);
  add(&sha, data, size);
  end(&sha, out);
}

fl_digest_state *fl_digest_begin(void) {
  ensure_init();
  fl_digest_state *state = fl_alloc(sizeof *state);
  crypto_hash_sha256_init(&state->sha);
  return state;
}

void fl_digest_add(fl_digest_state *state, const void *data, size_t size) {
  add(&state->sha, data, size);
}

void fl_digest_end(fl_digest_state *state, uint8_t out[FL_DIGEST_SIZE]) {
  end(&state->sha, out);
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
  ensure_init();
  randombytes_buf(out, size);
}
