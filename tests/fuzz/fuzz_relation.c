// Relation files: what is accepted keeps its promises.
// libs: va_relation
// seeds: experiments/relations/*.yaml
// max_len: 4096
// dict: yaml
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/relation.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_arena *arena = va_arena_create();
    va_relation_data r;
    FUZZ_REQUIRE(arena);
    const va_status st =
        va_relation_parse(ctx, arena, "fuzz.yaml", (const char *)data, (int64_t)size, &r);
    if (st != VA_OK)
        FUZZ_REFUSED(ctx, st, VA_ERR_SPEC);
    if (st == VA_OK) {
        FUZZ_REQUIRE(r.n_prompts >= 1 && r.n_train >= 1 && r.n_examples - r.n_train >= 2);
        for (int64_t i = 0; i < r.n_prompts; i++)
            FUZZ_REQUIRE(strstr(r.prompts[i], "{subject}"));
        for (int64_t i = 0; i < r.n_examples; i++)
            FUZZ_REQUIRE(r.examples[i].subject[0] && r.examples[i].object[0]);
    }
    va_arena_destroy(&arena);
    return 0;
}
