// text_chars.c: single characters: UTF-8, classes, GPT-2's stand-ins for bytes.
// SPDX-License-Identifier: Apache-2.0
#include "text_priv.h"

#include <utf8proc.h>

int32_t text_char_at(const char *s, int64_t n, int64_t *len) {
    utf8proc_int32_t c = -1;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, n, &c);
    *len = used > 0 ? used : 1;
    return used > 0 ? c : 0xFFFD;
}

int64_t text_first_invalid(const char *s, int64_t n) {
    for (int64_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s + i, n - i, &c);
        if (used <= 0)
            return i;
        i += used;
    }
    return -1;
}

bool text_is_space(int32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool text_is_word(int32_t c) {
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: // joiners, and symbols that Unicode calls alphabetic: circled and squared letters
        return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
               (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
               (c >= 0x1F170 && c <= 0x1F189);
    }
}

// Bytes that print as themselves in Latin-1; the others follow from U+0100 in their order.
static bool stands_for_itself(int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

int32_t text_byte_char(unsigned char byte) {
    if (stands_for_itself(byte))
        return byte;
    int32_t c = 256;
    for (int b = 0; b < byte; b++)
        c += !stands_for_itself(b);
    return c;
}

int text_char_byte(int32_t c) {
    if (c >= 0 && c < 256)
        return stands_for_itself(c) ? c : -1;
    int32_t next = 256;
    for (int b = 0; b < 256 && c >= next; b++) {
        if (stands_for_itself(b))
            continue;
        if (next++ == c)
            return b;
    }
    return -1;
}
