// What is allowed in a name or an id, and how a run's id is made.
#include "base/id.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/limits.h"

#define RANDOM_SIZE 6 // of 10,000 runs in one second two are alike once in 5,000,000 times

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word_char(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool fl_name_valid(const char *text, size_t size) {
  if (size == 0 || size > FL_ID_SIZE_MAX) return false;
  if (!is_letter(text[0]) && text[0] != '_') return false;
  for (size_t i = 1; i < size; i++)
    if (!is_word_char(text[i])) return false;
  return true;
}

bool fl_id_valid(const char *text, size_t size) {
  if (size == 0 || size > FL_ID_SIZE_MAX) return false;
  for (size_t i = 0; i < size; i++)
    if (!is_word_char(text[i])) return false;
  return !(text[0] == '.' && (size == 1 || (size == 2 && text[1] == '.')));
}

void fl_run_id_make(int64_t wall_ms, char out[FL_RUN_ID_SIZE]) {
  char time[FL_TIME_TEXT_SIZE], hex[2 * RANDOM_SIZE + 1];
  uint8_t random[RANDOM_SIZE];
  fl_time_format(wall_ms, time);
  fl_random_bytes(random, sizeof random);
  for (int i = 0; i < RANDOM_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", random[i]);
  // "2026-01-31T23:59:59.123Z" without its separators and its fraction
  snprintf(out, FL_RUN_ID_SIZE, "%.4s%.2s%.2sT%.2s%.2s%.2s-%s", time, time + 5, time + 8, time + 11,
           time + 14, time + 17, hex);
}
