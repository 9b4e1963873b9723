// linear_logistic_tall.c: logistic regression of m > d rows, in w itself.
//
// Rows less their W-weighted mean, v_i = x_i - h / sum W with h = sum W x, part w from b:
//     H = sum W v v' + l2 I,  dw = -H^-1 (gw - (gb / sum W) h),  db = -(gb + h.dw) / sum W.
// H is formed on the host, or for large problems in f32 on the device. Either is but a
// preconditioner: conjugate gradients on exact products in double solve the system, one step when H
// is exact, so the device's rounding costs steps and no digits. For the same reason a Hessian
// serves the next Newton steps too, until conjugate gradients need many. SPDX-License-Identifier:
// Apache-2.0
#include "linear_priv.h"
#include "vkalign/vec.h"

#include <math.h>
#include <string.h>

enum { STALE_CG = 10 }; // steps of conjugate gradients after which a new Hessian is formed
static const double DEVICE_PRODUCTS = 1e8; // multiplications of a Hessian that the device is for

typedef struct tall {
    linear_cg cg;
    double *Vt;       // [d, stride(m)] sqrt(W) v, transposed
    float *V32;       // [d, m] the same for the device
    double *h, sum_W; // [stride] sum W x
    double *gw;       // [stride]
    bool on_device;
} tall;

// gw = sum g x + l2 w
static void weight_gradient(const linear_newton *s) {
    const tall *self = s->self;
    const int64_t stride = s->job->data->stride;
    memset(self->gw, 0, (size_t)stride * sizeof *self->gw);
    for (int64_t i = 0; i < s->job->problem->m; i++)
        linear_axpy(s->g[i], linear_row(s->job, i), self->gw, stride);
    linear_axpy(s->job->params->l2, s->z, self->gw, stride);
}

static double gradient(linear_newton *s) {
    const tall *self = s->self;
    weight_gradient(s);
    return sqrt(linear_dot(self->gw, self->gw, s->k));
}

static void weighted_mean(const linear_newton *s) {
    tall *self = s->self;
    memset(self->h, 0, (size_t)s->k * sizeof *self->h);
    self->sum_W = 0;
    for (int64_t i = 0; i < s->job->problem->m; i++) {
        linear_axpy(s->W[i], linear_row(s->job, i), self->h, s->k);
        self->sum_W += s->W[i];
    }
}

static void scaled_rows(const linear_newton *s) {
    const tall *self = s->self;
    const int64_t m = s->job->problem->m, d = s->job->data->d, to = linear_stride(m);
    for (int64_t i = 0; i < m; i++) {
        const double *row = linear_row(s->job, i), root = sqrt(s->W[i]);
        for (int64_t j = 0; j < d; j++) {
            const double v = root * (row[j] - self->h[j] / self->sum_W);
            if (self->on_device)
                self->V32[j * m + i] = (float)v;
            else
                self->Vt[j * to + i] = v;
        }
    }
}

static va_status device_gram(const linear_newton *s) {
    va_status st = VA_OK;
    const tall *self = s->self;
    va_gpu *gpu = s->job->data->gpu;
    va_buffer *buffer = NULL;
    va_block V;
    VA_TRY(
        va_block_create(gpu, 1, s->job->data->d, s->job->problem->m, "linear rows", &buffer, &V));
    VA_TRY(va_block_from_host(gpu, &V, self->V32));
    VA_TRY(va_block_gram(gpu, &V, &V, self->cg.factor));
done:
    va_buffer_destroy(&buffer);
    return st;
}

// Cholesky of H + l2 I. Rounding may leave H not positive: then the diagonal grows until it is.
static va_status factor(const linear_newton *s) {
    va_status st = VA_OK;
    const tall *self = s->self;
    const int64_t d = s->job->data->d;
    double *H = self->cg.factor, *diagonal = self->cg.p; // free until conjugate gradients begin
    bool positive = false;
    scaled_rows(s);
    for (double lift = 0; !positive && lift < 1; lift = lift == 0 ? 1e-7 : 10 * lift) {
        if (self->on_device)
            VA_TRY(device_gram(s));
        else
            linear_gram(self->Vt, d, linear_stride(s->job->problem->m), H);
        for (int64_t j = 0; j < d; j++) {
            diagonal[j] = H[j * d + j];
            H[j * d + j] += s->job->params->l2 + lift * diagonal[j];
        }
        VA_TRY(linear_factor(s->job->data->ctx, H, d, &positive));
    }
    if (!positive)
        return va_fail(s->job->data->ctx, VA_ERR_NUMERIC,
                       "the Hessian is not positive: expected an l2 of more than %g for "
                       "activations of this size",
                       s->job->params->l2);
done:
    return st;
}

// Hp = (sum W v v' + l2 I) p
static void multiply(linear_cg *cg) {
    const linear_newton *s = cg->self;
    const tall *self = s->self;
    const double mean = linear_dot(self->h, cg->p, s->k) / self->sum_W;
    double sum = 0;
    memset(cg->Hp, 0, (size_t)s->k * sizeof *cg->Hp);
    for (int64_t i = 0; i < s->job->problem->m; i++) {
        const double *row = linear_row(s->job, i);
        const double along = s->W[i] * (linear_dot(row, cg->p, s->k) - mean);
        linear_axpy(along, row, cg->Hp, s->k);
        sum += along;
    }
    linear_axpy(-sum / self->sum_W, self->h, cg->Hp, s->k);
    linear_axpy(s->job->params->l2, cg->p, cg->Hp, s->k);
}

static va_status step(linear_newton *s) {
    va_status st = VA_OK;
    tall *self = s->self;
    double gb = 0;
    weighted_mean(s);
    if (!(self->sum_W > 0))
        return va_fail(s->job->data->ctx, VA_ERR_NUMERIC,
                       "the scores are too large for a step: expected smaller activations or an l2 "
                       "of more than %g",
                       s->job->params->l2);
    if (self->cg.n_steps >= STALE_CG)
        VA_TRY(factor(s));
    weight_gradient(s);
    for (int64_t i = 0; i < s->job->problem->m; i++)
        gb += s->g[i];
    for (int64_t j = 0; j < s->k; j++)
        self->cg.r[j] = gb / self->sum_W * self->h[j] - self->gw[j];
    self->cg.n_steps = 0;
    VA_TRY(linear_cg_solve(&self->cg, linear_cg_tolerance(s), s->dz));
    s->db = -(gb + linear_dot(self->h, s->dz, s->k)) / self->sum_W;
    memcpy(s->Pdz, s->dz, (size_t)s->k * sizeof *s->dz); // P = I
    for (int64_t i = 0; i < s->job->problem->m; i++)
        s->df[i] = linear_dot(linear_row(s->job, i), s->dz, s->k);
done:
    return st;
}

// Whether the device is asked for, or the Hessian is much work; its rows must fit a binding.
static bool use_device(const linear_job *job) {
    const int64_t m = job->problem->m, d = job->data->d, bytes = va_block_bytes(1, d, m);
    const int asked = job->params->device;
    if (!job->data->gpu || asked < 0)
        return false;
    const va_gpu_info *info = va_gpu_get_info(job->data->gpu);
    const bool worthwhile =
        info->kind != VA_GPU_CPU && (double)m * (double)d * (double)d / 2 > DEVICE_PRODUCTS;
    return (asked > 0 || worthwhile) && bytes > 0 && bytes <= info->max_range_bytes;
}

static va_status tall_create(const linear_job *job, tall *self) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t m = job->problem->m, d = job->data->d;
    *self = (tall){.on_device = use_device(job)};
    VA_TRY(linear_cg_create(job, d, &self->cg));
    self->cg.n_steps = STALE_CG; // none is formed yet
    self->cg.multiply = multiply;
    if (self->on_device)
        VA_TRY_ALLOC(ctx, self->V32, VA_NEW_ARRAY(job->scratch, float, d *m));
    else
        VA_TRY_ALLOC(ctx, self->Vt, linear_matrix(job->scratch, d, linear_stride(m)));
    VA_TRY_ALLOC(ctx, self->h, VA_NEW_ARRAY(job->scratch, double, job->data->stride));
    VA_TRY_ALLOC(ctx, self->gw, VA_NEW_ARRAY(job->scratch, double, job->data->stride));
done:
    return st;
}

va_status linear_logistic_tall(const linear_job *job) {
    va_status st = VA_OK;
    linear_newton s;
    tall self;
    VA_TRY(linear_newton_create(job, job->data->d, &s));
    VA_TRY(tall_create(job, &self));
    s.self = &self;
    self.cg.self = &s;
    s.step = step;
    s.gradient = gradient;
    VA_TRY(linear_newton_run(&s));
    memcpy(job->out->w, s.z, (size_t)s.k * sizeof *s.z);
    job->out->b = s.b;
done:
    return st;
}
