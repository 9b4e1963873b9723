// text_normalize.c: the normalizers.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>
#include <utf8proc.h>

static const char SUPPORTED[] =
    "Sequence, Replace, Prepend, NFC, NFD, NFKC, NFKD, Strip, Lowercase";

static const struct {
    const char *name;
    bool compose, compat;
} forms[] = {
    {"NFC", true, false}, {"NFD", false, false}, {"NFKC", true, true}, {"NFKD", false, true}};

static const char *const replace_keys[] = {"type", "pattern", "content", NULL};
static const char *const prepend_keys[] = {"type", "prepend", NULL};
static const char *const strip_keys[] = {"type", "strip_left", "strip_right", NULL};
static const char *const bare_keys[] = {"type", NULL};

static va_status read_step(va_tokenizer *tok, const va_json *v, const char *type,
                           const char *where) {
    va_status st = VA_OK;
    if (tok->n_norm == TEXT_MAX_STEPS)
        return text_unknown(tok, where, "more than 64 normalizers", "64");
    text_norm *norm = &tok->norm[tok->n_norm++]; // counted before it is whole: it is freed by count
    for (int64_t i = 0; i < VA_COUNT(forms); i++) {
        if (strcmp(type, forms[i].name) != 0)
            continue;
        *norm = (text_norm){
            .kind = TEXT_NORM_FORM, .compose = forms[i].compose, .compat = forms[i].compat};
        return text_check_keys(tok, v, where, bare_keys);
    }
    if (strcmp(type, "Replace") == 0) {
        norm->kind = TEXT_NORM_REPLACE;
        VA_TRY(text_check_keys(tok, v, where, replace_keys));
        VA_TRY(text_pattern_read(tok, v, where, &norm->pattern));
        VA_TRY(text_get_string(tok, v, where, "content", &norm->content));
    } else if (strcmp(type, "Prepend") == 0) {
        norm->kind = TEXT_NORM_PREPEND;
        VA_TRY(text_check_keys(tok, v, where, prepend_keys));
        VA_TRY(text_get_string(tok, v, where, "prepend", &norm->content));
    } else if (strcmp(type, "Strip") == 0) {
        norm->kind = TEXT_NORM_STRIP;
        VA_TRY(text_check_keys(tok, v, where, strip_keys));
        VA_TRY(text_get_bool(tok, v, where, "strip_left", true, &norm->left));
        VA_TRY(text_get_bool(tok, v, where, "strip_right", true, &norm->right));
    } else if (strcmp(type, "Lowercase") == 0) {
        norm->kind = TEXT_NORM_LOWERCASE;
        VA_TRY(text_check_keys(tok, v, where, bare_keys));
    } else {
        return text_unknown(tok, where, type, SUPPORTED);
    }
done:
    return st;
}

va_status text_norm_add(va_tokenizer *tok, text_norm norm) {
    if (tok->n_norm == TEXT_MAX_STEPS)
        return text_unknown(tok, "normalizer", "more than 64 normalizers", "64");
    tok->norm[tok->n_norm++] = norm;
    return VA_OK;
}

va_status text_norm_read(va_tokenizer *tok, const va_json *v) {
    return text_each_step(tok, v, "normalizers", "normalizer", read_step);
}

static void strip(text_piece *p, bool left, bool right) {
    int64_t begin = 0, end = p->n, len;
    while (left && begin < end && text_is_space(text_char_at(p->s + begin, end - begin, &len)))
        begin += len;
    while (right && begin < end) {
        int64_t last = end - 1;
        while (last > begin && ((unsigned char)p->s[last] & 0xC0) == 0x80)
            last--;
        if (!text_is_space(text_char_at(p->s + last, end - last, &len)))
            break;
        end = last;
    }
    *p = text_slice(p, begin, end);
}

static va_status lowercase(va_tokenizer *tok, text_piece *p) {
    va_status st = VA_OK;
    text_buf b = {0};
    int64_t len;
    for (int64_t i = 0; i < p->n; i += len) {
        int32_t c = text_char_at(p->s + i, p->n - i, &len);
        if (c == 0x130) { // the one character whose lower case is two: i and a dot above
            VA_TRY(text_buf_put_char(tok, &b, 'i', p->at[i]));
            VA_TRY(text_buf_put_char(tok, &b, 0x307, p->at[i]));
        } else {
            VA_TRY(text_buf_put_char(tok, &b, utf8proc_tolower(c), p->at[i]));
        }
    }
    *p = text_buf_piece(&b);
done:
    return st;
}

va_status text_normalize(va_tokenizer *tok, text_piece *p) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < tok->n_norm && p->n > 0; i++) {
        const text_norm *norm = &tok->norm[i];
        switch (norm->kind) {
        case TEXT_NORM_REPLACE:
            VA_TRY(text_replace(tok, p, &norm->pattern, norm->content));
            break;
        case TEXT_NORM_PREPEND:
            VA_TRY(text_prepend_to(tok, p, norm->content));
            break;
        case TEXT_NORM_FORM:
            VA_TRY(text_unicode_form(tok, p, norm->compose, norm->compat));
            break;
        case TEXT_NORM_STRIP:
            strip(p, norm->left, norm->right);
            break;
        case TEXT_NORM_LOWERCASE:
            VA_TRY(lowercase(tok, p));
            break;
        }
    }
done:
    return st;
}
