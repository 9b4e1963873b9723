// A tokenizer.json, and texts through it.
// libs: va_text
// max_len: 4096
// dict: tokenizer
// SPDX-License-Identifier: Apache-2.0
#include "text_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_tokenizer *tok = NULL;
    va_status st = va_tokenizer_load(ctx, fuzz_file(data, size), &tok);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!tok);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_UNSUPPORTED);
        return 0;
    }
    use_tokenizer(tok, data, size);
    va_tokenizer_free(&tok);
    return 0;
}
