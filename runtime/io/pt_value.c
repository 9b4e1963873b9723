// pt_value.c: the values of a PyTorch checkpoint: building, checking, reading.
// SPDX-License-Identifier: Apache-2.0
#include "pt_priv.h"

#include <stdlib.h>
#include <string.h>

// -- building ----------------------------------------------------------------------------------

va_status va_pt_new(va_pt_machine *m, int kind, va_pt_value **v) {
    va_status st = VA_OK;
    if (m->n_values == PT_MAX_VALUES)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "more than %d values", PT_MAX_VALUES);
    m->n_values++;
    VA_TRY_ALLOC(m->ctx, *v, VA_NEW(m->file->arena, va_pt_value));
    (*v)->kind = (uint8_t)kind;
done:
    return st;
}

va_status va_pt_set_text(va_pt_machine *m, va_pt_value *v, const char *s, int64_t n) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(m->ctx, v->s, va_arena_strndup(m->file->arena, s, n));
    v->n = n;
done:
    return st;
}

// The items with room for twice as many; the old ones stay in the arena, less than these again.
static va_status grow(va_pt_machine *m, va_pt_value ***items, int64_t n, int64_t cap) {
    va_status st = VA_OK;
    va_pt_value **more;
    VA_TRY_ALLOC(m->ctx, more, VA_NEW_ARRAY(m->file->arena, va_pt_value *, cap));
    if (n > 0)
        memcpy(more, *items, (size_t)n * sizeof *more);
    *items = more;
done:
    return st;
}

va_status va_pt_add(va_pt_machine *m, va_pt_value *v, va_pt_value *key, va_pt_value *item) {
    va_status st = VA_OK;
    if (key && key->kind != VA_PT_STRING && key->kind != VA_PT_INT)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "expected a string or an integer as key, got %s",
                          va_pt_type_text(key));
    if (key && key->kind == VA_PT_STRING && memchr(key->s, 0, (size_t)key->n))
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "a key with a NUL in it");
    if (v->n == v->cap) {
        const int64_t cap = VA_MAX(4, 2 * v->cap);
        VA_TRY(grow(m, &v->item, v->n, cap));
        if (key)
            VA_TRY(grow(m, &v->key, v->n, cap));
        v->cap = cap;
    }
    v->item[v->n] = item;
    if (key)
        v->key[v->n] = key;
    v->n++;
done:
    return st;
}

// -- checking ----------------------------------------------------------------------------------

// Integers before strings.
static int compare_keys(const va_pt_value *a, const va_pt_value *b) {
    if (a->kind != b->kind)
        return a->kind == VA_PT_INT ? -1 : 1;
    if (a->kind == VA_PT_INT)
        return (a->i > b->i) - (a->i < b->i);
    return strcmp(a->s, b->s);
}

static int compare_pairs(const void *a, const void *b) {
    return compare_keys(((const va_pt_pair *)a)->key, ((const va_pt_pair *)b)->key);
}

static va_status sort_keys(va_pt_machine *m, va_pt_value *dict) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(m->ctx, dict->sorted, VA_NEW_ARRAY(m->file->arena, va_pt_pair, dict->n));
    for (int64_t i = 0; i < dict->n; i++)
        dict->sorted[i] = (va_pt_pair){dict->key[i], dict->item[i]};
    if (dict->n > 0)
        qsort(dict->sorted, (size_t)dict->n, sizeof *dict->sorted, compare_pairs);
    for (int64_t i = 1; i < dict->n; i++) {
        const va_pt_value *key = dict->sorted[i].key;
        if (compare_keys(dict->sorted[i - 1].key, key) != 0)
            continue;
        if (key->kind == VA_PT_INT)
            return va_pt_fail(m, VA_ERR_FORMAT, "key %lld stands twice", (long long)key->i);
        return va_pt_fail(m, VA_ERR_FORMAT, "key '%.80s' stands twice", key->s);
    }
done:
    return st;
}

// Every value once, however often it stands.
static va_status check(va_pt_machine *m, va_pt_value *v, int depth) {
    va_status st = VA_OK;
    uint8_t height = 0;
    if (v->on_path)
        return va_pt_fail(m, VA_ERR_FORMAT, "a %s contains itself", va_pt_type_text(v));
    if (v->height > 0)
        return VA_OK;
    if (v->kind > VA_PT_TENSOR)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "%s among the values", va_pt_type_text(v));
    if (depth > PT_MAX_DEPTH)
        return va_pt_fail(m, VA_ERR_FORMAT, "nested deeper than %d", PT_MAX_DEPTH);
    v->on_path = true;
    const int64_t n = v->kind == VA_PT_LIST || v->kind == VA_PT_DICT ? v->n : 0;
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(check(m, v->item[i], depth + 1));
        height = VA_MAX(height, v->item[i]->height);
    }
    if (v->kind == VA_PT_DICT)
        VA_TRY(sort_keys(m, v));
    v->height = (uint8_t)(height + 1);
    if (v->height > PT_MAX_DEPTH) // by another way than the one here
        return va_pt_fail(m, VA_ERR_FORMAT, "nested deeper than %d", PT_MAX_DEPTH);
    v->on_path = false;
done:
    return st;
}

va_status va_pt_finish(va_pt_machine *m, va_pt_value *root) {
    return check(m, root, 1);
}

// -- reading -----------------------------------------------------------------------------------

va_pt_kind va_pt_value_kind(const va_pt_value *v) {
    return v ? (va_pt_kind)v->kind : VA_PT_ABSENT;
}

const char *va_pt_type_text(const va_pt_value *v) {
    static const char *const text[] = {
        [VA_PT_ABSENT] = "nothing",
        [VA_PT_NONE] = "None",
        [VA_PT_BOOL] = "bool",
        [VA_PT_INT] = "integer",
        [VA_PT_FLOAT] = "float",
        [VA_PT_STRING] = "string",
        [VA_PT_LIST] = "list",
        [VA_PT_DICT] = "dict",
        [VA_PT_TENSOR] = "tensor",
        [PT_GLOBAL] = "a function",
        [PT_STORAGE] = "a storage",
        [PT_BYTES] = "bytes",
        [PT_NUMPY_TYPE] = "a numpy dtype",
    };
    return text[v ? v->kind : VA_PT_ABSENT];
}

int64_t va_pt_count(const va_pt_value *v) {
    return v && (v->kind == VA_PT_LIST || v->kind == VA_PT_DICT) ? v->n : 0;
}

const va_pt_value *va_pt_at(const va_pt_value *v, int64_t i) {
    return i >= 0 && i < va_pt_count(v) ? v->item[i] : NULL;
}

const va_pt_value *va_pt_key_at(const va_pt_value *dict, int64_t i) {
    return va_pt_value_kind(dict) == VA_PT_DICT && i >= 0 && i < dict->n ? dict->key[i] : NULL;
}

static const va_pt_value *find(const va_pt_value *dict, const va_pt_value *key) {
    if (va_pt_value_kind(dict) != VA_PT_DICT)
        return NULL;
    for (int64_t low = 0, high = dict->n; low < high;) {
        const int64_t middle = low + (high - low) / 2;
        const int order = compare_keys(key, dict->sorted[middle].key);
        if (order == 0)
            return dict->sorted[middle].item;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const va_pt_value *va_pt_get(const va_pt_value *dict, const char *key) {
    return find(dict, &(va_pt_value){.kind = VA_PT_STRING, .s = key});
}

const va_pt_value *va_pt_get_int(const va_pt_value *dict, int64_t key) {
    return find(dict, &(va_pt_value){.kind = VA_PT_INT, .i = key});
}

bool va_pt_as_bool(const va_pt_value *v, bool *out) {
    if (va_pt_value_kind(v) != VA_PT_BOOL)
        return false;
    *out = v->b;
    return true;
}

bool va_pt_as_int(const va_pt_value *v, int64_t *out) {
    if (va_pt_value_kind(v) != VA_PT_INT)
        return false;
    *out = v->i;
    return true;
}

bool va_pt_as_double(const va_pt_value *v, double *out) {
    if (va_pt_value_kind(v) == VA_PT_FLOAT) {
        *out = v->f;
        return true;
    }
    if (va_pt_value_kind(v) != VA_PT_INT || v->i > INT64_C(1) << 53 || v->i < -(INT64_C(1) << 53))
        return false;
    *out = (double)v->i;
    return true;
}

const char *va_pt_as_string(const va_pt_value *v) {
    return va_pt_value_kind(v) == VA_PT_STRING && !memchr(v->s, 0, (size_t)v->n) ? v->s : NULL;
}
