// test_mlp_host.c: the host side of classifiers: logits, mean gradient, principal direction, files.
// libs: va_probe
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <math.h>

#include "vkalign/probe.h"

enum { D = 20, H1 = 12, H2 = 7, N = 9 };

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_mlp mlp;
    float *X; // [N, D]
} fixture;

static float *random_floats(va_arena *arena, uint64_t seed, int64_t n) {
    va_rng rng = va_rng_make(seed, va_hash64("test_mlp_host"));
    float *x = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&rng);
    return x;
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    va_arena *a = f->arena;
    f->mlp = (va_mlp){D,
                      H1,
                      H2,
                      random_floats(a, 1, H1 * D),
                      random_floats(a, 2, H1),
                      random_floats(a, 3, H2 * H1),
                      random_floats(a, 4, H2),
                      random_floats(a, 5, H2),
                      random_floats(a, 6, 1)};
    f->X = random_floats(a, 7, N * D);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static double logit_of(const va_mlp *m, const double *x) {
    double a1[H1], z = m->b3[0];
    for (int u = 0; u < H1; u++) {
        a1[u] = m->b1[u];
        for (int i = 0; i < D; i++)
            a1[u] += m->W1[u * D + i] * x[i];
        a1[u] = fmax(a1[u], 0);
    }
    for (int v = 0; v < H2; v++) {
        double sum = m->b2[v];
        for (int u = 0; u < H1; u++)
            sum += m->W2[v * H1 + u] * a1[u];
        z += m->W3[v] * fmax(sum, 0);
    }
    return z;
}

static void row_of(const fixture *f, int64_t r, double *x) {
    for (int i = 0; i < D; i++)
        x[i] = f->X[r * D + i];
}

// Central differences of the logit, mean over rows. A step of 1e-6 crosses no kink of these rows.
static void difference_gradient(const fixture *f, const va_mlp *m, double *gradient) {
    const double step = 1e-6;
    memset(gradient, 0, D * sizeof *gradient);
    for (int r = 0; r < N; r++) {
        for (int i = 0; i < D; i++) {
            double up[D], down[D];
            row_of(f, r, up);
            row_of(f, r, down);
            up[i] += step;
            down[i] -= step;
            gradient[i] += (logit_of(m, up) - logit_of(m, down)) / (2 * step) / N;
        }
    }
}

static void logits_are_the_network(void **state) {
    fixture *f = *state;
    float logits[N];
    double expected[N], x[D];
    for (int r = 0; r < N; r++) {
        row_of(f, r, x);
        expected[r] = logit_of(&f->mlp, x);
    }
    va_mlp_logits(&f->mlp, f->X, N, logits);
    assert_true(va_test_max_error(logits, expected, N) < 1e-7); // one rounding to f32
}

static void gradient_is_that_of_differences(void **state) {
    fixture *f = *state;
    double gradient[D], expected[D];
    float as_float[D];
    va_mlp_mean_gradient(&f->mlp, f->X, N, gradient);
    difference_gradient(f, &f->mlp, expected);
    for (int i = 0; i < D; i++)
        as_float[i] = (float)gradient[i];
    assert_true(va_test_max_error(as_float, expected, D) < 1e-6);
}

// Top singular vectors of W1 by power iteration with deflation, in double.
static void power_iteration(const va_mlp *m, int k, double V[][D], double *sigma) {
    for (int j = 0; j < k; j++) {
        double v[D], w[H1];
        for (int i = 0; i < D; i++)
            v[i] = 1.0 / (i + 1 + j);
        for (int it = 0; it < 20000; it++) {
            for (int l = 0; l < j; l++) {
                double along = 0;
                for (int i = 0; i < D; i++)
                    along += V[l][i] * v[i];
                for (int i = 0; i < D; i++)
                    v[i] -= along * V[l][i];
            }
            double length = 0;
            for (int i = 0; i < D; i++)
                length += v[i] * v[i];
            for (int i = 0; i < D; i++)
                v[i] /= sqrt(length);
            memcpy(V[j], v, sizeof v);
            sigma[j] = 0;
            for (int u = 0; u < H1; u++) {
                w[u] = 0;
                for (int i = 0; i < D; i++)
                    w[u] += m->W1[u * D + i] * v[i];
                sigma[j] += w[u] * w[u];
            }
            sigma[j] = sqrt(sigma[j]);
            for (int i = 0; i < D; i++) {
                v[i] = 0;
                for (int u = 0; u < H1; u++)
                    v[i] += m->W1[u * D + i] * w[u];
            }
        }
    }
}

static void check_direction(fixture *f, const va_mlp *m) {
    float direction[D];
    double sigma[H1], V[3][D], expected_sigma[3], gradient[D], expected[D], along = 0;
    assert_ok(f->ctx, va_mlp_direction(f->ctx, m, VA_MLP_W1_SVD, f->X, N, direction, sigma));
    power_iteration(m, 3, V, expected_sigma);
    for (int j = 0; j < 3; j++)
        assert_true(fabs(sigma[j] / expected_sigma[j] - 1) < 1e-6);
    difference_gradient(f, m, gradient);
    for (int i = 0; i < D; i++)
        along += gradient[i] * V[0][i];
    assert_true(fabs(along) > 1e-3); // so that the orientation is no accident
    for (int i = 0; i < D; i++)
        expected[i] = along < 0 ? -V[0][i] : V[0][i];
    assert_true(va_test_max_error(direction, expected, D) < 1e-6);
    float again[D];
    assert_ok(f->ctx, va_mlp_direction(f->ctx, m, VA_MLP_W1_SVD, f->X, N, again, NULL));
    assert_memory_equal(direction, again, sizeof again);
}

static void direction_is_the_top_singular_vector(void **state) {
    fixture *f = *state;
    check_direction(f, &f->mlp);
    for (int v = 0; v < H2; v++) // now the logit falls where it rose
        f->mlp.W3[v] = -f->mlp.W3[v];
    check_direction(f, &f->mlp);
}

static void direction_refuses(void **state) {
    fixture *f = *state;
    float direction[D];
    assert_error(f->ctx, VA_ERR_SHAPE, "at least one row",
                 va_mlp_direction(f->ctx, &f->mlp, VA_MLP_W1_SVD, f->X, 0, direction, NULL));
    f->mlp.W1[3] = NAN;
    assert_error(f->ctx, VA_ERR_NUMERIC, "0.weight[3]",
                 va_mlp_direction(f->ctx, &f->mlp, VA_MLP_W1_SVD, f->X, N, direction, NULL));
}

// -- files ----------------------------------------------------------------------------------------

static void round_trip(void **state) {
    fixture *f = *state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    const va_mlp *m = &f->mlp;
    va_mlp got;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "c.safetensors");
    assert_ok(f->ctx, va_mlp_save(f->ctx, path, m));
    assert_ok(f->ctx, va_mlp_load(f->ctx, f->arena, path, &got));
    assert_int_equal(got.d, D);
    assert_int_equal(got.h1, H1);
    assert_int_equal(got.h2, H2);
    assert_memory_equal(got.W1, m->W1, H1 * D * sizeof(float));
    assert_memory_equal(got.b1, m->b1, H1 * sizeof(float));
    assert_memory_equal(got.W2, m->W2, H2 * H1 * sizeof(float));
    assert_memory_equal(got.b2, m->b2, H2 * sizeof(float));
    assert_memory_equal(got.W3, m->W3, H2 * sizeof(float));
    assert_memory_equal(got.b3, m->b3, sizeof(float));
    va_safetensors *file; // torch's names and shapes
    assert_ok(f->ctx, va_safetensors_open(f->ctx, path, &file));
    assert_int_equal(va_safetensors_count(file), 6);
    const va_file_tensor *t = va_safetensors_find(file, "6.weight");
    assert_non_null(t);
    assert_int_equal(t->n_dim, 2);
    assert_int_equal(t->shape[0], 1);
    assert_int_equal(t->shape[1], H2);
    va_safetensors_close(&file);
    f->mlp.b2[1] = INFINITY;
    assert_error(f->ctx, VA_ERR_NUMERIC, "3.bias[1]", va_mlp_save(f->ctx, path, m));
    va_test_temp_remove(dir);
}

// The file with one tensor changed: another name, dtype, shape or value.
static void load_changed(fixture *f, int which, va_file_tensor change, va_status code,
                         const char *text) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    const va_mlp *m = &f->mlp;
    va_file_tensor t[] = {
        {.name = "0.weight", .n_dim = 2, .shape = {H1, D}, .data = m->W1},
        {.name = "0.bias", .n_dim = 1, .shape = {H1}, .data = m->b1},
        {.name = "3.weight", .n_dim = 2, .shape = {H2, H1}, .data = m->W2},
        {.name = "3.bias", .n_dim = 1, .shape = {H2}, .data = m->b2},
        {.name = "6.weight", .n_dim = 2, .shape = {1, H2}, .data = m->W3},
        {.name = "6.bias", .n_dim = 1, .shape = {1}, .data = m->b3},
    };
    va_mlp got;
    for (int i = 0; i < VA_COUNT(t); i++)
        t[i].dtype = VA_F32;
    t[which] = change;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "c.safetensors");
    assert_ok(f->ctx, va_safetensors_write(f->ctx, path, t, VA_COUNT(t), NULL, 0));
    assert_error(f->ctx, code, text, va_mlp_load(f->ctx, f->arena, path, &got));
    va_test_temp_remove(dir);
}

static void refuses_other_files(void **state) {
    fixture *f = *state;
    float data[H1 * D] = {0};
    data[5] = NAN;
#define REFUSED(which, code, text, ...)                                                            \
    load_changed(f, which, (va_file_tensor){.data = data, __VA_ARGS__}, code, text)
    REFUSED(0, VA_ERR_NUMERIC, "0.weight[5]", .name = "0.weight", .n_dim = 2, .shape = {H1, D});
    data[5] = 0;
    REFUSED(3, VA_ERR_FORMAT, "no tensor \"3.bias\"", .name = "2.bias", .n_dim = 1, .shape = {H2});
    REFUSED(2, VA_ERR_SHAPE, "3.weight: dimension 1: expected 12, got 11", .name = "3.weight",
            .n_dim = 2, .shape = {H2, H1 - 1});
    REFUSED(1, VA_ERR_SHAPE, "0.bias: dimension 0: expected 12, got 13", .name = "0.bias",
            .n_dim = 1, .shape = {H1 + 1});
    REFUSED(4, VA_ERR_SHAPE, "6.weight: dimension 0: expected 1, got 2", .name = "6.weight",
            .n_dim = 2, .shape = {2, H2});
    REFUSED(0, VA_ERR_SHAPE, "0.weight: expected 2 dimensions, got 1", .name = "0.weight",
            .n_dim = 1, .shape = {H1 * D});
    REFUSED(0, VA_ERR_SHAPE, "0.weight: expected floats, got I32", .name = "0.weight", .n_dim = 2,
            .shape = {H1, D}, .dtype = VA_I32);
    REFUSED(0, VA_ERR_SHAPE, "0.weight: dimension 0: expected 1, got 0", .name = "0.weight",
            .n_dim = 2, .shape = {0, D});
#undef REFUSED
    va_mlp got;
    assert_error(f->ctx, VA_ERR_FILE, "/nowhere.safetensors",
                 va_mlp_load(f->ctx, f->arena, "/nowhere.safetensors", &got));
}

// -- PyTorch checkpoints --------------------------------------------------------------------------

// The classifier of NAME.pt is that of NAME.safetensors, which holds the bare names.
static void same_classifier(fixture *f, const char *name) {
    char file[64], path[VA_TEST_PATH];
    va_mlp got, expected;
    snprintf(file, sizeof file, "pt/%s.safetensors", name);
    assert_ok(f->ctx, va_mlp_load(f->ctx, f->arena, va_test_fixture(path, file), &expected));
    snprintf(file, sizeof file, "pt/%s.pt", name);
    assert_ok(f->ctx, va_mlp_load(f->ctx, f->arena, va_test_fixture(path, file), &got));
    assert_int_equal(got.d, 6);
    assert_int_equal(got.h1, 5);
    assert_int_equal(got.h2, 3);
    assert_true(expected.d == 6 && expected.h1 == 5 && expected.h2 == 3);
    assert_memory_equal(got.W1, expected.W1, 5 * 6 * sizeof(float));
    assert_memory_equal(got.b1, expected.b1, 5 * sizeof(float));
    assert_memory_equal(got.W2, expected.W2, 3 * 5 * sizeof(float));
    assert_memory_equal(got.b2, expected.b2, 3 * sizeof(float));
    assert_memory_equal(got.W3, expected.W3, 3 * sizeof(float));
    assert_memory_equal(got.b3, expected.b3, sizeof(float));
}

static void checkpoints(void **state) {
    same_classifier(*state, "flat");     // 0.weight, float32
    same_classifier(*state, "prefixed"); // net.0.weight, float16
    same_classifier(*state, "nested");   // model_state_dict, net.0.weight, bfloat16
}

static void refuses_other_checkpoints(void **state) {
    static const struct {
        const char *name;
        va_status code;
        const char *text;
    } cases[] = {
        // Its linear layers are at 0, 3 and 6 too: nothing but the others tells it apart.
        {"pt/batchnorm.pt", VA_ERR_UNSUPPORTED, "an entry \"1.weight\""},
        {"pt/two.pt", VA_ERR_UNSUPPORTED, "an entry \"net.0.weight\""},
        {"pt/wrong-shape.pt", VA_ERR_SHAPE, "3.weight: dimension 1: expected 5, got 6"},
        {"pt/lens.pt", VA_ERR_FORMAT, "no tensor \"0.weight\""},
        {"pt/os-system.pt", VA_ERR_UNSUPPORTED, "global os.system is not allowed"},
    };
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char path[VA_TEST_PATH];
        va_mlp got;
        assert_error(f->ctx, cases[i].code, cases[i].text,
                     va_mlp_load(f->ctx, f->arena, va_test_fixture(path, cases[i].name), &got));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(logits_are_the_network),
        TEST(gradient_is_that_of_differences),
        TEST(direction_is_the_top_singular_vector),
        TEST(direction_refuses),
        TEST(round_trip),
        TEST(refuses_other_files),
        TEST(checkpoints),
        TEST(refuses_other_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
