// The hash table: chains, twice as many buckets when there is one thing a bucket.
#include "base/table.h"
#include "base/err.h"

uint64_t fl_table_hash(const char *text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *text; text++) h = (h ^ (uint8_t)*text) * 0x100000001b3u;
  return h ^ h >> 32;
}

static fl_link **bucket_of(const fl_table *t, uint64_t hash) {
  return &t->buckets[hash & (t->capacity - 1)];
}

static void grow(fl_table *t) {
  fl_table old = *t;
  t->capacity = old.capacity ? old.capacity * 2 : 16;
  t->buckets = fl_alloc_zero(t->capacity, sizeof *t->buckets);
  for (uint32_t i = 0; i < old.capacity; i++)
    for (fl_link *l = old.buckets[i], *next; l; l = next) {
      next = l->next;
      fl_link **at = bucket_of(t, l->hash);
      l->next = *at;
      *at = l;
    }
  free(old.buckets);
}

void fl_table_add(fl_table *t, fl_link *link, uint64_t hash) {
  if (t->count == t->capacity) grow(t);
  fl_link **at = bucket_of(t, hash);
  link->hash = hash;
  link->next = *at;
  *at = link;
  t->count++;
}

void fl_table_remove(fl_table *t, fl_link *link) {
  fl_link **at = bucket_of(t, link->hash);
  while (*at != link) {
    FL_ASSERT(*at);
    at = &(*at)->next;
  }
  *at = link->next;
  link->next = NULL;
  t->count--;
}

fl_link *fl_table_first(const fl_table *t, uint64_t hash) {
  fl_link *l = t->capacity ? *bucket_of(t, hash) : NULL;
  while (l && l->hash != hash) l = l->next;
  return l;
}

fl_link *fl_table_next(const fl_link *link) {
  const uint64_t hash = link->hash;
  fl_link *l = link->next;
  while (l && l->hash != hash) l = l->next;
  return l;
}

void fl_table_deinit(fl_table *t) {
  free(t->buckets);
  *t = (fl_table){0};
}
