// Models out of GGUF files against transformers: those of tests/fixtures/gguf-models that hold a
// folder's model are held to the folder's values, the others (quantised ones) to their own.
// libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "family_check.h"

#include "test_support.h"

#include <dirent.h>

// Numbers of elements and dtypes as the gguf package counts them.
static const struct {
    const char *name, *family, *dtypes;
    int64_t n_params;
    bool tied;
} facts[] = {
    {"gemma2-plain", "gemma2", "F32", 13740, true},
    {"gemma2-q8_0", "gemma2", "F32+Q8_0+Q4_0", 95040, true},
    {"gemma3-rope", "gemma3", "F32", 44704, true},
    {"gemma3-window", "gemma3", "F32", 36056, true},
    {"gpt2-plain", "gpt2", "F32", 13590, true},
    {"gpt_neox-plain", "gpt_neox", "F32", 26224, false},
    {"gpt_neox-serial", "gpt_neox", "F32", 8880, false},
    {"llama-bias", "llama", "F32", 10872, false},
    {"llama-llama3", "llama", "F32", 13237, true},
    {"llama-plain", "llama", "F32", 14760, false},
    {"llama-q4_k_m", "llama", "F32+Q4_K+Q5_K+Q6_K", 705792, false},
    {"llama-q8_0", "llama", "F32+Q8_0", 116032, false},
    {"llama-smollm2", "llama", "F32", 12744, true},
    {"mistral-nemo", "llama", "F32", 13040, false},
    {"olmo2-plain", "olmo2", "F32", 14676, false},
    {"olmo3-current", "olmo2", "F32", 9328, false},
    {"olmo3-plain", "olmo2", "F32", 14080, false},
    {"phi3-mini", "phi3", "F32", 16296, false},
    {"phi3-mini4", "phi3", "F32", 12750, true},
    {"phi3-q4_0", "phi3", "F32+Q4_0", 65856, false},
    {"qwen2-plain", "qwen2", "F32", 14712, false},
    {"qwen2-q4_0", "qwen2", "F32+F16+BF16+Q8_0+Q4_0", 61952, false},
    {"qwen2-yarn", "qwen2", "F32", 11200, false},
    {"qwen3-plain", "qwen3", "F32", 16716, true},
    {"qwen3-yarn", "qwen3", "F32", 9092, false},
    {"smollm3-f32", "smollm3", "F32", 17496, true},
};
enum { N_MODELS = sizeof facts / sizeof facts[0] };
#define FOLDER "gguf-models"

// Texts become the ids of HF's tokenizer.
static void check_texts(va_ctx *ctx, const char *name, va_model *model) {
    char path[VA_TEST_PATH], file[VA_TEST_PATH];
    va_json *prompts = NULL;
    va_arena *arena = va_arena_create();
    snprintf(file, sizeof file, FOLDER "/%s.prompts.json", name);
    if (!va_path_exists(va_test_fixture(path, file))) {
        assert_null(va_model_tokenizer(model));
        va_arena_destroy(&arena);
        return;
    }
    assert_ok(ctx, va_json_load(ctx, path, 0, &prompts));
    assert_true(va_json_count(prompts) >= 2);
    for (const va_json *p = va_json_first(prompts); p; p = va_json_next(p)) {
        const char *text = va_json_as_string(va_json_get(p, "text"));
        const va_json *want = va_json_first(va_json_get(p, "ids"));
        va_token *tokens;
        int64_t n, id;
        assert_ok(ctx, va_tokenizer_encode(va_model_tokenizer(model), arena, text,
                                           (int64_t)strlen(text), true, &tokens, &n));
        for (int64_t i = 0; i < n; i++, want = va_json_next(want)) {
            assert_true(va_json_as_int(want, &id));
            assert_int_equal(tokens[i].id, id);
        }
        assert_null(want);
    }
    va_json_free(&prompts);
    va_arena_destroy(&arena);
}

static void check(va_ctx *ctx, const char *name, va_model *model) {
    const va_arch_config *c = va_model_config(model);
    int i = 0;
    while (strcmp(facts[i].name, name) != 0)
        i++;
    assert_string_equal(c->family, facts[i].family);
    assert_string_equal(va_model_dtype_text(model), facts[i].dtypes);
    assert_int_equal(va_model_param_count(model), facts[i].n_params);
    assert_int_equal(c->tied_embeddings, facts[i].tied);
    check_texts(ctx, name, model);
}

static int count_files(void) {
    char path[VA_TEST_PATH];
    DIR *dir = opendir(va_test_fixture(path, FOLDER));
    int n = 0;
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        n += strstr(entry->d_name, ".gguf") != NULL;
    if (dir)
        closedir(dir);
    return n;
}

int main(void) {
    static char model[N_MODELS][VA_TEST_PATH], expected[N_MODELS][VA_TEST_PATH];
    va_family_model models[N_MODELS];
    char path[VA_TEST_PATH];
    if (count_files() != N_MODELS) {
        fprintf(stderr, "%s: expected %d GGUF files, got %d\n", FOLDER, N_MODELS, count_files());
        return 1;
    }
    for (int i = 0; i < N_MODELS; i++) {
        snprintf(model[i], VA_TEST_PATH, FOLDER "/%s.gguf", facts[i].name);
        snprintf(expected[i], VA_TEST_PATH, FOLDER "/%s.safetensors", facts[i].name);
        if (!va_path_exists(va_test_fixture(path, expected[i])))
            snprintf(expected[i], VA_TEST_PATH, "%s/expected.safetensors", facts[i].name);
        models[i] = (va_family_model){facts[i].name, model[i], expected[i], check};
    }
    return va_test_family_models(models, N_MODELS);
}
