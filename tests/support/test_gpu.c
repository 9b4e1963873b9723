// test_gpu.c: the device for tests that need one.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include <unistd.h>

static bool has_usable_device(va_ctx *ctx) {
    va_arena *arena = va_arena_create();
    assert_non_null(arena);
    va_gpu_info *list = NULL;
    int64_t n = 0;
    bool usable = false;
    if (va_gpu_list(ctx, arena, &list, &n) == VA_OK)
        for (int64_t i = 0; i < n; i++)
            usable = usable || list[i].usable;
    va_arena_destroy(&arena);
    return usable;
}

va_gpu *va_test_gpu(va_ctx *ctx) {
    // The pipeline cache stays off: a test must not depend on what an earlier run left behind.
    va_gpu_params params = {.no_cache = true};
    va_gpu *gpu = NULL;
    if (va_gpu_open(ctx, &params, &gpu) == VA_OK)
        return gpu;
    char message[1024];
    snprintf(message, sizeof message, "%s", va_error_message(ctx));
    const char *required = getenv("VA_REQUIRE_DEVICE");
    if ((required && strcmp(required, "1") == 0) || has_usable_device(ctx)) {
        fprintf(stderr, "cannot open a device: %s\n", message);
        fflush(NULL);
        _exit(1);
    }
    fprintf(stderr, "skipped: %s\n", message);
    fflush(NULL);
    _exit(VA_TEST_SKIPPED); // not exit(): what the test holds would count as leaked
}

void va_test_gpu_close(va_gpu **gpu) {
    int64_t complaints = va_gpu_validation_count(*gpu);
    va_gpu_close(gpu);
    assert_int_equal(complaints, 0);
}
