// model_priv.h: what the files of runtime/model share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MODEL_PRIV_H
#define VKALIGN_MODEL_PRIV_H

#include "vkalign/model.h"

// A weight on the device, shared by all prompts of the model.
typedef struct model_weight {
    const char *name; // in the graph
    va_buffer *buffer;
    va_tensor tensor;
} model_weight;

// Where a model's tensors lie: the safetensors files of a folder, or one GGUF file.
typedef struct model_files {
    va_safetensors *folder; // one of the two
    va_gguf *gguf;
} model_files;

struct va_model {
    va_ctx *ctx;     // borrowed
    va_arena *arena; // owns the configuration and all strings
    const char *dir; // or the path of a GGUF file
    va_arch_config config;
    model_files files;
    bool is_random;          // no files: the weights are made on the device
    uint64_t seed;           // of these
    va_tokenizer *tokenizer; // NULL: none
    int64_t param_count;
    bool is_quantised;
    const char *dtype_text;
    va_gpu *gpu; // borrowed; NULL until attached
    model_weight *weights;
    int64_t n_weights, cap_weights;
};

// Rows that a site takes of each sequence.
typedef struct prompt_site {
    va_site site;         // as asked for
    int64_t first, count; // resolved
    va_node full;         // the value at all positions; of logits: of the selected rows
    va_node node;         // at its position (mean taken), kept
    int64_t rows, width;  // of node, for one sequence
} prompt_site;

struct va_prompt {
    va_model *model;
    va_arena *arena;
    va_graph *graph;
    int64_t n_seq, seq_len;
    bool derivatives;
    uint32_t modes; // bits 1 << va_mode
    va_node ids;
    va_node edit;    // input, VA_NODE_NONE: none
    float *edits;    // [n_seq * seq_len, d], what it is to hold
    bool edit_stale; // and does not hold yet
    prompt_site *sites;
    int64_t n_sites;
    va_buffer *rows_buffer; // embedding rows in use
    va_tensor rows_tensor;
    bool ran;
};

// -- opening --------------------------------------------------------------------------------------

// A model with nothing in it; close it. *is_gguf: path is a file.
va_status model_create(va_ctx *ctx, const char *path, bool *is_gguf, va_model **model);
// Of a GGUF model after its file was opened.
va_status model_load_config(va_model *m);
va_status model_load_tokenizer(va_model *m);

// -- files ----------------------------------------------------------------------------------------

// A GGUF file that is a part of several is VA_ERR_UNSUPPORTED.
va_status model_files_open(va_ctx *ctx, const char *path, bool is_gguf, model_files *files);
void model_files_close(model_files *files);
int64_t model_files_count(const model_files *files);
const va_file_tensor *model_files_at(const model_files *files, int64_t i); // sorted by name
const va_file_tensor *model_files_find(const model_files *files, const char *name);

// -- weights --------------------------------------------------------------------------------------

// Where a graph weight's numbers are.
typedef struct model_source {
    const va_file_tensor *file; // a tensor that holds it, maybe with others
    va_arch_source rows;        // which of its rows
    va_tensor tensor;           // the weight itself: shape and dtype
} model_source;

// The file's tensor for a graph weight, under any name it may have; checked for shape and dtype.
// VA_ERR_FORMAT when missing, VA_ERR_SHAPE when it does not fit: file, tensor, expected, got.
va_status model_find_weight(va_model *m, const char *name, const va_tensor *expected,
                            model_source *found);
// The same of a model without files: a tensor without data, of which model_random_of tells the
// numbers.
va_status model_random_source(va_model *m, const char *name, const va_tensor *expected,
                              model_source *found);
va_random model_random_of(const va_model *m, const char *name, const va_tensor *shape);
// VA_ERR_USAGE for a model without files; what they are needed for.
va_status model_need_files(const va_model *m, const char *what);
// The embedding table, checked.
va_status model_find_embedding(va_model *m, const va_file_tensor **found);
// Rows first..first+n-1 of the weight: in the file itself where they stand together, else gathered
// in temp (n rows).
const void *model_source_rows(const model_source *s, int64_t first, int64_t n, void *temp);
// Row id of the table, in dtype f32 or that of the table, checked for NaN and infinity.
va_status model_embedding_row(va_model *m, const va_file_tensor *table, int32_t id, va_dtype dtype,
                              void *to);
// Weight number i of the graph (of the embedding rows in use, the whole table), checked.
va_status model_find_graph_weight(va_model *m, const va_graph *g, int64_t i, model_source *found);
// Every weight of the graph is in the files and fits; the graph is told the dtypes in which they
// will lie on the device. Before va_graph_finish.
va_status model_plan_weights(va_model *m, va_graph *g);
// The weight on the device, uploaded at the first call in the dtype expected if the file's is
// quantised, else as it is; checked for NaN and infinity.
va_status model_get_weight(va_model *m, const char *name, const va_tensor *expected,
                           va_tensor *tensor);
// VA_ERR_NUMERIC naming tensor and index when data [n] holds NaN or infinity, of quantised blocks
// when a scale does; base is added to the index told, which none is when base is negative.
va_status model_check_finite(va_ctx *ctx, const va_file_tensor *t, const void *data, int64_t n,
                             int64_t base);
// The same of rows [row, row + count) of n of a weight's n_rows, as model_source_rows gives them.
va_status model_check_rows(va_ctx *ctx, const model_source *s, const void *data, int64_t row,
                           int64_t count, int64_t n, int64_t n_rows);

// -- prompts --------------------------------------------------------------------------------------

// What a site's "last" layer is in this model; VA_ERR_USAGE outside it.
va_status model_resolve_site(const va_model *m, va_site *s);
// A prompt with its graph built and finished, without a device.
va_status prompt_build(va_model *m, const va_prompt_params *params, va_prompt **prompt);
// Edits of zero, when the graph takes any.
va_status prompt_make_edits(va_prompt *p);
// Every weight of the graph uploaded and bound but the embedding rows, which are rows. run: the
// graph's forward pass follows as the weights arrive.
va_status model_bind_weights(va_model *m, va_graph *g, const va_tensor *rows, bool run);
// A derivative asked for: sites by number.
typedef struct prompt_request {
    const int64_t *from;  // [n_from], borrowed
    const va_node *nodes; // [n_from] of the graph, at all positions
    int64_t n_from, to;
    va_mode mode;
    va_map_use use;
    bool reverse;        // of VA_MAP_DENSE: by cotangents; set on the way in, or by prompt_fit
    const int64_t *rows; // [n_rows] of the target; NULL: all
    int64_t n_rows;
    int64_t min_k, max_k; // of the budget; set by prompt_fit
} prompt_request;
// What a buffer takes: Vulkan's limit on offset alignment is 256 bytes.
static inline int64_t prompt_padded(int64_t bytes) {
    return (bytes + 255) / 256 * 256;
}
// Values of the forward pass and the embedding rows of the prompt's tokens.
int64_t prompt_value_bytes(const va_prompt *p);
// The request for several sources, checked; nodes are owned by the prompt.
va_status prompt_jacobians_request(va_prompt *p, va_arena *arena, const va_jacobians *j,
                                   prompt_request *r);

va_status prompt_check_request(const va_prompt *p, const int64_t *from, int64_t n_from, int64_t to,
                               va_mode mode);
// The sweeps that it takes with k vectors, jvp before vjp; returns their number.
int prompt_sweeps(const va_prompt *p, const prompt_request *r, int64_t k, va_sweep sweeps[2]);
// How many vectors go through one sweep, and what that takes.
va_status prompt_fit(const va_prompt *p, prompt_request *r, const va_map_budget *budget,
                     va_map_plan *plan);
// The forward pass, if it has not run since the ids were set; recorded.
va_status prompt_forward(va_prompt *p);
// A graph of n_blocks blocks and what follows, at one token, its weights not looked for; destroy
// it.
va_status model_bare_graph(va_model *m, int64_t n_blocks, bool unembed, va_graph **graph);
// The same with its weights planned, finished.
va_status model_probe_graph(va_model *m, int64_t n_blocks, bool unembed, va_graph **graph);

#endif
