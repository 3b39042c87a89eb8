// The params of a flow, before it runs.
#pragma once
#include "cli.h"

/// `flowlua FILE --help`: what the flows of a script (or `flow` alone) are for, and their params.
/// Returns the exit code.
FL_MUST int fl_cli_params_print(const fl_cli *cli, fl_script *script, const char *flow);
/// Whether nodes of the script's flows take from each of these pools. False: one is taken from by
/// none, and a message was printed.
FL_MUST bool fl_cli_params_check_pools(fl_script *script, const fl_pool_size *pools, size_t count);
/// Asks the person at the terminal for params that are required and were not given; what is typed
/// is added to `texts` ("name=value"), which grows; free() those behind `*count` as it was. Nothing
/// is asked where there is no terminal. False: there was no answer; a message was printed.
FL_MUST bool fl_cli_params_ask(fl_script *script, const fl_run_options *options,
                               const char ***texts, size_t *count);
