// The table of verbs: what `vkalign --help` lists and `vkalign VERB` runs.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#define BIT(id) VA_OPT_BIT(OPT_##id)

const va_verb va_verbs[] = {
    {"run", "FILE", "run an experiment", 1, 1,
     BIT(SET) | BIT(OUT) | BIT(DEVICE) | BIT(RESUME) | BIT(CHECK) | BIT(NO_CACHE) | BIT(DRY_RUN),
     va_cli_run,
     "Writes results.json, report.md, report.html, vectors.safetensors, classifiers/,\n"
     "experiment.yaml and log.jsonl into the experiment's output folder, or --out; of an\n"
     "experiment with a matrix into a folder for each combination, with sweep.json and a report\n"
     "of all beside them. What was computed before, by any experiment, is taken from the cache in\n"
     "$XDG_CACHE_HOME/vkalign/units (at most 4 GiB; the least used goes first).\n"
     "--check exits with status 1 when a bound of `expect` does not hold."},
    {"validate", "FILE...", "check experiment files, every mistake at once", 0, -1,
     BIT(SET) | BIT(SCHEMA), va_cli_validate, NULL},
    {"report", "DIR", "rebuild report.md and report.html from DIR/results.json", 1, 1, 0,
     va_cli_report, "Of a sweep, from DIR/sweep.json."},
    {"devices", "", "list devices, what they can do, and a self-test on each", 0, 0, 0,
     va_cli_devices, NULL},
    {"model inspect", "DIR", "family, sizes, dtype and memory of a model", 1, 1, BIT(LAYERS),
     va_cli_model_inspect,
     "Refuses, by name, what it cannot run faithfully. --layers N tells the memory for N blocks."},
    {"tokenize", "", "token ids of a text", 0, 0,
     BIT(MODEL) | BIT(TEXT) | BIT(TEXT_FILE) | BIT(NO_SPECIAL), va_cli_tokenize,
     "--model takes a folder with tokenizer.json, such a file, or a FILE.gguf."},
    {"forward", "", "run a model and write the value at a site", 0, 0,
     VA_OPTS_PROMPT | BIT(SITE) | BIT(OUT), va_cli_forward,
     "Writes float32 [T, d] for @all, [d] for one position or @mean.\n"
     "Sites: embed, resid:N, attn:N, mlp:N, norm:N, logits or logits:N; N may be 'last'.\n"
     "Positions: @last (default), @all, @mean, @concept, @3, @-2."},
    {"jacobian", "", "write the derivative of one site with respect to another", 0, 0,
     VA_OPTS_PROMPT | BIT(FROM) | BIT(TO) | BIT(TOKENS) | BIT(MODE) | BIT(OUT) | BIT(DRY_RUN),
     va_cli_jacobian,
     "Writes float32 [p_out, d_out, p_in, d_in] without the axes of sites at one position: an "
     "array\n"
     "in FILE.npy, or the tensor J in FILE.safetensors.\n"
     "--from may name several sites: resid:0..6@last, resid:*@all (every layer that comes before\n"
     "--to), or a list with commas, all at the same positions. One reverse sweep gives them all;\n"
     "FILE.safetensors then holds a tensor for each, named resid:3@all and so on.\n"
     "--to logits@last --tokens 5,17 takes the rows of these tokens alone: [p_out, tokens, ...].\n"
     "--memory bounds the vectors of one sweep; --dry-run tells what is taken, without a device."},
    {"svd", "", "largest singular triplets of a Jacobian (matrix-free) or of a matrix", 0, 0,
     VA_OPTS_PROMPT | BIT(FROM) | BIT(TO) | BIT(MODE) | BIT(MATRIX) | BIT(K) | BIT(METHOD) |
         BIT(TOLERANCE) | BIT(MAX_ITERATIONS) | BIT(BLOCK) | BIT(BASIS) | BIT(SEED) | BIT(OUT) |
         BIT(DRY_RUN),
     va_cli_svd,
     "--out writes safetensors: U [k, m], S [k], V [k, n] (one vector a row), residuals [k].\n"
     "--memory bounds the device memory; --dry-run tells what a model's Jacobian takes (with\n"
     "--method dense at most).\n"
     "What does not converge is said, for each triplet; -v or --json tells the whole history.\n"
     "--tolerance, --max-iterations and --seed are not for dense; --block is for golub-kahan\n"
     "(default: k, at least 8) and subspace (k + max(8, k)); --basis for "
     "golub-kahan."},
    {"map", "", "what a derivative says: spectrum, words, reconstruction, shares", 0, 0,
     VA_OPTS_PROMPT | BIT(FROM) | BIT(TO) | BIT(MODE) | BIT(K) | BIT(METHOD) | BIT(TOLERANCE) |
         BIT(MAX_ITERATIONS) | BIT(BLOCK) | BIT(BASIS) | BIT(SEED) | BIT(PROBES) | BIT(DECODE) |
         BIT(TOP) | BIT(DEPTH) | BIT(OUT),
     va_cli_map,
     "J is the derivative of --to by --from, x and y their values.\n"
     "Spectrum: all of it where J has up to 2^19 entries or --method is dense, else the top k,\n"
     "with bounds on the effective dimension. The Frobenius norm is exact up to 2^22 entries,\n"
     "else estimated with its standard error.\n"
     "Words: + and - are the two signs of a pair (u, v). u by the tokens that the unembedding W_U\n"
     "scores highest: W_U (g * u), g the final norm's gain, at resid, attn and mlp sites; W_U u\n"
     "at norm sites; its largest entries at logits. v by the nearest embeddings (cosine), at the\n"
     "tokens that hold most of it.\n"
     "Reconstruction: y = J x + b; detached, b is of biases alone when every path leads through\n"
     "--from, such as embed@all. Shares: <J_i x_i, y> / <y, y> of every token i.\n"
     "--depth: the spectrum's numbers for every layer of --to (--to norm:*@last), a table.\n"
     "--out writes safetensors: U, S, V, residuals, spectrum, x, y, Jx, shares; with --depth\n"
     "layers, and each number for every layer."},
    {"relation", "", "whether a relation is decoded from its subject by an affine map", 0, 0,
     BIT(MODEL) | BIT(DATA) | BIT(LAYER) | BIT(RANK) | BIT(BETA) | BIT(MODE) | BIT(OUT) |
         BIT(DEVICE),
     va_cli_relation,
     "FILE: prompts: [\"{subject} is a kind of\"], examples: [{subject: A dog, object: animal}, "
     "...],\n"
     "n_train, seed. LRE(s) = beta W s + b with W the mean Jacobian over n_train examples of the\n"
     "last stream at the last token by the subject's (arXiv 2308.09124); the other examples are\n"
     "the test. Faithful: LRE(s), decoded, says what the model says. Causal: s + W_r^+ (o' - o)\n"
     "makes it say what it says of the subject of o'. Chance levels stand beside both.\n"
     "--out writes safetensors: weight [d, d], bias, beta, mean_subject, mean_object, S, U, V."},
    {"bench", "", "how fast this device does the work, at a model's shape with random weights", 0,
     0,
     BIT(SHAPE) | BIT(LAYERS) | BIT(N_TOKENS) | BIT(REPEAT) | BIT(ONLY) | BIT(LIMIT) | BIT(SEED) |
         BIT(DEVICE) | BIT(MEMORY) | BIT(TUNE),
     va_cli_bench,
     "--shape: tiny (default on a CPU), gemma-3-4b (default elsewhere), gemma-3-1b, llama-3.2-1b,\n"
     "qwen3-4b, pythia-160m. --layers N: the first N blocks, to norm:N@last.\n"
     "J is the derivative of norm:N@last by embed@all, exact and detached; all times include the\n"
     "forward pass. Rates stand beside the ceilings, the device's best copy and product, measured\n"
     "in the same run. FLOP and bytes are the plan's, bytes as if nothing was cached.\n"
     "--limit S: no kind goes on for much longer than S seconds (20): then fewer runs, and fewer\n"
     "rows of J, are made.\n"
     "--tune: instead of all this, times the tiles of the matmul kernel in use, and keeps the "
     "fastest\n"
     "for this device and driver. Results do not depend on tiles. It goes with --device alone.\n"
     "-v or --json tells the time on the device by shader, and by kind of op with its FLOP and "
     "bytes."},
};
const int va_verb_count = (int)VA_COUNT(va_verbs);
