// family_check.h: holds models to transformers: a fixture's values at all sites, its
// Jacobians, and what must hold of any Jacobian (adjoint identity, J x by one JVP, detached
// reconstruction). One executable for each group of families, so that they run side by side.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_FAMILY_CHECK_H
#define VA_FAMILY_CHECK_H

#include "vkalign/model.h"

// What to hold to which values; paths below tests/fixtures.
typedef struct va_family_model {
    const char *name;                                              // of the test
    const char *model;                                             // a folder or a GGUF file
    const char *expected;                                          // a safetensors file
    void (*check)(va_ctx *ctx, const char *name, va_model *model); // more to hold it to; or NULL
} va_family_model;
enum { VA_FAMILY_MAX_MODELS = 64 };

// Both return the number of failures. The former runs folders of tests/fixtures, a list that ends
// with NULL, and tests that it holds all of their families.
int va_test_families(const char *const *folders);
int va_test_family_models(const va_family_model *models, int n);

#endif
