// Rotary position embeddings: the table of cosines and sines.
//
// Frequencies by scheme: RoFormer (arXiv 2104.09864), position interpolation (2306.15595), Llama
// 3.1's bands (2407.21783), YaRN (2309.00071), LongRoPE (2402.13753); numbers are rounded where HF
// transformers rounds them, which at position 1000 would else show in the fifth digit.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <math.h>
#include <stdlib.h>

// theta^(2i / width), of pair i
static float wave(const va_rope *rope, int64_t i, int64_t width) {
    return powf((float)rope->theta, (float)(2 * i) / (float)width);
}

static float llama3_frequency(const va_rope *rope, float inv_freq) {
    const float factor = (float)rope->factor, old = (float)rope->original_context;
    const float wavelength = (float)(2 * M_PI) / inv_freq;
    if (wavelength < (float)(rope->original_context / rope->high_freq))
        return inv_freq;
    if (wavelength > (float)(rope->original_context / rope->low_freq))
        return inv_freq / factor;
    const float smooth =
        (old / wavelength - (float)rope->low_freq) / (float)(rope->high_freq - rope->low_freq);
    return (1 - smooth) * inv_freq / factor + smooth * inv_freq;
}

// The pair, as a real number, that turns so many times within the original context.
static double yarn_pair(const va_rope *rope, double rotations, int64_t width) {
    return (double)width * log(rope->original_context / (rotations * 2 * M_PI)) /
           (2 * log(rope->theta));
}

static float yarn_frequency(const va_rope *rope, int64_t i, int64_t width) {
    double low = yarn_pair(rope, rope->beta_fast != 0 ? rope->beta_fast : 32, width);
    double high = yarn_pair(rope, rope->beta_slow != 0 ? rope->beta_slow : 1, width);
    if (rope->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)width - 1);
    if (low == high)
        high += 0.001;
    const float w = wave(rope, i, width);
    const float slow = ((float)i - (float)low) / (float)(high - low);
    const float keep = 1 - fminf(fmaxf(slow, 0), 1);
    return 1 / ((float)rope->factor * w) * (1 - keep) + 1 / w * keep;
}

static float frequency(const va_rope *rope, int64_t i, int64_t width, int64_t seq_len) {
    switch (rope->type) {
    case VA_ROPE_LINEAR:
        return 1 / wave(rope, i, width) / (float)rope->factor;
    case VA_ROPE_LLAMA3:
        return llama3_frequency(rope, 1 / wave(rope, i, width));
    case VA_ROPE_YARN:
        return yarn_frequency(rope, i, width);
    case VA_ROPE_LONGROPE: {
        const bool is_long = (double)seq_len > rope->original_context;
        return 1 / ((is_long ? rope->long_factor : rope->short_factor)[i] * wave(rope, i, width));
    }
    case VA_ROPE_DYNAMIC: { // the base grows once the prompt is longer than the context
        va_rope grown = *rope;
        const double longer = fmax((double)seq_len / rope->max_context, 1);
        grown.theta *=
            pow(rope->factor * longer - (rope->factor - 1), (double)width / ((double)width - 2));
        return 1 / wave(width > 2 ? &grown : rope, i, width);
    }
    case VA_ROPE_DEFAULT:
        break;
    }
    return 1 / wave(rope, i, width);
}

static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

// What both cosines and sines are multiplied by.
static double attention_factor(const va_rope *rope) {
    if (rope->attention_factor > 0)
        return rope->attention_factor;
    if (rope->type == VA_ROPE_YARN)
        return rope->mscale != 0 && rope->mscale_all_dim != 0
                   ? yarn_mscale(rope->factor, rope->mscale) /
                         yarn_mscale(rope->factor, rope->mscale_all_dim)
                   : yarn_mscale(rope->factor, 1);
    if (rope->type == VA_ROPE_LONGROPE && rope->factor > 1)
        return sqrt(1 + log(rope->factor) / log(rope->original_context));
    return 1;
}

static float query_scale(const va_rope *rope, int64_t t) {
    return 1 + (float)rope->query_beta * logf(1 + floorf((float)t / (float)rope->original_context));
}

va_status va_rope_const(va_ctx *ctx, va_graph *g, const char *name, const va_rope *rope,
                        int64_t seq_len, int64_t d_head, bool for_query, va_node *node) {
    const int64_t pairs = va_rope_pairs(rope, d_head);
    const int64_t width = (int64_t)((double)d_head * rope->part);
    const bool scaled = rope->type == VA_ROPE_YARN || rope->type == VA_ROPE_LONGROPE;
    const float scale = scaled ? (float)attention_factor(rope) : 1;
    int64_t n;
    va_status st = VA_OK;
    float *table = NULL;
    if (!va_mul_i64(seq_len, 2 * pairs, &n) || n > INT64_MAX / (int64_t)sizeof *table)
        return va_fail(ctx, VA_ERR_MEMORY, "RoPE table of %lld positions is too large",
                       (long long)seq_len);
    VA_TRY_ALLOC(ctx, table, malloc((size_t)n * sizeof *table));
    for (int64_t i = 0; i < pairs; i++) {
        const float inv_freq = frequency(rope, i, width, seq_len);
        for (int64_t t = 0; t < seq_len; t++) {
            const float angle = (float)t * inv_freq;
            const float by = scale * (for_query ? query_scale(rope, t) : 1);
            table[(t * pairs + i) * 2] = cosf(angle) * by;
            table[(t * pairs + i) * 2 + 1] = sinf(angle) * by;
        }
    }
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(table[i]))
            VA_TRY(va_fail(ctx, VA_ERR_NUMERIC,
                           "%s: position %lld turns pair %lld by no finite angle (base %g, factor "
                           "%g)",
                           name, (long long)(i / 2 / pairs), (long long)(i / 2 % pairs),
                           rope->theta, rope->factor));
    *node = va_graph_const(g, name, VA_F32, 3, (const int64_t[]){seq_len, pairs, 2}, table);
done:
    free(table);
    return st;
}
