// Examples in prompts, as tokens, on both sides of the split.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <string.h>

static const char slot[] = "{subject}";

// The last token that overlaps bytes [begin, end) of the text; -1: none.
static int64_t last_token(const va_token *tokens, int64_t n, int64_t begin, int64_t end) {
    for (int64_t i = n - 1; i >= 0; i--)
        if (tokens[i].begin < tokens[i].end && tokens[i].begin < end && tokens[i].end > begin)
            return i;
    return -1;
}

// The first token of the object, where it follows the prompt after a space.
static va_status find_object(va_model *model, va_arena *arena, const char *text, const char *object,
                             va_relation_pair *pair) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    va_token *tokens;
    int64_t n;
    const char *whole;
    VA_TRY_ALLOC(ctx, whole, va_arena_printf(arena, "%s %s", text, object));
    VA_TRY(va_tokenizer_encode(va_model_tokenizer(model), arena, whole, (int64_t)strlen(whole),
                               true, &tokens, &n));
    bool same = n > pair->seq_len;
    for (int64_t i = 0; i < pair->seq_len && same; i++)
        same = tokens[i].id == pair->ids[i];
    if (!same)
        VA_TRY(va_fail(ctx, VA_ERR_USAGE,
                       "the object '%.60s' begins no token of its own after \"%.200s\"", object,
                       text));
    pair->object = tokens[pair->seq_len].id;
done:
    return st;
}

static va_status make_pair(va_model *model, va_arena *arena, const char *prompt,
                           const va_relation_example *e, va_relation_pair *pair) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    va_token *tokens;
    int32_t *ids;
    const char *text;
    const char *place = strstr(prompt, slot);
    if (!place)
        return va_fail(ctx, VA_ERR_USAGE, "a relation's prompt: expected {subject} in \"%.200s\"",
                       prompt);
    const int64_t before = place - prompt, length = (int64_t)strlen(e->subject);
    VA_TRY_ALLOC(ctx, text,
                 va_arena_printf(arena, "%.*s%s%s", (int)before, prompt, e->subject,
                                 prompt + before + (int64_t)strlen(slot)));
    VA_TRY(va_tokenizer_encode(va_model_tokenizer(model), arena, text, (int64_t)strlen(text), true,
                               &tokens, &pair->seq_len));
    VA_TRY_ALLOC(ctx, ids, VA_NEW_ARRAY(arena, int32_t, pair->seq_len));
    for (int64_t i = 0; i < pair->seq_len; i++)
        ids[i] = tokens[i].id;
    pair->ids = ids;
    pair->subject = last_token(tokens, pair->seq_len, before, before + length);
    if (pair->subject < 0)
        VA_TRY(va_fail(ctx, VA_ERR_USAGE, "the subject '%.60s' has no tokens in \"%.200s\"",
                       e->subject, text));
    VA_TRY(find_object(model, arena, text, e->object, pair));
done:
    return st;
}

va_status va_relation_tokenize(va_model *model, va_arena *arena, const va_relation_data *data,
                               va_relation_pairs *pairs) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    const int64_t n = data->n_examples, P = data->n_prompts;
    va_rng rng = va_rng_make(data->seed, va_hash64("relation split"));
    int64_t *order;
    *pairs = (va_relation_pairs){.n_train = data->n_train * P, .n_test = (n - data->n_train) * P};
    if (!va_model_tokenizer(model))
        return va_fail(ctx, VA_ERR_USAGE, "%s has no tokenizer.json, which a relation needs",
                       va_model_dir(model));
    if (P < 1 || data->n_train < 1 || data->n_train >= n)
        return va_fail(
            ctx, VA_ERR_USAGE,
            "a relation: expected prompts, and 1 to %lld of %lld examples to fit on, got "
            "%lld prompts and %lld",
            (long long)n - 1, (long long)n, (long long)P, (long long)data->n_train);
    VA_TRY_ALLOC(ctx, order, VA_NEW_ARRAY(arena, int64_t, n));
    VA_TRY_ALLOC(ctx, pairs->train, VA_NEW_ARRAY(arena, va_relation_pair, n * P));
    pairs->test = pairs->train + pairs->n_train;
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    va_rng_shuffle(&rng, order, n);
    for (int64_t i = 0; i < n * P; i++) {
        va_relation_pair *pair = &pairs->train[i];
        pair->example = order[i / P];
        pair->prompt = i % P;
        VA_TRY(make_pair(model, arena, data->prompts[pair->prompt], &data->examples[pair->example],
                         pair));
    }
done:
    return st;
}
