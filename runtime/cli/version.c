// flowlua version: of this program, and of what it is made of.
#include "cli.h"

static int version_run(const fl_cli *cli) {
  (void)cli;
  fl_cli_printf("flowlua %s\n", fl_version_text());
  return FL_EXIT_OK;
}

const fl_cli_verb fl_cli_verb_version = {
    .name = "version",
    .words = "",
    .summary = "print the version, and those of the libraries inside",
    .example = "flowlua version",
    .run = version_run,
};
