// Two texts line by line, as a unified diff. Pure.
#pragma once
#include "base/buf.h"

typedef struct fl_line_diff {
  size_t lines_a, lines_b; // of the texts
  size_t removed, added;   // lines only in a, only in b
} fl_line_diff;

/// Appends hunks ("@@ -1,3 +1,4 @@", then lines that begin with ' ', '-' or '+') to `out`, at most
/// `line_count_max` lines of them ("..." stands for the rest); nothing when the texts are equal.
/// Texts that differ in more than a few hundred places are shown as one whole block.
fl_line_diff fl_line_diff_write(const char *a, size_t a_size, const char *b, size_t b_size,
                                size_t line_count_max, fl_buf *out);
