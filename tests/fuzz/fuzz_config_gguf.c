// A GGUF file's metadata as a configuration, and the graph of what it describes.
// libs: va_arch
// max_len: 4096
// dict: gguf
// SPDX-License-Identifier: Apache-2.0
#include "config_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_gguf *g = NULL;
    va_arch_config config = {0};
    if (va_gguf_open(ctx, fuzz_file(data, size), &g) != VA_OK)
        return 0; // fuzz_gguf's
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    va_status st = va_arch_parse_gguf(ctx, arena, g, "fuzz.gguf", &config);
    va_gguf_close(&g); // which the configuration must not need
    if (st == VA_OK)
        use_config(&config);
    else
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED);
    va_arena_destroy(&arena);
    return 0;
}
