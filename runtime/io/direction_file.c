// direction_file.c: directions from npy, safetensors, GGUF and PyTorch files.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include "vkalign/direction.h"
#include "vkalign/pt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// What messages name, where the numbers are to go.
typedef struct request {
    va_ctx *ctx;
    va_arena *arena;
    const char *spec, *path, *name; // name: what stands behind "path:"
    va_direction_frame *frame;
} request;

// Every row is a direction: finite, and not zero.
static va_status check_rows(const request *r, const va_direction_frame *f) {
    for (int64_t i = 0; i < f->k; i++) {
        bool is_zero = true;
        for (int64_t j = 0; j < f->d; j++) {
            const float x = f->rows[i * f->d + j];
            if (!isfinite(x))
                return va_fail(r->ctx, VA_ERR_NUMERIC,
                               "%s: row %lld: element %lld is %g in float32, expected a number",
                               r->spec, (long long)i, (long long)j, (double)x);
            is_zero = is_zero && x == 0;
        }
        if (is_zero)
            return va_fail(r->ctx, VA_ERR_NUMERIC, "%s: row %lld is zero, so no direction", r->spec,
                           (long long)i);
    }
    return VA_OK;
}

static va_status take_tensor(const request *r, const va_file_tensor *t) {
    va_status st = VA_OK;
    va_direction_frame f = {.k = 1};
    if (t->dtype != VA_F32 && t->dtype != VA_F64 && t->dtype != VA_F16 && t->dtype != VA_BF16)
        return va_fail(r->ctx, VA_ERR_SHAPE, "%s: expected floats, got %s", r->spec,
                       va_dtype_name(t->dtype));
    if (t->n_dim != 1 && t->n_dim != 2)
        return va_fail(r->ctx, VA_ERR_SHAPE, "%s: expected [d] or [k, d], got %d dimensions",
                       r->spec, t->n_dim);
    if (t->n_dim == 2)
        f.k = t->shape[0];
    f.d = t->shape[t->n_dim - 1];
    if (f.k < 1 || f.d < 1)
        return va_fail(r->ctx, VA_ERR_SHAPE,
                       "%s: expected at least one direction, got [%lld, %lld]", r->spec,
                       (long long)f.k, (long long)f.d);
    VA_TRY_ALLOC(r->ctx, f.rows, VA_NEW_ARRAY(r->arena, float, t->n_elem));
    va_convert_to_f32(f.rows, t->data, t->dtype, t->n_elem);
    VA_TRY(check_rows(r, &f));
    *r->frame = f;
done:
    return st;
}

// -- npy, safetensors, GGUF --------------------------------------------------------------------

static va_status read_npy(const request *r) {
    va_status st = VA_OK;
    va_file_tensor t = {.dtype = VA_F32, .n_elem = 1};
    float *data;
    VA_TRY(va_npy_load(r->ctx, r->arena, r->path, &t.n_dim, t.shape, &data));
    t.data = data;
    for (int i = 0; i < t.n_dim; i++)
        t.n_elem *= t.shape[i]; // the reader has checked the product
    VA_TRY(take_tensor(r, &t));
done:
    return st;
}

// The file's names, for "did you mean".
static const char *nearest_name(const request *r, const va_safetensors *file) {
    const int64_t n = va_safetensors_count(file);
    const char **names = va_arena_array(r->arena, n, (int64_t)sizeof *names);
    for (int64_t i = 0; names && i < n; i++)
        names[i] = va_safetensors_at(file, i)->name;
    const char *nearest = names ? va_did_you_mean(r->name, names, n) : NULL;
    return nearest ? va_arena_strdup(r->arena, nearest) : NULL;
}

static va_status read_safetensors(const request *r) {
    va_status st = VA_OK;
    va_safetensors *file = NULL;
    VA_TRY(va_safetensors_open(r->ctx, r->path, &file));
    const va_file_tensor *t = va_safetensors_find(file, r->name);
    if (t) {
        VA_TRY(take_tensor(r, t));
    } else {
        const char *nearest = nearest_name(r, file);
        st = va_fail(r->ctx, VA_ERR_FORMAT, "%s: no tensor '%s' among %lld%s%s%s", r->path, r->name,
                     (long long)va_safetensors_count(file), nearest ? ", did you mean '" : "",
                     nearest ? nearest : "", nearest ? "'?" : "");
    }
done:
    va_safetensors_close(&file);
    return st;
}

static va_status read_gguf(const request *r) {
    va_status st = VA_OK;
    va_control_vector cv;
    const size_t n_digits = strspn(r->name, "0123456789");
    if (n_digits > 9 || r->name[n_digits])
        return va_fail(r->ctx, VA_ERR_USAGE, "%s: expected a layer's number after ':', got '%s'",
                       r->spec, r->name);
    const int64_t layer = strtol(r->name, NULL, 10);
    VA_TRY(va_control_vector_read(r->ctx, r->arena, r->path, &cv));
    for (int64_t i = 0; i < cv.n; i++)
        if (cv.layer[i] == layer)
            return take_tensor(r, &(va_file_tensor){.dtype = VA_F32,
                                                    .n_dim = 1,
                                                    .shape = {cv.d},
                                                    .n_elem = cv.d,
                                                    .data = cv.rows + i * cv.d});
    return va_fail(r->ctx, VA_ERR_FORMAT,
                   "%s: no direction for layer %lld; it has %lld, from layer %lld to %lld", r->path,
                   (long long)layer, (long long)cv.n, (long long)cv.layer[0],
                   (long long)cv.layer[cv.n - 1]);
done:
    return st;
}

// -- PyTorch -----------------------------------------------------------------------------------

// The value of a dict's key or a list's index, or NULL.
static const va_pt_value *child_of(const va_pt_value *v, const char *key) {
    const va_pt_value *found = va_pt_get(v, key);
    char *end;
    if (found || !*key)
        return found;
    const long long number = strtoll(key, &end, 10);
    if (*end || strspn(key, "-0123456789") != strlen(key))
        return NULL;
    return va_pt_value_kind(v) == VA_PT_LIST ? va_pt_at(v, number) : va_pt_get_int(v, number);
}

static va_status fail_key(const request *r, const va_pt_value *v, const char *rest) {
    enum { SHOWN = 8 };
    va_strbuf keys = {0};
    int64_t number;
    for (int64_t i = 0; i < VA_MIN(va_pt_count(v), SHOWN); i++) {
        const va_pt_value *key = va_pt_key_at(v, i);
        const char *separator = i ? ", " : "";
        if (va_pt_as_int(key, &number))
            va_strbuf_printf(&keys, "%s%lld", separator, (long long)number);
        else if (key)
            va_strbuf_printf(&keys, "%s'%.40s'", separator, va_pt_as_string(key));
    }
    const va_status st =
        va_fail(r->ctx, VA_ERR_FORMAT, "%s: no '%s' in the %s of %lld there%s%s%s", r->spec, rest,
                va_pt_type_text(v), (long long)va_pt_count(v), keys.len ? ": " : "",
                keys.len ? keys.data : "", va_pt_count(v) > SHOWN && keys.len ? ", ..." : "");
    va_strbuf_free(&keys);
    return st;
}

// Goes down the path; at each step the longest key that there is.
static va_status find_value(const request *r, const va_pt_value *v, const va_pt_value **found) {
    va_status st = VA_OK;
    char *rest;
    VA_TRY_ALLOC(r->ctx, rest, va_arena_strdup(r->arena, r->name));
    for (bool at_end = false; !at_end;) {
        const va_pt_value *child = NULL;
        char *cut = rest + strlen(rest);
        while (!child) {
            const char kept = *cut;
            *cut = '\0';
            child = child_of(v, rest);
            *cut = kept;
            if (child)
                break;
            while (cut > rest && *--cut != '.')
                ;
            if (cut == rest)
                return fail_key(r, v, rest);
        }
        v = child;
        at_end = *cut == '\0';
        rest = cut + 1;
    }
    *found = v;
done:
    return st;
}

static va_status read_pt(const request *r) {
    va_status st = VA_OK;
    va_pt *pt = NULL;
    const va_pt_value *v = NULL;
    va_file_tensor t = {0};
    VA_TRY(va_pt_open(r->ctx, r->path, &pt));
    VA_TRY(find_value(r, va_pt_root(pt), &v));
    VA_TRY(va_pt_tensor(r->ctx, r->arena, pt, v, r->name, &t));
    VA_TRY(take_tensor(r, &t));
done:
    va_pt_close(&pt);
    return st;
}

// -- all ---------------------------------------------------------------------------------------

// The first place in spec where a file's name ends as one of these and ':' follows, or, for npy,
// the end.
static const struct {
    const char *suffix;
    va_status (*read)(const request *r);
} kinds[] = {
    {".npy", read_npy},    {".safetensors:", read_safetensors},
    {".gguf:", read_gguf}, {".pt:", read_pt},
    {".pth:", read_pt},
};

va_status va_direction_file_read(va_ctx *ctx, va_arena *arena, const char *spec,
                                 va_direction_frame *frame) {
    va_status st = VA_OK;
    request r = {.ctx = ctx, .arena = arena, .spec = spec, .frame = frame};
    const char *path_end = NULL;
    int64_t kind = -1;
    for (int64_t i = 0; i < VA_COUNT(kinds); i++) {
        const char *suffix = kinds[i].suffix, *at = strstr(spec, suffix);
        const size_t n = strlen(suffix);
        if (i == 0) // at the end alone
            at = strlen(spec) > n ? spec + strlen(spec) - n : spec;
        if (!at || at == spec || strncmp(at, suffix, n) != 0 || (path_end && path_end < at))
            continue;
        path_end = at + n - (i > 0);
        kind = i;
    }
    if (kind < 0 || (kind > 0 && !path_end[1]))
        return va_fail(ctx, VA_ERR_USAGE,
                       "%s: expected FILE.npy, FILE.safetensors:NAME, FILE.gguf:LAYER or "
                       "FILE.pt:KEY",
                       spec);
    VA_TRY_ALLOC(ctx, r.path, va_arena_strndup(arena, spec, path_end - spec));
    r.name = *path_end ? path_end + 1 : path_end;
    VA_TRY(kinds[kind].read(&r));
done:
    return st;
}
