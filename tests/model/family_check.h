// family_check.h: holds models to transformers: every fixture folder's values at all sites, its
// Jacobians, and what must hold of any Jacobian (adjoint identity, J x by one JVP, detached
// reconstruction). One executable for each group of families, so that they run side by side.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_FAMILY_CHECK_H
#define VA_FAMILY_CHECK_H

// Runs the folders of tests/fixtures, a list that ends with NULL; returns the number of failures.
int va_test_families(const char *const *folders);

#endif
