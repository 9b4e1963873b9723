// plan_files.c: the files that directions of other makers stand in: where they are, and whether
// they can be used.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "name_set.h"
#include "plan.h"
#include "vkalign/direction.h"

// dir->path with its placeholders filled, relative to the experiment's folder.
const char *va_plan_path(const va_experiment *e, const va_direction_spec *dir, const va_unit *u) {
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)u->layer);
    const char *text =
        va_spec_expand(e->arena, dir->path, "{concept}", e->spec.concepts[u->concept_index].name);
    text = va_spec_expand(e->arena, text, "{layer}", number);
    const char *slash = strrchr(e->path, '/');
    if (text[0] == '/' || !slash || strcmp(dir->path_place.file, "--set") == 0)
        return text;
    return va_arena_printf(e->arena, "%.*s/%s", (int)(slash - e->path), e->path, text);
}

// layerN/CONCEPT_classifier.pt, or layerN/CONCEPT.pt where that is there.
static const char *pack_file(const va_experiment *e, const char *folder, const va_unit *u) {
    const va_concept *c = &e->spec.concepts[u->concept_index];
    const char *stem =
        va_arena_printf(e->arena, "%s/layer%lld/%s", folder, (long long)c->layer, c->name);
    const char *plain = va_arena_printf(e->arena, "%s.pt", stem);
    const char *first = va_arena_printf(e->arena, "%s_classifier.pt", stem);
    return !va_path_exists(first) && va_path_exists(plain) ? plain : first;
}

const char *va_plan_file(const va_experiment *e, const va_direction_spec *dir, const va_unit *u) {
    const char *path = va_plan_path(e, dir, u);
    if (dir->kind == VA_DIRECTION_PACK)
        return pack_file(e, path, u);
    if (va_path_exists(path))
        return path;
    const char *colon = strrchr(path, ':'), *slash = strrchr(path, '/');
    return colon && (!slash || colon > slash) ? va_arena_strndup(e->arena, path, colon - path)
                                              : path;
}

// -- what stands in them -------------------------------------------------------------------------

static va_status check_width(va_experiment *e, const char *path, const va_site *site, int64_t d) {
    char text[64];
    const int64_t width = va_plan_site_width(e, site);
    if (d == width)
        return VA_OK;
    return va_fail(e->ctx, VA_ERR_SHAPE, "%s: expected %lld dimensions, as %s has, got %lld", path,
                   (long long)width, va_site_text(site, text), (long long)d);
}

va_status va_plan_read_vector(va_experiment *e, va_arena *arena, const char *path,
                              const va_site *site, float **v) {
    va_status st = VA_OK;
    va_direction_frame frame;
    VA_TRY(va_direction_file_read(e->ctx, arena, path, &frame));
    if (frame.k != 1)
        return va_fail(e->ctx, VA_ERR_SHAPE, "%s: expected one vector, got %lld", path,
                       (long long)frame.k);
    VA_TRY(check_width(e, path, site, frame.d));
    *v = frame.rows;
done:
    return st;
}

va_status va_plan_read_classifier(va_experiment *e, va_arena *arena, const char *path,
                                  const va_site *site, va_mlp *mlp) {
    va_status st = VA_OK;
    VA_TRY(va_mlp_load(e->ctx, arena, path, mlp));
    VA_TRY(check_width(e, path, site, mlp->d));
done:
    return st;
}

// -- before the run ------------------------------------------------------------------------------

static va_status check_file(va_experiment *e, const va_direction_spec *dir, const char *path,
                            const va_site *site) {
    va_status st = VA_OK;
    va_arena *scratch = va_arena_create();
    va_mlp mlp;
    float *v;
    VA_TRY_ALLOC(e->ctx, scratch, scratch);
    st = dir->kind == VA_DIRECTION_PACK ? va_plan_read_classifier(e, scratch, path, site, &mlp)
                                        : va_plan_read_vector(e, scratch, path, site, &v);
    if (st == VA_OK || st == VA_ERR_MEMORY)
        goto done;
    va_diagnose(&e->diag, dir->path_place, "", "directions.%s.path: %s", dir->name,
                va_error_message(e->ctx));
    st = VA_OK;
done:
    va_arena_destroy(&scratch);
    return st;
}

// Each file once: a path need not name the concept or the layer, and all sites of a direction are
// of one width.
static va_status check_files(va_experiment *e, const va_direction_spec *dir) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    const int64_t n_layers = va_direction_has_layer(dir) ? s->n_layers : 1;
    va_name_set known = {.ctx = e->ctx, .arena = e->arena};
    for (int64_t i = 0; i < s->n_concepts * n_layers; i++) {
        const va_unit u = {.concept_index = i / n_layers, .layer = s->layers[i % n_layers]};
        const bool pack = dir->kind == VA_DIRECTION_PACK;
        const char *path = pack ? va_plan_file(e, dir, &u) : va_plan_path(e, dir, &u);
        const int64_t n = known.n;
        int64_t id;
        va_site site = {0};
        VA_TRY_ALLOC(e->ctx, path, path);
        VA_TRY(va_name_set_add(&known, path, &id));
        va_plan_site(e, dir, dir->site, u.layer, &site); // checked before
        if (id == n)
            VA_TRY(check_file(e, dir, path, &site));
    }
done:
    return st;
}

va_status va_plan_check_files(va_experiment *e) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < e->spec.n_directions; i++) {
        const va_direction_spec *dir = &e->spec.directions[i];
        if (dir->kind == VA_DIRECTION_FILE || dir->kind == VA_DIRECTION_PACK)
            VA_TRY(check_files(e, dir));
    }
done:
    return st;
}
