// text_gguf_pre.c: what the names in tokenizer.ggml.pre mean: how text is cut before BPE.
//
// A GGUF file names the pre-tokenizer only; the expressions are those of the models' own
// tokenizer.json files, and who uses which is as in llama.cpp.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define PUNCTUATION_AND_SPACE " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CL100K(digits)                                                                             \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "|" PUNCTUATION_AND_SPACE
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define BY_CASE(contractions, digits)                                                              \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" contractions "|[^\\r\\n\\p{L}\\p{N}]?" UPPER      \
    "+" LOWER "*" contractions "|" digits                                                          \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define HAN_KANA_HANGUL "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
// Cased letters of DeepSeek LLM.
#define CASED                                                                                      \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{"    \
    "293}"                                                                                         \
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}"          \
    "\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{"    \
    "52F}"                                                                                         \
    "\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}"                   \
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"                 \
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"                 \
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}"         \
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"        \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}"                 \
    "\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{"     \
    "2124}"                                                                                        \
    "\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}"         \
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"         \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}"                  \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}"                 \
    "\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"                 \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}"         \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

#define LIST(...)                                                                                  \
    { __VA_ARGS__, NULL }
static const struct {
    const char *names[12], *regex[8];
    text_gguf_pre pre;
} table[] = {
    {LIST("default"),
     LIST("[\\p{P}$+<=>^~|]+", TEXT_GPT2_REGEX, "\\p{N}+", "[0-9][0-9][0-9]"),
     {0}},
    {LIST("gpt-2", "phi-2", "roberta-bpe", "jina-v1-en", "jina-es", "jina-de", "gigachat", "mpt",
          "olmo", "jais", "exaone4"),
     LIST(TEXT_GPT2_REGEX),
     {0}},
    {LIST("llama-bpe", "llama3", "llama-v3", "falcon3"),
     LIST(CL100K("\\p{N}{1,3}")),
     {.ignore_merges = true, .add_bos = true}},
    {LIST("dbrx", "smaug-bpe", "chatglm-bpe"), LIST(CL100K("\\p{N}{1,3}")), {0}},
    // Qwen's own tokenizer.json composes characters first; llama.cpp does not.
    {LIST("qwen2"), LIST(CL100K("\\p{N}")), {.compose = true}},
    {LIST("deepseek-r1-qwen", "megrez", "stablelm2"), LIST(CL100K("\\p{N}")), {0}},
    {LIST("gpt-4o", "llama4"), LIST(BY_CASE(CONTRACTIONS "?", "\\p{N}{1,3}")), {0}},
    {LIST("tekken"), LIST(BY_CASE("", "\\p{N}")), {.ignore_merges = true, .add_bos = true}},
    {LIST("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
     LIST("\\p{N}", TEXT_GPT2_REGEX),
     {0}},
    {LIST("falcon"), LIST("[\\p{P}$+<=>^~|`]+", TEXT_GPT2_REGEX, "[0-9][0-9][0-9]"), {0}},
    {LIST("deepseek-v3"),
     LIST("\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
          "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
          "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|"
          "\\s+(?!\\S)|\\s+"),
     {0}},
    {LIST("deepseek-coder"),
     LIST("[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN_KANA_HANGUL, "\\p{N}"),
     {0}},
    {LIST("deepseek-llm"),
     LIST("[\\r\\n]", "\\s?[" CASED "]+",
          "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}"
          "\\x{3000}-\\x{3002}]+",
          "\\s+$", HAN_KANA_HANGUL, "\\p{N}+"),
     {0}},
};

static va_status unknown_name(va_tokenizer *tok, const char *name) {
    va_status st = VA_OK;
    va_strbuf known = {0};
    for (int64_t i = 0; i < VA_COUNT(table); i++)
        for (const char *const *n = table[i].names; *n; n++)
            va_strbuf_printf(&known, "%s%s", known.len ? ", " : "", *n);
    st = known.failed ? text_out_of_memory(tok)
                      : text_unknown(tok, "tokenizer.ggml.pre", name, known.data);
    va_strbuf_free(&known);
    return st;
}

va_status text_gguf_add_splits(va_tokenizer *tok, const char *name, text_gguf_pre *pre) {
    va_status st = VA_OK;
    int64_t found = -1;
    for (int64_t i = 0; i < VA_COUNT(table) && found < 0; i++)
        for (const char *const *n = table[i].names; *n && found < 0; n++)
            found = strcmp(*n, name) == 0 ? i : -1;
    if (found < 0)
        return unknown_name(tok, name);
    for (const char *const *re = table[found].regex; *re; re++)
        VA_TRY(text_split_add_regex(tok, *re));
    VA_TRY(text_split_add_bytes(tok));
    *pre = table[found].pre;
done:
    return st;
}
