// The bytes of a new, empty store, made from the schema.
//
// That takes some milliseconds, half of a first start: image_main.c calls it while FlowLua is
// built, and what it prints is linked as fl_store_image.
#include "store/store_internal.h"

static int put_value(sqlite3 *db, int id, const char *text) {
  uint8_t digest[FL_DIGEST_SIZE];
  sqlite3_stmt *st = NULL;
  fl_digest(text, strlen(text), digest);
  int rc = sqlite3_prepare_v2(db, "INSERT INTO value VALUES(?1,?2,?3,?4)", -1, &st, NULL);
  if (rc) return rc;
  sqlite3_bind_int(st, 1, id);
  sqlite3_bind_blob(st, 2, digest, sizeof digest, SQLITE_STATIC);
  sqlite3_bind_int(st, 3, (int)strlen(text));
  sqlite3_bind_text(st, 4, text, -1, SQLITE_STATIC);
  sqlite3_step(st);
  return sqlite3_finalize(st);
}

unsigned char *fl_store_image_build(size_t *size) {
  sqlite3 *db = NULL;
  sqlite3_int64 bytes = 0;
  unsigned char *image = NULL;
  char pragmas[160];
  // auto_vacuum must be chosen before the first table: prune gives pages back with it.
  snprintf(pragmas, sizeof pragmas,
           "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA application_id=%d;",
           FL_STORE_APPLICATION_ID);
  int rc = sqlite3_open(":memory:", &db);
  if (!rc) rc = sqlite3_exec(db, pragmas, NULL, NULL, NULL);
  if (!rc) rc = fl_store_migrate(db, fl_store_steps, FL_STORE_SCHEMA);
  if (!rc) rc = fl_store_put_words(db);
  if (!rc) rc = put_value(db, FL_VALUE_ID_EMPTY_MAP, "{}");
  if (!rc) rc = put_value(db, FL_VALUE_ID_NULL, "null");
  // Of tables that a step of the schema replaced.
  if (!rc) rc = sqlite3_exec(db, "PRAGMA incremental_vacuum", NULL, NULL, NULL);
  FL_ASSERT(!rc || rc == SQLITE_NOMEM); // the SQL is ours and there is no disk below it
  if (!rc) image = sqlite3_serialize(db, "main", &bytes, 0);
  sqlite3_close(db);
  // Bytes 18 and 19 of the header (file format, write and read version): 2 means WAL.
  if (image) image[18] = image[19] = 2;
  *size = image ? (size_t)bytes : 0;
  return image;
}
