// vkalign map --depth: the spectrum of the map to every layer, in one run.
// SPDX-License-Identifier: Apache-2.0
#include "cli_read.h"

#include <string.h>

typedef struct depth {
    va_cli *cli;
    va_cli_prompt p;
    const char *to;                   // with its *
    va_site *sites;                   // from, then the targets
    int64_t n_layers;                 // targets
    va_read_spectrum_result *spectra; // [n_layers]
    int64_t m, n;
} depth;

// The target at a layer; n_layer as in va_site_parse. The star must stand for the whole layer.
static va_status parse_target(va_cli *cli, const char *to, int64_t layer, int64_t n_layer,
                              va_site *site) {
    va_status st = VA_OK;
    const char *star = strchr(to, '*');
    if (star == to || star[-1] != ':' || (star[1] && star[1] != '@') || strchr(star + 1, '*'))
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "--to: expected one * for the layer, as in "
                       "norm:*@last, got '%s'",
                       to);
    const char *text =
        va_arena_printf(cli->arena, "%.*s%lld%s", (int)(star - to), to, (long long)layer, star + 1);
    VA_TRY_ALLOC(cli->ctx, text, text);
    VA_TRY(va_site_parse(cli->ctx, text, n_layer, site));
done:
    return st;
}

// Layers 1..L, of attn and mlp 0..L-1, that come after --from.
static va_status list_sites(depth *d) {
    va_status st = VA_OK;
    va_cli *cli = d->cli;
    const int64_t L = va_model_config(d->p.model)->n_layer;
    char text[64];
    VA_TRY_ALLOC(cli->ctx, d->sites, VA_NEW_ARRAY(cli->arena, va_site, L + 1));
    VA_TRY(va_site_parse(cli->ctx, va_cli_value_of(cli, OPT_FROM), L, &d->sites[0]));
    for (int64_t i = 0; i < L; i++) {
        va_site *site = &d->sites[d->n_layers + 1];
        VA_TRY(parse_target(cli, d->to, i, -1, site));
        const bool part = site->kind == VA_SITE_ATTN || site->kind == VA_SITE_MLP;
        site->layer = part ? i : i + 1;
        d->n_layers += va_site_precedes(&d->sites[0], site);
    }
    if (d->n_layers == 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE, "no layer of %s comes after %s in the forward pass",
                       d->to, va_site_text(&d->sites[0], text)));
    VA_TRY_ALLOC(cli->ctx, d->spectra,
                 VA_NEW_ARRAY(cli->arena, va_read_spectrum_result, d->n_layers));
done:
    return st;
}

static va_status read_layers(depth *d, const va_read_spectrum_params *params, va_mode mode) {
    va_status st = VA_OK;
    va_linmap *map = NULL;
    const double start = va_time_s();
    int64_t n_zero = 0;
    for (int64_t i = 0; i < d->n_layers; i++) {
        char text[64];
        VA_TRY(va_prompt_linmap(d->p.prompt, 0, i + 1, mode, &d->p.budget, &map));
        st = va_read_spectrum(d->cli->ctx, d->cli->arena, map, params, &d->spectra[i]);
        if (st != VA_OK)
            VA_TRY(va_fail_in(d->cli->ctx, st, "%s", va_site_text(&d->sites[i + 1], text)));
        n_zero += d->spectra[i].svd.sigma[0] == 0;
        if (n_zero == d->n_layers) // a window may hide the source from the first ones alone
            VA_TRY(va_cli_check_nonzero(d->cli, va_linmap_label(map), &d->spectra[i]));
        va_linmap_destroy(&map);
        const va_progress p = {.label = "depth",
                               .done = i + 1,
                               .total = d->n_layers,
                               .elapsed_s = va_time_s() - start,
                               .finished = i + 1 == d->n_layers};
        va_progress_report(d->cli->ctx, &p);
    }
    d->m = d->spectra[0].svd.m;
    d->n = d->spectra[0].svd.n;
done:
    va_linmap_destroy(&map);
    return st;
}

// -- results --------------------------------------------------------------------------------------

static void show_layer(depth *d, va_json *list, int64_t i) {
    const va_read_spectrum_result *s = &d->spectra[i];
    va_cli *cli = d->cli;
    char text[64], norm[48], stable[32] = "-", participation[VA_CLI_RANGE], entropy[VA_CLI_RANGE];
    va_json *entry = va_json_add_object(list, NULL);
    va_json_add_int(entry, "layer", d->sites[i + 1].layer);
    va_json_add_string(entry, "to", va_site_text(&d->sites[i + 1], text));
    va_cli_json_spectrum(entry, s);
    if (s->probes > 0)
        snprintf(norm, sizeof norm, "%.5g +- %.1g", s->frobenius, s->frobenius_error);
    else
        snprintf(norm, sizeof norm, "%.5g", s->frobenius);
    if (s->svd.sigma[0] > 0)
        snprintf(stable, sizeof stable, "%.4g", s->stable_rank);
    va_cli_print(cli, "  %5lld  %-10.5g  %-16s  %-11s  %-19s  %s%s\n",
                 (long long)d->sites[i + 1].layer, s->svd.sigma[0], norm, stable,
                 va_cli_range_text(participation, &s->participation_bounds),
                 va_cli_range_text(entropy, &s->entropy_bounds),
                 s->svd.converged ? "" : "  (NOT converged)");
}

static void show(depth *d) {
    va_cli *cli = d->cli;
    va_json *list = va_json_add_array(cli->out, "layers");
    const va_read_spectrum_result *s = &d->spectra[0];
    char text[64];
    va_cli_print(cli, "%s -> %s: %lld x %lld\n\n", va_site_text(&d->sites[0], text), d->to,
                 (long long)d->m, (long long)d->n);
    va_cli_print(cli, "  layer  sigma_1     Frobenius norm    stable rank  participation ratio  "
                      "entropy rank\n");
    for (int64_t i = 0; i < d->n_layers; i++)
        show_layer(d, list, i);
    va_cli_print(cli, "\nparticipation ratio and entropy rank: effective dimensions, ");
    va_cli_print(cli,
                 s->whole ? "of all %lld singular values\n"
                          : "as the norm and the top %lld singular values bound them\n",
                 (long long)s->n_sigma);
    if (s->probes > 0)
        va_cli_print(cli, "Frobenius norm: estimated, with the standard error of %lld probes\n",
                     (long long)s->probes);
}

// One number of every layer each.
static const char *const columns[] = {
    "sigma_1",          "frobenius_norm",          "frobenius_standard_error",
    "stable_rank",      "participation_ratio_low", "participation_ratio_high",
    "entropy_rank_low", "entropy_rank_high"};
enum { N_COLUMNS = VA_COUNT(columns) };

static void take_numbers(const va_read_spectrum_result *s, double out[N_COLUMNS]) {
    const double all[] = {s->svd.sigma[0],
                          s->frobenius,
                          s->frobenius_error,
                          s->stable_rank,
                          s->participation_bounds.low,
                          s->participation_bounds.high,
                          s->entropy_bounds.low,
                          s->entropy_bounds.high};
    _Static_assert(sizeof all / sizeof all[0] == N_COLUMNS, "a number for every column");
    memcpy(out, all, sizeof all);
}

static va_status write_file(depth *d, const char *path) {
    va_status st = VA_OK;
    va_cli *cli = d->cli;
    const int64_t n = d->n_layers, k = d->spectra[0].n_sigma;
    va_file_tensor entries[N_COLUMNS + 2];
    float *numbers, *sigma;
    int64_t *layers;
    VA_TRY_ALLOC(cli->ctx, numbers, VA_NEW_ARRAY(cli->arena, float, N_COLUMNS *n));
    VA_TRY_ALLOC(cli->ctx, sigma, VA_NEW_ARRAY(cli->arena, float, n *k));
    VA_TRY_ALLOC(cli->ctx, layers, VA_NEW_ARRAY(cli->arena, int64_t, n));
    for (int64_t i = 0; i < n; i++) {
        layers[i] = d->sites[i + 1].layer;
        double all[N_COLUMNS];
        take_numbers(&d->spectra[i], all);
        for (int c = 0; c < N_COLUMNS; c++)
            numbers[c * n + i] = (float)all[c];
        for (int64_t j = 0; j < k; j++)
            sigma[i * k + j] = (float)d->spectra[i].sigma[j];
    }
    for (int c = 0; c < N_COLUMNS; c++)
        entries[c] = (va_file_tensor){
            .name = columns[c], .dtype = VA_F32, .n_dim = 1, .shape = {n}, .data = numbers + c * n};
    entries[N_COLUMNS] = (va_file_tensor){
        .name = "layers", .dtype = VA_I64, .n_dim = 1, .shape = {n}, .data = layers};
    entries[N_COLUMNS + 1] = (va_file_tensor){
        .name = "sigma", .dtype = VA_F32, .n_dim = 2, .shape = {n, k}, .data = sigma};
    const char *const meta[][2] = {{"tool", "vkalign " VA_VERSION}, {"to", d->to}};
    VA_TRY(va_safetensors_write(cli->ctx, path, entries, VA_COUNT(entries), meta, VA_COUNT(meta)));
    va_json_add_string(cli->out, "out", path);
done:
    return st;
}

va_status va_cli_map_depth(va_cli *cli, const va_read_spectrum_params *params, va_mode mode) {
    va_status st = VA_OK;
    depth d = {.cli = cli, .to = va_cli_value_of(cli, OPT_TO)};
    const char *from, *path = va_cli_value_of(cli, OPT_OUT), **keys;
    const double start = va_time_s();
    va_site unused;
    VA_TRY(va_cli_require(cli, OPT_FROM, &from));
    VA_TRY(va_site_parse(cli->ctx, from, -1, &unused)); // before anything is opened
    VA_TRY(parse_target(cli, d.to, 0, -1, &unused));
    VA_TRY(va_cli_read_model(cli, &d.p));
    VA_TRY(list_sites(&d));
    VA_TRY(va_cli_plan_prompt(cli, d.sites, d.n_layers + 1, true, mode, &d.p));
    VA_TRY(va_cli_start_prompt(cli, &d.p));
    VA_TRY(read_layers(&d, params, mode));
    if (path)
        VA_TRY(write_file(&d, path));
    VA_TRY_ALLOC(cli->ctx, keys, VA_NEW_ARRAY(cli->arena, const char *, d.p.n_sites));
    keys[0] = "from";
    va_cli_describe(cli, &d.p, keys);
    va_json_add_string(cli->out, "to", d.to);
    va_json_add_string(cli->out, "mode", mode == VA_EXACT ? "exact" : "detached");
    va_json_add_string(cli->out, "method", va_svd_method_name(params->svd.method));
    va_cli_json_shape(cli->out, "shape", 2, (const int64_t[]){d.m, d.n});
    show(&d);
    va_json_add_double(cli->out, "seconds", va_time_s() - start);
done:
    va_cli_close_prompt(&d.p);
    return st;
}
