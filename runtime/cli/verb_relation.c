// vkalign relation: a linear relation operator fitted, tested and written.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

#include "vkalign/relation.h"

#include <math.h>
#include <string.h>

enum { SHOWN = 8 }; // singular values that people see

typedef struct relation_run {
    const char *dir, *path, *out;
    va_relation_data data;
    va_relation_params params;
    va_relation_pairs pairs;
    va_model *model;
    va_gpu *gpu;
    va_relation relation;
    va_relation_result result;
} relation_run;

// -- input ----------------------------------------------------------------------------------------

// Everything that can be wrong without a device.
static va_status open_input(va_cli *cli, relation_run *r) {
    va_status st = VA_OK;
    va_relation_params *p = &r->params;
    int64_t rank = 0;
    VA_TRY(va_cli_require(cli, OPT_MODEL, &r->dir));
    VA_TRY(va_cli_require(cli, OPT_DATA, &r->path));
    r->out = va_cli_value_of(cli, OPT_OUT);
    VA_TRY(va_cli_mode(cli, &p->mode));
    VA_TRY(va_cli_positive(cli, OPT_BETA, &p->beta));
    VA_TRY(va_relation_load(cli->ctx, cli->arena, r->path, &r->data));
    VA_TRY(va_model_open(cli->ctx, r->dir, &r->model));
    const va_arch_config *c = va_model_config(r->model);
    p->layer = c->n_layer / 2;
    p->seed = r->data.seed;
    VA_TRY(va_cli_int(cli, OPT_LAYER, 0, c->n_layer - 1, &p->layer));
    VA_TRY(va_cli_int(cli, OPT_RANK, 1, c->d_model, &rank));
    p->rank = rank;
    VA_TRY(va_relation_tokenize(r->model, cli->arena, &r->data, &r->pairs));
done:
    return st;
}

// -- files ----------------------------------------------------------------------------------------

static va_status write_tensors(va_cli *cli, const relation_run *r, const float *W) {
    va_status st = VA_OK;
    const va_relation *x = &r->relation;
    const int64_t d = x->d, k = x->svd.k;
    char layer[24], n_train[24], rank[24], seed[24];
    const float beta = (float)x->beta;
    float *sigma;
    VA_TRY_ALLOC(cli->ctx, sigma, VA_NEW_ARRAY(cli->arena, float, k));
    for (int64_t i = 0; i < k; i++)
        sigma[i] = (float)x->svd.sigma[i];
    snprintf(layer, sizeof layer, "%lld", (long long)x->layer);
    snprintf(n_train, sizeof n_train, "%lld", (long long)r->result.n_train);
    snprintf(rank, sizeof rank, "%lld", (long long)r->result.rank);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->data.seed);
    const va_file_tensor entries[] = {
        {.name = "S", .dtype = VA_F32, .n_dim = 1, .shape = {k}, .data = sigma},
        {.name = "U", .dtype = VA_F32, .n_dim = 2, .shape = {k, d}, .data = x->svd.U},
        {.name = "V", .dtype = VA_F32, .n_dim = 2, .shape = {k, d}, .data = x->svd.V},
        {.name = "beta", .dtype = VA_F32, .n_dim = 1, .shape = {1}, .data = &beta},
        {.name = "bias", .dtype = VA_F32, .n_dim = 1, .shape = {d}, .data = x->b},
        {.name = "mean_object", .dtype = VA_F32, .n_dim = 1, .shape = {d}, .data = x->mean_o},
        {.name = "mean_subject", .dtype = VA_F32, .n_dim = 1, .shape = {d}, .data = x->mean_s},
        {.name = "weight", .dtype = VA_F32, .n_dim = 2, .shape = {d, d}, .data = W},
    };
    const char *const meta[][2] = {{"tool", "vkalign " VA_VERSION},
                                   {"method", "linear relation operator (arXiv 2308.09124)"},
                                   {"map", va_linmap_label(va_mean_map_linmap(x->mean))},
                                   {"model", r->dir},
                                   {"data", r->path},
                                   {"layer", layer},
                                   {"mode", x->mode == VA_EXACT ? "exact" : "detached"},
                                   {"training_pairs", n_train},
                                   {"rank", rank},
                                   {"seed", seed}};
    VA_TRY(
        va_safetensors_write(cli->ctx, r->out, entries, VA_COUNT(entries), meta, VA_COUNT(meta)));
done:
    return st;
}

static va_status write_result(va_cli *cli, const relation_run *r) {
    va_status st = VA_OK;
    const int64_t d = r->relation.d;
    float *W;
    VA_TRY_ALLOC(cli->ctx, W, VA_NEW_ARRAY(cli->arena, float, d *d));
    VA_TRY(va_linmap_dense(va_mean_map_linmap(r->relation.mean), W));
    VA_TRY(write_tensors(cli, r, W));
    va_json_add_string(cli->out, "out", r->out);
done:
    return st;
}

// -- what is shown --------------------------------------------------------------------------------

static void json_rate(va_json *obj, const char *key, const va_relation_rate *rate) {
    va_json *o = va_json_add_object(obj, key);
    va_json_add_double(o, "rate", rate->rate);
    va_json_add_double(o, "standard_error", rate->error);
    va_json_add_int(o, "pairs", rate->n);
}

static const char *rate_text(char buf[32], const va_relation_rate *rate) {
    if (rate->n == 0)
        snprintf(buf, 32, "not measured");
    else if (isfinite(rate->error))
        snprintf(buf, 32, "%.3f +- %.3f", rate->rate, rate->error);
    else
        snprintf(buf, 32, "%.3f", rate->rate);
    return buf;
}

static void show_faithfulness(va_cli *cli, const va_relation_result *x) {
    char next[32], object[32];
    va_json *all = va_json_add_object(cli->out, "faithfulness");
    va_cli_print(cli, "\nfaithfulness on the %lld test pairs (+- standard error over subjects)\n",
                 (long long)x->n_test);
    va_cli_print(cli, "  %-14s %-18s %-18s\n", "", "says the model's", "says the object");
    for (int i = 0; i < VA_RELATION_DECODERS; i++) {
        const va_relation_decoder d = (va_relation_decoder)i;
        va_json *one = va_json_add_object(all, va_relation_decoder_name(d));
        json_rate(one, "says_next", &x->says_next[i]);
        json_rate(one, "says_object", &x->says_object[i]);
        va_cli_print(cli, "  %-14s %-18s %-18s %s\n", va_relation_decoder_name(d),
                     rate_text(next, &x->says_next[i]), rate_text(object, &x->says_object[i]),
                     va_relation_decoder_text(d));
    }
    va_cli_print(cli, "  %-14s %-18s %-18s %lld different tokens\n", "the model", "",
                 rate_text(object, &x->model_right), (long long)x->n_tokens);
}

static void show_causality(va_cli *cli, const va_relation_result *x) {
    char text[32];
    va_json *all = va_json_add_object(cli->out, "causality");
    va_cli_print(cli, "\ncausality on %lld test pairs, rank %lld: says the target's token\n",
                 (long long)x->causal[VA_RELATION_INVERSE].n, (long long)x->rank);
    for (int i = 0; i < VA_RELATION_EDITS; i++) {
        const va_relation_edit e = (va_relation_edit)i;
        json_rate(all, va_relation_edit_name(e), &x->causal[i]);
        va_cli_print(cli, "  %-14s %-18s %-18s adds %s\n", va_relation_edit_name(e),
                     rate_text(text, &x->causal[i]), "", va_relation_edit_text(e));
    }
}

static void show_sigma(va_cli *cli, const va_svd_result *svd) {
    va_json *list = va_json_add_array(cli->out, "sigma");
    va_cli_print(cli, "\nsingular values of W:");
    for (int64_t i = 0; i < svd->k; i++) {
        va_json_add_double(list, NULL, svd->sigma[i]);
        if (i < SHOWN)
            va_cli_print(cli, " %.4g", svd->sigma[i]);
    }
    va_cli_print(cli, "%s\n", svd->k > SHOWN ? " ..." : "");
    va_json_add_bool(cli->out, "converged", svd->converged);
}

static void show_result(va_cli *cli, const relation_run *r) {
    const va_relation_result *x = &r->result;
    const char *mode = r->params.mode == VA_EXACT ? "exact" : "detached";
    char faithful[32], causal[32];
    va_json_add_string(cli->out, "model", r->dir);
    va_json_add_string(cli->out, "device", va_gpu_get_info(r->gpu)->name);
    va_json_add_string(cli->out, "data", r->path);
    va_json_add_int(cli->out, "layer", r->params.layer);
    va_json_add_string(cli->out, "mode", mode);
    va_json_add_int(cli->out, "training_pairs", x->n_train);
    va_json_add_int(cli->out, "test_pairs", x->n_test);
    va_json_add_double(cli->out, "beta", x->beta);
    va_json_add_int(cli->out, "rank", x->rank);
    va_json_add_int(cli->out, "different_tokens", x->n_tokens);
    json_rate(cli->out, "model_says_object", &x->model_right);
    json_rate(cli->out, "training_faithfulness", &x->train_faithful);
    json_rate(cli->out, "training_causality", &x->train_causal);
    va_cli_print(cli, "%s: %lld training and %lld test pairs, layer %lld, %s\n", r->path,
                 (long long)x->n_train, (long long)x->n_test, (long long)r->params.layer, mode);
    va_cli_print(cli, "%s, beta %g, rank %lld; on the training pairs faithful %s, causal %s\n",
                 va_linmap_label(va_mean_map_linmap(r->relation.mean)), x->beta, (long long)x->rank,
                 rate_text(faithful, &x->train_faithful), rate_text(causal, &x->train_causal));
    show_faithfulness(cli, x);
    show_causality(cli, x);
    show_sigma(cli, &r->relation.svd);
}

va_status va_cli_relation(va_cli *cli) {
    va_status st = VA_OK;
    relation_run r = {0};
    const double start = va_time_s();
    VA_TRY(open_input(cli, &r));
    VA_TRY(va_cli_open_gpu(cli, &r.gpu));
    VA_TRY(va_model_attach(r.model, r.gpu));
    VA_TRY(va_relation_evaluate(r.model, cli->arena, &r.params, &r.pairs, &r.relation, &r.result));
    show_result(cli, &r);
    if (r.out)
        VA_TRY(write_result(cli, &r));
    va_json_add_int(cli->out, "device_peak_bytes", va_gpu_get_memory(r.gpu).peak_bytes);
    va_json_add_double(cli->out, "seconds", va_time_s() - start);
done:
    va_relation_free(&r.relation);
    va_model_close(&r.model);
    va_gpu_close(&r.gpu);
    return st;
}
