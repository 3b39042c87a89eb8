// A hash table of what its owner holds: things carry their link in themselves and are found by the
// hash of their key.
#pragma once
#include <stdint.h>

/// Part of whatever is in a table, mostly its first member. Zero-initialise.
typedef struct fl_link {
  struct fl_link *next;
  uint64_t hash;
} fl_link;

/// Zero-initialise; fl_table_deinit() frees what it allocated, not what is in it.
typedef struct fl_table {
  fl_link **buckets;
  uint32_t capacity, count;
} fl_table;

/// Hash of a text (FNV-1a).
uint64_t fl_table_hash(const char *text);
void fl_table_add(fl_table *t, fl_link *link, uint64_t hash);
/// It must be in the table.
void fl_table_remove(fl_table *t, fl_link *link);
/// The first with that hash, NULL: none ...
fl_link *fl_table_first(const fl_table *t, uint64_t hash);
/// ... and the one behind it: the caller compares the keys.
fl_link *fl_table_next(const fl_link *link);
void fl_table_deinit(fl_table *t);
