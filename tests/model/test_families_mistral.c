// Mistral, Ministral, OLMo 2 and 3, Phi 3 and 4 against transformers.
// libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "family_check.h"

#include <stddef.h>

static const char *const folders[] = {
    "mistral-window",   "mistral-nemo",      "mistral-layer-types", "ministral-plain",
    "ministral3-plain", "ministral3-nested", "olmo2-plain",         "olmo2-bias",
    "olmo3-plain",      "olmo3-current",     "phi3-mini",           "phi3-phi4",
    "phi3-mini-long",   "phi3-mini4",        "phi3-current",        NULL};

int main(void) {
    return va_test_families(folders);
}
