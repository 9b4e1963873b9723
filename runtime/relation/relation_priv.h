// relation_priv.h: what the files of runtime/relation share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_RELATION_PRIV_H
#define VKALIGN_RELATION_PRIV_H

#include "vkalign/relation.h"

// What the model does at pairs, and what W makes of it.
typedef struct relation_states {
    const va_relation_pair *pairs; // those of an example stand together
    int64_t n, d;
    float *s, *o, *Ws; // [n, d]; Ws is the caller's to fill
    float *b;          // [n, d], each pair's own bias; NULL: the relation's
    int32_t *next;     // [n]
} relation_states;

va_status relation_states_read(va_model *model, va_arena *arena, int64_t layer,
                               const va_relation_pair *pairs, int64_t n, relation_states *x);
// The mean of values[i] over the pairs that skip (may be NULL) does not mark.
va_relation_rate relation_rate(const va_relation_pair *pairs, int64_t n, const double *values,
                               const bool *skip);
// How often said is wanted; temp [n].
va_relation_rate relation_agreement(const va_relation_pair *pairs, int64_t n, const int32_t *said,
                                    const int32_t *wanted, double *temp);
// n, or 0 when a wanted token is not known (-1): then there is no rate.
int64_t relation_measured(const int32_t *wanted, int64_t n);
// The training pairs as an operator sees them that was fitted without their example: Ws and b of
// left. With one example alone *possible is false.
//     W_-g s = (n W s - sum_g J_i s) / (n - |g|)
va_status relation_leave_out(const va_relation *relation, va_arena *arena,
                             const relation_states *train, relation_states *left, bool *possible);
// What beta Ws + b says, tokens [x->n].
va_status relation_says(const va_relation *relation, double beta, const relation_states *x,
                        int32_t *tokens);
// relation->beta, of the grid or (above 0) as given, and how faithful it is at these pairs.
va_status relation_choose_beta(va_relation *relation, double given, const relation_states *train,
                               va_relation_rate *rate);
// For every pair one of the same prompt for which the model says something else; -1: none.
va_status relation_targets(va_model *model, va_arena *arena, const relation_states *x,
                           uint64_t seed, int64_t **targets);
// How often an edit (rank is that of the inverse) makes the model say what it says at the target.
va_status relation_causality(const va_relation *relation, const relation_states *x,
                             const int64_t *targets, va_relation_edit edit, int64_t rank,
                             uint64_t seed, va_relation_rate *rate);

#endif
