// PCRE2 with limits: a catastrophic pattern is an error after about a millisecond, not a hang.
#pragma once
#include "base/buf.h"

typedef struct fl_regex fl_regex;

/// `flags`: any of "i" (caseless), "m" (multiline), "s" (dot matches newline), "x" (extended),
/// "u" (UTF-8; the default is bytes). FL_E_USAGE with the offset on a bad pattern.
FL_MUST fl_code fl_regex_compile(const char *pattern, size_t size, const char *flags,
                                 fl_regex **out, fl_error *err);
void fl_regex_free(fl_regex *re);
/// Finds the first match at or after `start`. On FL_OK `*pairs` is the offset pairs (start, end) of
/// the whole match and its groups, borrowed until the next call; `*count` is 0 when there is none.
/// An unset group has FL_REGEX_UNSET in both. FL_E_LIMIT when the match limit is hit.
FL_MUST fl_code fl_regex_match(fl_regex *re, const char *subject, size_t size, size_t start,
                               const size_t **pairs, size_t *count, fl_error *err);
#define FL_REGEX_UNSET ((size_t)-1)
size_t fl_regex_group_count(const fl_regex *re);
/// Name of group `index` (1-based), or NULL.
const char *fl_regex_group_name(const fl_regex *re, size_t index);
/// "PCRE2 10.42 2022-12-11", in `out`.
void fl_regex_version_text(char out[64]);
