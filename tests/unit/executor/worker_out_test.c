// What node code prints, on its way through two pipes: none of it is lost when the process dies.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor/worker_out.h"

#define SLOT       3u
#define GENERATION 7u
#define LONG_SIZE  (1u << 20) // far more than both pipes hold

typedef enum death { DEATH_NONE, DEATH_BEFORE, DEATH_AFTER } death;

static death moving; // when the worker dies
static fl_worker_page *page;
static int socket_fd, printed_fd, passed_fd; // the engine's

// Instead of the C library's: the worker dies at the call that moves what was printed.
ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags) {
  if (moving == DEATH_BEFORE) kill(getpid(), SIGKILL);
  ssize_t n = syscall(SYS_splice, in, in_at, out, out_at, size, flags);
  if (moving == DEATH_AFTER) kill(getpid(), SIGKILL);
  return n;
}

// Runs `node` as a task of a worker. Returns the worker's pid.
static pid_t start(void (*node)(void)) {
  fl_error err;
  int link[2], first[2], second[2], fd;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link), 0);
  assert_int_equal(pipe2(first, O_CLOEXEC), 0);
  assert_int_equal(pipe2(second, O_CLOEXEC), 0);
  fcntl(first[0], F_SETFL, O_NONBLOCK);
  fcntl(second[0], F_SETFL, O_NONBLOCK);
  assert_int_equal(fl_worker_page_open(&page, &fd, &err), FL_OK);
  close(fd);
  pid_t pid = fork();
  if (pid == 0) {
    fl_worker_out *out;
    fl_worker_ends ends = {first[0], first[1], second[1]};
    fl_buf result;
    close(link[0]);
    close(second[0]);
    if (fl_worker_out_open(link[1], page, &ends, &out, &err)) _exit(1);
    fl_worker_out_begin(out, SLOT, GENERATION);
    node();
    fl_buf_init(&result, 64);
    fl_wire_end(&result, fl_worker_begin(&result, FL_WORKER_RESULT));
    fl_worker_out_finish(out, result.data, result.size);
    fl_worker_out_flush(out);
    _exit(0);
  }
  assert_true(pid > 0);
  close(link[1]);
  close(first[1]);
  close(second[1]);
  socket_fd = link[0];
  printed_fd = first[0];
  passed_fd = second[0];
  return pid;
}

static int wait_for_end(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static void stop(void) {
  close(socket_fd);
  close(printed_fd);
  close(passed_fd);
  fl_worker_page_close(page);
}

// Appends what the engine takes out of a pipe.
static void take(int fd, size_t size, fl_buf *text) {
  char data[4096];
  while (size) {
    ssize_t n = read(fd, data, size < sizeof data ? size : sizeof data);
    if (n <= 0) return;
    fl_buf_add(text, data, (size_t)n);
    size -= (size_t)n;
  }
}

// Reads what was said until the result, and out of the pipe what it was said for.
static void listen_to_the_result(fl_buf *text) {
  fl_buf in;
  fl_wire_frame frame;
  size_t used;
  fl_buf_init(&in, 1u << 20);
  for (;;) {
    assert_true(fl_buf_reserve(&in, 4096));
    ssize_t n = recv(socket_fd, in.data + in.size, 4096, 0);
    assert_true(n > 0);
    in.size += (size_t)n;
    while (fl_wire_next(in.data, in.size, &frame, &used) > 0) {
      if ((int)frame.kind == FL_WORKER_RESULT) {
        fl_buf_deinit(&in);
        return;
      }
      assert_int_equal((int)frame.kind, FL_WORKER_PRINTED);
      fl_wire_in fields = fl_wire_open(&frame);
      assert_int_equal(fl_wire_get_u32(&fields), SLOT);
      assert_int_equal(fl_wire_get_u32(&fields), GENERATION);
      size_t before = text->size, size = fl_wire_get_u32(&fields);
      assert_true(fl_wire_done(&fields));
      take(passed_fd, size, text);
      assert_int_equal(text->size - before, size);
      fl_buf_consume(&in, used);
    }
  }
}

static void print_words(void) {
  if (write(1, "last ", 5) != 5 || write(2, "words\n", 6) != 6) _exit(2);
}

static void last_words_are_in_a_pipe_when_the_worker_dies_while_it_moves_them(void **state) {
  (void)state;
  for (moving = DEATH_BEFORE; moving <= DEATH_AFTER; moving++) {
    fl_buf text;
    fl_buf_init(&text, 4096);
    int status = wait_for_end(start(print_words));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(fl_ring_left(page, 0), 0); // nothing was said of them
    take(passed_fd, SIZE_MAX, &text);
    take(printed_fd, SIZE_MAX, &text);
    // The other thread may have met its death before the second half was written.
    assert_memory_equal(text.data, "last words\n", text.size);
    assert_true(text.size == 5 || text.size == 11);
    fl_buf_deinit(&text);
    stop();
  }
  moving = DEATH_NONE;
}

static void what_a_task_printed_is_said_before_its_result(void **state) {
  fl_buf text;
  (void)state;
  fl_buf_init(&text, 4096);
  pid_t pid = start(print_words);
  listen_to_the_result(&text);
  assert_string_equal(fl_buf_cstr(&text), "last words\n");
  assert_int_equal(wait_for_end(pid), 0);
  fl_buf_deinit(&text);
  stop();
}

static void print_much(void) {
  for (uint32_t i = 0; i < LONG_SIZE; i += 16)
    if (dprintf(1, "%015u\n", i) != 16) _exit(2);
}

static void more_than_the_pipes_hold_waits_until_the_engine_reads(void **state) {
  fl_buf text;
  int waiting = 0;
  char line[17];
  (void)state;
  fl_buf_init(&text, 2 * LONG_SIZE);
  pid_t pid = start(print_much);
  // Both are full: the worker can neither print nor move.
  while (ioctl(printed_fd, FIONREAD, &waiting) == 0 && waiting < 60000) sched_yield();
  assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
  listen_to_the_result(&text);
  assert_int_equal(wait_for_end(pid), 0);
  assert_int_equal(text.size, LONG_SIZE);
  for (uint32_t i = 0; i < LONG_SIZE; i += 16) {
    snprintf(line, sizeof line, "%015u\n", i);
    assert_memory_equal(text.data + i, line, 16);
  }
  fl_buf_deinit(&text);
  stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(last_words_are_in_a_pipe_when_the_worker_dies_while_it_moves_them),
      cmocka_unit_test(what_a_task_printed_is_said_before_its_result),
      cmocka_unit_test(more_than_the_pipes_hold_waits_until_the_engine_reads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
