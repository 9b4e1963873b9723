// yaml_value.c: reading a YAML tree's values by the core schema (YAML 1.2, section 10.3), and
// writing a tree as text.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const va_yaml *va_yaml_get(const va_yaml *map, const char *key) {
    if (!map || map->kind != VA_YAML_MAP)
        return NULL;
    for (int64_t i = 0; i < map->n; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            return map->item[i];
    return NULL;
}

static const char *plain_text(const va_yaml *n) {
    return n && n->kind == VA_YAML_SCALAR && !n->quoted ? n->text : NULL;
}

bool va_yaml_as_int(const va_yaml *n, int64_t *out) {
    const char *text = plain_text(n);
    if (!text)
        return false;
    int base = strncmp(text, "0x", 2) == 0 ? 16 : strncmp(text, "0o", 2) == 0 ? 8 : 10;
    const char *digits = base != 10 ? text + 2 : text + (*text == '-' || *text == '+');
    static const char allowed[] = "0123456789abcdefABCDEF";
    size_t n_digits = strspn(digits, allowed);
    if (n_digits == 0 || digits[n_digits] != '\0')
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(base == 10 ? text : digits, &end, base);
    if (*end != '\0' || errno != 0)
        return false;
    *out = v;
    return true;
}

// [-+]? ( \. digits | digits (\. digits?)? ) ([eE] [-+]? digits)?
static bool is_decimal(const char *s) {
    static const char digits[] = "0123456789";
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, digits), fraction = 0;
    s += whole;
    if (*s == '.') {
        s++;
        fraction = strspn(s, digits);
        s += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        size_t exponent = strspn(s, digits);
        if (exponent == 0)
            return false;
        s += exponent;
    }
    return *s == '\0';
}

static bool is_one_of(const char *s, const char *a, const char *b, const char *c) {
    return strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0;
}

bool va_yaml_as_double(const va_yaml *n, double *out) {
    const char *text = plain_text(n);
    int64_t integer;
    if (!text)
        return false;
    const char *unsigned_text = text + (*text == '-' || *text == '+');
    if (is_one_of(unsigned_text, ".inf", ".Inf", ".INF")) {
        *out = *text == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (is_one_of(text, ".nan", ".NaN", ".NAN")) {
        *out = NAN;
        return true;
    }
    if (is_decimal(text)) {
        char *end;
        double v = strtod(text, &end);
        if (*end != '\0' || !isfinite(v)) // another locale's point; 1e999
            return false;
        *out = v;
        return true;
    }
    if (!va_yaml_as_int(n, &integer)) // 0x and 0o
        return false;
    *out = (double)integer;
    return true;
}

bool va_yaml_as_bool(const va_yaml *n, bool *out) {
    const char *text = plain_text(n);
    if (!text)
        return false;
    bool yes = is_one_of(text, "true", "True", "TRUE");
    if (!yes && !is_one_of(text, "false", "False", "FALSE"))
        return false;
    *out = yes;
    return true;
}

// -- writing ---------------------------------------------------------------------------------

// Code point of the valid sequence of the given length.
static uint32_t code_point(const char *s, int length) {
    const unsigned char *p = (const unsigned char *)s;
    uint32_t c = length == 1 ? p[0] : p[0] & (0xFFu >> (length + 1));
    for (int i = 1; i < length; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

// Characters that YAML text does not hold as they are, or takes for line breaks.
static bool needs_escape(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
           (c & 0xFFFE) == 0xFFFE;
}

// true when the text means the same as a plain scalar in a block. Numbers and words of the core
// schema always do; other text may be quoted without a change of meaning, so this is strict.
static bool stays_plain(const va_yaml *n) {
    const char *s = n->text;
    int64_t size = (int64_t)strlen(s);
    if (n->quoted || size == 0 || strchr(" ?:,[]{}#&*!|>'\"%@`", s[0]))
        return false;
    if (s[0] == '-' && (size == 1 || s[1] == ' ' || s[1] == '-'))
        return false;
    if (strncmp(s, "...", 3) == 0 || s[size - 1] == ' ' || s[size - 1] == ':')
        return false;
    if (strstr(s, ": ") || strstr(s, " #"))
        return false;
    for (int64_t i = 0; i < size;) {
        int length = va_io_utf8_length(s + i, size - i);
        if (length == 0 || needs_escape(code_point(s + i, length)))
            return false;
        i += length;
    }
    return true;
}

static void write_quoted(const char *s, va_strbuf *out) {
    int64_t size = (int64_t)strlen(s);
    va_strbuf_puts(out, "\"");
    for (int64_t i = 0; i < size;) {
        int length = va_io_utf8_length(s + i, size - i);
        uint32_t c = length ? code_point(s + i, length) : 0xFFFD;
        if (c == '"' || c == '\\')
            va_strbuf_printf(out, "\\%c", (int)c);
        else if (c == '\n')
            va_strbuf_puts(out, "\\n");
        else if (length == 0 || needs_escape(c))
            va_strbuf_printf(out, c > 0xFFFF ? "\\U%08X" : "\\u%04X", c);
        else
            va_strbuf_append(out, s + i, length);
        i += VA_MAX(length, 1);
    }
    va_strbuf_puts(out, "\"");
}

static void write_scalar(const va_yaml *n, va_strbuf *out) {
    if (n->kind == VA_YAML_NULL)
        va_strbuf_puts(out, "null");
    else if (stays_plain(n))
        va_strbuf_puts(out, n->text);
    else
        write_quoted(n->text, out);
}

static bool is_block(const va_yaml *n) {
    return (n->kind == VA_YAML_SEQ || n->kind == VA_YAML_MAP) && n->n > 0;
}

static void write_inline(const va_yaml *n, va_strbuf *out) {
    if (n->kind == VA_YAML_SEQ || n->kind == VA_YAML_MAP)
        va_strbuf_puts(out, n->kind == VA_YAML_SEQ ? "[]" : "{}");
    else
        write_scalar(n, out);
    va_strbuf_puts(out, "\n");
}

// A non-empty sequence or map; its first line begins where out stands.
static void write_block(const va_yaml *n, int indent, va_strbuf *out) {
    enum { LONG_KEY = 200 }; // a longer key needs the form with '?'
    for (int64_t i = 0; i < n->n; i++) {
        const va_yaml *v = n->item[i];
        if (i > 0)
            va_strbuf_printf(out, "%*s", indent, "");
        if (n->kind == VA_YAML_SEQ) {
            va_strbuf_puts(out, "- ");
        } else {
            bool is_long = strlen(n->key[i]->text) > LONG_KEY;
            va_strbuf_puts(out, is_long ? "? " : "");
            write_scalar(n->key[i], out);
            if (is_long)
                va_strbuf_printf(out, "\n%*s", indent, "");
            va_strbuf_puts(out, ":");
            if (is_block(v))
                va_strbuf_printf(out, "\n%*s", indent + 2, "");
            else
                va_strbuf_puts(out, " ");
        }
        if (is_block(v))
            write_block(v, indent + 2, out);
        else
            write_inline(v, out);
    }
}

void va_yaml_write(const va_yaml *n, va_strbuf *out) {
    if (is_block(n))
        write_block(n, 0, out);
    else
        write_inline(n, out);
}
