// A knock on another engine's door: "look at the store". A datagram socket an engine,
// <dir>/ctl/<id>; the message has no content, so that losing one loses nothing but time.
#pragma once
#include "io/loop.h"

typedef struct fl_notify fl_notify;

FL_MUST fl_code fl_notify_open(fl_loop *loop, const char *dir, const char *id, void (*fn)(void *ud),
                               void *ud, fl_notify **out, fl_error *err);
void fl_notify_close(fl_notify *n); // NULL-safe; removes the socket
/// False when nobody listens there.
bool fl_notify_send(const char *dir, const char *id);
/// Removes the socket that a dead engine left.
void fl_notify_forget(const char *dir, const char *id);
