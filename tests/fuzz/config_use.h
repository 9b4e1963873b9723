// config_use.h: a configuration that was accepted: its sizes make sense together, and a small
// model's graph can be written down, with a place in the file for every weight.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_FUZZ_CONFIG_USE_H
#define VA_FUZZ_CONFIG_USE_H

#include "fuzz.h"

#include "vkalign/arch.h"

enum { SEQ_LEN = 3 };

static void check_config(const va_arch_config *c) {
    char text[256];
    FUZZ_REQUIRE(c->family && c->model_type && c->embed_weight && c->unembed_weight);
    FUZZ_REQUIRE(c->n_layer > 0 && c->d_model > 0 && c->n_head > 0 && c->n_kv_head > 0);
    FUZZ_REQUIRE(c->d_head > 0 && c->d_ff > 0 && c->vocab_size > 0 && c->max_context > 0);
    FUZZ_REQUIRE(c->n_head % c->n_kv_head == 0);
    FUZZ_REQUIRE(c->bos_id >= -1);
    FUZZ_REQUIRE(va_arch_layer_text(c, text) == text);
}

// Every row of every weight has a place in a tensor of the file.
static void check_sources(const va_arch_config *c, const va_graph *g) {
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        const va_node w = va_graph_weight_at(g, i);
        const va_tensor t = va_graph_tensor(g, w);
        const int64_t n = t.shape[0], rows[] = {0, 1 % n, n / 2, n - 1};
        va_arch_source s[VA_ARCH_MAX_SOURCES];
        const int64_t n_sources = va_arch_sources(c, arena, va_graph_name(g, w), n, s);
        FUZZ_REQUIRE(n_sources >= 0 && n_sources <= VA_ARCH_MAX_SOURCES);
        for (int64_t k = 0; k < n_sources; k++) {
            FUZZ_REQUIRE(s[k].name && *s[k].name && s[k].n_rows >= n);
            for (int64_t r = 0; r < VA_COUNT(rows); r++) {
                const int64_t row = va_arch_source_row(&s[k], rows[r]);
                FUZZ_REQUIRE(row >= 0 && row < s[k].n_rows);
                FUZZ_REQUIRE(!va_arch_source_is_plain(&s[k], n) || row == s[k].first + rows[r]);
            }
        }
    }
    va_arena_destroy(&arena);
}

static void build(const va_arch_config *c) {
    va_ctx *ctx = fuzz_ctx();
    va_graph *g = va_graph_create(ctx);
    FUZZ_REQUIRE(g);
    va_site sites[2] = {{.kind = VA_SITE_EMBED}, {.kind = VA_SITE_LOGITS, .layer = c->n_layer}};
    va_arch_build_params params = {
        .n_seq = 1, .seq_len = SEQ_LEN, .sites = sites, .n_sites = VA_COUNT(sites)};
    va_node ids, nodes[2];
    va_status st = va_arch_build(ctx, g, c, &params, SEQ_LEN, &ids, nodes);
    va_node logits = st == VA_OK ? va_arch_unembed(g, c, nodes[1]) : VA_NODE_NONE;
    if (st == VA_OK) {
        va_graph_keep(g, logits);
        va_graph_want(g, VA_EXACT, nodes[0], nodes[1]);
        st = va_graph_finish(g);
    }
    if (st == VA_OK) {
        va_tensor y = va_graph_tensor(g, logits);
        FUZZ_REQUIRE(va_graph_weight_count(g) > 0);
        FUZZ_REQUIRE(y.shape[y.n_dim - 1] == c->vocab_size);
        FUZZ_REQUIRE(va_graph_forward_cost(g).memory_bytes > 0);
        check_sources(c, g);
    } else {
        FUZZ_REFUSED(ctx, st, VA_ERR_SHAPE, VA_ERR_UNSUPPORTED, VA_ERR_NUMERIC);
    }
    va_graph_destroy(&g);
}

static void use_config(const va_arch_config *c) {
    enum { FEW_LAYERS = 16, SHORT_HEAD = 4096 }; // what one input may cost
    check_config(c);
    if (c->n_layer <= FEW_LAYERS && c->d_head <= SHORT_HEAD)
        build(c);
}

#endif
