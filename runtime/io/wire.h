// What an engine and its supervisor say to each other, and how it is laid out as bytes.
//
// A frame is a 32-bit size (of what follows), a byte that names the message, and its fields.
// Integers are in the host's order: both ends run on one machine, and so does a journal that is
// read back (its header says so). Text and bytes are a 32-bit size, the bytes and a NUL that is not
// counted. The other end is the world, not our bug: every read is checked, a wrong frame is an
// answer, never a crash, and nothing points outside the frame.
#pragma once
#include "base/buf.h"
#include "io/supervise.h"

typedef enum fl_wire_kind {
  // to the supervisor
  FL_WIRE_SPAWN = 1, // one child; its descriptors travel with the frame's first byte
  FL_WIRE_SLOTS,     // u32
  FL_WIRE_KILL,      // id, i64 grace_ms
  FL_WIRE_REVOKE,    // run, or nothing for all
  FL_WIRE_CLOSE,     // u8 kill_all, u8 tidy (all that was reported is dealt with)
  FL_WIRE_ATTACH,    // run
  FL_WIRE_SETTLE,    // the u64 sequence numbers of exits that are dealt with
  FL_WIRE_ALARM_MS,  // i64: how long after SIGKILL an alarm is raised
  // to the engine
  FL_WIRE_HELLO = 32, // i32 errnum (0: at your service), text what, u32 version
  FL_WIRE_STARTED,    // id, i32 pid, i64 started_ms
  FL_WIRE_EXITED,     // fl_wire_exit
  FL_WIRE_ALARM,      // id, text
  FL_WIRE_ATTACHED,   // the ids of all living children of the run
  FL_WIRE_TAKEN,      // id: another engine owns this child now
  FL_WIRE_PROGRESS,   // id, text: a child has said how far it is
  // only in a journal
  FL_WIRE_HEADER = 64,
  FL_WIRE_BEGUN,
} fl_wire_kind;

/// An exit as it is sent and kept. What is too large to be sent lies in a file beside the journal:
/// then `*_spilled` is its size (else -1), and the checksum tells whether a power cut spared it.
typedef struct fl_wire_exit {
  fl_child_exit exit;
  uint64_t seq; // of the child, counted by its supervisor
  int64_t capture_spilled, output_spilled;
  uint32_t capture_sum, output_sum;
} fl_wire_exit;

/// Of the messages and of the journal: raised when one of them changes. 1, which was not told:
/// exits without a duration. 2: no progress.
#define FL_WIRE_VERSION 3u

#define FL_WIRE_HEAD_SIZE 5u // u32 size, u8 kind

typedef struct fl_wire_frame {
  fl_wire_kind kind;
  const char *data; // the fields
  size_t size;
} fl_wire_frame;

/// Reads fields one after another. Past the end or on a wrong field it is `failed`, and every
/// further field reads as 0 or "": check once, at the end.
typedef struct fl_wire_in {
  const char *at, *end;
  bool failed;
} fl_wire_in;

/// Begins a frame at the end of `b`; returns where, for fl_wire_end().
size_t fl_wire_begin(fl_buf *b, fl_wire_kind kind);
void fl_wire_end(fl_buf *b, size_t begin);
void fl_wire_put_u8(fl_buf *b, uint8_t v);
void fl_wire_put_u32(fl_buf *b, uint32_t v);
void fl_wire_put_i32(fl_buf *b, int32_t v);
void fl_wire_put_u64(fl_buf *b, uint64_t v);
void fl_wire_put_i64(fl_buf *b, int64_t v);
void fl_wire_put_bytes(fl_buf *b, const void *data, size_t size);
void fl_wire_put_text(fl_buf *b, const char *text); // NULL stays NULL
void fl_wire_put_id(fl_buf *b, const fl_child_id *id);
void fl_wire_put_spawn(fl_buf *b, const fl_spawn *spawn); // a whole frame
void fl_wire_put_exit(fl_buf *b, const fl_wire_exit *e);  // a whole frame

/// Takes the first frame of `data`: 1 and `*used` bytes, 0 when it is not all there yet (`*used` is
/// then how many bytes are needed at least), -1 when it can never become one.
int fl_wire_next(const char *data, size_t size, fl_wire_frame *out, size_t *used);
fl_wire_in fl_wire_open(const fl_wire_frame *frame);
/// All fields were there and nothing is left over.
bool fl_wire_done(const fl_wire_in *in);
uint8_t fl_wire_get_u8(fl_wire_in *in);
uint32_t fl_wire_get_u32(fl_wire_in *in);
int32_t fl_wire_get_i32(fl_wire_in *in);
uint64_t fl_wire_get_u64(fl_wire_in *in);
int64_t fl_wire_get_i64(fl_wire_in *in);
/// Borrowed from the frame, NUL-terminated; NULL where NULL was put.
const char *fl_wire_get_bytes(fl_wire_in *in, size_t *size);
const char *fl_wire_get_text(fl_wire_in *in); // a NUL inside is a failure
void fl_wire_get_id(fl_wire_in *in, fl_child_id *out);
/// `out` borrows from the frame. `*vectors` holds argv and env: free() it. There is one free place
/// before argv[0]. pass_fd and pass_fd2 are 0 where a descriptor was sent, else -1.
FL_MUST bool fl_wire_get_spawn(const fl_wire_frame *frame, fl_spawn *out, char ***vectors);
FL_MUST bool fl_wire_get_exit(const fl_wire_frame *frame, fl_wire_exit *out);

bool fl_child_id_equal(const fl_child_id *a, const fl_child_id *b);
uint64_t fl_child_id_hash(const fl_child_id *id);
