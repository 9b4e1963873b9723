// run_probe.c: units about classifiers: capturing texts, training, the direction.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "vkalign/metric.h"
#include "vkalign/probe.h"

// -- capture -----------------------------------------------------------------------------------

static void tick(void *user, int64_t n_done) {
    va_run *run = user;
    va_run_progress(run, (double)n_done / (double)run->unit_texts, false);
}

va_status va_run_capture(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    const va_plan *p = &run->e->plan;
    const va_unit *u = &p->units[unit];
    va_arena *arena = va_arena_create();
    va_json *record = va_json_object();
    float **out = VA_NEW_ARRAY(arena, float *, p->n_sites);
    va_file_tensor *tensors = VA_NEW_ARRAY(arena, va_file_tensor, p->n_sites);
    for (int64_t s = 0; s < p->n_sites; s++) {
        int64_t width = va_run_site_width(run, &p->sites[s]);
        VA_TRY_ALLOC(run->ctx, out[s], VA_NEW_ARRAY(arena, float, u->count *width));
        tensors[s] = (va_file_tensor){.name = va_arena_printf(arena, "site%lld", (long long)s),
                                      .dtype = VA_F32,
                                      .n_dim = 2,
                                      .shape = {u->count, width},
                                      .data = out[s]};
    }
    va_capture_params params = {.texts = p->texts + u->first,
                                .n_texts = u->count,
                                .concepts = p->text_concept + u->first,
                                .sites = p->sites,
                                .n_sites = p->n_sites,
                                .batch = VA_CAPTURE_BATCH};
    double t0 = va_time_s();
    run->unit_texts = u->count;
    VA_TRY(va_capture(p->model, &params, tick, run, out));
    va_json_add_double(record, "seconds", va_time_s() - t0);
    VA_TRY(va_store_put(run->store, unit, tensors, p->n_sites, record));
done:
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}

// -- the split ----------------------------------------------------------------------------------

// Marks a share of the items of each class as held out, at least one of each. The same for every
// classifier of the concept.
static va_status split_items(va_run *run, va_arena *arena, const va_unit *u, double share,
                             bool **held) {
    va_status st = VA_OK;
    const va_dataset *data = &run->e->plan.datasets[u->concept_index];
    const char *name = run->e->spec.concepts[u->concept_index].name;
    va_rng rng = va_rng_make((uint64_t)run->e->spec.seed,
                             va_hash64(va_arena_printf(arena, "split/%s", name)));
    int64_t *order = VA_NEW_ARRAY(arena, int64_t, data->n_items);
    float *label = VA_NEW_ARRAY(arena, float, data->n_items);
    VA_TRY_ALLOC(run->ctx, *held, VA_NEW_ARRAY(arena, bool, data->n_items));
    int64_t count[2] = {0, 0}, quota[2];
    for (int64_t i = 0; i < data->n; i++)
        label[data->item[i]] = data->label[i];
    for (int64_t i = 0; i < data->n_items; i++) {
        order[i] = i;
        count[label[i] > 0]++;
    }
    for (int c = 0; c < 2; c++)
        quota[c] = VA_MAX(1, (int64_t)(share * (double)count[c] + 0.5));
    va_rng_shuffle(&rng, order, data->n_items);
    for (int64_t i = 0; i < data->n_items; i++) {
        int c = label[order[i]] > 0;
        (*held)[order[i]] = quota[c]-- > 0;
    }
done:
    return st;
}

// -- the classifier ----------------------------------------------------------------------------

static va_status score(va_run *run, va_arena *arena, const va_mlp *mlp, const va_rows *train,
                       const va_rows *test, va_json *record) {
    va_status st = VA_OK;
    double *logits = VA_NEW_ARRAY(arena, double, test->n);
    float *raw = VA_NEW_ARRAY(arena, float, test->n);
    bool *truth = VA_NEW_ARRAY(arena, bool, test->n);
    int64_t n_positive = 0;
    va_metric_scores scores;
    double auroc = 0;
    if (!logits || !raw || !truth)
        return va_fail(run->ctx, VA_ERR_MEMORY, "out of host memory");
    va_mlp_logits(mlp, test->X, test->n, raw);
    for (int64_t i = 0; i < test->n; i++) {
        logits[i] = raw[i];
        truth[i] = test->label[i] > 0;
        n_positive += truth[i];
    }
    VA_TRY(va_metric_classify(run->ctx, logits, truth, test->n, 0, &scores));
    VA_TRY(va_metric_auroc(run->ctx, logits, truth, test->n, &auroc));
    va_json *c = va_json_add_object(record, "classifier");
    double p = (double)n_positive / (double)test->n;
    va_json_add_int(c, "n_train", train->n);
    va_json_add_int(c, "n_test", test->n);
    va_json_add_int(c, "n_test_positive", n_positive);
    va_json_add_double(c, "f1", scores.f1);
    va_json_add_double(c, "f1_all_positive", 2 * p / (1 + p)); // what saying yes always would get
    va_json_add_double(c, "accuracy", scores.accuracy);
    va_json_add_double(c, "auroc", auroc);
done:
    return st;
}

static va_status put(va_run *run, int64_t unit, const va_site *site, const va_mlp *m,
                     float *direction, va_json *record) {
    const va_file_tensor t[] = {
        {.name = "0.weight", .dtype = VA_F32, .n_dim = 2, .shape = {m->h1, m->d}, .data = m->W1},
        {.name = "0.bias", .dtype = VA_F32, .n_dim = 1, .shape = {m->h1}, .data = m->b1},
        {.name = "3.weight", .dtype = VA_F32, .n_dim = 2, .shape = {m->h2, m->h1}, .data = m->W2},
        {.name = "3.bias", .dtype = VA_F32, .n_dim = 1, .shape = {m->h2}, .data = m->b2},
        {.name = "6.weight", .dtype = VA_F32, .n_dim = 2, .shape = {1, m->h2}, .data = m->W3},
        {.name = "6.bias", .dtype = VA_F32, .n_dim = 1, .shape = {1}, .data = m->b3},
    };
    return va_run_put_direction(run, unit, site, direction, m->d, record, t, VA_COUNT(t));
}

static va_mlp_params mlp_params(const va_run *run, const va_direction_spec *dir, const va_unit *u) {
    return (va_mlp_params){
        .h1 = dir->hidden[0],
        .h2 = dir->hidden[1],
        .epochs = dir->epochs,
        .batch = dir->batch,
        .learning_rate = (float)dir->learning_rate,
        .weight_decay = dir->weight_decay > 0 ? (float)dir->weight_decay : -1,
        .dropout = dir->dropout > 0 ? (float)dir->dropout : -1,
        .seed = (uint64_t)run->e->spec.seed ^ va_hash64(u->name),
    };
}

va_status va_run_mlp(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    const va_unit *u = &e->plan.units[unit];
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    va_arena *arena = va_arena_create();
    va_json *record = va_json_object();
    va_rows train = {0}, test = {0};
    bool *held = NULL;
    float *v = NULL;
    va_mlp mlp = {0};
    va_site site = {0};
    va_plan_site(e, dir, dir->site, u->layer, &site); // checked when planned
    int64_t s = va_run_capture_site(run, &site);
    double t0 = va_time_s();
    VA_TRY(split_items(run, arena, u, dir->held_out, &held));
    VA_TRY(va_run_rows(run, arena, u->concept_index, s, held, false, &train));
    VA_TRY(va_run_rows(run, arena, u->concept_index, s, held, true, &test));
    va_mlp_params params = mlp_params(run, dir, u);
    VA_TRY(va_mlp_train(run->gpu, arena, train.X, train.n, train.d, train.label, 1, &params, &mlp,
                        NULL));
    VA_TRY_ALLOC(run->ctx, v, VA_NEW_ARRAY(arena, float, train.d));
    VA_TRY(va_mlp_direction(run->ctx, &mlp, VA_MLP_W1_SVD, train.X, train.n, v, NULL));
    va_json_add_string(record, "method", "MLP classifier, top right singular vector of layer 1");
    va_json_add_string(record, "orientation", "the classifier's logit rises along it on average");
    VA_TRY(score(run, arena, &mlp, &train, &test, record));
    va_json_add_double(record, "seconds", va_time_s() - t0);
    VA_TRY(put(run, unit, &site, &mlp, v, record));
done:
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}
