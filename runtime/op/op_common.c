// op_common.c: the registry of ops, and what they share.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

#include <assert.h>
#include <stdio.h>

static const va_op *const op_table[VA_OP_COUNT] = {
#define VA_X(id, symbol) [id] = &va_op_##symbol,
    VA_OP_LIST(VA_X)
#undef VA_X
};

const va_op *va_op_get(va_op_id id) {
    assert(id < VA_OP_COUNT);
    return op_table[id];
}

// -- shapes ----------------------------------------------------------------------------------

static va_status fail_shape(va_ctx *ctx, const char *what, const va_tensor *t, unsigned dtypes,
                            const char *shape) {
    char got[96];
    const char *dtype = dtypes == OP_F32      ? "F32"
                        : dtypes == OP_U32    ? "U32"
                        : dtypes == OP_WEIGHT ? "F32, F16 or BF16"
                                              : "F32, F16, BF16 or quantised";
    return va_fail(ctx, VA_ERR_SHAPE, "%s: expected %s %s, got %s", what, shape, dtype,
                   va_tensor_text(t, got));
}

static bool has_dtype(const va_tensor *t, unsigned dtypes) {
    return dtypes >> t->dtype & 1;
}

va_status op_expect(va_ctx *ctx, const char *what, const va_tensor *t, unsigned dtypes, int n_dim,
                    const int64_t *shape) {
    bool good = t->n_dim == n_dim && has_dtype(t, dtypes) && va_tensor_bytes(t) > 0;
    for (int i = 0; i < n_dim && good; i++)
        good = shape[i] == -1 ? t->shape[i] >= 1 : t->shape[i] == shape[i];
    if (good)
        return VA_OK;
    char text[96] = "[";
    int len = 1;
    for (int i = 0; i < n_dim; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, shape[i] == -1 ? "%sany" : "%s%lld",
                        i ? ", " : "", (long long)shape[i]);
    snprintf(text + len, sizeof text - (size_t)len, "]");
    return fail_shape(ctx, what, t, dtypes, text);
}

va_status op_expect_dims(va_ctx *ctx, const char *what, const va_tensor *t, unsigned dtypes,
                         int min_dim, int max_dim) {
    bool good = t->n_dim >= min_dim && t->n_dim <= max_dim && has_dtype(t, dtypes);
    for (int i = 0; i < t->n_dim && good; i++)
        good = t->shape[i] >= 1;
    if (good && va_tensor_bytes(t) > 0)
        return VA_OK;
    char text[64];
    snprintf(text, sizeof text, "%d to %d dimensions of", min_dim, max_dim);
    return fail_shape(ctx, what, t, dtypes, text);
}

va_status op_expect_sequences(va_ctx *ctx, const char *op, const va_op_attr *attr,
                              const va_tensor *x) {
    if (attr->seq_len >= 1 && x->shape[0] % attr->seq_len == 0)
        return VA_OK;
    return va_fail(ctx, VA_ERR_SHAPE, "%s: expected whole sequences of seq_len %lld, got %lld rows",
                   op, (long long)attr->seq_len, (long long)x->shape[0]);
}

int64_t op_row_elems(const va_tensor *t) {
    int64_t n = 1;
    for (int i = 1; i < t->n_dim; i++)
        n *= t->shape[i];
    return n;
}

int64_t op_row_bytes(const va_tensor *t) {
    return va_dtype_size(t->dtype, op_row_elems(t));
}

// -- calls -----------------------------------------------------------------------------------

// factor copies of `shape` (k of a tangent) have memory in t. Only weights may be larger than one
// binding.
static va_status need(const va_op_call *c, const va_op *op, const char *what, const va_tensor *t,
                      const va_tensor *shape, int64_t factor, bool weight) {
    va_ctx *ctx = va_gpu_ctx(c->gpu);
    int64_t bytes = va_tensor_bytes(shape), limit = va_gpu_get_info(c->gpu)->max_range_bytes;
    if (bytes < 0 || !va_mul_i64(bytes, factor, &bytes) || (!weight && bytes > limit))
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: %lld x %lld elements are too many for one call",
                       op->name, what, (long long)factor, (long long)va_tensor_elems(shape));
    if (!va_tensor_present(t))
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s is needed and absent", op->name, what);
    if (t->mem.size_bytes < bytes)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected %lld bytes, got %lld", op->name, what,
                       (long long)bytes, (long long)t->mem.size_bytes);
    return VA_OK;
}

// Does the pass read primal input i?
static bool reads_input(const va_op_call *c, const va_op *op, va_pass pass, int i) {
    if ((op->optional_in >> i & 1) && c->x[i].n_dim == 0)
        return false;
    if (pass == VA_FORWARD || !(op->diff_in >> i & 1))
        return pass == VA_FORWARD || !(op->optional_in >> i & 1);
    return (c->mode == VA_EXACT ? op->keep_exact : op->keep_detached) >> i & 1;
}

static va_status check_scratch(const va_op_call *c, const va_op *op, va_pass pass) {
    int64_t bytes = op->scratch_bytes ? op->scratch_bytes(c, pass) : 0;
    if (c->scratch.size_bytes >= bytes)
        return VA_OK;
    return va_fail(va_gpu_ctx(c->gpu), VA_ERR_SHAPE, "%s: expected %lld bytes of scratch, got %lld",
                   op->name, (long long)bytes, (long long)c->scratch.size_bytes);
}

va_row_range op_rows(const va_tensor *t, va_row_range rows) {
    return rows.count > 0 ? rows : (va_row_range){0, t->shape[0]};
}

static va_tensor cut_shape(const va_tensor *t, va_row_range rows) {
    va_tensor cut = *t;
    cut.shape[0] = op_rows(t, rows).count;
    return cut;
}

static va_status check_factors(const va_op_call *c, const va_op *op, const va_tensor *y) {
    va_status st = VA_OK;
    const bool in = c->in_factor.n_dim > 0, out = c->out_factor.n_dim > 0;
    if ((in && !(op->factors & VA_FACTOR_IN)) || (out && !(op->factors & VA_FACTOR_OUT)))
        return va_fail(va_gpu_ctx(c->gpu), VA_ERR_SHAPE, "%s: takes no factor of its %s", op->name,
                       in && !(op->factors & VA_FACTOR_IN) ? "input" : "output");
    if (in)
        VA_TRY(need(c, op, "the input's factor", &c->in_factor, &c->x[0], 1, false));
    if (out)
        VA_TRY(need(c, op, "the output's factor", &c->out_factor, y, 1, false));
done:
    return st;
}

static va_status check_tangents(const va_op_call *c, const va_op *op, const va_tensor *y) {
    va_status st = VA_OK;
    static const char *const name[VA_OP_MAX_IN] = {"tangent of input 0", "tangent of input 1",
                                                   "tangent of input 2", "tangent of input 3"};
    if (c->k < 1)
        return va_fail(va_gpu_ctx(c->gpu), VA_ERR_SHAPE, "%s: expected k >= 1, got %lld", op->name,
                       (long long)c->k);
    const va_tensor dy = cut_shape(y, c->dy_rows);
    VA_TRY(need(c, op, "the output's tangent", &c->dy, &dy, c->k, false));
    VA_TRY(check_factors(c, op, y));
    for (int i = 0; i < op->n_in; i++) {
        const va_tensor dx = cut_shape(&c->x[i], c->dx_rows[i]);
        if ((op->diff_in >> i & 1) && va_tensor_present(&c->dx[i]))
            VA_TRY(need(c, op, name[i], &c->dx[i], &dx, c->k, false));
    }
done:
    return st;
}

va_status op_check(const va_op_call *c, const va_op *op, va_pass pass, va_tensor *y) {
    va_status st = VA_OK;
    va_tensor aux;
    VA_TRY(op->infer(va_gpu_ctx(c->gpu), c->attr, c->x, y, &aux));
    static const char *const name[VA_OP_MAX_IN] = {"input 0", "input 1", "input 2", "input 3"};
    for (int i = 0; i < op->n_in; i++)
        if (reads_input(c, op, pass, i))
            VA_TRY(need(c, op, name[i], &c->x[i], &c->x[i], 1, !(op->diff_in >> i & 1)));
    uint32_t keep = c->mode == VA_EXACT ? op->keep_exact : op->keep_detached;
    const bool left_out = op->aux_optional && !va_tensor_present(&c->aux);
    if (aux.n_dim > 0 && (pass == VA_FORWARD ? !left_out : (keep & VA_KEEP_AUX) != 0))
        VA_TRY(need(c, op, "the auxiliary tensor", &c->aux, &aux, 1, false));
    VA_TRY(pass == VA_FORWARD ? need(c, op, "the output", &c->y, y, 1, false)
                              : check_tangents(c, op, y));
    VA_TRY(check_scratch(c, op, pass));
    y->mem = pass == VA_FORWARD ? c->y.mem : c->dy.mem;
done:
    return st;
}

uint32_t op_live_inputs(const va_op_call *c, const va_op *op) {
    uint32_t live = c->mode == VA_EXACT ? op->diff_in : op->detached_in;
    for (int i = 0; i < op->n_in; i++)
        if (!va_tensor_present(&c->dx[i]))
            live &= ~(1u << i);
    return live;
}

va_status op_vjp_frozen(const va_op_call *c, const va_op *op) {
    va_status st = VA_OK;
    uint32_t live = op_live_inputs(c, op);
    for (int i = 0; i < op->n_in; i++)
        if ((op->diff_in & ~live) >> i & 1 && va_tensor_present(&c->dx[i]) && !c->accumulate[i])
            VA_TRY(va_gpu_fill(c->gpu, op_input_tangent(c, i), 0));
done:
    return st;
}

va_slice op_slice(const va_tensor *t) {
    return va_slice_at(t->mem, 0, va_tensor_bytes(t));
}

va_slice op_tangent_slice(const va_op_call *c, const va_tensor *tangent, const va_tensor *primal) {
    return va_slice_at(tangent->mem, 0, va_tensor_elems(primal) * c->k * 4);
}

va_slice op_input_tangent(const va_op_call *c, int i) {
    const va_tensor cut = cut_shape(&c->x[i], c->dx_rows[i]);
    return op_tangent_slice(c, &c->dx[i], &cut);
}

va_slice op_output_tangent(const va_op_call *c, const va_tensor *y) {
    const va_tensor cut = cut_shape(y, c->dy_rows);
    return op_tangent_slice(c, &c->dy, &cut);
}

static va_status run(const va_op_call *c, const va_kernel *kernel, const va_slice *bind,
                     const void *push, int64_t n_items, int64_t local) {
    va_dispatch d = {.kernel = kernel, .push = push};
    for (uint32_t i = 0; i < kernel->n_bind; i++)
        d.bind[i] = bind[i];
    va_gpu_groups(c->gpu, n_items, local, d.groups);
    return va_gpu_dispatch(c->gpu, &d);
}

uint32_t op_row_local(const va_op_call *c) {
    const va_gpu_info *info = va_gpu_get_info(c->gpu);
    return info->kind != VA_GPU_CPU ? 64 : info->subgroup_size >= 8 ? 8 : 4;
}

va_status op_run_groups(const va_op_call *c, const va_kernel *kernel, const va_slice *bind,
                        const void *push, int64_t n_groups) {
    return run(c, kernel, bind, push, n_groups, 1);
}

va_status op_run_items(const va_op_call *c, const va_kernel *kernel, const va_slice *bind,
                       const void *push, int64_t n_items) {
    return run(c, kernel, bind, push, n_items, OP_LOCAL);
}

va_op_cost op_cost(const va_op_call *c, const va_op *op, va_pass pass, double flop) {
    va_op_cost cost = {.flop = flop};
    va_tensor y = {0}, aux = {0};
    if (op->infer(NULL, c->attr, c->x, &y, &aux) != VA_OK)
        return cost;
    uint32_t live = c->mode == VA_EXACT ? op->diff_in : op->detached_in;
    uint32_t keep = c->mode == VA_EXACT ? op->keep_exact : op->keep_detached;
    for (int i = 0; i < op->n_in; i++) {
        double bytes = (double)va_tensor_bytes(&c->x[i]);
        cost.bytes += reads_input(c, op, pass, i) ? bytes : 0;
        cost.bytes += pass != VA_FORWARD && (live >> i & 1) ? (double)c->k * bytes : 0;
    }
    const bool has_aux =
        pass == VA_FORWARD ? !op->aux_optional || c->aux.n_dim > 0 : (keep & VA_KEEP_AUX) != 0;
    cost.bytes += has_aux ? (double)va_tensor_bytes(&aux) : 0;
    cost.bytes += (double)(pass == VA_FORWARD ? 1 : c->k) * (double)va_tensor_bytes(&y);
    const va_tensor *const factors[] = {&c->in_factor, &c->out_factor};
    for (int i = 0; i < VA_COUNT(factors); i++)
        if (factors[i]->n_dim > 0) {
            cost.flop += (double)c->k * (double)va_tensor_elems(factors[i]);
            cost.bytes += (double)va_tensor_bytes(factors[i]);
        }
    return cost;
}

// -- large weights ---------------------------------------------------------------------------

int64_t op_row_chunk(const va_gpu_info *info, const va_tensor *w) {
    int64_t n_rows = w->shape[0], row_bytes = op_row_bytes(w);
    if (va_tensor_bytes(w) <= info->max_range_bytes)
        return n_rows;
    int64_t align = VA_MAX(info->offset_alignment, 16), step = 8; // powers of two
    while (step * row_bytes % align != 0)
        step *= 2;
    return info->max_range_bytes / row_bytes / step * step;
}

va_slice op_row_slice(const va_tensor *w, int64_t first, int64_t n) {
    int64_t row_bytes = op_row_bytes(w);
    int64_t begin = first * row_bytes, end = (first + n) * row_bytes;
    return va_slice_at(w->mem, begin, (end - begin + 3) / 4 * 4);
}
