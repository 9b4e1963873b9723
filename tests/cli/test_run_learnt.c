// Directions that a run learns from items computed again from the activations
// of the items' texts. Which items were held out is not in the files: of all splits there can be,
// exactly one explains the difference of means, and everything else must fit that one.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

#include "vkalign/metric.h"
#include "vkalign/probe.h"

enum { N_POSITIVE = 5, N_NEGATIVE = 4, N = N_POSITIVE + N_NEGATIVE, N_TRAIN = N - 2 };

static const char experiment[] =
    "version: 1\n"
    "name: learnt\n"
    "model: {path: \"" MODEL "\", layers: [2]}\n"
    "concepts:\n"
    "  - name: Physical\n"
    "    layer: 1\n"
    "    definition: a thing that takes room\n"
    "    positives: [stone, water, tree, hand]\n"
    "    hard_negatives: [number, idea]\n"
    "    random_negatives: [run, fast]\n"
    "  - name: Abstract\n"
    "    positives: [number, idea, law, truth]\n"
    "    hard_negatives: [stone, water, tree, hand]\n"
    "prompts: [\"The concept of {concept} means\"]\n"
    "directions:\n"
    "  jx: {kind: jacobian, to: \"norm:{layer}@last\"}\n"
    "  w1: {kind: mlp, site: \"norm:{layer}@last\", hidden: [16, 8], epochs: 4}\n"
    "  slope: {kind: mlp, site: \"norm:{layer}@last\", hidden: [16, 8], epochs: 4,\n"
    "          direction: mean_gradient}\n"
    "  weighted: {kind: mlp, site: \"norm:{layer}@last\", hidden: [16, 8], epochs: 4,\n"
    "             direction: weighted_w1}\n"
    "  frame: {kind: mlp, site: \"norm:{layer}@last\", hidden: [16, 8], epochs: 4, rank: 2}\n"
    "  logistic: {kind: logistic, site: \"norm:{layer}@last\", l2: 0.5}\n"
    "  difference: {kind: difference, site: \"norm:{layer}@last\"}\n"
    "  lda: {kind: lda, site: \"norm:{layer}@last\", shrinkage: 0.5}\n"
    "  pca: {kind: pca, site: \"norm:{layer}@last\", rank: 2}\n"
    "metrics:\n"
    "  - {name: alignment, of: [jx, difference]}\n"
    "  - {name: transfer, kind: transfer, of: [jx, logistic]}\n"
    "seed: 3\n";

static outcome out;
static float X[N][D];           // activations of Physical's items, positives first
static int64_t held[2];         // the item of each class that was held out
static float train[N_TRAIN][D]; // the others
static double sign[N_TRAIN];    // 1 positive, -1 negative

// -- the items ------------------------------------------------------------------------------------

// The definition as it stands, items in the default template.
static const char *const texts[N] = {
    "a thing that takes room",   "The concept of stone means", "The concept of water means",
    "The concept of tree means", "The concept of hand means",  "The concept of number means",
    "The concept of idea means", "The concept of run means",   "The concept of fast means",
};

static void read_items(void) {
    const char *path = path_of(env.dir, "x.npy");
    for (int i = 0; i < N; i++) {
        int n_dim;
        int64_t shape[VA_MAX_DIM];
        float *x;
        cli_run(&env.p, 0, NULL,
                CLI_ARGS("forward", "--model", MODEL, "--text", texts[i], "--site", "norm:2@last",
                         "--out", path));
        assert_ok(env.ctx, va_npy_load(env.ctx, env.arena, path, &n_dim, shape, &x));
        assert_true(n_dim == 1 && shape[0] == D);
        memcpy(X[i], x, sizeof X[i]);
    }
}

// Fills train, leaving positive p and negative q out; returns the difference of the class means.
static void leave_out(int64_t p, int64_t q, float difference[D]) {
    double sum[D] = {0};
    int64_t n = 0;
    for (int64_t i = 0; i < N; i++) {
        const bool positive = i < N_POSITIVE;
        if (i == p || i == q)
            continue;
        for (int k = 0; k < D; k++)
            sum[k] += positive ? X[i][k] / (N_POSITIVE - 1.) : -X[i][k] / (N_NEGATIVE - 1.);
        sign[n] = positive ? 1 : -1;
        memcpy(train[n++], X[i], sizeof X[i]);
    }
    for (int k = 0; k < D; k++)
        difference[k] = (float)sum[k];
}

static void find_split(void) {
    const float *v = saved(&out, "difference/Physical/layer2", D);
    float difference[D];
    int n_found = 0;
    for (int64_t p = 0; p < N_POSITIVE; p++)
        for (int64_t q = N_POSITIVE; q < N; q++) {
            leave_out(p, q, difference);
            if (cosine(v, difference, D) < 1 - 1e-6)
                continue;
            held[0] = p;
            held[1] = q;
            n_found++;
            expect_close(number(direction(&out, "difference/Physical/layer2"), "norm"),
                         sqrt(dot(difference, difference, D)), 1e-4);
        }
    assert_int_equal(n_found, 1);
    leave_out(held[0], held[1], difference);
}

static int setup_group(void **state) {
    run_setup(state);
    run_experiment(&out, write_text("l.yaml", experiment), "out", "--no-cache");
    read_items();
    find_split();
    return 0;
}

static int teardown_group(void **state) {
    close_outcome(&out);
    return run_teardown(state);
}

// -- linear methods -------------------------------------------------------------------------------

typedef struct linear {
    const float *w;
    double b;
} linear;

static linear read_linear(const char *name) {
    va_safetensors *st;
    char file[64];
    snprintf(file, sizeof file, "classifiers/%s/Physical/layer2.safetensors", name);
    assert_ok(env.ctx, va_safetensors_open(env.ctx, path_of(out.dir, file), &st));
    const linear m = {floats(va_safetensors_find(st, "weight"), D),
                      floats(va_safetensors_find(st, "bias"), 1)[0]};
    va_safetensors_close(&st);
    return m;
}

// Saved weights are those of the saved direction, of the norm that the record has.
static linear expect_linear(const char *name) {
    char unit[64];
    snprintf(unit, sizeof unit, "%s/Physical/layer2", name);
    const linear m = read_linear(name);
    const float *v = saved(&out, unit, D);
    expect_close(sqrt(dot(v, v, D)), 1, 1e-6);
    expect_close(cosine(v, m.w, D), 1, 1e-6);
    const double norm = number(direction(&out, unit), "norm");
    expect_close(norm, sqrt(dot(m.w, m.w, D)), 1e-5 * norm);
    return m;
}

// At the minimum of the penalised loss its gradient is 0: sum s(-y f) y x = l2 w, and by b.
static void test_logistic(void **state) {
    (void)state;
    const linear m = expect_linear("logistic");
    double by_b = 0, by_w[D] = {0};
    for (int i = 0; i < N_TRAIN; i++) {
        const double f = dot(m.w, train[i], D) + m.b, g = sign[i] / (1 + exp(sign[i] * f));
        by_b += g;
        for (int k = 0; k < D; k++)
            by_w[k] += g * train[i][k];
    }
    expect_close(by_b, 0, 1e-5);
    for (int k = 0; k < D; k++)
        expect_close(by_w[k], 0.5 * m.w[k], 1e-4);
    assert_true(truth(direction(&out, "logistic/Physical/layer2"), "converged"));
}

// The midpoint of the class means scores 0.
static void test_difference(void **state) {
    (void)state;
    const linear m = expect_linear("difference");
    double mean[2] = {0};
    for (int i = 0; i < N_TRAIN; i++)
        mean[sign[i] > 0] +=
            dot(m.w, train[i], D) / (sign[i] > 0 ? N_POSITIVE - 1 : N_NEGATIVE - 1);
    expect_close((mean[0] + mean[1]) / 2 + m.b, 0, 1e-4);
    assert_true(mean[1] > mean[0]);
}

// S w is a multiple of the difference of means, S half the pooled covariance, half its mean
// variance times the identity.
static void test_lda(void **state) {
    (void)state;
    const linear m = expect_linear("lda");
    static double S[D][D];
    double mean[2][D] = {{0}}, trace = 0;
    float Sw[D], difference[D];
    for (int i = 0; i < N_TRAIN; i++)
        for (int k = 0; k < D; k++)
            mean[sign[i] > 0][k] += train[i][k] / (sign[i] > 0 ? N_POSITIVE - 1. : N_NEGATIVE - 1.);
    for (int i = 0; i < N_TRAIN; i++)
        for (int k = 0; k < D; k++)
            for (int l = 0; l < D; l++)
                S[k][l] +=
                    (train[i][k] - mean[sign[i] > 0][k]) * (train[i][l] - mean[sign[i] > 0][l]);
    for (int k = 0; k < D; k++)
        trace += S[k][k];
    for (int k = 0; k < D; k++) {
        double sum = trace / D / 2 * m.w[k];
        for (int l = 0; l < D; l++)
            sum += S[k][l] / 2 * m.w[l];
        Sw[k] = (float)sum;
        difference[k] = (float)(mean[1][k] - mean[0][k]);
    }
    expect_close(cosine(Sw, difference, D), 1, 1e-5);
}

// Two orthonormal vectors in the span of the differences between positives and negatives.
static void test_pca(void **state) {
    (void)state;
    const float *v = saved(&out, "pca/Physical/layer2", 2 * D);
    float basis[N_TRAIN][D];
    int n = 0;
    for (int i = 1; i < N_TRAIN; i++) { // Gram-Schmidt of x_i - x_0
        for (int k = 0; k < D; k++)
            basis[n][k] = train[i][k] - train[0][k];
        for (int twice = 0; twice < 2; twice++)
            for (int j = 0; j < n; j++) {
                const double c = dot(basis[j], basis[n], D);
                for (int k = 0; k < D; k++)
                    basis[n][k] -= (float)(c * basis[j][k]);
            }
        const double norm = sqrt(dot(basis[n], basis[n], D));
        assert_true(norm > 1e-3);
        for (int k = 0; k < D; k++)
            basis[n][k] /= (float)norm;
        n++;
    }
    for (int r = 0; r < 2; r++) {
        double inside = 0;
        for (int j = 0; j < n; j++)
            inside += pow(dot(basis[j], v + r * D, D), 2);
        expect_close(inside, 1, 1e-4);
        expect_close(dot(v, v + r * D, D), r == 0, 1e-5);
    }
    const va_json *sigma = va_json_get(direction(&out, "pca/Physical/layer2"), "sigma");
    double first, second;
    assert_true(va_json_as_double(item(sigma, 0), &first));
    assert_true(va_json_as_double(item(sigma, 1), &second));
    assert_true(first > second && second > 0);
}

// -- networks -------------------------------------------------------------------------------------

// The direction of the saved network on the training items, its sign too.
static void test_networks(void **state) {
    (void)state;
    static const struct {
        const char *name;
        va_mlp_direction_kind kind;
    } kinds[] = {
        {"w1", VA_MLP_W1_SVD}, {"slope", VA_MLP_MEAN_GRADIENT}, {"weighted", VA_MLP_WEIGHTED_W1}};
    for (int64_t i = 0; i < VA_COUNT(kinds); i++) {
        char file[64], unit[64];
        va_mlp mlp;
        float v[D];
        snprintf(file, sizeof file, "classifiers/%s/Physical/layer2.safetensors", kinds[i].name);
        snprintf(unit, sizeof unit, "%s/Physical/layer2", kinds[i].name);
        assert_ok(env.ctx, va_mlp_load(env.ctx, env.arena, path_of(out.dir, file), &mlp));
        assert_ok(env.ctx,
                  va_mlp_direction(env.ctx, &mlp, kinds[i].kind, train[0], N_TRAIN, v, NULL));
        expect_close(dot(v, saved(&out, unit, D), D), 1, 1e-5);
        // one training: the same items, seed and sizes
        assert_true(cli_same_bytes(path_of(out.dir, file),
                                   path_of(out.dir, "classifiers/w1/Physical/layer2.safetensors")));
    }
}

static void test_frame(void **state) {
    (void)state;
    const float *v = saved(&out, "frame/Physical/layer2", 2 * D);
    va_mlp mlp;
    assert_ok(env.ctx,
              va_mlp_load(env.ctx, env.arena,
                          path_of(out.dir, "classifiers/frame/Physical/layer2.safetensors"), &mlp));
    for (int r = 0; r < 2; r++) { // W1 v is of length sigma, and W1' W1 v = sigma^2 v
        double sigma, error = 0, z[16], back[D] = {0};
        assert_true(va_json_as_double(
            item(va_json_get(direction(&out, "frame/Physical/layer2"), "sigma"), r), &sigma));
        for (int j = 0; j < 16; j++) {
            z[j] = dot(mlp.W1 + j * D, v + r * D, D);
            for (int k = 0; k < D; k++)
                back[k] += z[j] * mlp.W1[j * D + k];
        }
        for (int k = 0; k < D; k++)
            error += pow(back[k] - sigma * sigma * v[r * D + k], 2);
        expect_close(sqrt(error), 0, 1e-5);
        expect_close(dot(v, v + r * D, D), r == 0, 1e-5);
    }
}

// -- what they are worth --------------------------------------------------------------------------

// Of one item of either class.
static void expect_scores(const char *name, double positive, double negative) {
    char unit[64];
    snprintf(unit, sizeof unit, "%s/Physical/layer2", name);
    const va_json *c = va_json_get(direction(&out, unit), "classifier");
    const double tp = positive > 0, fp = negative > 0;
    assert_true(number(c, "n_train") == N_TRAIN && number(c, "n_test") == 2);
    assert_true(number(c, "auroc") == (positive > negative));
    assert_true(number(c, "accuracy") == (tp + 1 - fp) / 2);
    expect_close(number(c, "f1"), tp + fp > 0 ? 2 * tp / (1 + tp + fp) : 0, 1e-12);
    expect_close(number(c, "f1_all_positive"), 2. / 3, 1e-12);
}

static void test_held_out(void **state) {
    (void)state;
    static const char *const names[] = {"logistic", "difference", "lda"};
    for (int64_t i = 0; i < VA_COUNT(names); i++) {
        const linear m = read_linear(names[i]);
        expect_scores(names[i], dot(m.w, X[held[0]], D) + m.b, dot(m.w, X[held[1]], D) + m.b);
    }
    va_mlp mlp;
    float x[2][D], z[2];
    memcpy(x[0], X[held[0]], sizeof x[0]);
    memcpy(x[1], X[held[1]], sizeof x[1]);
    assert_ok(env.ctx,
              va_mlp_load(env.ctx, env.arena,
                          path_of(out.dir, "classifiers/w1/Physical/layer2.safetensors"), &mlp));
    va_mlp_logits(&mlp, x[0], 2, z);
    expect_scores("w1", z[0], z[1]);
}

// J x as a classifier: the threshold midway between the training means along it.
static void test_transfer(void **state) {
    (void)state;
    const float *v = saved(&out, "jx/Physical/layer2/prompt0", D);
    const va_json *m = with(va_json_get(item(va_json_get(out.results, "results"), 0), "metrics"),
                            "name", "transfer");
    double mean[2] = {0};
    for (int i = 0; i < N_TRAIN; i++)
        mean[sign[i] > 0] += dot(v, train[i], D) / (sign[i] > 0 ? N_POSITIVE - 1 : N_NEGATIVE - 1);
    const double threshold = (mean[0] + mean[1]) / 2;
    const double positive = dot(v, X[held[0]], D), negative = dot(v, X[held[1]], D);
    expect_close(number(m, "threshold"), threshold, 1e-4);
    assert_true(number(m, "auroc") == (positive > negative));
    assert_true(number(m, "value") == number(m, "auroc"));
    assert_true(number(m, "accuracy") == ((positive > threshold) + (negative <= threshold)) / 2.);
    assert_int_equal(number(m, "n_test"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logistic), cmocka_unit_test(test_difference),
        cmocka_unit_test(test_lda),      cmocka_unit_test(test_pca),
        cmocka_unit_test(test_networks), cmocka_unit_test(test_frame),
        cmocka_unit_test(test_held_out), cmocka_unit_test(test_transfer),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
