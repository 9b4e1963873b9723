// op_data.c: the numbers of a case.
// SPDX-License-Identifier: Apache-2.0
#include "op_data.h"

const op_ref *const op_data_refs[VA_OP_COUNT] = {
#define VA_X(id, symbol) [id] = &op_ref_##symbol,
    VA_OP_LIST(VA_X)
#undef VA_X
};

void *op_data_alloc(int64_t count, size_t size) {
    void *p = calloc((size_t)(count > 0 ? count : 1), size);
    assert_non_null(p);
    return p;
}

static double *random_f32(va_rng *rng, int64_t n, double sigma) {
    double *v = op_data_alloc(n, sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(sigma * va_rng_normal(rng));
    return v;
}

// Random codes; scales of about 0.02.
static void make_quantised(op_data *d, va_rng *rng, int i) {
    const va_dtype dtype = d->c->x[i].dtype;
    const int64_t bytes = va_dtype_bytes(dtype), n_blocks = d->n[i] / va_dtype_block(dtype);
    // Q4_K and Q5_K have two scales in front, Q6_K one at the end.
    const int64_t first = dtype == VA_Q6_K ? bytes - 2 : 0;
    const int n_scales = dtype == VA_Q4_K || dtype == VA_Q5_K ? 2 : 1;
    uint8_t *raw = op_data_alloc(va_tensor_bytes(&d->c->x[i]), 1);
    float *x = op_data_alloc(d->n[i], sizeof *x);
    for (int64_t b = 0; b < n_blocks * bytes; b++)
        raw[b] = (uint8_t)va_rng_u32(rng);
    for (int64_t b = 0; b < n_blocks; b++)
        for (int s = 0; s < n_scales; s++) {
            const uint16_t scale = va_f32_to_f16((float)(0.02 * va_rng_normal(rng)));
            memcpy(raw + b * bytes + first + 2 * s, &scale, 2);
        }
    va_convert_to_f32(x, raw, dtype, d->n[i]);
    d->raw[i] = raw;
    d->x[i] = op_data_alloc(d->n[i], sizeof(double));
    for (int64_t e = 0; e < d->n[i]; e++)
        d->x[i][e] = (double)x[e];
    free(x);
}

static void make_input(op_data *d, va_rng *rng, int i) {
    const va_tensor *t = &d->c->x[i];
    d->n[i] = va_tensor_elems(t);
    if (d->n[i] == 0)
        return;
    if (va_dtype_quantised(t->dtype)) {
        make_quantised(d, rng, i);
        return;
    }
    // Very long ones repeat: drawing normal numbers would take most of the test's time.
    int64_t n_drawn = VA_MIN(d->n[i], 100003);
    d->x[i] = random_f32(rng, n_drawn, d->c->sigma[i] > 0 ? d->c->sigma[i] : 1);
    d->x[i] = realloc(d->x[i], (size_t)d->n[i] * sizeof(double));
    assert_non_null(d->x[i]);
    for (int64_t e = n_drawn; e < d->n[i]; e++)
        d->x[i][e] = d->x[i][e - n_drawn];
    d->raw[i] = op_data_alloc(va_tensor_bytes(t), 1);
    for (int64_t e = 0; e < d->n[i]; e++) {
        float v = (float)d->x[i][e];
        uint16_t h = t->dtype == VA_BF16 ? va_f32_to_bf16(v) : va_f32_to_f16(v);
        if (t->dtype == VA_U32) {
            uint32_t id = va_rng_below(rng, (uint32_t)d->c->x[0].shape[0]);
            ((uint32_t *)d->raw[i])[e] = id;
            d->x[i][e] = id;
        } else if (t->dtype == VA_F32) {
            ((float *)d->raw[i])[e] = v;
        } else {
            ((uint16_t *)d->raw[i])[e] = h;
            d->x[i][e] = t->dtype == VA_BF16 ? va_bf16_to_f32(h) : va_f16_to_f32(h);
        }
    }
}

op_data *op_data_make(const op_case *c) {
    op_data *d = op_data_alloc(1, sizeof *d);
    va_rng rng = va_rng_make(c->seed + 1, (uint64_t)c->op);
    d->c = c;
    d->op = va_op_get(c->op);
    d->k = c->k > 0 ? c->k : 3;
    va_ctx *ctx = va_test_ctx();
    assert_ok(ctx, d->op->infer(ctx, &c->attr, c->x, &d->y, &d->aux));
    va_ctx_destroy(&ctx);
    d->n_y = va_tensor_elems(&d->y);
    d->dy = random_f32(&rng, d->n_y * d->k, 1);
    for (int i = 0; i < d->op->n_in; i++) {
        make_input(d, &rng, i);
        d->dx[i] = random_f32(&rng, d->n[i] * d->k, 1);
        d->gx0[i] = random_f32(&rng, d->n[i] * d->k, 1);
    }
    if (c->factors & VA_FACTOR_IN)
        d->in_factor = random_f32(&rng, d->n[0], 1);
    if (c->factors & VA_FACTOR_OUT)
        d->out_factor = random_f32(&rng, d->n_y, 1);
    return d;
}

void op_data_free(op_data *d) {
    for (int i = 0; i < VA_OP_MAX_IN; i++) {
        free(d->raw[i]);
        free(d->x[i]);
        free(d->dx[i]);
        free(d->gx0[i]);
    }
    free(d->dy);
    free(d->in_factor);
    free(d->out_factor);
    free(d);
}

op_ref_call op_data_ref(const op_data *d, va_mode mode) {
    op_ref_call r = {.attr = &d->c->attr, .mode = mode, .y = d->y};
    for (int i = 0; i < d->op->n_in; i++) {
        r.x[i] = d->c->x[i];
        r.xv[i] = r.at[i] = d->x[i];
    }
    return r;
}

bool op_data_has_tangent(const op_data *d, int i) {
    return d->n[i] > 0 && ((d->op->diff_in & ~d->c->no_tangent) >> i & 1);
}

// v times factor, which may be absent; to be freed.
static double *scaled(const double *v, const double *factor, int64_t n) {
    double *out = op_data_alloc(n, sizeof *out);
    for (int64_t e = 0; e < n; e++)
        out[e] = factor ? v[e] * factor[e] : v[e];
    return out;
}

// Tangents of some inputs, one vector; out_factor multiplies what input 0 adds alone.
static void jvp_of(const op_data *d, va_mode mode, int64_t j, bool first, double *out) {
    op_ref_call r = op_data_ref(d, mode);
    double *dx = scaled(d->dx[0] + j * d->n[0], d->in_factor, d->n[0]);
    for (int i = 0; i < d->op->n_in; i++)
        r.dx[i] = !op_data_has_tangent(d, i) || (i == 0) != first ? NULL
                  : i == 0                                        ? dx
                                                                  : d->dx[i] + j * d->n[i];
    r.out = out;
    op_data_refs[d->c->op]->jvp(&r);
    free(dx);
}

double *op_data_expect_jvp(const op_data *d, va_mode mode) {
    double *expected = op_data_alloc(d->n_y * d->k, sizeof *expected);
    double *others = op_data_alloc(d->n_y, sizeof *others);
    for (int64_t j = 0; j < d->k; j++) {
        double *out = expected + j * d->n_y;
        jvp_of(d, mode, j, true, out);
        jvp_of(d, mode, j, false, others);
        for (int64_t e = 0; e < d->n_y; e++)
            out[e] = out[e] * (d->out_factor ? d->out_factor[e] : 1) + others[e];
    }
    free(others);
    return expected;
}

void op_data_expect_vjp(const op_data *d, va_mode mode, bool add, double *expected[VA_OP_MAX_IN]) {
    for (int i = 0; i < d->op->n_in; i++)
        expected[i] = op_data_alloc(d->n[i] * d->k, sizeof(double));
    for (int64_t j = 0; j < d->k; j++) {
        op_ref_call r = op_data_ref(d, mode);
        double *dy = scaled(d->dy + j * d->n_y, d->out_factor, d->n_y);
        for (int first = 0; first < 2; first++) {
            r.dy = first ? dy : d->dy + j * d->n_y;
            for (int i = 0; i < d->op->n_in; i++)
                r.gx[i] = op_data_has_tangent(d, i) && (i == 0) == first ? expected[i] + j * d->n[i]
                                                                         : NULL;
            op_data_refs[d->c->op]->vjp(&r);
        }
        for (int64_t e = 0; d->in_factor && e < d->n[0]; e++)
            expected[0][j * d->n[0] + e] *= d->in_factor[e];
        free(dy);
    }
    for (int i = 0; i < d->op->n_in; i++)
        for (int64_t e = 0; add && (d->c->accumulate >> i & 1) && e < d->n[i] * d->k; e++)
            expected[i][e] += d->gx0[i][e];
}
