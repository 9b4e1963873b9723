// text_read.h: what the files that read a tokenizer share, from JSON and from GGUF.
// SPDX-License-Identifier: Apache-2.0
#ifndef TEXT_READ_H
#define TEXT_READ_H

#include "text_priv.h"

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

// {"String": literal} or {"Regex": expression} at obj.pattern.
va_status text_pattern_read(va_tokenizer *tok, const va_json *obj, const char *where,
                            text_pattern *p);
// Reads model.vocab and the contents of added_tokens into tok->vocab.
va_status text_vocab_read(va_tokenizer *tok, const va_json *model, const va_json *added);
va_status text_norm_read(va_tokenizer *tok, const va_json *v);
va_status text_split_read(va_tokenizer *tok, const va_json *v);
// The settings of Metaspace, as pre-tokenizer and as decoder.
va_status text_read_metaspace(va_tokenizer *tok, const va_json *v, const char *where,
                              text_str *replacement, text_prepend *prepend, bool *split);
va_status text_decoder_read(va_tokenizer *tok, const va_json *v);
va_status text_post_read(va_tokenizer *tok, const va_json *v);
va_status text_bpe_read(va_tokenizer *tok, const va_json *model);
void text_bpe_find_bytes(va_tokenizer *tok);                          // after the vocabulary
va_status text_merges_read(va_tokenizer *tok, const va_json *merges); // model.merges
// After the vocabulary and the normalizers.
va_status text_added_read(va_tokenizer *tok, const va_json *added);
// Once tok->added is filled; normalises the contents of those that are `normalized`.
va_status text_added_index(va_tokenizer *tok);

// -- reading GGUF ----------------------------------------------------------------------------

// What a pre-tokenizer's name says beside the splits.
typedef struct text_gguf_pre {
    bool ignore_merges, add_bos, compose; // compose: NFC
} text_gguf_pre;
// Adds the splits that tokenizer.ggml.pre names; an unknown name is VA_ERR_UNSUPPORTED.
va_status text_gguf_add_splits(va_tokenizer *tok, const char *name, text_gguf_pre *pre);

#endif
