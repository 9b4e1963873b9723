// What a derivative says, on stdout and as JSON.
// SPDX-License-Identifier: Apache-2.0
#include "cli_read.h"

#include <math.h>
#include <string.h>

// -- tokens ---------------------------------------------------------------------------------------

#define SPACE "\xE2\x96\x81" // the low line that SentencePiece writes for a space

static bool begins(const char *s, const char *with) {
    return strncmp(s, with, strlen(with)) == 0;
}

// Byte-level vocabularies spell bytes as other letters, so the decoder's text is what people read;
// it drops a leading space in some families, hence the look at the token itself.
const char *va_cli_token_text(va_cli *cli, va_tokenizer *tok, int32_t id) {
    const char *token = tok ? va_tokenizer_token(tok, id) : NULL, *text = token;
    char *decoded;
    va_strbuf b = {0};
    if (!token) {
        text = va_arena_printf(cli->arena, "#%d", id);
        return text ? text : "?";
    }
    if (va_tokenizer_decode(tok, cli->arena, &id, 1, false, &decoded) == VA_OK) {
        const size_t spaces = strspn(decoded, " ");
        if (decoded[spaces] && !strstr(decoded, "\xEF\xBF\xBD")) {
            text = decoded + spaces;
            if (spaces > 0 || begins(token, SPACE) || begins(token, "\xC4\xA0"))
                va_strbuf_puts(&b, SPACE);
        }
    } else {
        va_error_clear(cli->ctx);
    }
    for (; *text; text++) {
        if (*text == '\n')
            va_strbuf_puts(&b, "\\n");
        else if ((unsigned char)*text < ' ' || *text == 0x7f)
            va_strbuf_printf(&b, "\\x%02x", (unsigned char)*text);
        else
            va_strbuf_append(&b, text, 1);
    }
    text = va_arena_strdup(cli->arena, b.data ? b.data : "");
    va_strbuf_free(&b);
    return text ? text : "?";
}

// Columns that a text takes, one a character.
static int columns(const char *s) {
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void print_padded(const va_cli *cli, const char *text, int width) {
    va_cli_print(cli, "%s%*s", text, VA_MAX(width - columns(text), 0), "");
}

// -- spectrum -------------------------------------------------------------------------------------

const char *va_cli_range_text(char buf[VA_CLI_RANGE], const va_read_range *r) {
    if (isnan(r->low)) // of a map that is zero
        snprintf(buf, VA_CLI_RANGE, "-");
    else if (r->low == r->high)
        snprintf(buf, VA_CLI_RANGE, "%.4g", r->low);
    else
        snprintf(buf, VA_CLI_RANGE, "%.4g to %.4g", r->low, r->high);
    return buf;
}

static double captured(const va_read_spectrum_result *s) {
    double sum = 0;
    for (int64_t j = 0; j < s->svd.k; j++)
        sum += s->svd.sigma[j] * s->svd.sigma[j];
    return sum > 0 ? sum / s->frobenius / s->frobenius : 0;
}

static void json_range(va_json *obj, const char *key, const va_read_range *r) {
    va_json *list = va_json_add_array(obj, key);
    va_json_add_double(list, NULL, r->low);
    va_json_add_double(list, NULL, r->high);
}

void va_cli_json_spectrum(va_json *obj, const va_read_spectrum_result *s) {
    va_json *sigma = va_json_add_array(obj, "sigma");
    va_json *residuals = va_json_add_array(obj, "residuals");
    va_json *converged = va_json_add_array(obj, "triplet_converged");
    for (int64_t j = 0; j < s->svd.k; j++) {
        va_json_add_double(sigma, NULL, s->svd.sigma[j]);
        va_json_add_double(residuals, NULL, s->svd.residual[j]);
        va_json_add_bool(converged, NULL, s->svd.is_converged[j]);
    }
    va_json_add_bool(obj, "converged", s->svd.converged);
    va_json_add_int(obj, "rank", s->svd.rank);
    va_json_add_int(obj, "iterations", s->svd.iterations);
    va_json_add_double(obj, "frobenius_norm", s->frobenius);
    va_json_add_bool(obj, "frobenius_exact", s->probes == 0);
    va_json_add_double(obj, "frobenius_standard_error", s->frobenius_error);
    va_json_add_int(obj, "probes", s->probes);
    va_json_add_double(obj, "stable_rank", s->stable_rank);
    va_json_add_double(obj, "stable_rank_standard_error", s->stable_rank_error);
    va_json *dimension = va_json_add_object(obj, "effective_dimension");
    va_json_add_string(dimension, "of", s->whole ? "whole spectrum" : "top k");
    va_json_add_int(dimension, "values", s->n_sigma);
    va_json_add_double(dimension, "participation_ratio", s->participation_ratio);
    va_json_add_double(dimension, "entropy_rank", s->entropy_rank);
    va_json_add_double(obj, "top_k_share", captured(s));
    json_range(dimension, "participation_ratio_bounds", &s->participation_bounds);
    json_range(dimension, "entropy_rank_bounds", &s->entropy_bounds);
    va_json_add_double(obj, "tolerance", s->svd.tolerance);
}

static void print_numbers(const va_cli *cli, const va_read_spectrum_result *s) {
    va_cli_print(cli, "  Frobenius norm       %.6g", s->frobenius);
    if (s->probes > 0)
        va_cli_print(cli, " +- %.2g (standard error of %lld probes)", s->frobenius_error,
                     (long long)s->probes);
    va_cli_print(cli, "\n  stable rank          %.4g", s->stable_rank);
    if (s->probes > 0)
        va_cli_print(cli, " +- %.2g", s->stable_rank_error);
    char participation[VA_CLI_RANGE], entropy[VA_CLI_RANGE];
    va_cli_print(cli, "\n  effective dimension  %s (participation ratio), %s (entropy), ",
                 va_cli_range_text(participation, &s->participation_bounds),
                 va_cli_range_text(entropy, &s->entropy_bounds));
    if (s->whole)
        va_cli_print(cli, "of all %lld values\n", (long long)s->n_sigma);
    else
        va_cli_print(cli,
                     "as the norm and the top %lld bound it\n"
                     "    of the top alone   %.4g, %.4g: %.3g%% of the squared norm\n",
                     (long long)s->n_sigma, s->participation_ratio, s->entropy_rank,
                     100 * captured(s));
}

void va_cli_show_spectrum(va_cli *cli, const va_read_spectrum_result *s) {
    const double squared = s->frobenius * s->frobenius;
    va_json *all = s->whole ? va_json_add_array(cli->out, "spectrum") : NULL;
    va_cli_json_spectrum(cli->out, s);
    for (int64_t i = 0; i < s->n_sigma && all; i++)
        va_json_add_double(all, NULL, s->sigma[i]);
    va_cli_print(cli, "\nspectrum\n");
    print_numbers(cli, s);
    va_cli_print(cli, "\n     j  sigma         of norm^2  residual\n");
    for (int64_t j = 0; j < s->svd.k; j++)
        va_cli_print(cli, "  %4lld  %-12.6g  %7.2f%%  %.1e%s%s\n", (long long)j + 1,
                     s->svd.sigma[j], 100 * s->svd.sigma[j] * s->svd.sigma[j] / squared,
                     s->svd.residual[j], j >= s->svd.rank ? "  (beyond the numerical rank)" : "",
                     s->svd.is_converged[j] ? "" : "  (NOT converged)");
}

// -- value ----------------------------------------------------------------------------------------

static void json_value(va_cli *cli, const va_cli_prompt *p, const va_read_value_result *v) {
    va_tokenizer *tok = va_model_tokenizer(p->model);
    va_json *r = va_json_add_object(cli->out, "reconstruction");
    va_json_add_double(r, "error", v->error);
    va_json_add_double(r, "norm_y", v->norm_y);
    va_json_add_double(r, "norm_Jx", v->norm_Jx);
    va_json_add_double(r, "norm_b", v->norm_b);
    va_json_add_double(r, "b_over_y", v->norm_b / v->norm_y);
    va_json_add_bool(r, "every_path_through_from", v->whole);
    va_json_add_bool(r, "family_has_biases", v->has_biases);
    va_json_add_bool(r, "expected_to_vanish", v->must_vanish);
    va_json_add_bool(r, "off", v->is_off);
    va_json *list = va_json_add_array(cli->out, "contributions");
    for (int64_t i = 0; i < v->n_shares; i++) {
        const va_read_share *s = &v->shares[i];
        va_json *entry = va_json_add_object(list, NULL);
        va_json_add_int(entry, "token", s->token);
        va_json_add_int(entry, "id", p->ids[s->token]);
        va_json_add_string(entry, "text", va_cli_token_text(cli, tok, p->ids[s->token]));
        va_json_add_double(entry, "norm", s->norm);
        va_json_add_double(entry, "cosine", s->cosine);
        va_json_add_double(entry, "share", s->share);
    }
    va_json_add_double(cli->out, "share_sum", v->share);
}

static const char *verdict(const va_read_value_result *v, bool detached) {
    if (v->is_off)
        return "WRONG: about 1e-6 expected of a detached map without biases";
    if (v->must_vanish)
        return "as it should be: detached, without biases, about 1e-6";
    if (!detached)
        return "exact: J is the slope alone, no reconstruction is expected";
    return v->whole ? "b is what the family's biases add"
                    : "b holds what reaches --to past --from, and biases";
}

static void print_share(const va_cli *cli, const char *name, int width, const va_read_share *s) {
    char cosine[32] = "-";
    if (isfinite(s->cosine)) // of what is not zero
        snprintf(cosine, sizeof cosine, "%+.4f", s->cosine);
    print_padded(cli, name, width);
    va_cli_print(cli, "  %11.5g  %13s  %+9.2f%%\n", s->norm, cosine, 100 * s->share);
}

void va_cli_show_value(va_cli *cli, const va_cli_prompt *p, const va_read_value_result *v) {
    va_tokenizer *tok = va_model_tokenizer(p->model);
    const char *mode = va_cli_value_of(cli, OPT_MODE);
    int width = 5;
    json_value(cli, p, v);
    for (int64_t i = 0; i < v->n_shares; i++)
        width = VA_MAX(width, columns(va_cli_token_text(cli, tok, p->ids[v->shares[i].token])));
    va_cli_print(cli, "\ny = J x + b\n");
    va_cli_print(cli, "  std(y - J x) / std(y)  %.3g   (%s)\n", v->error,
                 verdict(v, mode && strcmp(mode, "detached") == 0));
    va_cli_print(cli, "  ||b|| / ||y||          %.3g   (||y|| %.5g, ||J x|| %.5g)\n",
                 v->norm_b / v->norm_y, v->norm_y, v->norm_Jx);
    va_cli_print(cli, "\n     i  %-*s  ||J_i x_i||  cosine with y  share of y\n", width, "token");
    for (int64_t i = 0; i < v->n_shares; i++) {
        const va_read_share *s = &v->shares[i];
        va_cli_print(cli, "  %4lld  ", (long long)s->token);
        print_share(cli, va_cli_token_text(cli, tok, p->ids[s->token]), width, s);
    }
    const va_read_share all = {
        .norm = v->norm_Jx, .cosine = v->share * v->norm_y / v->norm_Jx, .share = v->share};
    va_cli_print(cli, "  %4s  ", "");
    print_share(cli, "all", width, &all);
}

// -- words ----------------------------------------------------------------------------------------

static void json_tokens(va_cli *cli, va_json *part, const char *key, va_tokenizer *tok,
                        const va_read_token *list, int64_t n) {
    va_json *array = va_json_add_array(part, key);
    for (int64_t i = 0; i < n; i++) {
        va_json *entry = va_json_add_object(array, NULL);
        va_json_add_int(entry, "id", list[i].id);
        va_json_add_string(entry, "text", va_cli_token_text(cli, tok, list[i].id));
        va_json_add_double(entry, "score", list[i].score);
    }
}

static void json_words(va_cli *cli, const char *key, const va_cli_prompt *p,
                       const va_cli_words *w) {
    va_tokenizer *tok = va_model_tokenizer(p->model);
    va_json *obj = va_json_add_object(cli->out, key);
    va_json_add_string(obj, "by", va_read_by_name(w->by));
    va_json_add_string(obj, "score", va_read_by_text(w->by));
    va_json *vectors = va_json_add_array(obj, "vectors");
    for (int64_t j = 0; j < w->k; j++) {
        va_json *parts = va_json_add_array(vectors, NULL);
        for (int64_t i = 0; i < w->words[j].n_parts; i++) {
            const va_read_part *part = &w->words[j].parts[i];
            va_json *entry = va_json_add_object(parts, NULL);
            if (w->is_mean)
                va_json_add_null(entry, "token");
            else
                va_json_add_int(entry, "token", w->first + part->row);
            va_json_add_double(entry, "share", part->share);
            json_tokens(cli, entry, "plus", tok, part->plus, w->words[j].n_tokens);
            json_tokens(cli, entry, "minus", tok, part->minus, w->words[j].n_tokens);
        }
    }
}

static void print_list(va_cli *cli, va_tokenizer *tok, char sign, const va_read_token *list,
                       int64_t n) {
    va_cli_print(cli, "%c", sign);
    for (int64_t i = 0; i < n; i++)
        va_cli_print(cli, " %s", va_cli_token_text(cli, tok, list[i].id));
    va_cli_print(cli, "\n");
}

static void print_word(va_cli *cli, const va_cli_prompt *p, char name, const va_cli_words *w,
                       int64_t j) {
    enum { WIDTH = 26 };
    va_tokenizer *tok = va_model_tokenizer(p->model);
    for (int64_t i = 0; i < w->words[j].n_parts; i++) {
        const va_read_part *part = &w->words[j].parts[i];
        const int64_t token = w->first + part->row;
        char head[160];
        if (w->is_mean)
            snprintf(head, sizeof head, "%c  mean of all tokens", name);
        else
            snprintf(head, sizeof head, "%c %3.0f%% at %lld %.100s", name, 100 * part->share,
                     (long long)token, va_cli_token_text(cli, tok, p->ids[token]));
        va_cli_print(cli, "        ");
        print_padded(cli, head, WIDTH);
        print_list(cli, tok, '+', part->plus, w->words[j].n_tokens);
        va_cli_print(cli, "        %*s", WIDTH, "");
        print_list(cli, tok, '-', part->minus, w->words[j].n_tokens);
    }
}

// cos(u, y): which sign of the pair y lies on.
static double along(const va_svd_result *r, int64_t j, const va_read_value_result *v) {
    double sum = 0;
    for (int64_t i = 0; i < r->m; i++)
        sum += (double)r->U[j * r->m + i] * v->y[i];
    return sum / v->norm_y;
}

void va_cli_show_words(va_cli *cli, const va_cli_prompt *p, const va_svd_result *r,
                       const va_read_value_result *v, const va_cli_words *left,
                       const va_cli_words *right) {
    va_json *cosines = va_json_add_array(cli->out, "cosine_u_y");
    json_words(cli, "left", p, left);
    json_words(cli, "right", p, right);
    va_cli_print(cli, "\nsingular vectors in words: z = u by %s, z = v by %s\n",
                 va_read_by_text(left->by), va_read_by_text(right->by));
    for (int64_t j = 0; j < left->k; j++) {
        const double cosine = along(r, j, v);
        va_json_add_double(cosines, NULL, cosine);
        va_cli_print(cli, "  %4lld  sigma %.4g, cosine of u with y %+.3f\n", (long long)j + 1,
                     r->sigma[j], cosine);
        print_word(cli, p, 'u', left, j);
        print_word(cli, p, 'v', right, j);
    }
    if (left->k < r->k)
        va_cli_print(cli,
                     "  the others are beyond the numerical rank: their vectors are arbitrary\n");
}
