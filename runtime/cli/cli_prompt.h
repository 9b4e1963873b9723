// cli_prompt.h: a model at a prompt from the command line: text or ids, sites, memory, a device.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_CLI_PROMPT_H
#define VKALIGN_CLI_PROMPT_H

#include "cli.h"

// -- a model at a prompt (cli_prompt.c) ----------------------------------------------------------

// What a verb asks of a prompt.
typedef struct va_cli_wanted {
    const va_opt *sites; // [n_sites] options that name a site each: one, or source and target
    int64_t n_sites;
    bool derivatives, lists; // lists: the first option may name several sites
    va_mode mode;            // of the derivatives
} va_cli_wanted;

typedef struct va_cli_prompt {
    va_model *model;
    va_gpu *gpu; // NULL and no prompt until va_cli_start_prompt
    va_prompt *prompt;
    va_site *sites; // [n_sites]
    int64_t n_sites;
    int32_t *ids; // [n_ids]
    int64_t n_ids, concept_first, concept_count;
    va_prompt_params params; // for va_prompt_plan_map and the like
    va_map_budget budget;    // --memory
} va_cli_prompt;

// The text of --text or --text-file, arena-owned; VA_ERR_USAGE unless there is exactly one.
va_status va_cli_text(va_cli *cli, const char **text);
va_status va_cli_open_gpu(va_cli *cli, va_gpu **gpu);
// Model, memory limit and tokens; then sites (copied). Checked as far as it goes without a device.
va_status va_cli_read_model(va_cli *cli, va_cli_prompt *p);
va_status va_cli_plan_prompt(va_cli *cli, const va_site *sites, int64_t n_sites, bool derivatives,
                             va_mode mode, va_cli_prompt *p);
// Both, the sites by their options.
va_status va_cli_read_prompt(va_cli *cli, const va_cli_wanted *wanted, va_cli_prompt *p);
// The device and the prompt on it.
va_status va_cli_start_prompt(va_cli *cli, va_cli_prompt *p);
void va_cli_close_prompt(va_cli_prompt *p);
// "1,2,3" to ids; false when it is something else.
bool va_cli_parse_ids(va_cli *cli, const char *text, int32_t **ids, int64_t *n);
// Rows of site i, and its width.
int64_t va_cli_site_rows(const va_cli_prompt *p, int64_t i);
int64_t va_cli_site_width(const va_cli_prompt *p, int64_t i);
// Both, with the axis of rows dropped where the site names one position: appends to shape and
// returns the new number of dimensions.
int va_cli_site_dims(const va_cli_prompt *p, int64_t i, int n_dim, int64_t *shape);
// Puts model, device and its peak (if there is one), ids and sites into the JSON document; sites
// whose key is NULL, or all when site_keys is, are left out.
void va_cli_describe(va_cli *cli, const va_cli_prompt *p, const char *const *site_keys);
void va_cli_json_shape(va_json *obj, const char *key, int n_dim, const int64_t *shape);

// -- several sources (cli_sources.c) -------------------------------------------------------------

// Whether --from names several sites: a comma, a range of layers 0..6, or * for every layer.
bool va_cli_is_list(const char *from);
// The sites of a list, arena-owned. n_layer -1: the model is not known, the form alone is checked.
// * stands for every layer whose site precedes `to`; what is named otherwise must precede it, which
// va_prompt_jacobians checks. No site twice.
va_status va_cli_read_sources(va_cli *cli, const char *from, const va_site *to, int64_t n_layer,
                              va_site **sites, int64_t *n);
typedef struct va_cli_tokens {
    int32_t *ids;  // [n]
    int64_t *rows; // [n_rows] of the logits, n of each position
    int64_t n, n_rows;
} va_cli_tokens;
// --tokens: ids or a text's tokens, no two alike; site i must be logits.
va_status va_cli_read_tokens(va_cli *cli, const va_cli_prompt *p, int64_t i, va_cli_tokens *tokens);

// -- plans (cli_plan.c) --------------------------------------------------------------------------

// What --dry-run shows of a derivative: memory, work, the file's size (0: none).
void va_cli_show_plan(va_cli *cli, const va_map_plan *plan, int64_t out_bytes);

#endif
