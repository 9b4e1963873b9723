// mean_map.h: a mean over prompts: which prompts share a graph, and what all of them take.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MEAN_MAP_H
#define VKALIGN_MEAN_MAP_H

#include "model_priv.h"

// Prompts alike in length and positions.
typedef struct mean_group {
    int64_t seq_len;
    va_site sites[2];     // from and to, at @N or (to) @mean
    int64_t first, count; // of the units
    int64_t held;         // unit whose ids the shared prompt holds
    va_prompt *prompt;    // shared, or NULL when every unit has its own
    va_linmap *map;
} mean_group;

// A prompt of the mean.
typedef struct mean_unit {
    int64_t index;                   // in the caller's list
    int64_t seq_len, from_at, to_at; // tokens; to_at -1: the mean
    int32_t *ids;
    mean_group *group;
    va_prompt *prompt; // the group's, or its own
    va_linmap *map;
} mean_unit;

struct va_mean_map {
    va_model *model;
    va_arena *arena;
    va_mode mode;
    mean_unit *units; // sorted by length and positions, then as given
    int64_t n_units;
    mean_group *groups;
    int64_t n_groups;
    bool resident;
    int64_t planned_bytes, n_applied;
    va_linmap *map;
    va_buffer *term; // of one prompt, before it is added
};

// Units and groups, in mean->arena.
va_status mean_group_prompts(va_mean_map *mean, const va_mean_params *params);
// Parameters of the group's prompts; ids are those of unit u.
va_prompt_params mean_prompt_params(const va_mean_map *mean, const mean_group *g,
                                    const mean_unit *u);
// Whether all prompts are kept, and how many vectors go through at once.
va_status mean_plan(va_mean_map *mean, const va_mean_params *params, int64_t *max_k);

#endif
