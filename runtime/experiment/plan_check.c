// plan_check.c: what only the model's widths and the number of items show to be wrong.
// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

// Of a direction, which is the same at every layer.
static int64_t width_of(va_experiment *e, const va_direction_spec *dir) {
    va_site site = {0};
    va_plan_site(e, dir, va_direction_site(dir), e->spec.layers[0], &site); // checked before
    return va_plan_site_width(e, &site);
}

// -- vectors of a frame --------------------------------------------------------------------------

// Training rows of the smaller class of a concept: pairs of rows that differ in it, at most. The
// definition, which is one row, is taken for as many as an item has.
static int64_t most_pairs(const va_experiment *e, double held_out, const va_dataset *data) {
    int64_t n[2] = {0, 0};
    for (int64_t r = 0; r < data->n; r++)
        if (r == 0 || data->item[r] != data->item[r - 1])
            n[data->label[r] > 0]++;
    for (int k = 0; k < 2; k++)
        n[k] -= va_items_held(held_out, n[k]);
    return VA_MIN(n[0], n[1]) * e->spec.templates.n;
}

static void check_rank(va_experiment *e, const va_direction_spec *dir, int64_t most,
                       const char *what) {
    if (dir->rank > most)
        va_diagnose(&e->diag, dir->place, "", "directions.%s.rank: %lld exceeds %s (%lld)",
                    dir->name, (long long)dir->rank, what, (long long)most);
}

static void check_frame(va_experiment *e, const va_direction_spec *dir) {
    check_rank(e, dir, width_of(e, dir), "the site's width");
    if (dir->kind == VA_DIRECTION_MLP)
        check_rank(e, dir, dir->hidden[0], "the first hidden layer's");
    if (dir->kind != VA_DIRECTION_PCA)
        return;
    int64_t least = INT64_MAX;
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        least = VA_MIN(least, most_pairs(e, dir->held_out, &e->plan.datasets[c]));
    check_rank(e, dir, least, "the training pairs of a concept");
}

// -- widths --------------------------------------------------------------------------------------

static void check_widths(va_experiment *e, const va_metric_spec *m) {
    const bool need = m->kind == VA_METRIC_COSINE || m->kind == VA_METRIC_SUBSPACE ||
                      m->kind == VA_METRIC_TRANSFER;
    if (!need)
        return;
    const va_direction_spec *a = &e->spec.directions[m->index[0]];
    const va_direction_spec *b = &e->spec.directions[m->index[1]];
    const int64_t d_a = width_of(e, a), d_b = width_of(e, b);
    if (d_a != d_b)
        va_diagnose(
            &e->diag, m->place, "",
            "metric '%s': '%s' has %lld dimensions at %s and '%s' %lld at %s; they cannot be "
            "compared",
            m->name, a->name, (long long)d_a, va_direction_site(a), b->name, (long long)d_b,
            va_direction_site(b));
}

// -- many fits -----------------------------------------------------------------------------------

// All frames of a drawn unit are held on the host, and saved as one tensor.
void va_plan_check_drawn(va_experiment *e) {
    static const double most_bytes = 4e9;
    for (int64_t i = 0; i < e->plan.n_units; i++) {
        const va_unit *u = &e->plan.units[i];
        if (u->kind != VA_UNIT_PERMUTED && u->kind != VA_UNIT_RESAMPLED)
            continue;
        const va_direction_spec *dir = &e->spec.directions[u->direction];
        const double bytes = 4.0 * (double)e->spec.n_concepts * (double)u->count *
                             (double)dir->rank * (double)width_of(e, dir);
        if (bytes > most_bytes)
            va_diagnose(&e->diag, dir->place,
                        "fewer chance.permutations or resamples, or another "
                        "rank",
                        "directions.%s: %lld draws for %lld concepts are %.3g bytes of "
                        "directions; expected at most %.3g",
                        dir->name, (long long)u->count, (long long)e->spec.n_concepts, bytes,
                        most_bytes);
    }
}

void va_plan_check_shapes(va_experiment *e) {
    for (int64_t i = 0; i < e->spec.n_directions; i++)
        if (e->spec.directions[i].rank > 1)
            check_frame(e, &e->spec.directions[i]);
    for (int64_t i = 0; i < e->spec.n_metrics; i++)
        check_widths(e, &e->spec.metrics[i]);
}
