// Notices when a file is written to, by whatever process, without looking at it in vain: the log of
// a store, so that commits of others are heard of. A commit becomes visible a moment after its last
// byte is in the log; whoever found nothing new asks to be woken once more, and again a little
// later, up to some seconds.
#pragma once
#include "base/err.h"
#include <stdbool.h>

typedef struct fl_watch fl_watch;

/// Nothing is reported of what was written before. FL_E_SYSTEM.
FL_MUST fl_code fl_watch_open(const char *path, fl_watch **out, fl_error *err);
void fl_watch_close(fl_watch *w); // NULL-safe
/// Readable when the file was written to, or when it is time to look again.
int fl_watch_get_fd(const fl_watch *w);
/// Makes the descriptor unreadable until something more happens. Call it before looking.
void fl_watch_clear(fl_watch *w);
/// What came of the look: without news there is another one in a moment.
void fl_watch_looked(fl_watch *w, bool news);
