// flowlua cancel RUN: asks for the end of a run, whoever owns it.
#include "cli.h"

static const fl_cli_option options[] = {
    {"kill", NULL, "at once, without the nodes' grace", NULL},
    {NULL, NULL, NULL, NULL},
};

static void take_status(void *ud, const fl_run_info *run) {
  *(bool *)ud = fl_cli_status_is_final(run->status);
}

static bool is_over(fl_engine *engine, const char *run) {
  bool over = false;
  return fl_read_status(engine, run, take_status, NULL, &over, NULL) == FL_OK && over;
}

static int cancel_run(const fl_cli *cli) {
  fl_cli_engine engine = {0};
  fl_error err = {0};
  char run_id[32];
  bool kill = fl_cli_has(cli, "kill");
  int code = fl_cli_engine_open(cli, FL_CLI_CHANGE, NULL, &engine);
  if (code != FL_EXIT_OK) return code;
  const char *run = fl_cli_run_word(cli);
  if (fl_run_find(engine.engine, run, run_id, &err) != FL_OK)
    code = fl_cli_fail_run(cli, engine.engine, run, &err);
  else if (fl_run_cancel(engine.engine, run_id, kill, &err) != FL_OK ||
           fl_wait(engine.engine, NULL, NULL, &err) != FL_OK) // its owner is dead: ended here
    code = fl_cli_fail(&err);
  else
    fl_cli_printf("run %s: %s\n", run_id,
                  is_over(engine.engine, run_id) ? "cancelled"
                  : kill                         ? "its nodes are killed"
                                                 : "it ends when its running nodes have ended");
  fl_cli_engine_close(&engine);
  return code;
}

const fl_cli_verb fl_cli_verb_cancel = {
    .name = "cancel",
    .words = "[RUN]",
    .summary = "end a run: its nodes get their grace, then they are killed",
    .word_count_max = 1,
    .options = options,
    .example = "flowlua cancel\n"
               "flowlua cancel 4f7a9c01 --kill",
    .run = cancel_run,
};
