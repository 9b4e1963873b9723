// vkalign jacobian: whole Jacobians, streamed to a file chunk by chunk.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

#include <math.h>
#include <string.h>

// One of these at a time.
typedef struct out_file {
    va_npy_writer *npy;
    va_safetensors_writer *tensors;
} out_file;

typedef struct jacobian {
    va_cli *cli;
    va_cli_prompt p;
    va_jacobians j;
    const char *path;
    bool list;      // --from names several sites
    int64_t *from;  // [n_from] 0, 1, ...
    int64_t *shape; // [n_from, VA_MAX_DIM]
    int n_dim;
    va_cli_tokens tokens; // none: all logits
    out_file file;
    double *squares; // [n_from] sums
    double start_s;
    va_map_plan plan;
} jacobian;

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

// -- what is asked for ----------------------------------------------------------------------------

static va_status read_path(jacobian *job) {
    va_status st = VA_OK;
    va_cli *cli = job->cli;
    const char *from = va_cli_value_of(cli, OPT_FROM);
    job->list = from && va_cli_is_list(from);
    job->path = va_cli_value_of(cli, OPT_OUT);
    if (!job->path && va_cli_has(cli, OPT_DRY_RUN))
        return VA_OK;
    VA_TRY(va_cli_require(cli, OPT_OUT, &job->path));
    const bool npy = ends_with(job->path, ".npy");
    if (!npy && !ends_with(job->path, ".safetensors"))
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "--out: expected FILE.npy or FILE.safetensors, got '%s'", job->path);
    if (npy && job->list)
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "--out: expected FILE.safetensors, which holds a tensor for each site of "
                       "--from %s; got '%s', which holds one array",
                       from, job->path);
done:
    return st;
}

// [p_out, d_out, p_in, d_in] of every source.
static va_status make_shapes(jacobian *job) {
    va_status st = VA_OK;
    const int64_t n = job->j.n_from;
    VA_TRY_ALLOC(job->cli->ctx, job->from, VA_NEW_ARRAY(job->cli->arena, int64_t, n));
    VA_TRY_ALLOC(job->cli->ctx, job->squares, VA_NEW_ARRAY(job->cli->arena, double, n));
    VA_TRY_ALLOC(job->cli->ctx, job->shape, VA_NEW_ARRAY(job->cli->arena, int64_t, n * VA_MAX_DIM));
    for (int64_t i = 0; i < n; i++) {
        int64_t *shape = job->shape + i * VA_MAX_DIM;
        job->n_dim = va_cli_site_dims(&job->p, job->j.to, 0, shape);
        if (job->tokens.n > 0)
            shape[job->n_dim - 1] = job->tokens.n;
        job->n_dim = va_cli_site_dims(&job->p, i, job->n_dim, shape);
        job->from[i] = i;
    }
    job->j.from = job->from;
done:
    return st;
}

// A single source's whole matrix goes by rows or columns, whichever is less work.
static bool is_single(const jacobian *job) {
    return !job->list && !job->j.rows;
}

static va_status read_request(jacobian *job) {
    va_status st = VA_OK;
    va_cli *cli = job->cli;
    VA_TRY(read_path(job));
    VA_TRY(va_cli_mode(cli, &job->j.mode));
    const va_cli_wanted wanted = {.sites = (const va_opt[]){OPT_FROM, OPT_TO},
                                  .n_sites = 2,
                                  .derivatives = true,
                                  .lists = true,
                                  .mode = job->j.mode};
    VA_TRY(va_cli_read_prompt(cli, &wanted, &job->p));
    job->j.n_from = job->j.to = job->p.n_sites - 1;
    if (va_cli_has(cli, OPT_TOKENS)) {
        VA_TRY(va_cli_read_tokens(cli, &job->p, job->j.to, &job->tokens));
        job->j.rows = job->tokens.rows;
        job->j.n_rows = job->tokens.n_rows;
    }
    VA_TRY(make_shapes(job));
    if (is_single(job))
        VA_TRY(va_prompt_plan_map(job->p.model, &job->p.params, 0, 1, job->j.mode, VA_MAP_DENSE,
                                  &job->p.budget, &job->plan));
    else
        VA_TRY(va_prompt_plan_jacobians(job->p.model, &job->p.params, &job->j, &job->p.budget,
                                        &job->plan));
done:
    return st;
}

static int64_t columns_of(const jacobian *job, int64_t source) {
    return va_cli_site_rows(&job->p, source) * va_cli_site_width(&job->p, source);
}

static int64_t out_bytes(const jacobian *job) {
    int64_t columns = 0, bytes;
    for (int64_t i = 0; i < job->j.n_from; i++)
        columns += columns_of(job, i);
    return va_mul_i64(columns, 4 * job->plan.rows, &bytes) ? bytes : INT64_MAX;
}

// -- the file -------------------------------------------------------------------------------------

static void append_ids(va_strbuf *text, const int32_t *ids, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        va_strbuf_printf(text, "%s%d", i > 0 ? "," : "", ids[i]);
}

static const char *mode_text(va_mode mode) {
    return mode == VA_EXACT ? "exact" : "detached";
}

static va_status create_tensors(jacobian *job, va_file_tensor *entries) {
    va_status st = VA_OK;
    va_cli *cli = job->cli;
    va_strbuf ids = {0}, tokens = {0};
    char from[64], to[64];
    append_ids(&ids, job->p.ids, job->p.n_ids);
    append_ids(&tokens, job->tokens.ids, job->tokens.n);
    const char *const meta[][2] = {
        {"tool", "vkalign " VA_VERSION},
        {"model", va_model_dir(job->p.model)},
        {"from", job->list ? va_cli_value_of(cli, OPT_FROM) : va_site_text(&job->p.sites[0], from)},
        {"to", va_site_text(&job->p.sites[job->j.to], to)},
        {"mode", mode_text(job->j.mode)},
        {"ids", ids.data},
        {"tokens", tokens.data}};
    const int64_t n_meta = VA_COUNT(meta) - (job->tokens.n == 0);
    if (ids.failed || tokens.failed)
        VA_TRY(va_fail(cli->ctx, VA_ERR_MEMORY, "out of host memory"));
    VA_TRY(va_safetensors_create(cli->ctx, job->path, entries, job->j.n_from, meta, n_meta,
                                 &job->file.tensors));
done:
    va_strbuf_free(&ids);
    va_strbuf_free(&tokens);
    return st;
}

static va_status create_file(jacobian *job) {
    va_status st = VA_OK;
    va_cli *cli = job->cli;
    va_file_tensor *entries;
    char text[64];
    if (ends_with(job->path, ".npy"))
        return va_npy_create(cli->ctx, job->path, job->n_dim, job->shape, &job->file.npy);
    VA_TRY_ALLOC(cli->ctx, entries, VA_NEW_ARRAY(cli->arena, va_file_tensor, job->j.n_from));
    for (int64_t i = 0; i < job->j.n_from; i++) {
        entries[i] = (va_file_tensor){.name = "J", .dtype = VA_F32, .n_dim = job->n_dim};
        memcpy(entries[i].shape, job->shape + i * VA_MAX_DIM, sizeof entries[i].shape);
        if (job->list)
            VA_TRY_ALLOC(cli->ctx, entries[i].name,
                         va_arena_printf(cli->arena, "%s", va_site_text(&job->p.sites[i], text)));
    }
    VA_TRY(create_tensors(job, entries));
done:
    return st;
}

static va_status check_rows(jacobian *job, int64_t source, int64_t first, int64_t count,
                            const float *rows) {
    const int64_t n = columns_of(job, source);
    char text[64];
    for (int64_t i = 0; i < count * n; i++) {
        if (!isfinite(rows[i]))
            return va_fail(job->cli->ctx, VA_ERR_NUMERIC,
                           "the Jacobian by %s holds NaN or infinity in row %lld, column %lld",
                           va_site_text(&job->p.sites[source], text), (long long)(first + i / n),
                           (long long)(i % n));
        job->squares[source] += (double)rows[i] * rows[i];
    }
    return VA_OK;
}

static va_status write_rows(void *user, int64_t source, int64_t first, int64_t count,
                            const float *rows) {
    va_status st = VA_OK;
    jacobian *job = user;
    const int64_t n = columns_of(job, source);
    VA_TRY(va_check_interrupt(job->cli->ctx));
    VA_TRY(check_rows(job, source, first, count, rows));
    if (job->file.npy)
        VA_TRY(va_npy_append(job->file.npy, rows, count * n));
    else
        VA_TRY(va_safetensors_put(job->file.tensors, source, first * n, rows, count * n));
    if (source + 1 < job->j.n_from)
        goto done;
    const va_progress p = {.label = "jacobian",
                           .done = first + count,
                           .total = job->plan.rows,
                           .elapsed_s = va_time_s() - job->start_s,
                           .finished = first + count == job->plan.rows};
    va_progress_report(job->cli->ctx, &p);
done:
    return st;
}

static va_status write_single(void *user, int64_t first, int64_t count, const float *rows) {
    return write_rows(user, 0, first, count, rows);
}

// -- what is told ---------------------------------------------------------------------------------

static void describe(jacobian *job) {
    static const char *const keys[] = {"from", "to"};
    va_cli *cli = job->cli;
    char text[64];
    va_cli_describe(cli, &job->p, job->list ? NULL : keys);
    if (job->list)
        va_json_add_string(cli->out, "to", va_site_text(&job->p.sites[job->j.to], text));
    va_json_add_string(cli->out, "mode", mode_text(job->j.mode));
}

static void show_result(jacobian *job) {
    va_cli *cli = job->cli;
    va_json *list = job->list ? va_json_add_array(cli->out, "sources") : NULL;
    char from[64], to[64];
    for (int64_t i = 0; i < job->j.n_from; i++) {
        const double norm = sqrt(job->squares[i]);
        va_site_text(&job->p.sites[i], from);
        va_json *o = list ? va_json_add_object(list, NULL) : cli->out;
        if (list)
            va_json_add_string(o, "from", from);
        va_cli_json_shape(o, "shape", job->n_dim, job->shape + i * VA_MAX_DIM);
        va_json_add_double(o, "frobenius_norm", norm);
        va_cli_print(cli, "%s -> %s (%s): %lld x %lld, Frobenius norm %.6g -> %s\n", from,
                     va_site_text(&job->p.sites[job->j.to], to), mode_text(job->j.mode),
                     (long long)job->plan.rows, (long long)columns_of(job, i), norm, job->path);
    }
    va_json_add_string(cli->out, "out", job->path);
    va_json_add_double(cli->out, "seconds", va_time_s() - job->start_s);
}

static va_status run(jacobian *job) {
    va_status st = VA_OK;
    va_cli *cli = job->cli;
    const va_map_budget *budget = &job->p.budget;
    VA_TRY(va_cli_start_prompt(cli, &job->p));
    VA_TRY(create_file(job));
    VA_TRY(is_single(job)
               ? va_prompt_rows(job->p.prompt, 0, 1, job->j.mode, budget, write_single, job)
               : va_prompt_jacobians(job->p.prompt, &job->j, budget, write_rows, job));
    VA_TRY(job->file.npy ? va_npy_commit(&job->file.npy)
                         : va_safetensors_commit(&job->file.tensors));
done:
    return st;
}

va_status va_cli_jacobian(va_cli *cli) {
    va_status st = VA_OK;
    jacobian job = {.cli = cli, .start_s = va_time_s()};
    VA_TRY(read_request(&job));
    if (va_cli_has(cli, OPT_DRY_RUN)) {
        describe(&job);
        va_cli_show_plan(cli, &job.plan, out_bytes(&job));
        goto done;
    }
    VA_TRY(run(&job));
    describe(&job);
    show_result(&job);
done:
    va_npy_abort(&job.file.npy);
    va_safetensors_abort(&job.file.tensors);
    va_cli_close_prompt(&job.p);
    return st;
}
