// text_split.c: the pre-tokenizers, which cut text into what BPE sees as words.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

static const char SUPPORTED[] =
    "Sequence, Split, Metaspace, ByteLevel, Digits, Punctuation, Whitespace, WhitespaceSplit";

static const char *const behavior_names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                             "MergedWithNext", "Contiguous"};
#define WORD_CLASS                                                                                 \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}"                       \
    "\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
static const char whitespace_regex[] = "[" WORD_CLASS "]+|[^\\s" WORD_CLASS "]+";
static const char space_regex[] = "\\s";
static const char digit_regex[] = "\\p{N}";
static const char punctuation_regex[] = "[\\p{P}$+<=>^`|~]"; // and ASCII's symbols

static const char *const split_keys[] = {"type", "pattern", "behavior", "invert", NULL};
static const char *const metaspace_keys[] = {
    "type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep", NULL};
static const char *const byte_keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                        NULL};
static const char *const digits_keys[] = {"type", "individual_digits", NULL};
static const char *const punctuation_keys[] = {"type", "behavior", NULL};
static const char *const bare_keys[] = {"type", NULL};

// when_absent < 0: required.
static va_status read_behavior(va_tokenizer *tok, const va_json *v, const char *where,
                               int when_absent, text_behavior *out) {
    va_status st = VA_OK;
    if (!va_json_get(v, "behavior") && when_absent >= 0) {
        *out = (text_behavior)when_absent;
        return VA_OK;
    }
    text_str name;
    VA_TRY(text_get_string(tok, v, where, "behavior", &name));
    for (int64_t i = 0; i < VA_COUNT(behavior_names); i++) {
        if (strcmp(name.s, behavior_names[i]) == 0) {
            *out = (text_behavior)i;
            return VA_OK;
        }
    }
    return text_unknown(tok, where, name.s,
                        "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
done:
    return st;
}

va_status text_read_metaspace(va_tokenizer *tok, const va_json *v, const char *where,
                              text_str *replacement, text_prepend *prepend, bool *split) {
    va_status st = VA_OK;
    bool add_prefix;
    VA_TRY(text_check_keys(tok, v, where, metaspace_keys));
    VA_TRY(text_get_string(tok, v, where, "replacement", replacement));
    int64_t len = 0;
    if (replacement->n > 0)
        text_char_at(replacement->s, replacement->n, &len);
    if (len == 0 || len != replacement->n)
        return va_fail(tok->ctx, VA_ERR_FORMAT,
                       "%s: %s.replacement: expected one character, got '%s'", tok->path, where,
                       replacement->s);
    VA_TRY(text_get_bool(tok, v, where, "add_prefix_space", true, &add_prefix)); // older files
    VA_TRY(text_get_bool(tok, v, where, "split", true, split));
    *prepend = add_prefix ? TEXT_ALWAYS : TEXT_NEVER;
    const va_json *scheme = va_json_get(v, "prepend_scheme");
    if (scheme && !va_json_is_null(scheme)) {
        text_str name;
        VA_TRY(text_get_string(tok, v, where, "prepend_scheme", &name));
        if (strcmp(name.s, "always") == 0)
            *prepend = TEXT_ALWAYS;
        else if (strcmp(name.s, "first") == 0)
            *prepend = TEXT_FIRST;
        else if (strcmp(name.s, "never") == 0)
            *prepend = TEXT_NEVER;
        else
            return text_unknown(tok, where, name.s, "always, first, never");
    }
done:
    return st;
}

static va_status read_bytes(va_tokenizer *tok, const va_json *v, const char *where, text_split *s) {
    va_status st = VA_OK;
    bool prefix, trim; // trim_offsets moves offsets alone, and vkalign's keep the space
    s->kind = TEXT_SPLIT_BYTES;
    s->behavior = TEXT_ISOLATED;
    VA_TRY(text_check_keys(tok, v, where, byte_keys));
    VA_TRY(text_get_bool(tok, v, where, "add_prefix_space", true, &prefix));
    VA_TRY(text_get_bool(tok, v, where, "trim_offsets", true, &trim));
    VA_TRY(text_get_bool(tok, v, where, "use_regex", true, &s->split));
    s->prepend = prefix ? TEXT_ALWAYS : TEXT_NEVER;
    if (s->split)
        VA_TRY(text_pattern_compile(tok, TEXT_GPT2_REGEX, where, &s->pattern));
done:
    return st;
}

static va_status read_step(va_tokenizer *tok, const va_json *v, const char *type,
                           const char *where) {
    va_status st = VA_OK;
    if (tok->n_split == TEXT_MAX_STEPS)
        return text_unknown(tok, where, "more than 64 pre-tokenizers", "64");
    text_split *s = &tok->split[tok->n_split++]; // counted before it is whole: it is freed by count
    if (strcmp(type, "Split") == 0) {
        VA_TRY(text_check_keys(tok, v, where, split_keys));
        VA_TRY(text_pattern_read(tok, v, where, &s->pattern));
        VA_TRY(read_behavior(tok, v, where, -1, &s->behavior));
        VA_TRY(text_get_bool(tok, v, where, "invert", false, &s->invert));
    } else if (strcmp(type, "Metaspace") == 0) {
        s->kind = TEXT_SPLIT_METASPACE;
        s->behavior = TEXT_MERGED_WITH_NEXT;
        VA_TRY(text_read_metaspace(tok, v, where, &s->replacement, &s->prepend, &s->split));
        s->pattern.literal = s->replacement;
    } else if (strcmp(type, "ByteLevel") == 0) {
        VA_TRY(read_bytes(tok, v, where, s));
    } else if (strcmp(type, "Digits") == 0) {
        bool each;
        VA_TRY(text_check_keys(tok, v, where, digits_keys));
        VA_TRY(text_get_bool(tok, v, where, "individual_digits", false, &each));
        VA_TRY(text_pattern_compile(tok, digit_regex, where, &s->pattern));
        s->behavior = each ? TEXT_ISOLATED : TEXT_CONTIGUOUS;
    } else if (strcmp(type, "Punctuation") == 0) {
        VA_TRY(text_check_keys(tok, v, where, punctuation_keys));
        VA_TRY(text_pattern_compile(tok, punctuation_regex, where, &s->pattern));
        VA_TRY(read_behavior(tok, v, where, TEXT_ISOLATED, &s->behavior));
    } else if (strcmp(type, "Whitespace") == 0 || strcmp(type, "WhitespaceSplit") == 0) {
        s->invert = strcmp(type, "Whitespace") == 0; // keeps what matches
        s->behavior = TEXT_REMOVED;
        VA_TRY(text_check_keys(tok, v, where, bare_keys));
        VA_TRY(text_pattern_compile(tok, s->invert ? whitespace_regex : space_regex, where,
                                    &s->pattern));
    } else {
        return text_unknown(tok, where, type, SUPPORTED);
    }
done:
    return st;
}

static va_status add_split(va_tokenizer *tok, text_split split, const char *expression) {
    if (tok->n_split == TEXT_MAX_STEPS)
        return text_unknown(tok, "pre_tokenizer", "more than 64 pre-tokenizers", "64");
    text_split *s = &tok->split[tok->n_split++];
    *s = split;
    return expression ? text_pattern_compile(tok, expression, "pre-tokenizer", &s->pattern) : VA_OK;
}

va_status text_split_add_regex(va_tokenizer *tok, const char *expression) {
    return add_split(tok, (text_split){.kind = TEXT_SPLIT_PATTERN, .behavior = TEXT_ISOLATED},
                     expression);
}

va_status text_split_add_bytes(va_tokenizer *tok) {
    return add_split(tok, (text_split){.kind = TEXT_SPLIT_BYTES, .behavior = TEXT_ISOLATED}, NULL);
}

va_status text_split_read(va_tokenizer *tok, const va_json *v) {
    return text_each_step(tok, v, "pretokenizers", "pre_tokenizer", read_step);
}

// Joins m[0..n) by the behaviour, in place; returns how many are left.
static int64_t join_forward(text_match *m, int64_t n, text_behavior behavior) {
    int64_t kept = 0;
    bool previous = false;
    for (int64_t i = 0; i < n; i++) {
        bool is_match = m[i].is_match;
        bool join = behavior == TEXT_CONTIGUOUS ? is_match == previous : is_match && !previous;
        if (join && kept > 0)
            m[kept - 1].end = m[i].end;
        else
            m[kept++] = m[i];
        previous = is_match;
    }
    return kept;
}

// MergedWithNext: from the end; what is left lies at the end of m.
static int64_t join_backward(text_match *m, int64_t n) {
    int64_t first = n;
    bool previous = false;
    for (int64_t i = n - 1; i >= 0; i--) {
        bool is_match = m[i].is_match;
        if (is_match && !previous && first < n)
            m[first].begin = m[i].begin;
        else
            m[--first] = m[i];
        previous = is_match;
    }
    return n - first;
}

static va_status split_by_pattern(va_tokenizer *tok, const text_split *s, const text_piece *p,
                                  text_pieces *out) {
    va_status st = VA_OK;
    text_match *m;
    int64_t n;
    VA_TRY(text_pattern_find(tok, &s->pattern, p->s, p->n, &m, &n));
    for (int64_t i = 0; i < n && s->invert; i++)
        m[i].is_match = !m[i].is_match;
    if (s->behavior == TEXT_MERGED_WITH_PREVIOUS || s->behavior == TEXT_CONTIGUOUS) {
        n = join_forward(m, n, s->behavior);
    } else if (s->behavior == TEXT_MERGED_WITH_NEXT) {
        int64_t kept = join_backward(m, n);
        m += n - kept;
        n = kept;
    }
    for (int64_t i = 0; i < n; i++) {
        if (s->behavior == TEXT_REMOVED && m[i].is_match)
            continue;
        VA_TRY(text_pieces_push(tok, out, text_slice(p, m[i].begin, m[i].end)));
    }
done:
    return st;
}

static bool starts_with(const text_piece *p, text_str s) {
    return p->n >= s.n && memcmp(p->s, s.s, (size_t)s.n) == 0;
}

static va_status split_metaspace(va_tokenizer *tok, const text_split *s, text_piece p,
                                 text_pieces *out) {
    va_status st = VA_OK;
    const text_pattern space = {.literal = {" ", 1}};
    VA_TRY(text_replace(tok, &p, &space, s->replacement));
    bool at_start = p.at[0].begin == 0;
    if ((s->prepend == TEXT_ALWAYS || (s->prepend == TEXT_FIRST && at_start)) &&
        !starts_with(&p, s->replacement))
        VA_TRY(text_prepend_to(tok, &p, s->replacement));
    if (s->split)
        return split_by_pattern(tok, s, &p, out);
    st = text_pieces_push(tok, out, p);
done:
    return st;
}

// Every byte becomes a character that prints.
static va_status bytes_to_chars(va_tokenizer *tok, text_piece *p) {
    va_status st = VA_OK;
    text_buf b = {0};
    for (int64_t i = 0; i < p->n; i++)
        VA_TRY(text_buf_put_char(tok, &b, text_byte_char((unsigned char)p->s[i]), p->at[i]));
    *p = text_buf_piece(&b);
done:
    return st;
}

static va_status split_bytes(va_tokenizer *tok, const text_split *s, text_piece p,
                             text_pieces *out) {
    va_status st = VA_OK;
    int64_t first = out->n;
    const text_str space = {" ", 1};
    if (s->prepend == TEXT_ALWAYS && !starts_with(&p, space))
        VA_TRY(text_prepend_to(tok, &p, space));
    if (s->split)
        VA_TRY(split_by_pattern(tok, s, &p, out));
    else
        VA_TRY(text_pieces_push(tok, out, p));
    for (int64_t i = first; i < out->n; i++)
        VA_TRY(bytes_to_chars(tok, &out->item[i]));
done:
    return st;
}

va_status text_split_pieces(va_tokenizer *tok, text_pieces *pieces) {
    va_status st = VA_OK;
    for (int64_t k = 0; k < tok->n_split; k++) {
        const text_split *s = &tok->split[k];
        text_pieces out = {0};
        for (int64_t i = 0; i < pieces->n; i++) {
            const text_piece *p = &pieces->item[i];
            if (p->id >= 0)
                VA_TRY(text_pieces_push(tok, &out, *p));
            else if (s->kind == TEXT_SPLIT_METASPACE)
                VA_TRY(split_metaspace(tok, s, *p, &out));
            else if (s->kind == TEXT_SPLIT_BYTES)
                VA_TRY(split_bytes(tok, s, *p, &out));
            else
                VA_TRY(split_by_pattern(tok, s, p, &out));
        }
        *pieces = out;
    }
done:
    return st;
}
