// svd_golub_kahan.c: block Golub-Kahan bidiagonalisation with full reorthogonalisation and thick
// restart.
//
// Two orthonormal bases grow by a block at a time, V [p, r] on the smaller side of the map and
// U [p, l] on the larger (for m < n the map is read transposed). With a pending block P of w
// vectors orthogonal to V, one step is
//     W = A P,    W = U C + U+ T         U+ joins U, P joins V, B gains the columns [C; T]
//     Z = A' U+,  Z = V D + P+ R         P+ is the next pending block
// where C, T, D and R are what orthonormalisation against the whole basis takes away. Then
//     A V = U B,   A' U = V B' + P R E'  (E': the last block's rows)
// and the SVD B = X S Y' of a small matrix gives the Ritz triplets v = V Y, u = U X, for which
// A v = s u holds and ||A' u - s v|| = ||R x_last||, x_last the last w entries of x. B is kept
// whole, not as its band: what is a few bands in exact arithmetic then also holds in floating point
// and after restarts.
//
// When the bases are full, the leading Ritz triplets replace them, B becomes diag(S), and P goes on
// as before: the first step after it finds the coupling in C. This is the implicit restart of
// Sorensen in the form of Wu and Simon. Since the basis on the smaller side may grow to all of its
// space, where R vanishes, k = min(m, n) needs no special case.
//
// A block whose products leave the basis nowhere new (rank deficiency, the zero map) is completed
// at random, with coefficients 0. A Krylov space of w vectors holds w copies of a multiple value
// and no more, so when a block narrower than k has converged, the pending block is widened to k at
// random, and PROBE_STEPS more steps must change nothing.
//
// The estimates know nothing of the map's float32 rounding. So before the end the residuals of the
// rounded vectors are measured, both sides; where they are too large the solver goes on for smaller
// estimates, until these no longer help.
//
// References: G. H. Golub, W. Kahan, SIAM J. Numer. Anal. B 2 (1965); G. H. Golub, F. T. Luk, M. L.
// Overton, "A block Lanczos method for computing the singular values and corresponding singular
// vectors of a matrix", ACM TOMS 7 (1981); K. Wu, H. Simon, "Thick-restart Lanczos method for large
// symmetric eigenvalue problems", SIAM J. Matrix Anal. Appl. 22 (2000); J. Baglama, L. Reichel,
// "Augmented implicitly restarted Lanczos bidiagonalization methods", SIAM J. Sci. Comput. 27
// (2005).
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <string.h>

enum {
    PROBE_STEPS = 8, // after widening
    MAX_TRIES = 3    // for residuals that the estimates promised and the map does not keep
};

typedef struct krylov {
    svd_job *job;
    bool transposed;   // V belongs to the output of the map
    int64_t r, l;      // lengths of V's and U's vectors, r <= l
    int64_t max;       // rows that the bases may have
    int64_t wide;      // largest block
    int64_t p;         // rows of the bases
    int64_t w;         // pending vectors, rows p .. p+w-1 of V
    int64_t last;      // vectors of the block that joined last
    double *V;         // [max + wide, r]
    double *U;         // [max, l]
    double *B;         // [max, max], B[c, a] = u_a' A v_c
    double *R;         // [wide, max + wide], R[c, a] = component of A' u_c along row a of V, u_c in
                       // the last block
    double *X, *Y, *S; // [max, max] rows x_j and y_j, [max]: of the leading p by p part of B
    double *M;         // [max, max]
    double *residual;  // [k] estimates
    double scale;      // the largest ||A v|| seen
    double target;     // wanted estimates, relative to sigma_1
    int64_t probe_until; // step before which a widened block may not end; 0 = not widened
    int64_t tries;
    va_rng rng;
} krylov;

// -- one step ---------------------------------------------------------------------------------

static va_status apply(krylov *g, bool back, const double *X, int64_t k, double *Y) {
    return back == g->transposed ? va_svd_apply(g->job, X, k, Y) : va_svd_apply_t(g->job, X, k, Y);
}

// W = A P into U, made orthonormal; the columns of B.
static va_status join_block(krylov *g) {
    va_status st = VA_OK;
    VA_TRY(apply(g, false, g->V + g->p * g->r, g->w, g->U + g->p * g->l));
    for (int64_t j = 0; j < g->w; j++) {
        const double *u = g->U + (g->p + j) * g->l;
        g->scale = fmax(g->scale, sqrt(va_svd_dot(u, u, g->l)));
    }
    const svd_extension e = {.first = g->p,
                             .count = g->w,
                             .room = g->w,
                             .n = g->l,
                             .lost = 1e-13 * g->scale,
                             .coef = g->B + g->p * g->max,
                             .ld = g->max,
                             .rng = &g->rng,
                             .n_random = &g->job->result->random_directions};
    va_svd_extend(g->U, &e);
    g->p += g->w;
    g->last = g->w;
done:
    return st;
}

// Z = A' U+ into V, made orthonormal: the next pending block, and R.
static va_status next_block(krylov *g) {
    va_status st = VA_OK;
    VA_TRY(apply(g, true, g->U + (g->p - g->last) * g->l, g->last, g->V + g->p * g->r));
    const svd_extension e = {.first = g->p,
                             .count = g->last,
                             .room = VA_MIN(g->last, g->r - g->p),
                             .n = g->r,
                             .lost = 1e-13 * g->scale,
                             .coef = g->R,
                             .ld = g->max + g->wide,
                             .rng = &g->rng,
                             .n_random = &g->job->result->random_directions};
    va_svd_extend(g->V, &e);
    g->w = e.room;
done:
    return st;
}

// ||R x_last|| for the Ritz triplet j.
static double estimate(const krylov *g, int64_t j) {
    const double *x = g->X + j * g->p + g->p - g->last;
    double sum = 0;
    for (int64_t a = 0; a < g->w; a++) {
        double component = 0;
        for (int64_t c = 0; c < g->last; c++)
            component += g->R[c * (g->max + g->wide) + g->p + a] * x[c];
        sum += component * component;
    }
    return sqrt(sum);
}

static va_status rayleigh_ritz(krylov *g) {
    va_status st = VA_OK;
    for (int64_t a = 0; a < g->p; a++)
        for (int64_t c = 0; c < g->p; c++)
            g->M[a * g->p + c] = g->B[c * g->max + a];
    VA_TRY(va_svd_lapack(g->job->ctx, g->M, g->p, g->p, g->X, g->S, g->Y));
    for (int64_t j = 0; j < VA_MIN(g->job->k, g->p); j++)
        g->residual[j] = estimate(g, j);
done:
    return st;
}

static void set_identity(double *X, int64_t n) {
    memset(X, 0, (size_t)(n * n) * sizeof *X);
    for (int64_t j = 0; j < n; j++)
        X[j * n + j] = 1;
}

// -- restart ----------------------------------------------------------------------------------

// The bases become the leading `keep` Ritz vectors; the pending block follows them.
static va_status restart(krylov *g, int64_t keep) {
    va_status st = VA_OK;
    va_ctx *ctx = g->job->ctx;
    VA_TRY(va_svd_combine(ctx, g->V, g->p, g->r, g->Y, g->p, keep));
    VA_TRY(va_svd_combine(ctx, g->U, g->p, g->l, g->X, g->p, keep));
    memmove(g->V + keep * g->r, g->V + g->p * g->r, (size_t)(g->w * g->r) * sizeof *g->V);
    memset(g->B, 0, (size_t)(g->max * g->max) * sizeof *g->B);
    for (int64_t j = 0; j < keep; j++)
        g->B[j * g->max + j] = g->S[j];
    set_identity(g->X, keep); // the Ritz vectors are the basis now: the next restart keeps them
    set_identity(g->Y, keep);
    g->p = keep;
done:
    return st;
}

// Half of the room beyond k keeps what is still converging, the other half takes new blocks.
static va_status make_room(krylov *g) {
    const int64_t k = g->job->k;
    if (g->p + g->w <= g->max)
        return VA_OK;
    return restart(g, VA_MIN(g->p, VA_MIN(g->max - g->w, k + (g->max - k) / 2)));
}

// Rows first .. first+count-1 of Q at random, orthonormal to those before. Overwrites R, which is
// good for the estimates of the step at hand alone.
static void add_random(krylov *g, double *Q, int64_t n, int64_t first, int64_t count) {
    int64_t unused = 0; // a zero vector counts as lost, which is no finding about the map
    const svd_extension e = {.first = first,
                             .count = count,
                             .room = count,
                             .n = n,
                             .coef = g->R,
                             .ld = g->max + g->wide,
                             .rng = &g->rng,
                             .n_random = &unused};
    memset(Q + first * n, 0, (size_t)(count * n) * sizeof *Q);
    va_svd_extend(Q, &e);
}

// The pending block becomes `width` vectors where V's space has room for them.
static void widen(krylov *g, int64_t width) {
    const int64_t first = g->p + g->w, count = VA_MIN(width - g->w, g->r - first);
    if (count <= 0)
        return;
    add_random(g, g->V, g->r, first, count);
    g->w += count;
}

// -- the end ----------------------------------------------------------------------------------

static void hand_over(krylov *g) {
    svd_job *job = g->job;
    memcpy(g->transposed ? job->U : job->V, g->V, (size_t)(job->k * g->r) * sizeof *g->V);
    memcpy(g->transposed ? job->V : job->U, g->U, (size_t)(job->k * g->l) * sizeof *g->U);
    memcpy(job->S, g->S, (size_t)job->k * sizeof *g->S);
}

// The limit of steps: the best there is, where need be with random vectors and sigma = 0.
static va_status give_up(krylov *g) {
    va_status st = VA_OK;
    const int64_t k = g->job->k, p = VA_MIN(g->p, k);
    VA_TRY(restart(g, p));
    if (p < k) {
        add_random(g, g->V, g->r, p, k - p);
        add_random(g, g->U, g->l, p, k - p);
        memset(g->S + p, 0, (size_t)(k - p) * sizeof *g->S);
    }
    hand_over(g);
    g->job->measured = false;
done:
    return st;
}

// All estimates are small enough: are the residuals?
static va_status finish(krylov *g, int64_t step, bool *is_done) {
    va_status st = VA_OK;
    svd_job *job = g->job;
    VA_TRY(restart(g, job->k));
    if (job->params.block < job->k && g->w > 0 && g->probe_until == 0) {
        widen(g, g->wide);
        g->probe_until = step + PROBE_STEPS;
        goto done;
    }
    hand_over(g);
    VA_TRY(va_svd_measure(job));
    *is_done = job->result->converged;
    g->target /= 4;
    job->is_final = !*is_done && (++g->tries == MAX_TRIES || g->w == 0);
done:
    return st;
}

static double largest_estimate(const krylov *g, int64_t *n_converged) {
    double worst = 0;
    *n_converged = 0;
    for (int64_t j = 0; j < VA_MIN(g->job->k, g->p); j++) {
        worst = fmax(worst, g->residual[j]);
        *n_converged += g->residual[j] <= g->job->params.tolerance * g->S[0];
    }
    return va_svd_relative(worst, g->S[0]);
}

static va_status start(krylov *g, svd_job *job) {
    va_status st = VA_OK;
    *g = (krylov){.job = job,
                  .transposed = job->m < job->n,
                  .r = VA_MIN(job->m, job->n),
                  .l = VA_MAX(job->m, job->n),
                  .max = job->params.basis,
                  .wide = VA_MAX(job->k, job->params.block),
                  .target = VA_SVD_SAFETY * job->params.tolerance,
                  .rng = va_rng_make(job->params.seed, va_hash64("svd.golub-kahan"))};
    VA_TRY_ALLOC(job->ctx, g->V, va_svd_array(job, g->max + g->wide, g->r));
    VA_TRY_ALLOC(job->ctx, g->U, va_svd_array(job, g->max, g->l));
    VA_TRY_ALLOC(job->ctx, g->B, va_svd_array(job, g->max, g->max));
    VA_TRY_ALLOC(job->ctx, g->R, va_svd_array(job, g->wide, g->max + g->wide));
    VA_TRY_ALLOC(job->ctx, g->X, va_svd_array(job, g->max, g->max));
    VA_TRY_ALLOC(job->ctx, g->Y, va_svd_array(job, g->max, g->max));
    VA_TRY_ALLOC(job->ctx, g->M, va_svd_array(job, g->max, g->max));
    VA_TRY_ALLOC(job->ctx, g->S, va_svd_array(job, g->max, 1));
    VA_TRY_ALLOC(job->ctx, g->residual, va_svd_array(job, job->k, 1));
    widen(g, job->params.block);
done:
    return st;
}

va_status va_svd_golub_kahan(svd_job *job) {
    va_status st = VA_OK;
    krylov g;
    bool is_done = false;
    int64_t n_converged;
    VA_TRY(start(&g, job));
    for (int64_t i = 0; i < job->params.max_iterations && !is_done && !job->is_final; i++) {
        VA_TRY(va_svd_step(job, i, job->params.max_iterations));
        VA_TRY(make_room(&g));
        VA_TRY(join_block(&g));
        VA_TRY(next_block(&g));
        VA_TRY(rayleigh_ritz(&g));
        double residual = largest_estimate(&g, &n_converged);
        va_svd_record(job, residual, n_converged);
        const bool may_end = g.p >= job->k && (i >= g.probe_until || g.w == 0);
        if (may_end && residual <= g.target)
            VA_TRY(finish(&g, i, &is_done));
    }
    if (!is_done && !job->is_final)
        VA_TRY(give_up(&g));
done:
    return st;
}
