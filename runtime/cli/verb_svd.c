// vkalign svd: the largest singular triplets of a Jacobian, matrix-free, or of a matrix in a file.
// SPDX-License-Identifier: Apache-2.0
#include "cli_read.h"

#include <string.h>

// -- results --------------------------------------------------------------------------------------

static va_status write_result(va_cli *cli, const char *path, const va_svd_params *params,
                              const va_svd_result *r, const char *label) {
    va_status st = VA_OK;
    float *sigma, *residual;
    char tolerance[32];
    snprintf(tolerance, sizeof tolerance, "%.9g", r->tolerance);
    VA_TRY_ALLOC(cli->ctx, sigma, VA_NEW_ARRAY(cli->arena, float, r->k));
    VA_TRY_ALLOC(cli->ctx, residual, VA_NEW_ARRAY(cli->arena, float, r->k));
    for (int64_t i = 0; i < r->k; i++) {
        sigma[i] = (float)r->sigma[i];
        residual[i] = (float)r->residual[i];
    }
    const va_file_tensor entries[] = {
        {.name = "S", .dtype = VA_F32, .n_dim = 1, .shape = {r->k}, .data = sigma},
        {.name = "U", .dtype = VA_F32, .n_dim = 2, .shape = {r->k, r->m}, .data = r->U},
        {.name = "V", .dtype = VA_F32, .n_dim = 2, .shape = {r->k, r->n}, .data = r->V},
        {.name = "residuals", .dtype = VA_F32, .n_dim = 1, .shape = {r->k}, .data = residual},
    };
    const char *const meta[][2] = {{"tool", "vkalign " VA_VERSION},
                                   {"map", label},
                                   {"method", va_svd_method_name(params->method)},
                                   {"tolerance", tolerance},
                                   {"converged", r->converged ? "true" : "false"}};
    VA_TRY(va_safetensors_write(cli->ctx, path, entries, VA_COUNT(entries), meta, VA_COUNT(meta)));
done:
    return st;
}

static void show_history(va_cli *cli, const va_svd_result *r) {
    va_json *history = va_json_add_array(cli->out, "history");
    const bool verbose = va_cli_has(cli, OPT_VERBOSE);
    if (verbose)
        va_cli_print(cli, "\n  applications  vectors  converged  residual / sigma_1\n");
    for (int64_t i = 0; i < r->n_history; i++) {
        const va_svd_progress *h = &r->history[i];
        va_json *entry = va_json_add_object(history, NULL);
        va_json_add_int(entry, "iterations", h->iterations);
        va_json_add_int(entry, "vectors", h->vectors);
        va_json_add_int(entry, "converged", h->n_converged);
        va_json_add_double(entry, "residual", h->residual);
        if (verbose)
            va_cli_print(cli, "%14lld  %7lld  %9lld  %.2e\n", (long long)h->iterations,
                         (long long)h->vectors, (long long)h->n_converged, h->residual);
    }
}

static void show_triplets(va_cli *cli, const va_svd_result *r) {
    va_json *sigma = va_json_add_array(cli->out, "sigma");
    va_json *residual = va_json_add_array(cli->out, "residuals");
    va_json *converged = va_json_add_array(cli->out, "triplet_converged");
    va_cli_print(cli, "    j  sigma         residual\n");
    for (int64_t j = 0; j < r->k; j++) {
        va_json_add_double(sigma, NULL, r->sigma[j]);
        va_json_add_double(residual, NULL, r->residual[j]);
        va_json_add_bool(converged, NULL, r->is_converged[j]);
        va_cli_print(cli, "%5lld  %-12.6g  %.2e%s%s\n", (long long)j + 1, r->sigma[j],
                     r->residual[j], j >= r->rank ? "  (beyond the numerical rank)" : "",
                     r->is_converged[j] ? "" : "  (NOT converged)");
    }
}

static void show_result(va_cli *cli, const va_svd_result *r, const char *label) {
    int64_t n = 0;
    for (int64_t j = 0; j < r->k; j++)
        n += r->is_converged[j];
    va_cli_print(cli, "%s: %lld x %lld\n\n", label, (long long)r->m, (long long)r->n);
    show_triplets(cli, r);
    va_json_add_int(cli->out, "rank", r->rank);
    va_json_add_int(cli->out, "iterations", r->iterations);
    va_json_add_int(cli->out, "vectors", r->vectors);
    va_json_add_int(cli->out, "random_directions", r->random_directions);
    va_json_add_double(cli->out, "tolerance", r->tolerance);
    va_json_add_bool(cli->out, "converged", r->converged);
    show_history(cli, r);
    if (r->iterations == 0)
        va_cli_print(cli, "\ncomputed by LAPACK\n");
    else if (r->converged)
        va_cli_print(cli, "\nconverged after %lld applications, of %lld vectors in all\n",
                     (long long)r->iterations, (long long)r->vectors);
    else
        va_cli_print(cli, "\nNOT converged: %lld of %lld triplets after %lld applications\n",
                     (long long)(r->k - n), (long long)r->k, (long long)r->iterations);
}

static va_status finish(va_cli *cli, const va_svd_params *params, const va_svd_result *r,
                        const char *label, double start_s) {
    va_status st = VA_OK;
    const char *path = va_cli_value_of(cli, OPT_OUT);
    if (path)
        VA_TRY(write_result(cli, path, params, r, label));
    va_json_add_string(cli->out, "method", va_svd_method_name(params->method));
    va_cli_json_shape(cli->out, "shape", 2, (const int64_t[]){r->m, r->n});
    show_result(cli, r, label);
    if (path)
        va_json_add_string(cli->out, "out", path);
    va_json_add_double(cli->out, "seconds", va_time_s() - start_s);
done:
    return st;
}

// -- the two kinds of input -----------------------------------------------------------------------

static va_status svd_of_matrix(va_cli *cli, const va_svd_params *params, const char *spec) {
    va_status st = VA_OK;
    va_gpu *gpu = NULL;
    va_linmap *map = NULL;
    va_svd_result r;
    va_cli_matrix A = {0};
    const double start = va_time_s();
    static const va_opt without[] = {OPT_MODEL, OPT_TEXT, OPT_TEXT_FILE, OPT_IDS,    OPT_CONCEPT,
                                     OPT_FROM,  OPT_TO,   OPT_MODE,      OPT_DRY_RUN};
    for (int64_t i = 0; i < VA_COUNT(without); i++)
        if (va_cli_has(cli, without[i]))
            return va_fail(cli->ctx, VA_ERR_USAGE, "svd: --matrix goes without a model's options");
    VA_TRY(va_cli_load_matrix(cli, spec, &A));
    if (params->method == VA_SVD_DENSE) {
        VA_TRY(va_svd_host(cli->ctx, cli->arena, A.data, A.m, A.n, params->k, &r));
    } else {
        VA_TRY(va_cli_open_gpu(cli, &gpu));
        VA_TRY(va_linmap_from_matrix(gpu, A.data, A.m, A.n, &map));
        VA_TRY(va_svd(cli->ctx, cli->arena, map, params, &r));
    }
    va_json_add_string(cli->out, "matrix", spec);
    VA_TRY(finish(cli, params, &r, spec, start));
done:
    va_linmap_destroy(&map);
    va_gpu_close(&gpu);
    return st;
}

// Device memory for blocks as wide as the method takes.
static va_status plan_solve(va_cli_prompt *p, const va_svd_params *params, va_mode mode,
                            va_map_plan *plan) {
    va_status st = VA_OK;
    const int64_t m = va_cli_site_rows(p, 1) * va_cli_site_width(p, 1);
    const int64_t n = va_cli_site_rows(p, 0) * va_cli_site_width(p, 0);
    va_svd_block_range(params, m, n, &p->budget.min_k, &p->budget.max_k);
    VA_TRY(va_prompt_plan_map(p->model, &p->params, 0, 1, mode, VA_MAP_APPLY, &p->budget, plan));
    plan->sweeps = 0; // as many as it takes to converge
done:
    return st;
}

static int64_t out_bytes(const va_cli *cli, const va_svd_params *params, const va_map_plan *plan) {
    const int64_t k = VA_MIN(params->k, VA_MIN(plan->rows, plan->columns));
    return va_cli_has(cli, OPT_OUT) ? 4 * k * (plan->rows + plan->columns + 2) : 0;
}

static va_status solve(va_cli *cli, va_cli_prompt *p, const va_svd_params *params, va_mode mode,
                       double start_s) {
    va_status st = VA_OK;
    va_linmap *map = NULL;
    va_svd_result r;
    VA_TRY(va_cli_start_prompt(cli, p));
    VA_TRY(va_prompt_linmap(p->prompt, 0, 1, mode, &p->budget, &map));
    VA_TRY(va_svd(cli->ctx, cli->arena, map, params, &r));
    va_cli_describe(cli, p, (const char *const[]){"from", "to"});
    va_json_add_string(cli->out, "mode", mode == VA_EXACT ? "exact" : "detached");
    VA_TRY(finish(cli, params, &r, va_linmap_label(map), start_s));
done:
    va_linmap_destroy(&map);
    return st;
}

static va_status svd_of_model(va_cli *cli, const va_svd_params *params) {
    va_status st = VA_OK;
    va_cli_prompt p = {0};
    va_cli_wanted wanted = {
        .sites = (const va_opt[]){OPT_FROM, OPT_TO}, .n_sites = 2, .derivatives = true};
    va_map_plan plan;
    const double start = va_time_s();
    VA_TRY(va_cli_mode(cli, &wanted.mode));
    VA_TRY(va_cli_read_prompt(cli, &wanted, &p));
    VA_TRY(plan_solve(&p, params, wanted.mode, &plan));
    if (va_cli_has(cli, OPT_DRY_RUN)) {
        va_cli_describe(cli, &p, (const char *const[]){"from", "to"});
        va_cli_show_plan(cli, &plan, out_bytes(cli, params, &plan));
        goto done;
    }
    VA_TRY(solve(cli, &p, params, wanted.mode, start));
done:
    va_cli_close_prompt(&p);
    return st;
}

va_status va_cli_svd(va_cli *cli) {
    va_status st = VA_OK;
    va_svd_params params;
    const char *spec = va_cli_value_of(cli, OPT_MATRIX);
    if (!spec && !va_cli_has(cli, OPT_MODEL))
        return va_fail(cli->ctx, VA_ERR_USAGE, "svd: expected --model DIR or --matrix FILE");
    VA_TRY(va_cli_svd_params(cli, &params));
    VA_TRY(spec ? svd_of_matrix(cli, &params, spec) : svd_of_model(cli, &params));
done:
    return st;
}
