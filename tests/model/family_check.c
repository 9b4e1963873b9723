// SPDX-License-Identifier: Apache-2.0
#include "family_check.h"

#include "test_gpu.h"
#include "vkalign/model.h"

#include <dirent.h>
#include <math.h>

// DESIGN section 7. Seen: 2e-6 for values, 4e-6 for Jacobians; a wrong reading of a config moves
// them by 1e-2 and more (tests/fixtures/README.md).
static const double VALUE_TOLERANCE = 1e-4, JACOBIAN_TOLERANCE = 1e-4;
// f32 sums of some hundred terms on both sides of the identity.
static const double ADJOINT_TOLERANCE = 1e-5;
static const double RECONSTRUCTION_TOLERANCE = 2e-6;

enum { MAX_SITES = 64, MAX_CLASSES = 64 };

// Pairs of sites with one kind and position at each end: "embed@all > norm@last".
typedef struct pair_class {
    char name[64];
    va_mode mode;
    int n;
    double worst;
} pair_class;

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
    double worst_value, worst_jacobian, worst_adjoint, worst_jvp, worst_reconstruction;
    pair_class classes[MAX_CLASSES];
    int n_classes;
} env;

typedef struct fixture {
    va_arena *arena;
    const char *folder;
    va_model *model;
    va_safetensors *expected;
    int32_t *ids;
    int64_t T;
    int64_t n_values, n_jacobians, n_reconstructions;
} fixture;

static void note(double *worst, double error, double tolerance, const char *folder,
                 const char *what) {
    *worst = fmax(*worst, error);
    if (!(error <= tolerance))
        fail_msg("%s: %s: error %.3g, allowed %.3g", folder, what, error, tolerance);
}

static float *expected_values(fixture *f, const va_file_tensor *t) {
    float *x = VA_NEW_ARRAY(f->arena, float, t->n_elem);
    assert_non_null(x);
    va_convert_to_f32(x, t->data, t->dtype, t->n_elem);
    return x;
}

static bool load_ids(fixture *f, int prompt) {
    char name[32];
    snprintf(name, sizeof name, "p%d.ids", prompt);
    const va_file_tensor *t = va_safetensors_find(f->expected, name);
    if (!t)
        return false;
    assert_int_equal(t->dtype, VA_I64);
    f->T = t->n_elem;
    f->ids = VA_NEW_ARRAY(f->arena, int32_t, f->T);
    for (int64_t i = 0; i < f->T; i++) {
        int64_t id;
        memcpy(&id, (const uint8_t *)t->data + 8 * i, sizeof id);
        f->ids[i] = (int32_t)id;
    }
    return true;
}

// "p0.resid.3" -> resid:3@all; false for what is no value of this prompt.
static bool value_site(fixture *f, const char *name, int prompt, va_site *site) {
    char prefix[32], text[64], kind[16];
    int layer;
    snprintf(prefix, sizeof prefix, "p%d.", prompt);
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    name += strlen(prefix);
    if (strcmp(name, "logits") == 0)
        snprintf(text, sizeof text, "logits@all");
    else if (sscanf(name, "%15[a-z].%d", kind, &layer) == 2 && strcmp(kind, "jac") != 0)
        snprintf(text, sizeof text, "%s:%d@all", kind, layer);
    else
        return false;
    assert_ok(env.ctx, va_site_parse(env.ctx, text, va_model_config(f->model)->n_layer, site));
    return true;
}

static void check_values(fixture *f, int prompt) {
    va_site sites[MAX_SITES];
    const va_file_tensor *tensors[MAX_SITES];
    int64_t n = 0;
    for (int64_t i = 0; i < va_safetensors_count(f->expected); i++) {
        const va_file_tensor *t = va_safetensors_at(f->expected, i);
        assert_true(n < MAX_SITES);
        if (value_site(f, t->name, prompt, &sites[n]))
            tensors[n++] = t;
    }
    const va_prompt_params params = {
        .ids = f->ids, .n_seq = 1, .seq_len = f->T, .sites = sites, .n_sites = n};
    va_prompt *p;
    assert_ok(env.ctx, va_prompt_create(f->model, &params, &p));
    for (int64_t i = 0; i < n; i++) {
        int64_t rows, width;
        va_prompt_site_shape(p, i, &rows, &width);
        assert_int_equal(rows, tensors[i]->shape[0]);
        assert_int_equal(width, tensors[i]->shape[1]);
        float *got = VA_NEW_ARRAY(f->arena, float, rows *width);
        assert_ok(env.ctx, va_prompt_read(p, i, got));
        note(&env.worst_value,
             va_test_max_error_f32(got, expected_values(f, tensors[i]), rows * width),
             VALUE_TOLERANCE, f->folder, tensors[i]->name);
    }
    va_prompt_destroy(&p);
    f->n_values += n;
}

// -- Jacobians ------------------------------------------------------------------------------------

typedef struct jacobian {
    const char *folder, *name;
    va_arena *arena;
    va_prompt *prompt;
    va_linmap *map;
    int64_t m, n;
    float *J; // [m, n]
} jacobian;

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static float *random_vector(va_arena *arena, int64_t n, const char *stream) {
    va_rng r = va_rng_make(7, va_hash64(stream));
    float *x = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&r);
    return x;
}

// <y, J x> = <J' y, x>, and J x is the explicit J times x.
static void check_adjoint(jacobian *j) {
    const float *x = random_vector(j->arena, j->n, "x"), *y = random_vector(j->arena, j->m, "y");
    float *Jx = VA_NEW_ARRAY(j->arena, float, j->m), *Jy = VA_NEW_ARRAY(j->arena, float, j->n);
    double *product = VA_NEW_ARRAY(j->arena, double, j->m);
    assert_ok(env.ctx, va_linmap_apply_host(j->map, x, 1, Jx));
    assert_ok(env.ctx, va_linmap_apply_t_host(j->map, y, 1, Jy));
    const double size = sqrt(dot(Jx, Jx, j->m) * dot(y, y, j->m));
    assert_true(size > 0);
    note(&env.worst_adjoint, fabs(dot(Jx, y, j->m) - dot(Jy, x, j->n)) / size, ADJOINT_TOLERANCE,
         j->folder, j->name);
    for (int64_t i = 0; i < j->m; i++)
        product[i] = dot(j->J + i * j->n, x, j->n);
    note(&env.worst_jvp, va_test_frobenius_error(Jx, product, j->m), ADJOINT_TOLERANCE, j->folder,
         j->name);
}

static double deviation(const double *x, int64_t n) {
    double mean = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)n);
}

// What the biases alone give the target, NULL in a family without any: "p0.bias.FROM>TO" beside
// "p0.jac.detached.FROM>TO".
static const float *share_of_biases(fixture *f, const jacobian *j) {
    char name[VA_TEST_PATH];
    const char *pair = strstr(j->name, "detached.") + strlen("detached.");
    snprintf(name, sizeof name, "%.*s.bias.%s", (int)strcspn(j->name, "."), j->name, pair);
    const va_file_tensor *t = va_safetensors_find(f->expected, name);
    if (!t)
        return NULL;
    assert_int_equal(t->n_elem, j->m);
    return expected_values(f, t);
}

// Detached, sum_i J_i x_i and the share of the biases are the value itself.
static void check_reconstruction(fixture *f, jacobian *j) {
    const float *bias = share_of_biases(f, j);
    float *Jx = VA_NEW_ARRAY(j->arena, float, j->m), *y = VA_NEW_ARRAY(j->arena, float, j->m);
    double *error = VA_NEW_ARRAY(j->arena, double, j->m);
    double *value = VA_NEW_ARRAY(j->arena, double, j->m);
    assert_ok(env.ctx, va_prompt_jx(j->prompt, 0, 1, j->map, Jx));
    assert_ok(env.ctx, va_prompt_read(j->prompt, 1, y));
    for (int64_t i = 0; i < j->m; i++) {
        value[i] = y[i];
        error[i] = (double)Jx[i] + (bias ? bias[i] : 0) - y[i];
    }
    note(&env.worst_reconstruction, deviation(error, j->m) / deviation(value, j->m),
         RECONSTRUCTION_TOLERANCE, j->folder, j->name);
    f->n_reconstructions++;
}

static int count_dims(const va_site *site, int64_t rows, int64_t width, int64_t *shape) {
    if (site->position != VA_POS_ALL) {
        shape[0] = width;
        return 1;
    }
    shape[0] = rows, shape[1] = width;
    return 2;
}

// The site's text without its layer.
static const char *site_class(const va_site *site, char buf[64]) {
    char text[64];
    va_site_text(site, text);
    const char *colon = strchr(text, ':'), *at = strchr(text, '@');
    snprintf(buf, 64, "%.*s%s", (int)((colon ? colon : at) - text), text, at);
    return buf;
}

static void note_class(const va_site *sites, va_mode mode, double error) {
    char a[64], b[64], name[64];
    int i = 0;
    snprintf(name, sizeof name, "%.30s > %.30s", site_class(&sites[0], a),
             site_class(&sites[1], b));
    while (i < env.n_classes &&
           (env.classes[i].mode != mode || strcmp(env.classes[i].name, name) != 0))
        i++;
    assert_true(i < MAX_CLASSES);
    pair_class *c = &env.classes[i];
    if (i == env.n_classes) {
        env.n_classes++;
        c->mode = mode;
        memcpy(c->name, name, sizeof name);
    }
    c->n++;
    c->worst = fmax(c->worst, error);
}

// name: "p0.jac.MODE.FROM>TO"
static void check_jacobian(fixture *f, const va_file_tensor *t) {
    char mode_text[16], from[48], to[48];
    va_site sites[2];
    const va_arch_config *c = va_model_config(f->model);
    assert_int_equal(sscanf(t->name, "p%*d.jac.%15[a-z].%47[^>]>%47s", mode_text, from, to), 3);
    const va_mode mode = strcmp(mode_text, "exact") == 0 ? VA_EXACT : VA_DETACHED;
    assert_ok(env.ctx, va_site_parse(env.ctx, from, c->n_layer, &sites[0]));
    assert_ok(env.ctx, va_site_parse(env.ctx, to, c->n_layer, &sites[1]));
    const va_prompt_params params = {.ids = f->ids,
                                     .n_seq = 1,
                                     .seq_len = f->T,
                                     .sites = sites,
                                     .n_sites = 2,
                                     .derivatives = true,
                                     .modes = 1u << mode};
    jacobian j = {.folder = f->folder, .name = t->name, .arena = f->arena};
    assert_ok(env.ctx, va_prompt_create(f->model, &params, &j.prompt));
    assert_ok(env.ctx, va_prompt_linmap(j.prompt, 0, 1, mode, NULL, &j.map));
    const va_linmap_shape s = va_linmap_get_shape(j.map);
    j.m = s.T_out * s.d_out, j.n = s.T_in * s.d_in;

    int64_t shape[4];
    int n_dim = count_dims(&sites[1], s.T_out, s.d_out, shape);
    n_dim += count_dims(&sites[0], s.T_in, s.d_in, shape + n_dim);
    assert_int_equal(n_dim, t->n_dim);
    for (int i = 0; i < n_dim; i++)
        assert_int_equal(shape[i], t->shape[i]);

    j.J = VA_NEW_ARRAY(f->arena, float, j.m *j.n);
    assert_ok(env.ctx, va_linmap_dense(j.map, j.J));
    const double error = va_test_frobenius_error_f32(j.J, expected_values(f, t), t->n_elem);
    note_class(sites, mode, error);
    note(&env.worst_jacobian, error, JACOBIAN_TOLERANCE, f->folder, t->name);
    check_adjoint(&j);
    if (mode == VA_DETACHED && sites[0].position == VA_POS_ALL)
        check_reconstruction(f, &j);
    va_linmap_destroy(&j.map);
    va_prompt_destroy(&j.prompt);
}

static void check_jacobians(fixture *f, int prompt) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "p%d.jac.", prompt);
    for (int64_t i = 0; i < va_safetensors_count(f->expected); i++) {
        const va_file_tensor *t = va_safetensors_at(f->expected, i);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0)
            continue;
        check_jacobian(f, t);
        f->n_jacobians++;
    }
}

// -- models ---------------------------------------------------------------------------------------

static void test_model(void **state) {
    const va_family_model *m = *state;
    char path[VA_TEST_PATH];
    fixture f = {.arena = va_arena_create(), .folder = m->name};
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, va_test_fixture(path, m->expected), &f.expected));
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(path, m->model), &f.model));
    assert_ok(env.ctx, va_model_attach(f.model, env.gpu));
    if (m->check)
        m->check(env.ctx, m->name, f.model);
    for (int prompt = 0; load_ids(&f, prompt); prompt++) {
        check_values(&f, prompt);
        check_jacobians(&f, prompt);
    }
    assert_true(f.n_values >= 4 * va_model_config(f.model)->n_layer + 3);
    assert_true(f.n_jacobians >= 2 && f.n_reconstructions >= 1);
    va_model_close(&f.model);
    va_safetensors_close(&f.expected);
    va_arena_destroy(&f.arena);
}

static int run(const struct CMUnitTest *tests, size_t n) {
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    int failed = _cmocka_run_group_tests("families", tests, n, NULL, NULL);
    printf(
        "worst errors: values %.2g, Jacobians %.2g, adjoint %.2g, J x %.2g, reconstruction %.2g\n",
        env.worst_value, env.worst_jacobian, env.worst_adjoint, env.worst_jvp,
        env.worst_reconstruction);
    for (int i = 0; i < env.n_classes; i++)
        printf("  %-8s %-32s %3d Jacobians, worst error %.2g\n",
               env.classes[i].mode == VA_EXACT ? "exact" : "detached", env.classes[i].name,
               env.classes[i].n, env.classes[i].worst);
    failed += va_gpu_validation_count(env.gpu) > 0;
    va_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return failed;
}

int va_test_family_models(const va_family_model *models, int n) {
    struct CMUnitTest tests[VA_FAMILY_MAX_MODELS];
    if (n > VA_FAMILY_MAX_MODELS)
        return 1;
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){
            .name = models[i].name, .test_func = test_model, .initial_state = (void *)&models[i]};
    return run(tests, (size_t)n);
}

// -- folders --------------------------------------------------------------------------------------

// "qwen2-window" is of the family "qwen2".
static bool same_family(const char *a, const char *b) {
    const size_t n = strcspn(a, "-");
    return n == strcspn(b, "-") && strncmp(a, b, n) == 0;
}

// Every fixture of a family of which one is listed is listed.
static void test_none_forgotten(void **state) {
    const char *const *folders = *state;
    char path[VA_TEST_PATH];
    DIR *dir = opendir(va_test_fixture(path, "."));
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        bool wanted = false, listed = false;
        for (const char *const *folder = folders; *folder; folder++) {
            wanted |= same_family(*folder, entry->d_name);
            listed |= strcmp(*folder, entry->d_name) == 0;
        }
        if (wanted && !listed)
            fail_msg("%s: a fixture that no test runs", entry->d_name);
    }
    closedir(dir);
}

int va_test_families(const char *const *folders) {
    struct CMUnitTest tests[1 + VA_FAMILY_MAX_MODELS] = {{.name = "none forgotten",
                                                          .test_func = test_none_forgotten,
                                                          .initial_state = (void *)folders}};
    va_family_model models[VA_FAMILY_MAX_MODELS];
    char expected[VA_FAMILY_MAX_MODELS][VA_TEST_PATH];
    size_t n = 0;
    for (; folders[n] && n < VA_FAMILY_MAX_MODELS; n++) {
        va_test_join(expected[n], folders[n], "expected.safetensors");
        models[n] = (va_family_model){folders[n], folders[n], expected[n], NULL};
        tests[n + 1] = (struct CMUnitTest){
            .name = folders[n], .test_func = test_model, .initial_state = &models[n]};
    }
    return run(tests, n + 1);
}
