// Where weights stand in files: names, rows of fused tensors, transposed ones.
//
// In the graph all families have the names of HF's Llama. In a checkpoint of HF transformers a part
// has the family's own name behind its prefix; multimodal checkpoints put "language_model." before
// that, or within ("model.language_model.", as transformers 5 writes it), and bare text models
// leave the prefix out. GGUF files have one naming for all families. SPDX-License-Identifier:
// Apache-2.0
#include "arch_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const arch_part gguf_usual[] = {{"embed_tokens", "token_embd", 0, false},
                                       {"embed_positions", "position_embd", 0, false},
                                       {"norm", "output_norm", 0, false},
                                       {"lm_head", "output", 0, false},
                                       {"input_layernorm", "attn_norm", 0, false},
                                       {"post_attention_layernorm", "ffn_norm", 0, false},
                                       {"pre_feedforward_layernorm", "ffn_norm", 0, false},
                                       {"post_feedforward_layernorm", "post_ffw_norm", 0, false},
                                       {"self_attn.q_proj", "attn_q", 0, false},
                                       {"self_attn.k_proj", "attn_k", 0, false},
                                       {"self_attn.v_proj", "attn_v", 0, false},
                                       {"self_attn.o_proj", "attn_output", 0, false},
                                       {"self_attn.q_norm", "attn_q_norm", 0, false},
                                       {"self_attn.k_norm", "attn_k_norm", 0, false},
                                       {"mlp.gate_proj", "ffn_gate", 0, false},
                                       {"mlp.up_proj", "ffn_up", 0, false},
                                       {"mlp.down_proj", "ffn_down", 0, false},
                                       {NULL, NULL, 0, false}};

// A weight's name taken apart: "model.layers.3.self_attn.q_proj.weight", or as GGUF files have it.
typedef struct weight_name {
    int64_t layer;      // -1: of the whole model
    char part[64];      // "self_attn.q_proj", "norm", "lm_head"; of GGUF "attn_q"
    const char *suffix; // ".weight" or ".bias"
} weight_name;

static bool take_apart(const char *name, weight_name *out) {
    static const char model[] = "model.", layers[] = "layers.", blocks[] = "blk.";
    const char *suffix = strrchr(name, '.');
    const char *part = name;
    out->layer = -1;
    if (strncmp(part, model, sizeof model - 1) == 0)
        part += sizeof model - 1;
    const char *number = strncmp(part, layers, sizeof layers - 1) == 0   ? part + sizeof layers - 1
                         : strncmp(part, blocks, sizeof blocks - 1) == 0 ? part + sizeof blocks - 1
                                                                         : NULL;
    if (number) {
        char *end;
        out->layer = strtoll(number, &end, 10);
        part = *end == '.' ? end + 1 : end;
    }
    if (!suffix || suffix < part || suffix - part >= (int64_t)sizeof out->part)
        return false;
    memcpy(out->part, part, (size_t)(suffix - part));
    out->part[suffix - part] = '\0';
    out->suffix = suffix;
    return true;
}

// -- rows -----------------------------------------------------------------------------------------

// n_rows: of the weight.
static void place_rows(const va_arch_config *c, const arch_part *p, int64_t n_rows,
                       va_arch_source *s) {
    const int64_t D = c->d_head, q = c->n_head * D, kv = c->n_kv_head * D, F = c->d_ff;
    *s = (va_arch_source){.n_rows = n_rows, .chunk = n_rows, .stride = n_rows};
    switch (p->rows) {
    case ARCH_ROWS_ALL:
        break;
    case ARCH_ROWS_Q:
    case ARCH_ROWS_K:
    case ARCH_ROWS_V:
        s->n_rows = q + 2 * kv;
        s->first = p->rows == ARCH_ROWS_Q ? 0 : p->rows == ARCH_ROWS_K ? q : q + kv;
        break;
    case ARCH_ROWS_HEAD_Q:
    case ARCH_ROWS_HEAD_K:
    case ARCH_ROWS_HEAD_V:
        s->n_rows = 3 * q;
        s->first = (int64_t)(p->rows - ARCH_ROWS_HEAD_Q) * D;
        s->chunk = D;
        s->stride = 3 * D;
        break;
    case ARCH_ROWS_GATE:
    case ARCH_ROWS_UP:
        s->n_rows = 2 * F;
        s->first = p->rows == ARCH_ROWS_GATE ? 0 : F;
        break;
    case ARCH_ROWS_PAIRED:
        s->paired = D;
        break;
    }
}

int64_t va_arch_source_row(const va_arch_source *s, int64_t r) {
    if (s->paired > 0) {
        const int64_t at = r % s->paired, half = s->paired / 2;
        return r - at + 2 * (at % half) + at / half;
    }
    return s->first + r / s->chunk * s->stride + r % s->chunk;
}

bool va_arch_source_is_plain(const va_arch_source *s, int64_t n_rows) {
    return s->paired == 0 && !s->transposed && s->chunk >= n_rows;
}

// -- names ----------------------------------------------------------------------------------------

typedef struct source_list {
    const va_arch_config *c;
    va_arena *arena;
    int64_t n_rows; // of the weight
    va_arch_source *out;
    int64_t n;
} source_list;

static void add(source_list *list, const arch_part *p, bool transposed, const char *name) {
    if (list->n == VA_ARCH_MAX_SOURCES || !name)
        return;
    va_arch_source *s = &list->out[list->n++];
    place_rows(list->c, p, list->n_rows, s);
    s->name = name;
    s->transposed = transposed;
}

static void add_hf(source_list *list, const weight_name *w, const arch_part *p) {
    const va_arch *arch = list->c->arch;
    const bool head = strcmp(w->part, "lm_head") == 0;
    const bool transposed = p->transposed && strcmp(w->suffix, ".weight") == 0;
    const char *prefix = head ? "" : arch->prefix ? arch->prefix : "model.";
    char layer[64] = "";
    if (w->layer >= 0)
        snprintf(layer, sizeof layer, "%s%" PRId64 ".", arch->layers ? arch->layers : "layers.",
                 w->layer);
    const char *bare = va_arena_printf(list->arena, "%s%s%s", layer, p->file, w->suffix);
    if (!bare)
        return;
    add(list, p, transposed, va_arena_printf(list->arena, "%s%s", prefix, bare));
    add(list, p, transposed, va_arena_printf(list->arena, "language_model.%s%s", prefix, bare));
    if (head)
        return;
    if (strcmp(prefix, "model.") == 0)
        add(list, p, transposed, va_arena_printf(list->arena, "model.language_model.%s", bare));
    add(list, p, transposed, bare);
}

static void add_gguf(source_list *list, const weight_name *w, const arch_part *p) {
    char layer[32] = "";
    if (w->layer >= 0)
        snprintf(layer, sizeof layer, "blk.%" PRId64 ".", w->layer);
    add(list, p, false, va_arena_printf(list->arena, "%s%s%s", layer, p->file, w->suffix));
}

// Adds every entry of the table for the part; whether there was one.
static bool add_listed(source_list *list, const weight_name *w, const arch_part *table) {
    bool found = false;
    for (; table && table->part; table++) {
        if (strcmp(table->part, w->part) != 0)
            continue;
        found = true;
        if (list->c->is_gguf)
            add_gguf(list, w, table);
        else
            add_hf(list, w, table);
    }
    return found;
}

int64_t va_arch_sources(const va_arch_config *c, va_arena *arena, const char *name, int64_t n_rows,
                        va_arch_source out[VA_ARCH_MAX_SOURCES]) {
    source_list list = {.c = c, .arena = arena, .n_rows = n_rows, .out = out};
    weight_name w;
    if (!take_apart(name, &w))
        return 0;
    if (c->is_gguf) {
        if (!add_listed(&list, &w, c->arch->gguf_parts))
            add_listed(&list, &w, gguf_usual);
    } else if (!add_listed(&list, &w, c->arch->parts)) {
        add_hf(&list, &w, &(arch_part){w.part, w.part, ARCH_ROWS_ALL, false});
    }
    return list.n;
}

// -- what a GGUF file may hold --------------------------------------------------------------------

static bool starts(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_bias(const va_arch_decoder *own, const char *part) {
    if (starts(part, "self_attn.o_"))
        return own->out_bias;
    if (starts(part, "self_attn.") && !strstr(part, "norm"))
        return own->qkv_bias;
    if (starts(part, "mlp."))
        return own->mlp_bias;
    return own->layer_norm && strstr(part, "norm");
}

static bool has_part(const va_arch_decoder *own, const char *part) {
    if (strcmp(part, "self_attn.q_norm") == 0 || strcmp(part, "self_attn.k_norm") == 0)
        return own->qk_norm != ARCH_QK_PLAIN;
    return strcmp(part, "embed_positions") != 0 || own->positions;
}

static bool is_listed(const arch_part *table, const char *part) {
    for (; table && table->part; table++)
        if (strcmp(table->part, part) == 0)
            return true;
    return false;
}

bool arch_has_gguf_tensor(const va_arch_config *c, const char *name) {
    const arch_part *tables[] = {c->arch->gguf_parts, gguf_usual};
    weight_name w;
    if (!take_apart(name, &w) || w.layer >= c->n_layer)
        return false;
    const bool bias = strcmp(w.suffix, ".bias") == 0;
    if (!bias && strcmp(w.suffix, ".weight") != 0)
        return false;
    for (int64_t i = 0; i < VA_COUNT(tables); i++) {
        for (const arch_part *p = tables[i]; p && p->part; p++) {
            if (strcmp(p->file, w.part) != 0 || (i > 0 && is_listed(tables[0], p->part)))
                continue;
            if (has_part(c->decoder, p->part) && (!bias || has_bias(c->decoder, p->part)))
                return true;
        }
    }
    return false;
}
