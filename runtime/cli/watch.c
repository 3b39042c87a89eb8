// Follows a run by its events, and counts.
#include "watch.h"
#include <jansson.h>

#define HISTORY_COUNT 20     // runs looked at for how long this one may take
#define JOBS_MAX      100000 // more processes than a machine's pid range has room for

enum { STATE_UNSEEN, STATE_RUNNING, STATE_BETWEEN, STATE_DONE };

void fl_cli_watch_init(fl_cli_watch *w, const fl_cli *cli) {
  *w = (fl_cli_watch){.cli = cli, .mode = FL_MODE_PLAIN, .signal_pipe = {-1, -1}};
  w->started_ms = fl_cli_monotonic_ms();
  if (fl_cli_has(cli, "json"))
    w->mode = FL_MODE_JSON;
  else if (fl_cli_has(cli, "quiet")) // goes to stderr, whatever stdout is
    w->mode = FL_MODE_QUIET, fl_cli_output_init("never");
  else if (!fl_cli_has(cli, "no-progress") && !fl_cli_detach_is_background() &&
           fl_cli_out_is_terminal())
    w->mode = FL_MODE_LIVE;
}

void fl_cli_watch_deinit(fl_cli_watch *w) {
  for (size_t i = 0; i < w->failure_count; i++)
    free(w->failures[i].node), free(w->failures[i].error);
  free(w->failures);
  for (size_t i = 0; i < w->told_count && i < FL_CLI_TOLD_MAX; i++)
    free(w->told[i].key), free(w->told[i].name), free(w->told[i].error);
  free(w->states);
  free(w->flow);
  free(w->error);
  fl_cli_live_deinit(&w->live);
  *w = (fl_cli_watch){.signal_pipe = {-1, -1}};
}

// "name=3", name up to the last "=".
static bool read_pool(const char *text, fl_pool_size *out) {
  const char *equals = strrchr(text, '=');
  char *end;
  if (!equals || equals == text || equals[1] < '0' || equals[1] > '9') return false;
  unsigned long n = strtoul(equals + 1, &end, 10);
  if (*end != '\0' || n == 0 || n > UINT32_MAX) return false;
  char *name = strndup(text, (size_t)(equals - text));
  if (!name) abort();
  *out = (fl_pool_size){.name = name, .capacity = (uint32_t)n};
  return true;
}

void fl_cli_watch_free_pools(fl_pool_size *pools, size_t count) {
  for (size_t i = 0; pools && i < count; i++) free((char *)pools[i].name);
  free(pools);
}

bool fl_cli_watch_config(fl_cli_watch *w, fl_config *config, fl_pool_size **pools) {
  int64_t jobs = 0;
  size_t count;
  *config = (fl_config){.size = sizeof *config};
  *pools = NULL;
  if (!fl_cli_get_number(w->cli, "jobs", 1, JOBS_MAX, &jobs)) return false;
  if (!fl_cli_read_env_files(w->cli)) return false;
  const char **texts = fl_cli_get_all(w->cli, "pool", &count);
  fl_pool_size *list = fl_cli_alloc(count, sizeof *list);
  size_t good = 0;
  while (good < count && read_pool(texts[good], &list[good])) good++;
  if (good < count) {
    fl_cli_usage("--pool: expected NAME=N with an N of at least 1, got \"%s\"", texts[good]);
    fl_cli_watch_free_pools(list, good);
    free(texts);
    return false;
  }
  free(texts);
  const char *durability = fl_cli_get(w->cli, "durability");
  if (durability)
    config->durability =
        strcmp(durability, "group") == 0 ? FL_DURABILITY_GROUP : FL_DURABILITY_FULL;
  config->jobs = (uint32_t)jobs;
  config->pools = *pools = list;
  config->pool_count = count;
  config->on_event = fl_cli_watch_event;
  config->event_ud = w;
  return true;
}

// ------------------------------------------------------------------------------------- counting

static uint8_t *state_of(fl_cli_watch *w, uint32_t index) {
  if (index >= w->state_count) {
    uint64_t count = w->state_count ? (uint64_t)w->state_count * 2 : 64;
    if (count <= index) count = (uint64_t)index + 1;
    if (count > UINT32_MAX) count = UINT32_MAX;
    w->states = fl_cli_realloc(w->states, count);
    memset(w->states + w->state_count, STATE_UNSEEN, count - w->state_count);
    w->state_count = (uint32_t)count;
  }
  return &w->states[index];
}

static void set_state(fl_cli_watch *w, uint32_t index, uint8_t state) {
  uint8_t *at = state_of(w, index);
  w->running -= *at == STATE_RUNNING;
  w->done -= *at == STATE_DONE;
  *at = state;
  w->running += state == STATE_RUNNING;
  w->done += state == STATE_DONE;
}

bool fl_cli_watch_is_done(const fl_cli_watch *w, uint32_t node) {
  return node < w->state_count && w->states[node] == STATE_DONE;
}

void fl_cli_watch_count(fl_cli_watch *w, const fl_event *event) {
  switch (event->kind) {
  case FL_EVENT_NODE_STARTED: set_state(w, event->node_index, STATE_RUNNING); break;
  case FL_EVENT_NODE_RETRYING: set_state(w, event->node_index, STATE_BETWEEN); break;
  case FL_EVENT_NODE_FINISHED:
    set_state(w, event->node_index, STATE_DONE);
    if (event->status) fl_cli_tally_add(&w->ends, event->status);
    w->failed += event->status && strcmp(event->status, "failed") == 0;
    break;
  default: break;
  }
}

static void replace(char **text, const char *with) {
  if (!with || (*text && strcmp(*text, with) == 0)) return;
  free(*text);
  *text = strdup(with);
  if (!*text) abort();
}

// The run goes on by itself after its end: like the time it took, what is counted is this resume's.
static void begin_again(fl_cli_watch *w) {
  w->status[0] = '\0';
  w->ends = (fl_cli_tally){0};
  w->failed = 0;
  free(w->error);
  w->error = NULL;
}

void fl_cli_watch_event(void *ud, const fl_event *event) {
  fl_cli_watch *w = ud;
  // The first run of this engine is the one that was asked for; others are its sub-flows.
  if (w->run_id[0] == '\0' && event->run_id)
    snprintf(w->run_id, sizeof w->run_id, "%s", event->run_id);
  if (event->run_id && strcmp(event->run_id, w->run_id) == 0) {
    w->recorded = true;
    replace(&w->flow, event->flow);
    if (event->nodes_total > w->total) w->total = event->nodes_total;
    if (event->kind == FL_EVENT_RUN_STARTED && w->status[0]) begin_again(w);
    if (event->kind == FL_EVENT_RUN_FINISHED || event->kind == FL_EVENT_RUN_INTERRUPTED) {
      snprintf(w->status, sizeof w->status, "%s", event->status ? event->status : "");
      w->run_ms = event->duration_ms;
      replace(&w->error, event->error);
    }
    if (event->kind == FL_EVENT_RUN_LEFT) {
      w->left = true;
      replace(&w->error, event->error);
    }
    fl_cli_watch_count(w, event);
  }
  w->changed = true;
  if (w->mode == FL_MODE_LIVE) fl_cli_live_event(w, event);
  fl_cli_lines_add(w, event);
}

static bool count_kept(void *ud, const fl_node_info *node) {
  fl_cli_watch *w = ud;
  if (fl_cli_status_is_final(node->status)) set_state(w, node->index, STATE_DONE);
  fl_cli_live_keep(w, node);
  w->total++;
  return true;
}

void fl_cli_watch_count_kept(fl_cli_watch *w, fl_engine *engine) {
  w->total = 0;
  // Only the totals line wants it: without, it counts what this resume does.
  if (fl_read_status(engine, w->run_id, NULL, count_kept, w, NULL) != FL_OK) w->total = 0;
}

void fl_cli_watch_read_history(fl_cli_watch *w, fl_engine *engine) {
  char *text = NULL;
  json_t *runs = NULL, *run;
  int64_t sum = 0, count = 0;
  size_t i;
  if (w->mode != FL_MODE_LIVE || fl_read_runs(engine, HISTORY_COUNT, &text, NULL) != FL_OK) return;
  runs = json_loads(text, 0, NULL);
  json_array_foreach(runs, i, run) {
    const char *flow = json_string_value(json_object_get(run, "flow"));
    const char *status = json_string_value(json_object_get(run, "status"));
    int64_t from = fl_cli_time_of(json_string_value(json_object_get(run, "started_at")));
    int64_t to = fl_cli_time_of(json_string_value(json_object_get(run, "ended_at")));
    if (!flow || !w->flow || strcmp(flow, w->flow) != 0 || !status ||
        strcmp(status, "succeeded") != 0 || from == 0 || to < from)
      continue;
    // A resumed run took its time over days, maybe.
    if (json_integer_value(json_object_get(run, "resumes")) > 0) continue;
    sum += to - from;
    count++;
  }
  if (count > 0) w->history_ms = sum / count;
  json_decref(runs);
  fl_free(text);
}
