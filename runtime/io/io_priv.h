// io_priv.h: what the files of the io layer share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_IO_PRIV_H
#define VA_IO_PRIV_H

#include "vkalign/json_doc.h"

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

// va_convert_to_f32 for the quantised dtypes; n is a whole number of blocks.
void va_io_dequantise(float *dst, const void *src, va_dtype dtype, int64_t n);

// A value that a JSON document's tree leaves out: its bytes [begin, end), 0 0 when it was not met.
typedef struct va_io_json_range {
    int64_t begin, end;
} va_io_json_range;

// A strict reading of JSON text (RFC 8259), which is followed by at least one NUL.
typedef struct va_io_json_scan {
    const char *text;
    int64_t size;
    int64_t want_key; // ordinal of the key whose place is sought, -1 for none
    const va_json_path *large;
    va_io_json_range *range; // [n_large], found on the way
    int64_t n_large;
    int64_t at;                   // where reading stopped: the fault, or the key that was sought
    char what[128];               // the fault
    int64_t n_keys;               // keys passed so far, in the order of the text, of the tree's
    int64_t n_values;             // values begun so far, of the tree's
    int64_t outer_begin, outer_n; // the key at hand in the outermost object
    int depth;
} va_io_json_scan;
// true when the text is one JSON document within the limits. With want_key >= 0: stops there.
bool va_io_json_scan_text(va_io_json_scan *s);
// The characters that n bytes between the quotes of a valid string stand for; out has room for n.
// Returns how many bytes they are.
int64_t va_io_json_unescape(const char *s, int64_t n, char *out);
// va_json_parse of text that is followed by VA_IO_JSON_TAIL NULs; the scan says what is left out.
enum { VA_IO_JSON_TAIL = 16 }; // cJSON looks past the end of unterminated text
va_status va_io_json_parse(va_ctx *ctx, const char *name, va_io_json_scan *s, va_json **root);

#endif
