// io_utf8.c: UTF-8 validity (RFC 3629) and places in text.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

static bool is_continuation(const unsigned char *p, int64_t i) {
    return (p[i] & 0xC0) == 0x80;
}

int va_io_utf8_length(const char *s, int64_t n) {
    const unsigned char *p = (const unsigned char *)s;
    if (n >= 1 && p[0] < 0x80)
        return 1;
    if (n >= 2 && p[0] >= 0xC2 && p[0] <= 0xDF)
        return is_continuation(p, 1) ? 2 : 0;
    if (n >= 3 && (p[0] & 0xF0) == 0xE0) {
        bool overlong = p[0] == 0xE0 && p[1] < 0xA0;
        bool surrogate = p[0] == 0xED && p[1] > 0x9F;
        return !overlong && !surrogate && is_continuation(p, 1) && is_continuation(p, 2) ? 3 : 0;
    }
    if (n >= 4 && p[0] >= 0xF0 && p[0] <= 0xF4) {
        bool overlong = p[0] == 0xF0 && p[1] < 0x90;
        bool too_large = p[0] == 0xF4 && p[1] > 0x8F;
        return !overlong && !too_large && is_continuation(p, 1) && is_continuation(p, 2) &&
                       is_continuation(p, 3)
                   ? 4
                   : 0;
    }
    return 0;
}

int64_t va_io_utf8_invalid(const char *s, int64_t n) {
    int64_t i = 0;
    while (i < n) {
        if ((unsigned char)s[i] < 0x80) { // nearly all of it
            i++;
            continue;
        }
        int length = va_io_utf8_length(s + i, n - i);
        if (length == 0)
            return i;
        i += length;
    }
    return -1;
}

va_io_place va_io_place_of(const char *text, int64_t size, int64_t offset) {
    va_io_place place = {1, 1};
    for (int64_t i = 0; i < offset && i < size; i++) {
        if (text[i] == '\n') {
            place.line++;
            place.col = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            place.col++;
        }
    }
    return place;
}
