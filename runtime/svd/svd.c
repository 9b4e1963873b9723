// svd.c: the front of the singular value solvers: parameters, defaults, entry points.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Narrow blocks need fewer vectors in all, of the map and of the host's orthonormalisation; wide
// ones fewer sweeps over the weights, which counts where traffic dominates. Top 8 of J at
// gemma-3-4b's shape, 2 blocks, 7 tokens, lavapipe (bench --only svd), seconds exact and detached:
// blocks of 16 with a basis of 192 9.2 and 12.4, of 8 with 96 5.4 and 8.8, with 48 9.0 and 11.6,
// with 200 5.8 and 8.7. On a GPU not measured.
enum {
    BLOCK = 8,                 // by default, or k
    MAX_BASIS_BYTES = 1 << 30, // of a default
    MAX_STEPS = 1 << 30        // far from overflow when it is multiplied by k
};

static const char *const method_names[] = {
#define VA_X(id, name, text) name,
    VA_SVD_METHOD_LIST(VA_X)
#undef VA_X
};

const char *va_svd_method_name(va_svd_method m) {
    return (int)m >= 0 && m < VA_SVD_METHOD_COUNT ? method_names[m] : "(unknown)";
}

bool va_svd_method_parse(const char *name, va_svd_method *m) {
    for (int i = 0; i < VA_SVD_METHOD_COUNT; i++)
        if (strcmp(name, method_names[i]) == 0) {
            *m = (va_svd_method)i;
            return true;
        }
    return false;
}

// -- parameters -------------------------------------------------------------------------------

static va_status check_ranges(svd_job *job) {
    const va_svd_params *p = &job->params;
    if (p->k >= 1 && (int)p->method >= 0 && p->method < VA_SVD_METHOD_COUNT && p->tolerance >= 0 &&
        p->max_iterations >= 0 && p->block >= 0 && p->basis >= 0)
        return VA_OK;
    return va_fail(job->ctx, VA_ERR_USAGE,
                   "svd: expected k >= 1, a known method, tolerance, max_iterations, block and "
                   "basis >= 0; got %lld, %d, %g, %lld, %lld, %lld",
                   (long long)p->k, (int)p->method, p->tolerance, (long long)p->max_iterations,
                   (long long)p->block, (long long)p->basis);
}

static va_status refuse(svd_job *job, const char *name, int64_t value) {
    return value == 0 ? VA_OK
                      : va_fail(job->ctx, VA_ERR_USAGE, "svd: the method %s takes no %s, got %lld",
                                va_svd_method_name(job->params.method), name, (long long)value);
}

static va_status check_use(svd_job *job) {
    va_status st = VA_OK;
    const va_svd_params *p = &job->params;
    if (p->method == VA_SVD_DENSE)
        VA_TRY(refuse(job, "max_iterations", p->max_iterations));
    if (p->method == VA_SVD_DENSE || p->method == VA_SVD_POWER)
        VA_TRY(refuse(job, "block", p->block));
    if (p->method != VA_SVD_GOLUB_KAHAN)
        VA_TRY(refuse(job, "basis", p->basis));
done:
    return st;
}

void va_svd_block_range(const va_svd_params *p, int64_t m, int64_t n, int64_t *fewest,
                        int64_t *most) {
    const int64_t rank = VA_MIN(m, n), k = VA_MIN(p->k, rank);
    int64_t block = 1;
    if (p->method == VA_SVD_DENSE)
        block = VA_MAX(m, n);
    else if (p->method == VA_SVD_SUBSPACE)
        block = VA_MIN(rank, p->block > 0 ? p->block : k + VA_MAX(8, k));
    else if (p->method == VA_SVD_GOLUB_KAHAN)
        block = VA_MIN(rank, p->block > 0 ? p->block : VA_MAX(BLOCK, k));
    *fewest = VA_MIN(k, block); // residuals take all triplets at once
    *most = VA_MAX(k, block);
}

// Blocks and bases that reach min(m, n) span all there is, and are cut to it.
static va_status set_sizes(svd_job *job) {
    va_svd_params *p = &job->params;
    const int64_t rank = VA_MIN(job->m, job->n), k = job->k;
    if (p->method == VA_SVD_SUBSPACE) {
        if (p->block > 0 && p->block < k)
            return va_fail(job->ctx, VA_ERR_USAGE,
                           "svd: subspace: expected a block of at least k = %lld, got %lld",
                           (long long)k, (long long)p->block);
        p->block = VA_MIN(rank, p->block > 0 ? p->block : k + VA_MIN(rank, VA_MAX(8, k)));
    }
    if (p->method != VA_SVD_GOLUB_KAHAN)
        return VA_OK;
    if (p->block == 0)
        p->block = VA_MAX(k, VA_MIN(BLOCK, va_linmap_max_k(job->map)));
    p->block = VA_MIN(rank, p->block);
    const int64_t wide = VA_MAX(k, p->block), least = VA_MIN(rank, k + wide);
    if (p->basis > 0 && p->basis < least)
        return va_fail(job->ctx, VA_ERR_USAGE,
                       "svd: golub-kahan: expected a basis of at least %lld (k + max(k, block)), "
                       "got %lld",
                       (long long)least, (long long)p->basis);
    if (p->basis == 0) {
        const int64_t fits = MAX_BASIS_BYTES / (int64_t)sizeof(double) / (job->m + job->n);
        p->basis = VA_MAX(k + 2 * wide, VA_MIN(2 * wide + 10 * p->block, fits));
    }
    p->basis = VA_MIN(rank, p->basis);
    return VA_OK;
}

static va_status check_params(svd_job *job) {
    va_status st = VA_OK;
    va_svd_params *p = &job->params;
    VA_TRY(check_ranges(job));
    VA_TRY(check_use(job));
    job->k = VA_MIN(p->k, VA_MIN(job->m, job->n));
    if (job->k < p->k)
        va_log(job->ctx, VA_LOG_WARN,
               "svd: %lld triplets asked of a %lld x %lld map, which has %lld", (long long)p->k,
               (long long)job->m, (long long)job->n, (long long)job->k);
    p->tolerance = p->tolerance > 0 ? p->tolerance : 1e-5;
    p->max_iterations = p->max_iterations > 0 ? VA_MIN(p->max_iterations, MAX_STEPS) : 200;
    VA_TRY(set_sizes(job));
done:
    return st;
}

// -- entry points -----------------------------------------------------------------------------

va_status va_svd_dense(svd_job *job) {
    va_status st = VA_OK;
    int64_t elems, r = VA_MIN(job->m, job->n);
    float *A = NULL;
    double *M = NULL, *U = NULL, *S = NULL, *V = NULL;
    if (!va_mul_i64(job->m, job->n, &elems) || elems > INT64_MAX / 8)
        return va_fail(job->ctx, VA_ERR_SHAPE, "the matrix's size overflows");
    VA_TRY_ALLOC(job->ctx, A, malloc((size_t)elems * sizeof *A));
    VA_TRY_ALLOC(job->ctx, M, malloc((size_t)elems * sizeof *M));
    VA_TRY_ALLOC(job->ctx, U, malloc((size_t)(r * job->m) * sizeof *U));
    VA_TRY_ALLOC(job->ctx, V, malloc((size_t)(r * job->n) * sizeof *V));
    VA_TRY_ALLOC(job->ctx, S, malloc((size_t)r * sizeof *S));
    VA_TRY(va_linmap_dense(job->map, A));
    VA_TRY(va_svd_widen(job, A, job->m, job->n, M));
    VA_TRY(va_svd_lapack(job->ctx, M, job->m, job->n, U, S, V));
    job->is_final = true; // there are no further steps
    memcpy(job->U, U, (size_t)(job->k * job->m) * sizeof *U);
    memcpy(job->V, V, (size_t)(job->k * job->n) * sizeof *V);
    memcpy(job->S, S, (size_t)job->k * sizeof *S);
done:
    free(S);
    free(V);
    free(U);
    free(M);
    free(A);
    return st;
}

// The last word of the history: the true residuals.
static void record_end(svd_job *job) {
    va_svd_result *r = job->result;
    double worst = 0;
    int64_t n = 0;
    for (int64_t j = 0; j < r->k; j++) {
        worst = fmax(worst, r->residual[j]);
        n += r->is_converged[j];
    }
    r->history[r->n_history++] = (va_svd_progress){.iterations = r->iterations,
                                                   .vectors = r->vectors,
                                                   .residual = va_svd_relative(worst, r->sigma[0]),
                                                   .n_converged = n};
}

va_status va_svd(va_ctx *ctx, va_arena *arena, va_linmap *map, const va_svd_params *params,
                 va_svd_result *result) {
    static va_status (*const solvers[])(svd_job *) = {
        [VA_SVD_GOLUB_KAHAN] = va_svd_golub_kahan,
        [VA_SVD_SUBSPACE] = va_svd_subspace,
        [VA_SVD_POWER] = va_svd_power,
        [VA_SVD_DENSE] = va_svd_dense,
    };
    va_status st = VA_OK;
    va_linmap_shape s = va_linmap_get_shape(map);
    svd_job job = {.ctx = ctx,
                   .map = map,
                   .params = *params,
                   .m = s.T_out * s.d_out,
                   .n = s.T_in * s.d_in,
                   .result = result,
                   .record_every = 1,
                   .start_s = va_time_s()};
    VA_TRY(check_params(&job));
    VA_TRY(va_svd_result_create(ctx, arena, job.k, job.m, job.n, result));
    VA_TRY_ALLOC(ctx, job.arena, va_arena_create());
    VA_TRY_ALLOC(ctx, job.U, va_svd_array(&job, job.k, job.m));
    VA_TRY_ALLOC(ctx, job.S, va_svd_array(&job, job.k, 1));
    VA_TRY_ALLOC(ctx, job.V, va_svd_array(&job, job.k, job.n));
    VA_TRY(solvers[job.params.method](&job));
    if (!job.measured)
        VA_TRY(va_svd_measure(&job));
    record_end(&job);
    if (!result->converged)
        va_svd_warn(&job);
    va_svd_report(&job, job.k, job.k, true);
done:
    va_svd_free_staging(&job);
    va_arena_destroy(&job.arena);
    return st;
}

// AV [k, m] and AtU [k, n] of the stored vectors by plain loops.
static void apply_host_matrix(const float *A, const va_svd_result *r, double *AV, double *AtU) {
    for (int64_t j = 0; j < r->k; j++)
        for (int64_t i = 0; i < r->m; i++) {
            double sum = 0, u = r->U[j * r->m + i];
            for (int64_t c = 0; c < r->n; c++) {
                sum += (double)A[i * r->n + c] * r->V[j * r->n + c];
                AtU[j * r->n + c] += (double)A[i * r->n + c] * u;
            }
            AV[j * r->m + i] = sum;
        }
}

va_status va_svd_host(va_ctx *ctx, va_arena *arena, const float *A, int64_t m, int64_t n, int64_t k,
                      va_svd_result *result) {
    va_status st = VA_OK;
    svd_job job = {.ctx = ctx, .m = m, .n = n, .result = result};
    int64_t elems, r = VA_MIN(m, n);
    if (m < 1 || n < 1 || k < 1 || !va_mul_i64(m, n, &elems))
        return va_fail(ctx, VA_ERR_USAGE, "svd: expected k, m, n >= 1, got %lld, %lld, %lld",
                       (long long)k, (long long)m, (long long)n);
    VA_TRY(va_svd_result_create(ctx, arena, VA_MIN(k, r), m, n, result));
    VA_TRY_ALLOC(ctx, job.arena, va_arena_create());
    double *M, *U, *S, *V, *AV, *AtU;
    VA_TRY_ALLOC(ctx, M, va_svd_array(&job, m, n));
    VA_TRY_ALLOC(ctx, U, va_svd_array(&job, r, m));
    VA_TRY_ALLOC(ctx, S, va_svd_array(&job, r, 1));
    VA_TRY_ALLOC(ctx, V, va_svd_array(&job, r, n));
    VA_TRY_ALLOC(ctx, AV, va_svd_array(&job, result->k, m));
    VA_TRY_ALLOC(ctx, AtU, va_svd_array(&job, result->k, n));
    for (int64_t i = 0; i < elems; i++) {
        if (!isfinite(A[i]))
            VA_TRY(va_fail(ctx, VA_ERR_NUMERIC, "matrix element [%lld, %lld] is %g",
                           (long long)(i / n), (long long)(i % n), (double)A[i]));
        M[i] = A[i];
    }
    VA_TRY(va_svd_lapack(ctx, M, m, n, U, S, V));
    va_svd_store(U, S, V, result);
    apply_host_matrix(A, result, AV, AtU);
    va_svd_judge(AV, AtU, 1e-5, result); // LAPACK fails otherwise; far from it
    record_end(&job);
done:
    va_arena_destroy(&job.arena);
    return st;
}
