// mlp.glsl: what the kernels that train a multilayer perceptron share.
//
// Weights are [P, rows, stride]: a row holds a unit's n_in weights, its bias at column n_in, then
// zeros; stride = n_in + 1 and rows = n_out rounded up to 4, rows past n_out are zero. Inputs and
// activations are [.., stride] with 1 at column n_in and zeros after it, so that the bias is one
// more weight; gradients have the activations' shape, and past the units anything finite, as the
// weights there are zero. P problems share nothing but X. Sums run in a fixed order. Loops go by
// fours where they can: lavapipe ends a loop after 65,535 iterations.
// SPDX-License-Identifier: Apache-2.0
#ifndef MLP_GLSL
#define MLP_GLSL

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TILE_U = 1; // units of an invocation, in fours
layout(constant_id = 2) const uint TILE_R = 4; // batch rows (update: fours of inputs)

// Its number within the problem, in a grid folded over x and y.
uint invocation()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    return group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

uint ceil_div(uint a, uint b)
{
    return (a + b - 1) / b;
}

#endif
