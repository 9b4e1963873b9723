// arch.h: model families: config.json -> immutable config -> graph. One file per family in
// runtime/arch, which reads like the paper. Depends on graph.h and io.h; knows no buffers.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_ARCH_H
#define VKALIGN_ARCH_H

#include "vkalign/gguf.h"
#include "vkalign/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- sites: places in the forward pass, NAME[:N][@POSITION], see DESIGN section 2 -------------

// X(enum, name, takes a layer number)
#define VA_SITE_LIST(X)                                                                            \
    X(VA_SITE_EMBED, "embed", false)                                                               \
    X(VA_SITE_RESID, "resid", true)                                                                \
    X(VA_SITE_ATTN, "attn", true)                                                                  \
    X(VA_SITE_MLP, "mlp", true)                                                                    \
    X(VA_SITE_NORM, "norm", true)                                                                  \
    X(VA_SITE_LOGITS, "logits", true)
typedef enum va_site_kind {
#define VA_X(id, name, layered) id,
    VA_SITE_LIST(VA_X)
#undef VA_X
} va_site_kind;
typedef enum va_position {
    VA_POS_LAST,
    VA_POS_ALL,
    VA_POS_MEAN,
    VA_POS_CONCEPT,
    VA_POS_INDEX
} va_position;

typedef struct va_site {
    va_site_kind kind;
    int64_t layer; // resid:N .. (0 for embed; L for plain `norm:last`, `logits`)
    va_position position;
    int64_t index; // VA_POS_INDEX: token, negative from the end
} va_site;

// n_layer: L; "last" stands for L (attn, mlp: L-1). n_layer < 0: the model is not known yet and
// ranges are not checked ("last" is kept as -1). Errors: VA_ERR_USAGE with what is allowed.
va_status va_site_parse(va_ctx *ctx, const char *text, int64_t n_layer, va_site *site);
// Canonical text, "norm:6@last"; returns buf.
const char *va_site_text(const va_site *site, char buf[64]);
// Blocks that must be run to reach it.
int64_t va_site_blocks(const va_site *site);
// Place on the residual stream: 3N for resid:N, norm:N and logits:N, then attn:N and mlp:N.
int64_t va_site_order(const va_site *site);
// Whether `to` is computed from `from` (positions aside), so that a derivative makes sense.
// norm:N and logits:N are side branches; a site does not precede itself.
bool va_site_precedes(const va_site *from, const va_site *to);

// -- configuration ----------------------------------------------------------------------------

typedef struct va_arch va_arch;                 // a family
typedef struct va_arch_decoder va_arch_decoder; // what its blocks are made of

// What every family has; what their blocks are made of stands behind `decoder`.
typedef struct va_arch_config {
    const va_arch *arch;
    const char *family;     // "gemma3"
    const char *model_type; // as in config.json
    int64_t n_layer, d_model, n_head, n_kv_head, d_head, d_ff, vocab_size, max_context;
    int32_t bos_id; // -1: none
    bool tied_embeddings;
    bool is_gguf;               // weights come from a GGUF file
    const char *embed_weight;   // graph weight name of the embedding table [V, d]
    const char *unembed_weight; // of the unembedding [V, d]; the same when tied
    const va_arch_decoder *decoder;
} va_arch_config;

// Reads config.json (root may be a multimodal one with text_config inside). VA_ERR_UNSUPPORTED for
// an unknown architecture or for a key that changes the forward pass and is not understood, by
// name and value; VA_ERR_FORMAT for a missing or ill-typed key. path is for messages.
va_status va_arch_parse(va_ctx *ctx, va_arena *arena, const va_json *root, const char *path,
                        va_arch_config *config);

// The same from a GGUF file's metadata; a key of its architecture that is not understood is
// refused.
va_status va_arch_parse_gguf(va_ctx *ctx, va_arena *arena, const va_gguf *g, const char *path,
                             va_arch_config *config);

typedef struct va_arch_build_params {
    int64_t n_seq, seq_len; // N, T
    const va_site *sites;   // what must be in the graph; position is ignored
    int64_t n_sites;
} va_arch_build_params;

// The graph's weight that holds the embedding rows in use, [n_rows, d], gathered by the caller
// from config->embed_weight. A name of its own: a tied unembedding is another node.
#define VA_ARCH_EMBED_ROWS "embed.rows"

// Adds the forward pass up to the deepest site. *ids is the input [N*T] u32 into the table
// VA_ARCH_EMBED_ROWS with n_rows rows (the caller uploads only the rows it needs and renumbers
// ids); nodes[i] is the value of sites[i] at all positions, [M, d]. For logits:N it is that of
// norm:N: the caller selects the rows it wants and passes them to va_arch_unembed.
va_status va_arch_build(va_ctx *ctx, va_graph *g, const va_arch_config *config,
                        const va_arch_build_params *params, int64_t n_rows, va_node *ids,
                        va_node *nodes);
// Rows x [*, d] after the final norm to logits [*, V], with the final softcap.
va_node va_arch_unembed(va_graph *g, const va_arch_config *config, va_node x);

// Where a graph weight [n_rows, n] or [n_rows] may stand in a file: row r is row
// va_arch_source_row(s, r) of the tensor `name`, which has n_rows rows of n. Fused tensors hold
// several weights, transposed ones are stored [n, n_rows].
typedef struct va_arch_source {
    const char *name;
    int64_t n_rows;               // of the file's tensor
    int64_t first, chunk, stride; // row r: first + r / chunk * stride + r % chunk
    int64_t paired;               // > 0: within each so many rows, rows r and r + paired/2 are
                                  // neighbours in the file
    bool transposed;
} va_arch_source;
enum { VA_ARCH_MAX_SOURCES = 12 };
// The candidates in order of preference; returns their number. Names live in arena.
int64_t va_arch_sources(const va_arch_config *config, va_arena *arena, const char *name,
                        int64_t n_rows, va_arch_source out[VA_ARCH_MAX_SOURCES]);
int64_t va_arch_source_row(const va_arch_source *s, int64_t r);
// Whether the weight's rows stand together and in order.
bool va_arch_source_is_plain(const va_arch_source *s, int64_t n_rows);
// The norm before the unembedding, with its scale 1/rms or 1/std left out: x (less its mean when
// centred) times the weight + offset.
typedef struct va_arch_norm {
    const char *weight; // in the graph
    float offset;
    bool centred;
} va_arch_norm;
va_arch_norm va_arch_final_norm(const va_arch_config *config);
// Whether anything after the embedding adds a constant: biases of projections, of LayerNorm.
bool va_arch_has_biases(const va_arch_config *config);
// One line on what differs between blocks ("5 sliding (window 1024) : 1 full attention"), returns
// buf.
const char *va_arch_layer_text(const va_arch_config *config, char buf[256]);

#ifdef __cplusplus
}
#endif
#endif
