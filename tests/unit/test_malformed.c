// test_malformed.c: damaged files give a status: no crash, no leak, no hang.
//
// Files are cut short, bytes flipped, replaced, doubled and dropped, by seeded chance. What still
// loads is used, so that damage that loading overlooks comes to light. Worth most when built with
// VA_SANITIZE. Every damaged file is reproduced by the number that a failure shows.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

enum { N_TOKENIZERS = 700, N_SAFETENSORS = 700, N_YAML = 3000 };

typedef struct damaged {
    uint8_t *data;
    int64_t size, cap;
} damaged;

// Room for one more byte per edit.
enum { MAX_EDITS = 4 };

static void edit(damaged *d, va_rng *rng) {
    static const char spice[] = "{}[]\",:\\0-9eEnt&*!|>%@` \n\t\xFF\xC3\x80";
    if (d->size == 0)
        return;
    int64_t at = va_rng_below(rng, (uint32_t)d->size);
    switch (va_rng_below(rng, 6)) {
    case 0: // flip a bit
        d->data[at] ^= (uint8_t)(1u << va_rng_below(rng, 8));
        break;
    case 1: // any byte
        d->data[at] = (uint8_t)va_rng_below(rng, 256);
        break;
    case 2: // a byte that means something
        d->data[at] = (uint8_t)spice[va_rng_below(rng, sizeof spice - 1)];
        break;
    case 3: // drop a byte
        memmove(d->data + at, d->data + at + 1, (size_t)(d->size - at - 1));
        d->size--;
        break;
    case 4: // double a byte
        if (d->size == d->cap)
            break;
        memmove(d->data + at + 1, d->data + at, (size_t)(d->size - at));
        d->size++;
        break;
    case 5: // cut short, one time in four
        if (va_rng_below(rng, 4) == 0)
            d->size = at;
        break;
    }
}

static damaged damage(const uint8_t *data, int64_t size, uint64_t number) {
    damaged d = {.size = size, .cap = size + MAX_EDITS};
    va_rng rng = va_rng_make(2024, number);
    d.data = malloc((size_t)d.cap + 1);
    assert_non_null(d.data);
    memcpy(d.data, data, (size_t)size);
    int64_t edits = 1 + va_rng_below(&rng, MAX_EDITS);
    for (int64_t i = 0; i < edits; i++)
        edit(&d, &rng);
    return d;
}

static void write_file(const char *path, const void *data, int64_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, (size_t)size, f), size);
    assert_int_equal(fclose(f), 0);
}

// A failure has a code that belongs to files and says something.
static void check_error(va_ctx *ctx, va_status st, int64_t number) {
    bool fits = st == VA_ERR_FORMAT || st == VA_ERR_SHAPE || st == VA_ERR_UNSUPPORTED ||
                st == VA_ERR_SPEC || st == VA_ERR_FILE;
    if (!fits || !*va_error_message(ctx))
        fail_msg("number %lld: status %d: %s", (long long)number, st, va_error_message(ctx));
}

// -- tokenizers ------------------------------------------------------------------------------

static const char small_tokenizer[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true,"
    "\"normalized\":false,\"lstrip\":true,\"rstrip\":true,\"single_word\":false},"
    "{\"id\":9,\"content\":\"Tag\",\"normalized\":true,\"single_word\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},"
    "{\"type\":\"Prepend\",\"prepend\":\"_\"},{\"type\":\"Lowercase\"},{\"type\":\"Strip\","
    "\"strip_left\":false,\"strip_right\":true},{\"type\":\"Replace\",\"pattern\":{\"Regex\":"
    "\" {2,}|\\\\s+(?!\\\\S)\"},\"content\":\" \"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
    "{\"Regex\":\"[^\\\\p{L}]?\\\\p{L}+|\\\\p{N}{1,3}|[(]a*?[)]\"},\"behavior\":\"Isolated\","
    "\"invert\":false},{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Metaspace\","
    "\"replacement\":\"_\",\"prepend_scheme\":\"first\",\"split\":true},{\"type\":\"ByteLevel\","
    "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
    "\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":"
    "{\"<s>\":{\"id\":\"<s>\",\"ids\":[0],\"tokens\":[\"<s>\"]}}},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":\"_\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<u>\",\"fuse_unk\":true,\"byte_fallback\":true,"
    "\"ignore_merges\":false,\"vocab\":{\"<u>\":1,\"a\":2,\"b\":3,\"ab\":4,\"_\":5,\"_a\":6,"
    "\"<0xC3>\":7,\"<0xA9>\":8,\"abab\":10},\"merges\":[\"a b\",[\"_\",\"a\"],\"ab ab\"]}}";

static void use_tokenizer(va_ctx *ctx, va_tokenizer *tok, int64_t number) {
    static const char text[] = "ab  Abab_a<s> caf\xC3\xA9 Tag 123 (aa) \xEF\xAC\x83 ababababab  ";
    va_arena *arena = va_arena_create();
    va_token *tokens = NULL;
    int64_t n = 0, size = (int64_t)strlen(text);
    va_status st = va_tokenizer_encode(tok, arena, text, size, true, &tokens, &n);
    if (st != VA_OK)
        check_error(ctx, st, number);
    int32_t *ids = VA_NEW_ARRAY(arena, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        assert_true(0 <= tokens[i].begin && tokens[i].begin <= tokens[i].end);
        assert_true(tokens[i].end <= size);
        assert_non_null(va_tokenizer_token(tok, tokens[i].id));
        ids[i] = tokens[i].id;
    }
    char *decoded = NULL;
    st = va_tokenizer_decode(tok, arena, ids, n, false, &decoded);
    if (st != VA_OK)
        check_error(ctx, st, number);
    else
        assert_non_null(decoded);
    va_arena_destroy(&arena);
}

static void damaged_tokenizers(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    int64_t loaded = 0, refused = 0;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "tokenizer.json");
    for (int64_t i = -1; i < N_TOKENIZERS; i++) {
        int64_t size = (int64_t)strlen(small_tokenizer);
        damaged d = damage((const uint8_t *)small_tokenizer, size, (uint64_t)i);
        if (i < 0) // the undamaged one loads
            write_file(path, small_tokenizer, size);
        else
            write_file(path, d.data, d.size);
        free(d.data);
        va_tokenizer *tok = NULL;
        va_error_clear(ctx);
        va_status st = va_tokenizer_load(ctx, path, &tok);
        assert_true((st == VA_OK) == (tok != NULL));
        if (i < 0)
            assert_ok(ctx, st);
        if (st == VA_OK)
            use_tokenizer(ctx, tok, i);
        else
            check_error(ctx, st, i);
        *(st == VA_OK ? &loaded : &refused) += 1;
        va_tokenizer_free(&tok);
    }
    assert_true(loaded > 10 && refused > 100);
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

// -- safetensors -----------------------------------------------------------------------------

static uint8_t *small_safetensors(va_ctx *ctx, const char *path, int64_t *size) {
    const float values[6] = {1, 2, 3, 4, 5, 6};
    const va_file_tensor entries[] = {
        {.name = "embed", .dtype = VA_F32, .n_dim = 2, .shape = {2, 3}, .data = values},
        {.name = "norm", .dtype = VA_BF16, .n_dim = 1, .shape = {4}, .data = values},
        {.name = "empty", .dtype = VA_F16, .n_dim = 2, .shape = {0, 7}, .data = values},
    };
    static const char *const meta[][2] = {{"format", "pt"}};
    va_map map = {0};
    assert_ok(ctx, va_safetensors_write(ctx, path, entries, VA_COUNT(entries), meta, 1));
    assert_ok(ctx, va_map_open(ctx, path, &map));
    uint8_t *copy = malloc((size_t)map.size_bytes);
    assert_non_null(copy);
    memcpy(copy, map.data, (size_t)map.size_bytes);
    *size = map.size_bytes;
    va_map_close(&map);
    return copy;
}

static void use_safetensors(const va_safetensors *st) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < va_safetensors_count(st); i++) {
        const va_file_tensor *t = va_safetensors_at(st, i);
        assert_true(t->n_elem >= 0 && t->size_bytes >= 0 && t->n_dim <= VA_MAX_DIM);
        assert_int_equal(t->size_bytes, t->n_elem * va_dtype_bytes(t->dtype));
        for (int64_t k = 0; k < t->size_bytes; k++) // reads every byte it claims
            sum += ((const uint8_t *)t->data)[k];
        assert_ptr_equal(va_safetensors_find(st, t->name), t);
    }
    const char *format = va_safetensors_metadata(st, "format");
    assert_true(!format || strlen(format) < 100 || sum);
}

static void damaged_safetensors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    int64_t size, loaded = 0, refused = 0;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "model.safetensors");
    uint8_t *whole = small_safetensors(ctx, path, &size);
    for (int64_t i = 0; i < N_SAFETENSORS; i++) {
        damaged d = damage(whole, size, (uint64_t)i);
        write_file(path, d.data, d.size);
        free(d.data);
        va_safetensors *file = NULL;
        va_error_clear(ctx);
        va_status st = va_safetensors_open(ctx, path, &file);
        assert_true((st == VA_OK) == (file != NULL));
        if (st == VA_OK)
            use_safetensors(file);
        else
            check_error(ctx, st, i);
        *(st == VA_OK ? &loaded : &refused) += 1;
        va_safetensors_close(&file);
    }
    for (int64_t cut = 0; cut < size; cut++) { // every truncation is noticed
        va_safetensors *file = NULL;
        write_file(path, whole, cut);
        check_error(ctx, va_safetensors_open(ctx, path, &file), cut);
        assert_null(file);
    }
    assert_true(loaded > 10 && refused > 100);
    free(whole);
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

// -- YAML ------------------------------------------------------------------------------------

static const char small_yaml[] =
    "# an experiment\nversion: 1\nname: layer0\nmodel: {path: models/x, layers: [6, 7, -2]}\n"
    "concepts: &all\n  - {name: Physical, definition: \"in \\u00e9 space\", positives: ['a', "
    "\"b\"]}\n"
    "  - name: Abstract\n    hard_negatives: |\n      line one\n      line two\n    n: 1.5e-3\n"
    "prompts: [\"The concept of {concept} means\", 'it''s', ~, null, true, 0x1F, .inf]\n"
    "again: *all\nfolded: >-\n  a b\n\n  c\nempty: {}\n? complex\n: value\n";

static int64_t walk(const va_yaml *n, int depth) {
    int64_t ints, count = 1;
    double d;
    bool b;
    assert_non_null(n);
    assert_true(depth < 100 && n->line >= 1 && n->col >= 1);
    va_yaml_as_int(n, &ints);
    va_yaml_as_double(n, &d);
    va_yaml_as_bool(n, &b);
    if (n->kind == VA_YAML_SCALAR)
        assert_non_null(n->text);
    for (int64_t i = 0; i < n->n; i++) {
        count += walk(n->item[i], depth + 1);
        if (n->kind == VA_YAML_MAP)
            assert_ptr_equal(va_yaml_get(n, n->key[i]->text), n->item[i]);
    }
    return count;
}

static void damaged_yaml(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    int64_t size = (int64_t)strlen(small_yaml), loaded = 0, refused = 0;
    for (int64_t i = -1; i < N_YAML; i++) {
        damaged d = damage((const uint8_t *)small_yaml, size, (uint64_t)i);
        if (i < 0) {
            memcpy(d.data, small_yaml, (size_t)size);
            d.size = size;
        }
        va_yaml *root = NULL;
        va_error_clear(ctx);
        va_status st =
            va_yaml_parse(ctx, arena, "x.yaml", (const char *)d.data, d.size, NULL, &root);
        if (i < 0)
            assert_ok(ctx, st);
        if (st == VA_OK) {
            va_strbuf out = {0};
            assert_true(walk(root, 0) >= 1);
            va_yaml_write(root, &out);
            assert_false(out.failed);
            va_strbuf_free(&out);
        } else {
            assert_int_equal(st, VA_ERR_SPEC);
            assert_non_null(strstr(va_error_message(ctx), "x.yaml:"));
        }
        *(st == VA_OK ? &loaded : &refused) += 1;
        free(d.data);
        va_arena_reset(arena);
    }
    assert_true(loaded > 10 && refused > 100);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_tokenizers),
        cmocka_unit_test(damaged_safetensors),
        cmocka_unit_test(damaged_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
