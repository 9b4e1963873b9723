// A model at a prompt from the command line: text or ids, sites, device.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// n bytes as a text, arena-owned.
static va_status take_text(va_cli *cli, const char *path, const char *data, int64_t n,
                           const char **text) {
    va_status st = VA_OK;
    if (n > 0 && memchr(data, 0, (size_t)n))
        return va_fail(cli->ctx, VA_ERR_FORMAT, "%s: expected text, got a zero byte", path);
    VA_TRY_ALLOC(cli->ctx, *text, va_arena_strndup(cli->arena, n > 0 ? data : "", n));
done:
    return st;
}

static va_status read_stdin(va_cli *cli, const char **text) {
    va_status st = VA_OK;
    va_strbuf all = {0};
    char buf[4096];
    size_t n;
    while ((n = fread(buf, 1, sizeof buf, stdin)) > 0)
        va_strbuf_append(&all, buf, (int64_t)n);
    if (ferror(stdin))
        VA_TRY(va_fail(cli->ctx, VA_ERR_FILE, "standard input: %s", strerror(errno)));
    if (all.failed)
        VA_TRY(va_fail(cli->ctx, VA_ERR_MEMORY, "standard input: out of host memory"));
    VA_TRY(take_text(cli, "standard input", all.data, all.len, text));
done:
    va_strbuf_free(&all);
    return st;
}

static va_status read_text_file(va_cli *cli, const char *path, const char **text) {
    va_status st = VA_OK;
    va_map map = {0};
    if (strcmp(path, "-") == 0)
        return read_stdin(cli, text);
    VA_TRY(va_map_open(cli->ctx, path, &map));
    VA_TRY(take_text(cli, path, (const char *)map.data, map.size_bytes, text));
done:
    va_map_close(&map);
    return st;
}

va_status va_cli_text(va_cli *cli, const char **text) {
    const char *given = va_cli_value_of(cli, OPT_TEXT), *file = va_cli_value_of(cli, OPT_TEXT_FILE);
    if (!given == !file)
        return va_fail(cli->ctx, VA_ERR_USAGE, "%s: expected either --text or --text-file%s",
                       cli->verb->name, given ? ", got both" : "");
    *text = given;
    return given ? VA_OK : read_text_file(cli, file, text);
}

bool va_cli_parse_ids(va_cli *cli, const char *text, int32_t **ids, int64_t *n) {
    const char *s = text;
    *n = 0;
    *ids = VA_NEW_ARRAY(cli->arena, int32_t, (int64_t)strlen(text) + 1);
    while (*ids) {
        char *end;
        errno = 0;
        const long v = isdigit((unsigned char)*s) ? strtol(s, &end, 10) : -1;
        if (v < 0 || errno || v > INT32_MAX || (*end && *end != ','))
            return false;
        (*ids)[(*n)++] = (int32_t)v;
        if (!*end)
            return true;
        s = end + 1;
    }
    return false;
}

static va_status read_tokens(va_cli *cli, va_cli_prompt *p) {
    va_status st = VA_OK;
    const char *ids = va_cli_value_of(cli, OPT_IDS), *text;
    const char *concept_name = va_cli_value_of(cli, OPT_CONCEPT);
    if (ids && (va_cli_has(cli, OPT_TEXT) || va_cli_has(cli, OPT_TEXT_FILE) || concept_name))
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "--ids goes without --text, --text-file and --concept");
    if (ids && !va_cli_parse_ids(cli, ids, &p->ids, &p->n_ids))
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "--ids: expected whole numbers with commas between, got '%s'", ids);
    if (ids)
        return VA_OK;
    VA_TRY(va_cli_text(cli, &text));
    VA_TRY(va_model_tokenize(p->model, cli->arena, text, concept_name, &p->ids, &p->n_ids,
                             &p->concept_first, &p->concept_count));
    if (concept_name && p->concept_count == 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE, "--concept: '%s' is not in the text", concept_name));
done:
    return st;
}

va_status va_cli_open_gpu(va_cli *cli, va_gpu **gpu) {
    va_status st = VA_OK;
    va_gpu_params params = {.device = va_cli_value_of(cli, OPT_DEVICE)};
    VA_TRY(va_cli_bytes(cli, OPT_MEMORY, &params.memory_limit_bytes));
    VA_TRY(va_gpu_open(cli->ctx, &params, gpu));
    va_log(cli->ctx, VA_LOG_INFO, "device: %s", va_gpu_get_info(*gpu)->name);
done:
    return st;
}

// The options' sites, those of a list first; n_layer -1: the model is not known yet.
static va_status read_sites(va_cli *cli, const va_cli_wanted *w, int64_t n_layer, va_site **sites,
                            int64_t *n) {
    va_status st = VA_OK;
    va_site last, *first = NULL;
    const char *from = NULL, *text;
    int64_t n_first = w->n_sites - 1;
    for (int64_t i = 0; i < w->n_sites; i++)
        VA_TRY(va_cli_require(cli, w->sites[i], &text));
    from = va_cli_value_of(cli, w->sites[0]);
    VA_TRY(va_site_parse(cli->ctx, text, n_layer, &last));
    if (w->lists && va_cli_is_list(from)) {
        VA_TRY(va_cli_read_sources(cli, from, &last, n_layer, &first, &n_first));
    } else if (n_first > 0) {
        VA_TRY_ALLOC(cli->ctx, first, VA_NEW(cli->arena, va_site));
        VA_TRY(va_site_parse(cli->ctx, from, n_layer, first));
    }
    *n = n_first + 1;
    VA_TRY_ALLOC(cli->ctx, *sites, VA_NEW_ARRAY(cli->arena, va_site, *n));
    if (n_first > 0)
        memcpy(*sites, first, (size_t)n_first * sizeof *first);
    (*sites)[n_first] = last;
done:
    return st;
}

va_status va_cli_read_model(va_cli *cli, va_cli_prompt *p) {
    va_status st = VA_OK;
    const char *dir;
    *p = (va_cli_prompt){0};
    VA_TRY(va_cli_require(cli, OPT_MODEL, &dir));
    VA_TRY(va_cli_bytes(cli, OPT_MEMORY, &p->budget.memory_bytes));
    VA_TRY(va_model_open(cli->ctx, dir, &p->model));
    VA_TRY(read_tokens(cli, p));
done:
    return st;
}

va_status va_cli_plan_prompt(va_cli *cli, const va_site *sites, int64_t n_sites, bool derivatives,
                             va_mode mode, va_cli_prompt *p) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(cli->ctx, p->sites, VA_NEW_ARRAY(cli->arena, va_site, n_sites));
    memcpy(p->sites, sites, (size_t)n_sites * sizeof *sites);
    p->n_sites = n_sites;
    p->params = (va_prompt_params){.ids = p->ids,
                                   .n_seq = 1,
                                   .seq_len = p->n_ids,
                                   .sites = p->sites,
                                   .n_sites = n_sites,
                                   .derivatives = derivatives,
                                   .modes = 1u << mode,
                                   .concept_first = p->concept_first,
                                   .concept_count = p->concept_count};
    va_graph_cost cost;
    VA_TRY(va_prompt_plan(p->model, &p->params, &cost, NULL));
done:
    return st;
}

va_status va_cli_read_prompt(va_cli *cli, const va_cli_wanted *wanted, va_cli_prompt *p) {
    va_status st = VA_OK;
    va_site *sites;
    int64_t n_sites;
    *p = (va_cli_prompt){0};
    VA_TRY(read_sites(cli, wanted, -1, &sites, &n_sites)); // before anything is opened
    VA_TRY(va_cli_read_model(cli, p));
    VA_TRY(read_sites(cli, wanted, va_model_config(p->model)->n_layer, &sites, &n_sites));
    VA_TRY(va_cli_plan_prompt(cli, sites, n_sites, wanted->derivatives, wanted->mode, p));
done:
    return st;
}

va_status va_cli_start_prompt(va_cli *cli, va_cli_prompt *p) {
    va_status st = VA_OK;
    VA_TRY(va_cli_open_gpu(cli, &p->gpu));
    VA_TRY(va_model_attach(p->model, p->gpu));
    p->params.run = true; // every verb reads or differentiates it next
    VA_TRY(va_prompt_create(p->model, &p->params, &p->prompt));
done:
    return st;
}

void va_cli_close_prompt(va_cli_prompt *p) {
    va_prompt_destroy(&p->prompt);
    va_model_close(&p->model);
    va_gpu_close(&p->gpu);
}

int64_t va_cli_site_rows(const va_cli_prompt *p, int64_t i) {
    const va_position at = p->sites[i].position;
    return at == VA_POS_ALL ? p->n_ids : at == VA_POS_CONCEPT ? p->concept_count : 1;
}

int64_t va_cli_site_width(const va_cli_prompt *p, int64_t i) {
    const va_arch_config *c = va_model_config(p->model);
    return p->sites[i].kind == VA_SITE_LOGITS ? c->vocab_size : c->d_model;
}

int va_cli_site_dims(const va_cli_prompt *p, int64_t i, int n_dim, int64_t *shape) {
    const va_position at = p->sites[i].position;
    if (at == VA_POS_ALL || at == VA_POS_CONCEPT)
        shape[n_dim++] = va_cli_site_rows(p, i);
    shape[n_dim++] = va_cli_site_width(p, i);
    return n_dim;
}

void va_cli_json_shape(va_json *obj, const char *key, int n_dim, const int64_t *shape) {
    va_json *list = va_json_add_array(obj, key);
    for (int i = 0; i < n_dim; i++)
        va_json_add_int(list, NULL, shape[i]);
}

void va_cli_describe(va_cli *cli, const va_cli_prompt *p, const char *const *site_keys) {
    char text[64];
    va_json_add_string(cli->out, "model", va_model_dir(p->model));
    if (p->gpu) {
        va_json_add_string(cli->out, "device", va_gpu_get_info(p->gpu)->name);
        va_json_add_int(cli->out, "device_peak_bytes", va_gpu_get_memory(p->gpu).peak_bytes);
    }
    va_json *ids = va_json_add_array(cli->out, "ids");
    for (int64_t i = 0; i < p->n_ids; i++)
        va_json_add_int(ids, NULL, p->ids[i]);
    for (int64_t i = 0; site_keys && i < p->n_sites; i++)
        if (site_keys[i])
            va_json_add_string(cli->out, site_keys[i], va_site_text(&p->sites[i], text));
}
