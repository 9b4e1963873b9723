// text.h: tokenizers read from a Hugging Face tokenizer.json or out of a GGUF file. Depends on io.h
// and base.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_TEXT_H
#define VKALIGN_TEXT_H

#include "vkalign/gguf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct va_tokenizer va_tokenizer;

// A token with the bytes [begin, end) of the input text it came from (empty for tokens that the
// post-processor adds; the bytes of one character split over byte tokens all get that character;
// what a Replace put in gets the last character replaced; white space is not trimmed off).
typedef struct va_token {
    int32_t id;
    int64_t begin, end;
} va_token;

// Components that are not understood are VA_ERR_UNSUPPORTED by name, never skipped.
va_status va_tokenizer_load(va_ctx *ctx, const char *path, va_tokenizer **tok);
// The tokenizer of a GGUF file's metadata, tokenizer.ggml.*: model "gpt2" with the pre-tokenizers
// that llama.cpp knows by name, or "llama". path is for messages; g is not kept. Special tokens in
// a text are found as in a tokenizer.json; byte-level vocabularies of Qwen compose characters
// (NFC).
va_status va_tokenizer_load_gguf(va_ctx *ctx, const va_gguf *g, const char *path,
                                 va_tokenizer **tok);
void va_tokenizer_free(va_tokenizer **tok);
// Text is UTF-8; invalid bytes are VA_ERR_FORMAT with their offset. tokens is arena-owned.
// add_special: apply the post-processor (BOS). A character that the vocabulary cannot spell, where
// there is no unknown token either, is VA_ERR_FORMAT.
va_status va_tokenizer_encode(va_tokenizer *tok, va_arena *arena, const char *text, int64_t size,
                              bool add_special, va_token **tokens, int64_t *n);
// The token's own text as in the vocabulary ("▁means", "<0xE2>"), NULL when id is out of range.
const char *va_tokenizer_token(const va_tokenizer *tok, int32_t id);
int32_t va_tokenizer_id(const va_tokenizer *tok, const char *token); // -1 when absent
int64_t va_tokenizer_vocab_size(const va_tokenizer *tok);            // largest id + 1
bool va_tokenizer_is_special(const va_tokenizer *tok, int32_t id);
// Text of ids through the tokenizer's decoder; NUL-terminated, arena-owned. An id out of range is
// VA_ERR_USAGE; text with a NUL character inside is VA_ERR_FORMAT.
va_status va_tokenizer_decode(va_tokenizer *tok, va_arena *arena, const int32_t *ids, int64_t n,
                              bool skip_special, char **text);

#ifdef __cplusplus
}
#endif
#endif
