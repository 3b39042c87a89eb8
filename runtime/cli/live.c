// What the view on a terminal knows: the nodes that run or wait for another try, in the order in
// which they began, the maps and how far their items are, and the last line a node has printed.
#include "watch.h"

#define TAIL_AFTER_MS 400 // who ends sooner has nothing to say that anybody could read
#define TAIL_EVERY_MS 500
#define TAIL_COUNT    50   // more rows have hardly room
#define TEXT_MAX      1000 // bytes; no terminal shows more

static void free_node(fl_cli_live_node *node) {
  free(node->key);
  free(node->name);
  free(node->text);
  free(node->item);
  free(node->tail);
  free(node);
}

static void free_map(fl_cli_live_map *map) {
  free(map->name);
  free(map);
}

static void remove_map(fl_cli_live *live, fl_cli_live_map *map) {
  for (fl_cli_live_map **at = &live->maps; *at; at = &(*at)->next) {
    if (*at != map) continue;
    *at = map->next;
    break;
  }
  for (fl_cli_live_node *n = live->first; n; n = n->next) {
    if (n->of == map) n->of = NULL;
    if (n->map == map) n->map = NULL;
  }
  free_map(map);
}

static void remove_node(fl_cli_live *live, fl_cli_live_node *node) {
  *(node->prev ? &node->prev->next : &live->first) = node->next;
  *(node->next ? &node->next->prev : &live->last) = node->prev;
  if (node->run_id[0] == '\0') live->by_index[node->index] = NULL;
  live->count--;
  if (node->map) remove_map(live, node->map);
  free_node(node);
}

void fl_cli_live_deinit(fl_cli_live *live) {
  for (fl_cli_live_node *n = live->first, *next; n; n = next) {
    next = n->next;
    free_node(n);
  }
  for (fl_cli_live_map *map = live->maps, *next; map; map = next) {
    next = map->next;
    free_map(map);
  }
  free(live->by_index);
  for (uint32_t i = 0; i < live->line_count; i++) free(live->lines[i].text);
  free(live->lines);
  *live = (fl_cli_live){0};
}

static fl_cli_live_node *find_node(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live *live = &w->live;
  if (fl_cli_watch_is_own(w, e))
    return e->node_index < live->by_index_count ? live->by_index[e->node_index] : NULL;
  for (fl_cli_live_node *n = live->first; n; n = n->next)
    if (n->index == e->node_index && strcmp(n->run_id, e->run_id) == 0) return n;
  return NULL;
}

// The map with this name, made when it is asked for first. `name` may go on behind `size`.
static fl_cli_live_map *get_map(fl_cli_live *live, const char *name, size_t size, bool make) {
  fl_cli_live_map **at = &live->maps;
  for (; *at; at = &(*at)->next)
    if (strlen((*at)->name) == size && memcmp((*at)->name, name, size) == 0) return *at;
  if (!make) return NULL;
  fl_cli_live_map *map = *at = fl_cli_alloc(1, sizeof *map);
  map->name = strndup(name, size);
  if (!map->name) abort();
  map->since_ms = fl_cli_monotonic_ms();
  for (fl_cli_live_node *n = live->first; n; n = n->next)
    if (strcmp(n->key, map->name) == 0) n->map = map;
  return map;
}

// Of "each[3]" the map; of a node that is no item 0. Names of nodes have no "[".
static size_t map_name_size(const char *key) {
  size_t size = strlen(key);
  const char *open = size > 0 && key[size - 1] == ']' ? strrchr(key, '[') : NULL;
  return open ? (size_t)(open - key) : 0;
}

// "call/node", as it is in the run.
static char *make_key(const fl_cli_watch *w, const fl_event *e) {
  fl_cli_text key = {0};
  if (!fl_cli_watch_is_own(w, e) && e->call) fl_cli_text_add_str(&key, e->call);
  fl_cli_text_add_str(&key, e->node ? e->node : "");
  fl_cli_text_cstr(&key);
  return key.data;
}

static char *clean_text(const char *text, size_t size) {
  fl_cli_text clean = {0};
  fl_cli_text_clean(&clean, text, size < TEXT_MAX ? size : TEXT_MAX, false);
  fl_cli_text_cstr(&clean);
  return clean.data;
}

// A text without its quotes, all else as JSON.
char *fl_cli_live_item_text(const char *json) {
  size_t size = strlen(json);
  bool plain = size >= 2 && json[0] == '"' && !memchr(json, '\\', size);
  return plain ? clean_text(json + 1, size - 2) : clean_text(json, size);
}

static fl_cli_live_node *add_node(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live *live = &w->live;
  fl_cli_live_node *node = fl_cli_alloc(1, sizeof *node);
  node->key = make_key(w, e);
  node->name = clean_text(node->key, strlen(node->key));
  node->index = e->node_index;
  if (fl_cli_watch_is_own(w, e)) {
    if (e->node_index >= live->by_index_count) {
      size_t count = (size_t)e->node_index * 2 + 64;
      live->by_index = fl_cli_realloc(live->by_index, count * sizeof *live->by_index);
      memset(live->by_index + live->by_index_count, 0,
             (count - live->by_index_count) * sizeof *live->by_index);
      live->by_index_count = (uint32_t)count;
    }
    live->by_index[e->node_index] = node;
  } else {
    snprintf(node->run_id, sizeof node->run_id, "%s", e->run_id);
  }
  size_t map_size = map_name_size(node->key);
  if (map_size > 0)
    node->of = get_map(live, node->key, map_size, true);
  else
    node->map = get_map(live, node->key, strlen(node->key), false);
  if (e->item) node->item = fl_cli_live_item_text(e->item);
  node->prev = live->last;
  *(live->last ? &live->last->next : &live->first) = node;
  live->last = node;
  live->count++;
  return node;
}

static void set_text(fl_cli_live_node *node, const char *text) {
  free(node->text);
  node->text = text && *text ? clean_text(text, strcspn(text, "\n")) : NULL;
}

// Items that ended in the same moment are open no more, and not counted yet: it comes right with
// the last of them.
static void expect_items(fl_cli_live_map *map, const fl_event *e) {
  if (map && map->done + e->items_open > map->total) map->total = map->done + e->items_open;
}

// A node that is told to run, or that tells how far it is before that was told.
static fl_cli_live_node *begin_node(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live_node *node = find_node(w, e);
  if (node && node->attempt == e->attempt && !node->retrying) return node;
  if (!node) node = add_node(w, e);
  free(node->tail);
  node->tail = NULL;
  node->tail_position = 0;
  set_text(node, NULL);
  node->done = node->total = 0;
  node->retrying = false;
  node->attempt = e->attempt;
  // Of one that runs already, by the clock on the wall, which may have been set since.
  int64_t age = e->kind == FL_EVENT_NODE_STARTED ? fl_cli_wall_ms() - e->wall_ms : 0;
  node->since_ms = fl_cli_monotonic_ms() - (age > 0 && e->wall_ms > 0 ? age : 0);
  return node;
}

static void start_node(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live_node *node = begin_node(w, e);
  if (!node->of && e->items_open > 0)
    node->map = get_map(&w->live, node->key, strlen(node->key), true);
  expect_items(node->of ? node->of : node->map, e);
}

static void count_item(fl_cli_watch *w, const fl_event *e) {
  if (map_name_size(e->node ? e->node : "") == 0) return;
  char *key = make_key(w, e);
  fl_cli_live_map *map = get_map(&w->live, key, map_name_size(key), true);
  map->done++;
  map->done_here++;
  map->failed += e->status && strcmp(e->status, "failed") == 0;
  expect_items(map, e);
  free(key);
}

void fl_cli_live_event(fl_cli_watch *w, const fl_event *e) {
  fl_cli_live_node *node;
  switch (e->kind) {
  case FL_EVENT_NODE_STARTED: start_node(w, e); break;
  case FL_EVENT_NODE_PROGRESS:
    node = begin_node(w, e);
    node->done = e->progress_done;
    node->total = e->progress_total;
    set_text(node, e->error);
    break;
  case FL_EVENT_NODE_RETRYING:
    if (!(node = find_node(w, e))) node = add_node(w, e);
    node->retrying = true;
    node->attempt = e->attempt;
    node->due_ms = fl_cli_monotonic_ms() + e->duration_ms;
    set_text(node, e->error);
    break;
  case FL_EVENT_NODE_FINISHED:
    count_item(w, e);
    if ((node = find_node(w, e))) remove_node(&w->live, node);
    break;
  default: break;
  }
}

void fl_cli_live_keep(fl_cli_watch *w, const fl_node_info *node) {
  size_t size = map_name_size(node->name);
  if (size == 0) return;
  fl_cli_live_map *map = get_map(&w->live, node->name, size, true);
  map->total++;
  map->done += fl_cli_status_is_final(node->status);
  map->failed += strcmp(node->status, "failed") == 0;
}

static bool see_item(void *ud, const fl_node_info *node) {
  fl_cli_watch *w = ud;
  size_t size = map_name_size(node->name);
  w->total++;
  if (size > 0) get_map(&w->live, node->name, size, true)->seen++;
  return true;
}

void fl_cli_live_recount(fl_cli_watch *w, fl_engine *engine) {
  uint32_t before = w->total;
  w->total = 0;
  for (fl_cli_live_map *m = w->live.maps; m; m = m->next) m->seen = 0;
  if (fl_read_status(engine, w->run_id, NULL, see_item, w, NULL) != FL_OK) w->total = before;
  for (fl_cli_live_map *m = w->live.maps; m; m = m->next)
    if (m->seen > m->total) m->total = m->seen;
}

// ------------------------------------------------------------------------------------- last lines

// Of a piece of log: its last line that says something.
static void take_last_line(void *ud, const char *data, size_t size) {
  fl_cli_live_node *node = ud;
  while (size > 0) {
    const char *new_line = memrchr(data, '\n', size);
    const char *line = new_line ? new_line + 1 : data;
    size_t n = (size_t)(data + size - line), blank = 0;
    while (blank < n && (line[blank] == ' ' || line[blank] == '\t' || line[blank] == '\r')) blank++;
    if (blank < n) {
      free(node->tail);
      node->tail = clean_text(line + blank, n - blank);
      return;
    }
    size = new_line ? (size_t)(new_line - data) : 0;
  }
}

void fl_cli_live_read_tails(fl_cli_watch *w, fl_engine *engine, int64_t now_ms) {
  fl_cli_live *live = &w->live;
  int64_t began = fl_cli_monotonic_ms();
  int read = 0;
  if (now_ms < live->tails_due_ms) return;
  for (fl_cli_live_node *n = live->first; n && read < TAIL_COUNT; n = n->next) {
    if (n->map || n->retrying || n->text || now_ms - n->since_ms < TAIL_AFTER_MS) continue;
    fl_log_options options = {.size = sizeof options,
                              .node = n->key,
                              .attempt = n->attempt,
                              .tail_lines = n->tail_position ? -1 : 1};
    read++;
    // Its row does without when there is none.
    if (fl_read_logs(engine, w->run_id, &options, &n->tail_position, take_last_line, n, NULL) !=
        FL_OK)
      continue;
  }
  // Much that is printed takes a while to read: never more than a tenth of the time.
  int64_t took = fl_cli_monotonic_ms() - began;
  live->tails_due_ms = now_ms + (took * 10 > TAIL_EVERY_MS ? took * 10 : TAIL_EVERY_MS);
  w->changed |= read > 0;
}
