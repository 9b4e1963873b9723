// A model folder's model.safetensors.index.json, beside two shards that are in order.
// libs: va_io
// seeds: tests/fixtures/*/model.safetensors.index.json
// max_len: 1024
// dict: json
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/io.h"

#include <stdio.h>
#include <string.h>

static void write_shard(const char *file, const char *tensor) {
    char text[256] = {0};
    const float data[2] = {1, 2};
    int n = snprintf(text + 8, sizeof text - 16,
                     "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", tensor);
    FUZZ_REQUIRE(n > 0 && n < (int)sizeof text - 16);
    text[0] = (char)n;
    memcpy(text + 8 + n, data, sizeof data);
    fuzz_write(file, text, 8 + (size_t)n + sizeof data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    va_ctx *ctx = fuzz_ctx();
    va_safetensors *s = NULL;
    if (!ready) {
        write_shard("a.safetensors", "a");
        write_shard("b.safetensors", "b");
        ready = true;
    }
    fuzz_write("model.safetensors.index.json", data, size);
    va_status st = va_safetensors_open_dir(ctx, fuzz_dir(), &s);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!s);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT, VA_ERR_FILE); // FILE: a shard that is not there
        return 0;
    }
    int64_t n = va_safetensors_count(s);
    FUZZ_REQUIRE(n == 1 || n == 2);
    for (int64_t i = 0; i < n; i++) {
        const va_file_tensor *t = va_safetensors_at(s, i);
        char file[32];
        snprintf(file, sizeof file, "/%s.safetensors", t->name);
        FUZZ_REQUIRE(strstr(t->file, file));
        FUZZ_REQUIRE(t->size_bytes == 8 && t->n_dim == 1 && t->shape[0] == 2);
        fuzz_touch(t->data, t->size_bytes);
    }
    va_safetensors_close(&s);
    return 0;
}
