// "did you mean": the known name that a mistyped one most likely meant.
#pragma once
#include <stddef.h>

/// What is looked for, and the nearest of the candidates so far.
typedef struct fl_suggestion {
  const char *word; // as it was typed; borrowed
  size_t size;
  const char *nearest; // NULL: none is near; borrowed
  size_t distance_max; // what is as far as that or further is none
} fl_suggestion;

void fl_suggestion_init(fl_suggestion *s, const char *word, size_t size);
/// Of candidates that are equally near the first one stays.
void fl_suggestion_try(fl_suggestion *s, const char *name, size_t size);
/// Letters put in, left out or exchanged, or two neighbours swapped, whatever their case; SIZE_MAX
/// when one of them is longer than any name of ours.
size_t fl_name_distance(const char *a, size_t a_size, const char *b, size_t b_size);
