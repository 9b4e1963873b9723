// metric_bootstrap.c: resampling of items, of groups, or of both.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric_resample.h"

#include <assert.h>

enum { DEFAULT_RESAMPLES = 2000, MAX_RESAMPLES = 10000000 };

static const char *const resample_names[] = {
#define VA_X(name, text) text,
    VA_METRIC_RESAMPLE_LIST(VA_X)
#undef VA_X
};

const char *va_metric_resample_name(va_metric_resample resample) {
    assert((int64_t)resample < VA_COUNT(resample_names));
    return resample_names[resample];
}

// The units that are drawn: items, or groups start[g]..start[g + 1] of them.
typedef struct plan {
    const va_metric_bootstrap_params *params;
    int64_t n_units, n_resamples, most; // most: items of the largest resample
    int64_t *start;                     // [n_units + 1]; NULL for items
    int64_t *items;                     // [most] scratch
} plan;

static va_status check_params(va_ctx *ctx, const va_metric_bootstrap_params *p) {
    const bool groups = p->resample != VA_METRIC_RESAMPLE_ITEMS;
    if ((int64_t)p->resample >= VA_COUNT(resample_names) || !p->measure)
        return va_fail(ctx, VA_ERR_USAGE, "a bootstrap needs a statistic and a way to resample");
    if (p->n_items < 2 || p->n_items > UINT32_MAX)
        return va_fail(ctx, VA_ERR_USAGE, "expected 2 to 2^32 - 1 items, got %lld",
                       (long long)p->n_items);
    if (groups ? !p->group_size || p->n_groups < 2 || p->n_groups > p->n_items
               : p->group_size || p->n_groups != 0)
        return va_fail(ctx, VA_ERR_USAGE, "resampling %s: expected %s, got %lld",
                       va_metric_resample_name(p->resample),
                       groups ? "2 groups to one for each item" : "no groups",
                       (long long)p->n_groups);
    if (p->n_resamples != 0 && (p->n_resamples < 2 || p->n_resamples > MAX_RESAMPLES))
        return va_fail(ctx, VA_ERR_USAGE, "expected 2 to %d resamples, got %lld",
                       (int)MAX_RESAMPLES, (long long)p->n_resamples);
    return VA_OK;
}

static va_status find_groups(va_ctx *ctx, va_arena *arena, plan *pl) {
    va_status st = VA_OK;
    const va_metric_bootstrap_params *p = pl->params;
    int64_t largest = 0;
    VA_TRY_ALLOC(ctx, pl->start, VA_NEW_ARRAY(arena, int64_t, p->n_groups + 1));
    for (int64_t g = 0; g < p->n_groups; g++) {
        int64_t size = p->group_size[g];
        if (size < 1 || size > p->n_items - pl->start[g])
            return va_fail(ctx, VA_ERR_USAGE, "group %lld: expected 1 to %lld items, got %lld",
                           (long long)g, (long long)(p->n_items - pl->start[g]), (long long)size);
        pl->start[g + 1] = pl->start[g] + size;
        largest = VA_MAX(largest, size);
    }
    if (pl->start[p->n_groups] != p->n_items)
        return va_fail(ctx, VA_ERR_USAGE, "expected groups of %lld items in all, got %lld",
                       (long long)p->n_items, (long long)pl->start[p->n_groups]);
    pl->n_units = p->n_groups;
    if (!va_mul_i64(p->n_groups, largest, &pl->most))
        return va_fail(ctx, VA_ERR_MEMORY, "%lld groups of up to %lld items are too many",
                       (long long)p->n_groups, (long long)largest);
done:
    return st;
}

static va_status make_plan(va_ctx *ctx, va_arena *arena, const va_metric_bootstrap_params *params,
                           plan *pl) {
    va_status st = VA_OK;
    VA_TRY(check_params(ctx, params));
    *pl = (plan){.params = params, .n_units = params->n_items, .most = params->n_items};
    pl->n_resamples = params->n_resamples ? params->n_resamples : DEFAULT_RESAMPLES;
    if (params->resample != VA_METRIC_RESAMPLE_ITEMS)
        VA_TRY(find_groups(ctx, arena, pl));
    VA_TRY_ALLOC(ctx, pl->items, VA_NEW_ARRAY(arena, int64_t, pl->most));
done:
    return st;
}

// Appends unit u: its items as they are, or as many drawn from among them.
static int64_t append(const plan *pl, va_rng *rng, int64_t u, int64_t n) {
    if (!pl->start) {
        pl->items[n++] = u;
        return n;
    }
    const int64_t first = pl->start[u], size = pl->start[u + 1] - first;
    for (int64_t i = 0; i < size; i++)
        pl->items[n++] = first + (rng ? va_rng_below(rng, (uint32_t)size) : i);
    return n;
}

static int64_t draw(const plan *pl, va_rng *rng) {
    va_rng *within = pl->params->resample == VA_METRIC_RESAMPLE_BOTH ? rng : NULL;
    int64_t n = 0;
    for (int64_t i = 0; i < pl->n_units; i++)
        n = append(pl, within, va_rng_below(rng, (uint32_t)pl->n_units), n);
    return n;
}

static int64_t all_but(const plan *pl, int64_t left_out) {
    int64_t n = 0;
    for (int64_t u = 0; u < pl->n_units; u++)
        if (u != left_out)
            n = append(pl, NULL, u, n);
    return n;
}

static va_status measure(va_ctx *ctx, const plan *pl, int64_t n, const char *what, int64_t index,
                         double *value) {
    va_status st = pl->params->measure(pl->params->user, pl->items, n, value);
    if (st == VA_OK)
        st = va_metric_check_finite(ctx, "statistic", value, 1);
    return st == VA_OK ? st : va_fail_in(ctx, st, "%s %lld", what, (long long)index);
}

va_status va_metric_bootstrap(va_ctx *ctx, const va_metric_bootstrap_params *params, va_rng *rng,
                              double *draws, va_metric_interval *out) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    plan pl;
    double *values, *jackknife = NULL, estimate;
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY(make_plan(ctx, arena, params, &pl));
    VA_TRY_ALLOC(ctx, values, VA_NEW_ARRAY(arena, double, pl.n_resamples));
    VA_TRY(measure(ctx, &pl, all_but(&pl, -1), "all items, resample", 0, &estimate));
    for (int64_t i = 0; i < pl.n_resamples; i++) {
        VA_TRY(va_check_interrupt(ctx));
        VA_TRY(measure(ctx, &pl, draw(&pl, rng), "resample", i, &values[i]));
    }
    if (params->kind == VA_METRIC_BCA) {
        VA_TRY_ALLOC(ctx, jackknife, VA_NEW_ARRAY(arena, double, pl.n_units));
        for (int64_t u = 0; u < pl.n_units; u++)
            VA_TRY(measure(ctx, &pl, all_but(&pl, u), "leaving out unit", u, &jackknife[u]));
    }
    VA_TRY(va_metric_interval_of(ctx,
                                 &(va_metric_draws){.kind = params->kind,
                                                    .level = params->level,
                                                    .estimate = estimate,
                                                    .draws = values,
                                                    .n_draws = pl.n_resamples,
                                                    .jackknife = jackknife,
                                                    .n_jackknife = jackknife ? pl.n_units : 0},
                                 out));
    for (int64_t i = 0; draws && i < pl.n_resamples; i++)
        draws[i] = values[i];
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_metric_item_mean(void *user, const int64_t *items, int64_t n, double *value) {
    const double *x = user;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[items[i]];
    *value = sum / (double)n;
    return VA_OK;
}
