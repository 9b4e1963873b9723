// linear_cg.c: H x = r by conjugate gradients, preconditioned by the Cholesky factor of a matrix
// close to H.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <math.h>
#include <string.h>

va_status linear_cg_create(const linear_job *job, int64_t n, linear_cg *cg) {
    va_status st = VA_OK;
    *cg = (linear_cg){.ctx = job->data->ctx, .n = n, .stride = linear_stride(n)};
    double **const vectors[] = {&cg->r, &cg->y, &cg->p, &cg->Hp};
    VA_TRY_ALLOC(cg->ctx, cg->factor, linear_matrix(job->scratch, n, n));
    for (int i = 0; i < VA_COUNT(vectors); i++)
        VA_TRY_ALLOC(cg->ctx, *vectors[i], VA_NEW_ARRAY(job->scratch, double, cg->stride));
done:
    return st;
}

va_status linear_cg_solve(linear_cg *cg, double tolerance, double *x) {
    va_status st = VA_OK;
    const size_t bytes = (size_t)cg->stride * sizeof *x;
    double first = 0, before = 0;
    memset(x, 0, bytes);
    for (int i = 0; i < LINEAR_MAX_CG; i++) {
        memcpy(cg->y, cg->r, bytes);
        VA_TRY(linear_solve(cg->ctx, cg->factor, cg->n, cg->y));
        const double now = linear_dot(cg->r, cg->y, cg->stride);
        first = i == 0 ? now : first;
        if (!(now > tolerance * tolerance * first))
            break;
        for (int64_t j = 0; j < cg->stride; j++)
            cg->p[j] = cg->y[j] + (i == 0 ? 0 : now / before * cg->p[j]);
        cg->multiply(cg);
        const double alpha = now / linear_dot(cg->p, cg->Hp, cg->stride);
        linear_axpy(alpha, cg->p, x, cg->stride);
        linear_axpy(-alpha, cg->Hp, cg->r, cg->stride);
        before = now;
        cg->n_steps++;
    }
done:
    return st;
}

// As small as the gradient already is: then Newton's steps lose nothing of their order.
double linear_cg_tolerance(const linear_newton *s) {
    return fmax(1e-10, fmin(1e-2, s->job->out->gradient_norm));
}
