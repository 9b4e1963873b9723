// shader_variants.h: the specialisation constants with which the runtime builds its shaders on a
// GPU.
//
// Every shader is compiled once for each line whose pattern matches its name, and with the values
// in its own text where none does. Where the value depends on the model or the device, a line
// stands for each that costs something of its own: weights read as they are (F32) and unpacked
// (BF16). For kernels on matrix cores the runtime is asked what it would take.
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
    // matmul_scalar.c: weight, bias, factors of A and C, rows, columns, inner, a thread's rows and
    // columns
    {"op/linear.*", "f32-32x128", 9, {VA_F32, VA_F32, 0, 0, 32, 128, 16, 4, 4}},
    {"op/linear.*", "f32-128x128", 9, {VA_F32, VA_F32, 0, 0, 128, 128, 16, 8, 8}},
    {"op/linear.*", "bf16-32x128", 9, {VA_BF16, VA_F32, 0, 0, 32, 128, 16, 4, 4}},
    {"op/linear.*", "bf16-64x64", 9, {VA_BF16, VA_F32, 0, 0, 64, 64, 16, 4, 4}},
    {"op/linear.*", "bf16-128x128", 9, {VA_BF16, VA_F32, 0, 0, 128, 128, 16, 8, 8}},
    {"op/linear_few.N[NT]", "f32", 5, {VA_F32, VA_F32, 0, 0, 1}},
    {"op/linear_few.N[NT]", "bf16", 5, {VA_BF16, VA_F32, 0, 0, 1}},
    // weight, bias, aligned, lanes, groups, residual, factor; drivers on the processor alone
    {"op/linear_cpu.*", "bf16", 7, {VA_BF16, VA_F32, 1, 8, 4, 1, 0}},
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
    {"op/gated.FORWARD", "gelu_tanh", 1, {VA_ACT_GELU_TANH}},
    {"op/gated.FORWARD", "gelu", 1, {VA_ACT_GELU}},
    {"op/gated.FORWARD", "silu", 1, {VA_ACT_SILU}},
    {"op/glu.*", "gelu_tanh", 1, {VA_ACT_GELU_TANH}},
    {"op/glu.*", "gelu", 1, {VA_ACT_GELU}},
    {"op/glu.*", "silu", 1, {VA_ACT_SILU}},
    // weight, local size (op_row_local), by fours; bias
    {"op/rmsnorm.*", "bf16", 3, {VA_BF16, 64, 1}},
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

#endif
