#version 450
// linear_coopmat.comp: matmul on matrix cores by VK_KHR_cooperative_matrix with f16 operands; see
// lib/linear_matrix.glsl.
// variants: NT NN
// requires: GL_KHR_cooperative_matrix
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_shader_subgroup_basic : require
#include "linear_coopmat.glsl"
