#version 450
// linear_coopmat_bf16.comp: linear_coopmat.comp with bf16 operands, for weights that are bf16. Those that
// are denormal may count as 0.
// variants: NT NN
// requires: GL_KHR_cooperative_matrix GL_EXT_bfloat16
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_bfloat16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_shader_subgroup_basic : require
#define BF16
#include "linear_coopmat.glsl"
