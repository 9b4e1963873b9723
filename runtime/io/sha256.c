// sha256.c: SHA-256 (FIPS 180-4) through nettle.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>

struct va_sha256 {
    struct sha256_ctx state;
};

va_sha256 *va_sha256_create(void) {
    va_sha256 *h = malloc(sizeof *h);
    if (h)
        sha256_init(&h->state);
    return h;
}

void va_sha256_update(va_sha256 *h, const void *data, int64_t size_bytes) {
    if (size_bytes > 0)
        sha256_update(&h->state, (size_t)size_bytes, data);
}

void va_sha256_finish(va_sha256 **h, char hex[65]) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&(*h)->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    free(*h);
    *h = NULL;
}

va_status va_file_sha256(va_ctx *ctx, const char *path, char hex[65]) {
    va_status st = VA_OK;
    va_map map = {0};
    va_sha256 *h = NULL;
    VA_TRY(va_map_open(ctx, path, &map));
    VA_TRY_ALLOC(ctx, h, va_sha256_create());
    va_sha256_update(h, map.data, map.size_bytes);
    va_sha256_finish(&h, hex);
done:
    va_map_close(&map);
    return st;
}
