// run_probe.c: one unit: a direction learnt from a concept's items, and what it is worth on those
// held out.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "vkalign/metric.h"

typedef struct probe {
    va_run *run;
    int64_t unit;
    va_arena *arena;
    const va_rows *texts;
    const va_items *items;
    const va_fit_problem *problem;
    va_json *record;
} probe;

// -- on held-out items ---------------------------------------------------------------------------

// Scores of rows X: the logit of a network, w x + b of a linear model.
static va_status score_rows(const probe *p, const va_fitted *fitted, const va_rows *rows,
                            double *scores) {
    va_status st = VA_OK;
    float *logits;
    VA_TRY_ALLOC(p->run->ctx, logits, VA_NEW_ARRAY(p->arena, float, rows->n));
    if (fitted->model)
        va_linear_scores(fitted->model, rows->X, rows->n, scores);
    else
        va_mlp_logits(fitted->mlp, rows->X, rows->n, logits);
    for (int64_t i = 0; fitted->mlp && i < rows->n; i++)
        scores[i] = logits[i];
done:
    return st;
}

static void add_scores(va_json *record, const va_metric_scores *scores, double auroc,
                       int64_t n_train, int64_t n_test, int64_t n_positive) {
    const double share = (double)n_positive / (double)n_test;
    va_json *c = va_json_add_object(record, "classifier");
    va_json_add_int(c, "n_train", n_train);
    va_json_add_int(c, "n_test", n_test);
    va_json_add_int(c, "n_test_positive", n_positive);
    va_json_add_double(c, "f1", scores->f1);
    va_json_add_double(c, "f1_all_positive", 2 * share / (1 + share)); // of saying yes always
    va_json_add_double(c, "accuracy", scores->accuracy);
    va_json_add_double(c, "auroc", auroc);
}

static va_status judge(const probe *p, const va_fitted *fitted) {
    va_status st = VA_OK;
    va_run *run = p->run;
    int64_t *row, n;
    bool *truth;
    double *scores, auroc;
    va_rows rows;
    va_metric_scores s;
    int64_t n_positive = 0;
    VA_TRY(va_run_held_out(run, p->arena, p->items, &row, &truth, &n));
    VA_TRY(va_run_gather(run, p->arena, p->texts, row, n, &rows));
    VA_TRY_ALLOC(run->ctx, scores, VA_NEW_ARRAY(p->arena, double, n));
    VA_TRY(score_rows(p, fitted, &rows, scores));
    VA_TRY(va_metric_classify(run->ctx, scores, truth, n, 0, &s));
    VA_TRY(va_metric_auroc(run->ctx, scores, truth, n, &auroc));
    for (int64_t i = 0; i < n; i++)
        n_positive += truth[i];
    add_scores(p->record, &s, auroc, p->problem->n, n, n_positive);
done:
    return st;
}

// -- the unit ------------------------------------------------------------------------------------

static const char *const method_texts[][2] = {
    // how it is found, how its sign is chosen
    [VA_DIRECTION_MLP] = {"MLP classifier", "the classifier's logit rises along it on average"},
    [VA_DIRECTION_LOGISTIC] = {"logistic regression", "the logit rises along it"},
    [VA_DIRECTION_DIFFERENCE] = {"difference of means", "from negatives to positives"},
    [VA_DIRECTION_PCA] = {"first principal components of paired differences",
                          "positives lie above negatives on average"},
    [VA_DIRECTION_LDA] = {"linear discriminant analysis", "from negatives to positives"},
};
static const char *const mlp_texts[] = {
    [VA_MLP_W1_SVD] = "MLP classifier, top right singular vector of layer 1",
    [VA_MLP_MEAN_GRADIENT] = "MLP classifier, mean gradient of the logit",
    [VA_MLP_WEIGHTED_W1] = "MLP classifier, top right singular vector of weighted layer 1",
};

static va_status put_network(const probe *p, const va_site *site, const va_fitted *f) {
    va_file_tensor t[VA_MLP_TENSORS];
    va_mlp_tensors(f->mlp, t);
    return va_run_put_frame(p->run, p->unit, site, f, p->record, t, VA_COUNT(t));
}

static va_status put_linear(const probe *p, const va_site *site, const va_fitted *f) {
    const float bias = (float)f->model->b;
    const va_file_tensor t[] = {
        {.name = "weight", .dtype = VA_F32, .n_dim = 2, .shape = {1, f->d}, .data = f->model->w},
        {.name = "bias", .dtype = VA_F32, .n_dim = 1, .shape = {1}, .data = &bias},
    };
    return va_run_put_frame(p->run, p->unit, site, f, p->record, t, VA_COUNT(t));
}

static va_status on_fitted(void *user, int64_t problem, const va_fitted *f) {
    va_status st = VA_OK;
    const probe *p = user;
    va_experiment *e = p->run->e;
    const va_unit *u = &e->plan.units[p->unit];
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    va_site site = {0};
    (void)problem;
    va_plan_site(e, dir, dir->site, u->layer, &site); // checked when planned
    va_json_add_string(p->record, "method",
                       f->mlp ? mlp_texts[dir->direction] : method_texts[dir->kind][0]);
    va_json_add_string(p->record, "orientation", method_texts[dir->kind][1]);
    va_json_add_int(p->record, "seed", e->spec.seed + u->seed);
    if (dir->kind == VA_DIRECTION_LOGISTIC) {
        va_json_add_bool(p->record, "converged", f->model->converged);
        va_json_add_int(p->record, "iterations", f->model->iterations);
        va_json_add_double(p->record, "gradient_norm", f->model->gradient_norm);
    }
    VA_TRY(judge(p, f));
    VA_TRY(f->mlp ? put_network(p, &site, f) : put_linear(p, &site, f));
done:
    return st;
}

va_status va_run_probe(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    const va_unit *u = &run->e->plan.units[unit];
    const va_direction_spec *dir = &run->e->spec.directions[u->direction];
    va_arena *arena = va_arena_create();
    va_json *record = va_json_object();
    va_rows texts;
    va_items items;
    va_fit_problem problem;
    probe p = {run, unit, arena, &texts, &items, &problem, record};
    VA_TRY_ALLOC(run->ctx, record, arena ? record : NULL);
    VA_TRY(va_run_texts(run, arena, dir, u->layer, &texts));
    VA_TRY(va_run_split(run, arena, u->concept_index, u->seed, dir->held_out, &items));
    VA_TRY(va_run_problem(run, arena, &items, &problem));
    VA_TRY(va_run_fit(run, dir, &texts, &problem, 1, on_fitted, &p));
done:
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}
