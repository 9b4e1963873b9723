// What the device reaches: bytes by copies, arithmetic by the op that multiplies with weights.
// SPDX-License-Identifier: Apache-2.0
#include "bench_priv.h"

enum { MAX_PRODUCTS = 8, MAX_TIMES = 256, COPIES = 4 };

// -- copies ---------------------------------------------------------------------------------------

typedef struct copy_work {
    va_gpu *gpu;
    va_buffer *buffer[2];
    va_block block[2];
} copy_work;

// More than caches hold, little beside the device's memory.
static int64_t copy_bytes(const bench *b) {
    const va_gpu_info *info = va_gpu_get_info(b->gpu);
    const int64_t most = VA_MIN(va_gpu_memory_limit(b->gpu) / 4, info->max_range_bytes);
    const int64_t size = (int64_t)(info->kind == VA_GPU_CPU ? 64 : 512) << 20;
    return VA_MAX(VA_MIN(size, most) / 4096 * 4096, 4096);
}

static va_status copy_run(void *user) {
    va_status st = VA_OK;
    copy_work *w = user;
    for (int i = 0; i < COPIES; i++)
        VA_TRY(va_gpu_copy(w->gpu, w->block[(i + 1) % 2].mem, w->block[i % 2].mem));
done:
    return st;
}

static va_status axpby_run(void *user) {
    va_status st = VA_OK;
    copy_work *w = user;
    for (int i = 0; i < COPIES; i++)
        VA_TRY(va_vec_axpby(w->gpu, 1, &w->block[i % 2], 0, &w->block[(i + 1) % 2]));
done:
    return st;
}

static va_status measure_copies(bench *b) {
    va_status st = VA_OK;
    copy_work w = {.gpu = b->gpu};
    const int64_t size = copy_bytes(b);
    const va_random numbers = {.seed = b->p.seed, .deviation = 1};
    char text[32];
    va_bench_job job = {.kind = VA_BENCH_COPY, .bytes = 2.0 * COPIES * (double)size}, *added;
    for (int i = 0; i < 2; i++) {
        VA_TRY(va_block_create(b->gpu, 1, 1, size / 4, "copy", &w.buffer[i], &w.block[i]));
        VA_TRY(va_vec_random(b->gpu, &numbers, false, w.block[i].mem));
    }
    for (int kernel = 0; kernel < 2; kernel++) {
        VA_TRY_ALLOC(b->ctx, job.what,
                     va_arena_printf(b->arena, "%d times %s by %s", COPIES,
                                     va_format_bytes(text, size), kernel ? "kernel" : "command"));
        VA_TRY(bench_time(b, &job, &(bench_work){.run = kernel ? axpby_run : copy_run, .user = &w},
                          &added));
        b->bytes_ceiling = VA_MAX(b->bytes_ceiling, added->bytes / added->median_s);
    }
done:
    va_buffer_destroy(&w.buffer[0]);
    va_buffer_destroy(&w.buffer[1]);
    return st;
}

// -- products -------------------------------------------------------------------------------------

typedef struct product {
    int64_t rows, n_in, n_out;
    va_dtype dtype; // of the weight
    bool back;      // y W, as in a reverse sweep, not x W'
} product;

static double product_flop(const product *p) {
    return 2.0 * (double)p->rows * (double)p->n_in * (double)p->n_out;
}

// The feed-forward product of the shape and a square one, with the rows of the prompt and with as
// many as keep the device busy for a moment.
static int list_products(const bench *b, product list[MAX_PRODUCTS]) {
    const va_arch_config *c = va_model_config(b->model);
    const bool cpu = va_gpu_get_info(b->gpu)->kind == VA_GPU_CPU;
    const double flop = cpu ? 2e9 : 2e11;
    const int64_t square = cpu ? 1024 : 4096, d = c->d_model, F = c->d_ff;
    const int64_t fit = (int64_t)(flop / (2.0 * (double)d * (double)F)) / 64 * 64;
    const int64_t rows = VA_MIN(VA_MAX(fit, 64), 4096);
    int n = 0;
    list[n++] = (product){b->p.tokens, d, F, VA_BF16, false};
    list[n++] = (product){64, d, F, VA_BF16, false};
    list[n++] = (product){rows, d, F, VA_BF16, false};
    list[n++] = (product){rows, d, F, VA_BF16, true};
    list[n++] = (product){rows, d, F, VA_F32, false};
    list[n++] = (product){square, square, square, VA_BF16, false};
    list[n++] = (product){square, square, square, VA_F32, false};
    return n;
}

static va_op_call shape_product(const product *p, const va_op_attr *attr) {
    const int64_t in[] = {p->rows, p->n_in}, out[] = {p->rows, p->n_out}, w[] = {p->n_out, p->n_in};
    va_op_call c = {.attr = attr, .k = 1};
    c.x[0] = va_tensor_make(VA_F32, 2, in);
    c.x[1] = va_tensor_make(p->dtype, 2, w);
    c.y = va_tensor_make(VA_F32, 2, out);
    return c;
}

static int64_t product_bytes(const va_op_call *c, bool back) {
    return va_tensor_bytes(&c->x[0]) + va_tensor_bytes(&c->x[1]) + va_tensor_bytes(&c->y) +
           va_op_get(VA_OP_LINEAR)->scratch_bytes(c, back ? VA_VJP : VA_FORWARD);
}

typedef struct product_work {
    va_op_call call;
    bool back;
    int times;            // in one run
    va_buffer *buffer[4]; // x, w, y, scratch
} product_work;

static va_status product_run(void *user) {
    va_status st = VA_OK;
    const product_work *w = user;
    const va_op *op = va_op_get(VA_OP_LINEAR);
    for (int i = 0; i < w->times; i++)
        VA_TRY(w->back ? op->vjp(&w->call) : op->forward(&w->call));
done:
    return st;
}

// So many that submitting them is little beside doing them.
static int times_of(const bench *b, const product *p) {
    const double flop = va_gpu_get_info(b->gpu)->kind == VA_GPU_CPU ? 2e8 : 2e10;
    return (int)VA_MAX(VA_MIN(flop / product_flop(p), MAX_TIMES), 1);
}

static va_status fill_tensor(bench *b, va_tensor *t, uint64_t stream, va_buffer **buffer) {
    va_status st = VA_OK;
    const va_random numbers = {.seed = b->p.seed, .stream = stream, .deviation = 1};
    VA_TRY(va_buffer_create(b->gpu, va_tensor_bytes(t), "product", buffer));
    t->mem = va_buffer_all(*buffer);
    VA_TRY(va_vec_random(b->gpu, &numbers, t->dtype == VA_BF16, t->mem));
done:
    return st;
}

static va_status make_product(bench *b, const product *p, product_work *w) {
    va_status st = VA_OK;
    va_op_call *c = &w->call;
    c->gpu = b->gpu;
    const int64_t scratch =
        va_op_get(VA_OP_LINEAR)->scratch_bytes(c, p->back ? VA_VJP : VA_FORWARD);
    VA_TRY(fill_tensor(b, &c->x[0], 1, &w->buffer[0]));
    VA_TRY(fill_tensor(b, &c->x[1], 2, &w->buffer[1]));
    VA_TRY(fill_tensor(b, &c->y, 3, &w->buffer[2]));
    c->dx[0] = c->x[0];
    c->dy = c->y;
    if (scratch > 0) {
        VA_TRY(va_buffer_create(b->gpu, scratch, "product scratch", &w->buffer[3]));
        c->scratch = va_buffer_all(w->buffer[3]);
    }
done:
    return st;
}

static va_status measure_product(bench *b, const product *p) {
    va_status st = VA_OK;
    const va_op_attr attr = {0};
    product_work w = {.call = shape_product(p, &attr), .back = p->back, .times = times_of(b, p)};
    const va_op_cost cost = va_op_get(VA_OP_LINEAR)->cost(&w.call, VA_FORWARD);
    va_bench_job job = {
        .kind = VA_BENCH_MATMUL, .flop = w.times * product_flop(p), .bytes = w.times * cost.bytes};
    va_bench_job *added;
    VA_TRY_ALLOC(b->ctx, job.what,
                 va_arena_printf(b->arena, "[%lld, %lld] x [%lld, %lld]%s %s, %d times",
                                 (long long)p->rows, (long long)(p->back ? p->n_out : p->n_in),
                                 (long long)p->n_out, (long long)p->n_in, p->back ? "" : "'",
                                 va_dtype_name(p->dtype), w.times));
    VA_TRY(make_product(b, p, &w));
    VA_TRY(bench_time(b, &job, &(bench_work){.run = product_run, .user = &w}, &added));
    b->flop_ceiling = VA_MAX(b->flop_ceiling, added->flop / added->median_s);
done:
    for (int i = 0; i < VA_COUNT(w.buffer); i++)
        va_buffer_destroy(&w.buffer[i]);
    return st;
}

// -- both -----------------------------------------------------------------------------------------

int64_t bench_ceilings_bytes(const bench *b) {
    product list[MAX_PRODUCTS];
    const int n = list_products(b, list);
    int64_t most = 2 * copy_bytes(b);
    for (int i = 0; i < n; i++) {
        const va_op_attr attr = {0};
        const va_op_call c = shape_product(&list[i], &attr);
        most = VA_MAX(most, product_bytes(&c, list[i].back));
    }
    return most;
}

va_status bench_ceilings(bench *b) {
    va_status st = VA_OK;
    product list[MAX_PRODUCTS];
    const int n = list_products(b, list);
    VA_TRY(measure_copies(b));
    for (int i = 0; i < n; i++)
        VA_TRY(measure_product(b, &list[i]));
done:
    return st;
}
