// pt_items.c: what a pickle puts on the stack: numbers, strings, tuples, lists, dicts.
// SPDX-License-Identifier: Apache-2.0
#include "pt_priv.h"

#include <string.h>

// -- numbers and strings -----------------------------------------------------------------------

va_status va_pt_op_none(va_pt_machine *m, int arg) {
    va_pt_value *v;
    (void)arg;
    return va_pt_push_new(m, VA_PT_NONE, &v);
}

va_status va_pt_op_bool(va_pt_machine *m, int b) {
    va_pt_value *v;
    const va_status st = va_pt_push_new(m, VA_PT_BOOL, &v);
    if (st == VA_OK)
        v->b = b;
    return st;
}

// n bytes, little-endian; two's complement when they are signed.
static va_status push_int(va_pt_machine *m, int64_t n, bool is_signed) {
    va_status st = VA_OK;
    const uint8_t *p = NULL;
    va_pt_value *v;
    VA_TRY(va_pt_take(m, n, &p));
    if (n > 8)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "an integer of %lld bytes, expected at most 8",
                          (long long)n);
    uint64_t number = is_signed && n > 0 && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    memcpy(&number, p, (size_t)n);
    VA_TRY(va_pt_push_new(m, VA_PT_INT, &v));
    v->i = (int64_t)number;
done:
    return st;
}

va_status va_pt_op_unsigned(va_pt_machine *m, int n) {
    return push_int(m, n, false);
}

va_status va_pt_op_signed(va_pt_machine *m, int n) {
    return push_int(m, n, true);
}

va_status va_pt_op_long(va_pt_machine *m, int length_bytes) {
    int64_t n;
    const va_status st = va_pt_take_length(m, length_bytes, &n);
    return st == VA_OK ? push_int(m, n, true) : st;
}

va_status va_pt_op_float(va_pt_machine *m, int n) { // the one big-endian number
    va_status st = VA_OK;
    const uint8_t *p = NULL;
    va_pt_value *v;
    uint64_t bits = 0;
    VA_TRY(va_pt_take(m, n, &p));
    for (int i = 0; i < n; i++)
        bits = bits << 8 | p[i];
    VA_TRY(va_pt_push_new(m, VA_PT_FLOAT, &v));
    memcpy(&v->f, &bits, sizeof bits);
done:
    return st;
}

static va_status push_text(va_pt_machine *m, int kind, int length_bytes) {
    va_status st = VA_OK;
    const uint8_t *p = NULL;
    va_pt_value *v;
    int64_t n;
    VA_TRY(va_pt_take_length(m, length_bytes, &n));
    VA_TRY(va_pt_take(m, n, &p));
    if (kind == VA_PT_STRING && va_io_utf8_invalid((const char *)p, n) >= 0)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected UTF-8");
    VA_TRY(va_pt_push_new(m, kind, &v));
    VA_TRY(va_pt_set_text(m, v, (const char *)p, n));
done:
    return st;
}

va_status va_pt_op_text(va_pt_machine *m, int length_bytes) {
    return push_text(m, VA_PT_STRING, length_bytes);
}

va_status va_pt_op_bytes(va_pt_machine *m, int length_bytes) {
    return push_text(m, PT_BYTES, length_bytes);
}

// -- lists and dicts ---------------------------------------------------------------------------

va_status va_pt_op_empty(va_pt_machine *m, int kind) {
    va_pt_value *v;
    return va_pt_push_new(m, kind, &v);
}

// The values from `from` on become one tuple.
static va_status make_tuple(va_pt_machine *m, int64_t from) {
    va_status st = VA_OK;
    va_pt_value *v;
    VA_TRY(va_pt_new(m, VA_PT_LIST, &v));
    for (int64_t i = from; i < m->n_stack; i++)
        VA_TRY(va_pt_add(m, v, NULL, m->stack[i]));
    m->n_stack = from;
    VA_TRY(va_pt_push(m, v));
done:
    return st;
}

va_status va_pt_op_tuple(va_pt_machine *m, int arg) {
    int64_t from;
    (void)arg;
    const va_status st = va_pt_take_mark(m, &from);
    return st == VA_OK ? make_tuple(m, from) : st;
}

va_status va_pt_op_tuple_of(va_pt_machine *m, int n) {
    const va_status st = va_pt_need(m, n);
    return st == VA_OK ? make_tuple(m, m->n_stack - n) : st;
}

// The values from `from` on go into the list or dict below them: one by one, or as keys and values.
static va_status add_items(va_pt_machine *m, int64_t from, int kind) {
    va_status st = VA_OK;
    const int64_t step = kind == VA_PT_DICT ? 2 : 1, n = m->n_stack - from;
    m->n_stack = from;
    VA_TRY(va_pt_need(m, 1));
    va_pt_value *v = m->stack[from - 1], **item = m->stack + from;
    if (v->kind != kind)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected a %s to add to, got %s",
                          kind == VA_PT_DICT ? "dict" : "list", va_pt_type_text(v));
    if (n % step != 0)
        return va_pt_fail(m, VA_ERR_FORMAT, "a key without a value");
    for (int64_t i = 0; i < n; i += step)
        VA_TRY(kind == VA_PT_DICT ? va_pt_add(m, v, item[i], item[i + 1])
                                  : va_pt_add(m, v, NULL, item[i]));
done:
    return st;
}

va_status va_pt_op_add_one(va_pt_machine *m, int kind) {
    const int n = kind == VA_PT_DICT ? 2 : 1;
    const va_status st = va_pt_need(m, n + 1);
    return st == VA_OK ? add_items(m, m->n_stack - n, kind) : st;
}

va_status va_pt_op_add_all(va_pt_machine *m, int kind) {
    int64_t from;
    const va_status st = va_pt_take_mark(m, &from);
    return st == VA_OK ? add_items(m, from, kind) : st;
}
