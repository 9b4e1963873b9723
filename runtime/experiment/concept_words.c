// concept_words.c: the words that a term's name is made of.
// SPDX-License-Identifier: Apache-2.0
#include "concept_priv.h"

#include <string.h>

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_small_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_break(char c) {
    return c == '_' || c == ' ';
}

static bool begins_word(const char *term, int64_t i) {
    if (i == 0 || is_break(term[i - 1]))
        return true;
    if (!is_upper(term[i]))
        return false;
    return is_small_or_digit(term[i - 1]) ||
           (is_upper(term[i - 1]) && term[i + 1] >= 'a' && term[i + 1] <= 'z');
}

// Copies the word in lower case, unless several capitals begin it.
static void put_word(const char *word, int64_t n, char *out) {
    const bool keep = n > 1 && is_upper(word[0]) && is_upper(word[1]);
    memcpy(out, word, (size_t)n);
    if (!keep && is_upper(word[0]))
        out[0] = (char)(word[0] - 'A' + 'a');
}

const char *va_concept_words(va_arena *arena, const char *term) {
    const int64_t n = (int64_t)strlen(term);
    int64_t n_out = 0;
    char *out = va_arena_alloc(arena, 2 * n + 1); // a space before each letter at most
    if (!out)
        return NULL;
    for (int64_t begin = 0, end; begin < n; begin = end) {
        end = begin + 1;
        if (is_break(term[begin]))
            continue;
        while (end < n && !is_break(term[end]) && !begins_word(term, end))
            end++;
        if (n_out > 0)
            out[n_out++] = ' ';
        put_word(term + begin, end - begin, out + n_out);
        n_out += end - begin;
    }
    return n_out > 0 ? out : term; // nothing but breaks
}
