// pt_zip.c: the zip archive around a PyTorch checkpoint (PKWARE's APPNOTE 6.3, sections 4.3, 4.5).
//
// torch.save stores its members uncompressed and aligned so that they can be used from a map, and
// torch.load does the same. So does this file, which reads stored members alone: a zip library
// would bring decompression that is not wanted, and copies that are not needed.
// SPDX-License-Identifier: Apache-2.0
#include "pt_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    END_BYTES = 22,     // end of central directory, without its comment
    LOCATOR_BYTES = 20, // of the zip64 end
    END64_BYTES = 56,
    CENTRAL_BYTES = 46, // an entry of the directory, without name, extra, comment
    LOCAL_BYTES = 30,   // a member's header, without name and extra
    MAX_COMMENT = 65535,
    FLAG_ENCRYPTED = 1,
};

static uint16_t u16_at(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t u32_at(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t u64_at(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool is_at(const va_pt_zip *zip, int64_t at, const char signature[4]) {
    return at >= 0 && at <= zip->map.size_bytes - 4 &&
           memcmp(zip->map.data + at, signature, 4) == 0;
}

static va_status fail(va_ctx *ctx, const va_pt_zip *zip, int64_t at, const char *what) {
    return va_fail(ctx, VA_ERR_FORMAT, "%s: byte %lld: %s", zip->path, (long long)at, what);
}

// -- checksums ---------------------------------------------------------------------------------

// table[k][b] is the checksum of byte b followed by k zeros.
static void fill_crc_table(uint32_t table[8][256]) {
    for (uint32_t b = 0; b < 256; b++) {
        table[0][b] = b;
        for (int bit = 0; bit < 8; bit++)
            table[0][b] = table[0][b] >> 1 ^ (table[0][b] & 1 ? 0xEDB88320u : 0);
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xFF];
}

// CRC-32, eight bytes at a time.
static uint32_t crc32_of(uint32_t (*table)[256], const uint8_t *p, int64_t n) {
    uint32_t c = 0xFFFFFFFF;
    for (; n >= 8; n -= 8, p += 8) {
        const uint64_t word = u64_at(p) ^ c;
        c = 0;
        for (int k = 0; k < 8; k++)
            c ^= table[7 - k][word >> (8 * k) & 0xFF];
    }
    for (; n > 0; n--, p++)
        c = c >> 8 ^ table[0][(c ^ *p) & 0xFF];
    return ~c;
}

// -- directory ---------------------------------------------------------------------------------

typedef struct directory {
    uint64_t at, size_bytes, n;
} directory;

// The record at the end, before a comment that goes up to the file's end.
static int64_t find_end(const va_pt_zip *zip) {
    const int64_t last = zip->map.size_bytes - END_BYTES;
    for (int64_t at = last; at >= 0 && last - at <= MAX_COMMENT; at--)
        if (is_at(zip, at, "PK\5\6") && u16_at(zip->map.data + at + 20) == last - at)
            return at;
    return -1;
}

static va_status read_end64(va_ctx *ctx, const va_pt_zip *zip, int64_t locator_at, directory *d) {
    const uint8_t *p = zip->map.data;
    const uint64_t at = u64_at(p + locator_at + 8);
    if (locator_at < END64_BYTES || at > (uint64_t)(locator_at - END64_BYTES) ||
        !is_at(zip, (int64_t)at, "PK\6\6"))
        return fail(ctx, zip, locator_at, "expected the place of a zip64 end record");
    p += at;
    if (u32_at(p + 16) != 0 || u32_at(p + 20) != 0 || u64_at(p + 24) != u64_at(p + 32))
        return fail(ctx, zip, (int64_t)at, "expected a zip archive of one part");
    *d = (directory){.n = u64_at(p + 32), .size_bytes = u64_at(p + 40), .at = u64_at(p + 48)};
    return VA_OK;
}

static va_status find_directory(va_ctx *ctx, const va_pt_zip *zip, directory *d) {
    va_status st = VA_OK;
    const int64_t end_at = find_end(zip);
    if (end_at < 0)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: no end of a zip directory: cut short, or not a PyTorch file",
                       zip->path);
    const uint8_t *p = zip->map.data + end_at;
    if (is_at(zip, end_at - LOCATOR_BYTES, "PK\6\7")) {
        VA_TRY(read_end64(ctx, zip, end_at - LOCATOR_BYTES, d));
    } else {
        if (u16_at(p + 4) != 0 || u16_at(p + 6) != 0 || u16_at(p + 8) != u16_at(p + 10))
            return fail(ctx, zip, end_at, "expected a zip archive of one part");
        *d = (directory){.n = u16_at(p + 10), .size_bytes = u32_at(p + 12), .at = u32_at(p + 16)};
    }
    if (d->at > (uint64_t)end_at || d->size_bytes > (uint64_t)end_at - d->at)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: the zip directory has %llu bytes from %llu on, which are not before "
                       "its end at %lld",
                       zip->path, (unsigned long long)d->size_bytes, (unsigned long long)d->at,
                       (long long)end_at);
    if (d->n > d->size_bytes / CENTRAL_BYTES)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: %llu members do not fit into a zip directory of %llu bytes", zip->path,
                       (unsigned long long)d->n, (unsigned long long)d->size_bytes);
done:
    return st;
}

// Sizes and place that do not fit into 32 bits stand in the extra field of number 1, in this order,
// each only when its 32 bits are all ones.
static bool read_extra64(const uint8_t *extra, int64_t n, uint64_t *const value[3]) {
    while (n >= 4) {
        const int64_t size = u16_at(extra + 2);
        if (size > n - 4)
            return false;
        if (u16_at(extra) == 1) {
            const uint8_t *p = extra + 4, *end = p + size;
            for (int i = 0; i < 3; i++) {
                if (*value[i] != UINT32_MAX)
                    continue;
                if (end - p < 8)
                    return false;
                *value[i] = u64_at(p);
                p += 8;
            }
            return true;
        }
        extra += 4 + size;
        n -= 4 + size;
    }
    return *value[0] != UINT32_MAX && *value[1] != UINT32_MAX && *value[2] != UINT32_MAX;
}

static va_status read_entry(va_ctx *ctx, const va_pt_zip *zip, int64_t *at, int64_t end,
                            va_pt_entry *e) {
    const uint8_t *p = zip->map.data + *at;
    if (end - *at < CENTRAL_BYTES || !is_at(zip, *at, "PK\1\2"))
        return fail(ctx, zip, *at, "expected an entry of the zip directory");
    const int64_t name = u16_at(p + 28), extra = u16_at(p + 30), comment = u16_at(p + 32);
    if (name + extra + comment > end - *at - CENTRAL_BYTES)
        return fail(ctx, zip, *at, "an entry goes beyond the zip directory");
    uint64_t packed = u32_at(p + 20), size = u32_at(p + 24), header_at = u32_at(p + 42);
    if (!read_extra64(p + CENTRAL_BYTES + name, extra,
                      (uint64_t *const[]){&size, &packed, &header_at}))
        return fail(ctx, zip, *at, "an entry of the zip directory has wrong extra fields");
    if (header_at > (uint64_t)zip->map.size_bytes || size > (uint64_t)zip->map.size_bytes)
        return fail(ctx, zip, *at, "an entry of the zip directory lies outside the file");
    if (u16_at(p + 10) == 0 && packed != size)
        return fail(ctx, zip, *at, "an entry of the zip directory has two sizes");
    *e = (va_pt_entry){.name = (const char *)p + CENTRAL_BYTES,
                       .name_bytes = name,
                       .header_at = (int64_t)header_at,
                       .size_bytes = (int64_t)size,
                       .crc = u32_at(p + 16),
                       .method = u16_at(p + 10),
                       .flags = u16_at(p + 8)};
    *at += CENTRAL_BYTES + name + extra + comment;
    return VA_OK;
}

static int compare_text(const char *a, int64_t n_a, const char *b, int64_t n_b) {
    const int64_t n = VA_MIN(n_a, n_b);
    const int order = n > 0 ? memcmp(a, b, (size_t)n) : 0;
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int compare_entries(const void *a, const void *b) {
    const va_pt_entry *x = a, *y = b;
    return compare_text(x->name, x->name_bytes, y->name, y->name_bytes);
}

va_status va_pt_zip_read(va_ctx *ctx, va_arena *arena, va_pt_zip *zip) {
    va_status st = VA_OK;
    directory d = {0};
    VA_TRY(find_directory(ctx, zip, &d));
    zip->n = (int64_t)d.n;
    if (zip->n == 0)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: an empty zip archive", zip->path);
    VA_TRY_ALLOC(ctx, zip->entry, VA_NEW_ARRAY(arena, va_pt_entry, zip->n));
    VA_TRY_ALLOC(ctx, zip->crc_table, va_arena_alloc(arena, sizeof(uint32_t[8][256])));
    fill_crc_table(zip->crc_table);
    int64_t at = (int64_t)d.at;
    for (int64_t i = 0; i < zip->n; i++)
        VA_TRY(read_entry(ctx, zip, &at, (int64_t)(d.at + d.size_bytes), &zip->entry[i]));
    // As torch does: the folder of the first member.
    const char *slash = memchr(zip->entry[0].name, '/', (size_t)zip->entry[0].name_bytes);
    zip->root = zip->entry[0].name;
    zip->root_bytes = slash ? slash + 1 - zip->root : 0;
    qsort(zip->entry, (size_t)zip->n, sizeof *zip->entry, compare_entries);
    for (int64_t i = 1; i < zip->n; i++)
        if (compare_entries(&zip->entry[i - 1], &zip->entry[i]) == 0)
            return va_fail(ctx, VA_ERR_FORMAT, "%s: '%.*s' stands twice in the zip archive",
                           zip->path, (int)VA_MIN(zip->entry[i].name_bytes, 80),
                           zip->entry[i].name);
done:
    return st;
}

// -- members -----------------------------------------------------------------------------------

va_pt_entry *va_pt_zip_find(const va_pt_zip *zip, const char *folder, const char *name) {
    char path[512]; // longer ones are none of torch's
    const size_t n_folder = strlen(folder), n_name = strlen(name), n_root = (size_t)zip->root_bytes;
    if (n_root + n_folder + n_name > sizeof path)
        return NULL;
    memcpy(path, zip->root, n_root);
    memcpy(path + n_root, folder, n_folder);
    memcpy(path + n_root + n_folder, name, n_name);
    const va_pt_entry key = {.name = path, .name_bytes = (int64_t)(n_root + n_folder + n_name)};
    return bsearch(&key, zip->entry, (size_t)zip->n, sizeof key, compare_entries);
}

static va_status fail_entry(va_ctx *ctx, va_status code, const va_pt_zip *zip, const va_pt_entry *e,
                            const char *what) {
    return va_fail(ctx, code, "%s: '%.*s': %s", zip->path, (int)VA_MIN(e->name_bytes, 80), e->name,
                   what);
}

va_status va_pt_zip_bytes(va_ctx *ctx, const va_pt_zip *zip, const va_pt_entry *e,
                          const uint8_t **data) {
    const uint8_t *p = zip->map.data + e->header_at;
    if (e->flags & FLAG_ENCRYPTED)
        return fail_entry(ctx, VA_ERR_UNSUPPORTED, zip, e, "encrypted");
    if (e->method != 0)
        return fail_entry(ctx, VA_ERR_UNSUPPORTED, zip, e,
                          "compressed, which torch.save does not do: load and save it with torch");
    if (zip->map.size_bytes - e->header_at < LOCAL_BYTES || !is_at(zip, e->header_at, "PK\3\4"))
        return fail_entry(ctx, VA_ERR_FORMAT, zip, e, "no zip header where the directory says");
    const int64_t name = u16_at(p + 26), extra = u16_at(p + 28);
    const int64_t at = e->header_at + LOCAL_BYTES + name + extra;
    if (at > zip->map.size_bytes || e->size_bytes > zip->map.size_bytes - at)
        return fail_entry(ctx, VA_ERR_FORMAT, zip, e, "goes beyond the end of the file");
    if (compare_text((const char *)p + LOCAL_BYTES, name, e->name, e->name_bytes) != 0)
        return fail_entry(ctx, VA_ERR_FORMAT, zip, e, "the zip header has another name");
    *data = zip->map.data + at;
    return VA_OK;
}

va_status va_pt_zip_check(va_ctx *ctx, const va_pt_zip *zip, va_pt_entry *e) {
    va_status st = VA_OK;
    const uint8_t *data;
    // 0: saved under torch.serialization.set_crc32_options(False), or no bytes.
    if (e->checked || e->crc == 0)
        return VA_OK;
    VA_TRY(va_pt_zip_bytes(ctx, zip, e, &data));
    const uint32_t crc = crc32_of(zip->crc_table, data, e->size_bytes);
    if (crc != e->crc)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: '%.*s': damaged: expected the checksum %08x, got %08x", zip->path,
                       (int)VA_MIN(e->name_bytes, 80), e->name, e->crc, crc);
    e->checked = true;
done:
    return st;
}
