// text_decode.c: the decoders: from tokens back to text.
//
// Each step maps a list of strings to a list of strings; what is left is joined.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>
#include <utf8proc.h>

static const char SUPPORTED[] =
    "Sequence, Replace, ByteFallback, Fuse, Strip, ByteLevel, Metaspace";
static const char REPLACEMENT[] = "\xEF\xBF\xBD"; // U+FFFD

static const char *const replace_keys[] = {"type", "pattern", "content", NULL};
static const char *const strip_keys[] = {"type", "content", "start", "stop", NULL};
static const char *const byte_keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                        NULL};
static const char *const bare_keys[] = {"type", NULL};

static va_status read_count(va_tokenizer *tok, const va_json *v, const char *where, const char *key,
                            int64_t *out) {
    const va_json *n = va_json_get(v, key);
    if (!n || !va_json_as_int(n, out) || *out < 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.%s: expected a count, got %s", tok->path,
                       where, key, n ? va_json_type(n) : "nothing");
    return VA_OK;
}

static va_status read_strip(va_tokenizer *tok, const va_json *v, const char *where,
                            text_decoder *d) {
    va_status st = VA_OK;
    d->kind = TEXT_DECODE_STRIP;
    VA_TRY(text_check_keys(tok, v, where, strip_keys));
    VA_TRY(text_get_string(tok, v, where, "content", &d->content));
    int64_t len = 0;
    if (d->content.n > 0)
        text_char_at(d->content.s, d->content.n, &len);
    if (len == 0 || len != d->content.n)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.content: expected one character, got '%s'",
                       tok->path, where, d->content.s);
    VA_TRY(read_count(tok, v, where, "start", &d->start));
    VA_TRY(read_count(tok, v, where, "stop", &d->stop));
done:
    return st;
}

static va_status read_step(va_tokenizer *tok, const va_json *v, const char *type,
                           const char *where) {
    va_status st = VA_OK;
    bool split;
    if (tok->n_decoder == TEXT_MAX_STEPS)
        return text_unknown(tok, where, "more than 64 decoders", "64");
    text_decoder *d = &tok->decoder[tok->n_decoder++]; // counted first: it is freed by count
    if (strcmp(type, "Replace") == 0) {
        d->kind = TEXT_DECODE_REPLACE;
        VA_TRY(text_check_keys(tok, v, where, replace_keys));
        VA_TRY(text_pattern_read(tok, v, where, &d->pattern));
        VA_TRY(text_get_string(tok, v, where, "content", &d->content));
    } else if (strcmp(type, "ByteFallback") == 0) {
        d->kind = TEXT_DECODE_BYTE_FALLBACK;
        VA_TRY(text_check_keys(tok, v, where, bare_keys));
    } else if (strcmp(type, "Fuse") == 0) {
        d->kind = TEXT_DECODE_FUSE;
        VA_TRY(text_check_keys(tok, v, where, bare_keys));
    } else if (strcmp(type, "Strip") == 0) {
        VA_TRY(read_strip(tok, v, where, d));
    } else if (strcmp(type, "ByteLevel") == 0) {
        d->kind = TEXT_DECODE_BYTE_LEVEL;
        VA_TRY(text_check_keys(tok, v, where, byte_keys));
    } else if (strcmp(type, "Metaspace") == 0) {
        d->kind = TEXT_DECODE_METASPACE;
        VA_TRY(text_read_metaspace(tok, v, where, &d->content, &d->prepend, &split));
    } else {
        return text_unknown(tok, where, type, SUPPORTED);
    }
done:
    return st;
}

va_status text_decoder_add(va_tokenizer *tok, text_decoder decoder) {
    if (tok->n_decoder == TEXT_MAX_STEPS)
        return text_unknown(tok, "decoder", "more than 64 decoders", "64");
    tok->decoder[tok->n_decoder++] = decoder;
    return VA_OK;
}

va_status text_decoder_read(va_tokenizer *tok, const va_json *v) {
    return text_each_step(tok, v, "decoders", "decoder", read_step);
}

// -- running ---------------------------------------------------------------------------------

// A copy in scratch.
static va_status keep(va_tokenizer *tok, const va_strbuf *b, text_str *out) {
    va_status st = b->failed ? text_out_of_memory(tok) : text_budget_take(tok, b->len);
    if (st != VA_OK)
        return st;
    out->s = va_arena_strndup(tok->scratch, b->data ? b->data : "", b->len);
    out->n = b->len;
    return out->s ? VA_OK : text_out_of_memory(tok);
}

static va_status replace(va_tokenizer *tok, const text_decoder *d, text_str *t) {
    va_status st = VA_OK;
    va_strbuf b = {0};
    text_match *m;
    int64_t n;
    VA_TRY(text_pattern_find(tok, &d->pattern, t->s, t->n, &m, &n));
    if (n == 0 || (n == 1 && !m[0].is_match))
        goto done;
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(text_budget_take(tok, m[i].is_match ? d->content.n : 0));
        if (m[i].is_match)
            va_strbuf_append(&b, d->content.s, d->content.n);
        else
            va_strbuf_append(&b, t->s + m[i].begin, m[i].end - m[i].begin);
    }
    VA_TRY(keep(tok, &b, t));
done:
    va_strbuf_free(&b);
    return st;
}

static void strip(const text_decoder *d, text_str *t) {
    text_str c = d->content;
    for (int64_t i = 0; i < d->start && t->n >= c.n && memcmp(t->s, c.s, (size_t)c.n) == 0; i++)
        *t = (text_str){t->s + c.n, t->n - c.n};
    for (int64_t i = 0; i < d->stop && t->n >= c.n; i++) {
        if (memcmp(t->s + t->n - c.n, c.s, (size_t)c.n) != 0)
            break;
        t->n -= c.n;
    }
}

// Spaces for the replacement; the first token loses it, where a space was prepended.
static va_status metaspace(va_tokenizer *tok, const text_decoder *d, bool first, text_str *t) {
    va_status st = VA_OK;
    va_strbuf b = {0};
    int64_t len;
    for (int64_t i = 0; i < t->n; i += len) {
        text_char_at(t->s + i, t->n - i, &len);
        bool is_space = len == d->content.n && memcmp(t->s + i, d->content.s, (size_t)len) == 0;
        if (!is_space)
            va_strbuf_append(&b, t->s + i, len);
        else if (!first || d->prepend == TEXT_NEVER)
            va_strbuf_append(&b, " ", 1);
    }
    VA_TRY(keep(tok, &b, t));
done:
    va_strbuf_free(&b);
    return st;
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte that "<0x41>" stands for, or -1.
static int byte_of(text_str t) {
    if (t.n != 6 || memcmp(t.s, "<0x", 3) != 0 || t.s[5] != '>')
        return -1;
    int high = hex(t.s[3]), low = hex(t.s[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// A run of bytes becomes its text, or one U+FFFD for each byte when it is not UTF-8.
static va_status byte_fallback(va_tokenizer *tok, text_str *t, int64_t *n) {
    va_status st = VA_OK;
    va_strbuf run = {0}, marks = {0};
    int64_t kept = 0;
    for (int64_t i = 0; i < *n;) {
        if (byte_of(t[i]) < 0) {
            t[kept++] = t[i++];
            continue;
        }
        run.len = marks.len = 0;
        for (int b; i < *n && (b = byte_of(t[i])) >= 0; i++) {
            char byte = (char)b;
            va_strbuf_append(&run, &byte, 1);
            va_strbuf_append(&marks, REPLACEMENT, 3);
        }
        bool valid = !run.failed && text_first_invalid(run.data, run.len) < 0;
        VA_TRY(keep(tok, valid ? &run : &marks, &t[kept++]));
    }
    *n = kept;
done:
    va_strbuf_free(&run);
    va_strbuf_free(&marks);
    return st;
}

// How many bytes at s begin a character that then breaks off or goes wrong (Unicode 15.0, 3.9,
// "maximal subpart"): one U+FFFD stands for all of them.
static int64_t broken_prefix(const char *text, int64_t n) {
    const unsigned char *s = (const unsigned char *)text;
    int64_t want = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC2 ? 2 : 1;
    unsigned low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[0] > 0xF4)
        return 1;
    int64_t i = 1;
    for (; i < want && i < n && s[i] >= low && s[i] <= high; i++) {
        low = 0x80;
        high = 0xBF;
    }
    return i;
}

static void append_lossy(va_strbuf *out, const char *s, int64_t n) {
    for (int64_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)s + i, n - i, &c);
        if (len > 0) {
            va_strbuf_append(out, s + i, len);
            i += len;
        } else {
            va_strbuf_append(out, REPLACEMENT, 3);
            i += broken_prefix(s + i, n - i);
        }
    }
}

// The bytes that the characters stand for; a token with a character that stands for none is text.
static void append_bytes(va_strbuf *out, text_str t) {
    int64_t start = out->len, len;
    for (int64_t i = 0; i < t.n; i += len) {
        int b = text_char_byte(text_char_at(t.s + i, t.n - i, &len));
        if (b < 0) {
            if (!out->failed)
                out->len = start;
            va_strbuf_append(out, t.s, t.n);
            return;
        }
        char byte = (char)b;
        va_strbuf_append(out, &byte, 1);
    }
}

// All tokens as one: Fuse, ByteLevel.
static va_status join(va_tokenizer *tok, text_str *t, int64_t *n, bool as_bytes) {
    va_status st = VA_OK;
    va_strbuf all = {0}, text = {0};
    for (int64_t i = 0; i < *n; i++) {
        if (as_bytes)
            append_bytes(&all, t[i]);
        else
            va_strbuf_append(&all, t[i].s, t[i].n);
    }
    if (as_bytes && !all.failed)
        append_lossy(&text, all.data, all.len);
    text.failed |= all.failed;
    if (*n > 0) {
        VA_TRY(keep(tok, as_bytes ? &text : &all, &t[0]));
        *n = 1;
    }
done:
    va_strbuf_free(&all);
    va_strbuf_free(&text);
    return st;
}

static va_status run_step(va_tokenizer *tok, const text_decoder *d, text_str *t, int64_t *n) {
    va_status st = VA_OK;
    if (d->kind == TEXT_DECODE_BYTE_FALLBACK)
        return byte_fallback(tok, t, n);
    if (d->kind == TEXT_DECODE_FUSE || d->kind == TEXT_DECODE_BYTE_LEVEL)
        return join(tok, t, n, d->kind == TEXT_DECODE_BYTE_LEVEL);
    for (int64_t i = 0; i < *n; i++) {
        if (d->kind == TEXT_DECODE_REPLACE)
            VA_TRY(replace(tok, d, &t[i]));
        else if (d->kind == TEXT_DECODE_STRIP)
            strip(d, &t[i]);
        else
            VA_TRY(metaspace(tok, d, i == 0, &t[i]));
    }
done:
    return st;
}

va_status text_decode_tokens(va_tokenizer *tok, text_str *tokens, int64_t n, va_strbuf *out) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < tok->n_decoder; i++)
        VA_TRY(run_step(tok, &tok->decoder[i], tokens, &n));
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && tok->n_decoder == 0)
            va_strbuf_append(out, " ", 1); // as HF does where there is no decoder
        va_strbuf_append(out, tokens[i].s, tokens[i].n);
    }
    if (out->failed)
        st = text_out_of_memory(tok);
done:
    return st;
}
