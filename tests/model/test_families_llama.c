// Llama 2 and 3, SmolLM 2 and 3, Qwen 2 and 3 against transformers.
// libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "family_check.h"

#include <stddef.h>

static const char *const folders[] = {
    "llama-plain",      "llama-llama3", "llama-bias",    "llama-linear",
    "llama-dynamic",    "llama-yarn",   "llama-smollm2", "smollm3-plain",
    "smollm3-interval", "qwen2-plain",  "qwen2-window",  "qwen2-yarn",
    "qwen3-plain",      "qwen3-yarn",   "qwen3-window",  NULL};

int main(void) {
    return va_test_families(folders);
}
