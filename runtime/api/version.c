// fl_version_text(): what this library is made of.
#include "base/match.h"
#include "bind/version.h"
#include "io/loop.h"
#include "store/store.h"
#include <pthread.h>

static char version_text[320];

static void make_text(void) {
  char loop[64], store[64], regex[64];
  fl_loop_version_text(loop);
  fl_store_version_text(store);
  fl_regex_version_text(regex);
  snprintf(version_text, sizeof version_text, "%s (%s, %s, %s, %s)", FL_VERSION,
           fl_lua_version_text(), loop, store, regex);
}

const char *fl_version_text(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_text);
  return version_text;
}
