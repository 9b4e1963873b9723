// Interventions: what is added to the residual stream of a prompt.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <math.h>
#include <string.h>

va_status prompt_make_edits(va_prompt *p) {
    va_status st = VA_OK;
    const int64_t elems = p->n_seq * p->seq_len * p->model->config.d_model;
    if (p->edit == VA_NODE_NONE)
        return VA_OK;
    VA_TRY_ALLOC(p->model->ctx, p->edits, VA_NEW_ARRAY(p->arena, float, elems));
    p->edit_stale = true;
done:
    return st;
}

va_status va_prompt_set_edit(va_prompt *prompt, int64_t row, const float *delta) {
    va_ctx *ctx = prompt->model->ctx;
    const int64_t M = prompt->n_seq * prompt->seq_len, d = prompt->model->config.d_model;
    if (!prompt->edits)
        return va_fail(ctx, VA_ERR_USAGE, "the prompt was made without a site to edit");
    if (row < 0 || row >= M)
        return va_fail(ctx, VA_ERR_USAGE, "an edit of row %lld: expected 0 to %lld", (long long)row,
                       (long long)M - 1);
    for (int64_t i = 0; delta && i < d; i++)
        if (!isfinite(delta[i]))
            return va_fail(ctx, VA_ERR_NUMERIC,
                           "an edit of row %lld: NaN or infinity at index %lld", (long long)row,
                           (long long)i);
    float *to = prompt->edits + row * d;
    if (delta)
        memcpy(to, delta, (size_t)d * sizeof *to);
    else
        memset(to, 0, (size_t)d * sizeof *to);
    prompt->edit_stale = true;
    prompt->ran = false;
    return VA_OK;
}
