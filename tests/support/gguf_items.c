// SPDX-License-Identifier: Apache-2.0
#include "gguf_items.h"

#include "gguf_bytes.h"
#include "test_support.h"

#define BASE                                                                                       \
    ".block_count=u4 .embedding_length=u32 .attention.head_count=u4 .feed_forward_length=u48 "     \
    ".context_length=u64 "
#define RMS ".attention.layer_norm_rms_epsilon=f0.00001 "
#define LAYER ".attention.layer_norm_epsilon=f0.00001 "

typedef struct writer {
    va_strbuf keys, tensors, data;
    uint64_t n_keys, n_tensors;
} writer;

static void put_value(va_strbuf *b, const char *key, const char *value) {
    const uint32_t elements = value[0] == 'B' ? GGUF_BOOL : GGUF_U32;
    switch (value[0]) {
    case 'u':
    case 'i':
        gguf_put_key(b, key, value[0] == 'u' ? GGUF_U32 : GGUF_I32);
        gguf_put(b, (uint64_t)strtoll(value + 1, NULL, 10), 4);
        break;
    case 'f':
        gguf_put_key(b, key, GGUF_F32);
        gguf_put_float(b, strtof(value + 1, NULL));
        break;
    case 'b':
        gguf_put_key(b, key, GGUF_BOOL);
        gguf_put(b, value[1] == '1', 1);
        break;
    case 's':
        gguf_put_key(b, key, GGUF_STRING);
        gguf_put_string(b, value + 1);
        break;
    default:
        gguf_put_key(b, key, GGUF_ARRAY);
        gguf_put(b, elements, 4);
        gguf_put(b, strlen(value + 1), 8);
        for (const char *c = value + 1; *c; c++)
            gguf_put(b, (uint64_t)(*c - '0'), elements == GGUF_BOOL ? 1 : 4);
    }
}

static void put_vector(writer *w, const char *name, uint64_t n_cols, uint64_t n_rows) {
    gguf_put_tensor(&w->tensors, name, n_rows > 1 ? 2 : 1, n_cols, n_rows, 0,
                    (uint64_t)w->data.len);
    for (uint64_t i = 0; i < n_cols * n_rows; i++)
        gguf_put_float(&w->data, (float)i + 1);
    gguf_pad(&w->data, 32, 0);
    w->n_tensors++;
}

static bool names(const char *items, const char *key) {
    const char *at = strstr(items, key);
    return at && at[strlen(key)] == '=' && (at == items || at[-1] == ' ');
}

// Each item but those whose key `later` has too.
static void put_items(writer *w, const char *arch, const char *items, const char *later) {
    while (*items) {
        char item[160], key[200];
        const int n = (int)strcspn(items, " ");
        assert_true(n > 0 && n < (int)sizeof item);
        snprintf(item, sizeof item, "%.*s", n, items);
        items += n + (items[n] == ' ');
        char *value = strpbrk(item, "=*");
        const char kind = *value;
        *value++ = '\0';
        snprintf(key, sizeof key, "%s%s", item[0] == '.' ? arch : "", item);
        if (kind == '*') {
            put_vector(w, item, (uint64_t)strtoll(value, NULL, 10), 1);
        } else if (!names(later, item) && value[0] != '-') {
            put_value(&w->keys, key, value);
            w->n_keys++;
        }
    }
}

void gguf_put_model(va_strbuf *b, const char *arch, const char *more) {
    const bool layer_norm = strcmp(arch, "gpt2") == 0 || strcmp(arch, "gptneox") == 0;
    writer w = {0};
    char general[80];
    snprintf(general, sizeof general, "general.architecture=s%s", arch);
    put_items(&w, arch, general, more);
    put_items(&w, arch, BASE, more);
    put_items(&w, arch, layer_norm ? LAYER : RMS, more);
    put_items(&w, arch, more, "");
    if (!strstr(more, "token_embd.weight*"))
        put_vector(&w, "token_embd.weight", 32, 10);
    gguf_put_head(b, 3, w.n_tensors, w.n_keys);
    va_strbuf_append(b, w.keys.data, w.keys.len);
    va_strbuf_append(b, w.tensors.data, w.tensors.len);
    gguf_pad(b, 32, 0);
    va_strbuf_append(b, w.data.data, w.data.len);
    assert_false(b->failed);
    va_strbuf_free(&w.keys);
    va_strbuf_free(&w.tensors);
    va_strbuf_free(&w.data);
}
