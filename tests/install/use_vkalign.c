// use_vkalign.c: a program that uses the installed headers and archives, from the top layer down.
// SPDX-License-Identifier: Apache-2.0
#include <vkalign/experiment.h>
#include <vkalign/metric.h>
#include <vkalign/metric_compare.h>
#include <vkalign/metric_resample.h>
#include <vkalign/model.h>
#include <vkalign/probe.h>
#include <vkalign/probe_linear.h>
#include <vkalign/relation.h>
#include <vkalign/report.h>
#include <vkalign/svd.h>

#include <stdio.h>
#include <string.h>

// The argument names a file that is not there; loading it pulls in every layer and says so.
int main(int argc, char **argv) {
    va_ctx *ctx = va_ctx_create(NULL);
    va_experiment *experiment = NULL;
    if (!ctx || argc != 2)
        return 2;
    va_status st = va_experiment_load(ctx, &(va_experiment_params){.path = argv[1]}, &experiment);
    printf("%s: %s\n", va_status_text(st), va_error_message(ctx));
    int ok = st == VA_ERR_FILE && strstr(va_error_message(ctx), argv[1]);
    // Never called, but linked: what running needs.
    if (st == VA_OK)
        ok = va_experiment_run(ctx, experiment, &(va_run_params){0}, &(va_run_summary){0}) == VA_OK;
    va_experiment_free(&experiment);
    va_ctx_destroy(&ctx);
    return ok ? 0 : 1;
}
