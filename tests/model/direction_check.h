// direction_check.h: what the directions of a map must be, from its explicit matrix: products in
// double, and LAPACK's singular vectors.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_DIRECTION_CHECK_H
#define VA_DIRECTION_CHECK_H

#include "read_fixture.h"

#include "vkalign/metric_compare.h"
#include "vkalign/read_direction.h"

// DESIGN section 7 allows Jacobians 1e-4; less, so that principal angles mean something where
// singular values are close. Seen: 4e-6 for vectors, 9e-6 for angles.
static const double JACOBIAN_TOLERANCE = 2e-5;
static const double ORTHONORMAL_TOLERANCE = 1e-6; // of float rows
static double worst_vector, worst_angle;          // seen

typedef struct expectation {
    const char *name;
    va_arena *arena;
    const float *J;     // [T_out * d_out, T_in * d_in] by torch, or the mean of several
    const float *x, *y; // values at both sites; NULL: jx is not checked
    int64_t T_in, d_in, T_out, d_out;
} expectation;

static inline va_map_direction read_direction(const expectation *e, va_model *model,
                                              va_map_direction_params p, va_map_reduce reduce) {
    va_map_direction r;
    p.reduce = reduce;
    if (va_read_map_direction(model, e->arena, &p, &r) != VA_OK)
        fail_msg("%s %s: %s", e->name, va_map_reduce_name(reduce), va_error_message(env.ctx));
    const bool at_from = va_map_reduce_at_from(reduce);
    assert_int_equal(r.d, at_from ? e->d_in : e->d_out);
    assert_int_equal(r.n_from, e->T_in);
    assert_int_equal(r.n_to, e->T_out);
    assert_true(r.map_s > 0 && r.forward_s >= 0 && (p.n_prompts == 1) == (r.forward_s > 0));
    assert_true(isnan(r.reconstruction_error) == (reduce != VA_REDUCE_JX));
    assert_true((r.sigma != NULL) == va_map_reduce_is_frame(reduce));
    assert_true((r.residual != NULL) == va_map_reduce_is_frame(reduce));
    return r;
}

static inline void check_vector(const expectation *e, const char *what, const va_map_direction *r,
                                const double *expected) {
    assert_int_equal(r->rank, 1);
    assert_int_equal(r->vectors, 1);
    const double error = va_test_frobenius_error(r->rows, expected, r->d);
    worst_vector = fmax(worst_vector, error);
    if (!(error <= JACOBIAN_TOLERANCE))
        fail_msg("%s: %s: error %.3g", e->name, what, error);
}

// -- one vector -----------------------------------------------------------------------------------

static inline double spread(const double *x, int64_t n) {
    double mean = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)n);
}

static inline void check_jx(const expectation *e, va_model *model,
                            const va_map_direction_params *p) {
    const int64_t m = e->T_out * e->d_out, n = e->T_in * e->d_in;
    double *mean = VA_NEW_ARRAY(e->arena, double, e->d_out);
    double *y = VA_NEW_ARRAY(e->arena, double, m), *b = VA_NEW_ARRAY(e->arena, double, m);
    for (int64_t i = 0; i < m; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += (double)e->J[i * n + j] * e->x[j];
        mean[i % e->d_out] += sum / (double)e->T_out;
        y[i] = e->y[i];
        b[i] = e->y[i] - sum;
    }
    const va_map_direction r = read_direction(e, model, *p, VA_REDUCE_JX);
    check_vector(e, "J x", &r, mean);
    const double error = spread(b, m) / spread(y, m);
    if (!(fabs(r.reconstruction_error - error) <= 1e-5))
        fail_msg("%s: reconstruction error %.9g, expected %.9g", e->name, r.reconstruction_error,
                 error);
}

// J' of a cotangent [d_out] at each row of the target, divided by their number; summed over tokens.
static inline double *pull(const expectation *e, const double *cotangent) {
    const int64_t m = e->T_out * e->d_out, n = e->T_in * e->d_in;
    double *sum = VA_NEW_ARRAY(e->arena, double, e->d_in);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            sum[j % e->d_in] += cotangent[i % e->d_out] / (double)e->T_out * e->J[i * n + j];
    return sum;
}

static inline void check_pullback(const expectation *e, va_model *model,
                                  va_map_direction_params p) {
    float *w = VA_NEW_ARRAY(e->arena, float, e->d_out);
    double *cotangent = VA_NEW_ARRAY(e->arena, double, e->d_out);
    va_rng rng = va_rng_make(5, va_hash64(e->name));
    for (int64_t i = 0; i < e->d_out; i++)
        cotangent[i] = w[i] = (float)va_rng_normal(&rng);
    p.w = w, p.n_w = e->d_out;
    const va_map_direction r = read_direction(e, model, p, VA_REDUCE_PULLBACK);
    check_vector(e, "J' w", &r, pull(e, cotangent));
}

static inline void check_gradients(const expectation *e, va_model *model,
                                   va_map_direction_params p) {
    static const int64_t tokens[] = {0, 41, 7};
    for (int64_t i = 0; i < VA_COUNT(tokens); i++)
        for (int versus = 0; versus < 2; versus++) {
            double *cotangent = VA_NEW_ARRAY(e->arena, double, e->d_out);
            p.token = tokens[i], p.has_versus = versus, p.versus = versus ? 3 : -1;
            cotangent[p.token] = 1;
            if (versus)
                cotangent[p.versus] = -1;
            const va_map_direction r = read_direction(e, model, p, VA_REDUCE_GRADIENT);
            check_vector(e, "gradient", &r, pull(e, cotangent));
        }
}

// -- frames ---------------------------------------------------------------------------------------

static inline double row_dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

// What J's own error may turn the span of the first `rank` singular vectors by (Wedin 1972), and
// the solver's residuals too.
static inline double angle_bound(const va_svd_result *lapack, const va_map_direction *r) {
    double squared = 0, worst = 0;
    for (int64_t j = 0; j < lapack->k; j++)
        squared += pow(lapack->sigma[j], 2);
    for (int64_t j = 0; j < r->rank; j++)
        worst += r->residual[j];
    const double gap = lapack->sigma[r->rank - 1] - lapack->sigma[r->rank];
    return (JACOBIAN_TOLERANCE * sqrt(squared) + 2 * worst) / gap;
}

static inline void check_span(const expectation *e, const va_map_direction *r,
                              const va_svd_result *lapack, const float *rows) {
    double angles[8];
    const va_metric_rows got = {r->rows, r->rank, r->d}, expected = {rows, r->rank, r->d};
    assert_ok(env.ctx, va_metric_principal_angles(env.ctx, &got, &expected, NULL, angles));
    const double bound = angle_bound(lapack, r);
    worst_angle = fmax(worst_angle, angles[r->rank - 1]);
    if (!(bound < 0.1 && angles[r->rank - 1] <= bound))
        fail_msg("%s: the largest principal angle is %.3g, bound %.3g", e->name,
                 angles[r->rank - 1], bound);
}

static inline void check_frame(const expectation *e, va_model *model, va_map_direction_params p,
                               va_map_reduce reduce, int64_t rank) {
    const int64_t m = e->T_out * e->d_out, n = e->T_in * e->d_in;
    va_svd_result lapack;
    assert_ok(env.ctx, va_svd_host(env.ctx, e->arena, e->J, m, n, VA_MIN(m, n), &lapack));
    p.rank = rank;
    const va_map_direction r = read_direction(e, model, p, reduce);
    const float *rows = reduce == VA_REDUCE_RIGHT ? lapack.V : lapack.U;
    assert_int_equal(r.rank, VA_MAX(rank, 1));
    assert_true(r.converged && r.tolerance > 0 && r.vectors >= 2 * r.rank);
    for (int64_t j = 0; j < r.rank; j++) {
        if (!(fabs(r.sigma[j] - lapack.sigma[j]) <= JACOBIAN_TOLERANCE * lapack.sigma[0]))
            fail_msg("%s: sigma %lld is %.7g, expected %.7g", e->name, (long long)j, r.sigma[j],
                     lapack.sigma[j]);
        assert_true(r.residual[j] >= 0 && r.residual[j] <= r.tolerance * r.sigma[0]);
        for (int64_t i = 0; i <= j; i++)
            assert_true(fabs(row_dot(r.rows + i * r.d, r.rows + j * r.d, r.d) - (i == j)) <=
                        ORTHONORMAL_TOLERANCE);
    }
    check_span(e, &r, &lapack, rows);
    assert_true(row_dot(r.rows, rows, r.d) > 0.999); // the first alone, its sign too
}

// All that the map has.
static inline void check_reductions(const expectation *e, va_model *model,
                                    const va_map_direction_params *p) {
    if (e->x)
        check_jx(e, model, p);
    check_pullback(e, model, *p);
    if (p->to.kind == VA_SITE_LOGITS)
        check_gradients(e, model, *p);
    for (int64_t rank = 0; rank <= 4; rank += 2) {
        if (e->T_in == 1)
            check_frame(e, model, *p, VA_REDUCE_RIGHT, rank);
        if (e->T_out == 1)
            check_frame(e, model, *p, VA_REDUCE_LEFT, rank);
    }
}

static inline int run_direction_tests(const struct CMUnitTest *tests, size_t n) {
    const int failed = run_read_tests(tests, n);
    printf("worst: vectors %.2g, principal angle %.2g\n", worst_vector, worst_angle);
    return failed;
}

#endif
