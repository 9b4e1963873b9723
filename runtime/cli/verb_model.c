// vkalign model inspect: what a model is, what it needs, and whether it can be run faithfully.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <inttypes.h>

enum { PLAN_TOKENS = 8 };

static void show_sizes(va_cli *cli, va_model *m) {
    const va_arch_config *c = va_model_config(m);
    const struct {
        const char *key, *text;
        int64_t value;
    } rows[] = {
        {"n_layer", "blocks", c->n_layer},
        {"d_model", "width", c->d_model},
        {"n_head", "query heads", c->n_head},
        {"n_kv_head", "key/value heads", c->n_kv_head},
        {"d_head", "head width", c->d_head},
        {"d_ff", "feed-forward width", c->d_ff},
        {"vocab_size", "vocabulary", c->vocab_size},
        {"max_context", "context", c->max_context},
        {"parameters", "parameters in files", va_model_param_count(m)},
    };
    char text[256];
    va_json_add_string(cli->out, "model", va_model_dir(m));
    va_json_add_string(cli->out, "family", c->family);
    va_json_add_string(cli->out, "model_type", c->model_type);
    va_cli_print(cli, "%-22s%s (%s)\n", "family", c->family, c->model_type);
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        va_json_add_int(cli->out, rows[i].key, rows[i].value);
        va_cli_print(cli, "%-22s%" PRId64 "\n", rows[i].text, rows[i].value);
    }
    va_json_add_string(cli->out, "dtype", va_model_dtype_text(m));
    va_json_add_bool(cli->out, "dequantised", va_model_is_quantised(m));
    va_json_add_string(cli->out, "layers", va_arch_layer_text(c, text));
    va_json_add_bool(cli->out, "tied_embeddings", c->tied_embeddings);
    va_json_add_bool(cli->out, "tokenizer", va_model_tokenizer(m) != NULL);
    va_cli_print(cli, "%-22s%s%s\n%-22s%s\n%-22s%s\n%-22s%s\n", "dtype", va_model_dtype_text(m),
                 va_model_is_quantised(m) ? " (results are of the dequantised weights)" : "",
                 "layers", text, "embeddings", c->tied_embeddings ? "tied" : "not tied",
                 "tokenizer",
                 !va_model_tokenizer(m) ? "none, only ids can be run"
                 : c->is_gguf           ? "in the file"
                                        : "tokenizer.json");
}

// Device memory for a prompt of PLAN_TOKENS tokens, to the final norm after n_blocks blocks.
static va_status show_memory(va_cli *cli, va_model *m, va_json *list, int64_t n_blocks) {
    va_status st = VA_OK;
    const va_site sites[2] = {{.kind = VA_SITE_EMBED, .position = VA_POS_ALL},
                              {.kind = VA_SITE_NORM, .layer = n_blocks, .position = VA_POS_LAST}};
    const va_prompt_params params = {
        .n_seq = 1, .seq_len = PLAN_TOKENS, .sites = sites, .n_sites = 2, .derivatives = true};
    va_graph_cost forward, jvp;
    int64_t weights;
    char a[32], b[32], c[32];
    VA_TRY(va_model_weight_bytes(m, n_blocks, false, &weights));
    VA_TRY(va_prompt_plan(m, &params, &forward, &jvp));
    va_json *row = va_json_add_object(list, NULL);
    va_json_add_int(row, "blocks", n_blocks);
    va_json_add_int(row, "tokens", PLAN_TOKENS);
    va_json_add_int(row, "weight_bytes", weights);
    va_json_add_int(row, "value_bytes", forward.memory_bytes);
    va_json_add_int(row, "jvp_bytes", jvp.memory_bytes);
    va_json_add_double(row, "forward_flop", forward.flop);
    va_json_add_double(row, "jvp_flop", jvp.flop);
    va_cli_print(cli,
                 "  to norm:%-4" PRId64 " weights %-9s values %-9s one tangent %-9s "
                 "(%.3g GFLOP forward, %.3g a JVP)\n",
                 n_blocks, va_format_bytes(a, weights), va_format_bytes(b, forward.memory_bytes),
                 va_format_bytes(c, jvp.memory_bytes), forward.flop / 1e9, jvp.flop / 1e9);
done:
    return st;
}

// Without --layers the whole model is checked: every weight is there and fits. With it the first
// blocks alone, so that a part of a checkpoint can be looked at.
static va_status show_plan(va_cli *cli, va_model *m) {
    va_status st = VA_OK;
    const int64_t L = va_model_config(m)->n_layer;
    int64_t blocks = L, with, without;
    char text[32];
    VA_TRY(va_cli_int(cli, OPT_LAYERS, 0, L, &blocks));
    VA_TRY(va_model_weight_bytes(m, blocks, true, &with));
    VA_TRY(va_model_weight_bytes(m, blocks, false, &without));
    va_json *list = va_json_add_array(cli->out, "memory");
    va_cli_print(cli, "device memory at %d tokens:\n", PLAN_TOKENS);
    if (L > 6 && !va_cli_has(cli, OPT_LAYERS))
        VA_TRY(show_memory(cli, m, list, 6));
    VA_TRY(show_memory(cli, m, list, blocks));
    va_json_add_int(cli->out, "unembedding_bytes", with - without);
    va_cli_print(cli, "  logits need %s more for the unembedding\n",
                 va_format_bytes(text, with - without));
done:
    return st;
}

// The model is refused: every reason, then the first one's status.
static va_status tell_faults(va_cli *cli, const va_model_fault *faults, int64_t n) {
    va_json *list = va_json_add_array(cli->out, "refused");
    for (int64_t i = 0; i < n; i++) {
        va_json_add_string(list, NULL, faults[i].message);
        fprintf(stderr, "vkalign: %s\n", faults[i].message);
    }
    cli->told = true;
    return va_fail(cli->ctx, faults[0].status, "%s", faults[0].message);
}

va_status va_cli_model_inspect(va_cli *cli) {
    va_status st = VA_OK;
    va_model *m = NULL;
    const va_model_fault *faults;
    int64_t n;
    // With --layers a part of a checkpoint may be looked at, so what is missing is no fault yet.
    if (!va_cli_has(cli, OPT_LAYERS)) {
        VA_TRY(va_model_survey(cli->ctx, cli->arena, cli->args[0], &faults, &n));
        if (n > 0)
            return tell_faults(cli, faults, n);
        va_json_add_array(cli->out, "refused");
    }
    VA_TRY(va_model_open(cli->ctx, cli->args[0], &m));
    show_sizes(cli, m);
    VA_TRY(show_plan(cli, m));
    va_cli_print(cli, "%-22sprompts of more than %" PRId64 " tokens; nothing else\n", "refused",
                 va_model_config(m)->max_context);
done:
    va_model_close(&m);
    return st;
}
