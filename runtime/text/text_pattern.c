// text_pattern.c: what is searched for: literal strings and regular expressions.
//
// tokenizer.json's expressions are written for Oniguruma. PCRE2 reads them alike when told that
// ^ and $ are of lines and that a newline is \n; what the two read differently is refused. How long
// a match may backtrack, and on how much memory, grows with the text and no faster.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

struct text_regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

void text_pattern_free(text_pattern *p) {
    if (!p->regex)
        return;
    pcre2_match_context_free(p->regex->limits);
    pcre2_match_data_free(p->regex->data);
    pcre2_code_free(p->regex->code);
    p->regex = NULL; // arena-owned
}

// White space as Oniguruma has it: to PCRE2, \s also means U+180E, which is none since Unicode 6.3.
#define SPACE                                                                                      \
    "\\x09-\\x0D\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"        \
    "\\x{205F}\\x{3000}"

// Writes the expression with \s and \S spelt out.
static void spell_spaces(const char *re, va_strbuf *out) {
    bool in_class = false;
    for (const char *c = re; *c; c++) {
        if (*c == '\\' && c[1]) {
            c++;
            if (*c == 's')
                va_strbuf_puts(out, in_class ? SPACE : "[" SPACE "]");
            else if (*c == 'S')
                va_strbuf_puts(out, in_class ? "\\S\\x{180E}" : "[^" SPACE "]");
            else
                va_strbuf_append(out, c - 1, 2);
            continue;
        }
        va_strbuf_append(out, c, 1);
        if (in_class) {
            in_class = *c != ']';
        } else if (*c == '[') {
            in_class = true;
            if (c[1] == '^')
                va_strbuf_append(out, ++c, 1);
            if (c[1] == ']') // literal there
                va_strbuf_append(out, ++c, 1);
        }
    }
}

va_status text_pattern_compile(va_tokenizer *tok, const char *expression, const char *where,
                               text_pattern *p) {
    va_status st = VA_OK;
    int code = 0;
    PCRE2_SIZE at = 0;
    va_strbuf spelt = {0};
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    VA_TRY_ALLOC(tok->ctx, p->regex, VA_NEW(tok->arena, text_regex));
    spell_spaces(expression, &spelt);
    if (!context || spelt.failed || !spelt.data) {
        st = text_out_of_memory(tok);
        goto done;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    p->regex->code =
        pcre2_compile((PCRE2_SPTR)spelt.data, (PCRE2_SIZE)spelt.len, options, &code, &at, context);
    if (!p->regex->code) {
        PCRE2_UCHAR text[256];
        pcre2_get_error_message(code, text, sizeof text);
        st = va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s: cannot read the expression '%s': %s at %lld",
                     tok->path, where, expression, (const char *)text, (long long)at);
        goto done;
    }
    p->regex->data = pcre2_match_data_create_from_pattern(p->regex->code, NULL);
    p->regex->limits = pcre2_match_context_create(NULL);
    if (!p->regex->data || !p->regex->limits)
        st = text_out_of_memory(tok);
done:
    pcre2_compile_context_free(context);
    va_strbuf_free(&spelt);
    return st;
}

// The first thing in an expression that Oniguruma and PCRE2 read differently, or NULL.
static const char *engine_difference(const char *re) {
    bool in_class = false;
    for (const char *c = re; *c; c++) {
        if (*c == '\\') {
            if (!*++c)
                return NULL;
            if (strchr("wWbBhHRXKGQEZNOyYgkC", *c))
                return c - 1;
            const char *brace = c[1] == '{' && strchr("pPx", *c) ? strchr(c, '}') : NULL;
            c = brace ? brace : c; // its braces are no interval
            continue;
        }
        if (!in_class && *c == '}' && c[1] == '+')
            return c; // possessive in PCRE2, repeated in Oniguruma
        if (!in_class && *c == '(' && c[1] == '*')
            return c; // a verb in PCRE2
        if (in_class && (*c == '[' || (*c == '&' && c[1] == '&')))
            return c; // nested classes and intersections
        if (!in_class && *c == '[') {
            in_class = true;
            c += c[1] == '^';
            c += c[1] == ']'; // both take a leading ] literally
        } else if (in_class && *c == ']') {
            in_class = false;
        }
    }
    return NULL;
}

va_status text_pattern_read(va_tokenizer *tok, const va_json *obj, const char *where,
                            text_pattern *p) {
    va_status st = VA_OK;
    static const char *const keys[] = {"String", "Regex", NULL};
    const va_json *v = va_json_get(obj, "pattern");
    char *place;
    VA_TRY_ALLOC(tok->ctx, place, va_arena_printf(tok->arena, "%s.pattern", where));
    if (!v || !va_json_is_object(v) || va_json_count(v) != 1)
        return text_wrong_type(tok, place, "an object with one of String and Regex", v);
    VA_TRY(text_check_keys(tok, v, place, keys));
    bool is_regex = va_json_get(v, "Regex") != NULL;
    text_str s;
    VA_TRY(text_get_string(tok, v, place, is_regex ? "Regex" : "String", &s));
    if (s.n == 0)
        return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: %s: an empty pattern", tok->path, place);
    if (!is_regex) {
        p->literal = s;
        return VA_OK;
    }
    const char *differs = engine_difference(s.s);
    if (differs)
        return va_fail(tok->ctx, VA_ERR_UNSUPPORTED,
                       "%s: %s: '%.2s' at byte %lld of the expression '%s' means different things "
                       "to Oniguruma and PCRE2",
                       tok->path, place, differs, (long long)(differs - s.s), s.s);
    VA_TRY(text_pattern_compile(tok, s.s, place, p));
done:
    return st;
}

// What one match may cost on n bytes: far more than an expression needs that splits text in words,
// far less than PCRE2's own limits, which allow minutes and gigabytes.
static void set_limits(const text_pattern *p, int64_t n) {
    int64_t steps = VA_MIN(n, UINT32_MAX / 32) * 16 + 10000;
    int64_t heap_kib = VA_MIN(n, UINT32_MAX / 2) / 4 + 64 * 1024;
    pcre2_set_match_limit(p->regex->limits, (uint32_t)steps);
    pcre2_set_heap_limit(p->regex->limits, (uint32_t)heap_kib);
}

// The next match from `from` on. 1 found, 0 none, negative: PCRE2's error.
static int next_match(const text_pattern *p, const char *s, int64_t n, int64_t from, int64_t *begin,
                      int64_t *end) {
    if (p->literal.s) {
        const char *hit =
            from < n ? memmem(s + from, (size_t)(n - from), p->literal.s, (size_t)p->literal.n)
                     : NULL;
        if (!hit)
            return 0;
        *begin = hit - s;
        *end = *begin + p->literal.n;
        return 1;
    }
    int rc = pcre2_match(p->regex->code, (PCRE2_SPTR)s, (PCRE2_SIZE)n, (PCRE2_SIZE)from,
                         PCRE2_NO_UTF_CHECK, p->regex->data, p->regex->limits);
    if (rc < 0)
        return rc == PCRE2_ERROR_NOMATCH ? 0 : rc;
    const PCRE2_SIZE *where = pcre2_get_ovector_pointer(p->regex->data);
    *begin = (int64_t)where[0];
    *end = (int64_t)where[1];
    return 1;
}

static va_status push(va_tokenizer *tok, text_match **list, int64_t *n, int64_t *cap,
                      text_match m) {
    if (*n == *cap) {
        int64_t more = VA_MAX(16, 2 * *cap);
        text_match *grown = VA_NEW_ARRAY(tok->scratch, text_match, more);
        if (!grown)
            return text_out_of_memory(tok);
        if (*n > 0)
            memcpy(grown, *list, (size_t)*n * sizeof m);
        *list = grown;
        *cap = more;
    }
    (*list)[(*n)++] = m;
    return VA_OK;
}

va_status text_pattern_find(va_tokenizer *tok, const text_pattern *p, const char *s, int64_t n,
                            text_match **matches, int64_t *n_match) {
    va_status st = VA_OK;
    int64_t cap = 0, covered = 0, from = 0, last_end = -1;
    *matches = NULL;
    *n_match = 0;
    if (p->regex)
        set_limits(p, n);
    while (from <= n) {
        int64_t begin = 0, end = 0;
        int rc = next_match(p, s, n, from, &begin, &end);
        if (rc < 0)
            return va_fail(
                tok->ctx, VA_ERR_FORMAT,
                "%s: an expression of the tokenizer gave up on the text (PCRE2 error %d)",
                tok->path, rc);
        if (rc == 0)
            break;
        if (begin == end && end == last_end) { // an empty match right behind the last one
            int64_t len = 1;
            if (from < n)
                text_char_at(s + from, n - from, &len);
            from += len;
            continue;
        }
        if (covered < begin)
            VA_TRY(push(tok, matches, n_match, &cap, (text_match){covered, begin, false}));
        VA_TRY(push(tok, matches, n_match, &cap, (text_match){begin, end, true}));
        covered = from = last_end = end;
    }
    if (covered < n)
        VA_TRY(push(tok, matches, n_match, &cap, (text_match){covered, n, false}));
done:
    return st;
}
