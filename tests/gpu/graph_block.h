// graph_block.h: a transformer block as double loops and as a graph, for the tests of graphs.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_BLOCK_H
#define GRAPH_BLOCK_H

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

static inline void ref_linear(double *y, const double *x, const float *W, int rows, int n_in,
                              int n_out) {
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < n_out; o++) {
            y[r * n_out + o] = 0;
            for (int i = 0; i < n_in; i++)
                y[r * n_out + o] += W[o * n_in + i] * x[r * n_in + i];
        }
}

static inline void ref_rmsnorm(double *y, const double *x, const float *w, double *scale,
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

static inline void ref_rope(double *y, const double *x, const float *table, int heads) {
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

static inline void ref_attention(values *r, const values *frozen) {
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

static inline void ref_add(double *y, const double *a, const double *b) {
    for (int i = 0; i < T * D_MODEL; i++)
        y[i] = a[i] + b[i];
}

// Computes value n from those before it.
static inline void ref_value(const block *b, int n, values *r, const values *frozen) {
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
static inline void ref_run(const block *b, values *r, const values *frozen, int at, int i,
                           double eps) {
    for (int n = 0; n < N_VALUES; n++) {
        ref_value(b, n, r, frozen);
        if (n == at)
            r->v[n][i] += eps;
    }
}

static inline int length_of(int value) {
    return value_rows[value] * value_width[value];
}

// J[o, i] by central differences: the error is about 1e-9, of the loops' third derivatives.
static inline void ref_jacobian(const block *b, va_mode mode, int from, int to, double *J) {
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

static inline void random_block(block *b) {
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

static inline va_node op2(fixture *f, va_op_id op, const va_op_attr *attr, int a, va_node second,
                          int name) {
    const va_node in[VA_OP_MAX_IN] = {f->node[a], second, VA_NODE_NONE, VA_NODE_NONE};
    return f->node[name] = va_graph_op(f->g, op, attr, in, value_names[name]);
}

static inline void build(fixture *f) {
    va_graph *g = f->g = va_graph_create(f->ctx);
    va_node *n = f->node, *w = f->weight;
    const va_op_attr none = {0}, norm = {.eps = (float)EPS, .weight_offset = 1};
    const va_op_attr heads_q = {.heads = H}, heads_k = {.heads = G}, rope = {.seq_len = T};
    const va_op_attr att = {.seq_len = T, .scale = (float)SCALE}, glu = {.act = VA_ACT_SILU};
    const va_op_attr cap = {.softcap = (float)CAP_AT};
    const va_op_attr last = {.seq_len = T, .first = T - 1, .count = 1};
    const va_op_attr mean = {.seq_len = T, .first = 0, .count = T, .mean = true};
    n[X] = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){T, D_MODEL});
    va_node table =
        va_graph_const(g, "rope", VA_F32, 3, (const int64_t[]){T, D / 2, 2}, f->b.table);
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

static inline void want_all(fixture *f, int from, int to) {
    va_graph_want(f->g, VA_EXACT, f->node[from], f->node[to]);
    va_graph_want(f->g, VA_DETACHED, f->node[from], f->node[to]);
}

static inline void upload_weights(fixture *f) {
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

static inline void run(fixture *f) {
    assert_ok(f->ctx, va_graph_finish(f->g));
    assert_ok(f->ctx, va_graph_realize(f->g, f->gpu));
    upload_weights(f);
    assert_ok(f->ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_ok(f->ctx, va_graph_forward(f->g));
}

static inline int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof f);
    f.ctx = va_test_ctx();
    f.gpu = va_test_gpu(f.ctx);
    random_block(&f.b);
    *state = &f;
    return 0;
}

static inline int teardown(void **state) {
    fixture *f = *state;
    va_graph_destroy(&f->g);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

static inline int begin_graph(void **state) {
    build(*state);
    return 0;
}

static inline int end_graph(void **state) {
    fixture *f = *state;
    va_graph_destroy(&f->g);
    for (int i = 0; i < N_WEIGHTS; i++)
        va_buffer_destroy(&f->buffer[i]);
    return 0;
}

// A block on the device from vector-major host data; data NULL: a 1e30 that must be overwritten.
static inline va_block make_block(fixture *f, int value, int64_t k, const float *data,
                                  va_buffer **buf) {
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
static inline void graph_jvp(fixture *f, va_mode mode, int from, int to, int64_t k, float *J) {
    int n = length_of(from), m = length_of(to);
    for (int first = 0; first < n; first += (int)k) {
        va_buffer *bx = NULL, *by = NULL;
        float y[MAX_LEN * MAX_LEN];
        va_block dx = make_block(f, from, k, NULL, &bx), dy = make_block(f, to, k, NULL, &by);
        assert_ok(f->ctx, va_block_one_hot(f->gpu, &dx, first));
        assert_ok(f->ctx,
                  va_graph_jvp(f->g, mode, f->node[from], VA_ALL_ROWS, f->node[to], &dx, &dy));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &dy, y));
        for (int j = 0; j < k && first + j < n; j++)
            for (int o = 0; o < m; o++)
                J[o * n + first + j] = y[j * m + o];
        va_buffer_destroy(&bx);
        va_buffer_destroy(&by);
    }
}

// The same by vjp, for several sources at once: J[s] [len(to), len(from[s])].
static inline void graph_vjp(fixture *f, va_mode mode, const int *from, int n_from, int to,
                             int64_t k, float **J) {
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
        assert_ok(f->ctx,
                  va_graph_vjp(f->g, mode, f->node[to], &dy, nodes, n_from, VA_ALL_ROWS, dx));
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

#define GRAPH_TEST(test) cmocka_unit_test_setup_teardown(test, begin_graph, end_graph)

#endif
