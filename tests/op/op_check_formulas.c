// op_check_formulas.c: the references' derivatives against finite differences; no device.
// SPDX-License-Identifier: Apache-2.0
#include "op_data.h"

#include <math.h>

static void assert_close(double got, double expected, double tolerance, const char *what) {
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s: got %.10g, expected %.10g", what, got, expected);
}

// f(x + h v) - f(x - h v) over 2h; v[i] NULL: input i stays.
static double *difference(const op_data *d, op_ref_call r, double *const *v, double h) {
    double *out[2], *moved[VA_OP_MAX_IN] = {0};
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < d->op->n_in; i++) {
            if (!v[i])
                continue;
            free(moved[i]);
            r.xv[i] = moved[i] = op_data_alloc(d->n[i], sizeof(double));
            for (int64_t e = 0; e < d->n[i]; e++)
                moved[i][e] = d->x[i][e] + (side ? -h : h) * v[i][e];
        }
        r.out = out[side] = op_data_alloc(d->n_y, sizeof(double));
        op_data_refs[d->c->op]->forward(&r);
    }
    for (int64_t e = 0; e < d->n_y; e++)
        out[0][e] = (out[0][e] - out[1][e]) / (2 * h);
    free(out[1]);
    for (int i = 0; i < d->op->n_in; i++)
        free(moved[i]);
    return out[0];
}

// h^2 times third derivatives, which reach some tens here, and 1e-16 / h.
static const double STEP = 1e-5, STEP_TOLERANCE = 1e-7;

static double scale_of(const double *v, int64_t n) {
    double top = 1;
    for (int64_t e = 0; e < n; e++)
        top = fmax(top, fabs(v[e]));
    return top;
}

static void check_jvp_formula(const op_data *d, va_mode mode) {
    op_ref_call r = op_data_ref(d, mode);
    double *v[VA_OP_MAX_IN] = {0};
    for (int i = 0; i < d->op->n_in; i++)
        r.dx[i] = v[i] = op_data_has_tangent(d, i) ? d->dx[i] : NULL;
    double *expected = difference(d, r, v, STEP);
    r.out = op_data_alloc(d->n_y, sizeof(double));
    op_data_refs[d->c->op]->jvp(&r);
    for (int64_t e = 0; e < d->n_y; e++)
        assert_close(r.out[e], expected[e], STEP_TOLERANCE * scale_of(expected, d->n_y), "jvp");
    free(r.out);
    free(expected);
}

static void check_vjp_formula(const op_data *d, va_mode mode, int input) {
    op_ref_call r = op_data_ref(d, mode);
    double *gx = op_data_alloc(d->n[input], sizeof(double));
    double *one[VA_OP_MAX_IN] = {0};
    one[input] = op_data_alloc(d->n[input], sizeof(double));
    r.dy = d->dy;
    r.gx[input] = gx;
    op_data_refs[d->c->op]->vjp(&r);
    for (int64_t e = 0; e < d->n[input]; e++) {
        one[input][e] = 1;
        double *column = difference(d, r, one, STEP), sum = 0;
        for (int64_t j = 0; j < d->n_y; j++)
            sum += column[j] * d->dy[j];
        assert_close(gx[e], sum, STEP_TOLERANCE * scale_of(gx, d->n[input]), "vjp");
        free(column);
        one[input][e] = 0;
    }
    free(one[input]);
    free(gx);
}

void op_check_formulas(const op_case *c) {
    op_data *d = op_data_make(c);
    for (int mode = VA_EXACT; mode <= VA_DETACHED && op_data_refs[c->op]->jvp; mode++) {
        check_jvp_formula(d, (va_mode)mode);
        for (int i = 0; i < d->op->n_in; i++)
            if (op_data_has_tangent(d, i))
                check_vjp_formula(d, (va_mode)mode, i);
    }
    op_data_free(d);
}
