// io_priv.h: what the files of the io layer share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_IO_PRIV_H
#define VA_IO_PRIV_H

#include "vkalign/io.h"

// Numbers are copied between files and memory as they stand.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vkalign needs a little-endian host");

// Byte offset of the first byte that is not valid UTF-8, or -1.
int64_t va_io_utf8_invalid(const char *s, int64_t n);
// Length in bytes of the valid UTF-8 sequence at s, 0 when there is none.
int va_io_utf8_length(const char *s, int64_t n);

// 1-based line and column (in characters) of a byte of UTF-8 text.
typedef struct va_io_place {
    int64_t line, col;
} va_io_place;
va_io_place va_io_place_of(const char *text, int64_t size, int64_t offset);

// Maps a file of at most max_bytes; larger ones are refused with code before anything is read.
va_status va_io_map_limited(va_ctx *ctx, const char *path, int64_t max_bytes, va_status code,
                            va_map *map);

// A strict reading of JSON text (RFC 8259), which is followed by at least one NUL.
typedef struct va_io_json_scan {
    const char *text;
    int64_t size;
    int64_t want_key; // ordinal of the key whose place is sought, -1 for none
    int64_t at;       // where reading stopped: the fault, or the key that was sought
    char what[128];   // the fault
    int64_t n_keys;   // keys passed so far, in the order of the text
    int64_t n_values; // values begun so far
    int depth;
} va_io_json_scan;
// true when the text is one JSON document within the limits. With want_key >= 0: stops there.
bool va_io_json_scan_text(va_io_json_scan *s);

#endif
