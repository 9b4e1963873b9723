// plan_key.c: what a unit depends on, as a hash: units alike in any experiment are computed once.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "plan.h"

// Everything is put in with its name, so that no two descriptions run into each other.
static void put_bytes(va_sha256 *h, const char *name, const void *data, int64_t n) {
    va_sha256_update(h, name, (int64_t)strlen(name) + 1);
    va_sha256_update(h, &n, sizeof n);
    va_sha256_update(h, data, n);
}

static void put_text(va_sha256 *h, const char *name, const char *text) {
    put_bytes(h, name, text, (int64_t)strlen(text));
}

static void put_int(va_sha256 *h, const char *name, int64_t v) {
    put_bytes(h, name, &v, sizeof v);
}

static void put_double(va_sha256 *h, const char *name, double v) {
    put_bytes(h, name, &v, sizeof v);
}

static void put_site(va_experiment *e, va_sha256 *h, const char *name, const va_unit *u,
                     const char *text) {
    char buf[64];
    va_site site = {0};
    va_plan_site(e, &e->spec.directions[u->direction], text, u->layer, &site); // checked before
    put_text(h, name, va_site_text(&site, buf));
}

static void put_capture(const va_experiment *e, va_sha256 *h, const va_unit *u) {
    const va_plan *p = &e->plan;
    char buf[64];
    for (int64_t i = 0; i < p->n_sites; i++)
        put_text(h, "site", va_site_text(&p->sites[i], buf));
    for (int64_t i = u->first; i < u->first + u->count; i++) {
        put_text(h, "text", p->texts[i]);
        put_text(h, "about", p->text_concept[i] ? p->text_concept[i] : "");
    }
}

// The rows that a concept's classifiers learn from, with what divides and draws them.
static void put_dataset(const va_experiment *e, va_sha256 *h, int64_t c) {
    const va_dataset *data = &e->plan.datasets[c];
    put_text(h, "concept", e->spec.concepts[c].name);
    for (int64_t i = 0; i < data->n; i++) {
        const char *about = e->plan.text_concept[data->text[i]];
        put_text(h, "row", e->plan.texts[data->text[i]]);
        put_text(h, "about", about ? about : "");
        put_int(h, "item", data->item[i]);
        put_int(h, "form", data->form[i]);
        put_double(h, "label", data->label[i]);
    }
}

static void put_training(va_experiment *e, va_sha256 *h, const va_unit *u) {
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    put_site(e, h, "site", u, dir->site);
    put_double(h, "held out", dir->held_out);
    put_int(h, "rank", dir->rank);
    put_int(h, "seed", e->spec.seed + u->seed);
    if (dir->kind == VA_DIRECTION_LOGISTIC)
        put_double(h, "l2", dir->l2);
    if (dir->kind == VA_DIRECTION_LDA)
        put_double(h, "shrinkage", dir->shrinkage);
    if (dir->kind != VA_DIRECTION_MLP)
        return;
    for (int64_t i = 0; i < dir->n_hidden; i++)
        put_int(h, "hidden", dir->hidden[i]);
    put_int(h, "direction", dir->direction);
    put_int(h, "epochs", dir->epochs);
    put_int(h, "batch", dir->batch);
    put_double(h, "learning rate", dir->learning_rate);
    put_double(h, "weight decay", dir->weight_decay);
    put_double(h, "dropout", dir->dropout);
}

static va_status put_pulled(va_experiment *e, va_sha256 *h, const va_unit *u) {
    va_status st = VA_OK;
    char hex[65];
    const int64_t of = e->spec.directions[u->direction].pulled;
    VA_TRY(va_plan_key(
        e, va_plan_find(e, of, u->concept_index, va_plan_layer_index(e, u->layer), 0, 0), hex));
    put_text(h, "of", hex);
done:
    return st;
}

static va_status put_jacobian(va_experiment *e, va_sha256 *h, const va_unit *u) {
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const int64_t n = e->spec.prompts.n, first = u->prompt < 0 ? 0 : u->prompt;
    put_site(e, h, "from", u, dir->from);
    put_site(e, h, "to", u, dir->to);
    put_int(h, "mode", dir->mode);
    put_int(h, "reduce", dir->reduce);
    put_int(h, "rank", dir->rank);
    put_int(h, "average", dir->average);
    if (va_map_reduce_is_frame(dir->reduce)) // vectors that iterations start from
        put_int(h, "seed", e->spec.seed);
    for (int64_t i = first; i < (u->prompt < 0 ? n : first + 1); i++)
        put_text(h, "prompt", e->plan.prompts[u->concept_index * n + i].text);
    put_text(h, "concept", e->spec.concepts[u->concept_index].name);
    put_text(h, "token", dir->token);
    put_text(h, "versus", dir->versus);
    return dir->reduce == VA_REDUCE_PULLBACK ? put_pulled(e, h, u) : VA_OK;
}

// The file as it is now.
static va_status put_file(va_experiment *e, va_sha256 *h, const va_unit *u) {
    va_status st = VA_OK;
    char hex[65];
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const char *file = va_plan_file(e, dir, u);
    VA_TRY(va_file_sha256(e->ctx, file, hex));
    put_site(e, h, "site", u, dir->site);
    put_text(h, "path", va_plan_path(e, dir, u));
    put_text(h, "file", hex);
    put_int(h, "rank", dir->rank);
    put_int(h, "direction", dir->direction);
    if (dir->kind == VA_DIRECTION_PACK)
        put_dataset(e, h, u->concept_index);
done:
    return st;
}

static va_status put_unit(va_experiment *e, va_sha256 *h, const va_unit *u) {
    va_status st = VA_OK;
    put_int(h, "unit", u->kind);
    if (u->kind == VA_UNIT_CAPTURE) {
        put_capture(e, h, u);
        goto done;
    }
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    put_int(h, "kind", dir->kind);
    if (dir->kind == VA_DIRECTION_JACOBIAN)
        VA_TRY(put_jacobian(e, h, u));
    else if (!va_direction_is_trained(dir))
        VA_TRY(put_file(e, h, u));
    else {
        put_training(e, h, u);
        put_int(h, "count", u->count);
        for (int64_t c = 0; c < e->spec.n_concepts; c++)
            if (u->concept_index < 0 || u->concept_index == c)
                put_dataset(e, h, c);
    }
done:
    return st;
}

va_status va_plan_key(va_experiment *e, int64_t unit, char hex[65]) {
    va_sha256 *h = va_sha256_create();
    hex[0] = '\0';
    if (!h)
        return va_fail(e->ctx, VA_ERR_MEMORY, "out of host memory");
    va_status st = put_unit(e, h, &e->plan.units[unit]);
    va_sha256_finish(&h, hex);
    return st;
}
