// measure_items.c: metrics of a concept's own items: activations at two sites, and one method's
// direction on the other's held-out items.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "fit.h"
#include "measure.h"

// -- activations at two sites --------------------------------------------------------------------

// The mean activation of each item over its texts, which depend on each other: items are what
// chance may permute.
static va_status site_rows(va_measure *m, int k, va_metric_rows *out) {
    va_status st = VA_OK;
    const va_experiment *e = m->run->e;
    const va_unit *u = &e->plan.units[m->unit[k]];
    const va_dataset *data = &e->plan.datasets[m->concept_index];
    va_rows texts;
    float *mean;
    int64_t *count;
    VA_TRY(va_run_texts(m->run, m->arena, &e->spec.directions[u->direction], u->layer, &texts));
    VA_TRY_ALLOC(m->run->ctx, mean, VA_NEW_ARRAY(m->arena, float, data->n_items *texts.d));
    VA_TRY_ALLOC(m->run->ctx, count, VA_NEW_ARRAY(m->arena, int64_t, data->n_items));
    for (int64_t r = 0; r < data->n; r++)
        count[data->item[r]]++;
    for (int64_t r = 0; r < data->n; r++)
        for (int64_t j = 0; j < texts.d; j++)
            mean[data->item[r] * texts.d + j] +=
                texts.X[data->text[r] * texts.d + j] / (float)count[data->item[r]];
    *out = (va_metric_rows){mean, data->n_items, texts.d};
done:
    return st;
}

static va_status add_cka_null(va_measure *m, const va_metric_rows *X, const va_metric_rows *Y) {
    va_status st = VA_OK;
    const int64_t n = m->run->e->spec.chance.permutations;
    va_rng rng = va_measure_rng(m, "null.cka");
    va_json *null = va_measure_null(m, "permutation");
    double *draws;
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    VA_TRY(
        va_metric_cka_null(m->run->ctx, VA_METRIC_CKA_UNBIASED, X, Y, &rng, n, &m->value, draws));
    VA_TRY(va_measure_draws(m, null, VA_METRIC_TAIL_GREATER, 0, draws, n, 0));
done:
    return st;
}

va_status va_measure_cka(va_measure *m) {
    va_status st = VA_OK;
    va_metric_rows X, Y;
    double biased;
    VA_TRY(site_rows(m, 0, &X));
    VA_TRY(site_rows(m, 1, &Y));
    VA_TRY(va_metric_cka(m->run->ctx, VA_METRIC_CKA_BIASED, &X, &Y, &biased));
    VA_TRY(va_metric_cka(m->run->ctx, VA_METRIC_CKA_UNBIASED, &X, &Y, &m->value));
    if (m->metric->nulls.n > 0)
        VA_TRY(va_measure_null_failed(m, "permutation", add_cka_null(m, &X, &Y)));
    va_json_add_double(m->out, "cka", m->value);
    va_json_add_double(m->out, "cka_biased", biased);
    va_json_add_int(m->out, "n_items", X.n);
done:
    return st;
}

// -- transfer ------------------------------------------------------------------------------------

typedef struct transfer {
    va_rows train, test;
    const float *label; // [train.n]
    const bool *truth;  // [test.n]
    double *scores;     // [max of both]
} transfer;

static va_status take_items(va_measure *m, transfer *t) {
    va_status st = VA_OK;
    va_run *run = m->run;
    const va_unit *u = &run->e->plan.units[m->unit[1]];
    const va_direction_spec *dir = &run->e->spec.directions[u->direction];
    va_rows texts;
    va_items items;
    va_fit_problem problem;
    int64_t *row, n;
    bool *truth;
    VA_TRY(va_run_texts(run, m->arena, dir, u->layer, &texts));
    VA_TRY(va_run_split(run, m->arena, m->concept_index, 0, dir->held_out, &items));
    VA_TRY(va_run_problem(run, m->arena, &items, &problem));
    VA_TRY(va_run_held_out(run, m->arena, &items, &row, &truth, &n));
    VA_TRY(va_run_gather(run, m->arena, &texts, problem.rows, problem.n, &t->train));
    VA_TRY(va_run_gather(run, m->arena, &texts, row, n, &t->test));
    t->label = problem.labels;
    t->truth = truth;
    VA_TRY_ALLOC(run->ctx, t->scores,
                 VA_NEW_ARRAY(m->arena, double, VA_MAX(t->train.n, t->test.n)));
done:
    return st;
}

static void project(const va_rows *rows, const float *v, double *scores) {
    for (int64_t i = 0; i < rows->n; i++) {
        scores[i] = 0;
        for (int64_t j = 0; j < rows->d; j++)
            scores[i] += (double)rows->X[i * rows->d + j] * v[j];
    }
}

// Midway between the class means of the training items along the direction.
static double threshold_of(transfer *t, const float *v) {
    double sum[2] = {0, 0}, n[2] = {0, 0};
    project(&t->train, v, t->scores);
    for (int64_t i = 0; i < t->train.n; i++) {
        const int k = t->label[i] > 0;
        sum[k] += t->scores[i];
        n[k]++;
    }
    return (sum[0] / n[0] + sum[1] / n[1]) / 2;
}

static va_status auroc_of(va_measure *m, transfer *t, const float *v, double *auroc) {
    project(&t->test, v, t->scores);
    return va_metric_auroc(m->run->ctx, t->scores, t->truth, t->test.n, auroc);
}

// Vectors as long as the direction.
static va_status add_random(va_measure *m, transfer *t, va_json *null) {
    va_status st = VA_OK;
    const int64_t n = m->run->e->spec.chance.draws, d = m->frame[0].d;
    va_rng rng = va_measure_rng(m, "null.random");
    double *draws, norm = 1;
    float *row;
    va_json_as_double(va_json_get(va_store_record(m->run->store, m->unit[0]), "norm"), &norm);
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    VA_TRY_ALLOC(m->run->ctx, row, VA_NEW_ARRAY(m->arena, float, d));
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(va_metric_random_directions(m->run->ctx, norm, d, &rng, 1, row));
        VA_TRY(auroc_of(m, t, row, &draws[i]));
    }
    VA_TRY(va_measure_draws(m, null, VA_METRIC_TAIL_ABS, 0.5, draws, n, 0));
    va_json_add_double(null, "norm", norm);
done:
    return st;
}

// The direction found again from permuted labels.
static va_status add_permutation(va_measure *m, transfer *t, va_json *null) {
    va_status st = VA_OK;
    int64_t n, size, n_failed, n_draws = 0;
    const float *frames;
    double *draws;
    VA_TRY(va_measure_permuted(m, 0, &frames, &n, &size, &n_failed));
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    for (int64_t i = 0; i < n; i++)
        if (n_failed == 0 || !va_measure_is_zero(frames + i * size, size))
            VA_TRY(auroc_of(m, t, frames + i * size, &draws[n_draws++]));
    VA_TRY(va_measure_draws(m, null, VA_METRIC_TAIL_ABS, 0.5, draws, n_draws, n_failed));
done:
    return st;
}

// By chance .5.
static va_status add_null(va_measure *m, transfer *t, const char *name) {
    va_json *null = va_measure_null(m, name);
    return va_measure_null_failed(m, name,
                                  strcmp(name, "permutation") == 0 ? add_permutation(m, t, null)
                                                                   : add_random(m, t, null));
}

va_status va_measure_transfer(va_measure *m) {
    va_status st = VA_OK;
    const float *v = m->frame[0].rows;
    transfer t = {0};
    va_metric_scores scores;
    VA_TRY(take_items(m, &t));
    const double threshold = threshold_of(&t, v);
    VA_TRY(auroc_of(m, &t, v, &m->value));
    VA_TRY(va_metric_classify(m->run->ctx, t.scores, t.truth, t.test.n, threshold, &scores));
    va_json_add_double(m->out, "auroc", m->value);
    va_json_add_double(m->out, "f1", scores.f1);
    va_json_add_double(m->out, "accuracy", scores.accuracy);
    va_json_add_double(m->out, "threshold", threshold);
    va_json_add_int(m->out, "n_test", t.test.n);
    for (int64_t i = 0; i < m->metric->nulls.n; i++)
        VA_TRY(add_null(m, &t, m->metric->nulls.item[i]));
done:
    return st;
}
