// mlp_config.c: what a training is asked for: defaults, and what is refused.
// SPDX-License-Identifier: Apache-2.0
#include "fit_check.h"
#include "mlp_priv.h"

#include <math.h>

static int64_t or_default(int64_t value, int64_t def) {
    return value == 0 ? def : value;
}

// A rate of which 0 means the default and a negative one none.
static double rate(float value, double def) {
    return value == 0 ? def : value < 0 ? 0 : value;
}

mlp_config mlp_resolve(const va_mlp_params *params, int64_t d) {
    const va_mlp_params defaults = {0}, *p = params ? params : &defaults;
    const va_mlp *initial = p->initial;
    return (mlp_config){.width = {d, or_default(p->h1, initial ? initial->h1 : 128),
                                  or_default(p->h2, initial ? initial->h2 : 64), 1},
                        .epochs = or_default(p->epochs, 50),
                        .batch = or_default(p->batch, 32),
                        .learning_rate = p->learning_rate == 0 ? 1e-3 : p->learning_rate,
                        .weight_decay = rate(p->weight_decay, 0.01),
                        .dropout = rate(p->dropout, 0.2),
                        .shuffle = !p->no_shuffle,
                        .initial = initial,
                        .tick = p->tick,
                        .tick_user = p->tick_user};
}

static va_status check_counts(va_ctx *ctx, const mlp_config *c, int64_t n_x, int64_t n_problems) {
    const int64_t d = c->width[0];
    if (n_x < 1 || d < 1 || n_problems < 1)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "classifier: expected at least one row, column and problem, got %lld, %lld, "
                       "%lld",
                       (long long)n_x, (long long)d, (long long)n_problems);
    if (c->width[1] < 1 || c->width[2] < 1 || c->epochs < 1 || c->batch < 1)
        return va_fail(ctx, VA_ERR_USAGE,
                       "classifier: expected positive widths, epochs and batch, got %lld and %lld, "
                       "%lld, %lld",
                       (long long)c->width[1], (long long)c->width[2], (long long)c->epochs,
                       (long long)c->batch);
    return VA_OK;
}

va_status mlp_check_config(va_ctx *ctx, const mlp_config *c, int64_t n_x, int64_t n_problems) {
    va_status st = VA_OK;
    const va_mlp *i = c->initial;
    VA_TRY(check_counts(ctx, c, n_x, n_problems));
    int64_t widest = VA_MAX(c->width[0], VA_MAX(c->width[1], c->width[2]));
    if (widest >= 4 * MLP_MAX_LOOP)
        return va_fail(ctx, VA_ERR_SHAPE, "classifier: expected widths below %d, got %lld",
                       4 * MLP_MAX_LOOP, (long long)widest);
    if (!(c->learning_rate > 0 && isfinite(c->learning_rate)) || !isfinite(c->weight_decay) ||
        !(c->dropout < 1))
        return va_fail(
            ctx, VA_ERR_USAGE,
            "classifier: expected learning_rate > 0, finite weight_decay and dropout < 1, "
            "got %g, %g, %g",
            c->learning_rate, c->weight_decay, c->dropout);
    if (i && (i->d != c->width[0] || i->h1 != c->width[1] || i->h2 != c->width[2]))
        return va_fail(
            ctx, VA_ERR_SHAPE,
            "classifier: expected initial weights %lld-%lld-%lld-1, got %lld-%lld-%lld-1",
            (long long)c->width[0], (long long)c->width[1], (long long)c->width[2], (long long)i->d,
            (long long)i->h1, (long long)i->h2);
done:
    return st;
}

va_status mlp_check_problems(va_ctx *ctx, const mlp_config *c, int64_t n_x,
                             const va_fit_problem *problems, int64_t n_problems) {
    va_status st = fit_check_problems(ctx, "classifier", problems, n_problems, n_x);
    if (st != VA_OK)
        return st;
    for (int64_t p = 0; p < n_problems; p++) {
        const int64_t n = problems[p].n;
        int64_t steps;
        if (mlp_batch(c, n) > MLP_MAX_LOOP)
            return va_fail(ctx, VA_ERR_SHAPE,
                           "classifier %lld: expected a batch of at most %d, got %lld",
                           (long long)p, MLP_MAX_LOOP, (long long)mlp_batch(c, n));
        if (!va_mul_i64(c->epochs, mlp_steps_per_epoch(c, n), &steps) || steps > UINT32_MAX)
            return va_fail(ctx, VA_ERR_SHAPE, "classifier %lld: too many steps for 32 bits",
                           (long long)p);
    }
    return VA_OK;
}
