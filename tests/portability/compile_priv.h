// compile_priv.h: what the files of compile_shaders share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_COMPILE_PRIV_H
#define VKALIGN_COMPILE_PRIV_H

#include <stdio.h>
#include <stdlib.h>

#include <vulkan/vulkan.h>

#include "gpu_features.h"
#include "gpu_shader.h"
#include "matmul_kernel.h"
#include "shader_variants.h"

typedef struct compiler {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkPipelineLayout layout;
    gpu_features features;
    va_gpu_info info; // of it what tiles depend on
    bool has_statistics;
    PFN_vkGetPipelineExecutablePropertiesKHR get_executables;
    PFN_vkGetPipelineExecutableStatisticsKHR get_statistics;
    int n_failed;
} compiler;

static inline void die(const char *what, VkResult result) {
    fprintf(stderr, "compile_shaders: %s: VkResult %d\n", what, (int)result);
    exit(2);
}

#define VK_NEED(call)                                                                              \
    do {                                                                                           \
        VkResult result_ = (call);                                                                 \
        if (result_ < 0)                                                                           \
            die(#call, result_);                                                                   \
    } while (0)

// -- compile_print.c: lines of JSON ----------------------------------------------------------

void print_device(const compiler *c);
// What the driver says of each executable of a pipeline.
void print_executables(const compiler *c, VkPipeline pipeline, const gpu_shader *shader,
                       const char *variant);
void print_error(const gpu_shader *shader, const char *variant, VkResult result);
void print_needs(const gpu_shader *shader, const char *variant, const char *what);

// -- compile_needs.c: what the device must offer ---------------------------------------------

// Writes what the device lacks of what the shader needs; false when there is nothing.
bool compile_lacks(const compiler *c, const gpu_shader *shader, char *text, size_t size);
// Does it run on matrix cores: the runtime's va_kernel.matrix?
bool compile_on_matrix(const gpu_shader *shader);

#endif
