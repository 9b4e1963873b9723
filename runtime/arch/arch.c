// The table of families, and what is the same for all of them.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <string.h>

static const va_arch *const families[] = {
#define VA_X(name) &va_arch_##name,
    ARCH_FAMILY_LIST(VA_X)
#undef VA_X
};

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
    va_config_reader r = {.ctx = ctx, .path = path, .prefix = "", .obj = root};
    va_config_take(&r, "model_type");
    VA_TRY(family->parse(&r, arena, config));
    VA_TRY(va_config_finish(&r));
    config->embed_weight = "model.embed_tokens.weight";
    config->unembed_weight = config->tied_embeddings ? config->embed_weight : "lm_head.weight";
done:
    return st;
}
