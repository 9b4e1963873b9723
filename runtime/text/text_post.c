// text_post.c: the post-processors: which ids go before and after a text.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

static const char *const template_keys[] = {"type", "single", "pair", "special_tokens", NULL};
// trim_offsets moves offsets alone, and so does add_prefix_space here.
static const char *const bert_keys[] = {"type", "sep", "cls", "trim_offsets", "add_prefix_space",
                                        NULL};

// Appends the ids that special_tokens gives for the name.
static va_status read_special(va_tokenizer *tok, const va_json *specials, const char *name,
                              const char *where, int32_t *ids, int64_t *n, int64_t cap) {
    const va_json *list = va_json_get(va_json_get(specials, name), "ids");
    if (!list || !va_json_is_array(list))
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s: no ids for special token '%s'", tok->path,
                       where, name);
    for (const va_json *v = va_json_first(list); v; v = va_json_next(v)) {
        int64_t id;
        if (!va_json_as_int(v, &id) || id < 0 || id >= tok->vocab.n || !tok->vocab.token[id].s)
            return va_fail(tok->ctx, VA_ERR_FORMAT,
                           "%s: %s: special token '%s': expected an id of the vocabulary, got %s",
                           tok->path, where, name, va_json_type(v));
        if (*n == cap)
            return text_unknown(tok, where, "a template of more than 64 tokens", "64");
        ids[(*n)++] = (int32_t)id;
    }
    return VA_OK;
}

typedef struct template_ids {
    int32_t before[TEXT_MAX_STEPS], after[TEXT_MAX_STEPS];
    int64_t n_before, n_after;
} template_ids;

static va_status read_single(va_tokenizer *tok, const va_json *v, const char *where,
                             template_ids *t) {
    va_status st = VA_OK;
    const va_json *single = va_json_get(v, "single");
    if (!single || !va_json_is_array(single))
        return text_wrong_type(tok, where, "an array `single`", single);
    if (va_json_count(single) > TEXT_MAX_STEPS) // each is looked up among special_tokens
        return text_unknown(tok, where, "a template of more than 64 tokens", "64");
    int n_sequence = 0;
    for (const va_json *item = va_json_first(single); item; item = va_json_next(item)) {
        const va_json *special = va_json_get(item, "SpecialToken");
        const va_json *sequence = va_json_get(item, "Sequence");
        const va_json *id_json = va_json_get(special ? special : sequence, "id");
        const char *id = id_json ? va_json_as_string(id_json) : NULL;
        if (!id)
            return text_wrong_type(tok, where, "SpecialToken or Sequence with an id in `single`",
                                   item);
        if (!special) {
            if (strcmp(id, "A") != 0)
                return text_unknown(tok, where, id, "A in `single`");
            n_sequence++;
            continue;
        }
        const va_json *specials = va_json_get(v, "special_tokens");
        if (n_sequence == 0)
            VA_TRY(read_special(tok, specials, id, where, t->before, &t->n_before,
                                TEXT_MAX_STEPS - tok->n_prefix));
        else
            VA_TRY(read_special(tok, specials, id, where, t->after, &t->n_after,
                                TEXT_MAX_STEPS - tok->n_suffix));
    }
    if (n_sequence != 1)
        return va_fail(tok->ctx, VA_ERR_UNSUPPORTED,
                       "%s: %s: expected the text once in `single`, got it %d times", tok->path,
                       where, n_sequence);
done:
    return st;
}

// a then b, as a new array.
static va_status join(va_tokenizer *tok, const int32_t *a, int64_t n_a, const int32_t *b,
                      int64_t n_b, int32_t **out) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(tok->ctx, *out, VA_NEW_ARRAY(tok->arena, int32_t, n_a + n_b));
    if (n_a > 0)
        memcpy(*out, a, (size_t)n_a * sizeof *a);
    if (n_b > 0)
        memcpy(*out + n_a, b, (size_t)n_b * sizeof *b);
done:
    return st;
}

// Puts ids around what earlier processors put around the text.
static va_status wrap(va_tokenizer *tok, const template_ids *t) {
    va_status st = VA_OK;
    int32_t *prefix, *suffix;
    VA_TRY(join(tok, t->before, t->n_before, tok->prefix, tok->n_prefix, &prefix));
    VA_TRY(join(tok, tok->suffix, tok->n_suffix, t->after, t->n_after, &suffix));
    tok->prefix = prefix;
    tok->suffix = suffix;
    tok->n_prefix += t->n_before;
    tok->n_suffix += t->n_after;
done:
    return st;
}

// ["<s>", 0] at key.
static va_status read_pair(va_tokenizer *tok, const va_json *v, const char *key, const char *where,
                           int32_t *id) {
    const va_json *pair = va_json_get(v, key), *first = va_json_first(pair);
    const char *name = first ? va_json_as_string(first) : NULL;
    int64_t n;
    if (!va_json_is_array(pair) || va_json_count(pair) != 2 || !name ||
        !va_json_as_int(va_json_next(first), &n))
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.%s: expected a token and its id, got %s",
                       tok->path, where, key, va_json_type(pair));
    if (n < 0 || n >= tok->vocab.n || !tok->vocab.token[n].s)
        return va_fail(tok->ctx, VA_ERR_FORMAT,
                       "%s: %s.%s: '%s': expected an id of the vocabulary, got %lld", tok->path,
                       where, key, name, (long long)n);
    *id = (int32_t)n;
    return VA_OK;
}

static va_status read_step(va_tokenizer *tok, const va_json *v, const char *type,
                           const char *where) {
    va_status st = VA_OK;
    template_ids t = {.n_before = 0};
    if (strcmp(type, "ByteLevel") == 0)
        return VA_OK; // trims offsets, which vkalign does not; no ids
    if (strcmp(type, "TemplateProcessing") == 0) {
        VA_TRY(text_check_keys(tok, v, where, template_keys));
        VA_TRY(read_single(tok, v, where, &t));
    } else if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0) {
        VA_TRY(text_check_keys(tok, v, where, bert_keys));
        VA_TRY(read_pair(tok, v, "cls", where, &t.before[0]));
        VA_TRY(read_pair(tok, v, "sep", where, &t.after[0]));
        t.n_before = t.n_after = 1;
    } else {
        return text_unknown(
            tok, where, type,
            "Sequence, TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel");
    }
    VA_TRY(wrap(tok, &t));
done:
    return st;
}

va_status text_post_read(va_tokenizer *tok, const va_json *v) {
    return text_each_step(tok, v, "processors", "post_processor", read_step);
}
