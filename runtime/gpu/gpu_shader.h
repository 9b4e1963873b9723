// gpu_shader.h: the table of embedded SPIR-V modules that cmake/shaders.cmake writes.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GPU_SHADER_H
#define VKALIGN_GPU_SHADER_H

#include <stddef.h>
#include <stdint.h>

typedef struct gpu_shader {
    const char *name; // "op/rmsnorm.VJP"
    const uint32_t *words;
    size_t size_bytes;
} gpu_shader;

extern const gpu_shader gpu_shaders[]; // sorted by name (strcmp), one empty entry at the end
extern const int64_t gpu_n_shaders;

#endif
