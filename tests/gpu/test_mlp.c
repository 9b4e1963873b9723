// test_mlp.c: training of multilayer perceptrons against torch (float64) and a double reference;
// reproducibility, errors. The host side (gradients, directions, files) is in test_mlp_host.c.
// libs: va_probe
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include <math.h>

#include "vkalign/probe.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_gpu *gpu;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    f->gpu = va_test_gpu(f->ctx);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

// -- a double reference ---------------------------------------------------------------------------

enum { D_MAX = 24, H_MAX = 16 };

// Parameters of a small network with their moments, flat: W1, b1, W2, b2, W3, b3.
typedef struct ref {
    int64_t d, h1, h2, n_w;
    double w[4096], m[4096], v[4096], g[4096];
} ref;

static ref ref_from(const va_mlp *mlp) {
    ref r = {.d = mlp->d, .h1 = mlp->h1, .h2 = mlp->h2};
    const float *part[] = {mlp->W1, mlp->b1, mlp->W2, mlp->b2, mlp->W3, mlp->b3};
    const int64_t size[] = {r.h1 * r.d, r.h1, r.h2 * r.h1, r.h2, r.h2, 1};
    for (int i = 0; i < 6; i++)
        for (int64_t j = 0; j < size[i]; j++)
            r.w[r.n_w++] = part[i][j];
    assert_in_range(r.n_w, 1, 4096);
    return r;
}

static double keep(const va_mlp_params *p, int64_t problem, int64_t step, int layer, int64_t row,
                   int64_t unit) {
    if (p->dropout < 0)
        return 1;
    uint64_t seed = p->seed + (uint64_t)problem;
    const uint32_t counter[] = {(uint32_t)(unit / 4), (uint32_t)row, (uint32_t)step,
                                (uint32_t)layer};
    const uint32_t key[] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t random[4];
    va_philox4x32(counter, key, random);
    double p_drop = p->dropout == 0 ? 0.2 : p->dropout;
    return random[unit % 4] / 4294967296.0 < p_drop ? 0 : 1 / (1 - p_drop);
}

// Loss of one row; adds weight * its gradient to r->g. k1, k2: 0 or the scale of kept units.
static double ref_row(ref *r, const float *x, double y, const double *k1, const double *k2,
                      double weight) {
    double a1[H_MAX], a2[H_MAX], dz2[H_MAX];
    double *W1 = r->w, *b1 = W1 + r->h1 * r->d, *W2 = b1 + r->h1, *b2 = W2 + r->h2 * r->h1;
    double *W3 = b2 + r->h2, z = W3[r->h2];
    double *g1 = r->g, *gb1 = g1 + r->h1 * r->d, *g2 = gb1 + r->h1, *gb2 = g2 + r->h2 * r->h1;
    double *g3 = gb2 + r->h2;
    for (int64_t u = 0; u < r->h1; u++) {
        double sum = b1[u];
        for (int64_t i = 0; i < r->d; i++)
            sum += W1[u * r->d + i] * x[i];
        a1[u] = fmax(sum, 0) * k1[u];
    }
    for (int64_t v = 0; v < r->h2; v++) {
        double sum = b2[v];
        for (int64_t u = 0; u < r->h1; u++)
            sum += W2[v * r->h1 + u] * a1[u];
        a2[v] = fmax(sum, 0) * k2[v];
        z += W3[v] * a2[v];
    }
    double g = weight * (1 / (1 + exp(-z)) - y);
    g3[r->h2] += g;
    for (int64_t v = 0; v < r->h2; v++) {
        g3[v] += g * a2[v];
        dz2[v] = a2[v] > 0 ? g * W3[v] * k2[v] : 0;
        gb2[v] += dz2[v];
    }
    for (int64_t u = 0; u < r->h1; u++) {
        double da = 0;
        for (int64_t v = 0; v < r->h2; v++) {
            da += W2[v * r->h1 + u] * dz2[v];
            g2[v * r->h1 + u] += dz2[v] * a1[u];
        }
        double dz = a1[u] > 0 ? da * k1[u] : 0;
        gb1[u] += dz;
        for (int64_t i = 0; i < r->d; i++)
            g1[u * r->d + i] += dz * x[i];
    }
    return fmax(z, 0) - z * y + log1p(exp(-fabs(z)));
}

static void ref_adamw(ref *r, double lr, double wd, int64_t t) {
    for (int64_t i = 0; i < r->n_w; i++) {
        r->m[i] = 0.9 * r->m[i] + 0.1 * r->g[i];
        r->v[i] = 0.999 * r->v[i] + 0.001 * r->g[i] * r->g[i];
        double m = r->m[i] / (1 - pow(0.9, (double)t)), v = r->v[i] / (1 - pow(0.999, (double)t));
        r->w[i] = (1 - lr * wd) * r->w[i] - lr * m / (sqrt(v) + 1e-8);
    }
}

// Trains problem `problem` without shuffling; loss [steps].
static void ref_train(ref *r, const va_mlp_params *p, int64_t problem, const float *X, int64_t n,
                      const float *labels, double *loss) {
    int64_t step = 0;
    for (int64_t e = 0; e < p->epochs; e++) {
        for (int64_t begin = 0; begin < n; begin += p->batch, step++) {
            int64_t rows = VA_MIN(p->batch, n - begin);
            memset(r->g, 0, sizeof r->g);
            loss[step] = 0;
            for (int64_t b = 0; b < rows; b++) {
                double k1[H_MAX], k2[H_MAX];
                for (int64_t u = 0; u < r->h1; u++)
                    k1[u] = keep(p, problem, step, 0, b, u);
                for (int64_t u = 0; u < r->h2; u++)
                    k2[u] = keep(p, problem, step, 1, b, u);
                loss[step] += ref_row(r, X + (begin + b) * r->d, labels[begin + b], k1, k2,
                                      1.0 / (double)rows) /
                              (double)rows;
            }
            ref_adamw(r, p->learning_rate, p->weight_decay, step + 1);
        }
    }
}

static float *random_rows(va_arena *arena, uint64_t seed, int64_t n) {
    va_rng rng = va_rng_make(seed, va_hash64("test_mlp"));
    float *x = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&rng);
    return x;
}

static float *random_labels(va_arena *arena, uint64_t seed, int64_t n) {
    float *y = random_rows(arena, seed, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = y[i] > 0;
    y[0] = 0;
    y[n - 1] = 1;
    return y;
}

static va_mlp random_mlp(va_arena *arena, uint64_t seed, int64_t d, int64_t h1, int64_t h2) {
    va_mlp mlp = {d,
                  h1,
                  h2,
                  random_rows(arena, seed, h1 * d),
                  random_rows(arena, seed + 1, h1),
                  random_rows(arena, seed + 2, h2 * h1),
                  random_rows(arena, seed + 3, h2),
                  random_rows(arena, seed + 4, h2),
                  random_rows(arena, seed + 5, 1)};
    for (int64_t i = 0; i < h1 * d; i++)
        mlp.W1[i] /= sqrtf((float)d);
    for (int64_t i = 0; i < h2 * h1; i++)
        mlp.W2[i] /= sqrtf((float)h1);
    for (int64_t i = 0; i < h2; i++)
        mlp.W3[i] /= sqrtf((float)h2);
    return mlp;
}

// f32 against double: rounding grows with the steps; 1.5e-6 was seen after 80.
static void assert_weights(const va_mlp *mlp, const ref *r, double tolerance) {
    ref got = ref_from(mlp);
    float as_float[4096];
    for (int64_t i = 0; i < r->n_w; i++)
        as_float[i] = (float)got.w[i];
    double error = va_test_max_error(as_float, r->w, r->n_w);
    if (!(error < tolerance))
        fail_msg("weights differ by %g", error);
}

// Odd sizes, a smaller last batch, two problems with dropout of their own.
static void trains_as_the_reference(void **state) {
    fixture *f = *state;
    enum { N = 37, D = 19, H1 = 13, H2 = 6, P = 2, EPOCHS = 4, STEPS = EPOCHS * 4 };
    const float dropouts[] = {-1, 0.3f};
    for (int i = 0; i < 2; i++) {
        float *X = random_rows(f->arena, 1, N * D), loss[P * STEPS];
        float *labels = random_labels(f->arena, 2, P * N);
        va_mlp initial = random_mlp(f->arena, 3, D, H1, H2), mlp[P];
        va_mlp_params params = {.epochs = EPOCHS,
                                .batch = 11,
                                .learning_rate = 3e-3f,
                                .weight_decay = 0.05f,
                                .dropout = dropouts[i],
                                .seed = 0xFFFFFFFF, // + 1 carries into the upper word
                                .no_shuffle = true,
                                .initial = &initial};
        labels[N - 1] = labels[2 * N - 1] = 1; // both classes in each
        labels[0] = labels[N] = 0;
        assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, N, D, labels, P, &params, mlp, loss));
        for (int p = 0; p < P; p++) {
            ref r = ref_from(&initial);
            double expected[STEPS];
            ref_train(&r, &params, p, X, N, labels + p * N, expected);
            assert_true(va_test_max_error(loss + p * STEPS, expected, STEPS) < 2e-6);
            assert_weights(&mlp[p], &r, 1e-5);
        }
    }
}

// -- torch ----------------------------------------------------------------------------------------

static const float *load(fixture *f, const va_safetensors *file, const char *prefix,
                         const char *name, int64_t n) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const va_file_tensor *t = va_safetensors_find(file, full);
    assert_non_null(t);
    assert_int_equal(t->n_elem, n);
    float *data = VA_NEW_ARRAY(f->arena, float, n);
    va_convert_to_f32(data, t->data, t->dtype, n);
    return data;
}

static va_mlp load_mlp(fixture *f, const va_safetensors *file, const char *prefix) {
    return (va_mlp){16,
                    8,
                    4,
                    (float *)load(f, file, prefix, "0.weight", 8 * 16),
                    (float *)load(f, file, prefix, "0.bias", 8),
                    (float *)load(f, file, prefix, "2.weight", 4 * 8),
                    (float *)load(f, file, prefix, "2.bias", 4),
                    (float *)load(f, file, prefix, "4.weight", 4),
                    (float *)load(f, file, prefix, "4.bias", 1)};
}

static void compare_torch(fixture *f, const va_safetensors *file, const char *name, int64_t batch) {
    char prefix[32];
    int64_t steps = 20 * (64 / batch);
    va_mlp initial = load_mlp(f, file, "init."), mlp;
    va_mlp_params params = {.h1 = 8,
                            .h2 = 4,
                            .epochs = 20,
                            .batch = batch,
                            .learning_rate = 1e-3f,
                            .weight_decay = 0.01f,
                            .dropout = -1,
                            .no_shuffle = true,
                            .initial = &initial};
    float loss[80], logits[64];
    const float *X = load(f, file, "", "X", 64 * 16), *y = load(f, file, "", "y", 64);
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, 64, 16, y, 1, &params, &mlp, loss));
    snprintf(prefix, sizeof prefix, "%s.", name);
    // f32 against float64; 8e-8, 2.5e-6 and 1.5e-6 were seen.
    assert_true(va_test_max_error_f32(loss, load(f, file, prefix, "loss", steps), steps) < 1e-6);
    va_mlp_logits(&mlp, X, 64, logits);
    assert_true(va_test_max_error_f32(logits, load(f, file, prefix, "logits", 64), 64) < 2e-5);
    snprintf(prefix, sizeof prefix, "%s.final.", name);
    va_mlp expected = load_mlp(f, file, prefix);
    ref r = ref_from(&expected);
    assert_weights(&mlp, &r, 1e-5);
}

static void trains_as_torch(void **state) {
    fixture *f = *state;
    char path[VA_TEST_PATH];
    va_safetensors *file;
    assert_ok(f->ctx, va_safetensors_open(
                          f->ctx, va_test_fixture(path, "classifier/mlp.safetensors"), &file));
    compare_torch(f, file, "full", 64);
    compare_torch(f, file, "mini", 16);
    va_safetensors_close(&file);
}

// The first step of AdamW without decay moves a weight by lr g / (|g| + eps): against torch's
// gradient, whose smallest entries are where eps tells.
static void first_step_follows_torch_gradient(void **state) {
    fixture *f = *state;
    char path[VA_TEST_PATH];
    va_safetensors *file;
    assert_ok(f->ctx, va_safetensors_open(
                          f->ctx, va_test_fixture(path, "classifier/mlp.safetensors"), &file));
    va_mlp initial = load_mlp(f, file, "init."), gradient = load_mlp(f, file, "init.grad."), mlp;
    va_mlp_params params = {.epochs = 1,
                            .batch = 64,
                            .learning_rate = 0.5f,
                            .weight_decay = -1,
                            .dropout = -1,
                            .no_shuffle = true,
                            .initial = &initial};
    const float *X = load(f, file, "", "X", 64 * 16), *y = load(f, file, "", "y", 64);
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, 64, 16, y, 1, &params, &mlp, NULL));
    ref before = ref_from(&initial), g = ref_from(&gradient), after = ref_from(&mlp);
    int64_t n_moved = 0;
    for (int64_t i = 0; i < g.n_w; i++) {
        double step = 0.5 * g.w[i] / (fabs(g.w[i]) + 1e-8);
        n_moved += step != 0;
        assert_true(fabs(before.w[i] - after.w[i] - step) < 1e-4);
    }
    assert_true(n_moved > g.n_w / 2);
    va_safetensors_close(&file);
}

// -- dropout --------------------------------------------------------------------------------------

// All weights so that the logit is the mean over both hidden layers of what dropout keeps, scaled:
// its mean is 1. The step size is too small to move any of them, so each loss tells its logit.
static void mask_logits(fixture *f, float dropout, uint64_t seed, float *logits) {
    enum { N = 128, H = 64, EPOCHS = 4 };
    va_mlp constant = random_mlp(f->arena, 1, 1, H, H), mlp;
    for (int64_t i = 0; i < H; i++) {
        constant.W1[i] = constant.b2[i] = 0;
        constant.b1[i] = 1;
        constant.W3[i] = 1.0f / H;
    }
    for (int64_t i = 0; i < H * H; i++)
        constant.W2[i] = 1.0f / H;
    constant.b3[0] = 0;
    float X[N] = {0}, labels[N] = {0};
    labels[0] = 1;
    va_mlp_params params = {.epochs = EPOCHS,
                            .batch = 1,
                            .learning_rate = 1e-30f,
                            .weight_decay = -1,
                            .dropout = dropout,
                            .seed = seed,
                            .no_shuffle = true,
                            .initial = &constant};
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, N, 1, labels, 1, &params, &mlp, logits));
    for (int64_t i = 0; i < N * EPOCHS; i++) // softplus(z) for label 0, softplus(-z) for label 1
        logits[i] = (i % N == 0 ? -1 : 1) * logf(expm1f(logits[i]));
}

static void dropout_keeps_the_mean(void **state) {
    fixture *f = *state;
    enum { N = 512, H = 64 };
    const float rates[] = {0.2f, 0.5f};
    for (int i = 0; i < 2; i++) {
        float z[N], again[N], other[N];
        double mean = 0, variance = 0, one = rates[i] / (1 - rates[i]) / H;
        mask_logits(f, rates[i], 5, z);
        mask_logits(f, rates[i], 5, again);
        mask_logits(f, rates[i], 6, other);
        assert_memory_equal(z, again, sizeof z);
        assert_memory_not_equal(z, other, sizeof z);
        for (int64_t s = 0; s < N; s++)
            mean += z[s] / N;
        for (int64_t s = 0; s < N; s++)
            variance += (z[s] - mean) * (z[s] - mean) / (N - 1);
        // The product of two independent means of H masks, each of variance `one`.
        double expected = (1 + one) * (1 + one) - 1;
        assert_true(fabs(mean - 1) < 5 * sqrt(expected / N));
        assert_true(fabs(variance / expected - 1) < 5 * sqrt(2.0 / N) + 0.05);
    }
    float z[N];
    mask_logits(f, -1, 5, z);
    for (int64_t s = 0; s < N; s++)
        assert_true(fabsf(z[s] - 1) < 1e-5f);
}

// -- reproducibility ------------------------------------------------------------------------------

static void assert_same_mlp(const va_mlp *a, const va_mlp *b) {
    assert_memory_equal(a->W1, b->W1, (size_t)(a->h1 * a->d) * sizeof(float));
    assert_memory_equal(a->b1, b->b1, (size_t)a->h1 * sizeof(float));
    assert_memory_equal(a->W2, b->W2, (size_t)(a->h2 * a->h1) * sizeof(float));
    assert_memory_equal(a->b2, b->b2, (size_t)a->h2 * sizeof(float));
    assert_memory_equal(a->W3, b->W3, (size_t)a->h2 * sizeof(float));
    assert_memory_equal(a->b3, b->b3, sizeof(float));
}

static void together_equals_alone(void **state) {
    fixture *f = *state;
    enum { N = 50, D = 21, P = 3, STEPS = 3 * 4 };
    float *X = random_rows(f->arena, 1, N * D), loss[P * STEPS], alone[STEPS];
    float *labels = random_labels(f->arena, 2, P * N);
    va_mlp mlp[P], one;
    va_mlp_params params = {.h1 = 17, .h2 = 9, .epochs = 3, .batch = 16, .seed = 77};
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, N, D, labels, P, &params, mlp, loss));
    for (int p = 0; p < P; p++, params.seed++) {
        assert_ok(f->ctx,
                  va_mlp_train(f->gpu, f->arena, X, N, D, labels + p * N, 1, &params, &one, alone));
        assert_same_mlp(&mlp[p], &one);
        assert_memory_equal(loss + p * STEPS, alone, sizeof alone);
    }
    assert_memory_not_equal(mlp[0].W1, mlp[1].W1, sizeof(float) * 17 * D);
    // Shuffling is there: the order changes what the first batch's loss is.
    params.seed = 77;
    params.no_shuffle = true;
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, N, D, labels, 1, &params, &one, alone));
    assert_memory_not_equal(loss, alone, sizeof alone);
}

// More problems than one binding holds (40 MB each, lavapipe binds 128) go in several rounds.
static void many_problems_go_in_rounds(void **state) {
    fixture *f = *state;
    enum { N = 2, D = 150, P = 4, H1 = 65536 };
    float *X = random_rows(f->arena, 1, N * D);
    const float labels[P * N] = {0, 1, 1, 0, 0, 1, 1, 0};
    va_mlp mlp[P], one;
    va_mlp_params params = {.h1 = H1, .h2 = 1, .epochs = 1, .batch = 2, .seed = 7};
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, N, D, labels, P, &params, mlp, NULL));
    params.seed += P - 1;
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, N, D, labels + (P - 1) * N, 1, &params,
                                   &one, NULL));
    assert_same_mlp(&mlp[P - 1], &one);
}

// -- sizes ----------------------------------------------------------------------------------------

static double logit_of(const va_mlp *m, const float *x) {
    double *a1 = calloc((size_t)m->h1, sizeof *a1), z = m->b3[0];
    for (int64_t u = 0; u < m->h1; u++) {
        double sum = m->b1[u];
        for (int64_t i = 0; i < m->d; i++)
            sum += (double)m->W1[u * m->d + i] * x[i];
        a1[u] = fmax(sum, 0);
    }
    for (int64_t v = 0; v < m->h2; v++) {
        double sum = m->b2[v];
        for (int64_t u = 0; u < m->h1; u++)
            sum += (double)m->W2[v * m->h1 + u] * a1[u];
        z += m->W3[v] * fmax(sum, 0);
    }
    free(a1);
    return z;
}

// The first loss, of the untouched weights, for sizes at the ends of what is allowed.
static void first_loss_at_any_size(void **state) {
    fixture *f = *state;
    const struct {
        int64_t n, d, h1, h2, batch;
    } size[] = {{2, 1, 1, 1, 2},     {4096, 5, 9, 3, 4096}, {9, 3, 65536, 2, 9},
                {5, 3, 2, 65536, 5}, {3, 2561, 130, 66, 2}, {70, 4, 4, 4, 33}};
    for (int64_t i = 0; i < VA_COUNT(size); i++) {
        int64_t n = size[i].n, d = size[i].d, steps = (n - 1) / size[i].batch + 1;
        float *X = random_rows(f->arena, 1, n * d), *labels = random_labels(f->arena, 2, n);
        va_mlp initial = random_mlp(f->arena, 3, d, size[i].h1, size[i].h2), mlp;
        float *loss = VA_NEW_ARRAY(f->arena, float, steps);
        va_mlp_params params = {.epochs = 1,
                                .batch = size[i].batch,
                                .dropout = -1,
                                .no_shuffle = true,
                                .initial = &initial};
        assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, n, d, labels, 1, &params, &mlp, loss));
        double expected = 0;
        for (int64_t r = 0; r < size[i].batch; r++) {
            double z = logit_of(&initial, X + r * d);
            expected += (fmax(z, 0) - z * labels[r] + log1p(exp(-fabs(z)))) / (double)size[i].batch;
        }
        // Plain f32 sums of 65,536 terms: 2^-24 sqrt(65536) = 1.5e-5 of their size.
        if (!(fabs(loss[0] - expected) < 1e-4 * fmax(expected, 1e-2)))
            fail_msg("size %lld: loss %g, expected %g", (long long)i, (double)loss[0], expected);
    }
}

// -- what it is for -------------------------------------------------------------------------------

static double auroc(const float *score, const float *y, int64_t n) {
    double wins = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            if (y[i] > y[j]) {
                wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
                pairs++;
            }
    return wins / pairs;
}

static void finds_a_planted_separation(void **state) {
    fixture *f = *state;
    enum { N = 400, TRAIN = 200, D = 40 };
    float *X = random_rows(f->arena, 1, N * D), *normal = random_rows(f->arena, 2, D);
    float labels[N], logits[N], direction[D], loss[50 * 7];
    double length = 0, cosine = 0;
    for (int64_t i = 0; i < D; i++)
        length += normal[i] * normal[i];
    for (int64_t r = 0; r < N; r++) { // two clouds, 6 standard deviations apart
        labels[r] = (float)(r % 2);
        for (int64_t i = 0; i < D; i++)
            X[r * D + i] += (r % 2 ? 3 : -3) * normal[i] / (float)sqrt(length);
    }
    va_mlp mlp;
    va_mlp_params params = {.seed = 3};
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, X, TRAIN, D, labels, 1, &params, &mlp, loss));
    assert_true(loss[50 * 7 - 1] < 0.1f * loss[0]);
    va_mlp_logits(&mlp, X + TRAIN * D, N - TRAIN, logits);
    assert_true(auroc(logits, labels + TRAIN, N - TRAIN) > 0.99); // the clouds overlap by 0.1%
    assert_ok(f->ctx, va_mlp_direction(f->ctx, &mlp, VA_MLP_W1_SVD, X, TRAIN, direction, NULL));
    for (int64_t i = 0; i < D; i++)
        cosine += direction[i] * normal[i] / sqrt(length);
    assert_true(cosine > 0.8); // oriented towards the class 1
}

// -- refused --------------------------------------------------------------------------------------

static void refuses_what_cannot_be_trained(void **state) {
    fixture *f = *state;
    enum { N = 6, D = 3 };
    float *X = random_rows(f->arena, 1, N * D), labels[] = {0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1};
    va_mlp mlp[2], small = random_mlp(f->arena, 1, D, 4, 2);
    va_mlp_params params = {.epochs = 2}, wrong;
#define TRAIN(n, y, n_problems, p)                                                                 \
    va_mlp_train(f->gpu, f->arena, X, n, D, y, n_problems, p, mlp, NULL)
    assert_error(f->ctx, VA_ERR_SHAPE, "at least one row", TRAIN(0, labels, 1, &params));
    assert_error(f->ctx, VA_ERR_SHAPE, "6 times 1", TRAIN(N, labels + N, 1, &params));
    assert_error(f->ctx, VA_ERR_SHAPE, "classifier 1: expected labels of both",
                 TRAIN(N, labels, 2, &params));
    labels[2] = 0.5f;
    assert_error(f->ctx, VA_ERR_SHAPE, "got 0.5 at place 2", TRAIN(N, labels, 1, &params));
    labels[2] = 0;
    wrong = params, wrong.dropout = 1;
    assert_error(f->ctx, VA_ERR_USAGE, "dropout < 1", TRAIN(N, labels, 1, &wrong));
    wrong = params, wrong.epochs = -1;
    assert_error(f->ctx, VA_ERR_USAGE, "positive", TRAIN(N, labels, 1, &wrong));
    wrong = params, wrong.learning_rate = NAN;
    assert_error(f->ctx, VA_ERR_USAGE, "learning_rate", TRAIN(N, labels, 1, &wrong));
    wrong = params, wrong.initial = &small, wrong.h1 = 5;
    assert_error(f->ctx, VA_ERR_SHAPE, "3-5-2-1, got 3-4-2-1", TRAIN(N, labels, 1, &wrong));
    wrong = params, wrong.learning_rate = 1e38f; // weights overflow within a step or two
    assert_error(f->ctx, VA_ERR_NUMERIC, "classifier 0: loss", TRAIN(N, labels, 1, &wrong));
    X[4] = NAN;
    assert_error(f->ctx, VA_ERR_NUMERIC, "row 1, column 1", TRAIN(N, labels, 1, &params));
    X[4] = INFINITY;
    assert_error(f->ctx, VA_ERR_NUMERIC, "inf at row 1", TRAIN(N, labels, 1, &params));
#undef TRAIN
}

static void stops_when_interrupted(void **state) {
    fixture *f = *state;
    float *X = random_rows(f->arena, 1, 4), labels[] = {0, 1};
    va_mlp mlp;
    va_interrupt(f->ctx);
    assert_int_equal(va_mlp_train(f->gpu, f->arena, X, 2, 2, labels, 1, NULL, &mlp, NULL),
                     VA_ERR_INTERRUPTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(trains_as_the_reference),
        TEST(trains_as_torch),
        TEST(first_step_follows_torch_gradient),
        TEST(dropout_keeps_the_mean),
        TEST(together_equals_alone),
        TEST(many_problems_go_in_rounds),
        TEST(first_loss_at_any_size),
        TEST(finds_a_planted_separation),
        TEST(refuses_what_cannot_be_trained),
        TEST(stops_when_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
