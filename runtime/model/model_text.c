// Text to token ids, and where a concept's name lies among them.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <string.h>

// The tokens that overlap bytes [begin, end) of the text.
static void tokens_of(const va_token *tokens, int64_t n, int64_t begin, int64_t end, int64_t *first,
                      int64_t *count) {
    *first = *count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (tokens[i].begin >= tokens[i].end || tokens[i].end <= begin || tokens[i].begin >= end)
            continue;
        if (*count == 0)
            *first = i;
        *count = i - *first + 1;
    }
}

static va_status load_gguf(va_ctx *ctx, const char *path, va_tokenizer **tok) {
    va_status st = VA_OK;
    va_gguf *g = NULL;
    VA_TRY(va_gguf_open(ctx, path, &g));
    VA_TRY(va_tokenizer_load_gguf(ctx, g, path, tok));
done:
    va_gguf_close(&g);
    return st;
}

va_status va_model_load_tokenizer(va_ctx *ctx, const char *path, va_tokenizer **tok) {
    static const char suffix[] = ".gguf";
    va_status st = VA_OK;
    char *file = NULL;
    const size_t n = strlen(path), n_suffix = sizeof suffix - 1;
    va_arena *arena = NULL;
    *tok = NULL;
    if (!va_path_is_dir(path))
        return n > n_suffix && strcmp(path + n - n_suffix, suffix) == 0
                   ? load_gguf(ctx, path, tok)
                   : va_tokenizer_load(ctx, path, tok);
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY_ALLOC(ctx, file, va_path_join(arena, path, "tokenizer.json"));
    VA_TRY(va_tokenizer_load(ctx, file, tok));
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_model_tokenize(va_model *model, va_arena *arena, const char *text,
                            const char *concept_name, int32_t **ids, int64_t *n_ids,
                            int64_t *concept_first, int64_t *concept_count) {
    va_status st = VA_OK;
    va_token *tokens;
    int64_t n, first = 0, count = 0;
    if (!model->tokenizer)
        return va_fail(model->ctx, VA_ERR_USAGE, "%s has no tokenizer.json: give token ids",
                       model->dir);
    VA_TRY(va_tokenizer_encode(model->tokenizer, arena, text, (int64_t)strlen(text), true, &tokens,
                               &n));
    VA_TRY_ALLOC(model->ctx, *ids, VA_NEW_ARRAY(arena, int32_t, n));
    for (int64_t i = 0; i < n; i++)
        (*ids)[i] = tokens[i].id;
    *n_ids = n;
    const char *at = concept_name && concept_name[0] ? strstr(text, concept_name) : NULL;
    if (at)
        tokens_of(tokens, n, at - text, at - text + (int64_t)strlen(concept_name), &first, &count);
    if (concept_first)
        *concept_first = first;
    if (concept_count)
        *concept_count = count;
done:
    return st;
}
