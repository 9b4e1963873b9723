// mlp.glsl: what the kernels that train a multilayer perceptron share.
//
// Weights are [P, rows, stride]: a row holds a unit's n_in weights, its bias at column n_in, then
// zeros; stride = n_in + 1 and rows = n_out rounded up to 4, rows past n_out are zero. Inputs and
// activations are [.., stride] with 1 at column n_in and zeros after it, so that the bias is one
// more weight; gradients have the activations' shape, and past the units anything finite, as the
// weights there are zero. P problems share nothing but X. Each is at a step of its own, or at none,
// and then nothing of its changes. Sums run in a fixed order. Loops go by fours where they can:
// lavapipe ends a loop after 65,535 iterations.
//
// The matmul kernels come in two forms. Without LANES an invocation makes a tile of its own. With
// LANES, for drivers that run on a CPU, a workgroup is one subgroup and makes one tile: lavapipe
// takes about 40 cycles for each float that each lane loads (its compiler puts it into the vector
// through memory), so every lane loads something else, and the lanes take it from each other.
// The sums wait in shared memory, each lane's in cells of its own, so that what follows them is a
// loop and not written out for each: that saves seconds of compilation.
// SPDX-License-Identifier: Apache-2.0
#ifndef MLP_GLSL
#define MLP_GLSL

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TILE_U = 1; // units: fours of them; LANES: times N_LANES units
layout(constant_id = 2) const uint TILE_R = 4; // batch rows or fours of inputs; LANES: times N_LANES
layout(constant_id = 3) const uint N_LANES = 8; // the workgroup's size: 8 or 16

// One problem's place at one step; mlp_step of mlp_priv.h.
struct Step {
    uint row0, n_rows; // of the entries; n_rows = 0: its epoch is over
    uint step;         // of the problem's training, from 0
    uint seed_low, seed_high;
    float step_size, inv_sqrt_correction; // AdamW's, see mlp_update.comp
    uint unused;
};

// An entry is a row of X with its label in the top bit.
uint entry_row(uint entry)
{
    return entry & 0x7fffffffu;
}

float entry_label(uint entry)
{
    return float(entry >> 31);
}

// The number of the workgroup within the problem, in a grid folded over x and y.
uint workgroup()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

uint invocation()
{
    return workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

uint ceil_div(uint a, uint b)
{
    return (a + b - 1) / b;
}

#ifdef LANES
// M(l) for the number of every lane; a literal, as broadcasts want it.
#define EACH_LANE(M)                                                                               \
    M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)                                                        \
    if (N_LANES > 8) {                                                                             \
        M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)                                              \
    }
#endif

#endif
