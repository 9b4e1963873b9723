// read.h: what a derivative at a prompt says: how large it is and how many directions it fills, the
// words that its singular vectors stand for, how well it reproduces the value, what each token
// adds. Depends on model.h, svd.h and below. After J. R. Golden, "Equivalent Linear Mappings of
// Large Language Models", arXiv 2505.24293, which reads detached Jacobians in this way.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_READ_H
#define VKALIGN_READ_H

#include "vkalign/model.h"
#include "vkalign/svd.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- spectrum -------------------------------------------------------------------------------------

// The rules on the m x n entries of J: up to whole_limit the matrix is formed and the spectrum is
// whole; up to exact_limit its rows are streamed and the Frobenius norm is exact; beyond, it is
// estimated. Method dense forms the matrix whatever its size.
typedef struct va_read_spectrum_params {
    va_svd_params svd;   // k of them
    int64_t whole_limit; // 0 = 2^19; negative: never
    int64_t exact_limit; // 0 = 2^22; negative: never
    int64_t probes;      // of the estimate; 0 = 64
} va_read_spectrum_params;

typedef struct va_read_range {
    double low, high;
} va_read_range;

typedef struct va_read_spectrum_result {
    va_svd_result svd;
    bool whole;                 // sigma is the whole spectrum, else the top k of svd
    const double *sigma;        // [n_sigma] descending
    int64_t n_sigma;            // min(m, n), or k
    int64_t probes;             // that the norm is estimated from; 0: it is exact
    double frobenius;           // ||J||_F
    double frobenius_error;     // standard error, 0 when exact
    double stable_rank;         // ||J||_F^2 / sigma_1^2
    double stable_rank_error;   // standard error
    double participation_ratio; // of sigma: va_metric_participation_ratio
    double entropy_rank;        // of sigma: va_metric_entropy_rank
    // The same of all min(m, n) values, within what sigma and the norm leave open; no room when
    // whole. With an estimated norm as good as that.
    va_read_range participation_bounds, entropy_bounds;
} va_read_spectrum_result;

// Arrays live in arena. The seed of params->svd serves the estimate too, also with method dense.
va_status va_read_spectrum(va_ctx *ctx, va_arena *arena, va_linmap *map,
                           const va_read_spectrum_params *params, va_read_spectrum_result *out);

// -- vectors as words -----------------------------------------------------------------------------

// How a vector z of one token is scored against every token t of the vocabulary. W_U is the
// unembedding, E the embedding, g the final norm's gain (1 + w for Gemma).
//
// Of a direction u that is added to the residual stream, the final norm makes g * u times a
// positive scale (LayerNorm takes u's mean away first), so that VA_READ_GAIN ranks tokens as
// lm_head(norm(u)) does, and a value of norm:N has its gain already. Golden's code decodes the
// same: lm_head(u) of the last layer's Jacobian, which ends after the norm, lm_head(norm(u)) of
// others. X(enum, name, what the score of token t is)
#define VA_READ_BY_LIST(X)                                                                         \
    X(VA_READ_GAIN, "gain", "W_U (g * z)")                                                         \
    X(VA_READ_DIRECT, "direct", "W_U z")                                                           \
    X(VA_READ_ENTRIES, "entries", "entries of z, one a token")                                     \
    X(VA_READ_NEAREST, "nearest", "cosine of z with the embedding")
typedef enum va_read_by {
#define VA_X(id, name, text) id,
    VA_READ_BY_LIST(VA_X)
#undef VA_X
        VA_READ_BY_COUNT
} va_read_by;
const char *va_read_by_name(va_read_by by);
const char *va_read_by_text(va_read_by by);
// Left singular vectors of a map to this site: entries of logits, direct of norm, else gain.
va_read_by va_read_by_default(const va_site *to);

typedef struct va_read_token {
    int32_t id;
    float score;
} va_read_token;

// One row of the site of one vector.
typedef struct va_read_part {
    int64_t row;
    double share;               // of the vector's squared norm
    const va_read_token *plus;  // [n_tokens] largest scores first, of equals the lower id
    const va_read_token *minus; // the same for the vector's negative: scores are those of -z
} va_read_part;

typedef struct va_read_word {
    const va_read_part *parts; // [n_parts] largest share first, none of share 0
    int64_t n_parts, n_tokens;
} va_read_word;

typedef struct va_read_words_params {
    const float *vectors;   // [k, rows, width], such as U or V of a va_svd_result
    int64_t k, rows, width; // width: d_model, or the vocabulary's size with VA_READ_ENTRIES
    va_read_by by;
    int64_t n_parts;  // rows of the largest share; 0 = 2
    int64_t n_tokens; // 0 = 6; at most 1024
} va_read_words_params;

// words [k], arena-owned. One pass over the table, on the host: any size in little memory.
// VA_ERR_SHAPE when the width does not fit the model.
va_status va_read_words(va_model *model, va_arena *arena, const va_read_words_params *params,
                        va_read_word *words);

// -- value = J x + b ------------------------------------------------------------------------------

// What token i of `from` adds: J_i x_i.
typedef struct va_read_share {
    int64_t token; // in the prompt
    double norm;   // ||J_i x_i||
    double cosine; // with y, NaN when J_i x_i is 0
    double share;  // <J_i x_i, y> / <y, y>; all of them sum to <J x, y> / <y, y>
} va_read_share;

typedef struct va_read_value_result {
    int64_t n, m;                // lengths of x and y
    const float *x, *y, *Jx;     // the values of from and to, and J x
    const va_read_share *shares; // [n_shares] one for each token of from
    int64_t n_shares;
    double norm_y, norm_Jx, norm_b; // b = y - J x
    double error;                   // std(y - J x) / std(y)
    double share;                   // <J x, y> / <y, y>
    bool whole;      // all that to depends on passes through from, so that detached b is of biases
    bool has_biases; // the family has some
    // Detached, whole and without biases the map is the forward pass, to rounding: about 1e-6, and
    // more than VA_READ_ROUNDING is a fault.
    bool must_vanish, is_off;
} va_read_value_result;
#define VA_READ_ROUNDING 1e-5

// map: va_prompt_linmap of the two sites in this mode. Arrays live in arena; one J_i x_i after
// another, so that memory does not grow with the tokens.
va_status va_read_value(va_prompt *prompt, int64_t from, int64_t to, va_mode mode, va_linmap *map,
                        va_arena *arena, va_read_value_result *out);

#ifdef __cplusplus
}
#endif
#endif
