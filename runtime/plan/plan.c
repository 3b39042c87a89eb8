// The plan: node states, what their ends mean for their children, and the ready queues.
// Invariant: a node is in at most one queue, and only while it is pending.
#include "plan/plan.h"
#include "plan/queue.h"

typedef struct plan_node {
  uint32_t waiting; // parents without a final state
  uint8_t state;
  uint8_t seen; // fl_seen bits of the parents that ended
  bool queued;  // stands in a queue (or was popped and not yet decided about)
  bool ignored; // not selected: its edges count as satisfied
} plan_node;

typedef struct plan_item {
  uint32_t map_node, position;
} plan_item;

typedef struct plan_queue {
  fl_queue_key key;
  fl_heap heap;
  bool changed; // stands in the list of those to be looked at
} plan_queue;

struct fl_plan {
  const fl_graph *graph;
  uint32_t graph_count; // nodes of the graph
  uint32_t count;       // with items
  uint32_t capacity;
  plan_node *nodes;
  plan_item *items; // of node graph_count + i
  uint32_t local[FL_KIND_COUNT];
  plan_queue *queues;
  uint32_t queue_count;
  uint32_t queue_found; // the last that was looked for: mostly the next one, too
  uint32_t *changed;    // queues to be looked at; as many places as queues
  uint32_t changed_count;
  uint32_t ready_count;
  uint32_t open_count;
  uint32_t state_counts[FL_NODE_STATE_COUNT];
  fl_level *levels; // what is still to come, the highest first; NULL: all are of one priority
  uint32_t level_count, level_at; // the first that is not empty
  fl_decision *decisions;         // a ring would save nothing: it is emptied every turn
  uint32_t decision_count, decision_at, decision_capacity;
  uint32_t *ended; // nodes whose children are still to be looked at
  uint32_t ended_at, ended_count, ended_capacity;
  uint32_t child_at; // of the first of them: those that were looked at
  bool settling;
  uint32_t begin_at; // of fl_plan_begin_some(): nodes to be counted, then those to be decided about
};

fl_plan *fl_plan_new(const fl_graph *graph, const uint32_t *local) {
  fl_plan *p = fl_alloc_zero(1, sizeof *p);
  p->graph = graph;
  memcpy(p->local, local, sizeof p->local);
  p->count = p->graph_count = p->capacity = fl_graph_get_count(graph);
  p->nodes = fl_alloc_zero(p->count ? p->count : 1, sizeof *p->nodes);
  p->state_counts[FL_NODE_PENDING] = p->count;
  const fl_level *levels = fl_graph_get_levels(graph, &p->level_count);
  if (p->level_count > 1) {
    p->levels = fl_alloc(p->level_count * sizeof *levels);
    memcpy(p->levels, levels, p->level_count * sizeof *levels);
    while (p->level_at + 1 < p->level_count && !p->levels[p->level_at].count) p->level_at++;
  }
  return p;
}

void fl_plan_free(fl_plan *p) {
  if (!p) return;
  for (uint32_t i = 0; i < p->queue_count; i++) fl_heap_deinit(&p->queues[i].heap);
  free(p->queues);
  free(p->changed);
  free(p->levels);
  free(p->nodes);
  free(p->items);
  free(p->decisions);
  free(p->ended);
  free(p);
}

// ------------------------------------------------------------------------------------- looking

uint32_t fl_plan_get_map(const fl_plan *p, uint32_t node) {
  return node < p->graph_count ? FL_NODE_NONE : p->items[node - p->graph_count].map_node;
}

uint32_t fl_plan_get_position(const fl_plan *p, uint32_t node) {
  return node < p->graph_count ? 0 : p->items[node - p->graph_count].position;
}

const fl_node_options *fl_plan_get_options(const fl_plan *p, uint32_t node) {
  if (node < p->graph_count) return fl_graph_get_options(p->graph, node);
  return fl_graph_get_inner(p->graph, fl_plan_get_map(p, node));
}

fl_node_state fl_plan_get_state(const fl_plan *p, uint32_t node) {
  FL_ASSERT(node < p->count);
  return p->nodes[node].state;
}

uint32_t fl_plan_get_count(const fl_plan *p) {
  return p->count;
}
uint32_t fl_plan_get_ready_count(const fl_plan *p) {
  return p->ready_count;
}
uint32_t fl_plan_get_open_count(const fl_plan *p) {
  return p->open_count;
}
uint32_t fl_plan_count_state(const fl_plan *p, fl_node_state s) {
  return p->state_counts[s];
}
uint32_t fl_plan_get_queue_count(const fl_plan *p) {
  return p->queue_count;
}

bool fl_plan_can(const fl_plan *p, uint32_t node, fl_node_event event) {
  return fl_node_state_next(fl_plan_get_state(p, node), event) != FL_NODE_STATE_COUNT;
}

bool fl_plan_may_start(const fl_plan *p, uint32_t node) {
  fl_reason reason;
  if (node >= p->graph_count) {
    fl_node_state map = fl_plan_get_state(p, fl_plan_get_map(p, node));
    return map == FL_NODE_QUEUED || map == FL_NODE_RUNNING || map == FL_NODE_WAITING;
  }
  const fl_node_options *o = fl_graph_get_options(p->graph, node);
  const plan_node *n = &p->nodes[node];
  return o->hook != FL_HOOK_NONE ||
         fl_trigger_decide(o->trigger, n->waiting, n->seen, &reason) == FL_VERDICT_READY;
}

// Counts towards the end of the run: nodes of the graph that are no hooks.
static bool counts(const fl_plan *p, uint32_t node) {
  return node < p->graph_count && fl_graph_get_options(p->graph, node)->hook == FL_HOOK_NONE;
}

// ------------------------------------------------------------------------------------- levels

static bool is_to_come(fl_node_state s) {
  return s == FL_NODE_PENDING || s == FL_NODE_RETRYING;
}

// Of a map that is to come its items are, too.
static int32_t priority_of(const fl_plan *p, uint32_t node) {
  int32_t own = fl_plan_get_options(p, node)->priority;
  if (node >= p->graph_count) return own;
  const fl_node_options *o = fl_graph_get_options(p->graph, node), *inner = NULL;
  if (o->kind == FL_KIND_MAP) inner = fl_graph_get_inner(p->graph, node);
  return inner && inner->priority > own ? inner->priority : own;
}

static void count_level(fl_plan *p, uint32_t node, int by) {
  if (!p->levels || (node < p->graph_count && !counts(p, node))) return;
  int32_t priority = priority_of(p, node);
  uint32_t low = 0, high = p->level_count - 1;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (p->levels[middle].priority > priority)
      low = middle + 1;
    else
      high = middle;
  }
  FL_ASSERT(p->levels[low].priority == priority);
  p->levels[low].count += (uint32_t)by;
  if (by > 0 && low < p->level_at) p->level_at = low;
  while (p->level_at + 1 < p->level_count && !p->levels[p->level_at].count) p->level_at++;
}

bool fl_plan_has_higher(const fl_plan *p, int32_t priority) {
  const fl_level *l = p->levels ? &p->levels[p->level_at] : NULL;
  return l && l->count && l->priority > priority;
}

// ------------------------------------------------------------------------------------- queues

uint32_t fl_plan_get_executor(const fl_plan *p, uint32_t node) {
  const fl_node_options *o = fl_plan_get_options(p, node);
  return o->executor ? o->executor : p->local[o->kind];
}

static bool is_key(const fl_queue_key *a, const fl_queue_key *b) {
  return a->executor == b->executor && a->pool == b->pool && a->map == b->map;
}

static uint32_t queue_of(fl_plan *p, uint32_t node) {
  const fl_node_options *o = fl_plan_get_options(p, node);
  uint32_t map = fl_plan_get_map(p, node);
  if (map != FL_NODE_NONE && fl_graph_get_options(p->graph, map)->map_limit == 0)
    map = FL_NODE_NONE;
  fl_queue_key key = {.executor = fl_plan_get_executor(p, node), .pool = o->pool, .map = map};
  if (p->queue_count && is_key(&p->queues[p->queue_found].key, &key)) return p->queue_found;
  for (uint32_t i = 0; i < p->queue_count; i++)
    if (is_key(&p->queues[i].key, &key)) return p->queue_found = i;
  p->queues = fl_realloc(p->queues, (p->queue_count + 1) * sizeof *p->queues);
  p->changed = fl_realloc(p->changed, (p->queue_count + 1) * sizeof *p->changed);
  p->queues[p->queue_count] = (plan_queue){.key = key};
  return p->queue_found = p->queue_count++;
}

static void mark(fl_plan *p, uint32_t queue) {
  if (p->queues[queue].changed) return;
  p->queues[queue].changed = true;
  p->changed[p->changed_count++] = queue;
}

bool fl_plan_take_changed(fl_plan *p, uint32_t *queue) {
  if (!p->changed_count) return false;
  *queue = p->changed[--p->changed_count];
  p->queues[*queue].changed = false;
  return true;
}

void fl_plan_mark_map(fl_plan *p, uint32_t map_node) {
  for (uint32_t i = 0; i < p->queue_count; i++)
    if (p->queues[i].key.map == map_node) mark(p, i);
}

void fl_plan_mark_all(fl_plan *p) {
  for (uint32_t i = 0; i < p->queue_count; i++) mark(p, i);
}

static void enqueue(fl_plan *p, uint32_t node) {
  if (p->nodes[node].queued) return;
  uint32_t map = fl_plan_get_map(p, node);
  uint64_t order = map == FL_NODE_NONE ? (uint64_t)node << 32
                                       : ((uint64_t)map << 32) + fl_plan_get_position(p, node);
  uint32_t queue = queue_of(p, node);
  p->nodes[node].queued = true;
  fl_heap_push(
      &p->queues[queue].heap,
      (fl_ready){.priority = fl_plan_get_options(p, node)->priority, .node = node, .order = order});
  p->ready_count++;
  mark(p, queue);
}

// Heads whose node got a state while it stood in line (cancelled, skipped by hand) are dropped
// here.
static void drop_stale(fl_plan *p, plan_queue *q) {
  while (q->heap.count && p->nodes[q->heap.items[0].node].state != FL_NODE_PENDING) {
    p->nodes[fl_heap_pop(&q->heap).node].queued = false;
    p->ready_count--;
  }
}

const fl_queue_key *fl_plan_get_queue(fl_plan *p, uint32_t queue, uint32_t *head) {
  plan_queue *q = &p->queues[queue];
  drop_stale(p, q);
  *head = q->heap.count ? q->heap.items[0].node : FL_NODE_NONE;
  return &q->key;
}

int32_t fl_plan_get_head_priority(const fl_plan *p, uint32_t queue) {
  return p->queues[queue].heap.items[0].priority;
}

uint64_t fl_plan_get_head_order(const fl_plan *p, uint32_t queue) {
  return p->queues[queue].heap.items[0].order;
}

uint32_t fl_plan_pop(fl_plan *p, uint32_t queue) {
  uint32_t node = fl_heap_pop(&p->queues[queue].heap).node;
  p->nodes[node].queued = false;
  p->ready_count--;
  mark(p, queue);
  return node;
}

void fl_plan_make_ready(fl_plan *p, uint32_t node) {
  FL_ASSERT(p->nodes[node].state == FL_NODE_PENDING);
  enqueue(p, node);
}

// ------------------------------------------------------------------------------------- decisions

static void add_decision(fl_plan *p, fl_decision d) {
  if (p->decision_count == p->decision_capacity) {
    p->decision_capacity = p->decision_capacity ? p->decision_capacity * 2 : 16;
    p->decisions = fl_realloc(p->decisions, p->decision_capacity * sizeof d);
  }
  p->decisions[p->decision_count++] = d;
}

bool fl_plan_take_decision(fl_plan *p, fl_decision *out) {
  if (p->decision_at == p->decision_count) {
    p->decision_at = p->decision_count = 0;
    return false;
  }
  *out = p->decisions[p->decision_at++];
  return true;
}

bool fl_plan_has_decision(const fl_plan *p) {
  return p->decision_at < p->decision_count;
}

static void set_state(fl_plan *p, uint32_t node, fl_node_state to) {
  fl_node_state from = p->nodes[node].state;
  p->state_counts[from]--;
  p->state_counts[to]++;
  p->nodes[node].state = to;
  if (p->nodes[node].queued) mark(p, queue_of(p, node)); // it may have been the head
  if (is_to_come(from) != is_to_come(to)) count_level(p, node, is_to_come(to) ? 1 : -1);
  if (!counts(p, node)) return;
  if (!fl_node_state_is_final(from) && fl_node_state_is_final(to)) p->open_count--;
  if (fl_node_state_is_final(from) && !fl_node_state_is_final(to)) p->open_count++;
}

static unsigned seen_of(const fl_plan *p, uint32_t node) {
  fl_node_state state = p->nodes[node].state;
  bool may = state == FL_NODE_FAILED && fl_plan_get_options(p, node)->allow_failure;
  return may ? FL_SEEN_SUCCESS : fl_node_state_seen(state);
}

static void push_ended(fl_plan *p, uint32_t node) {
  if (p->ended_count == p->ended_capacity) {
    p->ended_capacity = p->ended_capacity ? p->ended_capacity * 2 : 16;
    p->ended = fl_realloc(p->ended, p->ended_capacity * sizeof *p->ended);
  }
  p->ended[p->ended_count++] = node;
}

// What a parent was like for `reason` to be given; of all others whoever ended last brought it
// about.
static unsigned seen_for(fl_reason reason) {
  switch (reason) {
  case FL_REASON_UPSTREAM_FAILED: return FL_SEEN_FAILURE;
  case FL_REASON_UPSTREAM_SKIPPED: return FL_SEEN_SKIPPED;
  case FL_REASON_UPSTREAM_OMITTED: return FL_SEEN_OMITTED;
  default: return FL_SEEN_NONE;
  }
}

// The parent to blame: `cause`, or, where that is not like that, the first one that is.
static uint32_t find_cause(const fl_plan *p, uint32_t node, fl_reason reason, uint32_t cause) {
  unsigned wanted = seen_for(reason);
  if (!wanted || (cause != FL_NODE_NONE && (seen_of(p, cause) & wanted))) return cause;
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(p->graph, node, &count);
  for (uint32_t i = 0; i < count; i++)
    if (!p->nodes[parents[i]].ignored && (seen_of(p, parents[i]) & wanted)) return parents[i];
  return cause;
}

static void decide(fl_plan *p, uint32_t node, uint32_t cause) {
  plan_node *n = &p->nodes[node];
  const fl_node_options *o = fl_graph_get_options(p->graph, node);
  if (n->state != FL_NODE_PENDING || n->queued || o->hook != FL_HOOK_NONE) return;
  fl_reason reason;
  fl_node_state to;
  switch (fl_trigger_decide(o->trigger, n->waiting, n->seen, &reason)) {
  case FL_VERDICT_WAIT: return;
  case FL_VERDICT_READY: enqueue(p, node); return;
  case FL_VERDICT_SKIP: to = FL_NODE_SKIPPED; break;
  case FL_VERDICT_OMIT: to = FL_NODE_OMITTED; break;
  default: to = FL_NODE_UPSTREAM_FAILED; break;
  }
  set_state(p, node, to);
  cause = find_cause(p, node, reason, cause);
  add_decision(p, (fl_decision){.node = node, .state = to, .reason = reason, .cause = cause});
  push_ended(p, node);
}

bool fl_plan_settle_some(fl_plan *p, uint32_t count) {
  if (p->settling) return true;
  for (; count && p->ended_at < p->ended_count; count--) {
    uint32_t node = p->ended[p->ended_at], child_count = 0;
    const uint32_t *children = NULL;
    if (node < p->graph_count) children = fl_graph_get_children(p->graph, node, &child_count);
    if (!children || p->child_at == child_count) {
      p->child_at = 0;
      p->ended_at++;
      continue;
    }
    uint32_t at = children[p->child_at++];
    plan_node *child = &p->nodes[at];
    FL_ASSERT(child->waiting > 0);
    child->waiting--;
    child->seen |= (uint8_t)seen_of(p, node);
    decide(p, at, node);
  }
  if (p->ended_at < p->ended_count) return false;
  p->ended_at = p->ended_count = 0;
  return true;
}

// ------------------------------------------------------------------------------------- changes

void fl_plan_restore(fl_plan *p, uint32_t node, fl_node_state state) {
  set_state(p, node, state);
}

void fl_plan_ignore(fl_plan *p, uint32_t node) {
  p->nodes[node].ignored = true;
  set_state(p, node, FL_NODE_SKIPPED);
}

bool fl_plan_is_ignored(const fl_plan *p, uint32_t node) {
  return p->nodes[node].ignored;
}

static void count_parents(fl_plan *p, uint32_t node) {
  plan_node *n = &p->nodes[node];
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(p->graph, node, &count);
  n->waiting = 0;
  n->seen = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (p->nodes[parents[i]].ignored) continue;
    if (fl_node_state_is_final(p->nodes[parents[i]].state))
      n->seen |= (uint8_t)seen_of(p, parents[i]);
    else
      n->waiting++;
  }
  if (counts(p, node) && !fl_node_state_is_final(n->state)) p->open_count++;
}

bool fl_plan_begin_some(fl_plan *p, uint32_t count) {
  const uint32_t *order = fl_graph_get_order(p->graph);
  if (!p->begin_at) p->open_count = 0;
  for (; count && p->begin_at < p->graph_count; count--) count_parents(p, p->begin_at++);
  // Decisions see complete counters; their children are settled after all of them.
  p->settling = true;
  for (; count && p->begin_at < 2 * p->graph_count; count--)
    decide(p, order[p->begin_at++ - p->graph_count], FL_NODE_NONE);
  if (p->begin_at < 2 * p->graph_count) return false;
  p->begin_at = 0;
  p->settling = false;
  return true;
}

void fl_plan_begin(fl_plan *p) {
  while (!fl_plan_begin_some(p, UINT32_MAX)) continue;
  while (!fl_plan_settle_some(p, UINT32_MAX)) continue;
}

uint32_t fl_plan_add_item(fl_plan *p, uint32_t map_node, uint32_t position, fl_node_state state) {
  if (p->count == p->capacity) {
    p->capacity = p->capacity < 64 ? 64 : p->capacity + p->capacity / 2;
    p->nodes = fl_realloc(p->nodes, p->capacity * sizeof *p->nodes);
    p->items = fl_realloc(p->items, (p->capacity - p->graph_count) * sizeof *p->items);
  }
  uint32_t node = p->count++;
  p->nodes[node] = (plan_node){.state = (uint8_t)state};
  p->items[node - p->graph_count] = (plan_item){.map_node = map_node, .position = position};
  p->state_counts[state]++;
  if (is_to_come(state)) count_level(p, node, 1);
  return node;
}

#define SETTLED_AT_ONCE 1024 // children

void fl_plan_apply(fl_plan *p, uint32_t node, fl_node_event event) {
  fl_node_state from = fl_plan_get_state(p, node);
  fl_node_state to = fl_node_state_next(from, event);
  FL_ASSERT(to != FL_NODE_STATE_COUNT);
  set_state(p, node, to);
  if (fl_node_state_is_final(to) && !fl_node_state_is_final(from)) {
    push_ended(p, node);
    (void)fl_plan_settle_some(p, SETTLED_AT_ONCE);
  }
  if (to != FL_NODE_PENDING || (event != FL_NODE_DUE && event != FL_NODE_RELEASE)) return;
  if (fl_plan_may_start(p, node)) {
    enqueue(p, node);
  } else if (node < p->graph_count) {
    decide(p, node, FL_NODE_NONE); // a parent runs again: its trigger says what to wait for
    (void)fl_plan_settle_some(p, SETTLED_AT_ONCE);
  } // an item waits for its map, which makes it ready when it goes on
}

// ------------------------------------------------------------------------------------- outcome

bool fl_plan_is_handled(const fl_plan *p, uint32_t node) {
  if (fl_plan_get_options(p, node)->allow_failure) return true;
  if (node >= p->graph_count) return true; // its map answers for it
  uint32_t count;
  const uint32_t *children = fl_graph_get_children(p->graph, node, &count);
  for (uint32_t i = 0; i < count; i++) {
    fl_trigger t = fl_graph_get_options(p->graph, children[i])->trigger;
    if ((t == FL_TRIGGER_ONE_FAILED || t == FL_TRIGGER_ALL_FAILED) &&
        p->nodes[children[i]].state == FL_NODE_SUCCEEDED)
      return true;
  }
  return false;
}

fl_run_state fl_plan_get_outcome(const fl_plan *p, uint32_t *cause) {
  fl_run_state worst = FL_RUN_SUCCEEDED;
  *cause = FL_NODE_NONE;
  for (uint32_t node = 0; node < p->graph_count; node++) {
    fl_node_state s = p->nodes[node].state;
    if (!counts(p, node)) continue;
    if ((s == FL_NODE_FAILED && !fl_plan_is_handled(p, node)) ||
        (s == FL_NODE_UPSTREAM_FAILED && worst != FL_RUN_FAILED)) {
      if (worst != FL_RUN_FAILED || fl_plan_get_state(p, *cause) == FL_NODE_UPSTREAM_FAILED)
        *cause = node;
      worst = FL_RUN_FAILED;
      if (s == FL_NODE_FAILED) return worst;
    } else if (s == FL_NODE_CANCELLED && worst == FL_RUN_SUCCEEDED) {
      worst = FL_RUN_CANCELLED;
      *cause = node;
    }
  }
  return worst;
}
