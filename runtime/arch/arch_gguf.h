// arch_gguf.h: reading the metadata of a GGUF file key by key, and writing the config.json that
// says the same.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_ARCH_GGUF_H
#define VKALIGN_ARCH_GGUF_H

#include "arch_priv.h"

enum { ARCH_GGUF_MAX_KEYS = 48, ARCH_GGUF_KEY_SIZE = 96 };

// Which layers have windows where a file tells a window.
typedef enum arch_gguf_windows {
    ARCH_GGUF_NO_WINDOWS,
    ARCH_GGUF_ALL_LAYERS,
    ARCH_GGUF_BY_PERIOD // all but every `period`th
} arch_gguf_windows;

typedef struct arch_gguf_family {
    const char *arch, *model_type;
    const char *layers, *width, *heads, *ff, *context, *theta, *eps; // keys of config.json
    arch_gguf_windows windows;
    int64_t period, window; // when absent
} arch_gguf_family;

typedef struct arch_gguf_reader {
    va_ctx *ctx;
    const char *path;
    const va_gguf *g;
    const arch_gguf_family *family;
    va_json *out;                                      // the config.json
    char read[ARCH_GGUF_MAX_KEYS][ARCH_GGUF_KEY_SIZE]; // keys asked for so far
    int n_read;
    int64_t layers, width, heads, head_width, window; // window: 0 = none
} arch_gguf_reader;

bool arch_gguf_is(const arch_gguf_reader *r, const char *arch);
bool arch_gguf_has_tensor(const arch_gguf_reader *r, const char *name);
// The value of ARCH.key, NULL when absent; marks it as read.
const va_gguf_value *arch_gguf_take(arch_gguf_reader *r, const char *key);
// VA_ERR_FORMAT naming the key, what was expected and what it holds. The latter is the same with
// VA_ERR_UNSUPPORTED, for what is sound but not understood.
va_status arch_gguf_wrong(arch_gguf_reader *r, const char *key, const char *expected);
va_status arch_gguf_unsupported(arch_gguf_reader *r, const char *key, const char *expected);
// *out keeps its value when the key is absent and not required.
va_status arch_gguf_int(arch_gguf_reader *r, const char *key, bool required, int64_t min,
                        int64_t max, int64_t *out);
va_status arch_gguf_positive(arch_gguf_reader *r, const char *key, bool required, double *out);

// rope.* and the factors of frequencies in tensors.
va_status arch_gguf_rope(arch_gguf_reader *r);

#endif
