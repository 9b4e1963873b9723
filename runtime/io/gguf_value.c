// gguf_value.c: the typed values of a GGUF file's metadata.
// SPDX-License-Identifier: Apache-2.0
#include "gguf_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const va_gguf_type type_table[] = {
#define VA_X(number, text, size, value_kind)                                                       \
    [number] = {.name = text, .array_name = "ARRAY of " text, .bytes = size, .kind = value_kind},
    VA_GGUF_TYPE_LIST(VA_X)
#undef VA_X
};

// -- reading ---------------------------------------------------------------------------------

static va_status take_type(va_gguf_reader *r, const char *key, const va_gguf_type **type) {
    va_status st = VA_OK;
    uint32_t number;
    VA_TRY(va_gguf_take(r, "type", &number, sizeof number));
    if (number >= VA_COUNT(type_table))
        return va_gguf_fail(r, VA_ERR_FORMAT, "value '%.80s': unknown type %lu", key,
                            (unsigned long)number);
    *type = &type_table[number];
done:
    return st;
}

// Notes where each string stands, so that any one is found at once.
static va_status take_strings(va_gguf_reader *r, va_gguf_value *v) {
    va_status st = VA_OK;
    int64_t *place, n;
    v->data = r->file->map.data;
    VA_TRY_ALLOC(r->ctx, place, VA_NEW_ARRAY(r->file->arena, int64_t, v->n));
    for (int64_t i = 0; i < v->n; i++) {
        place[i] = r->at;
        VA_TRY(va_gguf_take_length(r, "string", &n));
        r->at += n;
    }
    v->place = place;
done:
    return st;
}

static va_status take_elements(va_gguf_reader *r, va_gguf_value *v) {
    v->data = r->file->map.data + r->at;
    if (v->type->kind == VA_GGUF_BOOL)
        for (int64_t i = 0; i < v->n; i++)
            if (v->data[i] > 1)
                return va_gguf_fail(r, VA_ERR_FORMAT, "value '%.80s': expected a BOOL, got 0x%02x",
                                    v->key, v->data[i]);
    r->at += v->n * v->type->bytes;
    return VA_OK;
}

static va_status take_array_head(va_gguf_reader *r, va_gguf_value *v, uint64_t *n) {
    va_status st = VA_OK;
    v->is_array = true;
    VA_TRY(take_type(r, v->key, &v->type));
    if (v->type->kind == VA_GGUF_ARRAY)
        return va_gguf_fail(r, VA_ERR_UNSUPPORTED,
                            "value '%.80s': arrays of arrays are not "
                            "supported",
                            v->key);
    VA_TRY(va_gguf_take(r, "array length", n, sizeof *n));
done:
    return st;
}

static va_status take_value(va_gguf_reader *r, va_gguf_value *v) {
    enum { MIN_STRING = 8 }; // its length
    va_status st = VA_OK;
    uint64_t n = 1;
    VA_TRY(va_gguf_take_name(r, "key", &v->key));
    VA_TRY(take_type(r, v->key, &v->type));
    if (v->type->kind == VA_GGUF_ARRAY)
        VA_TRY(take_array_head(r, v, &n));
    const bool strings = v->type->kind == VA_GGUF_STRING;
    const int64_t rest = r->file->map.size_bytes - r->at;
    if (n > (uint64_t)(rest / (strings ? MIN_STRING : v->type->bytes)))
        return va_gguf_fail(r, VA_ERR_FORMAT,
                            "value '%.80s': %llu of %s do not fit into the %lld "
                            "bytes that follow",
                            v->key, (unsigned long long)n, v->type->name, (long long)rest);
    v->n = (int64_t)n;
    VA_TRY(strings ? take_strings(r, v) : take_elements(r, v));
done:
    return st;
}

// A copy with a NUL behind it, of what can be read as text.
static va_status copy_text(va_gguf_reader *r, va_gguf_value *v) {
    va_status st = VA_OK;
    const char *s;
    int64_t n;
    if (v->is_array || !va_gguf_string_at(v, 0, &s, &n) || (n > 0 && memchr(s, 0, (size_t)n)) ||
        va_io_utf8_invalid(s, n) >= 0)
        return VA_OK;
    VA_TRY_ALLOC(r->ctx, v->text, va_arena_strndup(r->file->arena, s, n));
done:
    return st;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const va_gguf_value *)a)->key, ((const va_gguf_value *)b)->key);
}

va_status va_gguf_take_values(va_gguf_reader *r) {
    va_status st = VA_OK;
    va_gguf *g = r->file;
    VA_TRY_ALLOC(r->ctx, g->values, VA_NEW_ARRAY(g->arena, va_gguf_value, g->n_values));
    for (int64_t i = 0; i < g->n_values; i++) {
        VA_TRY(take_value(r, &g->values[i]));
        VA_TRY(copy_text(r, &g->values[i]));
    }
    qsort(g->values, (size_t)g->n_values, sizeof *g->values, compare_keys);
    for (int64_t i = 1; i < g->n_values; i++)
        if (compare_keys(&g->values[i - 1], &g->values[i]) == 0)
            return va_fail(r->ctx, VA_ERR_FORMAT, "%s: key '%.80s' stands twice", g->path,
                           g->values[i].key);
done:
    return st;
}

// -- access ----------------------------------------------------------------------------------

int64_t va_gguf_key_count(const va_gguf *g) {
    return g->n_values;
}

const char *va_gguf_key_at(const va_gguf *g, int64_t i) {
    return i >= 0 && i < g->n_values ? g->values[i].key : NULL;
}

const va_gguf_value *va_gguf_get(const va_gguf *g, const char *key) {
    const va_gguf_value sought = {.key = key};
    return bsearch(&sought, g->values, (size_t)g->n_values, sizeof sought, compare_keys);
}

va_gguf_kind va_gguf_value_kind(const va_gguf_value *v) {
    return v && v->is_array ? VA_GGUF_ARRAY : va_gguf_element_kind(v);
}

va_gguf_kind va_gguf_element_kind(const va_gguf_value *v) {
    return v ? v->type->kind : VA_GGUF_NONE;
}

const char *va_gguf_type_text(const va_gguf_value *v) {
    return !v ? "nothing" : v->is_array ? v->type->array_name : v->type->name;
}

int64_t va_gguf_length(const va_gguf_value *v) {
    return v ? v->n : 0;
}

// The bytes of element i when it is of this kind, little-endian in the low end of a word.
static bool element(const va_gguf_value *v, int64_t i, va_gguf_kind kind, uint64_t *bits) {
    if (va_gguf_element_kind(v) != kind || i < 0 || i >= v->n)
        return false;
    *bits = 0;
    memcpy(bits, v->data + i * v->type->bytes, (size_t)v->type->bytes);
    return true;
}

bool va_gguf_int_at(const va_gguf_value *v, int64_t i, int64_t *out) {
    uint64_t bits;
    if (element(v, i, VA_GGUF_UINT, &bits)) {
        if (bits > INT64_MAX)
            return false;
        *out = (int64_t)bits;
        return true;
    }
    if (!element(v, i, VA_GGUF_INT, &bits))
        return false;
    const int64_t bytes = v->type->bytes; // the sign is that of the element's top bit
    *out = bytes == 1   ? (int8_t)bits
           : bytes == 2 ? (int16_t)bits
           : bytes == 4 ? (int32_t)bits
                        : (int64_t)bits;
    return true;
}

bool va_gguf_number_at(const va_gguf_value *v, int64_t i, double *out) {
    uint64_t bits;
    int64_t integer;
    if (element(v, i, VA_GGUF_FLOAT, &bits)) {
        float single;
        memcpy(&single, &bits, sizeof single);
        memcpy(out, &bits, sizeof *out);
        if (v->type->bytes == sizeof single)
            *out = (double)single;
        return true;
    }
    if (!va_gguf_int_at(v, i, &integer) || integer > (int64_t)1 << 53 ||
        integer < -((int64_t)1 << 53))
        return false;
    *out = (double)integer;
    return true;
}

bool va_gguf_bool_at(const va_gguf_value *v, int64_t i, bool *out) {
    uint64_t bits;
    if (!element(v, i, VA_GGUF_BOOL, &bits))
        return false;
    *out = bits != 0;
    return true;
}

bool va_gguf_string_at(const va_gguf_value *v, int64_t i, const char **s, int64_t *n) {
    uint64_t length;
    if (va_gguf_element_kind(v) != VA_GGUF_STRING || i < 0 || i >= v->n)
        return false;
    memcpy(&length, v->data + v->place[i], sizeof length);
    *s = (const char *)v->data + v->place[i] + sizeof length;
    *n = (int64_t)length;
    return true;
}

static bool is_scalar(const va_gguf_value *v) {
    return v && !v->is_array;
}

bool va_gguf_as_int(const va_gguf_value *v, int64_t *out) {
    return is_scalar(v) && va_gguf_int_at(v, 0, out);
}

bool va_gguf_as_double(const va_gguf_value *v, double *out) {
    double number;
    if (!is_scalar(v) || !va_gguf_number_at(v, 0, &number) || !isfinite(number))
        return false;
    *out = number;
    return true;
}

bool va_gguf_as_bool(const va_gguf_value *v, bool *out) {
    return is_scalar(v) && va_gguf_bool_at(v, 0, out);
}

const char *va_gguf_as_string(const va_gguf_value *v) {
    return v ? v->text : NULL;
}
