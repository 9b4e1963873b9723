// The table of families, and what is the same for all of them.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <string.h>

static const va_arch *const families[] = {&va_arch_gemma3};

static const va_arch *find_family(const char *model_type) {
    for (int64_t i = 0; i < VA_COUNT(families); i++)
        for (const char *const *t = families[i]->model_types; *t; t++)
            if (strcmp(*t, model_type) == 0)
                return families[i];
    return NULL;
}

static va_status fail_unknown(va_ctx *ctx, const char *path, const char *model_type) {
    va_strbuf known = {0};
    for (int64_t i = 0; i < VA_COUNT(families); i++)
        for (const char *const *t = families[i]->model_types; *t; t++)
            va_strbuf_printf(&known, "%s%s", known.len ? ", " : "", *t);
    const va_status st =
        va_fail(ctx, VA_ERR_UNSUPPORTED, "%s: model_type '%s' is not supported, expected one of %s",
                path, model_type, known.data ? known.data : "?");
    va_strbuf_free(&known);
    return st;
}

va_status va_arch_parse(va_ctx *ctx, va_arena *arena, const va_json *root, const char *path,
                        va_arch_config *config) {
    va_status st = VA_OK;
    const va_arch *family;
    if (!va_json_is_object(root))
        return va_fail(ctx, VA_ERR_FORMAT, "%s: expected an object, got %s", path,
                       root ? va_json_type(root) : "nothing");
    const char *model_type = va_json_as_string(va_json_get(root, "model_type"));
    if (!model_type)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: model_type: expected a string", path);
    family = find_family(model_type);
    if (!family)
        return fail_unknown(ctx, path, model_type);
    *config = (va_arch_config){.arch = family, .family = family->family, .bos_id = -1};
    VA_TRY_ALLOC(ctx, config->model_type, va_arena_strdup(arena, model_type));
    VA_TRY(family->parse(ctx, arena, root, path, config));
done:
    return st;
}

va_status va_arch_build(va_ctx *ctx, va_graph *g, const va_arch_config *config,
                        const va_arch_build_params *params, int64_t n_rows, va_node *ids,
                        va_node *nodes) {
    return config->arch->build(ctx, g, config, params, n_rows, ids, nodes);
}

va_node va_arch_unembed(va_graph *g, const va_arch_config *config, va_node x) {
    return config->arch->unembed(g, config, x);
}

const char *va_arch_weight_alias(const va_arch_config *config, va_arena *arena, const char *name,
                                 int64_t i) {
    return config->arch->alias(arena, name, i);
}

int64_t va_arch_block_params(const va_arch_config *config, int64_t n_blocks) {
    return n_blocks * config->arch->block_params(config);
}

const char *va_arch_layer_text(const va_arch_config *config, char buf[256]) {
    return config->arch->layer_text(config, buf);
}
