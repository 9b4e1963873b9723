// relation.h: linear relation operators: whether a model decodes a relation ("X is a kind of Y")
// from its subject by an affine map, and whether that map runs backwards.
//
// E. Hernandez et al., "Linearity of Relation Decoding in Transformer Language Models", arXiv
// 2308.09124, sections 3 and 4. With s the stream entering block `layer` at the subject's last
// token, o the stream after the last block at the prompt's last token and J = do/ds, the other
// positions held:
//     W = mean J, b = mean(o - J s) over training pairs,  LRE(s) = beta W s + b
//     faithful: LRE(s), decoded, says what the model says
//     causal:   with s + W_r^+ (o' - o) in place of s, the model says what it says of the subject
//               of o'; W_r^+ is the pseudo-inverse of W cut to its r largest singular values
// Depends on model.h, svd.h and below.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_RELATION_H
#define VKALIGN_RELATION_H

#include "vkalign/model.h"
#include "vkalign/svd.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- data -----------------------------------------------------------------------------------------

typedef struct va_relation_example {
    const char *subject, *object; // as they stand in the text
} va_relation_example;

typedef struct va_relation_data {
    const char *const *prompts; // each with {subject} once
    int64_t n_prompts;
    const va_relation_example *examples; // subjects are distinct
    int64_t n_examples, n_train;         // examples that are fitted on; the others are the test
    uint64_t seed;                       // of the split and all else that is drawn
} va_relation_data;

// A YAML file: prompts, examples [{subject, object}], n_train, seed (0). VA_ERR_SPEC with
// "path:line:col: ...". data's memory is the arena's.
va_status va_relation_load(va_ctx *ctx, va_arena *arena, const char *path, va_relation_data *data);
// The same from memory; name stands for the path.
va_status va_relation_parse(va_ctx *ctx, va_arena *arena, const char *name, const char *text,
                            int64_t size, va_relation_data *data);

// An example in a prompt.
typedef struct va_relation_pair {
    const int32_t *ids; // [seq_len]
    int64_t seq_len;
    int64_t subject; // the subject's last token
    int32_t object;  // first token of the object where the prompt ends; -1: not known
    int64_t example, prompt;
} va_relation_pair;

typedef struct va_relation_pairs {
    va_relation_pair *train, *test; // the pairs of an example stand together
    int64_t n_train, n_test;
} va_relation_pairs;
// Every example in every prompt, the examples dealt out by data->seed. VA_ERR_USAGE without a
// tokenizer, and for an object that does not begin a token of its own after the prompt.
va_status va_relation_tokenize(va_model *model, va_arena *arena, const va_relation_data *data,
                               va_relation_pairs *pairs);

// -- the operator ---------------------------------------------------------------------------------

typedef struct va_relation_params {
    int64_t layer; // 0 to n_layer - 1
    va_mode mode;
    // 0: of VA_RELATION_BETAS the one most faithful on the training pairs, each example left out in
    // turn, of equals the nearest to 1; 1 with one example alone
    double beta;
    int64_t rank;      // 0: of 1, 2, 4, ... up to max_rank the most causal on the training pairs,
                       // of equals the least
    int64_t max_rank;  // 0 = 64; at most the width
    bool no_controls;  // only the operator itself
    uint64_t seed;     // of the controls
    va_mean_keep keep; // of va_mean_map_create
    const va_map_budget *budget;
} va_relation_params;
#define VA_RELATION_BETAS                                                                          \
    { 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8 }

// The device must be attached. Arrays live in the arena of va_relation_fit.
typedef struct va_relation {
    va_model *model; // borrowed
    va_mean_map *mean;
    int64_t d, layer;
    va_mode mode;
    double beta;       // 1 until chosen
    float *b;          // [d]
    float *mean_s;     // [d]
    float *mean_o;     // [d]
    va_svd_result svd; // of W; k = 0 until va_relation_invert
} va_relation;

// W, b and the means over these pairs.
va_status va_relation_fit(va_model *model, va_arena *arena, const va_relation_params *params,
                          const va_relation_pair *pairs, int64_t n, va_relation *relation);
void va_relation_free(va_relation *relation);
// o [n, d] = W s, s [n, d]; without beta and b.
va_status va_relation_apply(va_relation *relation, const float *s, int64_t n, float *Ws);
// o [n, d] = beta Ws + b
void va_relation_finish(const va_relation *relation, double beta, const float *Ws, int64_t n,
                        float *o);
// The r largest singular triplets of W, into relation->svd; a dense SVD where W is small.
va_status va_relation_invert(va_relation *relation, va_arena *arena, int64_t r);
// ds [n, d] = W_r^+ d_o; ds may be d_o. VA_ERR_USAGE when W has no r singular values above
// rounding.
va_status va_relation_solve(const va_relation *relation, int64_t r, const float *d_o, int64_t n,
                            float *ds);
// The most likely next token of rows o [n, d] of the last stream.
va_status va_relation_decode(va_model *model, const float *o, int64_t n, int32_t *tokens);

// What the model itself does at pairs: s [n, d], o [n, d], next [n], any of them NULL. ds (may be
// NULL) [n, d] is added to s.
va_status va_relation_run(va_model *model, int64_t layer, const va_relation_pair *pairs, int64_t n,
                          const float *ds, float *s, float *o, int32_t *next);

// -- how good it is -------------------------------------------------------------------------------

// Which share of n pairs; error: standard error of the mean over subjects (pairs of one subject are
// not independent). n = 0: not measured.
typedef struct va_relation_rate {
    int64_t n;
    double rate, error;
} va_relation_rate;

// What stands beside the operator. X(enum, name, what it is)
#define VA_RELATION_DECODER_LIST(X)                                                                \
    X(VA_RELATION_LRE, "lre", "beta W s + b")                                                      \
    X(VA_RELATION_BIAS, "bias", "b alone")                                                         \
    X(VA_RELATION_IDENTITY, "identity", "s itself")                                                \
    X(VA_RELATION_TRANSLATION, "translation", "s + mean(o - s)")                                   \
    X(VA_RELATION_OTHER, "other prompts",                                                          \
      "W of prompts with all but the subject random, b = mean(o - W s)")                           \
    X(VA_RELATION_MAJORITY, "majority", "the token that the model says most at training pairs")    \
    X(VA_RELATION_SHUFFLED, "shuffled", "lre of another test pair, over all pairings")
typedef enum va_relation_decoder {
#define VA_X(id, name, text) id,
    VA_RELATION_DECODER_LIST(VA_X)
#undef VA_X
        VA_RELATION_DECODERS
} va_relation_decoder;
const char *va_relation_decoder_name(va_relation_decoder d);
const char *va_relation_decoder_text(va_relation_decoder d);

// X(enum, name, what is added to s)
#define VA_RELATION_EDIT_LIST(X)                                                                   \
    X(VA_RELATION_INVERSE, "lre", "W_r^+ (o' - o)")                                                \
    X(VA_RELATION_RANDOM, "random", "a random direction as long as that")                          \
    X(VA_RELATION_SUBSTITUTION, "substitution", "s' - s")
typedef enum va_relation_edit {
#define VA_X(id, name, text) id,
    VA_RELATION_EDIT_LIST(VA_X)
#undef VA_X
        VA_RELATION_EDITS
} va_relation_edit;
const char *va_relation_edit_name(va_relation_edit e);
const char *va_relation_edit_text(va_relation_edit e);

typedef struct va_relation_result {
    int64_t n_train, n_test; // pairs
    double beta;
    int64_t rank;
    va_relation_rate train_faithful; // each example left out in turn: where beta was chosen
    va_relation_rate train_causal;   // where the rank was chosen: on what was fitted
    va_relation_rate model_right;    // the model says the object, test pairs
    va_relation_rate says_next[VA_RELATION_DECODERS];   // what the model says, test pairs
    va_relation_rate says_object[VA_RELATION_DECODERS]; // the object
    va_relation_rate causal[VA_RELATION_EDITS];         // n: pairs with a target of another token
    int64_t n_tokens; // different tokens that the model says at test pairs
} va_relation_result;

// Fits on the training pairs, chooses beta and rank there, measures on the test pairs. The target
// o' of a pair is a pair of the same prompt and the same side for which the model says something
// else, drawn by params->seed. relation must be freed also when this fails.
va_status va_relation_evaluate(va_model *model, va_arena *arena, const va_relation_params *params,
                               const va_relation_pairs *pairs, va_relation *relation,
                               va_relation_result *result);

#ifdef __cplusplus
}
#endif
#endif
