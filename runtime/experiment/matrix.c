// matrix.c: a sweep: every combination of the values that `matrix` lists is an experiment.
// SPDX-License-Identifier: Apache-2.0
#include "matrix.h"

#include <string.h>

#include "spec_check.h"

enum { MAX_VARIANTS = 1000 };

// Takes `matrix` out of the tree. NULL when there is none, or it is wrong (diagnosed).
static const va_yaml *take(va_yaml *root) {
    for (int64_t i = 0; root->kind == VA_YAML_MAP && i < root->n; i++) {
        if (strcmp(root->key[i]->text, "matrix") != 0)
            continue;
        const va_yaml *matrix = root->item[i];
        root->n--;
        memmove(root->key + i, root->key + i + 1, (size_t)(root->n - i) * sizeof *root->key);
        memmove(root->item + i, root->item + i + 1, (size_t)(root->n - i) * sizeof *root->item);
        return matrix;
    }
    return NULL;
}

static va_place place_of(const char *file, const va_yaml *n) {
    return n->line == VA_LINE_OF_SET ? (va_place){"--set", 0, 0}
                                     : (va_place){file, n->line, n->col};
}

// A key names one path or, with commas, several. rest: what strtok_r goes on with.
static char *next_path(char **rest, char *first) {
    return strtok_r(first, ", ", rest);
}

// What names and places the runs themselves cannot be swept.
static bool can_be_swept(const char *path) {
    static const char *const fixed[] = {"version", "name", "output", "matrix"};
    const size_t n = strcspn(path, ".");
    for (int64_t i = 0; i < VA_COUNT(fixed); i++)
        if (strlen(fixed[i]) == n && strncmp(fixed[i], path, n) == 0)
            return false;
    return true;
}

static bool is_key(va_diagnostics *d, va_place at, const char *key) {
    char *rest = NULL, *copy = va_arena_strdup(d->arena, key);
    int64_t n = 0;
    for (char *path = copy ? next_path(&rest, copy) : NULL; path;
         path = next_path(&rest, NULL), n++)
        if (!can_be_swept(path)) {
            va_diagnose(d, at, "", "matrix.%s: '%s' cannot be swept", key, path);
            return false;
        }
    if (n == 0)
        va_diagnose(d, at, "", "matrix: expected a dotted key, got '%s'", key);
    return n > 0;
}

static bool is_matrix(va_diagnostics *d, const char *file, const va_yaml *matrix) {
    int64_t n = 1;
    if (matrix->kind != VA_YAML_MAP || matrix->n == 0) {
        va_diagnose(d, place_of(file, matrix), "",
                    "matrix: expected a map of dotted keys to lists of values");
        return false;
    }
    for (int64_t i = 0; i < matrix->n; i++) {
        const va_yaml *values = matrix->item[i];
        const char *key = matrix->key[i]->text;
        if (values->kind != VA_YAML_SEQ || values->n == 0) {
            va_diagnose(d, place_of(file, values), "", "matrix.%s: expected a list of values", key);
            return false;
        }
        if (!is_key(d, place_of(file, matrix->key[i]), key))
            return false;
        if (!va_mul_i64(n, values->n, &n) || n > MAX_VARIANTS) {
            va_diagnose(d, place_of(file, matrix), "", "matrix: expected at most %d combinations",
                        MAX_VARIANTS);
            return false;
        }
    }
    return true;
}

// The value as a part of a folder's name: short, without what such a name cannot hold. Of a list or
// a map its number.
static const char *value_text(va_arena *arena, const va_yaml *value, int64_t i) {
    enum { MOST = 40 };
    if (value->kind != VA_YAML_SCALAR)
        return va_arena_printf(arena, "%lld", (long long)(i + 1));
    int64_t n = VA_MIN((int64_t)strlen(value->text), MOST);
    while (n > 0 && ((unsigned char)value->text[n] & 0xC0) == 0x80)
        n--; // whole characters
    char *out = va_arena_strndup(arena, value->text, n);
    for (char *c = out; c && *c; c++)
        if (strchr("/ @:\\,=~", *c) || (unsigned char)*c < ' ')
            *c = '-';
    return out;
}

// "mode=exact" of directions.jacobian.mode. Values whose texts are alike carry their number too:
// every variant has a folder of its own.
static const char *add_name(va_arena *arena, const char *name, const char *path,
                            const va_yaml *values, int64_t i) {
    const char *dot = strrchr(path, '.'), *text = value_text(arena, values->item[i], i);
    bool alone = true;
    for (int64_t k = 0; text && k < values->n; k++) {
        const char *other = value_text(arena, values->item[k], k);
        alone &= k == i || !other || strcmp(other, text) != 0;
    }
    const char *key = dot ? dot + 1 : path;
    const char *number = alone ? "" : va_arena_printf(arena, "~%lld", (long long)(i + 1));
    return va_arena_printf(arena, "%s%s%s=%s%s", name, name[0] ? "," : "", key, text, number);
}

// A key may name several paths, with commas: they take the value together.
static void put_all(va_diagnostics *d, va_yaml *root, const char *paths, va_yaml *value,
                    va_place at) {
    char *copy = va_arena_strdup(d->arena, paths), *rest = NULL;
    for (char *path = copy ? next_path(&rest, copy) : NULL; path; path = next_path(&rest, NULL))
        va_spec_put(d, root, path, value, at);
}

va_variant va_matrix_apply(va_diagnostics *d, const char *file, va_yaml *root, int64_t index) {
    va_variant v = {.count = 1, .name = ""};
    const va_yaml *matrix = take(root);
    if (!matrix || !is_matrix(d, file, matrix))
        return v;
    for (int64_t i = 0; i < matrix->n; i++)
        v.count *= matrix->item[i]->n;
    v.set = VA_NEW_ARRAY(d->arena, va_variant_value, matrix->n);
    int64_t stride = v.count;
    for (int64_t i = 0; v.set && i < matrix->n; i++) {
        const va_yaml *values = matrix->item[i];
        stride /= values->n;
        const int64_t k = index / stride % values->n;
        const char *path = matrix->key[i]->text;
        put_all(d, root, path, values->item[k], place_of(file, matrix->key[i]));
        v.name = add_name(d->arena, v.name, path, values, k);
        v.set[v.n_set++] = (va_variant_value){path, values->item[k]};
    }
    va_spec_check_name(d, place_of(file, matrix), "matrix", v.name);
    return v;
}
