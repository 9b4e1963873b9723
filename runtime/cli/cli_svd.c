// The options of the singular value solvers.
// SPDX-License-Identifier: Apache-2.0
#include "cli_read.h"

// dense goes straight to the answer.
static va_status check_dense(va_cli *cli) {
    static const va_opt without[] = {OPT_TOLERANCE, OPT_MAX_ITERATIONS, OPT_BLOCK, OPT_BASIS,
                                     OPT_SEED};
    for (int64_t i = 0; i < VA_COUNT(without); i++)
        if (va_cli_has(cli, without[i]))
            return va_fail(cli->ctx, VA_ERR_USAGE,
                           "%s: --method dense takes no %s: it is exact to rounding and has no "
                           "steps",
                           cli->verb->name, va_cli_option_name(without[i]));
    return VA_OK;
}

va_status va_cli_svd_params(va_cli *cli, va_svd_params *params) {
    va_status st = VA_OK;
    int64_t seed = 0;
    const char *method = va_cli_value_of(cli, OPT_METHOD);
    *params = (va_svd_params){.k = 8};
    if (method && !va_svd_method_parse(method, &params->method)) {
        va_strbuf known = {0};
        for (int i = 0; i < VA_SVD_METHOD_COUNT; i++)
            va_strbuf_printf(&known, "%s%s", i ? ", " : "", va_svd_method_name((va_svd_method)i));
        st = va_fail(cli->ctx, VA_ERR_USAGE, "--method: expected one of %s, got '%s'",
                     known.data ? known.data : "?", method);
        va_strbuf_free(&known);
        goto done;
    }
    VA_TRY(va_cli_int(cli, OPT_K, 1, 1 << 20, &params->k));
    VA_TRY(va_cli_int(cli, OPT_MAX_ITERATIONS, 1, 1 << 20, &params->max_iterations));
    VA_TRY(va_cli_int(cli, OPT_SEED, 0, INT64_MAX, &seed));
    VA_TRY(va_cli_int(cli, OPT_BLOCK, 1, 1 << 20, &params->block));
    VA_TRY(va_cli_int(cli, OPT_BASIS, 1, 1 << 20, &params->basis));
    VA_TRY(va_cli_positive(cli, OPT_TOLERANCE, &params->tolerance));
    params->seed = (uint64_t)seed;
    if (params->method == VA_SVD_DENSE)
        VA_TRY(check_dense(cli));
done:
    return st;
}
