// run_put.c: a direction or frame as a saved unit.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "fit.h"

// A single vector is made of unit length; frames are orthonormal as they come.
static va_status normalise(va_run *run, const va_fitted *f, double *norm) {
    va_status st = VA_OK;
    VA_TRY(va_metric_norm(run->ctx, f->frame, f->d, norm));
    if (*norm == 0 || !isfinite(*norm))
        return va_fail(run->ctx, VA_ERR_NUMERIC, "the direction has norm %g", *norm);
    for (int64_t i = 0; f->rank == 1 && i < f->d; i++)
        f->frame[i] = (float)(f->frame[i] / *norm);
    if (f->norm != 0) // of the vector before somebody else did so
        *norm = f->norm;
done:
    return st;
}

va_status va_run_put_frame(va_run *run, int64_t unit, const va_site *site, const va_fitted *f,
                           va_json *record, const va_file_tensor *extra, int64_t n_extra) {
    enum { MAX_TENSORS = 10 };
    va_status st = VA_OK;
    va_file_tensor t[MAX_TENSORS];
    char text[64], hex[65];
    double norm;
    int64_t n = 0;
    VA_TRY(normalise(run, f, &norm));
    va_sha256 *h = va_sha256_create();
    VA_TRY_ALLOC(run->ctx, h, h);
    va_sha256_update(h, f->frame, f->rank * f->d * (int64_t)sizeof *f->frame);
    va_sha256_finish(&h, hex);
    va_json_add_string(record, "site", va_site_text(site, text));
    va_json_add_double(record, "norm", norm);
    va_json_add_int(record, "dimension", f->d);
    va_json_add_int(record, "rank", f->rank);
    va_json_add_string(record, "sha256", hex);
    t[n++] = (va_file_tensor){
        .name = "direction", .dtype = VA_F32, .n_dim = 1, .shape = {f->d}, .data = f->frame};
    if (f->rank > 1) {
        t[0].n_dim = 2;
        t[0].shape[0] = f->rank;
        t[0].shape[1] = f->d;
    }
    if (f->sigma)
        t[n++] = (va_file_tensor){
            .name = "sigma", .dtype = VA_F64, .n_dim = 1, .shape = {f->rank}, .data = f->sigma};
    for (int64_t i = 0; i < n_extra; i++)
        t[n++] = extra[i];
    VA_TRY(va_store_put(run->store, unit, t, n, record));
done:
    return st;
}
