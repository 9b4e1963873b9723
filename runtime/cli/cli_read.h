// cli_read.h: what `svd` and `map` share, and how `map` shows what it read.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_CLI_READ_H
#define VKALIGN_CLI_READ_H

#include "cli_prompt.h"

#include "vkalign/read.h"

// -k, --method, --tolerance, --max-iterations, --block, --basis, --seed.
va_status va_cli_svd_params(va_cli *cli, va_svd_params *params);

// A token as people read it, arena-owned: its text with a leading space as an underline, or "#ID".
const char *va_cli_token_text(va_cli *cli, va_tokenizer *tok, int32_t id);

enum { VA_CLI_RANGE = 48 };
// "12.3", or "12 to 340"; returns buf.
const char *va_cli_range_text(char buf[VA_CLI_RANGE], const va_read_range *r);
// Into the JSON document and onto stdout; tok may be NULL.
void va_cli_show_spectrum(va_cli *cli, const va_read_spectrum_result *s);
// The numbers of a spectrum alone.
void va_cli_json_spectrum(va_json *obj, const va_read_spectrum_result *s);
void va_cli_show_value(va_cli *cli, const va_cli_prompt *p, const va_read_value_result *v);
typedef struct va_cli_words {
    va_read_by by;
    const va_read_word *words; // [k]
    int64_t k;
    int64_t first; // token of the site's first row
    bool is_mean;  // its one row is a mean
} va_cli_words;
// Of the triplets within the numerical rank; words of both are as many.
void va_cli_show_words(va_cli *cli, const va_cli_prompt *p, const va_svd_result *r,
                       const va_read_value_result *v, const va_cli_words *left,
                       const va_cli_words *right);

// VA_ERR_NUMERIC when the map is zero: there is nothing to read.
va_status va_cli_check_nonzero(va_cli *cli, const char *label, const va_read_spectrum_result *s);
// --depth: the spectrum of the map to every layer.
va_status va_cli_map_depth(va_cli *cli, const va_read_spectrum_params *params, va_mode mode);

#endif
