// vkalign forward: the value at a site, as an .npy file.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

#include <math.h>

static va_status write_npy(va_cli *cli, const char *path, int n_dim, const int64_t *shape,
                           const float *data) {
    va_status st = VA_OK;
    va_npy_writer *w = NULL;
    int64_t n = 1;
    for (int i = 0; i < n_dim; i++)
        n *= shape[i];
    VA_TRY(va_npy_create(cli->ctx, path, n_dim, shape, &w));
    VA_TRY(va_npy_append(w, data, n));
    VA_TRY(va_npy_commit(&w));
done:
    va_npy_abort(&w);
    return st;
}

va_status va_cli_forward(va_cli *cli) {
    va_status st = VA_OK;
    va_cli_prompt p = {0};
    int64_t rows, width, shape[VA_MAX_DIM];
    const char *path;
    char text[64];
    float *data;
    const double start = va_time_s();
    VA_TRY(va_cli_require(cli, OPT_OUT, &path));
    VA_TRY(va_cli_read_prompt(
        cli, &(va_cli_wanted){.sites = (const va_opt[]){OPT_SITE}, .n_sites = 1}, &p));
    VA_TRY(va_cli_start_prompt(cli, &p));
    va_prompt_site_shape(p.prompt, 0, &rows, &width);
    VA_TRY_ALLOC(cli->ctx, data, VA_NEW_ARRAY(cli->arena, float, rows *width));
    VA_TRY(va_prompt_read(p.prompt, 0, data));
    const int n_dim = va_cli_site_dims(&p, 0, 0, shape);
    VA_TRY(write_npy(cli, path, n_dim, shape, data));

    double sum = 0;
    for (int64_t i = 0; i < rows * width; i++)
        sum += (double)data[i] * data[i];
    va_cli_describe(cli, &p, (const char *const[]){"site"});
    va_cli_json_shape(cli->out, "shape", n_dim, shape);
    va_json_add_double(cli->out, "norm", sqrt(sum));
    va_json_add_string(cli->out, "out", path);
    va_json_add_double(cli->out, "seconds", va_time_s() - start);
    va_cli_print(cli, "%s at %lld tokens: [%lld, %lld], norm %.6g -> %s\n",
                 va_site_text(&p.sites[0], text), (long long)p.n_ids, (long long)rows,
                 (long long)width, sqrt(sum), path);
done:
    va_cli_close_prompt(&p);
    return st;
}
