// vkalign map: what a derivative says.
// SPDX-License-Identifier: Apache-2.0
#include "cli_read.h"

#include <string.h>

typedef struct map_options {
    va_read_spectrum_params spectrum;
    va_mode mode;
    int64_t n_tokens;
    const char *decode; // NULL: by the site
} map_options;

static va_status read_options(va_cli *cli, map_options *o) {
    va_status st = VA_OK;
    *o = (map_options){.n_tokens = 6, .decode = va_cli_value_of(cli, OPT_DECODE)};
    VA_TRY(va_cli_svd_params(cli, &o->spectrum.svd));
    VA_TRY(va_cli_int(cli, OPT_PROBES, 2, 1 << 20, &o->spectrum.probes));
    VA_TRY(va_cli_int(cli, OPT_TOP, 1, 1024, &o->n_tokens));
    VA_TRY(va_cli_mode(cli, &o->mode));
    if (o->spectrum.svd.method == VA_SVD_DENSE && o->spectrum.probes > 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE,
                       "map: --method dense takes no --probes: the norm is exact"));
    if (o->decode && strcmp(o->decode, va_read_by_name(VA_READ_GAIN)) != 0 &&
        strcmp(o->decode, va_read_by_name(VA_READ_DIRECT)) != 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE, "--decode: expected gain or direct, got '%s'",
                       o->decode));
done:
    return st;
}

// -- words ----------------------------------------------------------------------------------------

static va_status read_side(va_cli *cli, const va_cli_prompt *p, int64_t site, const float *vectors,
                           int64_t k, int64_t n_tokens, va_cli_words *out) {
    va_status st = VA_OK;
    int64_t count;
    va_read_word *words;
    va_read_words_params params = {.vectors = vectors, .k = k, .by = out->by, .n_tokens = n_tokens};
    va_prompt_site_shape(p->prompt, site, &params.rows, &params.width);
    VA_TRY_ALLOC(cli->ctx, words, VA_NEW_ARRAY(cli->arena, va_read_word, k));
    VA_TRY(va_read_words(p->model, cli->arena, &params, words));
    const va_site at = va_prompt_site(p->prompt, site, &out->first, &count);
    out->is_mean = at.position == VA_POS_MEAN;
    out->words = words;
    out->k = k;
done:
    return st;
}

static va_status show_words(va_cli *cli, const va_cli_prompt *p, const map_options *o,
                            const va_svd_result *r, const va_read_value_result *v) {
    va_status st = VA_OK;
    va_cli_words left = {.by = va_read_by_default(&p->sites[1])}, right = {.by = VA_READ_NEAREST};
    if (o->decode)
        left.by =
            strcmp(o->decode, va_read_by_name(VA_READ_GAIN)) == 0 ? VA_READ_GAIN : VA_READ_DIRECT;
    VA_TRY(read_side(cli, p, 1, r->U, r->rank, o->n_tokens, &left));
    VA_TRY(read_side(cli, p, 0, r->V, r->rank, o->n_tokens, &right));
    va_cli_show_words(cli, p, r, v, &left, &right);
done:
    return st;
}

// -- file -----------------------------------------------------------------------------------------

static va_status to_floats(va_cli *cli, const double *from, int64_t n, const float **to) {
    va_status st = VA_OK;
    float *out;
    VA_TRY_ALLOC(cli->ctx, out, VA_NEW_ARRAY(cli->arena, float, n));
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)from[i];
    *to = out;
done:
    return st;
}

static va_file_tensor entry(const char *name, const float *data, int64_t rows, int64_t columns) {
    va_file_tensor t = {.name = name, .dtype = VA_F32, .n_dim = 1, .data = data, .shape = {rows}};
    if (columns > 0) {
        t.n_dim = 2;
        t.shape[1] = columns;
    }
    return t;
}

static va_status write_file(va_cli *cli, const char *path, const char *label, const map_options *o,
                            const va_read_spectrum_result *s, const va_read_value_result *v) {
    va_status st = VA_OK;
    const va_svd_result *r = &s->svd;
    const float *sigma, *residual, *spectrum;
    double *shares;
    const float *share;
    VA_TRY(to_floats(cli, r->sigma, r->k, &sigma));
    VA_TRY(to_floats(cli, r->residual, r->k, &residual));
    VA_TRY(to_floats(cli, s->sigma, s->n_sigma, &spectrum));
    VA_TRY_ALLOC(cli->ctx, shares, VA_NEW_ARRAY(cli->arena, double, v->n_shares));
    for (int64_t i = 0; i < v->n_shares; i++)
        shares[i] = v->shares[i].share;
    VA_TRY(to_floats(cli, shares, v->n_shares, &share));
    const va_file_tensor entries[] = {
        entry("Jx", v->Jx, v->m, 0),
        entry("S", sigma, r->k, 0),
        entry("U", r->U, r->k, r->m),
        entry("V", r->V, r->k, r->n),
        entry("residuals", residual, r->k, 0),
        entry("shares", share, v->n_shares, 0),
        entry("x", v->x, v->n, 0),
        entry("y", v->y, v->m, 0),
        entry("spectrum", spectrum, s->n_sigma, 0), // only when whole
    };
    const char *const meta[][2] = {{"tool", "vkalign " VA_VERSION},
                                   {"map", label},
                                   {"method", va_svd_method_name(o->spectrum.svd.method)},
                                   {"converged", r->converged ? "true" : "false"}};
    VA_TRY(va_safetensors_write(cli->ctx, path, entries, VA_COUNT(entries) - !s->whole, meta,
                                VA_COUNT(meta)));
    va_json_add_string(cli->out, "out", path);
done:
    return st;
}

// -- the verb -------------------------------------------------------------------------------------

va_status va_cli_check_nonzero(va_cli *cli, const char *label, const va_read_spectrum_result *s) {
    if (s->svd.sigma[0] > 0)
        return VA_OK;
    return va_fail(cli->ctx, VA_ERR_NUMERIC,
                   "%s is zero: the target does not depend on the source at these tokens", label);
}

static va_status read_one(va_cli *cli, const map_options *o) {
    va_status st = VA_OK;
    va_cli_prompt p = {0};
    va_linmap *map = NULL;
    va_read_spectrum_result s;
    va_read_value_result v;
    const char *path = va_cli_value_of(cli, OPT_OUT);
    const double start = va_time_s();
    const va_cli_wanted wanted = {.sites = (const va_opt[]){OPT_FROM, OPT_TO},
                                  .n_sites = 2,
                                  .derivatives = true,
                                  .mode = o->mode};
    VA_TRY(va_cli_read_prompt(cli, &wanted, &p));
    if (o->decode && p.sites[1].kind == VA_SITE_LOGITS)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE, "--decode: logits are tokens already"));
    VA_TRY(va_cli_start_prompt(cli, &p));
    VA_TRY(va_prompt_linmap(p.prompt, 0, 1, o->mode, &p.budget, &map));
    VA_TRY(va_read_spectrum(cli->ctx, cli->arena, map, &o->spectrum, &s));
    VA_TRY(va_cli_check_nonzero(cli, va_linmap_label(map), &s));
    VA_TRY(va_read_value(p.prompt, 0, 1, o->mode, map, cli->arena, &v));
    if (v.is_off)
        va_log(cli->ctx, VA_LOG_WARN,
               "%s: std(y - J x) / std(y) is %.2g: about 1e-6 expected of a detached map without "
               "biases",
               va_linmap_label(map), v.error);
    if (path)
        VA_TRY(write_file(cli, path, va_linmap_label(map), o, &s, &v));
    va_cli_describe(cli, &p, (const char *const[]){"from", "to"});
    va_json_add_string(cli->out, "mode", o->mode == VA_EXACT ? "exact" : "detached");
    va_json_add_string(cli->out, "method", va_svd_method_name(o->spectrum.svd.method));
    va_cli_json_shape(cli->out, "shape", 2, (const int64_t[]){v.m, v.n});
    va_cli_print(cli, "%s: %lld x %lld\n", va_linmap_label(map), (long long)v.m, (long long)v.n);
    va_cli_show_spectrum(cli, &s);
    va_cli_show_value(cli, &p, &v);
    VA_TRY(show_words(cli, &p, o, &s.svd, &v));
    va_json_add_double(cli->out, "seconds", va_time_s() - start);
done:
    va_linmap_destroy(&map);
    va_cli_close_prompt(&p);
    return st;
}

va_status va_cli_map(va_cli *cli) {
    va_status st = VA_OK;
    map_options o;
    const char *to;
    VA_TRY(read_options(cli, &o));
    VA_TRY(va_cli_require(cli, OPT_TO, &to));
    const bool depth = va_cli_has(cli, OPT_DEPTH);
    if (depth && (va_cli_has(cli, OPT_DECODE) || va_cli_has(cli, OPT_TOP)))
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE,
                       "map: --depth shows no words: it goes without "
                       "--decode and --top"));
    if (depth != (strchr(to, '*') != NULL))
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE,
                       "map: --depth and a * for the layer in --to go together (--to "
                       "'norm:*@last'), got --to '%s'%s",
                       to, depth ? "" : " without --depth"));
    VA_TRY(depth ? va_cli_map_depth(cli, &o.spectrum, o.mode) : read_one(cli, &o));
done:
    return st;
}
