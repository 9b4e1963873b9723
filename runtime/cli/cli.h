// cli.h: what the verbs share: options, output; a model at a prompt is in cli_prompt.h.
//
// A verb is one file verb_X.c with one function, declared below, and its line in the table of
// cli_verbs.c. Options are declared once, in VA_OPT_LIST: the parser, the help and the verbs read
// that list, and a verb names those it takes.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_CLI_H
#define VKALIGN_CLI_H

#include "vkalign/base.h"
#include "vkalign/gpu.h"
#include "vkalign/io.h"
#include "vkalign/model.h"

#include <stdio.h>

// X(id, long name, short name or NULL, value's name or NULL for a flag, help)
#define VA_OPT_LIST(X)                                                                             \
    X(OPT_MODEL, "--model", NULL, "DIR",                                                           \
      "model folder (config.json, tokenizer.json, safetensors) or GGUF")                           \
    X(OPT_TEXT, "--text", NULL, "T", "the prompt")                                                 \
    X(OPT_TEXT_FILE, "--text-file", NULL, "F", "read the prompt from a file, - for stdin")         \
    X(OPT_IDS, "--ids", NULL, "1,2,3", "token ids instead of a text")                              \
    X(OPT_CONCEPT, "--concept", NULL, "NAME", "the words of the text that @concept stands for")    \
    X(OPT_NO_SPECIAL, "--no-special", NULL, NULL, "add no special tokens (BOS)")                   \
    X(OPT_LAYERS, "--layers", NULL, "N", "number of blocks: the first N")                          \
    X(OPT_SITE, "--site", NULL, "S", "where to read: norm:6@last, resid:3@all, mlp:2@mean, ...")   \
    X(OPT_FROM, "--from", NULL, "S", "site to differentiate by, e.g. embed@all")                   \
    X(OPT_TO, "--to", NULL, "S", "site that is differentiated, e.g. norm:6@last")                  \
    X(OPT_TOKENS, "--tokens", NULL, "5,17|T", "logits of these tokens only: ids, or a text's")     \
    X(OPT_MODE, "--mode", NULL, "M", "exact (default) or detached")                                \
    X(OPT_DATA, "--data", NULL, "FILE", "prompts and examples of a relation, YAML")                \
    X(OPT_LAYER, "--layer", NULL, "N",                                                             \
      "blocks before the subject is read (default: half of them)")                                 \
    X(OPT_RANK, "--rank", NULL, "R",                                                               \
      "rank of the inverse (default: chosen on the training pairs)")                               \
    X(OPT_BETA, "--beta", NULL, "B", "factor of W (default: chosen on the training pairs)")        \
    X(OPT_MATRIX, "--matrix", NULL, "FILE", "A.npy, A.mtx or A.safetensors:NAME, not a model")     \
    X(OPT_K, "-k", NULL, "K", "number of singular triplets (default 8)")                           \
    X(OPT_METHOD, "--method", NULL, "M", "golub-kahan (default), subspace, power or dense")        \
    X(OPT_TOLERANCE, "--tolerance", NULL, "X", "largest residual relative to sigma_1 (1e-5)")      \
    X(OPT_MAX_ITERATIONS, "--max-iterations", NULL, "N", "steps: A and A' each once (200)")        \
    X(OPT_BLOCK, "--block", NULL, "N", "vectors that the map is applied to at once")               \
    X(OPT_BASIS, "--basis", NULL, "N", "vectors that golub-kahan keeps before it restarts")        \
    X(OPT_PROBES, "--probes", NULL, "N", "random probes of a norm that is estimated (64)")         \
    X(OPT_DECODE, "--decode", NULL, "M", "left vectors: gain, W_U (g * u), or direct, W_U u")      \
    X(OPT_TOP, "--top", NULL, "N", "tokens listed of each vector (6)")                             \
    X(OPT_DEPTH, "--depth", NULL, NULL, "every layer N of --to KIND:*@POSITION")                   \
    X(OPT_SEED, "--seed", NULL, "N", "seed of random start vectors (0)")                           \
    X(OPT_SHAPE, "--shape", NULL, "NAME", "a model's shape, with random weights")                  \
    X(OPT_N_TOKENS, "--tokens", NULL, "T", "tokens of the prompt (8)")                             \
    X(OPT_REPEAT, "--repeat", NULL, "N", "runs of each (5)")                                       \
    X(OPT_ONLY, "--only", NULL, "LIST", "forward, jvp, svd, dense, probe, with commas between")    \
    X(OPT_LIMIT, "--limit", NULL, "S", "seconds for one kind of work (20)")                        \
    X(OPT_TUNE, "--tune", NULL, NULL, "find this device's fastest matmul tiles, and keep them")    \
    X(OPT_OUT, "--out", "-o", "PATH", "where the result is written")                               \
    X(OPT_SET, "--set", NULL, "KEY=VALUE", "override a key of the experiment file; repeatable")    \
    X(OPT_RESUME, "--resume", NULL, NULL, "continue an interrupted run")                           \
    X(OPT_CHECK, "--check", NULL, NULL, "fail when the results leave the bounds of `expect`")      \
    X(OPT_NO_CACHE, "--no-cache", NULL, NULL, "compute all anew, keep nothing for later runs")     \
    X(OPT_DRY_RUN, "--dry-run", NULL, NULL, "show the plan, run nothing")                          \
    X(OPT_MEMORY, "--memory", NULL, "SIZE", "device memory to stay within: 500M, 2G, 1.5GiB")      \
    X(OPT_SCHEMA, "--schema", NULL, NULL, "print the JSON schema of experiment files")             \
    X(OPT_DEVICE, "--device", "-d", "N|NAME", "device by number or part of its name")              \
    X(OPT_JSON, "--json", NULL, NULL, "print one JSON document on stdout and nothing else")        \
    X(OPT_QUIET, "--quiet", "-q", NULL, "no progress and no warnings")                             \
    X(OPT_VERBOSE, "--verbose", "-v", NULL, "log what is done")                                    \
    X(OPT_HELP, "--help", "-h", NULL, "show this help")
typedef enum va_opt {
#define VA_X(id, name, letter, value, help) id,
    VA_OPT_LIST(VA_X)
#undef VA_X
        VA_OPT_COUNT
} va_opt;
#define VA_OPT_BIT(id) (UINT64_C(1) << (id))
// Every verb takes these.
#define VA_OPTS_COMMON                                                                             \
    (VA_OPT_BIT(OPT_JSON) | VA_OPT_BIT(OPT_QUIET) | VA_OPT_BIT(OPT_VERBOSE) | VA_OPT_BIT(OPT_HELP))
#define VA_OPTS_PROMPT                                                                             \
    (VA_OPT_BIT(OPT_MODEL) | VA_OPT_BIT(OPT_TEXT) | VA_OPT_BIT(OPT_TEXT_FILE) |                    \
     VA_OPT_BIT(OPT_IDS) | VA_OPT_BIT(OPT_CONCEPT) | VA_OPT_BIT(OPT_DEVICE) |                      \
     VA_OPT_BIT(OPT_MEMORY))

typedef struct va_cli va_cli;

typedef struct va_verb {
    const char *name;      // "run", "model inspect"
    const char *arguments; // "FILE...", "" when it takes none
    const char *summary;
    int min_args, max_args; // max_args -1: any number
    uint64_t options;       // bits of those it takes, the common ones apart
    va_status (*run)(va_cli *cli);
    const char *more; // further help, NULL: none
} va_verb;

typedef struct va_cli_value {
    va_opt opt;
    const char *text; // "" of a flag
} va_cli_value;

struct va_cli {
    va_ctx *ctx;
    va_arena *arena; // lives as long as the command
    const va_verb *verb;
    const char **args; // what is no option
    int n_args;
    va_cli_value *values; // in the order given
    int n_values;
    double start_s; // va_time_s() when the program began
    bool json;
    bool told;    // what is wrong stands on stderr already
    va_json *out; // an object that --json prints; filled by the verb (always there)
};

// -- verbs ---------------------------------------------------------------------------------------

extern const va_verb va_verbs[];
extern const int va_verb_count;

va_status va_cli_run(va_cli *cli);
va_status va_cli_validate(va_cli *cli);
va_status va_cli_report(va_cli *cli);
va_status va_cli_devices(va_cli *cli);
va_status va_cli_model_inspect(va_cli *cli);
va_status va_cli_tokenize(va_cli *cli);
va_status va_cli_forward(va_cli *cli);
va_status va_cli_jacobian(va_cli *cli);
va_status va_cli_svd(va_cli *cli);
va_status va_cli_map(va_cli *cli);
va_status va_cli_relation(va_cli *cli);
va_status va_cli_bench(va_cli *cli);

// -- options (cli_options.c) ---------------------------------------------------------------------

// Finds the verb and reads its options and arguments; VA_ERR_USAGE with a hint for what is unknown
// or missing. verb is NULL when the command line is only --help, --version or "help [VERB]".
va_status va_cli_parse(va_cli *cli, int argc, char **argv);
// Help on a verb; NULL: on the whole program.
void va_cli_help(const va_verb *verb, FILE *to);
const va_verb *va_cli_find_verb(int argc, char **argv, int *n_words);

bool va_cli_has(const va_cli *cli, va_opt opt);
// The last value given, NULL when absent.
const char *va_cli_value_of(const va_cli *cli, va_opt opt);
// All values of a repeatable option, arena-owned.
va_status va_cli_all(va_cli *cli, va_opt opt, const char *const **list, int64_t *n);
// VA_ERR_USAGE when the option is absent.
va_status va_cli_require(va_cli *cli, va_opt opt, const char **value);
// *out keeps its default when absent; VA_ERR_USAGE outside [min, max].
va_status va_cli_int(va_cli *cli, va_opt opt, int64_t min, int64_t max, int64_t *out);
va_status va_cli_positive(va_cli *cli, va_opt opt, double *out);
// A number of bytes above 0 with an optional unit: k, M, G, T (powers of 1000, a B may follow) or
// Ki, Mi, Gi, Ti (of 1024).
va_status va_cli_bytes(va_cli *cli, va_opt opt, int64_t *out);
va_status va_cli_mode(va_cli *cli, va_mode *mode);
const char *va_cli_option_name(va_opt opt); // "--model"

// -- matrices in files (cli_matrix.c)
// --------------------------------------------------------------

typedef struct va_cli_matrix {
    int64_t m, n;
    float *data; // [m, n], owned by the arena; finite
} va_cli_matrix;
// FILE.npy, FILE.mtx or FILE.safetensors:NAME.
va_status va_cli_load_matrix(va_cli *cli, const char *spec, va_cli_matrix *A);

// -- output (cli_output.c) -----------------------------------------------------------------------

// Text for people on stdout; nothing with --json.
void va_cli_print(const va_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void va_cli_print_json(const va_json *doc);

typedef struct va_cli_ui {
    bool terminal, quiet, verbose;
    bool bar_shown;
    double last_s; // when progress was last shown
} va_cli_ui;
void va_cli_log(void *ui, va_log_level level, const char *message);
void va_cli_progress(void *ui, const va_progress *p);
// Ctrl-C asks ctx to stop at its next safe point; a second one kills.
void va_cli_catch_interrupts(va_ctx *ctx);
// A file that is truncated while it is mapped (SIGBUS) ends the program with a message and the
// status of files, not with a crash.
void va_cli_catch_lost_files(void);

#endif
