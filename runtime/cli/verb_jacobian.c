// vkalign jacobian: a whole Jacobian, streamed to an .npy file row by row.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <math.h>

typedef struct row_sink {
    va_cli *cli;
    va_npy_writer *writer;
    int64_t m, n; // rows, columns
    double start_s, sum_squares;
} row_sink;

static va_status write_rows(void *user, int64_t first, int64_t count, const float *rows) {
    row_sink *sink = user;
    va_status st = VA_OK;
    VA_TRY(va_check_interrupt(sink->cli->ctx));
    for (int64_t i = 0; i < count * sink->n; i++) {
        if (!isfinite(rows[i]))
            VA_TRY(va_fail(sink->cli->ctx, VA_ERR_NUMERIC,
                           "the Jacobian holds NaN or infinity in row %lld, column %lld",
                           (long long)(first + i / sink->n), (long long)(i % sink->n)));
        sink->sum_squares += (double)rows[i] * rows[i];
    }
    VA_TRY(va_npy_append(sink->writer, rows, count * sink->n));
    const va_progress p = {.label = "jacobian",
                           .done = first + count,
                           .total = sink->m,
                           .elapsed_s = va_time_s() - sink->start_s,
                           .finished = first + count == sink->m};
    va_progress_report(sink->cli->ctx, &p);
done:
    return st;
}

va_status va_cli_jacobian(va_cli *cli) {
    va_status st = VA_OK;
    va_cli_prompt p = {0};
    va_linmap *map = NULL;
    va_mode mode;
    int64_t shape[VA_MAX_DIM];
    const char *path;
    row_sink sink = {.cli = cli, .start_s = va_time_s()};
    VA_TRY(va_cli_require(cli, OPT_OUT, &path));
    VA_TRY(va_cli_mode(cli, &mode));
    VA_TRY(va_cli_open_prompt(cli, (const va_opt[]){OPT_FROM, OPT_TO}, 2, true, mode, &p));
    VA_TRY(va_prompt_linmap(p.prompt, 0, 1, mode, NULL, &map));
    const va_linmap_shape s = va_linmap_get_shape(map);
    sink.m = s.T_out * s.d_out, sink.n = s.T_in * s.d_in;
    const int n_dim = va_cli_site_dims(&p, 0, va_cli_site_dims(&p, 1, 0, shape), shape);
    VA_TRY(va_npy_create(cli->ctx, path, n_dim, shape, &sink.writer));
    VA_TRY(va_linmap_rows(map, write_rows, &sink));
    VA_TRY(va_npy_commit(&sink.writer));

    va_cli_describe(cli, &p, (const char *const[]){"from", "to"});
    va_json_add_string(cli->out, "mode", mode == VA_EXACT ? "exact" : "detached");
    va_cli_json_shape(cli->out, "shape", n_dim, shape);
    va_json_add_double(cli->out, "frobenius_norm", sqrt(sink.sum_squares));
    va_json_add_string(cli->out, "out", path);
    va_json_add_double(cli->out, "seconds", va_time_s() - sink.start_s);
    va_cli_print(cli, "%s: %lld x %lld, Frobenius norm %.6g -> %s\n", va_linmap_label(map),
                 (long long)sink.m, (long long)sink.n, sqrt(sink.sum_squares), path);
done:
    va_npy_abort(&sink.writer);
    va_linmap_destroy(&map);
    va_cli_close_prompt(&p);
    return st;
}
