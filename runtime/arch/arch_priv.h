// arch_priv.h: what the families share: reading config.json key by key, rotary embeddings, the
// parts that blocks are made of, where checkpoints hold the weights, the family table.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_ARCH_PRIV_H
#define VKALIGN_ARCH_PRIV_H

#include "vkalign/arch.h"

// -- reading --------------------------------------------------------------------------------------

enum { VA_CONFIG_MAX_READ = 64 };

// A JSON object of a configuration. Every key must be read, be on the list of those that do not
// change the forward pass, or it is refused by va_config_finish.
typedef struct va_config_reader {
    va_ctx *ctx;
    const char *path;   // of the file, for messages
    const char *prefix; // "" or "text_config."
    const va_json *obj;
    const char *read[VA_CONFIG_MAX_READ]; // keys asked for so far
    int n_read;
} va_config_reader;

// The key's value, NULL when absent or null; marks it as read.
const va_json *va_config_take(va_config_reader *r, const char *key);
bool va_config_has(const va_config_reader *r, const char *key);
// Whether the key stands there as null.
bool va_config_is_null(const va_config_reader *r, const char *key);
// *out keeps its value (the default) when the key is absent or null. Out of range or of another
// type is VA_ERR_FORMAT naming file, key, expected and got.
va_status va_config_int(va_config_reader *r, const char *key, int64_t min, int64_t max,
                        int64_t *out);
va_status va_config_number(va_config_reader *r, const char *key, double *out);   // finite
va_status va_config_positive(va_config_reader *r, const char *key, double *out); // finite, > 0
va_status va_config_bool(va_config_reader *r, const char *key, bool *out);
va_status va_config_string(va_config_reader *r, const char *key, const char **out);
// Exactly n (n < 0: any number of) finite numbers above 0, as float32; *n_out tells how many.
va_status va_config_floats(va_config_reader *r, va_arena *arena, const char *key, int64_t n,
                           const float **out, int64_t *n_out);
// Refuses the key unless it is absent, null, false, 0 or empty.
va_status va_config_refuse(va_config_reader *r, const char *key, const char *why);
va_status va_config_act(va_config_reader *r, const char *key, va_act *act);
// Marks keys of this family that change nothing as read; NULL-terminated.
void va_config_ignore(va_config_reader *r, const char *const *keys);
// Refuses every key neither read nor known to be harmless.
va_status va_config_finish(va_config_reader *r);
// VA_ERR_UNSUPPORTED naming the key and its value, with why.
va_status va_config_unsupported(va_config_reader *r, const char *key, const char *why);
// VA_ERR_FORMAT naming the key, what was expected and its value.
va_status va_config_wrong(va_config_reader *r, const char *key, const char *expected);

// -- rotary position embeddings -------------------------------------------------------------------

// X(enum, name in config files)
#define VA_ROPE_LIST(X)                                                                            \
    X(VA_ROPE_DEFAULT, "default")                                                                  \
    X(VA_ROPE_LINEAR, "linear")                                                                    \
    X(VA_ROPE_DYNAMIC, "dynamic")                                                                  \
    X(VA_ROPE_LLAMA3, "llama3")                                                                    \
    X(VA_ROPE_YARN, "yarn")                                                                        \
    X(VA_ROPE_LONGROPE, "longrope")
typedef enum va_rope_type {
#define VA_X(id, name) id,
    VA_ROPE_LIST(VA_X)
#undef VA_X
} va_rope_type;

// Frequencies by name of the scheme; a field that a scheme does not use is not read.
typedef struct va_rope {
    va_rope_type type;
    double theta;                                        // base
    double part;                                         // of a head's width that rotates; 1 = all
    double factor;                                       // of the context's extension; 0: not given
    double max_context, original_context;                // tokens, after and before the extension
    double low_freq, high_freq;                          // llama3: factors
    double beta_fast, beta_slow, mscale, mscale_all_dim; // yarn
    bool truncate;                                       // yarn
    double attention_factor;                             // yarn, longrope; 0: derived
    const float *short_factor, *long_factor;             // longrope [n_factor]
    int64_t n_factor;
    double query_beta; // Llama 4's: q *= 1 + beta ln(1 + floor(position / original)); 0: none
} va_rope;

// Of a head of d_head: the pairs that rotate.
int64_t va_rope_pairs(const va_rope *rope, int64_t d_head);
// rope_theta and rope_scaling, or rope_parameters, of a configuration with one rope for all layers.
// rope holds the defaults. partial: whether the family rotates a part of each head where told to.
// _read leaves the last step to the caller; *key is the object's.
va_status va_config_rope_read(va_config_reader *r, va_arena *arena, bool partial, va_rope *rope,
                              const char **key);
va_status va_config_rope(va_config_reader *r, va_arena *arena, va_arch_config *c, bool partial,
                         va_rope *rope);
// One object under key (for messages) into rope; NULL or null: nothing.
va_status va_config_rope_object(va_config_reader *r, va_arena *arena, const char *key,
                                const va_json *obj, va_rope *rope);
// Refuses what does not fit the heads, and fills in the contexts that the object left open.
va_status va_config_rope_finish(va_config_reader *r, const va_arch_config *c, const char *key,
                                va_rope *rope);
// cos and sin [seq_len, pairs, 2] in the float32 steps of HF transformers; for_query: with the
// scale of Llama 4's queries.
va_status va_rope_const(va_ctx *ctx, va_graph *g, const char *name, const va_rope *rope,
                        int64_t seq_len, int64_t d_head, bool for_query, va_node *node);
// "RoPE base 10000, factor 8"; returns buf.
const char *va_rope_text(const va_rope *rope, char buf[96]);

// -- what blocks are made of ----------------------------------------------------------------------

enum { ARCH_NO_ROPE = -1, ARCH_MAX_ROPE = 2 };

typedef struct arch_layer {
    int64_t window; // keys that a query sees; 0: all before it
    int rope;       // which of the ropes turns q and k, or ARCH_NO_ROPE
} arch_layer;

typedef enum arch_qk_norm { ARCH_QK_PLAIN, ARCH_QK_PER_HEAD, ARCH_QK_FULL_WIDTH } arch_qk_norm;

// A decoder-only transformer's parts; every family fills in those that its blocks have.
struct va_arch_decoder {
    double eps;         // of the norms
    double norm_offset; // added to their weights: 1 for Gemma
    bool layer_norm;    // LayerNorm with bias; else RMS norm
    va_act act;
    double attention_scale, attention_softcap, final_softcap; // softcaps: 0 = none
    double embed_scale;
    bool positions; // learned ones, added to the embedding
    bool qkv_bias, out_bias, mlp_bias;
    arch_qk_norm qk_norm;
    bool parallel; // attention and MLP read the same stream
    va_rope rope[ARCH_MAX_ROPE];
    const char *rope_name[ARCH_MAX_ROPE]; // of their tables in the graph
    arch_layer *layer;                    // [n_layer]
};

// The sizes under the names that most families use, and bos_token_id. c holds the defaults; with
// n_kv_head or d_head 0 they follow from the others.
va_status va_config_sizes(va_config_reader *r, va_arch_config *c);
// The same checks for families with names of their own.
va_status va_config_check_sizes(va_config_reader *r, va_arch_config *c);
va_status va_config_bos(va_config_reader *r, va_arch_config *c); // c->bos_id: the default
// After the sizes: the parts with what most families share: full attention of 1/sqrt(d_head), rope
// 0 ("rope") on all layers, base 10000; c->decoder points at them.
va_status arch_decoder_create(va_ctx *ctx, va_arena *arena, va_arch_config *c,
                              va_arch_decoder **own);
// layer_types: window on the layers that it calls sliding_attention, none on those that it calls
// full_attention; *given false and nothing changed when the key is absent.
va_status va_config_layer_types(va_config_reader *r, const va_arch_config *c, va_arch_decoder *own,
                                int64_t window, bool *given);
// sliding_window, 0 where it is null; *window holds the default.
va_status va_config_window(va_config_reader *r, int64_t *window);
// Qwen's windows: use_sliding_window, sliding_window, and the layers from max_window_layers on.
va_status va_config_late_windows(va_config_reader *r, const va_arch_config *c,
                                 va_arch_decoder *own);
// text_config of a multimodal configuration into inner.
va_status va_config_text_part(va_config_reader *outer, va_config_reader *inner);

// -- building -------------------------------------------------------------------------------------

// A forward pass being written down. Graph weights have one naming for all families, that of HF's
// Llama ("model.layers.3.self_attn.q_proj.weight"); arch_names.c finds them in files.
typedef struct arch_builder {
    va_graph *g;
    const va_arch_config *c;
    const va_arch_decoder *own;
    int64_t seq_len;
    va_node rope_q[ARCH_MAX_ROPE], rope_k[ARCH_MAX_ROPE];
} arch_builder;

typedef struct arch_block {
    bool with_mlp;            // in: whether more than attn is wanted
    va_node attn, mlp, resid; // out, [M, d]: what attention and MLP add, the stream after both
} arch_block;

va_node arch_add(const arch_builder *b, int64_t n, const char *what, va_node x, va_node y);
// The family's norm over the last axis, or over all heads together: as wide as its weight.
va_node arch_norm(const arch_builder *b, int64_t n, const char *what, va_node x, int64_t width);
// Causal attention of x [M, d] as the configuration says, back to [M, d].
va_node arch_attention(const arch_builder *b, int64_t n, va_node x);
// down(act(gate x) * up x) and down(act(up x)).
va_node arch_gated_mlp(const arch_builder *b, int64_t n, va_node x);
va_node arch_plain_mlp(const arch_builder *b, int64_t n, va_node x);
// h' = h + attn(norm h), h'' = h' + mlp(norm h'): Llama's block and its relatives'.
void arch_pre_norm_block(const arch_builder *b, int64_t n, va_node h, arch_block *out);
// h' = h + norm(attn(norm h)), h'' = h' + norm(mlp(norm h')): Gemma's.
void arch_sandwich_block(const arch_builder *b, int64_t n, va_node h, arch_block *out);

// -- weights in files -----------------------------------------------------------------------------

// Which rows of a file's tensor make a weight.
typedef enum arch_rows {
    ARCH_ROWS_ALL,
    ARCH_ROWS_Q, // q, then k, then v
    ARCH_ROWS_K,
    ARCH_ROWS_V,
    ARCH_ROWS_HEAD_Q, // q, k, v of the first head, then of the next
    ARCH_ROWS_HEAD_K,
    ARCH_ROWS_HEAD_V,
    ARCH_ROWS_GATE, // gate, then up
    ARCH_ROWS_UP,
    ARCH_ROWS_PAIRED // of each head rows 0, D/2, 1, D/2 + 1, ...: for rotations of neighbours
} arch_rows;

// Where checkpoints hold a part; one that is not listed has the graph's name, one that is listed
// twice may stand in either place.
typedef struct arch_part {
    const char *part; // "self_attn.q_proj", or of the whole model: "norm"
    const char *file; // "attn.c_attn"
    arch_rows rows;
    bool transposed; // weights (not biases) are stored [n_in, n_out]
} arch_part;

// Whether a GGUF file of this configuration may hold the tensor.
bool arch_has_gguf_tensor(const va_arch_config *c, const char *name);

// -- families -------------------------------------------------------------------------------------

struct va_arch {
    const char *family;
    const char *const *model_types; // NULL-terminated
    // Reads the keys; the caller refuses those that were not read. c->bos_id is -1, all else 0.
    va_status (*parse)(va_config_reader *r, va_arena *arena, va_arch_config *c);
    void (*block)(const arch_builder *b, int64_t n, va_node h, arch_block *out);
    // Checkpoints of HF transformers: what stands before all parts but the unembedding, before
    // layers' numbers after that, and the parts with other names or rows, ended by part = NULL.
    const char *prefix, *layers; // NULL: "model." and "layers."
    const arch_part *parts;
    const arch_part *gguf_parts; // the same in GGUF files, where names differ from the usual ones
};

// Every family, in the order that messages name them.
#define ARCH_FAMILY_LIST(X)                                                                        \
    X(llama)                                                                                       \
    X(qwen2)                                                                                       \
    X(qwen3)                                                                                       \
    X(mistral)                                                                                     \
    X(phi3)                                                                                        \
    X(olmo2)                                                                                       \
    X(gemma2)                                                                                      \
    X(gemma3)                                                                                      \
    X(smollm3)                                                                                     \
    X(gpt2)                                                                                        \
    X(gpt_neox)
#define VA_X(name) extern const va_arch va_arch_##name;
ARCH_FAMILY_LIST(VA_X)
#undef VA_X

#endif
