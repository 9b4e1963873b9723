// text_use.h: texts through a tokenizer that was loaded: ids are of the vocabulary, places of the
// text, and ids decode.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_FUZZ_TEXT_USE_H
#define VA_FUZZ_TEXT_USE_H

#include "fuzz.h"

#include "vkalign/text.h"

#include <string.h>

static void check_vocabulary(const va_tokenizer *tok) {
    int64_t n = va_tokenizer_vocab_size(tok);
    FUZZ_REQUIRE(n > 0);
    for (int64_t id = -1; id <= n; id++) {
        const char *token = va_tokenizer_token(tok, (int32_t)id);
        FUZZ_REQUIRE(!token || (id >= 0 && id < n && va_tokenizer_id(tok, token) == id));
    }
}

static void check_tokens(const va_tokenizer *tok, const va_token *tokens, int64_t n, int64_t size) {
    for (int64_t i = 0; i < n; i++) {
        const char *text = va_tokenizer_token(tok, tokens[i].id);
        FUZZ_REQUIRE(text);
        FUZZ_REQUIRE(va_tokenizer_id(tok, text) == tokens[i].id);
        FUZZ_REQUIRE(tokens[i].begin >= 0 && tokens[i].begin <= tokens[i].end);
        FUZZ_REQUIRE(tokens[i].end <= size);
    }
}

static void run_text(va_tokenizer *tok, va_arena *arena, const char *text, int64_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_token *tokens;
    int64_t n;
    va_status st = va_tokenizer_encode(tok, arena, text, size, true, &tokens, &n);
    if (st != VA_OK) {
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
        return;
    }
    check_tokens(tok, tokens, n, size);
    int32_t *ids = VA_NEW_ARRAY(arena, int32_t, n);
    FUZZ_REQUIRE(ids);
    for (int64_t i = 0; i < n; i++)
        ids[i] = tokens[i].id;
    for (int skip = 0; skip < 2; skip++) {
        char *back;
        st = va_tokenizer_decode(tok, arena, ids, n, skip, &back);
        if (st == VA_OK)
            fuzz_touch(back, (int64_t)strlen(back));
        else
            FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
    }
}

// Texts of several kinds, and bytes of the file itself, so that its own tokens and patterns come
// up.
static void use_tokenizer(va_tokenizer *tok, const uint8_t *data, size_t size) {
    static const char *const texts[] = {
        "",
        "The concept of Physical means",
        " \n\tna\xC3\xAFve  e\xCC\x81 \xE2\x96\x81 12345 \xF0\x9F\x98\x80!<bos>",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    };
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    check_vocabulary(tok);
    for (int64_t i = 0; i < VA_COUNT(texts); i++)
        run_text(tok, arena, texts[i], (int64_t)strlen(texts[i]));
    int64_t n = VA_MIN((int64_t)size, 64);
    run_text(tok, arena, (const char *)data + ((int64_t)size - n) / 2, n);
    va_arena_destroy(&arena);
}

#endif
