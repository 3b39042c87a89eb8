// The plan: node states, what their ends mean for their children, and the ready queues.
// Invariant: a node is in at most one queue, and only while it is pending.
#include "plan/plan.h"
#include "plan/queue.h"

typedef struct plan_node {
  uint32_t waiting; // parents without a final state
  uint8_t state;
  uint8_t seen; // fl_parent_seen bits of the parents that ended
  bool queued;  // stands in a queue (or was popped and not yet decided about)
  bool ignored; // not selected: its edges count as satisfied
} plan_node;

typedef struct plan_instance {
  uint32_t map_node, position;
} plan_instance;

typedef struct plan_queue {
  fl_queue_key key;
  fl_heap heap;
} plan_queue;

struct fl_plan {
  const fl_graph *graph;
  uint32_t graph_count; // nodes of the graph
  uint32_t count;       // with instances
  uint32_t capacity;
  plan_node *nodes;
  plan_instance *instances; // of node graph_count + i
  plan_queue *queues;
  uint32_t queue_count;
  uint32_t ready_count;
  uint32_t open_count;
  uint32_t state_counts[FL_NODE_STATE_COUNT];
  fl_decision *decisions; // a ring would save nothing: it is emptied every turn
  uint32_t decision_count, decision_at, decision_capacity;
  uint32_t *ended; // nodes whose children are still to be looked at
  uint32_t ended_count, ended_capacity;
  bool settling;
};

fl_plan *fl_plan_new(const fl_graph *graph) {
  fl_plan *p = fl_alloc_zero(1, sizeof *p);
  p->graph = graph;
  p->count = p->graph_count = p->capacity = fl_graph_get_count(graph);
  p->nodes = fl_alloc_zero(p->count ? p->count : 1, sizeof *p->nodes);
  p->state_counts[FL_NODE_PENDING] = p->count;
  return p;
}

void fl_plan_free(fl_plan *p) {
  if (!p) return;
  for (uint32_t i = 0; i < p->queue_count; i++) fl_heap_deinit(&p->queues[i].heap);
  free(p->queues);
  free(p->nodes);
  free(p->instances);
  free(p->decisions);
  free(p->ended);
  free(p);
}

// ------------------------------------------------------------------------------------- looking

uint32_t fl_plan_get_map(const fl_plan *p, uint32_t node) {
  return node < p->graph_count ? FL_NODE_NONE : p->instances[node - p->graph_count].map_node;
}

uint32_t fl_plan_get_position(const fl_plan *p, uint32_t node) {
  return node < p->graph_count ? 0 : p->instances[node - p->graph_count].position;
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

int32_t fl_plan_get_priority(const fl_plan *p, uint32_t node) {
  return fl_plan_get_options(p, node)->priority;
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

// ------------------------------------------------------------------------------------- queues

static fl_slot_class slot_of(fl_node_kind kind) {
  if (kind == FL_KIND_PROCESS) return FL_SLOT_PROCESS;
  return kind == FL_KIND_WORKER ? FL_SLOT_WORKER : FL_SLOT_NONE;
}

static plan_queue *queue_of(fl_plan *p, uint32_t node) {
  const fl_node_options *o = fl_plan_get_options(p, node);
  uint32_t map = fl_plan_get_map(p, node);
  if (map != FL_NODE_NONE && fl_graph_get_options(p->graph, map)->map_limit == 0)
    map = FL_NODE_NONE;
  for (uint32_t i = 0; i < p->queue_count; i++) {
    fl_queue_key *k = &p->queues[i].key;
    if (k->slot == slot_of(o->kind) && k->pool == o->pool && k->map == map) return &p->queues[i];
  }
  p->queues = fl_realloc(p->queues, (p->queue_count + 1) * sizeof *p->queues);
  plan_queue *q = &p->queues[p->queue_count++];
  *q = (plan_queue){.key = {.slot = slot_of(o->kind), .pool = o->pool, .map = map}};
  return q;
}

static void enqueue(fl_plan *p, uint32_t node) {
  if (p->nodes[node].queued) return;
  uint32_t map = fl_plan_get_map(p, node);
  uint64_t order = map == FL_NODE_NONE ? (uint64_t)node << 32
                                       : ((uint64_t)map << 32) + fl_plan_get_position(p, node);
  p->nodes[node].queued = true;
  fl_heap_push(&queue_of(p, node)->heap,
               (fl_ready){.priority = fl_plan_get_priority(p, node), .node = node, .order = order});
  p->ready_count++;
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

bool fl_plan_goes_before(const fl_plan *p, uint32_t a, uint32_t b) {
  return fl_ready_goes_before(&p->queues[a].heap.items[0], &p->queues[b].heap.items[0]);
}

uint32_t fl_plan_pop(fl_plan *p, uint32_t queue) {
  uint32_t node = fl_heap_pop(&p->queues[queue].heap).node;
  p->nodes[node].queued = false;
  p->ready_count--;
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

static void set_state(fl_plan *p, uint32_t node, fl_node_state to) {
  fl_node_state from = p->nodes[node].state;
  p->state_counts[from]--;
  p->state_counts[to]++;
  p->nodes[node].state = to;
  if (!counts(p, node)) return;
  if (!fl_node_state_is_final(from) && fl_node_state_is_final(to)) p->open_count--;
  if (fl_node_state_is_final(from) && !fl_node_state_is_final(to)) p->open_count++;
}

static unsigned seen_of(const fl_plan *p, uint32_t node) {
  switch ((fl_node_state)p->nodes[node].state) {
  case FL_NODE_SUCCEEDED: return FL_SEEN_SUCCESS;
  case FL_NODE_SKIPPED: return FL_SEEN_SKIPPED;
  case FL_NODE_OMITTED: return FL_SEEN_OMITTED;
  case FL_NODE_FAILED:
    return fl_plan_get_options(p, node)->allow_failure ? FL_SEEN_SUCCESS : FL_SEEN_FAILURE;
  case FL_NODE_UPSTREAM_FAILED:
  case FL_NODE_CANCELLED: return FL_SEEN_FAILURE;
  default: return 0;
  }
}

static void push_ended(fl_plan *p, uint32_t node) {
  if (p->ended_count == p->ended_capacity) {
    p->ended_capacity = p->ended_capacity ? p->ended_capacity * 2 : 16;
    p->ended = fl_realloc(p->ended, p->ended_capacity * sizeof *p->ended);
  }
  p->ended[p->ended_count++] = node;
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
  add_decision(p, (fl_decision){.node = node, .state = to, .reason = reason, .cause = cause});
  push_ended(p, node);
}

// Looks at the children of all nodes that ended, and of those that thereby ended, until quiet.
static void settle(fl_plan *p) {
  if (p->settling) return;
  p->settling = true;
  for (uint32_t at = 0; at < p->ended_count; at++) {
    uint32_t node = p->ended[at], count;
    if (node >= p->graph_count) continue;
    unsigned seen = seen_of(p, node);
    const uint32_t *children = fl_graph_get_children(p->graph, node, &count);
    for (uint32_t i = 0; i < count; i++) {
      plan_node *child = &p->nodes[children[i]];
      FL_ASSERT(child->waiting > 0);
      child->waiting--;
      child->seen |= (uint8_t)seen;
      decide(p, children[i], node);
    }
  }
  p->ended_count = 0;
  p->settling = false;
}

// ------------------------------------------------------------------------------------- changes

void fl_plan_restore(fl_plan *p, uint32_t node, fl_node_state state) {
  set_state(p, node, state);
}

void fl_plan_ignore(fl_plan *p, uint32_t node) {
  p->nodes[node].ignored = true;
  set_state(p, node, FL_NODE_SKIPPED);
}

void fl_plan_begin(fl_plan *p) {
  p->open_count = 0;
  for (uint32_t node = 0; node < p->graph_count; node++) {
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
  p->settling = true; // decisions below see complete counters; their children are settled after
  const uint32_t *order = fl_graph_get_order(p->graph);
  for (uint32_t i = 0; i < p->graph_count; i++) decide(p, order[i], FL_NODE_NONE);
  p->settling = false;
  settle(p);
}

uint32_t fl_plan_add_instance(fl_plan *p, uint32_t map_node, uint32_t position,
                              fl_node_state state) {
  if (p->count == p->capacity) {
    p->capacity = p->capacity < 64 ? 64 : p->capacity + p->capacity / 2;
    p->nodes = fl_realloc(p->nodes, p->capacity * sizeof *p->nodes);
    p->instances = fl_realloc(p->instances, (p->capacity - p->graph_count) * sizeof *p->instances);
  }
  uint32_t node = p->count++;
  p->nodes[node] = (plan_node){.state = (uint8_t)state};
  p->instances[node - p->graph_count] = (plan_instance){.map_node = map_node, .position = position};
  p->state_counts[state]++;
  return node;
}

void fl_plan_apply(fl_plan *p, uint32_t node, fl_node_event event) {
  fl_node_state from = fl_plan_get_state(p, node);
  fl_node_state to = fl_node_state_next(from, event);
  FL_ASSERT(to != FL_NODE_STATE_COUNT);
  set_state(p, node, to);
  if (fl_node_state_is_final(to) && !fl_node_state_is_final(from)) {
    push_ended(p, node);
    settle(p);
  }
  if (to != FL_NODE_PENDING || (event != FL_NODE_DUE && event != FL_NODE_RELEASE)) return;
  if (fl_plan_may_start(p, node)) {
    enqueue(p, node);
  } else if (node < p->graph_count) {
    decide(p, node, FL_NODE_NONE); // a parent runs again: its trigger says what to wait for
    settle(p);
  } // an instance waits for its map, which makes it ready when it goes on
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
