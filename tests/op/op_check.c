// op_check.c: holds an op to its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

static const op_ref *const refs[VA_OP_COUNT] = {
#define VA_X(id, symbol) [id] = &op_ref_##symbol,
    VA_OP_LIST(VA_X)
#undef VA_X
};

// One case with its numbers.
typedef struct op_data {
    const op_case *c;
    const va_op *op;
    int64_t k, n[VA_OP_MAX_IN], n_y;
    va_tensor y, aux;
    void *raw[VA_OP_MAX_IN];   // as uploaded
    double *x[VA_OP_MAX_IN];   // the same numbers
    double *dx[VA_OP_MAX_IN];  // [k][n] tangents
    double *dy;                // [k][n_y] cotangents
    double *gx0[VA_OP_MAX_IN]; // [k][n] what the cotangents hold before
} op_data;

int op_test_setup(void **state) {
    *state = va_test_gpu(va_test_ctx());
    return 0;
}

int op_test_teardown(void **state) {
    va_gpu *gpu = *state;
    va_ctx *ctx = va_gpu_ctx(gpu);
    va_test_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return 0;
}

static void *checked_alloc(int64_t count, size_t size) {
    void *p = calloc((size_t)(count > 0 ? count : 1), size);
    assert_non_null(p);
    return p;
}

static double *random_f32(va_rng *rng, int64_t n, double sigma) {
    double *v = checked_alloc(n, sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(sigma * va_rng_normal(rng));
    return v;
}

// -- numbers of a case -----------------------------------------------------------------------

static void make_input(op_data *d, va_rng *rng, int i) {
    const va_tensor *t = &d->c->x[i];
    d->n[i] = va_tensor_elems(t);
    if (d->n[i] == 0)
        return;
    // Very long ones repeat: drawing normal numbers would take most of the test's time.
    int64_t n_drawn = VA_MIN(d->n[i], 100003);
    d->x[i] = random_f32(rng, n_drawn, d->c->sigma[i] > 0 ? d->c->sigma[i] : 1);
    d->x[i] = realloc(d->x[i], (size_t)d->n[i] * sizeof(double));
    assert_non_null(d->x[i]);
    for (int64_t e = n_drawn; e < d->n[i]; e++)
        d->x[i][e] = d->x[i][e - n_drawn];
    d->raw[i] = checked_alloc(va_tensor_bytes(t), 1);
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

static op_data *make_data(const op_case *c) {
    op_data *d = checked_alloc(1, sizeof *d);
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
    return d;
}

static void free_data(op_data *d) {
    for (int i = 0; i < VA_OP_MAX_IN; i++) {
        free(d->raw[i]);
        free(d->x[i]);
        free(d->dx[i]);
        free(d->gx0[i]);
    }
    free(d->dy);
    free(d);
}

static op_ref_call ref_call(const op_data *d, va_mode mode) {
    op_ref_call r = {.attr = &d->c->attr, .mode = mode, .y = d->y};
    for (int i = 0; i < d->op->n_in; i++) {
        r.x[i] = d->c->x[i];
        r.xv[i] = r.at[i] = d->x[i];
    }
    return r;
}

// Inputs with a tangent in this case: frozen ones too, which must count as zero.
static bool has_tangent(const op_data *d, int i) {
    return (d->op->diff_in & ~d->c->no_tangent) >> i & 1;
}

// -- formulas --------------------------------------------------------------------------------

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
            r.xv[i] = moved[i] = checked_alloc(d->n[i], sizeof(double));
            for (int64_t e = 0; e < d->n[i]; e++)
                moved[i][e] = d->x[i][e] + (side ? -h : h) * v[i][e];
        }
        r.out = out[side] = checked_alloc(d->n_y, sizeof(double));
        refs[d->c->op]->forward(&r);
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
    op_ref_call r = ref_call(d, mode);
    double *v[VA_OP_MAX_IN] = {0};
    for (int i = 0; i < d->op->n_in; i++)
        r.dx[i] = v[i] = has_tangent(d, i) ? d->dx[i] : NULL;
    double *expected = difference(d, r, v, STEP);
    r.out = checked_alloc(d->n_y, sizeof(double));
    refs[d->c->op]->jvp(&r);
    for (int64_t e = 0; e < d->n_y; e++)
        assert_close(r.out[e], expected[e], STEP_TOLERANCE * scale_of(expected, d->n_y), "jvp");
    free(r.out);
    free(expected);
}

static void check_vjp_formula(const op_data *d, va_mode mode, int input) {
    op_ref_call r = ref_call(d, mode);
    double *gx = checked_alloc(d->n[input], sizeof(double));
    double *one[VA_OP_MAX_IN] = {0};
    one[input] = checked_alloc(d->n[input], sizeof(double));
    r.dy = d->dy;
    r.gx[input] = gx;
    refs[d->c->op]->vjp(&r);
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
    op_data *d = make_data(c);
    for (int mode = VA_EXACT; mode <= VA_DETACHED && refs[c->op]->jvp; mode++) {
        check_jvp_formula(d, (va_mode)mode);
        for (int i = 0; i < d->op->n_in; i++)
            if (has_tangent(d, i))
                check_vjp_formula(d, (va_mode)mode, i);
    }
    free_data(d);
}

// -- device ----------------------------------------------------------------------------------

typedef struct op_device {
    va_gpu *gpu;
    va_ctx *ctx;
    va_op_call call;
    va_tensor x[VA_OP_MAX_IN], y, aux; // primal values, all of them
    va_buffer *buffer[32];
    int n_buffer;
} op_device;

// A buffer that holds NaN everywhere.
static va_slice device_buffer(op_device *v, int64_t bytes) {
    va_buffer **b = &v->buffer[v->n_buffer++];
    assert_true(v->n_buffer <= VA_COUNT(v->buffer));
    assert_ok(v->ctx, va_buffer_create(v->gpu, bytes, "op test", b));
    assert_ok(v->ctx, va_gpu_fill(v->gpu, va_buffer_all(*b), 0x7fc00000u));
    return va_buffer_all(*b);
}

static va_tensor device_tensor(op_device *v, const va_tensor *shape, const void *data) {
    va_tensor t = *shape;
    t.mem = device_buffer(v, va_tensor_bytes(shape));
    if (data)
        assert_ok(v->ctx, va_gpu_upload(v->gpu, t.mem, data));
    return t;
}

// Vectors [k][n] of a value of M rows to [M, k, row] and back.
static void interleave(const double *vectors, float *out, int64_t M, int64_t k, int64_t row) {
    for (int64_t m = 0; m < M; m++)
        for (int64_t j = 0; j < k; j++)
            for (int64_t c = 0; c < row; c++)
                out[(m * k + j) * row + c] = (float)vectors[(j * M + m) * row + c];
}

// [k][n] vectors as a tangent of t; NULL: NaN.
static va_tensor device_vectors(op_device *v, const va_tensor *t, int64_t k,
                                const double *vectors) {
    int64_t n = va_tensor_elems(t);
    va_tensor out = {.dtype = VA_F32, .n_dim = t->n_dim + 1, .shape = {t->shape[0], k}};
    for (int i = 1; i < t->n_dim; i++)
        out.shape[i + 1] = t->shape[i];
    out.mem = device_buffer(v, n * k * 4);
    if (vectors) {
        float *data = checked_alloc(n * k, sizeof *data);
        interleave(vectors, data, t->shape[0], k, n / t->shape[0]);
        assert_ok(v->ctx, va_gpu_upload(v->gpu, out.mem, data));
        free(data);
    }
    return out;
}

static float *read_slice(op_device *v, va_slice s) {
    float *data = checked_alloc(s.size_bytes, 1);
    assert_ok(v->ctx, va_gpu_download(v->gpu, s, data));
    return data;
}

// Tangent [M, k, row] back to [k][n].
static float *read_vectors(op_device *v, const va_tensor *t) {
    float *raw = read_slice(v, t->mem);
    int64_t n = va_tensor_elems(t), M = t->shape[0], k = t->shape[1], row = n / (M * k);
    float *data = checked_alloc(n, sizeof *data);
    for (int64_t i = 0; i < n; i++) {
        int64_t m = i / (k * row), j = i / row % k;
        data[(j * M + m) * row + i % row] = raw[i];
    }
    free(raw);
    return data;
}

static void set_scratch(op_device *v, const op_data *d, va_pass pass) {
    int64_t bytes = d->op->scratch_bytes ? d->op->scratch_bytes(&v->call, pass) : 0;
    v->call.scratch = bytes > 0 ? device_buffer(v, bytes) : (va_slice){0};
}

// Uploads and runs forward.
static void open_device(op_device *v, va_gpu *gpu, const op_data *d) {
    *v = (op_device){.gpu = gpu, .ctx = va_gpu_ctx(gpu)};
    v->call = (va_op_call){.gpu = gpu, .attr = &d->c->attr, .k = d->k};
    for (int i = 0; i < d->op->n_in; i++)
        if (d->n[i] > 0)
            v->x[i] = v->call.x[i] = device_tensor(v, &d->c->x[i], d->raw[i]);
    v->y = v->call.y = device_tensor(v, &d->y, NULL);
    if (d->aux.n_dim > 0)
        v->aux = v->call.aux = device_tensor(v, &d->aux, NULL);
    set_scratch(v, d, VA_FORWARD);
    assert_ok(v->ctx, d->op->forward(&v->call));
}

static void close_device(op_device *v) {
    assert_ok(v->ctx, va_gpu_wait(v->gpu));
    for (int i = 0; i < v->n_buffer; i++)
        va_buffer_destroy(&v->buffer[i]);
}

// Withholds the memory of every primal value that the mode's derivatives may not read.
static void withhold(op_device *v, const op_data *d, va_mode mode) {
    uint32_t keep = mode == VA_EXACT ? d->op->keep_exact : d->op->keep_detached;
    v->call.mode = mode;
    for (int i = 0; i < d->op->n_in; i++) {
        v->call.x[i] = v->x[i];
        if ((d->op->diff_in & ~keep) >> i & 1)
            v->call.x[i].mem = (va_slice){0};
    }
    v->call.y = keep & VA_KEEP_Y ? v->y : (va_tensor){0};
    v->call.aux = keep & VA_KEEP_AUX ? v->aux : (va_tensor){0};
}

static double tolerance(const op_data *d) {
    return d->c->tolerance > 0 ? d->c->tolerance : OP_TOLERANCE;
}

static void assert_error_below(const op_data *d, const float *got, const double *expected,
                               int64_t n, const char *what) {
    double error = va_test_max_error(got, expected, n), top = 0;
    for (int64_t e = 0; e < n; e++)
        top = fmax(top, fabs(expected[e]));
    if (top < d->c->floor)
        error *= (top > 0 ? top : 1) / d->c->floor;
    if (!(error <= tolerance(d)))
        fail_msg("%s: %s: error %.3g, tolerance %.3g", d->op->name, what, error, tolerance(d));
}

static void check_forward(op_device *v, const op_data *d) {
    op_ref_call r = ref_call(d, VA_EXACT);
    r.out = checked_alloc(d->n_y, sizeof(double));
    refs[d->c->op]->forward(&r);
    float *y = read_slice(v, v->y.mem);
    assert_error_below(d, y, r.out, d->n_y, "forward");
    free(y);
    free(r.out);
}

// Device and reference; returns the device's result [k][n_y].
static float *check_jvp(op_device *v, const op_data *d, va_mode mode) {
    withhold(v, d, mode);
    for (int i = 0; i < d->op->n_in; i++)
        v->call.dx[i] =
            has_tangent(d, i) ? device_vectors(v, &d->c->x[i], d->k, d->dx[i]) : (va_tensor){0};
    v->call.dy = device_vectors(v, &d->y, d->k, NULL);
    set_scratch(v, d, VA_JVP);
    assert_ok(v->ctx, d->op->jvp(&v->call));
    float *got = read_vectors(v, &v->call.dy);
    double *expected = checked_alloc(d->n_y * d->k, sizeof *expected);
    for (int64_t j = 0; j < d->k; j++) {
        op_ref_call r = ref_call(d, mode);
        for (int i = 0; i < d->op->n_in; i++)
            r.dx[i] = has_tangent(d, i) ? d->dx[i] + j * d->n[i] : NULL;
        r.out = expected + j * d->n_y;
        refs[d->c->op]->jvp(&r);
    }
    assert_error_below(d, got, expected, d->n_y * d->k,
                       mode == VA_EXACT ? "jvp, exact" : "jvp, detached");
    free(expected);
    return got;
}

static void expect_vjp(const op_data *d, va_mode mode, bool add, double **expected) {
    for (int i = 0; i < d->op->n_in; i++) {
        expected[i] = checked_alloc(d->n[i] * d->k, sizeof(double));
        if (add && (d->c->accumulate >> i & 1))
            memcpy(expected[i], d->gx0[i], (size_t)(d->n[i] * d->k) * sizeof(double));
    }
    for (int64_t j = 0; j < d->k; j++) {
        op_ref_call r = ref_call(d, mode);
        r.dy = d->dy + j * d->n_y;
        for (int i = 0; i < d->op->n_in; i++)
            r.gx[i] = has_tangent(d, i) ? expected[i] + j * d->n[i] : NULL;
        refs[d->c->op]->vjp(&r);
    }
}

// The same for vjp; got[i] is [k][n_i], or NULL.
static void check_vjp(op_device *v, const op_data *d, va_mode mode, bool add, float **got) {
    withhold(v, d, mode);
    for (int i = 0; i < d->op->n_in; i++) {
        v->call.accumulate[i] = add && (d->c->accumulate >> i & 1);
        v->call.dx[i] = (va_tensor){0};
        if (has_tangent(d, i))
            v->call.dx[i] =
                device_vectors(v, &d->c->x[i], d->k, v->call.accumulate[i] ? d->gx0[i] : NULL);
    }
    v->call.dy = device_vectors(v, &d->y, d->k, d->dy);
    set_scratch(v, d, VA_VJP);
    assert_ok(v->ctx, d->op->vjp(&v->call));
    double *expected[VA_OP_MAX_IN];
    expect_vjp(d, mode, add, expected);
    for (int i = 0; i < d->op->n_in; i++) {
        got[i] = has_tangent(d, i) ? read_vectors(v, &v->call.dx[i]) : NULL;
        if (got[i])
            assert_error_below(d, got[i], expected[i], d->n[i] * d->k,
                               mode == VA_EXACT ? "vjp, exact" : "vjp, detached");
        free(expected[i]);
    }
}

// <u, J v> = <J' u, v> of the device's own results, relative to |u| |J v|.
static void check_adjoint(const op_data *d, va_mode mode, const float *jv, float *const *jtu) {
    uint32_t live = mode == VA_EXACT ? d->op->diff_in : d->op->detached_in;
    for (int64_t j = 0; j < d->k; j++) {
        double left = 0, right = 0, uu = 0, ww = 0;
        for (int64_t e = 0; e < d->n_y; e++) {
            double u = d->dy[j * d->n_y + e], w = jv[j * d->n_y + e];
            left += u * w;
            uu += u * u;
            ww += w * w;
        }
        for (int i = 0; i < d->op->n_in; i++)
            for (int64_t e = 0; jtu[i] && (live >> i & 1) && e < d->n[i]; e++)
                right += (double)jtu[i][j * d->n[i] + e] * d->dx[i][j * d->n[i] + e];
        if (!(fabs(left - right) <= 1e-5 * sqrt(uu * ww)))
            fail_msg("%s: <u, J v> = %.9g but <J' u, v> = %.9g", d->op->name, left, right);
    }
}

void op_check_device(va_gpu *gpu, const op_case *c) {
    op_data *d = make_data(c);
    op_device v;
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        open_device(&v, gpu, d);
        check_forward(&v, d);
        if (d->op->jvp) {
            float *jtu[VA_OP_MAX_IN], *added[VA_OP_MAX_IN];
            float *jv = check_jvp(&v, d, (va_mode)mode);
            check_vjp(&v, d, (va_mode)mode, false, jtu);
            check_vjp(&v, d, (va_mode)mode, true, added);
            check_adjoint(d, (va_mode)mode, jv, jtu);
            for (int i = 0; i < d->op->n_in; i++) {
                free(jtu[i]);
                free(added[i]);
            }
            free(jv);
        }
        close_device(&v);
    }
    free_data(d);
}

// -- NaN -------------------------------------------------------------------------------------

static void assert_same_nan(const op_data *d, const float *got, const double *expected, int64_t n,
                            const char *what) {
    for (int64_t e = 0; e < n; e++)
        if (isnan(expected[e]) != !!isnan(got[e]))
            fail_msg("%s: %s: element %lld is %g, the reference %g", d->op->name, what,
                     (long long)e, (double)got[e], expected[e]);
}

static void check_nan_input(va_gpu *gpu, op_data *d, int input) {
    int64_t e = d->n[input] / 2;
    d->x[input][e] = NAN;
    ((float *)d->raw[input])[e] = NAN;
    op_device v;
    open_device(&v, gpu, d);
    op_ref_call r = ref_call(d, VA_EXACT);
    r.out = checked_alloc(d->n_y, sizeof(double));
    refs[d->c->op]->forward(&r);
    float *y = read_slice(&v, v.y.mem);
    assert_same_nan(d, y, r.out, d->n_y, "NaN in an input");
    free(y);
    free(r.out);
    close_device(&v);
}

static void check_nan_tangent(va_gpu *gpu, op_data *d, int input) {
    d->dx[input][d->n[input] / 2] = NAN;
    op_device v;
    open_device(&v, gpu, d);
    withhold(&v, d, VA_EXACT);
    v.call.dx[input] = device_vectors(&v, &d->c->x[input], d->k, d->dx[input]);
    v.call.dy = device_vectors(&v, &d->y, d->k, NULL);
    set_scratch(&v, d, VA_JVP);
    assert_ok(v.ctx, d->op->jvp(&v.call));
    float *got = read_vectors(&v, &v.call.dy);
    op_ref_call r = ref_call(d, VA_EXACT);
    r.dx[input] = d->dx[input];
    r.out = checked_alloc(d->n_y, sizeof(double));
    refs[d->c->op]->jvp(&r);
    assert_same_nan(d, got, r.out, d->n_y, "NaN in a tangent");
    free(r.out);
    free(got);
    close_device(&v);
}

void op_check_nan(va_gpu *gpu, const op_case *c) {
    for (int i = 0; i < va_op_get(c->op)->n_in; i++) {
        if (!(va_op_get(c->op)->diff_in >> i & 1))
            continue;
        op_data *d = make_data(c);
        check_nan_input(gpu, d, i);
        free_data(d);
        d = make_data(c);
        check_nan_tangent(gpu, d, i);
        free_data(d);
    }
}

void op_check_all(va_gpu *gpu, const op_case *c) {
    op_check_formulas(c);
    op_check_device(gpu, c);
    op_check_nan(gpu, c);
}

float *op_run_forward(va_gpu *gpu, va_op_id op, const va_op_attr *attr, const va_tensor *x,
                      const void *const *data, va_tensor *y) {
    op_device v = {.gpu = gpu, .ctx = va_gpu_ctx(gpu)};
    va_tensor aux;
    v.call = (va_op_call){.gpu = gpu, .attr = attr};
    for (int i = 0; i < va_op_get(op)->n_in; i++)
        if (x[i].n_dim > 0)
            v.call.x[i] = device_tensor(&v, &x[i], data[i]);
    assert_ok(v.ctx, va_op_get(op)->infer(v.ctx, attr, x, y, &aux));
    v.call.y = device_tensor(&v, y, NULL);
    if (aux.n_dim > 0)
        v.call.aux = device_tensor(&v, &aux, NULL);
    assert_ok(v.ctx, va_op_get(op)->forward(&v.call));
    float *out = read_slice(&v, v.call.y.mem);
    close_device(&v);
    return out;
}
