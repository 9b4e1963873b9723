// arch_priv.h: what the families share: reading config.json key by key, RoPE tables, the family
// table. SPDX-License-Identifier: Apache-2.0
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
// *out keeps its value (the default) when the key is absent or null. Out of range or of another
// type is VA_ERR_FORMAT naming file, key, expected and got.
va_status va_config_int(va_config_reader *r, const char *key, int64_t min, int64_t max,
                        int64_t *out);
va_status va_config_positive(va_config_reader *r, const char *key, double *out); // finite, > 0
va_status va_config_bool(va_config_reader *r, const char *key, bool *out);
va_status va_config_string(va_config_reader *r, const char *key, const char **out);
// Refuses the key unless it is absent, null, false, 0 or empty.
va_status va_config_refuse(va_config_reader *r, const char *key, const char *why);
va_status va_config_act(va_config_reader *r, const char *key, va_act *act);
// Refuses every key neither read nor known to be harmless.
va_status va_config_finish(va_config_reader *r);
// VA_ERR_UNSUPPORTED naming the key and its value, with why.
va_status va_config_unsupported(va_config_reader *r, const char *key, const char *why);

// -- rotary position embeddings -------------------------------------------------------------------

typedef struct va_rope {
    double theta;  // base
    double factor; // linear scaling; 1 = none
} va_rope;

// rope_type, type, factor, rope_theta of an object (NULL: nothing) into rope, defaults kept.
va_status va_config_rope(va_config_reader *r, const char *key, const va_json *obj, va_rope *rope);
// The table [seq_len, d_head / 2, 2] of (cos, sin), in the float32 steps of HF transformers.
va_status va_rope_const(va_ctx *ctx, va_graph *g, const char *name, const va_rope *rope,
                        int64_t seq_len, int64_t d_head, va_node *node);

// -- families -------------------------------------------------------------------------------------

struct va_arch {
    const char *family;
    const char *const *model_types; // NULL-terminated
    va_status (*parse)(va_ctx *ctx, va_arena *arena, const va_json *root, const char *path,
                       va_arch_config *config);
    va_status (*build)(va_ctx *ctx, va_graph *g, const va_arch_config *config,
                       const va_arch_build_params *params, int64_t n_rows, va_node *ids,
                       va_node *nodes);
    va_node (*unembed)(va_graph *g, const va_arch_config *config, va_node x);
    const char *(*alias)(va_arena *arena, const char *name, int64_t i);
    int64_t (*block_params)(const va_arch_config *config);
    const char *(*layer_text)(const va_arch_config *config, char buf[256]);
};

extern const va_arch va_arch_gemma3;

#endif
