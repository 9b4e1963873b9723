// Sites: NAME[:N][@POSITION] read and written.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/arch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct site_name {
    const char *name;
    bool layered;
} site_name;

static const site_name site_names[] = {
#define VA_X(id, text, layered) [id] = {text, layered},
    VA_SITE_LIST(VA_X)
#undef VA_X
};

#define SITE_FORMS "embed, resid:N, attn:N, mlp:N, norm:N, logits or logits:N"
#define POSITION_FORMS "@last, @all, @mean, @concept, or a token's number such as @3 or @-2"

static bool parse_number(const char *s, int64_t n, int64_t *out) {
    char buf[24];
    if (n < 1 || n >= (int64_t)sizeof buf)
        return false;
    int64_t digits = s[0] == '-' ? 1 : 0;
    if (digits == n || strspn(s + digits, "0123456789") < (size_t)(n - digits))
        return false;
    memcpy(buf, s, (size_t)n);
    buf[n] = '\0';
    errno = 0;
    *out = strtoll(buf, NULL, 10);
    return errno == 0;
}

static bool parse_kind(const char *s, int64_t n, va_site_kind *kind) {
    for (int64_t i = 0; i < VA_COUNT(site_names); i++) {
        if ((int64_t)strlen(site_names[i].name) == n &&
            memcmp(site_names[i].name, s, (size_t)n) == 0) {
            *kind = (va_site_kind)i;
            return true;
        }
    }
    return false;
}

static bool is_block_part(va_site_kind kind) {
    return kind == VA_SITE_ATTN || kind == VA_SITE_MLP;
}

// The layer "last" stands for; -1 while the model is not known.
static int64_t last_layer(va_site_kind kind, int64_t n_layer) {
    if (n_layer < 0)
        return -1;
    return is_block_part(kind) ? n_layer - 1 : n_layer;
}

static va_status parse_layer(va_ctx *ctx, const char *text, const char *s, int64_t n,
                             int64_t n_layer, va_site *site) {
    const char *name = site_names[site->kind].name;
    const int64_t last = last_layer(site->kind, n_layer);
    if (site->kind == VA_SITE_EMBED) {
        if (s)
            return va_fail(ctx, VA_ERR_USAGE, "site '%s': embed takes no layer (it is resid:0)",
                           text);
        return VA_OK;
    }
    if (!s) {
        if (site->kind != VA_SITE_LOGITS)
            return va_fail(ctx, VA_ERR_USAGE, "site '%s': expected %s:N or %s:last", text, name,
                           name);
        site->layer = last;
        return VA_OK;
    }
    if (n == 4 && memcmp(s, "last", 4) == 0) {
        site->layer = last;
        return VA_OK;
    }
    if (!parse_number(s, n, &site->layer) || site->layer < 0)
        return va_fail(ctx, VA_ERR_USAGE, "site '%s': layer '%.*s' is neither a number nor 'last'",
                       text, (int)n, s);
    if (n_layer >= 0 && site->layer > last)
        return va_fail(ctx, VA_ERR_USAGE,
                       "site '%s': %s has layers 0 to %" PRId64 " (the model has %" PRId64
                       " blocks)",
                       text, name, last, n_layer);
    return VA_OK;
}

static va_status parse_position(va_ctx *ctx, const char *text, const char *s, va_site *site) {
    static const struct {
        const char *name;
        va_position position;
    } names[] = {{"last", VA_POS_LAST},
                 {"all", VA_POS_ALL},
                 {"mean", VA_POS_MEAN},
                 {"concept", VA_POS_CONCEPT}};
    for (int64_t i = 0; i < VA_COUNT(names); i++) {
        if (strcmp(s, names[i].name) == 0) {
            site->position = names[i].position;
            return VA_OK;
        }
    }
    site->position = VA_POS_INDEX;
    if (!parse_number(s, (int64_t)strlen(s), &site->index))
        return va_fail(ctx, VA_ERR_USAGE, "site '%s': unknown position '@%s', expected %s", text, s,
                       POSITION_FORMS);
    return VA_OK;
}

va_status va_site_parse(va_ctx *ctx, const char *text, int64_t n_layer, va_site *site) {
    const char *at = strchr(text, '@');
    const int64_t head = at ? at - text : (int64_t)strlen(text);
    const char *colon = memchr(text, ':', (size_t)head);
    const int64_t name_len = colon ? colon - text : head;
    va_site out = {.position = VA_POS_LAST};
    va_status st = VA_OK;
    if (!parse_kind(text, name_len, &out.kind))
        return va_fail(ctx, VA_ERR_USAGE, "unknown site '%s', expected %s with a position (%s)",
                       text, SITE_FORMS, POSITION_FORMS);
    VA_TRY(parse_layer(ctx, text, colon ? colon + 1 : NULL, colon ? head - name_len - 1 : 0,
                       n_layer, &out));
    if (at)
        VA_TRY(parse_position(ctx, text, at + 1, &out));
    *site = out;
done:
    return st;
}

const char *va_site_text(const va_site *site, char buf[64]) {
    char layer[24] = "", position[24] = "last";
    if (site_names[site->kind].layered)
        snprintf(layer, sizeof layer, site->layer < 0 ? ":last" : ":%" PRId64, site->layer);
    if (site->position == VA_POS_INDEX)
        snprintf(position, sizeof position, "%" PRId64, site->index);
    else
        snprintf(position, sizeof position, "%s",
                 site->position == VA_POS_LAST   ? "last"
                 : site->position == VA_POS_ALL  ? "all"
                 : site->position == VA_POS_MEAN ? "mean"
                                                 : "concept");
    snprintf(buf, 64, "%s%s@%s", site_names[site->kind].name, layer, position);
    return buf;
}

int64_t va_site_blocks(const va_site *site) {
    return is_block_part(site->kind) ? site->layer + 1 : site->layer;
}

// Place on the way through the model: resid:n, attn:n, mlp:n, resid:n+1, ...
int64_t va_site_order(const va_site *site) {
    return 3 * site->layer + (site->kind == VA_SITE_ATTN ? 1 : site->kind == VA_SITE_MLP ? 2 : 0);
}

bool va_site_precedes(const va_site *from, const va_site *to) {
    if (from->kind == VA_SITE_LOGITS)
        return false;
    if (from->kind == VA_SITE_NORM) // the final norm is a side branch
        return to->kind == VA_SITE_LOGITS && to->layer == from->layer;
    const bool branch = to->kind == VA_SITE_NORM || to->kind == VA_SITE_LOGITS;
    return branch ? va_site_order(from) <= va_site_order(to)
                  : va_site_order(from) < va_site_order(to);
}
