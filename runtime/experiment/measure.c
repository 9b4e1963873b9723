// measure.c: a metric at a concept, a layer and a prompt.
// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// -- chance --------------------------------------------------------------------------------------

va_rng va_measure_rng(const va_measure *m, const char *what) {
    const va_experiment *e = m->run->e;
    uint64_t stream = va_hash64(what);
    for (int k = 0; k < 2; k++)
        stream = stream * 31 + va_hash64(e->plan.units[m->unit[k]].name);
    return va_rng_make((uint64_t)e->spec.seed, stream);
}

va_json *va_measure_null(va_measure *m, const char *name) {
    va_json *nulls = (va_json *)va_json_get(m->out, "nulls");
    if (!nulls)
        nulls = va_json_add_object(m->out, "nulls");
    return va_json_add_object(nulls, name);
}

va_status va_measure_draws(va_measure *m, va_json *null, va_metric_tail tail, double centre,
                           double *draws, int64_t n, int64_t n_failed) {
    // A draw may be the data again (few items have few permutations); it then differs by the
    // rounding of float32 vectors, and is as far out as the data.
    static const double ROUNDING = 1e-6;
    va_status st = VA_OK;
    va_metric_summary s;
    const double got = m->value - centre;
    const double out = tail == VA_METRIC_TAIL_ABS ? fmax(fabs(got) - ROUNDING, 0) : got - ROUNDING;
    double p;
    VA_TRY(va_check_interrupt(m->run->ctx));
    VA_TRY(va_metric_summarize(m->run->ctx, draws, n, &s));
    for (int64_t i = 0; i < n; i++)
        draws[i] -= centre;
    VA_TRY(va_metric_tail_p(m->run->ctx, tail, out, draws, n, &p));
    // A draw that failed may have gone as far as any: it counts against the result.
    p = (p * (double)(n + 1) + (double)n_failed) / (double)(n + 1 + n_failed);
    va_json_add_double(null, "mean", s.mean);
    va_json_add_double(null, "std", s.std);
    va_record_range(null, (const char *const[]){"low", "high"}, tail, m->run->e->spec.chance.alpha,
                    centre, draws, n);
    va_json_add_double(null, "p_value", p);
    va_json_add_string(null, "tail", va_metric_tail_name(tail));
    va_json_add_int(null, "n_draws", n);
    if (n_failed > 0)
        va_json_add_int(null, "n_failed", n_failed);
done:
    return st;
}

va_status va_measure_null_failed(va_measure *m, const char *name, va_status st) {
    if (st == VA_OK || va_run_is_fatal(st))
        return st;
    va_json *null = (va_json *)va_json_get(va_json_get(m->out, "nulls"), name);
    va_json_add_string(null, "error", va_error_message(m->run->ctx));
    va_log(m->run->ctx, VA_LOG_WARN, "%s: %s: %s", m->metric->name, name,
           va_error_message(m->run->ctx));
    if (!m->error)
        m->error = va_arena_printf(m->run->arena, "no chance level %s: %s", name,
                                   va_error_message(m->run->ctx));
    return VA_OK;
}

va_status va_measure_permuted(va_measure *m, int side, const float **frames, int64_t *n,
                              int64_t *size, int64_t *n_failed) {
    const va_experiment *e = m->run->e;
    const int64_t unit = va_plan_find_drawn(e, VA_UNIT_PERMUTED, m->metric->index[side], m->layer);
    int64_t rank, d;
    *frames = va_run_drawn_frames(m->run, unit, m->concept_index, n, &rank, &d);
    if (!*frames)
        return va_fail(m->run->ctx, VA_ERR_PARTIAL, "%s failed", e->plan.units[unit].name);
    *size = rank * d;
    *n_failed = va_run_drawn_count(m->run, unit, m->concept_index, "n_failed");
    return VA_OK;
}

bool va_measure_is_zero(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0)
            return false;
    return true;
}

// -- the metric ----------------------------------------------------------------------------------

static va_status take_frame(va_measure *m, int k) {
    va_run *run = m->run;
    const va_experiment *e = run->e;
    const int64_t unit =
        va_plan_find(e, m->metric->index[k], m->concept_index, m->layer, m->prompt, 0);
    const va_file_tensor *t = va_run_direction(run, unit);
    m->unit[k] = unit;
    if (!t) {
        const char *why = va_store_error(run->store, unit);
        return va_fail(run->ctx, VA_ERR_PARTIAL, "%s: %s", e->plan.units[unit].name,
                       why ? why : "not computed");
    }
    const va_file_tensor *sigma = va_safetensors_find(va_store_tensors(run->store, unit), "sigma");
    m->frame[k] = (va_frame){.rows = t->data,
                             .rank = t->n_dim == 2 ? t->shape[0] : 1,
                             .d = t->shape[t->n_dim - 1],
                             .sigma = sigma ? sigma->data : NULL};
    return VA_OK;
}

static const char *site_of(const va_measure *m, int k) {
    return va_json_as_string(va_json_get(va_store_record(m->run->store, m->unit[k]), "site"));
}

static va_status begin(va_measure *m) {
    va_status st = VA_OK;
    const va_metric_spec *metric = m->metric;
    VA_TRY(take_frame(m, 0));
    VA_TRY(take_frame(m, 1));
    m->rank = VA_MIN(m->frame[0].rank, m->frame[1].rank);
    if (metric->n_ranks == 1)
        m->rank = VA_MIN(m->rank, metric->ranks[0]);
    if (metric->kind != VA_METRIC_CKA && metric->kind != VA_METRIC_SPECTRUM &&
        m->frame[0].d != m->frame[1].d)
        return va_fail(m->run->ctx, VA_ERR_SHAPE,
                       "metric '%s': directions of %lld and %lld dimensions cannot be compared",
                       metric->name, (long long)m->frame[0].d, (long long)m->frame[1].d);
done:
    return st;
}

static void add_head(va_measure *m) {
    va_json_add_string(m->out, "name", m->metric->name);
    va_json_add_string(m->out, "kind", va_metric_kind_names[m->metric->kind]);
    va_json_add_int(m->out, "dimension", m->frame[1].d);
    va_json *sites = va_json_add_array(m->out, "sites");
    va_json *names = va_json_add_array(m->out, "directions");
    for (int k = 0; k < 2; k++) {
        va_json_add_string(sites, NULL, site_of(m, k));
        va_json_add_string(names, NULL, m->run->e->plan.units[m->unit[k]].name);
    }
    va_json_add_bool(m->out, "across_sites", strcmp(site_of(m, 0), site_of(m, 1)) != 0);
}

static va_status measure(va_measure *m) {
    switch (m->metric->kind) {
    case VA_METRIC_COSINE:
        return va_measure_cosine(m);
    case VA_METRIC_SUBSPACE:
        return va_measure_subspace(m);
    case VA_METRIC_SPECTRUM:
        return va_measure_spectrum(m);
    case VA_METRIC_CKA:
        return va_measure_cka(m);
    case VA_METRIC_TRANSFER:
        return va_measure_transfer(m);
    case VA_METRIC_AGREEMENT:
    case VA_METRIC_SPEARMAN:
        break; // of several results: aggregate.c
    }
    return VA_OK;
}

va_status va_measure_add(va_run *run, const va_metric_spec *metric, int64_t concept_index,
                         int64_t layer, int64_t prompt, va_json *list) {
    va_status st = VA_OK;
    va_measure m = {.run = run,
                    .metric = metric,
                    .concept_index = concept_index,
                    .layer = layer,
                    .prompt = prompt,
                    .arena = va_arena_create(),
                    .out = va_json_object()};
    VA_TRY_ALLOC(run->ctx, m.out, m.arena ? m.out : NULL);
    VA_TRY(begin(&m));
    add_head(&m);
    VA_TRY(measure(&m));
    va_json_add_double(m.out, "value", m.value);
    va_json_add(list, NULL, m.out);
    m.out = NULL;
    if (m.error) // the number stands, and what it is compared with does not
        st = va_fail(run->ctx, VA_ERR_PARTIAL, "%s", m.error);
done:
    va_json_free(&m.out);
    va_arena_destroy(&m.arena);
    return st;
}
