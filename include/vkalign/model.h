// model.h: a model ready to run: files found and checked, weights uploaded as needed, a graph at a
// prompt, sites read and differentiated. Depends on arch.h, text.h, linmap.h and below.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MODEL_H
#define VKALIGN_MODEL_H

#include "vkalign/arch.h"
#include "vkalign/linmap.h"
#include "vkalign/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct va_model va_model;

// Opens a folder: config.json, tokenizer.json (may be absent: then only ids can be run), weights'
// headers; or a GGUF file, which holds all of these. Opens no device and reads no weight data.
va_status va_model_open(va_ctx *ctx, const char *path, va_model **model);
// A model without files: config_json is the text of a config.json, the weights are random bf16
// numbers that are made on the device when a prompt needs them and depend on (seed, name in the
// graph) alone: matrices with deviation 1 / sqrt(n_in), norms about a gain of 1. It has no
// tokenizer, and va_model_hash, va_model_table_rows and va_model_norm_gain are VA_ERR_USAGE.
va_status va_model_open_random(va_ctx *ctx, const char *name, const char *config_json,
                               uint64_t seed, va_model **model);
// Every reason why va_model_open or a run would refuse the model, as far as each can be told
// without the others: configuration, tokenizer, files, weights that are missing or do not fit. n =
// 0: none.
typedef struct va_model_fault {
    va_status status;
    const char *message; // in arena
} va_model_fault;
va_status va_model_survey(va_ctx *ctx, va_arena *arena, const char *path,
                          const va_model_fault **faults, int64_t *n);
void va_model_close(va_model **model);
va_ctx *va_model_ctx(const va_model *model);
const va_arch_config *va_model_config(const va_model *model);
va_tokenizer *va_model_tokenizer(va_model *model);   // NULL when there is none
const char *va_model_dir(const va_model *model);     // the path as opened
int64_t va_model_param_count(const va_model *model); // elements of all weights in the files
bool va_model_is_quantised(const va_model *model); // some weights are in blocks: results are of the
                                                   // dequantised ones
const char *va_model_dtype_text(const va_model *model); // "BF16", or "BF16+F32"

// Device bytes of the weights that sites up to n_blocks blocks need (norms, and the unembedding
// if unembed); embedding rows apart. Works without a device.
va_status va_model_weight_bytes(va_model *model, int64_t n_blocks, bool unembed, int64_t *bytes);
// The same with every weight padded as its buffer is.
va_status va_model_buffer_bytes(va_model *model, int64_t n_blocks, bool unembed, int64_t *bytes);
// SHA-256 over names, shapes, dtypes and bytes of the weights those sites need, and of config.json
// and tokenizer.json, or of a GGUF file's header.
va_status va_model_hash(va_model *model, int64_t n_blocks, bool unembed, char hex[65]);

typedef enum va_model_table { VA_TABLE_EMBED, VA_TABLE_UNEMBED } va_model_table;
typedef va_status (*va_table_rows_fn)(void *user, int64_t first, int64_t count, const float *rows);
// Every row of a table [V, d] in order, as f32, some 1 MiB at a time out of the files: no device.
// The embedding is as stored, before any scaling; a tied unembedding is the same table. NaN and
// infinity are VA_ERR_NUMERIC. Stops at va_interrupt.
va_status va_model_table_rows(va_model *model, va_model_table table, va_table_rows_fn fn,
                              void *user);
// gain [d] of the final norm, 1 + w for Gemma; *centred: whether it takes the mean away first.
va_status va_model_norm_gain(va_model *model, float *gain, bool *centred);

// Sets the device; before the first prompt. gpu is borrowed.
va_status va_model_attach(va_model *model, va_gpu *gpu);

// The tokenizer alone, without a configuration or weights: of a folder's tokenizer.json, of that
// file itself, or of a FILE.gguf (which may hold nothing else).
va_status va_model_load_tokenizer(va_ctx *ctx, const char *path, va_tokenizer **tok);
// Token ids of text with the tokenizer's special tokens; a model without a tokenizer is
// VA_ERR_USAGE. concept (NULL: none) is found in the text and its tokens' range returned in
// first/count (count 0 when not found).
va_status va_model_tokenize(va_model *model, va_arena *arena, const char *text,
                            const char *concept_name, int32_t **ids, int64_t *n_ids,
                            int64_t *concept_first, int64_t *concept_count);

// -- a model at a prompt ------------------------------------------------------------------------

typedef struct va_prompt va_prompt;

typedef struct va_prompt_params {
    const int32_t *ids; // [n_seq, seq_len]
    int64_t n_seq;      // 0 = 1; derivatives need 1
    int64_t seq_len;
    const va_site *sites; // every site that will be read or differentiated; layer -1 is "last"
    int64_t n_sites;
    bool derivatives;                     // whether va_prompt_linmap will be called
    uint32_t modes;                       // bit (1 << va_mode) of the modes wanted; 0 = both
    int64_t concept_first, concept_count; // for @concept
    const va_site *edit; // embed or resid:N, where va_prompt_set_edit adds; position ignored;
                         // NULL: nowhere, at no cost
    bool run; // begin the forward pass with these ids while weights are still on their way: for a
              // prompt that is read next
} va_prompt_params;

// Builds the graph, uploads missing weights and embedding rows. VA_ERR_USAGE for ids outside the
// vocabulary, prompts longer than the context, positions outside the prompt. Weights with NaN or
// infinity are VA_ERR_NUMERIC naming the tensor and index.
va_status va_prompt_create(va_model *model, const va_prompt_params *params, va_prompt **prompt);
// New ids of the same shape, on the same graph.
va_status va_prompt_set_ids(va_prompt *prompt, const int32_t *ids);
// Adds delta [d_model] to the stream at the site `edit`, row n * seq_len + t for token t of
// sequence n; NULL: adds nothing there. Rows keep theirs until told otherwise, also under new ids.
// At first none has any. VA_ERR_USAGE for a row outside, or a prompt made without `edit`;
// VA_ERR_NUMERIC for a delta that is not finite.
va_status va_prompt_set_edit(va_prompt *prompt, int64_t row, const float *delta);
void va_prompt_destroy(va_prompt **prompt);
// Device memory and work of a prompt, without a device: of the forward pass (weights apart, its
// tokens' embedding rows included), and
// (may be NULL) of one jvp with k = 1 for the first of params->sites that precedes another and the
// first that it precedes, in the first mode wanted; zero without derivatives. ids may be NULL.
// Fails as va_prompt_create does for sites, ids (when given) and weights' shapes.
va_status va_prompt_plan(va_model *model, const va_prompt_params *params, va_graph_cost *forward,
                         va_graph_cost *jvp_1);

// Rows and width of a site at its position: [rows, width] per sequence.
void va_prompt_site_shape(const va_prompt *prompt, int64_t site, int64_t *rows, int64_t *width);
va_model *va_prompt_model(const va_prompt *prompt);
// The site with its layer's number, and the tokens that it takes: [first, first + count), for @mean
// those that the mean is of.
va_site va_prompt_site(const va_prompt *prompt, int64_t site, int64_t *first, int64_t *count);
// The site's value, [n_seq, rows, width] f32; runs forward when needed; waits. Non-finite values
// are VA_ERR_NUMERIC.
va_status va_prompt_read(va_prompt *prompt, int64_t site, float *data);

// Logits [n, vocab] of rows x [n, d_model] of the stream after the last block: final norm,
// unembedding, softcap. x [n, d_model] and logits are on the host; waits. Non-finite values are
// VA_ERR_NUMERIC.
va_status va_model_decode(va_model *model, const float *x, int64_t n, float *logits);

// -- derivatives ----------------------------------------------------------------------------------

// What a derivative may use; all fields 0: the defaults.
typedef struct va_map_budget {
    int64_t memory_bytes; // device memory for everything, weights and values too; 0: the device's,
                          // without a device no bound
    int64_t sweep_bytes;  // temporaries of one sweep; 0 = 1 GiB
    int64_t range_bytes;  // largest binding; 0 = 128 MiB, which every device has
    int64_t max_k;        // vectors of one sweep at most; 0: the map's rows or columns
    int64_t min_k;        // the fewest that a map will be applied to; 0 = 1. Fewer may take more
} va_map_budget;

// A derivative's device memory and work, known before anything is allocated. What is allocated in
// fact is the same but for alignment.
typedef struct va_map_plan {
    int64_t rows, columns;          // of the map
    int64_t k;                      // vectors of one sweep
    int64_t sweeps;                 // that forming the whole matrix takes
    int64_t weight_bytes;           // shared by all prompts of the model
    int64_t value_bytes;            // while the prompt is there: values, embedding rows
    int64_t sweep_bytes, end_bytes; // temporaries, and the blocks at both ends
    int64_t peak_bytes;             // all four
    double flop, bytes; // arithmetic and memory traffic, as va_graph_cost, of one sweep of k
                        // vectors; VA_MAP_APPLY: one each way
    bool reverse; // of VA_MAP_DENSE: by rows of the matrix, else by columns gathered on the host
} va_map_plan;

typedef enum va_map_use {
    VA_MAP_APPLY,   // both directions on blocks of k
    VA_MAP_FORWARD, // J x alone
    VA_MAP_DENSE    // the whole matrix: one direction
} va_map_use;

// Works without a device. With one (va_model_attach) its limits count too. VA_ERR_MEMORY when not
// even one vector fits, with the bytes that would do. budget may be NULL.
va_status va_prompt_plan_map(va_model *model, const va_prompt_params *params, int64_t from,
                             int64_t to, va_mode mode, va_map_use use, const va_map_budget *budget,
                             va_map_plan *plan);
// d site[to] / d site[from] as a map from [rows_from, width] to [rows_to, width]. The map borrows
// the prompt. `from` with @mean is VA_ERR_USAGE. from must come before to in the forward pass.
va_status va_prompt_linmap(va_prompt *prompt, int64_t from, int64_t to, va_mode mode,
                           const va_map_budget *budget, va_linmap **map);

// The whole derivative, formed within the plan of VA_MAP_DENSE; fn as for va_linmap_rows.
va_status va_prompt_rows(va_prompt *prompt, int64_t from, int64_t to, va_mode mode,
                         const va_map_budget *budget, va_rows_fn fn, void *user);

// The derivatives of site[to] by several sites at the same positions, all from one reverse sweep
// for each chunk of rows: the work of the deepest alone.
typedef struct va_jacobians {
    const int64_t *from; // [n_from]; rows by a source that the target does not depend on are zero
    int64_t n_from, to;
    va_mode mode;
    const int64_t *rows; // [n_rows] of the target, from 0 to its rows times its width: the logits
    int64_t n_rows;      // of chosen tokens, for example; NULL: all
} va_jacobians;
// As va_prompt_plan_map of VA_MAP_DENSE.
va_status va_prompt_plan_jacobians(va_model *model, const va_prompt_params *params,
                                   const va_jacobians *j, const va_map_budget *budget,
                                   va_map_plan *plan);
// Rows first..first+count-1 (of those chosen) of the derivative by source i, each as long as that
// source. Called chunk by chunk, for every source in turn.
typedef va_status (*va_source_rows_fn)(void *user, int64_t source, int64_t first, int64_t count,
                                       const float *rows);
va_status va_prompt_jacobians(va_prompt *prompt, const va_jacobians *j, const va_map_budget *budget,
                              va_source_rows_fn fn, void *user);
// y - J x at the prompt, and std(y - J x - b) / std(y) is left to the caller: copies x (from) and
// y (to) as read by va_prompt_read, applies the map once: Jx [rows_to, width].
va_status va_prompt_jx(va_prompt *prompt, int64_t from, int64_t to, va_linmap *map, float *Jx);

// -- means over prompts ---------------------------------------------------------------------------

typedef struct va_mean_prompt {
    const int32_t *ids; // [seq_len]
    int64_t seq_len;
    int64_t concept_first, concept_count; // for @concept: of these tokens the last one
} va_mean_prompt;

typedef enum va_mean_keep {
    VA_MEAN_KEEP_AUTO, // as KEEP_ALL when half of the memory does, else as KEEP_NONE
    VA_MEAN_KEEP_ALL,  // every prompt's values stay on the device
    VA_MEAN_KEEP_NONE  // one graph for all prompts alike in length and positions; every
                       // application runs the forward passes again
} va_mean_keep;

typedef struct va_mean_params {
    const va_mean_prompt *prompts; // copied
    int64_t n_prompts;
    va_site from, to; // each at one position of every prompt: @last, @concept, @N; `to` also @mean
    va_mode mode;
    va_mean_keep keep;
    const va_map_budget *budget; // memory_bytes: of all prompts together; NULL: defaults
} va_mean_params;

// The mean of d site[to] / d site[from] over prompts, as one map that keeps no Jacobian: an
// application goes through all prompts in a fixed order. Errors are those of va_prompt_create and
// va_prompt_linmap, naming the prompt; a site at several positions is VA_ERR_USAGE; VA_ERR_MEMORY
// when not even one vector fits.
typedef struct va_mean_map va_mean_map;
va_status va_mean_map_create(va_model *model, const va_mean_params *params, va_mean_map **mean);
// What a mean takes, without a device; with one its limits count too. Errors as above.
typedef struct va_mean_plan {
    int64_t rows, columns;           // of the map
    int64_t k;                       // vectors of one application
    bool resident;                   // whether all prompts are kept
    int64_t peak_bytes;              // device memory, weights too
    double forward_flop;             // all prompts once; not resident: before every application
    double apply_flop, apply_t_flop; // one application of k vectors
} va_mean_plan;
va_status va_mean_map_plan(va_model *model, const va_mean_params *params, va_mean_plan *plan);
void va_mean_map_destroy(va_mean_map **mean);
va_linmap *va_mean_map_linmap(va_mean_map *mean); // borrowed; lives as long as mean
// Means over the prompts: x [d_in] and y [d_out] of the values at both sites, and b [d_out] of
// y - J x, each with its own J. Any of them may be NULL; without b nothing is applied.
va_status va_mean_map_means(va_mean_map *mean, float *x, float *y, float *b);
// y [k, d_out] = J x of one prompt alone, x [k, d_in].
va_status va_mean_map_apply_one(va_mean_map *mean, int64_t prompt, const float *x, int64_t k,
                                float *y);
bool va_mean_map_resident(const va_mean_map *mean);         // whether all prompts are kept
int64_t va_mean_map_graph_count(const va_mean_map *mean);   // graphs built
int64_t va_mean_map_planned_bytes(const va_mean_map *mean); // device memory, weights too

#ifdef __cplusplus
}
#endif
#endif
