// text_priv.h: what the files of the tokenizer share.
//
// A text passes through: added tokens found in the raw text; normalizers; added tokens found in the
// normalised text; pre-tokenizers; BPE; the template. Between them it is a list of pieces.
// SPDX-License-Identifier: Apache-2.0
#ifndef TEXT_PRIV_H
#define TEXT_PRIV_H

#include "text_tables.h"
#include "vkalign/json_doc.h"

enum { TEXT_MAX_STEPS = 64, TEXT_MAX_ID = 1 << 24 };

// Bytes [begin, end) of the input.
typedef struct text_span {
    int64_t begin, end;
} text_span;

// n bytes of UTF-8 and for each of them the input it came from; borrowed from a buffer in scratch.
// id >= 0: an added token, already found.
typedef struct text_piece {
    const char *s;
    const text_span *at;
    int64_t n;
    int32_t id;
} text_piece;

typedef struct text_pieces {
    text_piece *item;
    int64_t n, cap;
} text_pieces;

// A piece being written; grows in scratch.
typedef struct text_buf {
    char *s;
    text_span *at;
    int64_t n, cap;
} text_buf;

// -- steps -----------------------------------------------------------------------------------

typedef enum text_norm_kind {
    TEXT_NORM_REPLACE,
    TEXT_NORM_PREPEND,
    TEXT_NORM_FORM,
    TEXT_NORM_STRIP,
    TEXT_NORM_LOWERCASE
} text_norm_kind;
typedef struct text_norm {
    text_norm_kind kind;
    text_pattern pattern;
    text_str content;     // REPLACE, PREPEND
    bool compose, compat; // FORM: NFC, NFKC; NFKC, NFKD
    bool left, right;     // STRIP
} text_norm;

typedef enum text_behavior {
    TEXT_REMOVED,
    TEXT_ISOLATED,
    TEXT_MERGED_WITH_PREVIOUS,
    TEXT_MERGED_WITH_NEXT,
    TEXT_CONTIGUOUS
} text_behavior;
typedef enum text_split_kind {
    TEXT_SPLIT_PATTERN,
    TEXT_SPLIT_METASPACE,
    TEXT_SPLIT_BYTES
} text_split_kind;
typedef enum text_prepend { TEXT_NEVER, TEXT_FIRST, TEXT_ALWAYS } text_prepend;
typedef struct text_split {
    text_split_kind kind;
    text_pattern pattern; // PATTERN; BYTES: GPT-2's expression when split
    text_behavior behavior;
    bool invert;
    bool split;           // METASPACE, BYTES
    text_prepend prepend; // METASPACE; BYTES: NEVER or ALWAYS
    text_str replacement; // METASPACE
} text_split;

typedef enum text_decoder_kind {
    TEXT_DECODE_REPLACE,
    TEXT_DECODE_BYTE_FALLBACK,
    TEXT_DECODE_FUSE,
    TEXT_DECODE_STRIP,
    TEXT_DECODE_BYTE_LEVEL,
    TEXT_DECODE_METASPACE
} text_decoder_kind;
typedef struct text_decoder {
    text_decoder_kind kind;
    text_pattern pattern;
    text_str content;    // REPLACE; STRIP: the character; METASPACE: the replacement
    int64_t start, stop; // STRIP: at most so many characters
    text_prepend prepend;
} text_decoder;

typedef struct text_added_token {
    text_str content; // as it is searched for: normalised if `normalized`
    int32_t id;
    bool single_word, lstrip, rstrip, normalized;
} text_added_token;
typedef struct text_trie {
    text_pairs child; // (node, byte) -> node
    int32_t *token;   // [n_node] index into added tokens, or -1
    int32_t n_node;
    bool starts[256]; // whether any token starts with the byte
} text_trie;

typedef struct text_bpe {
    text_pairs merges;
    int32_t *rank;        // [vocab.n], lower first: merges are by score and need no table; or NULL
    int32_t byte_id[256]; // of "<0x00>" ... "<0xFF>", or -1
    bool has_unk;
    text_str unk;
    bool fuse_unk, byte_fallback, ignore_merges;
} text_bpe;

// What a tokenizer.json holds too much of for a tree.
enum { TEXT_LARGE_VOCAB, TEXT_LARGE_MERGES, TEXT_LARGE_COUNT };

struct va_tokenizer {
    va_ctx *ctx;
    const char *path;
    va_json_doc *doc;              // while a tokenizer.json is read
    const va_json_cursor *reading; // the place in it, for messages; or NULL
    va_arena *arena;               // what was loaded
    va_arena *scratch;             // of the call at hand, emptied at its end
    int64_t budget;                // bytes that the steps of the call at hand may still write
    text_vocab vocab;
    text_bpe bpe;
    text_added_token *added;
    int64_t n_added;
    text_pairs added_by_id; // (id, 0) -> index into added, of those that are normalized
    text_trie raw_trie, normalized_trie;
    text_norm norm[TEXT_MAX_STEPS];
    text_split split[TEXT_MAX_STEPS];
    text_decoder decoder[TEXT_MAX_STEPS];
    int64_t n_norm, n_split, n_decoder;
    int32_t *prefix, *suffix; // ids that the post-processor puts around a text
    int64_t n_prefix, n_suffix;
};

// An empty one; path is copied.
va_status text_create(va_ctx *ctx, const char *path, va_tokenizer **tok);

// -- running ---------------------------------------------------------------------------------

va_status text_out_of_memory(va_tokenizer *tok);
// Sets the budget for a call on n bytes; each step may enlarge a text, but not without end.
void text_budget_set(va_tokenizer *tok, int64_t n);
// VA_ERR_FORMAT when the budget does not hold n more bytes.
va_status text_budget_take(va_tokenizer *tok, int64_t n);
va_status text_buf_put(va_tokenizer *tok, text_buf *b, const char *s, int64_t n, text_span from);
va_status text_buf_copy(va_tokenizer *tok, text_buf *b, const text_piece *p, int64_t begin,
                        int64_t end);
va_status text_buf_put_char(va_tokenizer *tok, text_buf *b, int32_t c, text_span from);
text_piece text_buf_piece(const text_buf *b);
va_status text_pieces_push(va_tokenizer *tok, text_pieces *list, text_piece piece);
text_piece text_slice(const text_piece *p, int64_t begin, int64_t end);
text_span text_piece_span(const text_piece *p); // of its input; p->n > 0
// The piece with content before it, which takes the first character's place. p->n > 0.
va_status text_prepend_to(va_tokenizer *tok, text_piece *p, text_str content);

va_status text_normalize(va_tokenizer *tok, text_piece *p);
// NFC, NFD, NFKC, NFKD.
va_status text_unicode_form(va_tokenizer *tok, text_piece *p, bool compose, bool compat);
va_status text_replace(va_tokenizer *tok, text_piece *p, const text_pattern *pattern,
                       text_str content);
va_status text_find_added(va_tokenizer *tok, const text_trie *trie, const text_piece *p,
                          text_pieces *out);
va_status text_split_pieces(va_tokenizer *tok, text_pieces *pieces);
// Appends the tokens of all pieces; *tokens is in scratch.
va_status text_bpe_pieces(va_tokenizer *tok, const text_pieces *pieces, va_token **tokens,
                          int64_t *n);
va_status text_decode_tokens(va_tokenizer *tok, text_str *tokens, int64_t n, va_strbuf *out);

// -- characters ------------------------------------------------------------------------------

// The character at s (valid UTF-8, n > 0) and its length.
int32_t text_char_at(const char *s, int64_t n, int64_t *len);
// Offset of the first byte that is not UTF-8, or -1.
int64_t text_first_invalid(const char *s, int64_t n);
bool text_is_space(int32_t c); // Unicode White_Space
bool text_is_word(int32_t c);  // letters, marks, digits, connectors: \w of UTS 18
// GPT-2's printable stand-ins for bytes.
int32_t text_byte_char(unsigned char byte);
int text_char_byte(int32_t c); // -1 when c stands for none

#endif
