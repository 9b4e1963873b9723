// Several sites in one option: resid:*@all, resid:0..6@last, and several of these with commas; and
// chosen tokens.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

#include <stdlib.h>
#include <string.h>

bool va_cli_is_list(const char *from) {
    return strpbrk(from, ",*") || strstr(from, "..");
}

typedef struct source_list {
    va_cli *cli;
    const char *text; // of the whole option
    const va_site *to;
    int64_t n_layer; // -1: not known
    va_site *sites;  // [n]
    int64_t n, cap;
} source_list;

// embed is resid:0 by another name.
static bool same_site(const va_site *a, const va_site *b) {
    const va_site_kind x = a->kind == VA_SITE_EMBED ? VA_SITE_RESID : a->kind;
    const va_site_kind y = b->kind == VA_SITE_EMBED ? VA_SITE_RESID : b->kind;
    return x == y && a->layer == b->layer && a->position == b->position && a->index == b->index;
}

static va_status add_site(source_list *l, const va_site *site) {
    va_status st = VA_OK;
    char text[64];
    for (int64_t i = 0; i < l->n; i++)
        if (same_site(&l->sites[i], site))
            return va_fail(l->cli->ctx, VA_ERR_USAGE, "--from: %s stands twice in '%s'",
                           va_site_text(site, text), l->text);
    if (l->n == l->cap) {
        va_site *grown;
        l->cap = VA_MAX(16, 2 * l->cap);
        VA_TRY_ALLOC(l->cli->ctx, grown, VA_NEW_ARRAY(l->cli->arena, va_site, l->cap));
        if (l->n > 0)
            memcpy(grown, l->sites, (size_t)l->n * sizeof *grown);
        l->sites = grown;
    }
    l->sites[l->n++] = *site;
done:
    return st;
}

// NAME:LAYER@POSITION, where LAYER is [layer, layer + n) and the rest is as in piece.
static va_status parse_layer(source_list *l, const char *piece, const char *layer, int64_t n,
                             va_site *site) {
    va_status st = VA_OK;
    const char *colon = strchr(piece, ':'), *at = strchr(colon, '@'), *text;
    VA_TRY_ALLOC(l->cli->ctx, text,
                 va_arena_printf(l->cli->arena, "%.*s:%.*s%s", (int)(colon - piece), piece, (int)n,
                                 layer, at ? at : ""));
    VA_TRY(va_site_parse(l->cli->ctx, text, l->n_layer, site));
done:
    return st;
}

// Every layer that precedes the target.
static va_status add_all(source_list *l, const char *piece) {
    va_status st = VA_OK;
    const int64_t before = l->n;
    char text[64];
    va_site site;
    VA_TRY(parse_layer(l, piece, "0", 1, &site));
    if (l->n_layer < 0)
        goto done;
    const bool part = site.kind == VA_SITE_ATTN || site.kind == VA_SITE_MLP;
    for (int64_t i = 0; i <= l->n_layer - part; i++) {
        site.layer = i;
        if (va_site_precedes(&site, l->to))
            VA_TRY(add_site(l, &site));
    }
    if (l->n == before)
        VA_TRY(va_fail(l->cli->ctx, VA_ERR_USAGE, "--from %s: no layer comes before %s", piece,
                       va_site_text(l->to, text)));
done:
    return st;
}

static va_status add_range(source_list *l, const char *piece, const char *first, const char *dots) {
    va_status st = VA_OK;
    const char *last = dots + 2;
    va_site a, b;
    VA_TRY(parse_layer(l, piece, first, dots - first, &a));
    VA_TRY(parse_layer(l, piece, last, (int64_t)strcspn(last, "@"), &b));
    if (a.layer >= 0 && b.layer >= 0 && a.layer > b.layer)
        VA_TRY(va_fail(l->cli->ctx, VA_ERR_USAGE,
                       "--from %s: expected the lower layer first, got %lld to %lld", piece,
                       (long long)a.layer, (long long)b.layer));
    for (int64_t i = a.layer; l->n_layer >= 0 && i <= b.layer; i++) {
        a.layer = i;
        VA_TRY(add_site(l, &a));
    }
done:
    return st;
}

static va_status add_piece(source_list *l, const char *piece) {
    va_status st = VA_OK;
    va_site site;
    const char *colon = strchr(piece, ':'), *at = strchr(piece, '@');
    const char *dots = colon ? strstr(colon, "..") : NULL;
    if (colon && colon[1] == '*' && (!colon[2] || colon + 2 == at))
        return add_all(l, piece);
    if (dots && (!at || dots < at))
        return add_range(l, piece, colon + 1, dots);
    VA_TRY(va_site_parse(l->cli->ctx, piece, l->n_layer, &site));
    if (l->n_layer >= 0)
        VA_TRY(add_site(l, &site));
done:
    return st;
}

va_status va_cli_read_sources(va_cli *cli, const char *from, const va_site *to, int64_t n_layer,
                              va_site **sites, int64_t *n) {
    va_status st = VA_OK;
    source_list l = {.cli = cli, .text = from, .to = to, .n_layer = n_layer};
    for (const char *s = from;; s++) {
        const int64_t length = (int64_t)strcspn(s, ",");
        const char *piece;
        VA_TRY_ALLOC(cli->ctx, piece, va_arena_strndup(cli->arena, s, length));
        VA_TRY(add_piece(&l, piece));
        s += length;
        if (!*s)
            break;
    }
    *sites = l.sites;
    *n = l.n;
done:
    return st;
}

// -- tokens ---------------------------------------------------------------------------------------

// Ids, or the tokens of a text.
static va_status token_ids(va_cli *cli, const va_cli_prompt *p, const char *text, int32_t **ids,
                           int64_t *n) {
    va_status st = VA_OK;
    va_tokenizer *tok = va_model_tokenizer(p->model);
    va_token *tokens;
    if (va_cli_parse_ids(cli, text, ids, n))
        return VA_OK;
    if (!tok)
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "--tokens: expected ids with commas between, as %s has no tokenizer.json; "
                       "got '%s'",
                       va_model_dir(p->model), text);
    VA_TRY(va_tokenizer_encode(tok, cli->arena, text, (int64_t)strlen(text), false, &tokens, n));
    if (*n < 1)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE, "--tokens: expected at least one token, got '%s'",
                       text));
    VA_TRY_ALLOC(cli->ctx, *ids, VA_NEW_ARRAY(cli->arena, int32_t, *n));
    for (int64_t i = 0; i < *n; i++)
        (*ids)[i] = tokens[i].id;
done:
    return st;
}

static int compare_ids(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static va_status check_tokens(va_cli *cli, const va_cli_prompt *p, const int32_t *ids, int64_t n) {
    va_status st = VA_OK;
    const int64_t V = va_model_config(p->model)->vocab_size;
    int32_t *sorted;
    VA_TRY_ALLOC(cli->ctx, sorted, VA_NEW_ARRAY(cli->arena, int32_t, n));
    memcpy(sorted, ids, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_ids);
    if (sorted[n - 1] >= V)
        return va_fail(cli->ctx, VA_ERR_USAGE, "--tokens: expected ids from 0 to %lld, got %d",
                       (long long)V - 1, sorted[n - 1]);
    for (int64_t i = 1; i < n; i++)
        if (sorted[i] == sorted[i - 1])
            return va_fail(cli->ctx, VA_ERR_USAGE, "--tokens: token %d stands twice", sorted[i]);
done:
    return st;
}

va_status va_cli_read_tokens(va_cli *cli, const va_cli_prompt *p, int64_t i,
                             va_cli_tokens *tokens) {
    va_status st = VA_OK;
    const int64_t T = va_cli_site_rows(p, i), V = va_cli_site_width(p, i);
    char text[64];
    *tokens = (va_cli_tokens){0};
    if (p->sites[i].kind != VA_SITE_LOGITS)
        return va_fail(cli->ctx, VA_ERR_USAGE, "--tokens: expected --to logits, got %s",
                       va_site_text(&p->sites[i], text));
    VA_TRY(token_ids(cli, p, va_cli_value_of(cli, OPT_TOKENS), &tokens->ids, &tokens->n));
    VA_TRY(check_tokens(cli, p, tokens->ids, tokens->n));
    tokens->n_rows = T * tokens->n;
    VA_TRY_ALLOC(cli->ctx, tokens->rows, VA_NEW_ARRAY(cli->arena, int64_t, tokens->n_rows));
    va_json *list = va_json_add_array(cli->out, "tokens");
    for (int64_t j = 0; j < tokens->n; j++)
        va_json_add_int(list, NULL, tokens->ids[j]);
    for (int64_t j = 0; j < tokens->n_rows; j++)
        tokens->rows[j] = j / tokens->n * V + tokens->ids[j % tokens->n];
done:
    return st;
}
