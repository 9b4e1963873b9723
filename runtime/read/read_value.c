// read_value.c: the value of a site as J x + b, and what each token adds to J x.
//
// y = J x + b with x the value that J differentiates by. Detached, b comes from biases alone where
// every path to y leads through x (J. R. Golden, arXiv 2505.24293).
// SPDX-License-Identifier: Apache-2.0
#include "read_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FLOATS = 1 << 24 }; // of all J_i x_i in memory at once, unless one takes more

typedef struct value_sites {
    va_site from, to;
    int64_t from_first, from_count, to_first, to_count; // tokens
} value_sites;

// Whether nothing that `to` depends on goes past `from`: the stream before a block at every token
// up to the target's last, or the same tokens where no attention lies between. attn:N and mlp:N are
// bypassed by the stream.
static bool is_whole(const value_sites *s) {
    const int64_t end = s->from_first + s->from_count, to_end = s->to_first + s->to_count;
    const bool stream = s->from.kind == VA_SITE_EMBED || s->from.kind == VA_SITE_RESID;
    const bool no_attention = va_site_order(&s->from) == va_site_order(&s->to);
    if (!stream && s->from.kind != VA_SITE_NORM)
        return false;
    return end >= to_end && s->from_first <= (no_attention ? s->to_first : 0);
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

double read_deviation(const float *x, const float *less, int64_t n) {
    double mean = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        mean += ((double)x[i] - (less ? less[i] : 0)) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double e = (double)x[i] - (less ? less[i] : 0) - mean;
        sum += e * e;
    }
    return sqrt(sum / (double)n);
}

// J_i x_i for every token, one block of max_k after another.
static va_status add_shares(va_ctx *ctx, va_linmap *map, const va_read_value_result *v,
                            int64_t first_token, va_read_share *shares) {
    va_status st = VA_OK;
    const int64_t T = v->n_shares, n = v->n, m = v->m, d = n / T;
    const int64_t fitting = VA_MAX(MOST_FLOATS / VA_MAX(m, n), 1);
    const int64_t most = VA_MIN(VA_MIN(fitting, va_linmap_max_k(map)), T);
    const double yy = v->norm_y * v->norm_y;
    float *x = NULL, *Jx = NULL;
    int64_t n_x, n_Jx;
    if (!va_mul_i64(most, n, &n_x) || !va_mul_i64(most, m, &n_Jx))
        return va_fail(ctx, VA_ERR_SHAPE, "%s: too large to read", va_linmap_label(map));
    VA_TRY_ALLOC(ctx, x, calloc((size_t)n_x, sizeof *x));
    VA_TRY_ALLOC(ctx, Jx, malloc((size_t)n_Jx * sizeof *Jx));
    for (int64_t first = 0; first < T; first += most) {
        const int64_t count = VA_MIN(most, T - first);
        VA_TRY(va_check_interrupt(ctx));
        memset(x, 0, (size_t)n_x * sizeof *x);
        for (int64_t i = 0; i < count; i++)
            memcpy(x + i * n + (first + i) * d, v->x + (first + i) * d, (size_t)d * sizeof *x);
        VA_TRY(va_linmap_apply_host(map, x, count, Jx));
        for (int64_t i = 0; i < count; i++) {
            const float *y_i = Jx + i * m;
            const double norm = sqrt(dot(y_i, y_i, m)), along = dot(y_i, v->y, m);
            shares[first + i] = (va_read_share){.token = first_token + first + i,
                                                .norm = norm,
                                                .cosine = along / (norm * v->norm_y),
                                                .share = along / yy};
        }
    }
done:
    free(x);
    free(Jx);
    return st;
}

va_status read_check_finite(va_ctx *ctx, const va_linmap *map, const char *what, const float *x,
                            int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "%s: %s holds NaN or infinity at flat index %lld",
                           va_linmap_label(map), what, (long long)i);
    return VA_OK;
}

static void measure(va_read_value_result *v, va_mode mode) {
    double squared = 0;
    for (int64_t i = 0; i < v->m; i++) {
        const double b = (double)v->y[i] - v->Jx[i];
        squared += b * b;
    }
    v->norm_b = sqrt(squared);
    v->norm_y = sqrt(dot(v->y, v->y, v->m));
    v->norm_Jx = sqrt(dot(v->Jx, v->Jx, v->m));
    v->error = read_deviation(v->y, v->Jx, v->m) / read_deviation(v->y, NULL, v->m);
    v->share = dot(v->Jx, v->y, v->m) / (v->norm_y * v->norm_y);
    v->must_vanish = mode == VA_DETACHED && v->whole && !v->has_biases;
    v->is_off = v->must_vanish && !(v->error <= VA_READ_ROUNDING);
}

va_status va_read_value(va_prompt *prompt, int64_t from, int64_t to, va_mode mode, va_linmap *map,
                        va_arena *arena, va_read_value_result *v) {
    va_status st = VA_OK;
    va_model *model = va_prompt_model(prompt);
    va_ctx *ctx = va_model_ctx(model);
    const va_linmap_shape s = va_linmap_get_shape(map);
    value_sites at;
    float *x, *y, *Jx;
    va_read_share *shares;
    at.from = va_prompt_site(prompt, from, &at.from_first, &at.from_count);
    at.to = va_prompt_site(prompt, to, &at.to_first, &at.to_count);
    *v = (va_read_value_result){.n = s.T_in * s.d_in, .m = s.T_out * s.d_out, .n_shares = s.T_in};
    v->whole = is_whole(&at);
    v->has_biases = va_arch_has_biases(va_model_config(model));
    VA_TRY_ALLOC(ctx, x, VA_NEW_ARRAY(arena, float, v->n));
    VA_TRY_ALLOC(ctx, y, VA_NEW_ARRAY(arena, float, v->m));
    VA_TRY_ALLOC(ctx, Jx, VA_NEW_ARRAY(arena, float, v->m));
    VA_TRY_ALLOC(ctx, shares, VA_NEW_ARRAY(arena, va_read_share, v->n_shares));
    v->x = x, v->y = y, v->Jx = Jx, v->shares = shares;
    VA_TRY(va_prompt_read(prompt, from, x));
    VA_TRY(va_prompt_read(prompt, to, y));
    VA_TRY(va_prompt_jx(prompt, from, to, map, Jx));
    VA_TRY(read_check_finite(ctx, map, "J x", Jx, v->m));
    measure(v, mode);
    VA_TRY(add_shares(ctx, map, v, at.from_first, shares));
done:
    return st;
}
