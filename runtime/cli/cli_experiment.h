// cli_experiment.h: what `run` and `validate` share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_CLI_EXPERIMENT_H
#define VKALIGN_CLI_EXPERIMENT_H

#include "cli.h"

#include "vkalign/experiment.h"

// Loads an experiment with the --set options. Its mistakes go to stderr, one line each as
// FILE:LINE:COL: message, and into the JSON document under "errors".
// variant: of an experiment with a matrix, from 0.
va_status va_cli_load_experiment(va_cli *cli, const char *path, int64_t variant,
                                 va_experiment **experiment);
// What va_cli_load_experiment loads.
va_status va_cli_experiment_params(va_cli *cli, const char *path, va_experiment_params *params);
// The plan's numbers.
void va_cli_json_plan(va_json *obj, const va_plan_summary *plan);
// Into what all variants take together: sums, and the most memory of any.
void va_cli_add_plan(va_plan_summary *all, const va_plan_summary *plan);

#endif
