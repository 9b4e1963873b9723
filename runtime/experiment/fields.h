// fields.h: what the tables of fields share. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_FIELDS_H
#define VKALIGN_FIELDS_H

#include "schema.h"

#define AT(type, member) .offset = offsetof(type, member)
#define COUNT(type, member) .count_offset = offsetof(type, member)
#define PLACE(type, member) .place_offset = offsetof(type, member) + 1
#define PRESENT(type, member) .present_offset = offsetof(type, member) + 1

extern const va_field *const va_direction_variants[]; // by va_direction_kind
extern const va_field va_metric_fields[];
extern const char *const va_statistic_names[]; // of expect, NULL-terminated

#endif
