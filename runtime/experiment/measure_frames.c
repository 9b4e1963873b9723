// measure_frames.c: cosines, overlaps and spectra of two saved directions.
// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <math.h>

va_status va_measure_cosine(va_measure *m) {
    va_status st = VA_OK;
    VA_TRY(va_metric_cosine(m->run->ctx, m->frame[0].rows, m->frame[1].rows, m->frame[0].d,
                            &m->value));
    va_json_add_double(m->out, "cosine", m->value);
    va_json_add_double(m->out, "abs_cosine", fabs(m->value));
    VA_TRY(va_measure_chance(m));
done:
    return st;
}

// Of the first m->rank vectors of both frames.
va_status va_measure_subspace(va_measure *m) {
    va_status st = VA_OK;
    const va_metric_rows U = {m->frame[0].rows, m->rank, m->frame[0].d};
    const va_metric_rows V = {m->frame[1].rows, m->rank, m->frame[1].d};
    double *cosines, *angles;
    VA_TRY_ALLOC(m->run->ctx, cosines, VA_NEW_ARRAY(m->arena, double, m->rank));
    VA_TRY_ALLOC(m->run->ctx, angles, VA_NEW_ARRAY(m->arena, double, m->rank));
    VA_TRY(va_metric_principal_angles(m->run->ctx, &U, &V, cosines, angles));
    m->value = va_metric_overlap(cosines, m->rank);
    va_json_add_int(m->out, "rank", m->rank);
    va_json_add_double(m->out, "overlap", m->value);
    va_record_doubles(m->out, "principal_cosines", cosines, m->rank);
    va_record_doubles(m->out, "principal_angles", angles, m->rank);
    VA_TRY(va_measure_chance(m));
done:
    return st;
}

// How far apart the shares of the squares are, and how many directions each fills, of the first n
// values of each.
va_status va_measure_spectrum(va_measure *m) {
    va_status st = VA_OK;
    const int64_t n = m->rank;
    va_metric_spectra out;
    double *normal[2];
    for (int k = 0; k < 2; k++)
        VA_TRY_ALLOC(m->run->ctx, normal[k], VA_NEW_ARRAY(m->arena, double, n));
    VA_TRY(va_metric_compare_spectra(m->run->ctx, m->frame[0].sigma, n, m->frame[1].sigma, n,
                                     normal[0], normal[1], &out));
    m->value = out.divergence;
    va_json_add_int(m->out, "rank", n);
    va_json_add_double(m->out, "divergence", m->value);
    va_json *list = va_json_add_array(m->out, "spectra");
    const va_metric_spectrum *const of[2] = {&out.a, &out.b};
    for (int k = 0; k < 2; k++) {
        va_json *o = va_json_add_object(list, NULL);
        va_record_doubles(o, "sigma", m->frame[k].sigma, n);
        va_json_add_double(o, "stable_rank", of[k]->stable_rank);
        va_json_add_double(o, "entropy_rank", of[k]->entropy_rank);
    }
done:
    return st;
}
