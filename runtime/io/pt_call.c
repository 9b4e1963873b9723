// pt_call.c: the names that a PyTorch checkpoint may use, and what calling them gives.
// SPDX-License-Identifier: Apache-2.0
#include "pt_priv.h"

#include <stdio.h>
#include <string.h>

// All there is. Calling one builds a value out of its arguments and does nothing else.
static const va_pt_global allowed[] = {
    {"torch._utils", "_rebuild_tensor_v2", PT_CALL_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", PT_CALL_PARAMETER, 0},
    {"collections", "OrderedDict", PT_CALL_DICT, 0},
    {"torch", "Size", PT_CALL_SIZE, 0},
    {"torch", "device", PT_CALL_DEVICE, 0},
    {"_codecs", "encode", PT_CALL_BYTES, 0},
    {"numpy", "dtype", PT_CALL_NUMPY_TYPE, 0},
    {"numpy.core.multiarray", "scalar", PT_CALL_NUMPY_SCALAR, 0},
    {"numpy._core.multiarray", "scalar", PT_CALL_NUMPY_SCALAR, 0},
    {"torch", "FloatStorage", PT_STORAGE_TYPE, VA_F32},
    {"torch", "HalfStorage", PT_STORAGE_TYPE, VA_F16},
    {"torch", "BFloat16Storage", PT_STORAGE_TYPE, VA_BF16},
    {"torch", "DoubleStorage", PT_STORAGE_TYPE, VA_F64},
    {"torch", "LongStorage", PT_STORAGE_TYPE, VA_I64},
    {"torch", "IntStorage", PT_STORAGE_TYPE, VA_I32},
    {"torch", "ShortStorage", PT_STORAGE_TYPE, VA_I16},
    {"torch", "CharStorage", PT_STORAGE_TYPE, VA_I8},
    {"torch", "ByteStorage", PT_STORAGE_TYPE, VA_U8},
    {"torch", "BoolStorage", PT_STORAGE_TYPE, VA_BOOL},
    {"torch", "float32", PT_DTYPE, 0},
    {"torch", "float16", PT_DTYPE, 0},
    {"torch", "bfloat16", PT_DTYPE, 0},
    {"torch", "float64", PT_DTYPE, 0},
};

va_status va_pt_name(va_pt_machine *m, const char *module, const char *name, va_pt_value **v) {
    va_status st = VA_OK;
    char text[64];
    for (int64_t i = 0; i < VA_COUNT(allowed); i++) {
        if (strcmp(allowed[i].module, module) != 0 || strcmp(allowed[i].name, name) != 0)
            continue;
        if (allowed[i].callee == PT_DTYPE) {
            VA_TRY(va_pt_new(m, VA_PT_STRING, v));
            const int n = snprintf(text, sizeof text, "%s.%s", module, name);
            return va_pt_set_text(m, *v, text, n);
        }
        VA_TRY(va_pt_new(m, PT_GLOBAL, v));
        (*v)->global = &allowed[i];
        return VA_OK;
    }
    return va_pt_fail(m, VA_ERR_UNSUPPORTED, "global %.80s.%.80s is not allowed", module, name);
done:
    return st;
}

// -- storages ----------------------------------------------------------------------------------

// ("storage", its type, name of a member of data/, device, number of elements)
va_status va_pt_persistent(va_pt_machine *m, const va_pt_value *id, va_pt_value **v) {
    va_status st = VA_OK;
    const bool is_tuple = id->kind == VA_PT_LIST && id->n == 5;
    const char *what = is_tuple ? va_pt_as_string(id->item[0]) : NULL;
    const char *name = is_tuple ? va_pt_as_string(id->item[2]) : NULL;
    const va_pt_value *type = is_tuple ? id->item[1] : NULL;
    int64_t n_elem;
    va_pt_storage *s;
    if (!what || strcmp(what, "storage") != 0 || !name || !va_pt_as_int(id->item[4], &n_elem) ||
        type->kind != PT_GLOBAL || type->global->callee != PT_STORAGE_TYPE)
        return va_pt_fail(m, VA_ERR_FORMAT,
                          "expected ('storage', type, name, device, elements) as a storage");
    VA_TRY_ALLOC(m->ctx, s, VA_NEW(m->file->arena, va_pt_storage));
    *s = (va_pt_storage){.entry = va_pt_zip_find(&m->file->zip, "data/", name),
                         .dtype = type->global->dtype,
                         .n_elem = n_elem};
    if (!s->entry)
        return va_pt_fail(m, VA_ERR_FORMAT, "no member data/%.80s", name);
    if (s->entry->size_bytes != va_dtype_size(s->dtype, n_elem))
        return va_pt_fail(
            m, VA_ERR_FORMAT, "data/%.80s: expected %lld elements of %s, got %lld bytes", name,
            (long long)n_elem, va_dtype_name(s->dtype), (long long)s->entry->size_bytes);
    VA_TRY(va_pt_zip_bytes(m->ctx, &m->file->zip, s->entry, &s->data));
    VA_TRY(va_pt_new(m, PT_STORAGE, v));
    (*v)->storage = s;
done:
    return st;
}

// -- tensors -----------------------------------------------------------------------------------

static va_status take_sizes(const va_pt_machine *m, const va_pt_value *list, const char *what,
                            int64_t *sizes, int *n) {
    if (list->kind != VA_PT_LIST)
        return va_pt_fail(m, VA_ERR_FORMAT, "a tensor's %s: expected a tuple, got %s", what,
                          va_pt_type_text(list));
    if (list->n > VA_MAX_DIM)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "a tensor of %lld dimensions, expected at most %d",
                          (long long)list->n, VA_MAX_DIM);
    *n = (int)list->n;
    for (int i = 0; i < *n; i++)
        if (!va_pt_as_int(list->item[i], &sizes[i]) || sizes[i] < 0)
            return va_pt_fail(m, VA_ERR_FORMAT, "a tensor's %s: expected integers from 0 on", what);
    return VA_OK;
}

// The view's elements are all within the storage.
static va_status check_view(const va_pt_machine *m, va_pt_view *t) {
    int64_t last = t->offset, step;
    bool fits = true;
    t->n_elem = 1;
    for (int i = 0; i < t->n_dim; i++)
        if (!va_mul_i64(t->n_elem, t->shape[i], &t->n_elem))
            return va_pt_fail(m, VA_ERR_FORMAT, "a tensor's shape overflows");
    for (int i = 0; i < t->n_dim; i++)
        if (t->shape[i] == 1)
            t->stride[i] = 0; // any number may stand there, and is never stepped by
    for (int i = 0; i < t->n_dim && t->n_elem > 0; i++)
        fits = fits && va_mul_i64(t->shape[i] - 1, t->stride[i], &step) &&
               va_add_i64(last, step, &last);
    if (!fits || last > t->storage->n_elem || (t->n_elem > 0 && last == t->storage->n_elem))
        return va_pt_fail(m, VA_ERR_FORMAT, "a tensor goes beyond its storage of %lld elements",
                          (long long)t->storage->n_elem);
    return VA_OK;
}

// (storage, offset, shape, strides, requires_grad, hooks[, metadata])
static va_status call_tensor(va_pt_machine *m, const va_pt_value *args, va_pt_value **v) {
    va_status st = VA_OK;
    va_pt_view *t;
    int n_strides;
    if (args->n < 6 || args->n > 7 || args->item[0]->kind != PT_STORAGE)
        return va_pt_fail(m, VA_ERR_FORMAT,
                          "expected a tensor's storage, offset, shape, strides and flags");
    if (args->n == 7 && args->item[6]->kind != VA_PT_NONE) // torch's: conjugated or negated
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "a tensor with metadata");
    VA_TRY_ALLOC(m->ctx, t, VA_NEW(m->file->arena, va_pt_view));
    t->storage = args->item[0]->storage;
    if (!va_pt_as_int(args->item[1], &t->offset) || t->offset < 0)
        return va_pt_fail(m, VA_ERR_FORMAT, "a tensor's offset: expected an integer from 0 on");
    VA_TRY(take_sizes(m, args->item[2], "shape", t->shape, &t->n_dim));
    VA_TRY(take_sizes(m, args->item[3], "strides", t->stride, &n_strides));
    if (n_strides != t->n_dim)
        return va_pt_fail(m, VA_ERR_FORMAT, "a tensor of %d dimensions with %d strides", t->n_dim,
                          n_strides);
    VA_TRY(check_view(m, t));
    VA_TRY(va_pt_new(m, VA_PT_TENSOR, v));
    (*v)->view = t;
done:
    return st;
}

// -- others ------------------------------------------------------------------------------------

// A device's type; its number, where there is one, says nothing here.
static va_status call_device(va_pt_machine *m, const va_pt_value *args, va_pt_value **v) {
    if (args->n < 1 || args->item[0]->kind != VA_PT_STRING)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected the name of a device");
    *v = args->item[0];
    return VA_OK;
}

// What is copied out of a string is short, or a string used a million times would fill the memory.
enum { MAX_COPY = 64 };

// ("...", "latin1"): the bytes of these characters, as of a number.
static va_status call_bytes(va_pt_machine *m, const va_pt_value *args, va_pt_value **v) {
    va_status st = VA_OK;
    const char *codec = args->n == 2 ? va_pt_as_string(args->item[1]) : NULL;
    if (!codec || strcmp(codec, "latin1") != 0 || args->item[0]->kind != VA_PT_STRING)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected a string and 'latin1'");
    if (args->item[0]->n > MAX_COPY)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "bytes from %lld characters, expected at most %d",
                          (long long)args->item[0]->n, MAX_COPY);
    const char *s = args->item[0]->s;
    char *bytes;
    int64_t n = 0;
    VA_TRY_ALLOC(m->ctx, bytes, va_arena_alloc(m->file->arena, args->item[0]->n + 1));
    for (int64_t i = 0; i < args->item[0]->n; i++) {
        const uint8_t c = (uint8_t)s[i];
        if (c > 0xC3) // the first byte of U+0100 and beyond
            return va_pt_fail(m, VA_ERR_FORMAT, "a character that latin1 does not have");
        bytes[n++] = (char)(c < 0x80 ? c : (c & 3) << 6 | ((uint8_t)s[++i] & 0x3F));
    }
    VA_TRY(va_pt_new(m, PT_BYTES, v));
    (*v)->s = bytes;
    (*v)->n = n;
done:
    return st;
}

// ("f8", ...)
static va_status call_numpy_type(va_pt_machine *m, const va_pt_value *args, va_pt_value **v) {
    va_status st = VA_OK;
    const char *name = args->n > 0 ? va_pt_as_string(args->item[0]) : NULL;
    if (!name || args->item[0]->n > MAX_COPY)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected the name of a numpy dtype");
    VA_TRY(va_pt_new(m, PT_NUMPY_TYPE, v));
    VA_TRY(va_pt_set_text(m, *v, name, args->item[0]->n));
done:
    return st;
}

// (dtype, bytes): a number by itself, as metrics are saved.
static va_status call_numpy_scalar(va_pt_machine *m, const va_pt_value *args, va_pt_value **v) {
    static const struct {
        const char *name;
        int kind;
        int64_t size;
    } types[] = {{"f8", VA_PT_FLOAT, 8},
                 {"f4", VA_PT_FLOAT, 4},
                 {"i8", VA_PT_INT, 8},
                 {"i4", VA_PT_INT, 4},
                 {"b1", VA_PT_BOOL, 1}};
    va_status st = VA_OK;
    if (args->n != 2 || args->item[0]->kind != PT_NUMPY_TYPE || args->item[1]->kind != PT_BYTES)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected a numpy dtype and bytes");
    const char *name = args->item[0]->s;
    const va_pt_value *bytes = args->item[1];
    for (int64_t i = 0; i < VA_COUNT(types); i++) {
        float f;
        int32_t number;
        if (strcmp(types[i].name, name) != 0)
            continue;
        if (bytes->n != types[i].size)
            return va_pt_fail(m, VA_ERR_FORMAT, "a numpy %s of %lld bytes", name,
                              (long long)bytes->n);
        VA_TRY(va_pt_new(m, types[i].kind, v));
        memcpy(&f, bytes->s, VA_MIN(sizeof f, (size_t)bytes->n));
        memcpy(&number, bytes->s, VA_MIN(sizeof number, (size_t)bytes->n));
        if (types[i].kind == VA_PT_BOOL)
            (*v)->b = bytes->s[0] != 0;
        else if (types[i].size == 8)
            memcpy(&(*v)->i, bytes->s, 8); // or the double
        else if (types[i].kind == VA_PT_INT)
            (*v)->i = number;
        else
            (*v)->f = f;
        return VA_OK;
    }
    return va_pt_fail(m, VA_ERR_UNSUPPORTED, "a numpy scalar of dtype %.20s", name);
done:
    return st;
}

static va_status call_dict(va_pt_machine *m, const va_pt_value *args, va_pt_value **v) {
    va_status st = VA_OK;
    if (args->n != 0)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "an OrderedDict of arguments");
    VA_TRY(va_pt_new(m, VA_PT_DICT, v));
    (*v)->is_ordered = true;
done:
    return st;
}

va_status va_pt_call(va_pt_machine *m, const va_pt_value *callee, va_pt_value *args,
                     va_pt_value **v) {
    if (callee->kind != PT_GLOBAL)
        return va_pt_fail(m, VA_ERR_FORMAT, "a call of %s", va_pt_type_text(callee));
    if (args->kind != VA_PT_LIST)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected a tuple of arguments, got %s",
                          va_pt_type_text(args));
    const bool one = args->n > 0;
    switch (callee->global->callee) {
    case PT_CALL_TENSOR:
        return call_tensor(m, args, v);
    case PT_CALL_DICT:
        return call_dict(m, args, v);
    case PT_CALL_DEVICE:
        return call_device(m, args, v);
    case PT_CALL_BYTES:
        return call_bytes(m, args, v);
    case PT_CALL_NUMPY_TYPE:
        return call_numpy_type(m, args, v);
    case PT_CALL_NUMPY_SCALAR:
        return call_numpy_scalar(m, args, v);
    case PT_CALL_PARAMETER: // (tensor, requires_grad, hooks)
    case PT_CALL_SIZE:      // (tuple,)
        *v = one ? args->item[0] : NULL;
        if (one &&
            (*v)->kind == (callee->global->callee == PT_CALL_SIZE ? VA_PT_LIST : VA_PT_TENSOR))
            return VA_OK;
        break;
    case PT_STORAGE_TYPE:
    case PT_DTYPE:
        break;
    }
    return va_pt_fail(m, VA_ERR_FORMAT, "wrong arguments of %s.%s", callee->global->module,
                      callee->global->name);
}

va_status va_pt_set_state(va_pt_machine *m, va_pt_value *v, const va_pt_value *state) {
    // Attributes of a state dict (_metadata: versions of modules) are no part of its contents.
    if (v->kind == VA_PT_DICT && v->is_ordered && state->kind == VA_PT_DICT)
        return VA_OK;
    if (v->kind != PT_NUMPY_TYPE)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "a %s with state", va_pt_type_text(v));
    // (version, byte order, ...)
    const char *order =
        state->kind == VA_PT_LIST && state->n > 1 ? va_pt_as_string(state->item[1]) : NULL;
    if (!order || (strcmp(order, "<") != 0 && strcmp(order, "|") != 0))
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "a numpy dtype that is not little-endian");
    return VA_OK;
}
