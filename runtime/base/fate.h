// What became of an attempt, or of the child that was it, that was found begun after a crash.
#pragma once

typedef enum fl_fate {
  FL_FATE_RUNNING,     // adopted: its end will be reported
  FL_FATE_ENDED,       // its true end was reported before the question was answered
  FL_FATE_NOT_STARTED, // was never started: start it anew, no attempt is consumed
  FL_FATE_LOST         // it ran and nobody knows how it ended; nothing of it is left running
} fl_fate;
