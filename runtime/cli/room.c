// A full disk. It takes nothing that was told, and what runs goes on under its supervisor; but
// nothing more can be recorded, so nothing more is started. Whoever waits for the night's run wants
// it to go on when there is room again, not a line that says how.
#include "watch.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_BYTES   (8 << 20) // a while's records: with less it would soon be full again
#define ROOM_PART    16        // of a small file system, one in so many
#define LOOK_MS      1000
#define TRIES_MAX    3     // in vain though there seems to be room: a quota, or a broken disk
#define AFRESH_MS    30000 // it was full so long ago: it is full once more
#define FIRST_TRY_MS 200

static bool has_room(const char *dir) {
  struct statvfs fs;
  if (statvfs(dir, &fs) != 0) return true; // trying tells
  double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
  bool enough = free_bytes >= ROOM_BYTES || fs.f_bavail > fs.f_blocks / ROOM_PART;
  return enough && (fs.f_files == 0 || fs.f_favail > 0);
}

// False: a signal that ends the program.
static bool wait_ms(fl_cli_watch *w, int ms) {
  struct pollfd fd = {.fd = w->signal_pipe[0], .events = POLLIN};
  unsigned char byte;
  if (poll(&fd, 1, ms) <= 0) return true;
  while (read(w->signal_pipe[0], &byte, 1) == 1) {
    if (byte == SIGHUP)
      fl_cli_detach_hang_up(w);
    else
      w->signal = byte;
  }
  return !w->signal;
}

static bool wait_for_room(fl_cli_watch *w, const char *dir) {
  bool told = false;
  if (!wait_ms(w, FIRST_TRY_MS << w->room_tries)) return false;
  while (!has_room(dir)) {
    if (!told)
      fl_cli_lines_note(w, "no space left on the device: nothing more is started until some is "
                           "free; what runs goes on (Ctrl-C stops waiting, and loses nothing)");
    told = true;
    if (w->mode == FL_MODE_LIVE)
      fl_cli_live_write(w, false);
    else
      fl_cli_flush();
    if (!wait_ms(w, LOOK_MS)) return false;
  }
  return true;
}

bool fl_cli_go_on_with_room(fl_cli_watch *w, fl_engine *engine, bool *stopped, fl_error *err) {
  const char *dir = fl_cli_state_dir(w->cli);
  *stopped = w->signal != 0; // it was about to end anyway
  if (*stopped) return false;
  if (w->room_ms && fl_cli_monotonic_ms() - w->room_ms > AFRESH_MS) w->room_tries = 0;
  while (w->room_tries < TRIES_MAX) {
    if (!wait_for_room(w, dir)) return *stopped = true, false;
    w->room_tries++;
    w->room_ms = fl_cli_monotonic_ms();
    fl_code code = fl_engine_reopen(engine, err);
    if (code == FL_OK) code = fl_run_resume(engine, w->run_id, NULL, err);
    if (code == FL_OK) {
      w->resumed = true;
      fl_cli_lines_note(w, "there is room again: going on");
      return true;
    }
    if (code != FL_E_FULL) return false;
  }
  return false;
}
