// The tokenizer of a GGUF file, and texts through it.
// libs: va_text
// max_len: 5000
// dict: gguf
// SPDX-License-Identifier: Apache-2.0
#include "text_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_gguf *g = NULL;
    va_tokenizer *tok = NULL;
    if (va_gguf_open(ctx, fuzz_file(data, size), &g) != VA_OK)
        return 0; // fuzz_gguf's
    va_status st = va_tokenizer_load_gguf(ctx, g, "fuzz.gguf", &tok);
    va_gguf_close(&g); // which the tokenizer must not need
    if (st == VA_OK) {
        use_tokenizer(tok, data, size);
    } else {
        FUZZ_REQUIRE(!tok);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED, VA_ERR_NUMERIC);
    }
    va_tokenizer_free(&tok);
    return 0;
}
