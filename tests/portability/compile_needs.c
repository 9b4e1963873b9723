// compile_needs.c: what a shader needs beyond the baseline, and whether the device offers it.
// SPDX-License-Identifier: Apache-2.0
#include "compile_priv.h"

#include <inttypes.h>

enum { // SPIR-V capabilities
    MATRIX = 0,
    SHADER = 1,
    FLOAT16 = 9,
    GROUP = 61,
    GROUP_END = 68,
    BF16 = 5116,
    BF16_MATRIX = 5118,
    MEMORY_MODEL = 5345,
    PER_ELEMENT = 5432,
    COOPERATIVE_MATRIX = 6022
};

// The i-th SPIR-V capability of a shader; false past the last.
static bool capability_at(const gpu_shader *shader, size_t i, uint32_t *capability) {
    enum { HEADER_WORDS = 5, OP_CAPABILITY = 17 }; // an instruction of two words
    const size_t at = HEADER_WORDS + 2 * i;
    if (at + 1 >= shader->size_bytes / 4 || (shader->words[at] & 0xffff) != OP_CAPABILITY)
        return false;
    *capability = shader->words[at + 1];
    return true;
}

static bool has_capability(const gpu_shader *shader, uint32_t wanted) {
    uint32_t capability;
    for (size_t i = 0; capability_at(shader, i, &capability); i++)
        if (capability == wanted)
            return true;
    return false;
}

// Is it part of the baseline, or of what the runtime turned on?
static bool offers(const gpu_features *f, uint32_t capability) {
    switch (capability) {
    case MATRIX:
    case SHADER:
        return true;
    case FLOAT16:
    case MEMORY_MODEL:
    case COOPERATIVE_MATRIX:
        return f->has_matrix;
    case BF16:
    case BF16_MATRIX:
        return f->has_bf16;
    case PER_ELEMENT:
        return f->has_flexible;
    default:
        return capability >= GROUP && capability <= GROUP_END;
    }
}

bool compile_lacks(const compiler *c, const gpu_shader *shader, char *text, size_t size) {
    uint32_t capability;
    for (size_t i = 0; capability_at(shader, i, &capability); i++)
        if (!offers(&c->features, capability)) {
            snprintf(text, size, "SPIR-V capability %" PRIu32, capability);
            return true;
        }
    return false;
}

bool compile_on_matrix(const gpu_shader *shader) {
    return has_capability(shader, COOPERATIVE_MATRIX);
}
