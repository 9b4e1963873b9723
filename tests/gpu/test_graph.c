// test_graph.c: a transformer block as a graph against double loops: values, derivatives by central
// differences of those loops, memory as planned, and the mistakes a caller can make.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/graph.h"

#include <math.h>

// -- the block in double ----------------------------------------------------------------------

enum { T = 4, D_MODEL = 6, H = 2, G = 1, D = 4, F = 9 };
enum {
    X,
    N1,
    Q,
    K,
    V,
    QR,
    KR,
    ATT,
    O,
    R1,
    N2,
    GATE,
    UP,
    HID,
    DOWN,
    R2,
    TWICE,
    CAP,
    LAST,
    MEAN,
    N_VALUES
};
enum { W_N1, W_Q, W_K, W_V, W_O, W_N2, W_G, W_U, W_D, N_WEIGHTS };

static const int value_rows[N_VALUES] = {T, T, T, T, T, T, T, T, T, T,
                                         T, T, T, T, T, T, T, T, 1, 1};
static const int value_width[N_VALUES] = {D_MODEL, D_MODEL, H *D,    G *D,    G *D,    H *D,   G *D,
                                          H *D,    D_MODEL, D_MODEL, D_MODEL, F,       F,      F,
                                          D_MODEL, D_MODEL, D_MODEL, D_MODEL, D_MODEL, D_MODEL};
static const int weight_shape[N_WEIGHTS][2] = {{D_MODEL, 0},     {H * D, D_MODEL}, {G * D, D_MODEL},
                                               {G * D, D_MODEL}, {D_MODEL, H *D},  {D_MODEL, 0},
                                               {F, D_MODEL},     {F, D_MODEL},     {D_MODEL, F}};
enum { MAX_LEN = T * 9 };
static const double EPS = 1e-5, SCALE = 0.6, CAP_AT = 3.0;

typedef struct block {
    float w[N_WEIGHTS][F * 8];
    float x[T * D_MODEL];
    float table[T * D / 2 * 2]; // (cos, sin)
} block;

// Values, and what detached mode freezes. With `frozen` set the frozen quantities are those of it.
typedef struct values {
    double v[N_VALUES][MAX_LEN];
    double rms1[T], rms2[T], prob[H][T][T], act[T * F], ratio[T * D_MODEL];
} values;

static void ref_linear(double *y, const double *x, const float *W, int rows, int n_in, int n_out) {
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < n_out; o++) {
            y[r * n_out + o] = 0;
            for (int i = 0; i < n_in; i++)
                y[r * n_out + o] += W[o * n_in + i] * x[r * n_in + i];
        }
}

static void ref_rmsnorm(double *y, const double *x, const float *w, double *scale,
                        const double *frozen) {
    for (int r = 0; r < T; r++) {
        double sum = 0;
        for (int i = 0; i < D_MODEL; i++)
            sum += x[r * D_MODEL + i] * x[r * D_MODEL + i];
        scale[r] = frozen ? frozen[r] : 1 / sqrt(sum / D_MODEL + EPS);
        for (int i = 0; i < D_MODEL; i++)
            y[r * D_MODEL + i] = x[r * D_MODEL + i] * scale[r] * (1 + w[i]);
    }
}

static void ref_rope(double *y, const double *x, const float *table, int heads) {
    for (int t = 0; t < T; t++)
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < D / 2; i++) {
                double c = table[(t * D / 2 + i) * 2], s = table[(t * D / 2 + i) * 2 + 1];
                const double *a = x + (t * heads + h) * D;
                double *b = y + (t * heads + h) * D;
                b[i] = a[i] * c - a[i + D / 2] * s;
                b[i + D / 2] = a[i + D / 2] * c + a[i] * s;
            }
}

static void ref_attention(values *r, const values *frozen) {
    for (int h = 0; h < H; h++)
        for (int t = 0; t < T; t++) {
            double total = 0, e[T];
            for (int j = 0; j <= t; j++) {
                double dot = 0;
                for (int i = 0; i < D; i++)
                    dot += r->v[QR][(t * H + h) * D + i] * r->v[KR][(j * G + h * G / H) * D + i];
                total += e[j] = exp(SCALE * dot);
            }
            for (int j = 0; j <= t; j++)
                r->prob[h][t][j] = frozen ? frozen->prob[h][t][j] : e[j] / total;
            for (int i = 0; i < D; i++) {
                double sum = 0;
                for (int j = 0; j <= t; j++)
                    sum += r->prob[h][t][j] * r->v[V][(j * G + h * G / H) * D + i];
                r->v[ATT][(t * H + h) * D + i] = sum;
            }
        }
}

static void ref_add(double *y, const double *a, const double *b) {
    for (int i = 0; i < T * D_MODEL; i++)
        y[i] = a[i] + b[i];
}

// Computes value n from those before it.
static void ref_value(const block *b, int n, values *r, const values *frozen) {
    double(*v)[MAX_LEN] = r->v;
    switch (n) {
    case X:
        for (int i = 0; i < T * D_MODEL; i++)
            v[X][i] = b->x[i];
        break;
    case N1:
        ref_rmsnorm(v[N1], v[X], b->w[W_N1], r->rms1, frozen ? frozen->rms1 : NULL);
        break;
    case Q:
        ref_linear(v[Q], v[N1], b->w[W_Q], T, D_MODEL, H * D);
        break;
    case K:
        ref_linear(v[K], v[N1], b->w[W_K], T, D_MODEL, G * D);
        break;
    case V:
        ref_linear(v[V], v[N1], b->w[W_V], T, D_MODEL, G * D);
        break;
    case QR:
        ref_rope(v[QR], v[Q], b->table, H);
        break;
    case KR:
        ref_rope(v[KR], v[K], b->table, G);
        break;
    case ATT:
        ref_attention(r, frozen);
        break;
    case O:
        ref_linear(v[O], v[ATT], b->w[W_O], T, H * D, D_MODEL);
        break;
    case R1:
        ref_add(v[R1], v[X], v[O]);
        break;
    case N2:
        ref_rmsnorm(v[N2], v[R1], b->w[W_N2], r->rms2, frozen ? frozen->rms2 : NULL);
        break;
    case GATE:
        ref_linear(v[GATE], v[N2], b->w[W_G], T, D_MODEL, F);
        break;
    case UP:
        ref_linear(v[UP], v[N2], b->w[W_U], T, D_MODEL, F);
        break;
    case HID:
        for (int i = 0; i < T * F; i++) {
            r->act[i] = frozen ? frozen->act[i] : v[GATE][i] / (1 + exp(-v[GATE][i]));
            v[HID][i] = r->act[i] * v[UP][i];
        }
        break;
    case DOWN:
        ref_linear(v[DOWN], v[HID], b->w[W_D], T, F, D_MODEL);
        break;
    case R2:
        ref_add(v[R2], v[R1], v[DOWN]);
        break;
    case TWICE:
        ref_add(v[TWICE], v[R2], v[R2]);
        break;
    case CAP:
        for (int i = 0; i < T * D_MODEL; i++) {
            double z = v[TWICE][i] / CAP_AT;
            r->ratio[i] = frozen ? frozen->ratio[i] : tanh(z) / z;
            v[CAP][i] = r->ratio[i] * v[TWICE][i];
        }
        break;
    case LAST:
        memcpy(v[LAST], v[CAP] + (T - 1) * D_MODEL, D_MODEL * sizeof(double));
        break;
    case MEAN:
        for (int i = 0; i < D_MODEL; i++) {
            v[MEAN][i] = 0;
            for (int t = 0; t < T; t++)
                v[MEAN][i] += v[CAP][t * D_MODEL + i] / T;
        }
        break;
    }
}

// All values, with eps added to element i of value `at`.
static void ref_run(const block *b, values *r, const values *frozen, int at, int i, double eps) {
    for (int n = 0; n < N_VALUES; n++) {
        ref_value(b, n, r, frozen);
        if (n == at)
            r->v[n][i] += eps;
    }
}

static int length_of(int value) {
    return value_rows[value] * value_width[value];
}

// J[o, i] by central differences: the error is about 1e-9, of the loops' third derivatives.
static void ref_jacobian(const block *b, va_mode mode, int from, int to, double *J) {
    static values base, plus, minus;
    const double step = 1e-4;
    ref_run(b, &base, NULL, -1, 0, 0);
    const values *frozen = mode == VA_DETACHED ? &base : NULL;
    for (int i = 0; i < length_of(from); i++) {
        ref_run(b, &plus, frozen, from, i, step);
        ref_run(b, &minus, frozen, from, i, -step);
        for (int o = 0; o < length_of(to); o++)
            J[o * length_of(from) + i] = (plus.v[to][o] - minus.v[to][o]) / (2 * step);
    }
}

// -- the block as a graph ---------------------------------------------------------------------

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_graph *g;
    block b;
    va_node node[N_VALUES], weight[N_WEIGHTS], ids;
    va_buffer *buffer[N_WEIGHTS];
} fixture;

// f32 through some 15 ops with sums of at most 9 terms, and derivatives that are sums over paths.
static const double TOLERANCE = 2e-5;

static void random_block(block *b) {
    va_rng rng = va_rng_make(1, 2);
    for (int w = 0; w < N_WEIGHTS; w++)
        for (int i = 0; i < F * 8; i++)
            b->w[w][i] = (float)(0.4 * va_rng_normal(&rng));
    for (int i = 0; i < T * D_MODEL; i++)
        b->x[i] = (float)va_rng_normal(&rng);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < D / 2; i++) {
            b->table[(t * D / 2 + i) * 2] = (float)cos(t * pow(0.1, i));
            b->table[(t * D / 2 + i) * 2 + 1] = (float)sin(t * pow(0.1, i));
        }
}

static const char *const value_names[N_VALUES] = {
    "x",     "norm1", "q",  "k",   "v",    "q.rope", "k.rope", "attention", "o",    "resid1",
    "norm2", "gate",  "up", "glu", "down", "resid2", "twice",  "cap",       "last", "mean"};
static const char *const weight_names[N_WEIGHTS] = {"n1.w", "q.w", "k.w", "v.w", "o.w",
                                                    "n2.w", "g.w", "u.w", "d.w"};

static va_node op2(fixture *f, va_op_id op, const va_op_attr *attr, int a, va_node second,
                   int name) {
    const va_node in[VA_OP_MAX_IN] = {f->node[a], second, VA_NODE_NONE, VA_NODE_NONE};
    return f->node[name] = va_graph_op(f->g, op, attr, in, value_names[name]);
}

static void build(fixture *f) {
    va_graph *g = f->g = va_graph_create(f->ctx);
    va_node *n = f->node, *w = f->weight;
    const va_op_attr none = {0}, norm = {.eps = (float)EPS, .weight_offset = 1};
    const va_op_attr heads_q = {.heads = H}, heads_k = {.heads = G}, rope = {.seq_len = T};
    const va_op_attr att = {.seq_len = T, .scale = (float)SCALE}, glu = {.act = VA_ACT_SILU};
    const va_op_attr cap = {.softcap = (float)CAP_AT};
    const va_op_attr last = {.seq_len = T, .first = T - 1, .count = 1};
    const va_op_attr mean = {.seq_len = T, .first = 0, .count = T, .mean = true};
    n[X] = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){T, D_MODEL});
    va_node table = va_graph_const(g, "rope", 3, (const int64_t[]){T, D / 2, 2}, f->b.table);
    for (int i = 0; i < N_WEIGHTS; i++)
        w[i] = va_graph_weight(g, weight_names[i], weight_shape[i][0], weight_shape[i][1]);
    op2(f, VA_OP_RMSNORM, &norm, X, w[W_N1], N1);
    op2(f, VA_OP_LINEAR, &heads_q, N1, w[W_Q], Q);
    op2(f, VA_OP_LINEAR, &heads_k, N1, w[W_K], K);
    op2(f, VA_OP_LINEAR, &heads_k, N1, w[W_V], V);
    op2(f, VA_OP_ROPE, &rope, Q, table, QR);
    op2(f, VA_OP_ROPE, &rope, K, table, KR);
    const va_node qkv[VA_OP_MAX_IN] = {n[QR], n[KR], n[V], VA_NODE_NONE};
    n[ATT] = va_graph_op(g, VA_OP_ATTENTION, &att, qkv, value_names[ATT]);
    op2(f, VA_OP_LINEAR, &none, ATT, w[W_O], O);
    op2(f, VA_OP_ADD, &none, X, n[O], R1);
    op2(f, VA_OP_RMSNORM, &norm, R1, w[W_N2], N2);
    op2(f, VA_OP_LINEAR, &none, N2, w[W_G], GATE);
    op2(f, VA_OP_LINEAR, &none, N2, w[W_U], UP);
    op2(f, VA_OP_GLU, &glu, GATE, n[UP], HID);
    op2(f, VA_OP_LINEAR, &none, HID, w[W_D], DOWN);
    op2(f, VA_OP_ADD, &none, R1, n[DOWN], R2);
    op2(f, VA_OP_ADD, &none, R2, n[R2], TWICE); // one node twice
    op2(f, VA_OP_SOFTCAP, &cap, TWICE, VA_NODE_NONE, CAP);
    op2(f, VA_OP_SELECT, &last, CAP, VA_NODE_NONE, LAST);
    op2(f, VA_OP_SELECT, &mean, CAP, VA_NODE_NONE, MEAN);
}

static void want_all(fixture *f, int from, int to) {
    va_graph_want(f->g, VA_EXACT, f->node[from], f->node[to]);
    va_graph_want(f->g, VA_DETACHED, f->node[from], f->node[to]);
}

static void upload_weights(fixture *f) {
    for (int i = 0; i < N_WEIGHTS; i++) {
        va_tensor t = va_graph_tensor(f->g, f->weight[i]);
        assert_ok(f->ctx,
                  va_buffer_create(f->gpu, va_tensor_bytes(&t), weight_names[i], &f->buffer[i]));
        t.mem = va_buffer_all(f->buffer[i]);
        t.mem.size_bytes = va_tensor_bytes(&t);
        assert_ok(f->ctx, va_gpu_upload(f->gpu, t.mem, f->b.w[i]));
        assert_ok(f->ctx, va_graph_bind(f->g, f->weight[i], &t));
    }
}

static void run(fixture *f) {
    assert_ok(f->ctx, va_graph_finish(f->g));
    assert_ok(f->ctx, va_graph_realize(f->g, f->gpu));
    upload_weights(f);
    assert_ok(f->ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_ok(f->ctx, va_graph_forward(f->g));
}

static int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof f);
    f.ctx = va_test_ctx();
    f.gpu = va_test_gpu(f.ctx);
    random_block(&f.b);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_graph_destroy(&f->g);
    va_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

static int begin_graph(void **state) {
    build(*state);
    return 0;
}

static int end_graph(void **state) {
    fixture *f = *state;
    va_graph_destroy(&f->g);
    for (int i = 0; i < N_WEIGHTS; i++)
        va_buffer_destroy(&f->buffer[i]);
    return 0;
}

// A block on the device from vector-major host data; data NULL: a 1e30 that must be overwritten.
static va_block make_block(fixture *f, int value, int64_t k, const float *data, va_buffer **buf) {
    va_block b;
    assert_ok(f->ctx,
              va_block_create(f->gpu, value_rows[value], k, value_width[value], "test", buf, &b));
    if (data)
        assert_ok(f->ctx, va_block_from_host(f->gpu, &b, data));
    else
        assert_ok(f->ctx, va_vec_fill(f->gpu, &b, 1e30f));
    return b;
}

// J [len(to), len(from)] by jvp of unit vectors, k at a time.
static void graph_jvp(fixture *f, va_mode mode, int from, int to, int64_t k, float *J) {
    int n = length_of(from), m = length_of(to);
    for (int first = 0; first < n; first += (int)k) {
        va_buffer *bx = NULL, *by = NULL;
        float y[MAX_LEN * MAX_LEN];
        va_block dx = make_block(f, from, k, NULL, &bx), dy = make_block(f, to, k, NULL, &by);
        assert_ok(f->ctx, va_block_one_hot(f->gpu, &dx, first));
        assert_ok(f->ctx, va_graph_jvp(f->g, mode, f->node[from], f->node[to], &dx, &dy));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &dy, y));
        for (int j = 0; j < k && first + j < n; j++)
            for (int o = 0; o < m; o++)
                J[o * n + first + j] = y[j * m + o];
        va_buffer_destroy(&bx);
        va_buffer_destroy(&by);
    }
}

// The same by vjp, for several sources at once: J[s] [len(to), len(from[s])].
static void graph_vjp(fixture *f, va_mode mode, const int *from, int n_from, int to, int64_t k,
                      float **J) {
    int m = length_of(to);
    for (int first = 0; first < m; first += (int)k) {
        va_buffer *by = NULL, *bx[8] = {0};
        va_block dx[8];
        va_node nodes[8];
        va_block dy = make_block(f, to, k, NULL, &by);
        assert_ok(f->ctx, va_block_one_hot(f->gpu, &dy, first));
        for (int s = 0; s < n_from; s++) {
            dx[s] = make_block(f, from[s], k, NULL, &bx[s]);
            nodes[s] = f->node[from[s]];
        }
        assert_ok(f->ctx, va_graph_vjp(f->g, mode, f->node[to], &dy, nodes, n_from, dx));
        for (int s = 0; s < n_from; s++) {
            int n = length_of(from[s]);
            float rows[MAX_LEN * MAX_LEN];
            assert_ok(f->ctx, va_block_to_host(f->gpu, &dx[s], rows));
            int64_t count = VA_MIN(k, m - first);
            memcpy(J[s] + first * n, rows, (size_t)(count * n) * sizeof(float));
            va_buffer_destroy(&bx[s]);
        }
        va_buffer_destroy(&by);
    }
}

// -- tests ------------------------------------------------------------------------------------

static void test_forward_values(void **state) {
    fixture *f = *state;
    static values ref;
    for (int n = 0; n < N_VALUES; n++)
        va_graph_keep(f->g, f->node[n]);
    run(f);
    ref_run(&f->b, &ref, NULL, -1, 0, 0);
    for (int n = 0; n < N_VALUES; n++) {
        float got[MAX_LEN];
        assert_ok(f->ctx, va_graph_read(f->g, f->node[n], got));
        double error = va_test_max_error(got, ref.v[n], length_of(n));
        if (!(error <= TOLERANCE))
            fail_msg("value %s: error %g", value_names[n], error);
    }
}

// With values sharing memory, the last ones still come out right.
static void test_shared_slots(void **state) {
    fixture *f = *state;
    static values ref;
    va_graph_keep(f->g, f->node[LAST]);
    va_graph_keep(f->g, f->node[MEAN]);
    run(f);
    ref_run(&f->b, &ref, NULL, -1, 0, 0);
    for (int n = LAST; n <= MEAN; n++) {
        float got[D_MODEL];
        assert_ok(f->ctx, va_graph_read(f->g, f->node[n], got));
        assert_true(va_test_max_error(got, ref.v[n], D_MODEL) <= TOLERANCE);
    }
}

static void check_jacobian(fixture *f, va_mode mode, int from, int to, int64_t k) {
    static double ref[MAX_LEN * MAX_LEN];
    static float forward[MAX_LEN * MAX_LEN], reverse[MAX_LEN * MAX_LEN];
    float *J[1] = {reverse};
    int64_t size = length_of(from) * length_of(to);
    ref_jacobian(&f->b, mode, from, to, ref);
    graph_jvp(f, mode, from, to, k, forward);
    graph_vjp(f, mode, &from, 1, to, k, J);
    double jvp = va_test_max_error(forward, ref, size), vjp = va_test_max_error(reverse, ref, size);
    if (!(jvp <= TOLERANCE && vjp <= TOLERANCE))
        fail_msg("%s %s -> %s, k %lld: jvp error %g, vjp error %g", mode ? "detached" : "exact",
                 value_names[from], value_names[to], (long long)k, jvp, vjp);
}

static void test_derivatives(void **state) {
    fixture *f = *state;
    static const int pairs[][2] = {{X, LAST},   {X, MEAN},  {X, R2}, {R1, CAP},  {N1, O},
                                   {ATT, DOWN}, {GATE, R2}, {X, N1}, {R2, TWICE}};
    for (int i = 0; i < VA_COUNT(pairs); i++)
        want_all(f, pairs[i][0], pairs[i][1]);
    run(f);
    for (int i = 0; i < VA_COUNT(pairs); i++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
            check_jacobian(f, (va_mode)mode, pairs[i][0], pairs[i][1], 5);
            check_jacobian(f, (va_mode)mode, pairs[i][0], pairs[i][1], 1);
        }
}

// <u, J v> = <J' u, v> on random vectors, which sees every entry at once.
static void test_adjoint(void **state) {
    fixture *f = *state;
    want_all(f, X, R2);
    run(f);
    enum { N = T * D_MODEL, VECTORS = 3 };
    float u[N * VECTORS], v[N * VECTORS], Jv[N * VECTORS], Ju[N * VECTORS];
    va_rng rng = va_rng_make(5, 0);
    for (int i = 0; i < N * VECTORS; i++) {
        u[i] = (float)va_rng_normal(&rng);
        v[i] = (float)va_rng_normal(&rng);
    }
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        va_buffer *b[4] = {0};
        va_block bu = make_block(f, R2, VECTORS, u, &b[0]),
                 bv = make_block(f, X, VECTORS, v, &b[1]);
        va_block y = make_block(f, R2, VECTORS, NULL, &b[2]),
                 x = make_block(f, X, VECTORS, NULL, &b[3]);
        assert_ok(f->ctx, va_graph_jvp(f->g, (va_mode)mode, f->node[X], f->node[R2], &bv, &y));
        assert_ok(f->ctx, va_graph_vjp(f->g, (va_mode)mode, f->node[R2], &bu, &f->node[X], 1, &x));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &y, Jv));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &x, Ju));
        for (int j = 0; j < VECTORS; j++) {
            double left = 0, right = 0, scale = 0;
            for (int i = 0; i < N; i++) {
                left += (double)u[j * N + i] * Jv[j * N + i];
                right += (double)Ju[j * N + i] * v[j * N + i];
                scale += fabs((double)u[j * N + i] * Jv[j * N + i]);
            }
            assert_true(fabs(left - right) <= TOLERANCE * scale && scale > 0);
        }
        for (int i = 0; i < 4; i++)
            va_buffer_destroy(&b[i]);
    }
}

// Many sources in one reverse sweep, some on the way of others, one the target itself, one that
// does not lead there and one listed twice.
static void test_many_sources(void **state) {
    fixture *f = *state;
    static const int from[] = {X, R1, N2, CAP, LAST, GATE, MEAN, R1};
    enum { SOURCES = 8 };
    static float J[SOURCES][MAX_LEN * MAX_LEN];
    float *rows[SOURCES];
    static double ref[MAX_LEN * MAX_LEN];
    for (int s = 0; s < SOURCES; s++)
        want_all(f, from[s], LAST);
    run(f);
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        for (int s = 0; s < SOURCES; s++)
            rows[s] = J[s];
        graph_vjp(f, (va_mode)mode, from, SOURCES, LAST, 4, rows);
        for (int s = 0; s < SOURCES; s++) {
            ref_jacobian(&f->b, (va_mode)mode, from[s], LAST, ref);
            double error = va_test_max_error(J[s], ref, length_of(from[s]) * length_of(LAST));
            if (!(error <= TOLERANCE))
                fail_msg("mode %d, source %s: error %g", mode, value_names[from[s]], error);
        }
    }
}

static void test_identity_and_zero(void **state) {
    fixture *f = *state;
    enum { N = T * D_MODEL };
    static float J[N * N];
    static double identity[N * N], zero[MAX_LEN * MAX_LEN];
    float *rows[1] = {J};
    const int from_r1 = R1, from_mean = MEAN, from_q = Q;
    want_all(f, R1, R1);
    want_all(f, MEAN, LAST);
    want_all(f, Q, R2);
    run(f);
    for (int i = 0; i < N; i++)
        identity[i * N + i] = 1;
    graph_jvp(f, VA_EXACT, R1, R1, 5, J);
    assert_true(va_test_max_error(J, identity, N * N) == 0);
    graph_vjp(f, VA_EXACT, &from_r1, 1, R1, 5, rows);
    assert_true(va_test_max_error(J, identity, N * N) == 0);
    graph_jvp(f, VA_EXACT, MEAN, LAST, 2, J);
    assert_true(va_test_max_error(J, zero, D_MODEL * D_MODEL) == 0);
    graph_vjp(f, VA_EXACT, &from_mean, 1, LAST, 2, rows);
    assert_true(va_test_max_error(J, zero, D_MODEL * D_MODEL) == 0);
    // Frozen probabilities: q leads nowhere in detached mode, but does in exact mode.
    graph_vjp(f, VA_DETACHED, &from_q, 1, R2, 3, rows);
    assert_true(va_test_max_error(J, zero, length_of(Q) * N) == 0);
    check_jacobian(f, VA_EXACT, Q, R2, 3);
}

static void test_memory_as_planned(void **state) {
    fixture *f = *state;
    want_all(f, X, LAST);
    va_graph_keep(f->g, f->node[LAST]);
    assert_ok(f->ctx, va_graph_finish(f->g));
    va_graph_cost forward = va_graph_forward_cost(f->g), jvp, vjp;
    va_node x = f->node[X], last = f->node[LAST];
    assert_ok(f->ctx, va_graph_sweep_cost(f->g, VA_JVP, VA_EXACT, x, last, 3, &jvp));
    assert_ok(f->ctx, va_graph_sweep_cost(f->g, VA_VJP, VA_EXACT, x, last, 3, &vjp));
    assert_true(forward.flop > 0 && jvp.flop > forward.flop && vjp.flop > forward.flop);
    int64_t before = va_gpu_get_memory(f->gpu).used_bytes;
    assert_ok(f->ctx, va_graph_realize(f->g, f->gpu));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes - before, forward.memory_bytes);
    upload_weights(f);
    assert_ok(f->ctx, va_graph_set(f->g, x, f->b.x));
    va_buffer *bx = NULL, *by = NULL;
    va_block dx = make_block(f, X, 3, NULL, &bx), dy = make_block(f, LAST, 3, NULL, &by);
    before = va_gpu_get_memory(f->gpu).used_bytes;
    assert_ok(f->ctx, va_graph_forward(f->g));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, before);
    assert_ok(f->ctx, va_graph_vjp(f->g, VA_EXACT, last, &dy, &x, 1, &dx));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes - before, vjp.memory_bytes);
    assert_ok(f->ctx, va_graph_jvp(f->g, VA_EXACT, x, last, &dx, &dy));
    int64_t both = va_gpu_get_memory(f->gpu).used_bytes;
    assert_true(both - before <= vjp.memory_bytes + jvp.memory_bytes);
    for (int i = 0; i < 3; i++) {
        assert_ok(f->ctx, va_graph_vjp(f->g, VA_EXACT, last, &dy, &x, 1, &dx));
        assert_ok(f->ctx, va_graph_jvp(f->g, VA_EXACT, x, last, &dx, &dy));
        assert_ok(f->ctx, va_graph_vjp(f->g, VA_DETACHED, last, &dy, &x, 1, &dx));
        if (i == 0)
            both = va_gpu_get_memory(f->gpu).used_bytes;
        assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, both);
    }
    va_buffer_destroy(&bx);
    va_buffer_destroy(&by);
}

// A long chain needs two slots, whatever its length; kept values each take their own.
static void test_chain_shares_memory(void **state) {
    fixture *f = *state;
    const va_op_attr attr = {.factor = 1.5f};
    for (int kept = 0; kept < 2; kept++) {
        va_graph *g = va_graph_create(f->ctx);
        va_node n = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){8, 64});
        for (int i = 0; i < 10; i++) {
            n = va_graph_op(g, VA_OP_SCALE, &attr, &n, "scale");
            if (kept || i == 9)
                va_graph_keep(g, n);
        }
        assert_ok(f->ctx, va_graph_finish(g));
        int64_t tensor = 8 * 64 * 4; // input, two slots and the result; or input and ten results
        assert_int_equal(va_graph_forward_cost(g).memory_bytes, (kept ? 11 : 4) * tensor);
        va_graph_destroy(&g);
    }
}

static void test_max_k(void **state) {
    fixture *f = *state;
    want_all(f, X, LAST);
    assert_ok(f->ctx, va_graph_finish(f->g));
    va_node x = f->node[X], last = f->node[LAST];
    const int64_t big = INT64_C(1) << 40;
    for (int pass = VA_JVP; pass <= VA_VJP; pass++) {
        va_pass p = (va_pass)pass;
        va_graph_cost at, above;
        int64_t k = va_graph_max_k(f->g, p, VA_EXACT, x, last, big, 100000);
        assert_true(k >= 1);
        assert_ok(f->ctx, va_graph_sweep_cost(f->g, p, VA_EXACT, x, last, k, &at));
        assert_ok(f->ctx, va_graph_sweep_cost(f->g, p, VA_EXACT, x, last, k + 1, &above));
        assert_true(at.memory_bytes <= 100000 && above.memory_bytes > 100000);
        assert_int_equal(va_graph_max_k(f->g, p, VA_EXACT, x, last, big, 0), 0);
        // The widest tensor is [T, k, F].
        k = va_graph_max_k(f->g, p, VA_EXACT, x, last, 40 * T * F * 4, big);
        assert_true(k >= 1 && k <= 40);
        assert_int_equal(va_graph_max_k(f->g, p, VA_EXACT, x, last, T * F * 4 - 1, big), 0);
    }
}

static void test_building_mistakes(void **state) {
    fixture *f = *state;
    va_graph *g = va_graph_create(f->ctx);
    va_node x = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){3, 5});
    va_node w = va_graph_weight(g, "the.weight", 7, 4); // does not fit
    const va_node in[VA_OP_MAX_IN] = {x, w, VA_NODE_NONE, VA_NODE_NONE};
    assert_int_equal(va_graph_op(g, VA_OP_LINEAR, NULL, in, "bad.linear"), VA_NODE_NONE);
    assert_int_equal(va_graph_input(g, "y", VA_F32, 1, (const int64_t[]){3}), VA_NODE_NONE);
    va_error_clear(f->ctx);
    assert_error(f->ctx, VA_ERR_SHAPE, "bad.linear", va_graph_finish(g));
    va_graph_destroy(&g);
    g = va_graph_create(f->ctx);
    va_node a = va_graph_weight(g, "w", 7, 4), b = va_graph_weight(g, "w", 7, 4);
    assert_true(a == b && va_graph_weight_count(g) == 1 && va_graph_weight_at(g, 0) == a);
    va_graph_weight(g, "w", 4, 7);
    assert_error(f->ctx, VA_ERR_SHAPE, "weight w", va_graph_finish(g));
    va_graph_destroy(&g);
}

static void test_running_mistakes(void **state) {
    fixture *f = *state;
    va_ctx *ctx = f->ctx;
    va_graph_keep(f->g, f->node[LAST]);
    va_graph_want(f->g, VA_DETACHED, f->node[N2], f->node[DOWN]);
    assert_ok(ctx, va_graph_finish(f->g));
    assert_error(ctx, VA_ERR_USAGE, "realised", va_graph_forward(f->g));
    assert_ok(ctx, va_graph_realize(f->g, f->gpu));
    assert_error(ctx, VA_ERR_USAGE, "x was not set", va_graph_forward(f->g));
    assert_ok(ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_error(ctx, VA_ERR_USAGE, "weight n1.w was not bound", va_graph_forward(f->g));
    va_tensor wrong = va_tensor_make(VA_F32, 2, (const int64_t[]){3, 3});
    assert_error(ctx, VA_ERR_SHAPE, "q.w", va_graph_bind(f->g, f->weight[W_Q], &wrong));
    assert_error(ctx, VA_ERR_USAGE, "gate", va_graph_bind(f->g, f->node[GATE], &wrong));
    assert_error(ctx, VA_ERR_USAGE, "gate", va_graph_set(f->g, f->node[GATE], f->b.x));
    upload_weights(f);
    va_buffer *b[3] = {0};
    va_block x = make_block(f, N2, 2, NULL, &b[0]), y = make_block(f, DOWN, 2, NULL, &b[1]);
    va_block all = make_block(f, X, 2, NULL, &b[2]);
    va_node n2 = f->node[N2], down = f->node[DOWN];
    float got[MAX_LEN];
    assert_error(ctx, VA_ERR_USAGE, "forward", va_graph_jvp(f->g, VA_DETACHED, n2, down, &x, &y));
    assert_error(ctx, VA_ERR_USAGE, "forward", va_graph_read(f->g, f->node[LAST], got));
    assert_ok(ctx, va_graph_forward(f->g));
    assert_ok(ctx, va_graph_jvp(f->g, VA_DETACHED, n2, down, &x, &y));
    assert_error(ctx, VA_ERR_USAGE, "not kept", va_graph_read(f->g, f->node[O], got));
    assert_error(ctx, VA_ERR_USAGE, "va_graph_want",
                 va_graph_jvp(f->g, VA_EXACT, f->node[X], down, &all, &y));
    x.k = 1;
    assert_error(ctx, VA_ERR_SHAPE, "norm2", va_graph_jvp(f->g, VA_DETACHED, n2, down, &x, &y));
    // A new input makes what was stored stale.
    assert_ok(ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_error(ctx, VA_ERR_USAGE, "forward", va_graph_read(f->g, f->node[LAST], got));
    for (int i = 0; i < 3; i++)
        va_buffer_destroy(&b[i]);
}

int main(void) {
#define GRAPH_TEST(test) cmocka_unit_test_setup_teardown(test, begin_graph, end_graph)
    const struct CMUnitTest tests[] = {
        GRAPH_TEST(test_forward_values),
        GRAPH_TEST(test_shared_slots),
        GRAPH_TEST(test_derivatives),
        GRAPH_TEST(test_adjoint),
        GRAPH_TEST(test_many_sources),
        GRAPH_TEST(test_identity_and_zero),
        GRAPH_TEST(test_memory_as_planned),
        GRAPH_TEST(test_max_k),
        cmocka_unit_test(test_chain_shares_memory),
        cmocka_unit_test(test_building_mistakes),
        GRAPH_TEST(test_running_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
