// Tests base/digest.c against the published vectors of SHA-256.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"

static void vectors_hold(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  };
  for (size_t i = 0; i < 3; i++) {
    uint8_t digest[FL_DIGEST_SIZE];
    char hex[2 * FL_DIGEST_SIZE + 1];
    fl_digest(rows[i][0], strlen(rows[i][0]), digest);
    fl_digest_hex(digest, hex);
    assert_string_equal(hex, rows[i][1]);
    fl_digest_state *streamed = fl_digest_begin();
    for (const char *p = rows[i][0]; *p; p++) fl_digest_add(streamed, p, 1);
    fl_digest_end(streamed, digest);
    fl_digest_hex(digest, hex);
    assert_string_equal(hex, rows[i][1]);
  }
}

// Whatever the processor has, the bytes are libsodium's: at every size around the ends of blocks,
// in one piece and in pieces of every size.
static void the_processors_own_instructions_give_the_same(void **state) {
  (void)state;
  uint8_t data[1000], expected[FL_DIGEST_SIZE], digest[FL_DIGEST_SIZE];
  fl_random_bytes(data, sizeof data);
  for (size_t size = 0; size <= sizeof data; size += size < 300 ? 1 : 97) {
    crypto_hash_sha256(expected, data, size);
    fl_digest(data, size, digest);
    assert_memory_equal(digest, expected, sizeof expected);
    for (size_t piece = 1; piece <= 130; piece += size < 300 ? 43 : 1) {
      fl_digest_state *streamed = fl_digest_begin();
      for (size_t at = 0; at < size; at += piece)
        fl_digest_add(streamed, data + at, size - at < piece ? size - at : piece);
      fl_digest_end(streamed, digest);
      assert_memory_equal(digest, expected, sizeof expected);
    }
  }
}

static void random_bytes_differ(void **state) {
  (void)state;
  uint8_t a[16], b[16];
  fl_random_bytes(a, sizeof a);
  fl_random_bytes(b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors_hold),
      cmocka_unit_test(the_processors_own_instructions_give_the_same),
      cmocka_unit_test(random_bytes_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
