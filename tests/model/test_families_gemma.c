// Gemma 2 and 3 against transformers.
// libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "family_check.h"

#include <stddef.h>

static const char *const folders[] = {
    "gemma2-plain",        "gemma2-current", "gemma3-plain",         "gemma3-window",
    "gemma3-gqa",          "gemma3-rope",    "gemma3-softcap",       "gemma3-bf16",
    "gemma3-bf16-sharded", "gemma3-f16",     "gemma3-odd",           "gemma3-bias",
    "gemma3-untied",       "gemma3-nested",  "gemma3-nested-prefix", NULL};

int main(void) {
    return va_test_families(folders);
}
