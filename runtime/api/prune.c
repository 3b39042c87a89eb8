// Retention: what goes, and what is told of it.
#include "api/engine.h"

fl_code fl_prune(fl_engine *engine, const fl_prune_options *options, char **json_out,
                 fl_error *err) {
  fl_prune_options o = {.size = sizeof o};
  fl_store *s;
  fl_buf out, details;
  int64_t bytes = 0;
  uint32_t doubtful = 0;
  *json_out = NULL;
  if (!options) return fl_fail(err, FL_E_USAGE, "no fl_prune_options: nothing says what may go");
  memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
  fl_code code = fl_engine_need_store(engine, &s, err);
  if (code) return code;
  fl_prune_wish wish = {.older_than_ms =
                            o.keep_ms < 0 ? FL_PRUNE_ANY_AGE : fl_wall_ms() - o.keep_ms,
                        .size_max_bytes = o.size_max_bytes,
                        .last = o.last,
                        .all = o.all,
                        .dry_run = o.dry_run,
                        .details = &details,
                        .doubtful = &doubtful};
  fl_buf_init(&out, FL_ANSWER_SIZE_MAX);
  fl_buf_init(&details, FL_ANSWER_SIZE_MAX);
  fl_buf_add_str(&out, "{\"runs\":");
  code = fl_store_prune(s, &wish, &out, &bytes, err);
  if (!code && !o.dry_run) fl_prune_supervisors(s);
  fl_buf_addf(&out, ",\"bytes\":%lld,\"removed\":", (long long)bytes);
  fl_buf_add(&out, details.data, details.size);
  fl_buf_addf(&out, ",\"doubtful\":%u}", doubtful);
  fl_buf_deinit(&details);
  return fl_answer_take(&out, code, json_out, err);
}
