// pt_pickle.c: the stack machine of pickles, as far as torch.save uses it (protocols 2 to 5; the
// operations are described in CPython's Lib/pickletools.py).
//
// Names come to nothing but what pt_call.c lists, so no operation can run code. Every one of them
// is checked against the bytes that are left, the stack above the last mark, and the limits.
// SPDX-License-Identifier: Apache-2.0
#include "pt_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

va_status va_pt_fail(const va_pt_machine *m, va_status code, const char *fmt, ...) {
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return va_fail(m->ctx, code, "%s: data.pkl: byte %lld: %s", m->file->path, (long long)m->op_at,
                   what);
}

// -- bytes -------------------------------------------------------------------------------------

va_status va_pt_take(va_pt_machine *m, int64_t n, const uint8_t **p) {
    if (n > m->size - m->at)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected %lld bytes more, got %lld", (long long)n,
                          (long long)(m->size - m->at));
    *p = m->p + m->at;
    m->at += n;
    return VA_OK;
}

va_status va_pt_take_length(va_pt_machine *m, int n, int64_t *length) {
    va_status st = VA_OK;
    const uint8_t *p = NULL;
    uint64_t number = 0;
    VA_TRY(va_pt_take(m, n, &p));
    memcpy(&number, p, (size_t)n);
    *length = (int64_t)VA_MIN(number, (uint64_t)INT64_MAX);
done:
    return st;
}

// -- stack -------------------------------------------------------------------------------------

va_status va_pt_push(va_pt_machine *m, va_pt_value *v) {
    va_status st = VA_OK;
    if (m->n_stack == PT_MAX_STACK)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "more than %d values on the stack", PT_MAX_STACK);
    if (m->n_stack == m->cap_stack) {
        const int64_t cap = VA_MAX(64, 2 * m->cap_stack);
        va_pt_value **more;
        VA_TRY_ALLOC(m->ctx, more, realloc(m->stack, (size_t)cap * sizeof *more));
        m->stack = more;
        m->cap_stack = cap;
    }
    m->stack[m->n_stack++] = v;
done:
    return st;
}

va_status va_pt_push_new(va_pt_machine *m, int kind, va_pt_value **v) {
    va_status st = VA_OK;
    VA_TRY(va_pt_new(m, kind, v));
    VA_TRY(va_pt_push(m, *v));
done:
    return st;
}

va_status va_pt_need(const va_pt_machine *m, int64_t n) {
    const int64_t above = m->n_stack - (m->n_marks > 0 ? m->mark[m->n_marks - 1] : 0);
    if (above < n)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected %lld values on the stack, got %lld",
                          (long long)n, (long long)above);
    return VA_OK;
}

va_status va_pt_take_mark(va_pt_machine *m, int64_t *from) {
    if (m->n_marks == 0)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected a mark");
    *from = m->mark[--m->n_marks];
    return VA_OK;
}

static va_status op_mark(va_pt_machine *m, int arg) {
    (void)arg;
    if (m->n_marks == PT_MAX_MARKS)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "nested deeper than %d", PT_MAX_MARKS);
    m->mark[m->n_marks++] = m->n_stack;
    return VA_OK;
}

// -- memo --------------------------------------------------------------------------------------

static va_status put(va_pt_machine *m, int64_t at) {
    va_status st = VA_OK;
    VA_TRY(va_pt_need(m, 1));
    if (at >= PT_MAX_VALUES)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "memo %lld, expected less than %d", (long long)at,
                          PT_MAX_VALUES);
    if (at >= m->cap_memo) {
        const int64_t cap = VA_MAX(at + 1, VA_MAX(64, 2 * m->cap_memo));
        va_pt_value **more;
        VA_TRY_ALLOC(m->ctx, more, realloc(m->memo, (size_t)cap * sizeof *more));
        memset(more + m->cap_memo, 0, (size_t)(cap - m->cap_memo) * sizeof *more);
        m->memo = more;
        m->cap_memo = cap;
    }
    m->n_memo += m->memo[at] == NULL;
    m->memo[at] = m->stack[m->n_stack - 1];
done:
    return st;
}

static va_status op_memoize(va_pt_machine *m, int arg) {
    (void)arg;
    return put(m, m->n_memo);
}

static va_status op_put(va_pt_machine *m, int index_bytes) {
    int64_t at;
    const va_status st = va_pt_take_length(m, index_bytes, &at);
    return st == VA_OK ? put(m, at) : st;
}

static va_status op_get(va_pt_machine *m, int index_bytes) {
    va_status st = VA_OK;
    int64_t at;
    VA_TRY(va_pt_take_length(m, index_bytes, &at));
    if (at >= m->cap_memo || !m->memo[at])
        return va_pt_fail(m, VA_ERR_FORMAT, "nothing in memo %lld", (long long)at);
    VA_TRY(va_pt_push(m, m->memo[at]));
done:
    return st;
}

// -- names -------------------------------------------------------------------------------------

// A line of the pickle, NUL-terminated in the arena.
static va_status take_line(va_pt_machine *m, char **line) {
    va_status st = VA_OK;
    const char *p = (const char *)m->p + m->at;
    const char *end = memchr(p, '\n', (size_t)(m->size - m->at));
    if (!end)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected a line of text");
    VA_TRY_ALLOC(m->ctx, *line, va_arena_strndup(m->file->arena, p, end - p));
    m->at += end - p + 1;
done:
    return st;
}

static va_status op_global(va_pt_machine *m, int arg) {
    va_status st = VA_OK;
    char *module, *name;
    va_pt_value *v;
    (void)arg;
    VA_TRY(take_line(m, &module));
    VA_TRY(take_line(m, &name));
    VA_TRY(va_pt_name(m, module, name, &v));
    VA_TRY(va_pt_push(m, v));
done:
    return st;
}

static va_status op_stack_global(va_pt_machine *m, int arg) {
    va_status st = VA_OK;
    va_pt_value *v;
    (void)arg;
    VA_TRY(va_pt_need(m, 2));
    const char *module = va_pt_as_string(m->stack[m->n_stack - 2]);
    const char *name = va_pt_as_string(m->stack[m->n_stack - 1]);
    if (!module || !name)
        return va_pt_fail(m, VA_ERR_FORMAT, "expected the names of a module and a global");
    VA_TRY(va_pt_name(m, module, name, &v));
    m->n_stack -= 2;
    VA_TRY(va_pt_push(m, v));
done:
    return st;
}

// -- running -----------------------------------------------------------------------------------

// f(m, callee or object, arguments) of the two values on top replaces them.
static va_status op_reduce(va_pt_machine *m, int arg) {
    va_status st = VA_OK;
    va_pt_value *v;
    (void)arg;
    VA_TRY(va_pt_need(m, 2));
    VA_TRY(va_pt_call(m, m->stack[m->n_stack - 2], m->stack[m->n_stack - 1], &v));
    m->n_stack -= 2;
    VA_TRY(va_pt_push(m, v));
done:
    return st;
}

static va_status op_build(va_pt_machine *m, int arg) {
    va_status st = VA_OK;
    (void)arg;
    VA_TRY(va_pt_need(m, 2));
    VA_TRY(va_pt_set_state(m, m->stack[m->n_stack - 2], m->stack[m->n_stack - 1]));
    m->n_stack--;
done:
    return st;
}

static va_status op_persistent(va_pt_machine *m, int arg) {
    va_status st = VA_OK;
    va_pt_value *v;
    (void)arg;
    VA_TRY(va_pt_need(m, 1));
    VA_TRY(va_pt_persistent(m, m->stack[m->n_stack - 1], &v));
    m->stack[m->n_stack - 1] = v;
done:
    return st;
}

static va_status op_frame(va_pt_machine *m, int length_bytes) {
    int64_t n;
    va_status st = va_pt_take_length(m, length_bytes, &n);
    if (st == VA_OK && n > m->size - m->at)
        st = va_pt_fail(m, VA_ERR_FORMAT, "a frame of %lld bytes, got %lld", (long long)n,
                        (long long)(m->size - m->at));
    return st;
}

static const struct {
    va_status (*run)(va_pt_machine *m, int arg);
    int arg;
} operation[256] = {
    ['('] = {op_mark, 0},
    ['N'] = {va_pt_op_none, 0},
    [0x88] = {va_pt_op_bool, true},
    [0x89] = {va_pt_op_bool, false},
    ['K'] = {va_pt_op_unsigned, 1},
    ['M'] = {va_pt_op_unsigned, 2},
    ['J'] = {va_pt_op_signed, 4},
    [0x8A] = {va_pt_op_long, 1},
    ['G'] = {va_pt_op_float, 8},
    ['X'] = {va_pt_op_text, 4},
    [0x8C] = {va_pt_op_text, 1},
    [0x8D] = {va_pt_op_text, 8},
    ['C'] = {va_pt_op_bytes, 1},
    ['B'] = {va_pt_op_bytes, 4},
    [']'] = {va_pt_op_empty, VA_PT_LIST},
    ['}'] = {va_pt_op_empty, VA_PT_DICT},
    [')'] = {va_pt_op_tuple_of, 0},
    [0x85] = {va_pt_op_tuple_of, 1},
    [0x86] = {va_pt_op_tuple_of, 2},
    [0x87] = {va_pt_op_tuple_of, 3},
    ['t'] = {va_pt_op_tuple, 0},
    ['a'] = {va_pt_op_add_one, VA_PT_LIST},
    ['e'] = {va_pt_op_add_all, VA_PT_LIST},
    ['s'] = {va_pt_op_add_one, VA_PT_DICT},
    ['u'] = {va_pt_op_add_all, VA_PT_DICT},
    ['q'] = {op_put, 1},
    ['r'] = {op_put, 4},
    [0x94] = {op_memoize, 0},
    ['h'] = {op_get, 1},
    ['j'] = {op_get, 4},
    ['c'] = {op_global, 0},
    [0x93] = {op_stack_global, 0},
    ['R'] = {op_reduce, 0},
    ['b'] = {op_build, 0},
    ['Q'] = {op_persistent, 0},
    [0x95] = {op_frame, 8},
};

static va_status run(va_pt_machine *m) {
    enum { PROTO = 0x80, STOP = '.' };
    va_status st = VA_OK;
    const uint8_t *p = NULL;
    VA_TRY(va_pt_take(m, 2, &p));
    if (p[0] != PROTO || p[1] < 2 || p[1] > 5)
        return va_pt_fail(m, VA_ERR_UNSUPPORTED, "expected a pickle of protocol 2 to 5");
    for (;;) {
        m->op_at = m->at;
        VA_TRY(va_pt_take(m, 1, &p));
        if (*p == STOP)
            break;
        if (!operation[*p].run)
            return va_pt_fail(m, VA_ERR_UNSUPPORTED, "operation 0x%02x is not allowed", *p);
        VA_TRY(operation[*p].run(m, operation[*p].arg));
    }
    if (m->n_stack != 1 || m->n_marks != 0 || m->at != m->size)
        return va_pt_fail(m, VA_ERR_FORMAT,
                          "expected one value at the end, got %lld, and %lld bytes behind it",
                          (long long)m->n_stack, (long long)(m->size - m->at));
    VA_TRY(va_pt_finish(m, m->stack[0]));
done:
    return st;
}

va_status va_pt_run(va_pt_machine *m, const va_pt_value **root) {
    const va_status st = run(m);
    *root = st == VA_OK ? m->stack[0] : NULL;
    free(m->stack);
    free(m->memo);
    return st;
}
