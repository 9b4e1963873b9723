// read_direction_priv.h: what the files of read_direction share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_READ_DIRECTION_PRIV_H
#define VKALIGN_READ_DIRECTION_PRIV_H

#include "read_priv.h"
#include "vkalign/read_direction.h"

// What can be told of a request before any prompt is built.
va_status direction_check(va_model *model, const va_map_direction_params *p);
// What needs the map's shape: positions and rank.
va_status direction_check_shape(va_model *model, const va_map_direction_params *p,
                                const va_linmap_shape *shape);

int64_t direction_width(va_model *model, const va_site *site);
va_svd_params direction_svd(const va_map_direction_params *p);
// The caller's budget with as many vectors at once as the request applies J to.
va_map_budget direction_budget(const va_map_direction_params *p, const va_linmap_shape *shape);
// One prompt; sites [2] is filled and borrowed.
va_prompt_params direction_prompt(const va_map_direction_params *p, va_site *sites);
// Several; budget is borrowed.
va_mean_params direction_mean(const va_map_direction_params *p, const va_map_budget *budget);
// The shape that a mean's map has.
va_linmap_shape direction_mean_shape(va_model *model, const va_map_direction_params *p);

#endif
