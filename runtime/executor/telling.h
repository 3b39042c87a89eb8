// What of the last words of a program tells why it failed.
#pragma once
#include "base/buf.h"

/// Appends ": " and what says most of `tail`, the end of what it printed: the last line, and before
/// it, joined by " ... ", the first one that speaks of an error where that is another one. Nothing
/// when there is no line. Clean UTF-8; of a long line its beginning.
void fl_telling_add(fl_buf *text, const char *tail, size_t size);
