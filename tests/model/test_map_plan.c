// What a derivative takes, planned before anything is allocated, and the same when it runs; many
// sources from one sweep.
// libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/model.h"

#include <math.h>

enum { T = 7, D = 32, MANY = 5 };
static const int32_t ids[] = {2, 7, 1, 9, 30, 8, 3};

static struct { va_ctx *ctx; } env;

static va_model *open_plain(va_gpu *gpu) {
    char dir[VA_TEST_PATH];
    va_model *m;
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(dir, "gemma3-plain"), &m));
    if (gpu)
        assert_ok(env.ctx, va_model_attach(m, gpu));
    return m;
}

static va_site site(const char *text) {
    va_site s;
    assert_ok(env.ctx, va_site_parse(env.ctx, text, 3, &s));
    return s;
}

static va_prompt_params pair(const va_site *sites, int64_t n) {
    return (va_prompt_params){
        .ids = ids, .seq_len = T, .sites = sites, .n_sites = n, .derivatives = true};
}

// -- plans and what is taken ----------------------------------------------------------------------

static va_status count_rows(void *user, int64_t first, int64_t count, const float *rows) {
    (void)first;
    (void)rows;
    *(int64_t *)user += count;
    return VA_OK;
}

// The device's peak of a whole Jacobian, made in this budget on a device of its own.
static int64_t measured_peak(const va_site *sites, va_map_use use, const va_map_budget *budget) {
    va_gpu *gpu = va_test_gpu(env.ctx);
    va_model *m = open_plain(gpu);
    va_prompt *p;
    va_linmap *map;
    const va_prompt_params params = pair(sites, 2);
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    assert_ok(env.ctx, va_prompt_linmap(p, 0, 1, VA_EXACT, budget, &map));
    if (use == VA_MAP_DENSE) {
        int64_t n = 0;
        assert_ok(env.ctx, va_linmap_rows(map, count_rows, &n));
        assert_true(n >= D);
    } else {
        const int64_t k = va_linmap_max_k(map);
        float *x = calloc((size_t)(k * T * D), sizeof *x), *y = calloc((size_t)(k * T * D), 4);
        for (int64_t n = 1; n <= k; n++) { // fewer vectors may take more
            assert_ok(env.ctx, va_linmap_apply_host(map, x, n, y));
            assert_ok(env.ctx, va_linmap_apply_t_host(map, y, n, x));
        }
        free(x);
        free(y);
    }
    const int64_t peak = va_gpu_get_memory(gpu).peak_bytes;
    va_linmap_destroy(&map);
    va_prompt_destroy(&p);
    va_model_close(&m);
    va_test_gpu_close(&gpu);
    return peak;
}

// Within 5%; buffers' alignment is in the plan.
static void check_peak(const char *from, const char *to, va_map_use use, va_map_budget budget) {
    const va_site sites[] = {site(from), site(to)};
    va_model *m = open_plain(NULL);
    va_map_plan plan;
    const va_prompt_params params = pair(sites, 2);
    assert_ok(env.ctx, va_prompt_plan_map(m, &params, 0, 1, VA_EXACT, use, &budget, &plan));
    const int64_t peak = measured_peak(sites, use, &budget);
    if (!(fabs((double)(peak - plan.peak_bytes)) <= 0.05 * (double)peak))
        fail_msg("%s -> %s, k %lld: planned %lld bytes, taken %lld", from, to, (long long)plan.k,
                 (long long)plan.peak_bytes, (long long)peak);
    assert_true(budget.memory_bytes == 0 || plan.peak_bytes <= budget.memory_bytes);
    va_model_close(&m);
}

static void test_peaks(void **state) {
    (void)state;
    check_peak("embed@all", "norm:3@all", VA_MAP_DENSE, (va_map_budget){0});
    check_peak("embed@all", "norm:3@all", VA_MAP_DENSE, (va_map_budget){.sweep_bytes = 1000000});
    check_peak("embed@last", "resid:3@all", VA_MAP_DENSE, (va_map_budget){0});
    check_peak("embed@all", "norm:3@last", VA_MAP_APPLY, (va_map_budget){.max_k = 16});
    check_peak("resid:1@2", "logits@last", VA_MAP_APPLY, (va_map_budget){.memory_bytes = 400000});
}

// Less memory: smaller chunks, then a refusal with the bytes that would do, which then do.
static void test_memory_limits(void **state) {
    (void)state;
    const va_site sites[] = {site("embed@all"), site("norm:3@all")};
    va_model *m = open_plain(NULL);
    const va_prompt_params params = pair(sites, 2);
    va_map_plan free_plan, tight, one;
    va_map_budget b = {.max_k = 1};
    assert_ok(env.ctx,
              va_prompt_plan_map(m, &params, 0, 1, VA_EXACT, VA_MAP_DENSE, NULL, &free_plan));
    assert_ok(env.ctx, va_prompt_plan_map(m, &params, 0, 1, VA_EXACT, VA_MAP_DENSE, &b, &one));
    assert_int_equal(free_plan.rows, T * D);
    assert_int_equal(free_plan.k, T * D);
    assert_int_equal(free_plan.sweeps, 1);
    assert_int_equal(one.sweeps, T * D);
    b = (va_map_budget){.memory_bytes = (one.peak_bytes + free_plan.peak_bytes) / 2};
    assert_ok(env.ctx, va_prompt_plan_map(m, &params, 0, 1, VA_EXACT, VA_MAP_DENSE, &b, &tight));
    assert_true(tight.k > 1 && tight.k < free_plan.k && tight.peak_bytes <= b.memory_bytes);
    assert_int_equal(tight.sweeps, (T * D + tight.k - 1) / tight.k);
    b.memory_bytes = one.peak_bytes;
    assert_ok(env.ctx, va_prompt_plan_map(m, &params, 0, 1, VA_EXACT, VA_MAP_DENSE, &b, &tight));
    assert_int_equal(tight.k, 1);
    b.memory_bytes = one.peak_bytes - 1;
    char expected[96];
    snprintf(expected, sizeof expected, "not even one vector fits: expected %lld bytes (",
             (long long)one.peak_bytes);
    assert_error(env.ctx, VA_ERR_MEMORY, expected,
                 va_prompt_plan_map(m, &params, 0, 1, VA_EXACT, VA_MAP_DENSE, &b, &tight));
    va_model_close(&m);
}

// -- many sources ---------------------------------------------------------------------------------

typedef struct gathered {
    float *J[MANY]; // [D, T * D]
    int64_t n_calls;
} gathered;

static va_status gather(void *user, int64_t source, int64_t first, int64_t count,
                        const float *rows) {
    gathered *g = user;
    memcpy(g->J[source] + first * T * D, rows, (size_t)(count * T * D) * sizeof *rows);
    g->n_calls++;
    return VA_OK;
}

// The derivatives by every block's output from one sweep are those of one sweep each.
static void test_many_sources(void **state) {
    (void)state;
    static const char *const names[MANY + 1] = {"embed@all",   "resid:1@all", "attn:1@all",
                                                "resid:2@all", "mlp:2@all",   "norm:3@last"};
    va_gpu *gpu = va_test_gpu(env.ctx);
    va_model *m = open_plain(gpu);
    va_prompt *p;
    va_site sites[MANY + 1];
    int64_t from[MANY];
    gathered g = {0};
    float *J = malloc(D * T * D * sizeof *J);
    for (int i = 0; i <= MANY; i++)
        sites[i] = site(names[i]);
    for (int i = 0; i < MANY; i++) {
        from[i] = i;
        g.J[i] = malloc(D * T * D * sizeof *J);
    }
    const va_prompt_params params = pair(sites, MANY + 1);
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        const va_jacobians j = {.from = from, .n_from = MANY, .to = MANY, .mode = (va_mode)mode};
        g.n_calls = 0;
        assert_ok(env.ctx, va_prompt_jacobians(p, &j, &(va_map_budget){.max_k = 10}, gather, &g));
        assert_int_equal(g.n_calls, MANY * 4); // 32 rows, ten at a time
        for (int i = 0; i < MANY; i++) {
            va_linmap *map;
            assert_ok(env.ctx, va_prompt_linmap(p, i, MANY, (va_mode)mode, NULL, &map));
            assert_ok(env.ctx, va_linmap_dense(map, J));
            // f32 sums in another order where cotangents meet
            const double error = va_test_frobenius_error_f32(g.J[i], J, D * T * D);
            if (!(error <= 2e-6))
                fail_msg("%s, mode %d: error %g", names[i], mode, error);
            va_linmap_destroy(&map);
        }
    }
    const va_jacobians mixed = {.from = (const int64_t[]){0, MANY}, .n_from = 2, .to = MANY};
    assert_error(env.ctx, VA_ERR_USAGE, "does not come before",
                 va_prompt_jacobians(p, &mixed, NULL, gather, &g));
    va_prompt_destroy(&p);
    for (int i = 0; i < MANY; i++)
        free(g.J[i]);
    free(J);
    va_model_close(&m);
    va_test_gpu_close(&gpu);
}

// Chosen rows, several positions among them, are those rows of the whole; the plan is what is
// taken.
static void test_chosen_rows(void **state) {
    (void)state;
    enum { N = 5 };
    static const int64_t rows[N] = {3 * D + 7, 0, 6 * D + 31, 5, 3 * D + 8};
    va_gpu *gpu = va_test_gpu(env.ctx);
    va_model *m = open_plain(gpu);
    va_prompt *p;
    va_linmap *map;
    va_map_plan plan;
    gathered g = {.J = {malloc(N * T * D * sizeof(float)), malloc(N * T * D * sizeof(float))}};
    float *J = malloc(T * D * T * D * sizeof *J);
    const va_site sites[] = {site("embed@all"), site("mlp:0@all"), site("norm:3@all")};
    const va_prompt_params params = pair(sites, 3);
    va_jacobians j = {
        .from = (const int64_t[]){0, 1}, .n_from = 2, .to = 2, .rows = rows, .n_rows = N};
    const va_map_budget two = {.max_k = 2};
    assert_ok(env.ctx, va_prompt_plan_jacobians(m, &params, &j, &two, &plan));
    assert_true(plan.rows == N && plan.columns == T * D && plan.k == 2 && plan.sweeps == 3);
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    assert_ok(env.ctx, va_prompt_jacobians(p, &j, &two, gather, &g));
    const int64_t peak = va_gpu_get_memory(gpu).peak_bytes;
    if (!(fabs((double)(peak - plan.peak_bytes)) <= 0.05 * (double)peak))
        fail_msg("planned %lld bytes, taken %lld", (long long)plan.peak_bytes, (long long)peak);
    for (int64_t source = 0; source < 2; source++) {
        assert_ok(env.ctx, va_prompt_linmap(p, source, 2, VA_EXACT, NULL, &map));
        assert_ok(env.ctx, va_linmap_dense(map, J));
        for (int64_t i = 0; i < N; i++) {
            const double error =
                va_test_frobenius_error_f32(g.J[source] + i * T * D, J + rows[i] * T * D, T * D);
            assert_true(error <= 2e-6); // f32 sums in another order
        }
        va_linmap_destroy(&map);
    }
    j.rows = (const int64_t[]){0, T * D};
    j.n_rows = 2;
    assert_error(env.ctx, VA_ERR_USAGE, "expected rows 0 to 223 of norm:3@all, got 224",
                 va_prompt_jacobians(p, &j, NULL, gather, &g));
    va_prompt_destroy(&p);
    free(g.J[0]);
    free(g.J[1]);
    free(J);
    va_model_close(&m);
    va_test_gpu_close(&gpu);
}

static void test_positions_differ(void **state) {
    (void)state;
    va_gpu *gpu = va_test_gpu(env.ctx);
    va_model *m = open_plain(gpu);
    va_prompt *p;
    gathered g = {0};
    const va_site sites[] = {site("embed@all"), site("resid:1@2"), site("norm:3@last")};
    const va_prompt_params params = pair(sites, 3);
    const va_jacobians j = {.from = (const int64_t[]){0, 1}, .n_from = 2, .to = 2};
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    assert_error(env.ctx, VA_ERR_USAGE, "expected sources at the same positions, got embed@all and",
                 va_prompt_jacobians(p, &j, NULL, gather, &g));
    va_prompt_destroy(&p);
    va_model_close(&m);
    va_test_gpu_close(&gpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_memory_limits),
        cmocka_unit_test(test_many_sources),
        cmocka_unit_test(test_chosen_rows),
        cmocka_unit_test(test_positions_differ),
    };
    env.ctx = va_test_ctx();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    va_ctx_destroy(&env.ctx);
    return failed;
}
