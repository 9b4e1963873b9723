// philox.c: Philox4x32-10 random numbers, and the hash that names streams.
//
// Reference: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011, section 4. Bounded integers: D. Lemire, "Fast random integer
// generation in an interval", ACM TOMACS 29 (2019).
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/base.h"

#include <assert.h>
#include <math.h>

enum { N_ROUNDS = 10 };

void va_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    const uint64_t M0 = 0xD2511F53u, M1 = 0xCD9E8D57u; // multipliers
    const uint32_t W0 = 0x9E3779B9u, W1 = 0xBB67AE85u; // key increments: golden ratio, sqrt(3) - 1
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < N_ROUNDS; round++) {
        uint64_t p0 = M0 * x0, p1 = M1 * x2;
        uint32_t y0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        uint32_t y2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x0 = y0;
        x1 = (uint32_t)p1;
        x2 = y2;
        x3 = (uint32_t)p0;
        k0 += W0;
        k1 += W1;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

va_rng va_rng_make(uint64_t seed, uint64_t stream) {
    return (va_rng){.seed = seed, .stream = stream};
}

uint32_t va_rng_u32(va_rng *r) {
    if (r->left == 0) {
        const uint32_t counter[4] = {(uint32_t)r->counter, (uint32_t)(r->counter >> 32),
                                     (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
        const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
        va_philox4x32(counter, key, r->block);
        r->counter++;
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

static uint64_t next_u64(va_rng *r) {
    uint64_t high = va_rng_u32(r);
    return high << 32 | va_rng_u32(r);
}

double va_rng_uniform(va_rng *r) {
    return (double)(next_u64(r) >> 11) * 0x1p-53;
}

double va_rng_normal(va_rng *r) {
    // The sine's twin is dropped: what comes next then depends on the count of draws alone.
    double radius = sqrt(-2 * log(1 - va_rng_uniform(r))); // 1 - u is in (0, 1]
    return radius * cos(6.283185307179586477 * va_rng_uniform(r));
}

uint32_t va_rng_below(va_rng *r, uint32_t n) {
    assert(n > 0);
    uint64_t product = (uint64_t)va_rng_u32(r) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = -n % n; // 2^32 mod n values would come up once too often
        while ((uint32_t)product < threshold)
            product = (uint64_t)va_rng_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

static uint64_t below_u64(va_rng *r, uint64_t n) {
    if (n <= UINT32_MAX)
        return va_rng_below(r, (uint32_t)n);
    uint64_t threshold = -n % n, x;
    do {
        x = next_u64(r);
    } while (x < threshold);
    return x % n;
}

void va_rng_shuffle(va_rng *r, int64_t *idx, int64_t n) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)below_u64(r, (uint64_t)i + 1);
        int64_t t = idx[i];
        idx[i] = idx[j];
        idx[j] = t;
    }
}

uint64_t va_hash64(const char *s) {
    uint64_t h = 0xCBF29CE484222325u; // FNV offset basis, FNV prime
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001B3u;
    return h;
}
