// Rows of the residual stream after the last block, decoded as the model decodes its own.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoder {
    va_model *model;
    va_graph *graph;
    va_node x, logits;
    int64_t rows; // of one pass
    float *in;    // [rows, d]
    float *out;   // [rows, vocab]
} decoder;

static va_status open_decoder(decoder *d, int64_t rows) {
    va_status st = VA_OK;
    va_model *m = d->model;
    const int64_t shape[] = {rows, m->config.d_model};
    VA_TRY_ALLOC(m->ctx, d->graph, va_graph_create(m->ctx));
    d->x = va_graph_input(d->graph, "x", VA_F32, 2, shape);
    d->logits =
        va_arch_unembed(d->graph, &m->config, va_arch_final_norm(d->graph, &m->config, d->x));
    va_graph_keep(d->graph, d->logits);
    VA_TRY(model_plan_weights(m, d->graph));
    VA_TRY(va_graph_finish(d->graph));
    VA_TRY(model_bind_weights(m, d->graph, NULL, false));
    VA_TRY(va_graph_realize(d->graph, m->gpu));
    d->rows = rows;
    VA_TRY_ALLOC(m->ctx, d->in, calloc((size_t)(rows * shape[1]), sizeof *d->in));
    VA_TRY_ALLOC(m->ctx, d->out, malloc((size_t)(rows * m->config.vocab_size) * sizeof *d->out));
done:
    return st;
}

static void close_decoder(decoder *d) {
    va_graph_destroy(&d->graph);
    free(d->in);
    free(d->out);
}

// Rows first..first+n-1 of x.
static va_status decode_rows(decoder *d, const float *x, int64_t first, int64_t n, float *logits) {
    va_status st = VA_OK;
    const int64_t V = d->model->config.vocab_size, width = d->model->config.d_model;
    memcpy(d->in, x + first * width, (size_t)(n * width) * sizeof *d->in);
    VA_TRY(va_graph_set(d->graph, d->x, d->in));
    VA_TRY(va_graph_forward(d->graph));
    VA_TRY(va_graph_read(d->graph, d->logits, d->out));
    logits += first * V;
    memcpy(logits, d->out, (size_t)(n * V) * sizeof *logits);
    for (int64_t i = 0; i < n * V; i++)
        if (!isfinite(logits[i]))
            VA_TRY(va_fail(d->model->ctx, VA_ERR_NUMERIC,
                           "%s: decoding row %lld: the logit of token %lld is NaN or infinity",
                           d->model->dir, (long long)(first + i / V), (long long)(i % V)));
done:
    return st;
}

va_status va_model_decode(va_model *model, const float *x, int64_t n, float *logits) {
    enum { ROWS = 64 };
    va_status st = VA_OK;
    decoder d = {.model = model};
    const int64_t width = model->config.d_model, V = model->config.vocab_size;
    if (!model->gpu)
        return va_fail(model->ctx, VA_ERR_USAGE, "%s: va_model_attach comes before decoding",
                       model->dir);
    if (n < 1)
        return va_fail(model->ctx, VA_ERR_USAGE, "decoding: expected at least one row, got %lld",
                       (long long)n);
    const int64_t range = va_gpu_get_info(model->gpu)->max_range_bytes;
    VA_TRY(open_decoder(&d, VA_MAX(VA_MIN(VA_MIN(n, ROWS), range / (4 * VA_MAX(V, width))), 1)));
    for (int64_t first = 0; first < n; first += d.rows) {
        VA_TRY(va_check_interrupt(model->ctx));
        VA_TRY(decode_rows(&d, x, first, VA_MIN(d.rows, n - first), logits));
    }
done:
    close_decoder(&d);
    return st;
}
