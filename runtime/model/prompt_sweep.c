// The derivatives of one site by many others, in one reverse sweep for each chunk of rows.
//
// The cotangent of a block's output is complete when the sweep passes it, so every source is read
// off on the way to the deepest.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <stdlib.h>

typedef struct many_sources {
    va_prompt *p;
    const prompt_request *r;
    int64_t k; // vectors of one sweep at most
    va_buffer *to_buffer;
    va_buffer **buffers; // [n_from]
    va_block to;
    va_block *from, *chunk; // [n_from]; chunk: those of the sweep at hand
    float *rows;            // on the host, of one source
} many_sources;

static va_status make_blocks(many_sources *s, va_arena *arena) {
    va_status st = VA_OK;
    va_ctx *ctx = s->p->model->ctx;
    va_gpu *gpu = s->p->model->gpu;
    const prompt_site *to = &s->p->sites[s->r->to];
    int64_t widest = 0;
    VA_TRY_ALLOC(ctx, s->buffers, VA_NEW_ARRAY(arena, va_buffer *, s->r->n_from));
    VA_TRY_ALLOC(ctx, s->from, VA_NEW_ARRAY(arena, va_block, s->r->n_from));
    VA_TRY_ALLOC(ctx, s->chunk, VA_NEW_ARRAY(arena, va_block, s->r->n_from));
    VA_TRY(va_block_create(gpu, to->rows, s->k, to->width, "target", &s->to_buffer, &s->to));
    for (int64_t i = 0; i < s->r->n_from; i++) {
        const prompt_site *f = &s->p->sites[s->r->from[i]];
        VA_TRY(
            va_block_create(gpu, f->count, s->k, f->width, "source", &s->buffers[i], &s->from[i]));
        widest = VA_MAX(widest, f->count * f->width);
    }
    VA_TRY_ALLOC(ctx, s->rows, malloc((size_t)(s->k * widest) * sizeof *s->rows));
done:
    return st;
}

static void free_blocks(many_sources *s) {
    va_buffer_destroy(&s->to_buffer);
    for (int64_t i = 0; s->buffers && i < s->r->n_from; i++)
        va_buffer_destroy(&s->buffers[i]);
    free(s->rows);
}

// A block of fewer vectors in the same memory.
static va_block first_vectors(const va_block *b, int64_t k) {
    return (va_block){b->T, k, b->d, va_slice_at(b->mem, 0, va_block_bytes(b->T, k, b->d))};
}

// Vector i is one at row rows[i] of the target.
static va_status one_hot_rows(va_gpu *gpu, const va_block *b, const int64_t *rows) {
    static const float one = 1;
    va_status st = VA_OK;
    VA_TRY(va_gpu_fill(gpu, b->mem, 0));
    for (int64_t i = 0; i < b->k; i++) {
        const int64_t at = (rows[i] / b->d * b->k + i) * b->d + rows[i] % b->d;
        VA_TRY(va_gpu_upload(gpu, va_slice_at(b->mem, at * (int64_t)sizeof one, sizeof one), &one));
    }
done:
    return st;
}

static va_status sweep_chunk(many_sources *s, int64_t first, int64_t count, va_source_rows_fn fn,
                             void *user) {
    va_status st = VA_OK;
    const prompt_request *r = s->r;
    va_gpu *gpu = s->p->model->gpu;
    const prompt_site *f = &s->p->sites[r->from[0]];
    const va_block to = first_vectors(&s->to, count);
    for (int64_t i = 0; i < r->n_from; i++)
        s->chunk[i] = first_vectors(&s->from[i], count);
    VA_TRY(r->rows ? one_hot_rows(gpu, &to, r->rows + first) : va_block_one_hot(gpu, &to, first));
    VA_TRY(va_graph_vjp(s->p->graph, r->mode, s->p->sites[r->to].node, &to, r->nodes, r->n_from,
                        (va_row_range){f->first, f->count}, s->chunk));
    for (int64_t i = 0; i < r->n_from; i++) {
        VA_TRY(va_block_to_host(gpu, &s->chunk[i], s->rows));
        VA_TRY(fn(user, i, first, count, s->rows));
    }
done:
    return st;
}

static va_status check_positions(const va_prompt *p, const int64_t *from, int64_t n_from) {
    const prompt_site *a = &p->sites[from[0]];
    for (int64_t i = 1; i < n_from; i++) {
        const prompt_site *b = &p->sites[from[i]];
        char s[64], t[64];
        if (a->first != b->first || a->count != b->count)
            return va_fail(p->model->ctx, VA_ERR_USAGE,
                           "derivatives in one sweep: expected sources at the same positions, got "
                           "%s and %s",
                           va_site_text(&a->site, s), va_site_text(&b->site, t));
    }
    return VA_OK;
}

static va_status check_chosen(const va_prompt *p, const va_jacobians *j) {
    const prompt_site *to = &p->sites[j->to];
    char text[64];
    if (j->rows && j->n_rows < 1)
        return va_fail(p->model->ctx, VA_ERR_USAGE, "derivatives: expected at least one row of %s",
                       va_site_text(&to->site, text));
    for (int64_t i = 0; j->rows && i < j->n_rows; i++)
        if (j->rows[i] < 0 || j->rows[i] >= to->rows * to->width)
            return va_fail(p->model->ctx, VA_ERR_USAGE,
                           "derivatives: expected rows 0 to %lld of %s, got %lld",
                           (long long)(to->rows * to->width) - 1, va_site_text(&to->site, text),
                           (long long)j->rows[i]);
    return VA_OK;
}

va_status prompt_jacobians_request(va_prompt *p, va_arena *arena, const va_jacobians *j,
                                   prompt_request *r) {
    va_status st = VA_OK;
    va_ctx *ctx = p->model->ctx;
    va_node *nodes;
    if (j->n_from < 1)
        return va_fail(ctx, VA_ERR_USAGE, "derivatives in one sweep: expected at least one source");
    VA_TRY(prompt_check_request(p, j->from, j->n_from, j->to, j->mode));
    VA_TRY(check_positions(p, j->from, j->n_from));
    VA_TRY(check_chosen(p, j));
    VA_TRY_ALLOC(ctx, nodes, VA_NEW_ARRAY(arena, va_node, j->n_from));
    for (int64_t i = 0; i < j->n_from; i++)
        nodes[i] = p->sites[j->from[i]].full;
    *r = (prompt_request){.from = j->from,
                          .nodes = nodes,
                          .n_from = j->n_from,
                          .to = j->to,
                          .mode = j->mode,
                          .use = VA_MAP_DENSE,
                          .reverse = true,
                          .rows = j->rows,
                          .n_rows = j->n_rows};
done:
    return st;
}

va_status va_prompt_jacobians(va_prompt *prompt, const va_jacobians *j, const va_map_budget *budget,
                              va_source_rows_fn fn, void *user) {
    va_status st = VA_OK;
    va_ctx *ctx = prompt->model->ctx;
    va_arena *arena = NULL;
    va_map_plan plan;
    prompt_request r;
    many_sources s = {.p = prompt, .r = &r};
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY(prompt_jacobians_request(prompt, arena, j, &r));
    VA_TRY(prompt_fit(prompt, &r, budget, &plan));
    s.k = plan.k;
    VA_TRY(make_blocks(&s, arena));
    VA_TRY(prompt_forward(prompt));
    for (int64_t first = 0; first < plan.rows; first += s.k) {
        VA_TRY(va_check_interrupt(ctx));
        VA_TRY(sweep_chunk(&s, first, VA_MIN(s.k, plan.rows - first), fn, user));
    }
done:
    free_blocks(&s);
    va_arena_destroy(&arena);
    return st;
}
