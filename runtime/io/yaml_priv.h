// yaml_priv.h: the tree builder that libyaml's events drive.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_YAML_PRIV_H
#define VA_YAML_PRIV_H

#include "io_priv.h"

#include <yaml.h>

enum { VA_YAML_MAX_ANCHORS = 256 }; // looked up one by one, by up to a million aliases

// What a node is when its aliases are expanded.
typedef struct va_yaml_extent {
    int64_t n_nodes, n_bytes; // bytes: of scalars
    int height;               // levels of sequences and maps, 0 for a scalar
} va_yaml_extent;

// A sequence or map whose end has not come yet.
typedef struct va_yaml_frame {
    va_yaml *node;
    va_yaml **item, **key; // heap, moved to the arena at the end
    int64_t cap;
    va_yaml *pending; // MAP: the key whose value comes next
    va_yaml_extent extent;
    int anchor; // index, -1 for none
} va_yaml_frame;

typedef struct va_yaml_anchor {
    const char *name;
    va_yaml *node;
    va_yaml_extent extent;
    bool open; // the node is still in the making
} va_yaml_anchor;

typedef struct va_yaml_builder {
    va_ctx *ctx;
    va_arena *arena;
    const char *name; // of the text, for messages
    va_yaml_limits limits;
    va_yaml_frame *stack; // [limits.max_depth]
    int depth;
    va_yaml_anchor *anchors; // [VA_YAML_MAX_ANCHORS]
    int n_anchors;
    int64_t n_made;
    va_yaml *root; // NULL until the document is complete
} va_yaml_builder;

// VA_ERR_SPEC with "name:line:col: ..." (1-based).
va_status va_yaml_fail_at(va_yaml_builder *b, int64_t line, int64_t col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
va_status va_yaml_fail_memory(va_yaml_builder *b);
// Takes the next event in; the caller deletes it.
va_status va_yaml_on_event(va_yaml_builder *b, const yaml_event_t *e);

#endif
