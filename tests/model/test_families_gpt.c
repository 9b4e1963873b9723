// GPT-2 and GPT-NeoX against transformers.
// libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "family_check.h"

#include <stddef.h>

static const char *const folders[] = {
    "gpt2-plain", "gpt2-prefix", "gpt_neox-plain", "gpt_neox-serial", "gpt_neox-no-attention-bias",
    NULL};

int main(void) {
    return va_test_families(folders);
}
