// linear_newton.c: F(w, b) = sum_i c_i loss(y_i, w.x_i + b) + l2/2 |w|^2 by Newton's method with a
// backtracking line search.
//
// loss(y, f) = log(1 + e^f) - y f; g = c (p - y), W = c p (1 - p), p = 1 / (1 + e^-f).
// F is convex, and strictly so with l2 > 0, so each step is a descent and the limit is the one
// minimum, also of separable rows. Steps are not the same in both coordinates: see
// linear_logistic_wide.c and linear_logistic_tall.c.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <math.h>
#include <string.h>

enum { MAX_HALVINGS = 40 };
static const double ROUNDING = 1e-14; // a gradient_norm that steps need not lower

va_status linear_newton_create(const linear_job *job, int64_t k, linear_newton *s) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t m = linear_stride(job->problem->m), padded = linear_stride(k);
    *s = (linear_newton){.job = job, .k = padded};
    double **const of_k[] = {&s->z, &s->Pz, &s->dz, &s->Pdz};
    double **const of_m[] = {&s->f, &s->g, &s->W, &s->df};
    for (int i = 0; i < 4; i++) {
        VA_TRY_ALLOC(ctx, *of_k[i], VA_NEW_ARRAY(job->scratch, double, padded));
        VA_TRY_ALLOC(ctx, *of_m[i], VA_NEW_ARRAY(job->scratch, double, m));
    }
done:
    return st;
}

// Loss of the scores f + t (df + db).
static double loss_at(const linear_newton *s, double t) {
    const linear_problem *p = s->job->problem;
    double sum = 0;
    for (int64_t i = 0; i < p->m; i++) {
        double f = s->f[i] + t * (s->df[i] + s->db);
        f = p->label[i] ? -f : f;
        sum += p->count[i] * (fmax(f, 0) + log1p(exp(-fabs(f))));
    }
    return sum;
}

// g and W at f, each from the smaller of p and 1 - p, so that neither loses digits.
static void differentiate(linear_newton *s) {
    const linear_problem *p = s->job->problem;
    for (int64_t i = 0; i < p->m; i++) {
        const double e = exp(-fabs(s->f[i])), small = e / (1 + e), large = 1 / (1 + e);
        const bool above = s->f[i] > 0; // p is large
        const double wrong = above == p->label[i] ? small : large;
        s->g[i] = p->count[i] * (p->label[i] ? -wrong : wrong);
        s->W[i] = p->count[i] * small * large;
    }
}

static double bias_gradient(const linear_newton *s) {
    double sum = 0;
    for (int64_t i = 0; i < s->job->problem->m; i++)
        sum += s->g[i];
    return fabs(sum) / (double)s->job->problem->n;
}

// The largest t of 1, 1/2, ... that lowers F enough (Armijo), or 0.
static double line_search(linear_newton *s) {
    const double l2 = s->job->params->l2;
    const double across = linear_dot(s->dz, s->Pz, s->k), square = linear_dot(s->dz, s->Pdz, s->k);
    const double before = s->loss + l2 / 2 * linear_dot(s->z, s->Pz, s->k);
    double slope = l2 * across, t = 1;
    for (int64_t i = 0; i < s->job->problem->m; i++)
        slope += s->g[i] * (s->df[i] + s->db);
    for (int i = 0; i < MAX_HALVINGS; i++, t /= 2) {
        const double loss = loss_at(s, t);
        const double change = loss - s->loss + l2 * t * (across + t / 2 * square);
        if (change <= 1e-4 * t * slope + 1e-14 * fabs(before)) { // the last term: rounding of F
            s->loss = loss;
            return t;
        }
    }
    return 0;
}

static void move(linear_newton *s, double t) {
    for (int64_t i = 0; i < s->job->problem->m; i++)
        s->f[i] += t * (s->df[i] + s->db);
    linear_axpy(t, s->dz, s->z, s->k);
    linear_axpy(t, s->Pdz, s->Pz, s->k);
    s->b += t * s->db;
}

// w = 0 and the bias that is best with it.
static void start(linear_newton *s) {
    const linear_problem *p = s->job->problem;
    s->b = log((double)p->n_class[1] / (double)p->n_class[0]);
    for (int64_t i = 0; i < p->m; i++)
        s->f[i] = s->b;
    s->loss = loss_at(s, 0);
    differentiate(s);
}

va_status linear_newton_run(linear_newton *s) {
    va_status st = VA_OK;
    linear_solution *out = s->job->out;
    const va_linear_params *params = s->job->params;
    start(s);
    const double first = s->gradient(s);
    double before = INFINITY;
    for (out->iterations = 0;; out->iterations++) {
        out->gradient_norm = fmax(s->gradient(s) / first, bias_gradient(s));
        out->converged = out->gradient_norm <= params->tolerance;
        // A small gradient is not yet an accurate w: steps go on until rounding stops them.
        const bool enough = out->gradient_norm > before / 10 || out->gradient_norm <= ROUNDING;
        if ((out->converged && enough) || out->iterations == params->max_iterations)
            break;
        before = out->gradient_norm;
        VA_TRY(va_check_interrupt(s->job->data->ctx));
        VA_TRY(s->step(s));
        const double t = line_search(s);
        if (t == 0)
            break;
        move(s, t);
        differentiate(s);
    }
done:
    return st;
}
