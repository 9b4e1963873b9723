// op_check.c: holds an op on the device to its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_data.h"

#include <math.h>

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
        float *data = op_data_alloc(n * k, sizeof *data);
        interleave(vectors, data, t->shape[0], k, n / t->shape[0]);
        assert_ok(v->ctx, va_gpu_upload(v->gpu, out.mem, data));
        free(data);
    }
    return out;
}

static float *read_slice(op_device *v, va_slice s) {
    float *data = op_data_alloc(s.size_bytes, 1);
    assert_ok(v->ctx, va_gpu_download(v->gpu, s, data));
    return data;
}

// Tangent [M, k, row] back to [k][n].
static float *read_vectors(op_device *v, const va_tensor *t) {
    float *raw = read_slice(v, t->mem);
    int64_t n = va_tensor_elems(t), M = t->shape[0], k = t->shape[1], row = n / (M * k);
    float *data = op_data_alloc(n, sizeof *data);
    for (int64_t i = 0; i < n; i++) {
        int64_t m = i / (k * row), j = i / row % k;
        data[(j * M + m) * row + i % row] = raw[i];
    }
    free(raw);
    return data;
}

// Numbers of a value's shape; NULL: absent.
static va_tensor device_factor(op_device *v, const va_tensor *shape, const double *numbers) {
    if (!numbers)
        return (va_tensor){0};
    const int64_t n = va_tensor_elems(shape);
    float *data = op_data_alloc(n, sizeof *data);
    for (int64_t e = 0; e < n; e++)
        data[e] = (float)numbers[e];
    const va_tensor t = device_tensor(v, shape, data);
    free(data);
    return t;
}

static void set_scratch(op_device *v, const va_op *op, va_pass pass) {
    int64_t bytes = op->scratch_bytes ? op->scratch_bytes(&v->call, pass) : 0;
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
    set_scratch(v, d->op, VA_FORWARD);
    assert_ok(v->ctx, d->op->forward(&v->call));
    v->call.in_factor = device_factor(v, &d->c->x[0], d->in_factor);
    v->call.out_factor = device_factor(v, &d->y, d->out_factor);
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
    op_ref_call r = op_data_ref(d, VA_EXACT);
    r.out = op_data_alloc(d->n_y, sizeof(double));
    op_data_refs[d->c->op]->forward(&r);
    float *y = read_slice(v, v->y.mem);
    assert_error_below(d, y, r.out, d->n_y, "forward");
    free(y);
    free(r.out);
}

// Device and reference; returns the device's result [k][n_y].
static float *check_jvp(op_device *v, const op_data *d, va_mode mode) {
    withhold(v, d, mode);
    for (int i = 0; i < d->op->n_in; i++)
        v->call.dx[i] = op_data_has_tangent(d, i) ? device_vectors(v, &d->c->x[i], d->k, d->dx[i])
                                                  : (va_tensor){0};
    v->call.dy = device_vectors(v, &d->y, d->k, NULL);
    set_scratch(v, d->op, VA_JVP);
    assert_ok(v->ctx, d->op->jvp(&v->call));
    float *got = read_vectors(v, &v->call.dy);
    double *expected = op_data_expect_jvp(d, mode);
    assert_error_below(d, got, expected, d->n_y * d->k,
                       mode == VA_EXACT ? "jvp, exact" : "jvp, detached");
    free(expected);
    return got;
}

// The same for vjp; got[i] is [k][n_i], or NULL.
static void check_vjp(op_device *v, const op_data *d, va_mode mode, bool add, float **got) {
    withhold(v, d, mode);
    for (int i = 0; i < d->op->n_in; i++) {
        v->call.accumulate[i] = add && (d->c->accumulate >> i & 1);
        v->call.dx[i] = (va_tensor){0};
        if (op_data_has_tangent(d, i))
            v->call.dx[i] =
                device_vectors(v, &d->c->x[i], d->k, v->call.accumulate[i] ? d->gx0[i] : NULL);
    }
    v->call.dy = device_vectors(v, &d->y, d->k, d->dy);
    set_scratch(v, d->op, VA_VJP);
    assert_ok(v->ctx, d->op->vjp(&v->call));
    double *expected[VA_OP_MAX_IN];
    op_data_expect_vjp(d, mode, add, expected);
    for (int i = 0; i < d->op->n_in; i++) {
        got[i] = op_data_has_tangent(d, i) ? read_vectors(v, &v->call.dx[i]) : NULL;
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
    op_data *d = op_data_make(c);
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
    op_data_free(d);
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
    op_ref_call r = op_data_ref(d, VA_EXACT);
    r.out = op_data_alloc(d->n_y, sizeof(double));
    op_data_refs[d->c->op]->forward(&r);
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
    set_scratch(&v, d->op, VA_JVP);
    assert_ok(v.ctx, d->op->jvp(&v.call));
    float *got = read_vectors(&v, &v.call.dy);
    op_ref_call r = op_data_ref(d, VA_EXACT);
    r.dx[input] = d->dx[input];
    r.out = op_data_alloc(d->n_y, sizeof(double));
    op_data_refs[d->c->op]->jvp(&r);
    assert_same_nan(d, got, r.out, d->n_y, "NaN in a tangent");
    free(r.out);
    free(got);
    close_device(&v);
}

void op_check_nan(va_gpu *gpu, const op_case *c) {
    for (int i = 0; i < va_op_get(c->op)->n_in; i++) {
        if (!(va_op_get(c->op)->diff_in >> i & 1) || c->x[i].n_dim == 0)
            continue;
        op_data *d = op_data_make(c);
        check_nan_input(gpu, d, i);
        op_data_free(d);
        d = op_data_make(c);
        check_nan_tangent(gpu, d, i);
        op_data_free(d);
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
    if (aux.n_dim > 0 && !va_op_get(op)->aux_optional)
        v.call.aux = device_tensor(&v, &aux, NULL);
    set_scratch(&v, va_op_get(op), VA_FORWARD);
    assert_ok(v.ctx, va_op_get(op)->forward(&v.call));
    float *out = read_slice(&v, v.call.y.mem);
    close_device(&v);
    return out;
}
