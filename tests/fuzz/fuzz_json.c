// JSON text: what is read prints, and the print reads as the same.
// libs: va_io
// seeds: tests/fixtures/*/config.json tests/fixtures/*/model.safetensors.index.json
// max_len: 4096
// dict: json
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/io.h"

#include <stdlib.h>
#include <string.h>

// Every value has one type and its accessors agree with it.
static void check_value(const va_json *v) {
    double d;
    int64_t i, n = 0;
    bool b;
    int types = va_json_is_object(v) + va_json_is_array(v) + va_json_is_null(v);
    types += (va_json_as_string(v) != NULL) + va_json_as_double(v, &d) + va_json_as_bool(v, &b);
    FUZZ_REQUIRE(types == 1);
    if (va_json_as_int(v, &i))
        FUZZ_REQUIRE(va_json_as_double(v, &d) && d == (double)i);
    for (const va_json *c = va_json_first(v); c; c = va_json_next(c), n++) {
        FUZZ_REQUIRE((va_json_key(c) != NULL) == va_json_is_object(v));
        if (va_json_is_object(v) && n < 64) // the one of that key: there is no second
            FUZZ_REQUIRE(va_json_get(v, va_json_key(c)) == c);
        check_value(c);
    }
    FUZZ_REQUIRE(va_json_count(v) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_json *root = NULL, *again = NULL;
    va_status st = va_json_parse(ctx, "fuzz.json", (const char *)data, (int64_t)size, &root);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!root);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
        return 0;
    }
    check_value(root);
    char *text = va_json_print(root, false);
    FUZZ_REQUIRE(text);
    st = va_json_parse(ctx, "print", text, (int64_t)strlen(text), &again);
    FUZZ_REQUIRE(st == VA_OK);
    char *text_again = va_json_print(again, false);
    FUZZ_REQUIRE(text_again && strcmp(text, text_again) == 0);
    free(text);
    free(text_again);
    va_json_free(&root);
    va_json_free(&again);
    return 0;
}
