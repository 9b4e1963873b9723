// text_tables.h: what a tokenizer looks things up in: pairs, the vocabulary, merges, patterns.
// SPDX-License-Identifier: Apache-2.0
#ifndef TEXT_TABLES_H
#define TEXT_TABLES_H

#include "vkalign/text.h"

typedef struct text_str {
    const char *s;
    int64_t n;
} text_str;

// -- tables ----------------------------------------------------------------------------------

// Open addressing, linear probing, at most half full.
typedef struct text_pairs { // (a, b) -> (rank, value)
    struct text_pair {
        int32_t a, b; // a = -1: free
        int32_t rank, value;
    } * slot;
    uint64_t mask;
} text_pairs;

va_status text_pairs_init(va_tokenizer *tok, text_pairs *t, int64_t max_n);
// The pair's slot, or the free slot where it belongs (then a = -1).
struct text_pair *text_pairs_at(const text_pairs *t, int32_t a, int32_t b);
void text_pairs_prefetch(const text_pairs *t, int32_t a, int32_t b); // of a text_pairs_at to come

enum { TEXT_IN_MODEL = 1, TEXT_IS_ADDED = 2, TEXT_IS_SPECIAL = 4, TEXT_NO_MERGE = 8 };
typedef struct text_vocab {
    text_str *token; // [n] by id; s = NULL: a hole
    uint8_t *flags;  // [n]
    int64_t n;       // largest id + 1
    struct text_vocab_slot {
        uint32_t tag; // upper half of the hash
        int32_t id;   // -1: free
    } * slot;
    uint64_t mask;
} text_vocab;

// -1 when absent.
int32_t text_vocab_find(const text_vocab *v, const char *s, int64_t n);
void text_vocab_find_many(const text_vocab *v, const text_str *s, int64_t n, int32_t *id);
// Makes room for the ids below n_ids, of at most n_pieces pieces.
va_status text_vocab_init(va_tokenizer *tok, int64_t n_ids, int64_t n_pieces);
// Copies the piece; a piece with two ids, an id with two pieces and a second time with the same
// flag are VA_ERR_FORMAT. id < n_ids.
va_status text_vocab_add(va_tokenizer *tok, text_str s, int64_t id, int flag);

// Merges on their way into the table, in order, a block at a time; the halves live until the end.
// Pieces outside the vocabulary are VA_ERR_FORMAT with the merge's number.
enum { TEXT_MERGE_BLOCK = 64 };
typedef struct text_merges {
    const char *where;                    // what the list is called in messages
    int64_t n, n_done;                    // in the block, in the table
    text_str piece[3 * TEXT_MERGE_BLOCK]; // left halves, right halves, both joined
    int32_t id[3 * TEXT_MERGE_BLOCK];
    va_strbuf joined;
} text_merges;
va_status text_merges_begin(va_tokenizer *tok, text_merges *m, int64_t n_merges, const char *where);
va_status text_merges_add(va_tokenizer *tok, text_merges *m, text_str left, text_str right);
va_status text_merges_add_spaced(va_tokenizer *tok, text_merges *m, text_str both); // "a b"
va_status text_merges_end(va_tokenizer *tok, text_merges *m);
void text_merges_free(text_merges *m);

// -- patterns --------------------------------------------------------------------------------

typedef struct text_regex text_regex;
typedef struct text_pattern {
    text_str literal; // s = NULL: a regex
    text_regex *regex;
} text_pattern;
typedef struct text_match {
    int64_t begin, end;
    bool is_match;
} text_match;

// An expression of our own: PCRE2, UTF and UCP.
va_status text_pattern_compile(va_tokenizer *tok, const char *expression, const char *where,
                               text_pattern *p);
void text_pattern_free(text_pattern *p);
// Matches and what lies between them, in order, covering [0, n); in scratch.
va_status text_pattern_find(va_tokenizer *tok, const text_pattern *p, const char *s, int64_t n,
                            text_match **matches, int64_t *n_match);

// The expression of GPT-2 (Radford et al. 2019), which ByteLevel implies.
#define TEXT_GPT2_REGEX                                                                            \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

#endif
