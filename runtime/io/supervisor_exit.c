// The end of a child: put together, kept in the journal, then told, exactly once.
#include "io/supervisor_internal.h"
#include "base/bug.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "io/checksum.h"

#define COMPACT_COUNT 16384u // exits to be left out that make a new journal worth while
#define COMPACT_SIZE  (8ll << 20)

// The link to tell: its engine, unless it is gone or went to another.
static fl_sup_link *teller(const fl_sup_child *child) {
  return child->owner && !child->owner->broken ? child->owner : NULL;
}

// Lets go of what it held, so that the next may start.
static void release(fl_sup *sup, fl_sup_child *child) {
  if (child->holds_slot) child->owner->running--;
  child->holds_slot = false;
  sup->retry_at = 0;
  if (!child->entry.pid) return;
  fl_sup_child **ending = &sup->ending;
  while (*ending && *ending != child) ending = &(*ending)->next_ending;
  if (*ending) *ending = child->next_ending;
  if (child->prev)
    child->prev->next = child->next;
  else
    sup->children = child->next;
  if (child->next) child->next->prev = child->prev;
  sup->child_count--;
}

// Appends the exit to the journal, then to what the engine is told; spares encoding it twice.
static void keep_and_tell(fl_sup *sup, fl_sup_child *child, const fl_wire_exit *e) {
  fl_sup_link *link = teller(child);
  fl_journal_record_begin(&sup->record);
  fl_wire_put_exit(&sup->record, e);
  fl_journal_record_end(&sup->record);
  if (!FL_BUG(exit_not_journaled)) fl_journal_append(&sup->journal, &sup->record);
  sup->exits++;
  if (!link) {
    const fl_child_id *id = &child->job->spawn.id;
    // Of a worker nobody asks later, nor of what it started.
    if (id->run[0] && !id->child)
      sup->untidy = true;
    else
      sup->settled++;
    return;
  }
  fl_buf_add(&link->out, sup->record.data + sizeof(uint32_t), sup->record.size - sizeof(uint32_t));
  link->unsettled++;
  fl_sup_link_reported(sup, link);
}

static void put_status(const fl_sup_child *child, fl_child_exit *e) {
  e->end = FL_CHILD_EXITED;
  e->exit_code = WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -1;
  e->signal = WIFSIGNALED(child->status) ? WTERMSIG(child->status) : 0;
  e->timed_out = child->timed_out;
  e->cancelled = child->cancelled;
  e->left_behind = child->left_behind;
  e->unkillable = child->unkillable;
  e->pid = child->entry.pid;
  e->started_ms = child->started_ms;
  e->ended_ms = child->ended_ms;
  e->duration_ms = child->duration_ms;
  e->cpu_us = child->cpu_us;
  e->rss_max_bytes = child->rss_max_bytes;
}

// How much may be sent along: little when the engine does not read what it is sent already.
static size_t inline_max(const fl_sup_child *child) {
  fl_sup_link *link = teller(child);
  return link && link->out.size > FL_SUP_BUSY_SIZE ? FL_SUP_INLINE_BUSY_MAX : FL_SUP_INLINE_MAX;
}

static bool write_file(int fd, const char *data, size_t size) {
  while (size) {
    ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data += n;
    size -= (size_t)n;
  }
  return true;
}

// Copies an output that is too large to be sent to a file beside the journal.
static bool spill_output(fl_sup *sup, fl_sup_child *child, int64_t size, uint32_t *sum) {
  char name[96];
  bool done = false;
  snprintf(name, sizeof name, "%s.%llu.output", sup->id, (unsigned long long)child->seq);
  int fd = openat(sup->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  sup->spilled = true;
  int64_t at = 0;
  while (at < size) {
    size_t wanted = size - at < FL_SUP_PIECE_SIZE ? (size_t)(size - at) : FL_SUP_PIECE_SIZE;
    ssize_t n = pread(child->output_fd, sup->piece, wanted, at);
    if (n <= 0 || !write_file(fd, sup->piece, (size_t)n)) goto out;
    *sum = fl_checksum(*sum, sup->piece, (size_t)n);
    at += n;
  }
  done = true;
out:
  close(fd);
  if (!done) unlinkat(sup->dir_fd, name, 0);
  return done;
}

static void put_output(fl_sup *sup, fl_sup_child *child, fl_wire_exit *e, fl_buf *text) {
  struct stat st;
  if (fstat(child->output_fd, &st) || st.st_size == 0) return;
  child->output_written = true;
  if (st.st_size > FL_VALUE_SIZE_MAX) {
    e->exit.output_overflow = true;
    return;
  }
  if ((size_t)st.st_size > inline_max(child)) {
    if (spill_output(sup, child, st.st_size, &e->output_sum))
      e->output_spilled = st.st_size;
    else
      e->exit.output_overflow = true;
    return;
  }
  fl_buf_reserve(text, (size_t)st.st_size);
  ssize_t n = pread(child->output_fd, text->data, (size_t)st.st_size, 0);
  e->exit.output = text->data;
  e->exit.output_size = n > 0 ? (size_t)n : 0;
}

static void put_capture(fl_sup_child *child, fl_wire_exit *e) {
  if (!child->job->spawn.capture) return;
  e->exit.capture_overflow = child->capture_overflow;
  if (child->capture_fd >= 0) {
    e->capture_spilled = child->capture_size;
    e->capture_sum = child->capture_sum;
    return;
  }
  e->exit.capture = child->capture.size ? child->capture.data : "";
  e->exit.capture_size = child->capture.size;
}

static void put_log(fl_sup_child *child, fl_child_exit *e) {
  e->log_path = "";
  if (child->sink) {
    fl_log_sink_finish(child->sink, &e->log_path, &e->log_offset, &e->log_size, &e->log_total,
                       &e->log_errno);
  }
  size_t skipped = child->tail_size > FL_SUP_TAIL_SIZE ? child->tail_size - FL_SUP_TAIL_SIZE : 0;
  e->tail = child->tail ? child->tail + skipped : "";
  e->tail_size = child->tail_size - skipped;
}

void fl_sup_exit_finish(fl_sup *sup, fl_sup_child *child) {
  fl_wire_exit e = {.seq = child->seq, .capture_spilled = -1, .output_spilled = -1};
  fl_buf output;
  fl_buf_init(&output, FL_SUP_INLINE_MAX);
  e.exit.id = child->job->spawn.id;
  fl_sup_output_drain(sup, child);
  put_status(child, &e.exit);
  put_log(child, &e.exit);
  put_capture(child, &e);
  put_output(sup, child, &e, &output);
  keep_and_tell(sup, child, &e);
  fl_buf_deinit(&output);
  release(sup, child);
  fl_sup_child_free(sup, child);
}

void fl_sup_exit_failed(fl_sup *sup, fl_sup_child *child, int errnum, const char *what) {
  fl_wire_exit e = {.seq = child->seq, .capture_spilled = -1, .output_spilled = -1};
  e.exit.id = child->job->spawn.id;
  e.exit.end = FL_CHILD_NOT_STARTED;
  e.exit.exit_code = -1;
  e.exit.errnum = errnum;
  e.exit.error_what = what;
  e.exit.started_ms = child->started_ms ? child->started_ms : fl_wall_ms();
  e.exit.ended_ms = fl_wall_ms();
  e.exit.log_path = e.exit.tail = "";
  keep_and_tell(sup, child, &e);
  release(sup, child);
  fl_sup_child_free(sup, child);
}

// Not kept: that nothing of it is in the journal says the same.
void fl_sup_exit_revoked(fl_sup *sup, const fl_sup_job *job) {
  fl_wire_exit e = {.exit.duration_ms = -1, .capture_spilled = -1, .output_spilled = -1};
  e.exit.id = job->spawn.id;
  e.exit.end = FL_CHILD_REVOKED;
  e.exit.exit_code = -1;
  e.exit.log_path = e.exit.tail = "";
  fl_wire_put_exit(&job->link->out, &e);
  fl_sup_link_reported(sup, job->link);
}

static int compare_seqs(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static bool is_settled(void *ud, uint64_t seq) {
  const fl_sup *sup = ud;
  return bsearch(&seq, sup->settled_seqs, sup->settled_count, sizeof seq, compare_seqs) != NULL;
}

void fl_sup_exit_settle(fl_sup *sup, const uint64_t *seqs, size_t count) {
  if (sup->settled_count + count > sup->settled_capacity) {
    sup->settled_capacity = 2 * (sup->settled_count + count);
    sup->settled_seqs = fl_realloc(sup->settled_seqs, sup->settled_capacity * sizeof *seqs);
  }
  memcpy(sup->settled_seqs + sup->settled_count, seqs, count * sizeof *seqs);
  sup->settled_count += count;
  if (sup->settled_count < COMPACT_COUNT || sup->journal.size < COMPACT_SIZE) return;
  qsort(sup->settled_seqs, sup->settled_count, sizeof *seqs, compare_seqs);
  // When the disk refuses, the next time will do.
  if (fl_journal_compact(&sup->journal, is_settled, sup) == 0) sup->settled_count = 0;
}

void fl_sup_exit_remove_files(fl_sup *sup) {
  size_t size = strlen(sup->id);
  DIR *dir = fdopendir(dup(sup->dir_fd));
  if (!dir) return;
  rewinddir(dir);
  for (struct dirent *e; (e = readdir(dir));) {
    if (strncmp(e->d_name, sup->id, size) != 0 || e->d_name[size] != '.') continue;
    const char *dot = strrchr(e->d_name, '.');
    if (strcmp(dot, ".stdout") == 0 || strcmp(dot, ".output") == 0) {
      unlinkat(sup->dir_fd, e->d_name, 0);
    }
  }
  closedir(dir);
}
