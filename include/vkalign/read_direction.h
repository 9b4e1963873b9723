// read_direction.h: directions that a derivative gives at a prompt, or on average over prompts: J
// x, singular vectors, the gradient of a logit, the pullback of a direction. Depends on model.h,
// svd.h and below.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_READ_DIRECTION_H
#define VKALIGN_READ_DIRECTION_H

#include "vkalign/model.h"
#include "vkalign/svd.h"

#ifdef __cplusplus
extern "C" {
#endif

// What becomes of J = d to / d from, here of shape [T_to d_to, T_from d_from].
// X(enum, name, at which of both sites the rows are, a frame, how a sign is chosen)
#define VA_MAP_REDUCE_LIST(X)                                                                      \
    X(VA_REDUCE_JX, "jx", to, false, "as J x gives it: the sign is not free")                      \
    X(VA_REDUCE_RIGHT, "right", from, true,                                                        \
      "of the entries within 0.999 of the largest the first is positive")                          \
    X(VA_REDUCE_LEFT, "left", to, true,                                                            \
      "u = J v / sigma, where of the entries of v within 0.999 of the largest the first is "       \
      "positive")                                                                                  \
    X(VA_REDUCE_GRADIENT, "gradient", from, false,                                                 \
      "the way the logit, or the difference, rises: the sign is not free")                         \
    X(VA_REDUCE_PULLBACK, "pullback", from, false,                                                 \
      "the way the component along w rises: the sign is not free")
typedef enum va_map_reduce {
#define VA_X(id, name, site, frame, sign) id,
    VA_MAP_REDUCE_LIST(VA_X)
#undef VA_X
        VA_REDUCE_COUNT
} va_map_reduce;
const char *va_map_reduce_name(va_map_reduce r);
bool va_map_reduce_at_from(va_map_reduce r);  // else the rows are directions at `to`
bool va_map_reduce_is_frame(va_map_reduce r); // singular vectors
const char *va_map_reduce_orientation(va_map_reduce r);

// One prompt: its J, any sites that va_prompt_linmap takes. Several: the mean map of va_mean_map,
// both sites at one position (@concept: the concept's last token).
//
// Of a site at several tokens, which one prompt alone may have:
//   jx        x is all of `from`; the rows of J x at `to` are averaged
//   gradient, pullback
//             of the mean over the rows of `to` (e or w at each, divided by their number: what
//             @mean gives), summed over the tokens of `from`: the gradient by one shift that is
//             added to all of these tokens
//   right     `from` must be at one position, `to` need not; left: the other way round
typedef struct va_map_direction_params {
    const va_mean_prompt *prompts;
    int64_t n_prompts;
    va_site from, to; // gradient: `to` is logits or logits:N
    va_mode mode;
    va_map_reduce reduce;
    int64_t rank; // of a frame, 0 = 1; else 0 or 1
    // gradient
    int64_t token;
    bool has_versus; // of logit[token] - logit[versus]
    int64_t versus;
    // pullback
    const float *w; // [n_w]
    int64_t n_w;    // must be the width of `to`
    // frames: va_svd_params of golub-kahan; 0: its defaults
    double tolerance;
    int64_t max_iterations;
    uint64_t seed;
    va_mean_keep keep;           // several prompts
    const va_map_budget *budget; // NULL: defaults
} va_map_direction_params;

typedef struct va_map_direction {
    int64_t rank, d;             // d: width of the site that the rows are at
    float *rows;                 // [rank, d]: a frame's are orthonormal, others are not normalised
    double *sigma;               // [rank] of frames, descending; else NULL
    double *residual;            // [rank] of frames, as in va_svd_result; else NULL
    bool converged;              // of frames: every residual within the tolerance times sigma_1
    double tolerance;            // that this means
    int64_t vectors;             // that went through J or J'
    int64_t n_from, n_to;        // rows of either site; of @mean and of several prompts 1
    double reconstruction_error; // jx: std(y - J x) / std(y) over all of `to`, else NaN. Of several
                                 // prompts with the means of J, x and y
    double forward_s, map_s;     // seconds of the forward pass, and of the map after it, without
                                 // the upload of weights. Of several prompts the passes are part
                                 // of map_s, and forward_s is 0
} va_map_direction;

// Arrays live in arena. VA_ERR_USAGE for a token outside the vocabulary, a rank above the number of
// singular values, positions as above; VA_ERR_SHAPE for a w of another width; VA_ERR_NUMERIC for a
// w that is not finite or zero, for a direction that is zero (at these tokens `to` does not depend
// on `from`), and for a rank above the numerical rank, where vectors are arbitrary. A frame that
// does not converge is no error.
va_status va_read_map_direction(va_model *model, va_arena *arena,
                                const va_map_direction_params *params, va_map_direction *out);

// Work and device memory of that, without a device. A frame is taken to need a full basis of
// va_svd's defaults, once, and its residuals: basis + rank vectors each way. Spectra that fall fast
// need less, flat ones several times that. The memory is that of a map which goes both ways, for
// which there must be room; jx, gradient and pullback go one way and take no more.
va_status va_read_map_direction_plan(va_model *model, const va_map_direction_params *params,
                                     double *flop, int64_t *peak_bytes);

#ifdef __cplusplus
}
#endif
#endif
