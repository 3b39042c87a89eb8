// PCRE2 with limits: the only file that knows pcre2.h.
//
// With "u", subjects of any bytes are taken: bytes that are no UTF-8 match nothing (rather than
// fail), and the subject is not checked again for every match of a loop over it.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/match.h"
#include <pcre2.h>

#define PATTERN_SIZE_MAX 4096u
#define MATCH_LIMIT      1000000u // steps of backtracking
#define DEPTH_LIMIT      10000u
#define HEAP_LIMIT_KIB   20480u
#define JIT_STACK_FIRST  (32u << 10)
#define JIT_STACK_MAX    (1u << 20)

struct fl_regex {
  pcre2_code *code;
  pcre2_match_data *match;
  pcre2_match_context *context;
  pcre2_jit_stack *stack; // only once a match needed more than the machine stack's 32 KiB
  const char **names;     // of group i + 1; point into `code`
  size_t group_count;
};

static bool read_flags(const char *flags, uint32_t *options, fl_error *err) {
  *options = 0;
  for (const char *p = flags ? flags : ""; *p; p++) {
    switch (*p) {
    case 'i': *options |= PCRE2_CASELESS; break;
    case 'm': *options |= PCRE2_MULTILINE; break;
    case 's': *options |= PCRE2_DOTALL; break;
    case 'x': *options |= PCRE2_EXTENDED; break;
    case 'u': *options |= PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF; break;
    default:
      fl_fail(err, FL_E_USAGE, "unknown pattern flag '%c': the flags are i, m, s, x and u", *p);
      return false;
    }
  }
  return true;
}

static void read_names(fl_regex *re) {
  uint32_t groups = 0, names = 0, entry_size = 0;
  PCRE2_SPTR entry = NULL;
  pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &names);
  pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &entry_size);
  pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &entry);
  re->group_count = groups;
  re->names = fl_alloc_zero(groups, sizeof *re->names);
  for (uint32_t i = 0; i < names; i++, entry += entry_size) {
    size_t group = (size_t)entry[0] << 8 | entry[1];
    if (group >= 1 && group <= groups) re->names[group - 1] = (const char *)entry + 2;
  }
}

static fl_code fail_pattern(int error, size_t offset, const char *pattern, size_t size,
                            fl_error *err) {
  char reason[256];
  if (pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason) < 0)
    snprintf(reason, sizeof reason, "error %d", error);
  int shown = size > 200 ? 200 : (int)size;
  return fl_fail(err, FL_E_USAGE, "bad pattern '%.*s%s': %s at offset %zu", shown, pattern,
                 size > 200 ? "..." : "", reason, offset);
}

static void *take(size_t size, void *ud) {
  (void)ud;
  return fl_try_realloc(NULL, size);
}
static void give(void *memory, void *ud) {
  (void)ud;
  fl_free(memory);
}

fl_code fl_regex_compile(const char *pattern, size_t size, const char *flags, fl_regex **out,
                         fl_error *err) {
  *out = NULL;
  uint32_t options;
  if (!read_flags(flags, &options, err)) return FL_E_USAGE;
  if (size > PATTERN_SIZE_MAX)
    return fl_fail(err, FL_E_LIMIT, "the pattern has %zu bytes; the limit is %u", size,
                   PATTERN_SIZE_MAX);
  int error;
  PCRE2_SIZE offset;
  // What is made with it remembers where its memory comes from.
  pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
  pcre2_compile_context *compile = pcre2_compile_context_create(memory);
  if (!memory || !compile) fl_panic(__FILE__, __LINE__, "out of memory");
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, size, options, &error, &offset, compile);
  pcre2_match_context *context = pcre2_match_context_create(memory);
  pcre2_compile_context_free(compile);
  pcre2_general_context_free(memory);
  if (!code) {
    pcre2_match_context_free(context);
    return fail_pattern(error, offset, pattern, size, err);
  }

  fl_regex *re = fl_alloc_zero(1, sizeof *re);
  re->code = code;
  re->match = pcre2_match_data_create_from_pattern(code, NULL);
  re->context = context;
  if (!re->match || !re->context) fl_panic(__FILE__, __LINE__, "out of memory");
  pcre2_set_match_limit(re->context, MATCH_LIMIT);
  pcre2_set_depth_limit(re->context, DEPTH_LIMIT);
  pcre2_set_heap_limit(re->context, HEAP_LIMIT_KIB);
  // Where no code may be generated (a hardened kernel, a rare CPU) the interpreter does the same.
  (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  read_names(re);
  *out = re;
  return FL_OK;
}

void fl_regex_free(fl_regex *re) {
  if (!re) return;
  free(re->names);
  if (re->stack) pcre2_jit_stack_free(re->stack);
  pcre2_match_context_free(re->context);
  pcre2_match_data_free(re->match);
  pcre2_code_free(re->code);
  free(re);
}

static int run_match(fl_regex *re, const char *subject, size_t size, size_t start) {
  int rc = pcre2_match(re->code, (PCRE2_SPTR)subject, size, start, 0, re->match, re->context);
  if (rc != PCRE2_ERROR_JIT_STACKLIMIT || re->stack) return rc;
  re->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
  if (!re->stack) return rc;
  pcre2_jit_stack_assign(re->context, NULL, re->stack);
  return pcre2_match(re->code, (PCRE2_SPTR)subject, size, start, 0, re->match, re->context);
}

fl_code fl_regex_match(fl_regex *re, const char *subject, size_t size, size_t start,
                       const size_t **pairs, size_t *count, fl_error *err) {
  *pairs = NULL;
  *count = 0;
  if (start > size) return FL_OK;
  int rc = run_match(re, subject, size, start);
  switch (rc) {
  case PCRE2_ERROR_NOMATCH: return FL_OK;
  case PCRE2_ERROR_MATCHLIMIT:
  case PCRE2_ERROR_DEPTHLIMIT:
  case PCRE2_ERROR_HEAPLIMIT:
  case PCRE2_ERROR_JIT_STACKLIMIT:
    return fl_fail(err, FL_E_LIMIT,
                   "the pattern needs too many steps on this text (nested repeats such as (a+)+ "
                   "do that); the limit is %u",
                   MATCH_LIMIT);
  default: break;
  }
  if (rc < 0) {
    char reason[256];
    if (pcre2_get_error_message(rc, (PCRE2_UCHAR *)reason, sizeof reason) < 0)
      snprintf(reason, sizeof reason, "error %d", rc);
    return fl_fail(err, FL_E_USAGE, "cannot match: %s", reason);
  }
  // Groups after the last one that took part are unset in the pairs too: report all of them.
  *pairs = pcre2_get_ovector_pointer(re->match);
  *count = re->group_count + 1;
  return FL_OK;
}

size_t fl_regex_group_count(const fl_regex *re) {
  return re->group_count;
}

const char *fl_regex_group_name(const fl_regex *re, size_t index) {
  return index >= 1 && index <= re->group_count ? re->names[index - 1] : NULL;
}

void fl_regex_version_text(char out[64]) {
  char version[64] = ""; // PCRE2 says: never longer than 24
  if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof version)
    pcre2_config(PCRE2_CONFIG_VERSION, version);
  snprintf(out, 64, "PCRE2 %.50s", version);
}
