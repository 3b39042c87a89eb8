// run --dry-run: tells what would run.
#pragma once
#include "cli.h"

/// Checks the run as if it were started, and prints its nodes; returns the exit code.
FL_MUST int fl_cli_dry_run(const fl_cli *cli, fl_script *script, const fl_run_options *options);
