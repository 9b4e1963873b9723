// json_scan.c: strict reading of JSON text (RFC 8259), which says where a fault is and what.
//
// cJSON builds the tree afterwards, but it takes more than JSON (leading zeros, raw control
// characters, cut-off strings at \u0000) and names no place; this pass decides what is valid.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 256,
    MAX_NUMBER_CHARS = 63, // cJSON's buffer
    MAX_VALUES = 1 << 24,  // cJSON takes about 80 bytes for each, so "[0,0,..." 40 times its size
};

static bool fault(va_io_json_scan *s, const char *what) {
    snprintf(s->what, sizeof s->what, "%s", what);
    return false;
}

static bool fault_expected(va_io_json_scan *s, const char *expected) {
    unsigned char c = (unsigned char)s->text[s->at];
    if (s->at >= s->size)
        snprintf(s->what, sizeof s->what, "expected %s, got the end", expected);
    else if (c > 0x20 && c < 0x7F)
        snprintf(s->what, sizeof s->what, "expected %s, got '%c'", expected, c);
    else
        snprintf(s->what, sizeof s->what, "expected %s, got byte 0x%02x", expected, c);
    return false;
}

// The text is followed by NUL, so the end needs no check of its own.
static bool take(va_io_json_scan *s, char c) {
    if (s->text[s->at] != c)
        return false;
    s->at++;
    return true;
}

// Most of an indented file is space: eight at once.
static void skip_space(va_io_json_scan *s) {
    const uint64_t spaces = 0x2020202020202020u;
    uint64_t next;
    for (;;) {
        char c = s->text[s->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        s->at++;
        while (s->size - s->at >= 8 && (memcpy(&next, s->text + s->at, 8), next == spaces))
            s->at += 8;
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int64_t skip_digits(va_io_json_scan *s) {
    int64_t start = s->at;
    while (is_digit(s->text[s->at]))
        s->at++;
    return s->at - start;
}

static bool scan_number(va_io_json_scan *s) {
    int64_t start = s->at;
    take(s, '-');
    if (!take(s, '0') && skip_digits(s) == 0)
        return fault_expected(s, "a digit");
    if (is_digit(s->text[s->at]))
        return fault(s, "a number must not begin with 0");
    if (take(s, '.') && skip_digits(s) == 0)
        return fault_expected(s, "a digit after the point");
    bool has_exponent = take(s, 'e') || take(s, 'E');
    if (has_exponent) {
        if (!take(s, '+'))
            take(s, '-');
        if (skip_digits(s) == 0)
            return fault_expected(s, "a digit in the exponent");
    }
    int64_t end = s->at;
    s->at = start;
    if (end - start > MAX_NUMBER_CHARS)
        return fault(s, "a number is longer than 63 characters");
    if (has_exponent && !isfinite(strtod(s->text + start, NULL)))
        return fault(s, "a number is too large for double precision");
    s->at = end;
    return true;
}

// Four hex digits at offset, or -1.
static int hex4(const va_io_json_scan *s, int64_t offset) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = s->text[offset + i];
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1; // also at the NUL, so nothing past the end is read
        value = 16 * value + digit;
    }
    return value;
}

// At the u of \uXXXX; consumes a surrogate pair whole.
static bool scan_unicode_escape(va_io_json_scan *s) {
    int unit = hex4(s, s->at + 1);
    if (unit < 0)
        return fault(s, "expected four hex digits after \\u");
    if (unit == 0)
        return fault(s, "\\u0000 in a string is not supported");
    bool high = unit >= 0xD800 && unit <= 0xDBFF, low = unit >= 0xDC00 && unit <= 0xDFFF;
    int64_t next = s->at + 5;
    if (high && s->text[next] == '\\' && s->text[next + 1] == 'u') {
        int second = hex4(s, next + 2);
        if (second >= 0xDC00 && second <= 0xDFFF) {
            s->at = next + 6;
            return true;
        }
    }
    if (high || low)
        return fault(s, "half of a surrogate pair in a string");
    s->at = next;
    return true;
}

static bool scan_string(va_io_json_scan *s) {
    if (!take(s, '"'))
        return fault_expected(s, "a string");
    for (;;) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c > '\\') { // nearly all of them
            s->at++;
            continue;
        }
        if (s->at >= s->size)
            return fault(s, "a string does not end");
        if (c < 0x20)
            return fault(s, "control character in a string");
        s->at++;
        if (c == '"')
            return true;
        if (c != '\\')
            continue;
        char escaped = s->text[s->at];
        if (escaped == 'u') {
            if (!scan_unicode_escape(s))
                return false;
        } else if (escaped && strchr("\"\\/bfnrt", escaped)) {
            s->at++;
        } else {
            return fault_expected(s, "one of \" \\ / b f n r t u after \\");
        }
    }
}

static bool scan_word(va_io_json_scan *s, const char *word) {
    size_t n = strlen(word);
    if (strncmp(s->text + s->at, word, n) != 0)
        return fault_expected(s, "a value");
    s->at += (int64_t)n;
    return true;
}

static bool key_is(const va_io_json_scan *s, int64_t begin, int64_t n, const char *name) {
    char key[64];
    if (n > (int64_t)sizeof key)
        return false;
    n = va_io_json_unescape(s->text + begin, n, key);
    return n == (int64_t)strlen(name) && memcmp(key, name, (size_t)n) == 0;
}

// Which of the large values this key has, or -1.
static int64_t large_of(va_io_json_scan *s, int64_t begin, int64_t n) {
    if (s->depth == 1) {
        s->outer_begin = begin;
        s->outer_n = n;
    }
    for (int64_t i = 0; i < s->n_large && s->depth == 2; i++)
        if (s->range[i].end == 0 && key_is(s, begin, n, s->large[i].key) &&
            key_is(s, s->outer_begin, s->outer_n, s->large[i].object))
            return i;
    return -1;
}

static bool scan_value(va_io_json_scan *s);

// A large value: its place is noted, its keys and values are not counted.
static bool scan_large(va_io_json_scan *s, int64_t i) {
    int64_t n_keys = s->n_keys, n_values = s->n_values, want_key = s->want_key;
    s->want_key = -1;
    skip_space(s);
    int64_t begin = s->at;
    char first = s->text[begin];
    if (!scan_value(s))
        return false;
    if (first == '{' || first == '[') {
        int64_t end = s->at;
        while (s->text[end - 1] != '}' && s->text[end - 1] != ']')
            end--; // the white space behind it
        s->range[i] = (va_io_json_range){begin, end};
    }
    s->n_keys = n_keys;
    s->n_values = n_values;
    s->want_key = want_key;
    return true;
}

// A key and its value. Remembers the place when it is the key that is sought; false stops the
// reading.
static bool scan_member(va_io_json_scan *s) {
    if (s->n_keys++ == s->want_key)
        return false;
    int64_t begin = s->at + 1;
    if (!scan_string(s))
        return false;
    int64_t large = s->depth <= 2 ? large_of(s, begin, s->at - 1 - begin) : -1;
    skip_space(s);
    if (!take(s, ':'))
        return fault_expected(s, "':'");
    return large < 0 ? scan_value(s) : scan_large(s, large);
}

static bool scan_items(va_io_json_scan *s, bool object) {
    char close = object ? '}' : ']';
    if (++s->depth > MAX_DEPTH)
        return fault(s, "nested deeper than 256 levels");
    s->at++;
    skip_space(s);
    if (!take(s, close)) {
        do {
            skip_space(s);
            if (!(object ? scan_member(s) : scan_value(s)))
                return false;
        } while (take(s, ','));
        if (!take(s, close))
            return fault_expected(s, object ? "',' or '}'" : "',' or ']'");
    }
    s->depth--;
    return true;
}

// A value with the white space around it.
static bool scan_value(va_io_json_scan *s) {
    bool ok;
    skip_space(s);
    if (++s->n_values > MAX_VALUES)
        return fault(s, "more than 16777216 values");
    switch (s->text[s->at]) {
    case '{':
        ok = scan_items(s, true);
        break;
    case '[':
        ok = scan_items(s, false);
        break;
    case '"':
        ok = scan_string(s);
        break;
    case 't':
        ok = scan_word(s, "true");
        break;
    case 'f':
        ok = scan_word(s, "false");
        break;
    case 'n':
        ok = scan_word(s, "null");
        break;
    default:
        ok = s->text[s->at] == '-' || is_digit(s->text[s->at]) ? scan_number(s)
                                                               : fault_expected(s, "a value");
    }
    if (ok)
        skip_space(s);
    return ok;
}

bool va_io_json_scan_text(va_io_json_scan *s) {
    s->at = va_io_utf8_invalid(s->text, s->size);
    if (s->at >= 0)
        return fault(s, "not valid UTF-8");
    s->at = strncmp(s->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; // a byte order mark
    if (!scan_value(s))
        return false;
    return s->at >= s->size || fault_expected(s, "the end of the document");
}
