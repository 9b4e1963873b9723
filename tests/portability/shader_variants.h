// shader_variants.h: the specialisation constants with which the runtime builds its shaders on a
// GPU.
//
// Every shader is compiled once for each line whose pattern matches its name, and with the values
// in its own text where none does. Where the value depends on the model or the device, a line
// stands for each that costs something of its own: weights read as they are (F32) and unpacked
// (BF16). Those of kernels on matrix cores have a table of their own.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SHADER_VARIANTS_H
#define VKALIGN_SHADER_VARIANTS_H

#include "vkalign/gpu.h"
#include "vkalign/op.h"

typedef struct shader_variant {
    const char *pattern; // fnmatch(3) of the shader's name
    const char *label;   // one word
    uint32_t n_spec, spec[VA_MAX_SPEC];
} shader_variant;

static const shader_variant shader_variants[] = {
    // matmul_scalar.c: weight, bias, factor, rows, columns, inner, a thread's rows and columns
    {"op/linear.*", "f32-32x128", 8, {VA_F32, VA_F32, 0, 32, 128, 16, 4, 4}},
    {"op/linear.*", "f32-128x128", 8, {VA_F32, VA_F32, 0, 128, 128, 16, 8, 8}},
    {"op/linear.*", "bf16-32x128", 8, {VA_BF16, VA_F32, 0, 32, 128, 16, 4, 4}},
    {"op/linear.*", "bf16-64x64", 8, {VA_BF16, VA_F32, 0, 64, 64, 16, 4, 4}},
    {"op/linear.*", "bf16-128x128", 8, {VA_BF16, VA_F32, 0, 128, 128, 16, 8, 8}},
    {"op/linear_few.N[NT]", "f32", 3, {VA_F32, VA_F32, 0}},
    {"op/linear_few.N[NT]", "bf16", 3, {VA_BF16, VA_F32, 0}},
    // weight, bias, aligned, lanes, groups, may add; drivers on the processor alone
    {"op/linear_cpu.*", "bf16", 6, {VA_BF16, VA_F32, 1, 8, 4, 1}},
    // op_dequant.c: type, runs of an item
    {"op/dequant", "q8_0", 2, {VA_Q8_0, 1}},
    {"op/dequant", "q4_0", 2, {VA_Q4_0, 1}},
    {"op/dequant", "q4_k", 2, {VA_Q4_K, 1}},
    {"op/dequant", "q5_k", 2, {VA_Q5_K, 1}},
    {"op/dequant", "q6_k", 2, {VA_Q6_K, 1}},
    {"op/embed", "bf16", 1, {VA_BF16}},
    // gated.c: weights of gate and up, by fours
    {"op/gated.FORM", "f32", 3, {VA_F32, VA_F32, 1}},
    {"op/gated.FORM", "bf16", 3, {VA_BF16, VA_BF16, 1}},
    {"op/gated.[FJV]*[DP]", "gelu_tanh", 1, {VA_ACT_GELU_TANH}},
    {"op/gated.[FJV]*[DP]", "gelu", 1, {VA_ACT_GELU}},
    {"op/gated.[FJV]*[DP]", "silu", 1, {VA_ACT_SILU}},
    {"op/glu.*", "gelu_tanh", 1, {VA_ACT_GELU_TANH}},
    {"op/glu.*", "gelu", 1, {VA_ACT_GELU}},
    {"op/glu.*", "silu", 1, {VA_ACT_SILU}},
    // weight, local size (op_row_local), bias
    {"op/rmsnorm.*", "bf16", 2, {VA_BF16, 64}},
    {"op/layernorm.*", "f32", 3, {VA_F32, 64, VA_F32}},
    {"op/attention.*S*", "64", 1, {64}},
    // mlp_device.c: local size, units, rows, lanes; the forms with LANES on the processor alone
    {"probe/mlp_*.TILES", "1x2", 4, {64, 1, 2, 4}},
    {"probe/mlp_*.FIRST", "1x2", 4, {64, 1, 2, 4}},
    {"probe/mlp_*.NEXT", "1x2", 4, {64, 1, 2, 4}},
    {"probe/mlp_[fb]*LANES", "4x4", 4, {8, 4, 4, 8}},
    {"probe/mlp_u*LANES", "4x1", 4, {8, 4, 1, 8}},
    {"probe/mlp_logit", "32", 1, {32}},
    {"vec/gram.*", "64", 1, {64}},
};

// Kernels on matrix cores (linear_matrix.glsl): tiles of the size of a workgroup's part of the
// product, a step of the inner index and a subgroup's part, for devices whose matrices belong to
// subgroups of that size: 32 (AMD, NVIDIA), 16 (Intel since Lunar Lake) and 8 (Intel before), whose
// registers hold less. The shape of the matrices is the device's first that the tile is whole ones
// of.
typedef struct matrix_variant {
    const char *pattern, *label;
    bool flexible; // VK_NV_cooperative_matrix2
    uint32_t subgroup;
    va_dtype weight;
    uint32_t rows, cols, step, my_rows, my_cols;
} matrix_variant;

static const matrix_variant matrix_variants[] = {
    {"op/linear_coopmat.*", "bf16-32x64", false, 32, VA_BF16, 32, 64, 32, 16, 32},
    {"op/linear_coopmat.*", "bf16-64x64", false, 32, VA_BF16, 64, 64, 32, 32, 32},
    {"op/linear_coopmat.*", "bf16-128x64", false, 32, VA_BF16, 128, 64, 32, 32, 32},
    {"op/linear_coopmat.*", "bf16-128x128", false, 32, VA_BF16, 128, 128, 32, 64, 32},
    {"op/linear_coopmat.*", "f32-128x128", false, 32, VA_F32, 128, 128, 16, 64, 32},
    {"op/linear_coopmat.*", "bf16-32x64", false, 16, VA_BF16, 32, 64, 32, 16, 32},
    {"op/linear_coopmat.*", "bf16-64x64", false, 16, VA_BF16, 64, 64, 32, 16, 32},
    {"op/linear_coopmat.*", "f32-64x64", false, 16, VA_F32, 64, 64, 16, 16, 32},
    {"op/linear_coopmat.*", "bf16-32x64", false, 8, VA_BF16, 32, 64, 32, 8, 16},
    {"op/linear_coopmat.*", "f32-32x64", false, 8, VA_F32, 32, 64, 16, 8, 16},
    {"op/linear_coopmat2.*", "bf16-32x64", true, 32, VA_BF16, 32, 64, 32, 16, 32},
    {"op/linear_coopmat2.*", "bf16-128x128", true, 32, VA_BF16, 128, 128, 32, 64, 32},
};

#endif
