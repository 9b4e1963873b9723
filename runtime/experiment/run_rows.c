// run_rows.c: captured activations of a concept's texts as rows of a matrix.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "run.h"

int64_t va_run_site_width(const va_run *run, const va_site *site) {
    const va_arch_config *c = va_model_config(run->e->plan.model);
    return site->kind == VA_SITE_LOGITS ? c->vocab_size : c->d_model;
}

int64_t va_run_capture_site(const va_run *run, const va_site *site) {
    const va_plan *p = &run->e->plan;
    for (int64_t i = 0; i < p->n_sites; i++)
        if (memcmp(&p->sites[i], site, sizeof *site) == 0)
            return i;
    return -1;
}

// The captured activation of a text at a capture site; NULL when its unit failed.
static const float *captured(const va_run *run, int64_t text, int64_t site) {
    const va_plan *p = &run->e->plan;
    char name[32];
    snprintf(name, sizeof name, "site%lld", (long long)site);
    for (int64_t i = 0; i < p->n_units; i++) {
        const va_unit *u = &p->units[i];
        if (u->kind != VA_UNIT_CAPTURE || text < u->first || text >= u->first + u->count)
            continue;
        const va_safetensors *t = va_store_tensors(run->store, i);
        const va_file_tensor *x = t ? va_safetensors_find(t, name) : NULL;
        return x ? (const float *)x->data + (text - u->first) * x->shape[1] : NULL;
    }
    return NULL;
}

va_status va_run_rows(va_run *run, va_arena *arena, int64_t concept_index, int64_t site,
                      const bool *held, bool want_held, va_rows *rows) {
    va_status st = VA_OK;
    const va_dataset *data = &run->e->plan.datasets[concept_index];
    *rows = (va_rows){.d = va_run_site_width(run, &run->e->plan.sites[site])};
    VA_TRY_ALLOC(run->ctx, rows->X, VA_NEW_ARRAY(arena, float, data->n * rows->d));
    VA_TRY_ALLOC(run->ctx, rows->label, VA_NEW_ARRAY(arena, float, data->n));
    for (int64_t i = 0; i < data->n; i++) {
        if (held && held[data->item[i]] != want_held)
            continue;
        const float *x = captured(run, data->text[i], site);
        if (!x) {
            st = va_fail(run->ctx, VA_ERR_NUMERIC, "activations of '%s' were not captured",
                         run->e->plan.texts[data->text[i]]);
            goto done;
        }
        memcpy(rows->X + rows->n * rows->d, x, (size_t)rows->d * sizeof *x);
        rows->label[rows->n++] = data->label[i];
    }
done:
    return st;
}
