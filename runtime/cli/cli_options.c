// The command line: one table of options serves the parser, the help and the hints.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct option_info {
    const char *name, *letter, *value, *help;
} option_info;

static const option_info options[VA_OPT_COUNT] = {
#define VA_X(id, name, letter, value, help) [id] = {name, letter, value, help},
    VA_OPT_LIST(VA_X)
#undef VA_X
};
_Static_assert(VA_OPT_COUNT <= 64, "options are bits of a uint64_t");

const char *va_cli_option_name(va_opt opt) {
    return options[opt].name;
}

static bool takes(const va_verb *verb, va_opt opt) {
    return (verb->options | VA_OPTS_COMMON) >> opt & 1;
}

// -- finding the verb -----------------------------------------------------------------------------

// Number of words of argv that spell the verb's name, 0 when they do not.
static int words_matched(const va_verb *verb, int argc, char **argv) {
    const char *s = verb->name;
    for (int n = 0; n < argc; n++) {
        const size_t length = strcspn(s, " ");
        if (strlen(argv[n]) != length || strncmp(s, argv[n], length) != 0)
            return 0;
        if (s[length] == '\0')
            return n + 1;
        s += length + 1;
    }
    return 0;
}

const va_verb *va_cli_find_verb(int argc, char **argv, int *n_words) {
    for (int i = 0; i < va_verb_count; i++) {
        *n_words = words_matched(&va_verbs[i], argc, argv);
        if (*n_words > 0)
            return &va_verbs[i];
    }
    return NULL;
}

static va_status fail_verb(va_cli *cli, int argc, char **argv) {
    const char **names = VA_NEW_ARRAY(cli->arena, const char *, va_verb_count);
    for (int i = 0; names && i < va_verb_count; i++) {
        names[i] = va_verbs[i].name;
        const size_t length = strcspn(names[i], " ");
        if (names[i][length] && strncmp(names[i], argv[0], length) == 0 && !argv[0][length])
            return va_fail(cli->ctx, VA_ERR_USAGE, "%s: expected '%s', got '%s'", argv[0], names[i],
                           argc > 1 ? argv[1] : "nothing more");
    }
    const char *near = names ? va_did_you_mean(argv[0], names, va_verb_count) : NULL;
    return va_fail(cli->ctx, VA_ERR_USAGE, "unknown verb '%s'%s%s%s; vkalign --help lists them",
                   argv[0], near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

// -- options --------------------------------------------------------------------------------------

static va_status fail_option(va_cli *cli, const char *word, int length) {
    const char *names[VA_OPT_COUNT], *text = va_arena_strndup(cli->arena, word, length);
    int64_t n = 0;
    for (int i = 0; i < VA_OPT_COUNT; i++) {
        if (takes(cli->verb, (va_opt)i))
            names[n++] = options[i].name;
        else if (text && strcmp(options[i].name, text) == 0)
            return va_fail(cli->ctx, VA_ERR_USAGE, "%s takes no %s; see vkalign %s --help",
                           cli->verb->name, text, cli->verb->name);
    }
    const char *near = text ? va_did_you_mean(text, names, n) : NULL;
    return va_fail(cli->ctx, VA_ERR_USAGE, "unknown option '%s'%s%s%s; see vkalign %s --help",
                   text ? text : "?", near ? ", did you mean '" : "", near ? near : "",
                   near ? "'?" : "", cli->verb->name);
}

static bool is_option(const option_info *o, const char *word, size_t length) {
    return (strlen(o->name) == length && strncmp(o->name, word, length) == 0) ||
           (o->letter && strlen(o->letter) == length && strncmp(o->letter, word, length) == 0);
}

// One option at argv[*i]; moves *i past its value.
static va_status take_option(va_cli *cli, int argc, char **argv, int *i) {
    const char *word = argv[*i], *equals = strchr(word, '=');
    const size_t length = equals ? (size_t)(equals - word) : strlen(word);
    int opt = 0;
    while (opt < VA_OPT_COUNT &&
           !(takes(cli->verb, (va_opt)opt) && is_option(&options[opt], word, length)))
        opt++;
    if (opt == VA_OPT_COUNT)
        return fail_option(cli, word, (int)length);
    va_cli_value *v = &cli->values[cli->n_values];
    *v = (va_cli_value){.opt = (va_opt)opt, .text = ""};
    if (!options[opt].value) {
        if (equals)
            return va_fail(cli->ctx, VA_ERR_USAGE, "%s takes no value", options[opt].name);
    } else if (equals) {
        v->text = equals + 1;
    } else if (*i + 1 < argc) {
        v->text = argv[++*i];
    } else {
        return va_fail(cli->ctx, VA_ERR_USAGE, "%s: expected a value (%s)", options[opt].name,
                       options[opt].value);
    }
    cli->n_values++;
    return VA_OK;
}

static va_status check_count(va_cli *cli) {
    const va_verb *v = cli->verb;
    if (cli->n_args < v->min_args)
        return va_fail(cli->ctx, VA_ERR_USAGE, "%s: expected %s; see vkalign %s --help", v->name,
                       v->arguments, v->name);
    if (v->max_args >= 0 && cli->n_args > v->max_args)
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "%s: unexpected argument '%s'; see vkalign %s --help", v->name,
                       cli->args[v->max_args], v->name);
    return VA_OK;
}

va_status va_cli_parse(va_cli *cli, int argc, char **argv) {
    va_status st = VA_OK;
    int n_words;
    bool only_args = false;
    cli->verb = va_cli_find_verb(argc, argv, &n_words);
    if (!cli->verb)
        return fail_verb(cli, argc, argv);
    VA_TRY_ALLOC(cli->ctx, cli->args, VA_NEW_ARRAY(cli->arena, const char *, argc + 1));
    VA_TRY_ALLOC(cli->ctx, cli->values, VA_NEW_ARRAY(cli->arena, va_cli_value, argc + 1));
    for (int i = n_words; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0)
            only_args = true;
        else if (!only_args && argv[i][0] == '-' && argv[i][1])
            VA_TRY(take_option(cli, argc, argv, &i));
        else
            cli->args[cli->n_args++] = argv[i];
    }
    if (!va_cli_has(cli, OPT_HELP))
        VA_TRY(check_count(cli));
done:
    return st;
}

// -- values ---------------------------------------------------------------------------------------

bool va_cli_has(const va_cli *cli, va_opt opt) {
    return va_cli_value_of(cli, opt) != NULL;
}

const char *va_cli_value_of(const va_cli *cli, va_opt opt) {
    for (int i = cli->n_values - 1; i >= 0; i--)
        if (cli->values[i].opt == opt)
            return cli->values[i].text;
    return NULL;
}

va_status va_cli_all(va_cli *cli, va_opt opt, const char *const **list, int64_t *n) {
    va_status st = VA_OK;
    const char **out;
    *n = 0;
    VA_TRY_ALLOC(cli->ctx, out, VA_NEW_ARRAY(cli->arena, const char *, cli->n_values + 1));
    for (int i = 0; i < cli->n_values; i++)
        if (cli->values[i].opt == opt)
            out[(*n)++] = cli->values[i].text;
    *list = out;
done:
    return st;
}

va_status va_cli_require(va_cli *cli, va_opt opt, const char **value) {
    *value = va_cli_value_of(cli, opt);
    if (*value)
        return VA_OK;
    return va_fail(cli->ctx, VA_ERR_USAGE, "%s: expected %s %s; see vkalign %s --help",
                   cli->verb->name, options[opt].name, options[opt].value ? options[opt].value : "",
                   cli->verb->name);
}

va_status va_cli_int(va_cli *cli, va_opt opt, int64_t min, int64_t max, int64_t *out) {
    const char *text = va_cli_value_of(cli, opt);
    char *end;
    if (!text)
        return VA_OK;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (!text[0] || isspace((unsigned char)text[0]) || *end || errno || v < min || v > max)
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "%s: expected an integer from %lld to %lld, got '%s'", options[opt].name,
                       (long long)min, (long long)max, text);
    *out = v;
    return VA_OK;
}

va_status va_cli_positive(va_cli *cli, va_opt opt, double *out) {
    const char *text = va_cli_value_of(cli, opt);
    char *end;
    if (!text)
        return VA_OK;
    const double v = strtod(text, &end);
    if (!text[0] || *end || !isfinite(v) || v <= 0)
        return va_fail(cli->ctx, VA_ERR_USAGE, "%s: expected a number above 0, got '%s'",
                       options[opt].name, text);
    *out = v;
    return VA_OK;
}

// The factor that a unit stands for, 0 for what is none.
static double unit_factor(const char *unit) {
    static const char letters[] = "kMGT";
    const char first = *unit == 'K' ? 'k' : *unit;
    const char *at = first ? strchr(letters, first) : NULL;
    const bool binary = at && unit[1] == 'i';
    const char *rest = unit + (at ? 1 : 0) + (binary ? 1 : 0);
    if (rest[0] == 'B' && rest[1] == '\0')
        rest++;
    if (*rest)
        return 0;
    return at ? pow(binary ? 1024 : 1000, (double)(at - letters + 1)) : 1;
}

va_status va_cli_bytes(va_cli *cli, va_opt opt, int64_t *out) {
    const char *text = va_cli_value_of(cli, opt);
    if (!text)
        return VA_OK;
    const size_t digits = strspn(text, "0123456789."); // no sign, exponent, hex or infinity
    const double v = digits > 0 && digits < 32 ? strtod(text, NULL) : 0;
    const char *dot = strchr(text, '.');
    const bool number = text[0] != '.' && (!dot || !strchr(dot + 1, '.'));
    const double bytes = v * unit_factor(text + digits);
    if (!number || !(bytes >= 1) || bytes > 1e18)
        return va_fail(cli->ctx, VA_ERR_USAGE,
                       "%s: expected a number of bytes such as 500M, 2G or 1.5GiB, got '%s'",
                       options[opt].name, text);
    *out = (int64_t)bytes;
    return VA_OK;
}

va_status va_cli_mode(va_cli *cli, va_mode *mode) {
    const char *text = va_cli_value_of(cli, OPT_MODE);
    *mode = text && strcmp(text, "detached") == 0 ? VA_DETACHED : VA_EXACT;
    if (!text || *mode == VA_DETACHED || strcmp(text, "exact") == 0)
        return VA_OK;
    return va_fail(cli->ctx, VA_ERR_USAGE, "--mode: expected exact or detached, got '%s'", text);
}

// -- help -----------------------------------------------------------------------------------------

static void help_option(const option_info *o, FILE *to) {
    char left[48];
    snprintf(left, sizeof left, "%s%s%s%s%s", o->letter ? o->letter : "", o->letter ? ", " : "",
             o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(to, "  %-24s %s\n", left, o->help);
}

void va_cli_help(const va_verb *verb, FILE *to) {
    if (!verb) {
        fprintf(to, "vkalign " VA_VERSION ": Jacobians of language models, on any Vulkan device\n\n"
                    "usage: vkalign VERB [OPTION]...\n\n");
        for (int i = 0; i < va_verb_count; i++) {
            char left[48];
            snprintf(left, sizeof left, "%s %s", va_verbs[i].name, va_verbs[i].arguments);
            fprintf(to, "  %-24s %s\n", left, va_verbs[i].summary);
        }
        fprintf(to, "\nvkalign VERB --help tells a verb's options; vkalign --version the version.\n"
                    "Exit status: 0 done; 1 some units failed, the others are saved; 2 usage or\n"
                    "experiment file; 3 an input file; 4 device; 130 interrupted, resumable.\n");
        return;
    }
    fprintf(to, "vkalign %s: %s\n\nusage: vkalign %s%s%s [OPTION]...\n\n", verb->name,
            verb->summary, verb->name, verb->arguments[0] ? " " : "", verb->arguments);
    for (int i = 0; i < VA_OPT_COUNT; i++)
        if (takes(verb, (va_opt)i))
            help_option(&options[i], to);
    if (verb->more)
        fprintf(to, "\n%s\n", verb->more);
}
