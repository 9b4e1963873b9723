// text_priv.h: what the files of the tokenizer share.
//
// A text passes through: added tokens found in the raw text; normalizers; added tokens found in the
// normalised text; pre-tokenizers; BPE; the template. Between them it is a list of pieces.
// SPDX-License-Identifier: Apache-2.0
#ifndef TEXT_PRIV_H
#define TEXT_PRIV_H

#include "vkalign/json_doc.h"
#include "vkalign/text.h"

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
// Reads model.vocab and the contents of added_tokens into tok->vocab.
va_status text_vocab_read(va_tokenizer *tok, const va_json *model, const va_json *added);

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

// {"String": literal} or {"Regex": expression} at obj.pattern.
va_status text_pattern_read(va_tokenizer *tok, const va_json *obj, const char *where,
                            text_pattern *p);
// An expression of our own: PCRE2, UTF and UCP.
va_status text_pattern_compile(va_tokenizer *tok, const char *expression, const char *where,
                               text_pattern *p);
void text_pattern_free(text_pattern *p);
// Matches and what lies between them, in order, covering [0, n); in scratch.
va_status text_pattern_find(va_tokenizer *tok, const text_pattern *p, const char *s, int64_t n,
                            text_match **matches, int64_t *n_match);

// GPT-2's expression for what BPE sees as a word.
#define TEXT_GPT2_REGEX                                                                            \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

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

// -- reading JSON ----------------------------------------------------------------------------

// Calls fn for v, or for its parts when it is a Sequence (under list_key), in order. null: none.
typedef va_status (*text_step_fn)(va_tokenizer *tok, const va_json *step, const char *type,
                                  const char *where);
va_status text_each_step(va_tokenizer *tok, const va_json *v, const char *list_key,
                         const char *where, text_step_fn fn);
// VA_ERR_UNSUPPORTED when obj has a key that is not in the NULL-terminated list.
va_status text_check_keys(va_tokenizer *tok, const va_json *obj, const char *where,
                          const char *const *keys);
va_status text_get_bool(va_tokenizer *tok, const va_json *obj, const char *where, const char *key,
                        bool when_absent, bool *out);
// Copied into the tokenizer's arena; absent is an error.
va_status text_get_string(va_tokenizer *tok, const va_json *obj, const char *where, const char *key,
                          text_str *out);
// VA_ERR_UNSUPPORTED naming the component.
va_status text_unknown(va_tokenizer *tok, const char *where, const char *type,
                       const char *supported);
va_status text_wrong_type(va_tokenizer *tok, const char *where, const char *expected,
                          const va_json *got);
// The path, with line and column of tok->reading.
const char *text_place(va_tokenizer *tok);
#define TEXT_SHOWN(str) (int)VA_MIN((str).n, 200), (str).s // for %.*s of messages

// Steps are added in their order; at most TEXT_MAX_STEPS. A Split is Isolated.
va_status text_norm_add(va_tokenizer *tok, text_norm norm);
va_status text_split_add_regex(va_tokenizer *tok, const char *expression);
va_status text_split_add_bytes(va_tokenizer *tok);
va_status text_decoder_add(va_tokenizer *tok, text_decoder decoder);

va_status text_norm_read(va_tokenizer *tok, const va_json *v);
va_status text_split_read(va_tokenizer *tok, const va_json *v);
// The settings of Metaspace, as pre-tokenizer and as decoder.
va_status text_read_metaspace(va_tokenizer *tok, const va_json *v, const char *where,
                              text_str *replacement, text_prepend *prepend, bool *split);
va_status text_decoder_read(va_tokenizer *tok, const va_json *v);
va_status text_post_read(va_tokenizer *tok, const va_json *v);
va_status text_bpe_read(va_tokenizer *tok, const va_json *model);
void text_bpe_find_bytes(va_tokenizer *tok); // after the vocabulary

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
va_status text_merges_read(va_tokenizer *tok, const va_json *merges); // model.merges
// After the vocabulary and the normalizers.
va_status text_added_read(va_tokenizer *tok, const va_json *added);
va_status text_added_index(va_tokenizer *tok); // after tok->added is filled

// -- reading GGUF ----------------------------------------------------------------------------

// What a pre-tokenizer's name says beside the splits.
typedef struct text_gguf_pre {
    bool ignore_merges, add_bos, compose; // compose: NFC
} text_gguf_pre;
// Adds the splits that tokenizer.ggml.pre names; an unknown name is VA_ERR_UNSUPPORTED.
va_status text_gguf_add_splits(va_tokenizer *tok, const char *name, text_gguf_pre *pre);

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
