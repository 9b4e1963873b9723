// pt_open.c: opening a PyTorch checkpoint; its tensors.
// SPDX-License-Identifier: Apache-2.0
#include "pt_priv.h"

#include <stdlib.h>
#include <string.h>

// What is no zip archive, by how it begins.
static va_status check_magic(va_ctx *ctx, const va_pt *pt) {
    // Protocol 2, then the number by which torch knew its files before version 1.6.
    static const uint8_t before_16[] = {0x80, 2,    0x8A, 10,   0x6C, 0xFC, 0x9C,
                                        0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19};
    const va_map map = pt->map;
    const int64_t n = sizeof before_16;
    if (map.size_bytes >= n && memcmp(map.data, before_16, sizeof before_16) == 0)
        return va_fail(ctx, VA_ERR_UNSUPPORTED,
                       "%s: in PyTorch's format from before version 1.6; save it again, in Python: "
                       "torch.save(torch.load('%s', map_location='cpu'), 'new.pt')",
                       pt->path, pt->path);
    if (map.size_bytes < 4 || memcmp(map.data, "PK", 2) != 0)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: not a PyTorch file: expected a zip archive, as torch.save writes",
                       pt->path);
    return VA_OK;
}

// Absent before torch 2.1: then of a little-endian machine as well as anybody knows.
static va_status check_byte_order(va_ctx *ctx, const va_pt *pt) {
    va_status st = VA_OK;
    const va_pt_entry *e = va_pt_zip_find(&pt->zip, "", "byteorder");
    const uint8_t *text;
    if (!e)
        return VA_OK;
    VA_TRY(va_pt_zip_bytes(ctx, &pt->zip, e, &text));
    if (e->size_bytes != 6 || memcmp(text, "little", 6) != 0)
        return va_fail(ctx, VA_ERR_UNSUPPORTED, "%s: expected byteorder little, got '%.*s'",
                       pt->path, (int)VA_MIN(e->size_bytes, 16), (const char *)text);
done:
    return st;
}

static va_status read_pickle(va_ctx *ctx, va_pt *pt) {
    va_status st = VA_OK;
    va_pt_machine m = {.ctx = ctx, .file = pt};
    va_pt_entry *e = va_pt_zip_find(&pt->zip, "", "data.pkl");
    if (!e)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: not a PyTorch file: no %.*sdata.pkl in it",
                       pt->path, (int)VA_MIN(pt->zip.root_bytes, 80), pt->zip.root);
    if (va_pt_zip_find(&pt->zip, "", "constants.pkl"))
        return va_fail(ctx, VA_ERR_UNSUPPORTED,
                       "%s: a TorchScript program, expected a state dict saved by torch.save",
                       pt->path);
    if (e->size_bytes > PT_MAX_PICKLE)
        return va_fail(ctx, VA_ERR_UNSUPPORTED, "%s: data.pkl: expected at most %d bytes, got %lld",
                       pt->path, PT_MAX_PICKLE, (long long)e->size_bytes);
    VA_TRY(va_pt_zip_check(ctx, &pt->zip, e));
    VA_TRY(va_pt_zip_bytes(ctx, &pt->zip, e, &m.p));
    m.size = e->size_bytes;
    VA_TRY(va_pt_run(&m, &pt->root));
done:
    return st;
}

va_status va_pt_open(va_ctx *ctx, const char *path, va_pt **out) {
    va_status st = VA_OK;
    va_pt *pt = NULL;
    *out = NULL;
    VA_TRY_ALLOC(ctx, pt, calloc(1, sizeof *pt));
    VA_TRY_ALLOC(ctx, pt->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, pt->path, va_arena_strdup(pt->arena, path));
    VA_TRY(va_map_open(ctx, path, &pt->map));
    VA_TRY(check_magic(ctx, pt));
    pt->zip.path = pt->path;
    pt->zip.map = pt->map;
    VA_TRY(va_pt_zip_read(ctx, pt->arena, &pt->zip));
    VA_TRY(check_byte_order(ctx, pt));
    VA_TRY(read_pickle(ctx, pt));
    *out = pt;
    pt = NULL;
done:
    va_pt_close(&pt);
    return st;
}

void va_pt_close(va_pt **pt) {
    if (!pt || !*pt)
        return;
    va_map_close(&(*pt)->map);
    va_arena_destroy(&(*pt)->arena);
    free(*pt);
    *pt = NULL;
}

const va_pt_value *va_pt_root(const va_pt *pt) {
    return pt->root;
}

// -- tensors -----------------------------------------------------------------------------------

static bool is_contiguous(const va_pt_view *t) {
    int64_t stride = 1; // never more than n_elem
    for (int i = t->n_dim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != stride)
            return false;
        stride *= t->shape[i];
    }
    return true;
}

// The elements row by row: like an odometer, the last index runs fastest.
static void copy_view(const va_pt_view *t, int64_t elem_bytes, uint8_t *dst) {
    int64_t index[VA_MAX_DIM] = {0}, at = t->offset;
    for (int64_t k = 0; k < t->n_elem; k++) {
        memcpy(dst + k * elem_bytes, t->storage->data + at * elem_bytes, (size_t)elem_bytes);
        for (int i = t->n_dim - 1; i >= 0; i--) {
            at += t->stride[i];
            if (++index[i] < t->shape[i])
                break;
            at -= t->shape[i] * t->stride[i];
            index[i] = 0;
        }
    }
}

va_status va_pt_tensor(va_ctx *ctx, va_arena *arena, va_pt *pt, const va_pt_value *v,
                       const char *name, va_file_tensor *out) {
    va_status st = VA_OK;
    if (va_pt_value_kind(v) != VA_PT_TENSOR)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected a tensor, got %s", pt->path, name,
                       va_pt_type_text(v));
    const va_pt_view *t = v->view;
    const int64_t elem_bytes = va_dtype_bytes(t->storage->dtype);
    VA_TRY(va_pt_zip_check(ctx, &pt->zip, t->storage->entry));
    va_file_tensor view = {.name = name,
                           .dtype = t->storage->dtype,
                           .n_dim = t->n_dim,
                           .n_elem = t->n_elem,
                           .file = pt->path};
    memcpy(view.shape, t->shape, sizeof view.shape);
    if (t->n_elem == 0) {
        view.data = t->storage->data;
    } else if (is_contiguous(t)) {
        view.data = t->storage->data + t->offset * elem_bytes;
        view.size_bytes = t->n_elem * elem_bytes;
    } else {
        uint8_t *copy;
        if (t->n_elem > t->storage->n_elem)
            return va_fail(ctx, VA_ERR_UNSUPPORTED,
                           "%s: %s: %lld elements out of %lld, so some repeat: save .contiguous()",
                           pt->path, name, (long long)t->n_elem, (long long)t->storage->n_elem);
        VA_TRY_ALLOC(ctx, copy, va_arena_array(arena, t->n_elem, elem_bytes));
        copy_view(t, elem_bytes, copy);
        view.data = copy;
        view.size_bytes = t->n_elem * elem_bytes;
    }
    *out = view;
done:
    return st;
}
