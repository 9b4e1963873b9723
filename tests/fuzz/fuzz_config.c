// A config.json, and the graph of what it describes.
// libs: va_arch
// seeds: tests/fixtures/*/config.json
// max_len: 4096
// dict: config
// SPDX-License-Identifier: Apache-2.0
#include "config_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_json *root = NULL;
    va_arch_config config = {0};
    if (va_json_parse(ctx, "fuzz.json", (const char *)data, (int64_t)size, &root) != VA_OK)
        return 0; // fuzz_json's
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    va_status st = va_arch_parse(ctx, arena, root, "config.json", &config);
    if (st == VA_OK)
        use_config(&config);
    else
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED);
    va_arena_destroy(&arena);
    va_json_free(&root);
    return 0;
}
