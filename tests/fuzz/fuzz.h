// fuzz.h: what the fuzz targets share.
//
// A target is one fuzz_*.c: LLVMFuzzerTestOneInput reads the input with one parser and holds what
// was accepted to the header's promises, and what was refused to a code and a message. Linked with
// libFuzzer it searches (VA_FUZZ, ci/fuzz); linked with fuzz_replay.c it is a unit test over
// corpus/<name>. Lines at the top of a target say what it needs:
//   // libs: va_io                   the layers it links
//   // seeds: tests/fixtures/*.json  more inputs to begin from, beside corpus/<name>
//   // max_len: 4096                 longest input to try
//   // dict: json                    dict/json.dict, the words to put in
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_FUZZ_H
#define VA_FUZZ_H

#include "vkalign/base.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What must hold; otherwise the input is reported.
#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

// A quiet context without an error, made once.
va_ctx *fuzz_ctx(void);
// Requires that st is among the n codes and has a message, not too long and without control
// characters. VA_TEST_VERBOSE in the environment shows it.
void fuzz_refused(va_ctx *ctx, va_status st, const va_status *codes, int64_t n);
#define FUZZ_REFUSED(ctx, st, ...)                                                                 \
    fuzz_refused((ctx), (st), (const va_status[]){__VA_ARGS__},                                    \
                 VA_COUNT(((const va_status[]){__VA_ARGS__})))

// A file in memory that holds the data, for parsers that take a path; the same path at each call.
const char *fuzz_file(const uint8_t *data, size_t size);
// A fresh folder, made once and removed at exit; the same path at each call.
const char *fuzz_dir(void);
// Writes name in fuzz_dir().
void fuzz_write(const char *name, const void *data, size_t size);
// Reads every byte, so that sanitizers see those that are not there.
void fuzz_touch(const void *data, int64_t size);

#endif
