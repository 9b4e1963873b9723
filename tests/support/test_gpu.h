// test_gpu.h: the device for tests that need one.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_TEST_GPU_H
#define VA_TEST_GPU_H

#include "test_support.h"

#include "vkalign/gpu.h"

// Opens the default device (VK_ICD_FILENAMES chooses the driver, VA_VALIDATION=1 the layer).
// Where there is no usable device the whole program ends with status 77 (skipped), or fails when
// VA_REQUIRE_DEVICE=1. A device that is there and cannot be opened always fails.
va_gpu *va_test_gpu(va_ctx *ctx);
// Fails the test when the validation layer complained; closes.
void va_test_gpu_close(va_gpu **gpu);

#endif
