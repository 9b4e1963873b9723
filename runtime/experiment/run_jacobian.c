// run_jacobian.c: one unit: the direction J x of a prompt.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

// std(y - Jx) / std(y): how far the map alone reproduces the output.
static double reconstruction_error(const float *y, const float *Jx, int64_t n) {
    double mean_e = 0, mean_y = 0, var_e = 0, var_y = 0;
    for (int64_t i = 0; i < n; i++) {
        mean_e += ((double)y[i] - Jx[i]) / (double)n;
        mean_y += (double)y[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        double e = (double)y[i] - Jx[i] - mean_e, v = y[i] - mean_y;
        var_e += e * e;
        var_y += v * v;
    }
    return sqrt(var_e / var_y);
}

// Positions of one site become one vector: their mean.
static void mean_rows(float *x, int64_t rows, int64_t width) {
    for (int64_t i = 0; rows > 1 && i < width; i++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            sum += x[r * width + i];
        x[i] = (float)(sum / (double)rows);
    }
}

static va_status add_record(va_json *record, const va_direction_spec *dir,
                            const va_plan_prompt *prompt, const va_site sites[2], double forward_s,
                            double jvp_s, double error) {
    char text[64];
    va_json_add_string(record, "method",
                       dir->mode == VA_EXACT ? "jacobian exact J x" : "jacobian detached J x");
    va_json_add_string(record, "orientation", "as J x gives it: the sign is not free");
    va_json_add_string(record, "from", va_site_text(&sites[0], text));
    va_json_add_string(record, "mode", dir->mode == VA_EXACT ? "exact" : "detached");
    va_json_add_string(record, "prompt", prompt->text);
    va_json_add_int(record, "n_tokens", prompt->n_ids);
    va_json_add_double(record, "forward_time", forward_s);
    va_json_add_double(record, "jvp_time", jvp_s);
    va_json_add_double(record, "jacobian_time", forward_s + jvp_s);
    va_json_add_double(record, "reconstruction_error", error);
    return VA_OK;
}

va_status va_run_jacobian(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    va_ctx *ctx = run->ctx;
    va_experiment *e = run->e;
    const va_unit *u = &e->plan.units[unit];
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const va_plan_prompt *text = &e->plan.prompts[u->concept_index * e->spec.prompts.n + u->prompt];
    va_prompt *prompt = NULL;
    va_linmap *map = NULL;
    va_json *record = va_json_object();
    va_arena *arena = va_arena_create();
    va_site sites[2];
    if (!va_plan_site(e, dir, dir->from, u->layer, &sites[0]) ||
        !va_plan_site(e, dir, dir->to, u->layer, &sites[1])) {
        st = va_fail(ctx, VA_ERR_SPEC, "directions.%s: bad site", dir->name);
        goto done;
    }
    va_prompt_params params = {.ids = text->ids,
                               .seq_len = text->n_ids,
                               .sites = sites,
                               .n_sites = 2,
                               .derivatives = true,
                               .modes = 1u << dir->mode,
                               .concept_first = text->concept_first,
                               .concept_count = text->concept_count};
    int64_t rows = 0, width = 0;
    float *y = NULL, *Jx = NULL;
    VA_TRY(va_prompt_create(e->plan.model, &params, &prompt));
    va_prompt_site_shape(prompt, 1, &rows, &width);
    VA_TRY_ALLOC(ctx, y, VA_NEW_ARRAY(arena, float, rows *width));
    VA_TRY_ALLOC(ctx, Jx, VA_NEW_ARRAY(arena, float, rows *width));
    double t0 = va_time_s();
    VA_TRY(va_prompt_read(prompt, 1, y));
    double t1 = va_time_s();
    VA_TRY(va_prompt_linmap(prompt, 0, 1, dir->mode, &(va_map_budget){.max_k = 1}, &map));
    VA_TRY(va_prompt_jx(prompt, 0, 1, map, Jx));
    double t2 = va_time_s();
    VA_TRY(add_record(record, dir, text, sites, t1 - t0, t2 - t1,
                      reconstruction_error(y, Jx, rows * width)));
    mean_rows(Jx, rows, width);
    VA_TRY(va_run_put_direction(run, unit, &sites[1], Jx, width, record, NULL, 0));
done:
    va_linmap_destroy(&map);
    va_prompt_destroy(&prompt);
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}
