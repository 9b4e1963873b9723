// vkalign tokenize: token ids of a text.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

#include <string.h>

va_status va_cli_tokenize(va_cli *cli) {
    va_status st = VA_OK;
    va_tokenizer *tokenizer = NULL;
    va_token *tokens;
    const char *text, *path;
    int64_t n;
    VA_TRY(va_cli_text(cli, &text));
    VA_TRY(va_cli_require(cli, OPT_MODEL, &path));
    VA_TRY(va_model_load_tokenizer(cli->ctx, path, &tokenizer));
    VA_TRY(va_tokenizer_encode(tokenizer, cli->arena, text, (int64_t)strlen(text),
                               !va_cli_has(cli, OPT_NO_SPECIAL), &tokens, &n));
    va_json *ids = va_json_add_array(cli->out, "ids");
    va_json *texts = va_json_add_array(cli->out, "tokens");
    for (int64_t i = 0; i < n; i++) {
        const char *token = va_tokenizer_token(tokenizer, tokens[i].id);
        va_json_add_int(ids, NULL, tokens[i].id);
        va_json_add_string(texts, NULL, token ? token : "");
        va_cli_print(cli, "%d\t%s\n", tokens[i].id, token ? token : "");
    }
done:
    va_tokenizer_free(&tokenizer);
    return st;
}
