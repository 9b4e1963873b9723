// tensor.c: shapes and sizes of device tensors.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/tensor.h"

#include <assert.h>
#include <stdio.h>

// -1 on overflow or a negative dimension.
static int64_t checked_elems(const va_tensor *t) {
    int64_t n = t->n_dim > 0;
    for (int i = 0; i < t->n_dim; i++)
        if (t->shape[i] < 0 || !va_mul_i64(n, t->shape[i], &n))
            return -1;
    return n;
}

int64_t va_tensor_elems(const va_tensor *t) {
    return checked_elems(t);
}

int64_t va_tensor_bytes(const va_tensor *t) {
    int64_t row = t->n_dim > 0 ? t->shape[t->n_dim - 1] : 0, bytes;
    if (va_dtype_size(t->dtype, row) < 0) // a block never crosses rows
        return -1;
    bytes = va_dtype_size(t->dtype, checked_elems(t));
    return bytes < 0 || !va_add_i64(bytes, 3, &bytes) ? -1 : bytes / 4 * 4;
}

va_tensor va_tensor_make(va_dtype dtype, int n_dim, const int64_t *shape) {
    assert(n_dim >= 0 && n_dim <= VA_TENSOR_MAX_DIM);
    va_tensor t = {.dtype = dtype, .n_dim = n_dim};
    for (int i = 0; i < n_dim; i++)
        t.shape[i] = shape[i];
    return t;
}

bool va_tensor_same_shape(const va_tensor *a, const va_tensor *b) {
    if (a->n_dim != b->n_dim)
        return false;
    for (int i = 0; i < a->n_dim; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

const char *va_tensor_text(const va_tensor *t, char buf[96]) {
    if (t->n_dim == 0)
        return snprintf(buf, 96, "nothing"), buf;
    int len = snprintf(buf, 96, "[");
    for (int i = 0; i < t->n_dim; i++)
        len += snprintf(buf + len, (size_t)(96 - len), "%s%lld", i ? ", " : "",
                        (long long)t->shape[i]);
    snprintf(buf + len, (size_t)(96 - len), "] %s", va_dtype_name(t->dtype));
    return buf;
}
