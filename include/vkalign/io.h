// io.h: files and formats: YAML with places, JSON, safetensors, npy, atomic writes, SHA-256. (GGUF:
// gguf.h, JSON walked in place: json_doc.h.)
// Every length, offset, count and dimension read from a file is checked before it is used.
// Depends on base.h only.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_IO_H
#define VKALIGN_IO_H

#include "vkalign/base.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- dtypes ----------------------------------------------------------------------------------

// X(name, elements of a block, bytes of a block, text). Plain types have blocks of one element and
// their names in safetensors files. The others are GGUF's: packed codes with scales (runtime/io/
// dequant.c), in rows of whole blocks.
#define VA_DTYPE_LIST(X)                                                                           \
    X(VA_F32, 1, 4, "F32")                                                                         \
    X(VA_F16, 1, 2, "F16")                                                                         \
    X(VA_BF16, 1, 2, "BF16")                                                                       \
    X(VA_F64, 1, 8, "F64")                                                                         \
    X(VA_I64, 1, 8, "I64")                                                                         \
    X(VA_I32, 1, 4, "I32")                                                                         \
    X(VA_I16, 1, 2, "I16")                                                                         \
    X(VA_I8, 1, 1, "I8")                                                                           \
    X(VA_U64, 1, 8, "U64")                                                                         \
    X(VA_U32, 1, 4, "U32")                                                                         \
    X(VA_U16, 1, 2, "U16")                                                                         \
    X(VA_U8, 1, 1, "U8")                                                                           \
    X(VA_BOOL, 1, 1, "BOOL")                                                                       \
    X(VA_F8_E4M3, 1, 1, "F8_E4M3")                                                                 \
    X(VA_F8_E5M2, 1, 1, "F8_E5M2")                                                                 \
    X(VA_Q8_0, 32, 34, "Q8_0")                                                                     \
    X(VA_Q4_0, 32, 18, "Q4_0")                                                                     \
    X(VA_Q4_K, 256, 144, "Q4_K")                                                                   \
    X(VA_Q5_K, 256, 176, "Q5_K")                                                                   \
    X(VA_Q6_K, 256, 210, "Q6_K")
typedef enum va_dtype {
#define VA_X(name, block, bytes, text) name,
    VA_DTYPE_LIST(VA_X)
#undef VA_X
} va_dtype;
#define VA_X(name, block, bytes, text) +1
enum { VA_DTYPE_COUNT = 0 VA_DTYPE_LIST(VA_X) };
#undef VA_X
int64_t va_dtype_block(va_dtype t);  // elements of a block
int64_t va_dtype_bytes(va_dtype t);  // bytes of a block: of an element for plain types
bool va_dtype_quantised(va_dtype t); // blocks of several elements
// Bytes of n elements; -1 on overflow, for negative n and for a part of a block.
int64_t va_dtype_size(va_dtype t, int64_t n);
const char *va_dtype_name(va_dtype t);

float va_bf16_to_f32(uint16_t h);
float va_f16_to_f32(uint16_t h);
uint16_t va_f32_to_f16(float f);  // round to nearest even
uint16_t va_f32_to_bf16(float f); // round to nearest even, NaN stays NaN
// dst[i] = (float)src[i]; dtype is one of VA_F32, VA_F16, VA_BF16, VA_F64 or quantised, n then a
// whole number of blocks.
void va_convert_to_f32(float *dst, const void *src, va_dtype dtype, int64_t n);

// -- YAML ------------------------------------------------------------------------------------

typedef enum va_yaml_kind { VA_YAML_NULL, VA_YAML_SCALAR, VA_YAML_SEQ, VA_YAML_MAP } va_yaml_kind;
// A node of the tree; arena-owned, immutable. Aliases point at the anchored node itself.
typedef struct va_yaml {
    va_yaml_kind kind;
    int line, col;         // 1-based place of the node's first character
    const char *text;      // SCALAR: its value
    bool quoted;           // SCALAR: quoted or block style, so never a number, bool or null
    int64_t n;             // SEQ, MAP: children
    struct va_yaml **item; // SEQ: the items; MAP: the values
    struct va_yaml **key;  // MAP: the keys, all scalars, distinct
} va_yaml;
typedef struct va_yaml_limits {
    int64_t max_bytes; // of the file, and of its text after aliases are expanded; 0 = 16 MiB
    int64_t max_nodes; // after aliases are expanded; 0 = 1,000,000 (refuses alias bombs)
    int max_depth;     // 0 = 64
} va_yaml_limits;
// Errors are VA_ERR_SPEC (VA_ERR_FILE when unreadable) with "path:line:col: ...". An empty
// document is an error. limits may be NULL. Refused with their places: duplicate keys, a second
// document, merge keys (<<), keys that are no scalars, tags other than !!str, invalid UTF-8.
va_status va_yaml_load(va_ctx *ctx, va_arena *arena, const char *path, const va_yaml_limits *limits,
                       va_yaml **root);
// The same from memory; name stands for the path in messages.
va_status va_yaml_parse(va_ctx *ctx, va_arena *arena, const char *name, const char *text,
                        int64_t size, const va_yaml_limits *limits, va_yaml **root);
// Value of a key in a MAP, NULL when absent.
const va_yaml *va_yaml_get(const va_yaml *map, const char *key);
// Plain-style scalars by the YAML 1.2 core schema. false when the node is something else.
bool va_yaml_as_int(const va_yaml *n, int64_t *out);
bool va_yaml_as_double(const va_yaml *n, double *out);
bool va_yaml_as_bool(const va_yaml *n, bool *out);
// Appends the tree as YAML text (aliases expanded), deterministic.
void va_yaml_write(const va_yaml *n, va_strbuf *out);

// -- JSON ------------------------------------------------------------------------------------

// A cJSON tree behind accessors. Freed with va_json_free. Reading is strict (RFC 8259); refused are
// also \u0000 and half surrogate pairs in strings, invalid UTF-8 and numbers beyond double.
typedef struct cJSON va_json;
// max_bytes 0 = 256 MiB. Errors are VA_ERR_FORMAT with path:line:col and byte offset. Duplicate
// keys at one level, depth over 256, more than 2^24 values and trailing text are refused.
va_status va_json_load(va_ctx *ctx, const char *path, int64_t max_bytes, va_json **root);
va_status va_json_parse(va_ctx *ctx, const char *name, const char *text, int64_t size,
                        va_json **root);
void va_json_free(va_json **root);
// Reading: NULL or false when absent or of another type.
const va_json *va_json_get(const va_json *obj, const char *key);
bool va_json_is_null(const va_json *v);
bool va_json_is_object(const va_json *v);
bool va_json_is_array(const va_json *v);
bool va_json_as_double(const va_json *v, double *out);
bool va_json_as_int(const va_json *v, int64_t *out); // only when exactly integral, |v| <= 2^53
bool va_json_as_bool(const va_json *v, bool *out);
const char *va_json_as_string(const va_json *v);
const char *va_json_key(const va_json *v);      // its key within its object
const char *va_json_type(const va_json *v);     // "object", "string", ... for messages
int64_t va_json_count(const va_json *v);        // children of an array or object
const va_json *va_json_first(const va_json *v); // first child; iterate with va_json_next
const va_json *va_json_next(const va_json *v);
// Writing: objects own what is added. A NULL return means out of memory. NaN and infinity are
// written as null, bytes of a string that are no UTF-8 as U+FFFD. Numbers are printed so that they
// read back bit for bit; integers beyond 2^53 are printed exactly.
va_json *va_json_object(void);
va_json *va_json_array(void);
va_json *va_json_add_object(va_json *obj, const char *key); // key NULL: append to an array
va_json *va_json_add_array(va_json *obj, const char *key);
bool va_json_add_string(va_json *obj, const char *key, const char *s);
bool va_json_add_double(va_json *obj, const char *key, double v);
bool va_json_add_int(va_json *obj, const char *key, int64_t v);
bool va_json_add_bool(va_json *obj, const char *key, bool v);
bool va_json_add_null(va_json *obj, const char *key);
// Takes ownership of child.
bool va_json_add(va_json *obj, const char *key, va_json *child);
va_json *va_json_clone(const va_json *v);
// malloc'ed text (free it), NULL when out of memory. indent: pretty-printed.
char *va_json_print(const va_json *v, bool indent);

// -- files -----------------------------------------------------------------------------------

// Read-only memory map. An empty file maps to data = NULL, size = 0.
typedef struct va_map {
    const uint8_t *data;
    int64_t size_bytes;
} va_map;
va_status va_map_open(va_ctx *ctx, const char *path, va_map *map);
void va_map_close(va_map *map);

// A file that appears whole or not at all: written beside its place, synced, renamed on commit.
// A symbolic link is followed; a folder, device or pipe in the place is refused. Errors name the
// path and the system's reason; after a failed write the commit fails too.
typedef struct va_atomic_file va_atomic_file;
va_status va_atomic_open(va_ctx *ctx, const char *path, va_atomic_file **file);
va_status va_atomic_write(va_atomic_file *file, const void *data, int64_t size_bytes);
// At a byte of the file, >= 0; va_atomic_write goes on where its own writes ended.
va_status va_atomic_write_at(va_atomic_file *file, int64_t at, const void *data,
                             int64_t size_bytes);
va_status va_atomic_commit(va_atomic_file **file); // closes; *file = NULL also on failure
void va_atomic_abort(va_atomic_file **file);       // removes the temporary; NULL is fine
va_status va_file_write(va_ctx *ctx, const char *path, const void *data, int64_t size_bytes);
bool va_path_exists(const char *path);
bool va_path_is_dir(const char *path);
// mkdir -p; VA_ERR_FILE names the part that failed.
va_status va_make_dirs(va_ctx *ctx, const char *path);
// dir/name in arena.
char *va_path_join(va_arena *arena, const char *dir, const char *name);

typedef struct va_sha256 va_sha256;
va_sha256 *va_sha256_create(void);
void va_sha256_update(va_sha256 *h, const void *data, int64_t size_bytes);
void va_sha256_finish(va_sha256 **h, char hex[65]); // frees
va_status va_file_sha256(va_ctx *ctx, const char *path, char hex[65]);

// -- tensors in files ------------------------------------------------------------------------

enum { VA_MAX_DIM = 8 };
typedef struct va_file_tensor {
    const char *name;
    va_dtype dtype;
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    int64_t n_elem, size_bytes;
    const void *data; // into the map, possibly unaligned; valid until the file is closed
    const char *file; // path of the file that holds it
} va_file_tensor;

// -- safetensors -----------------------------------------------------------------------------

typedef struct va_safetensors va_safetensors;
// One .safetensors file: header length, JSON, offsets, overlap, coverage, dtype and shape products
// are all checked (VA_ERR_FORMAT naming file, tensor, expected and got).
va_status va_safetensors_open(va_ctx *ctx, const char *path, va_safetensors **st);
// A model folder: model.safetensors, or the shards of model.safetensors.index.json.
va_status va_safetensors_open_dir(va_ctx *ctx, const char *dir, va_safetensors **st);
void va_safetensors_close(va_safetensors **st);
int64_t va_safetensors_count(const va_safetensors *st);
const va_file_tensor *va_safetensors_at(const va_safetensors *st, int64_t i); // sorted by name
const va_file_tensor *va_safetensors_find(const va_safetensors *st, const char *name);
// "__metadata__" value or NULL.
const char *va_safetensors_metadata(const va_safetensors *st, const char *key);
// Writes atomically; entries' name, dtype, n_dim, shape and data are read (data aligned host
// memory, size from the shape). meta is n_meta pairs {key, value}.
va_status va_safetensors_write(va_ctx *ctx, const char *path, const va_file_tensor *entries,
                               int64_t n, const char *const (*meta)[2], int64_t n_meta);

// The same as the data come: header now, elements in the order of each tensor but of any tensor at
// any time, commit at the end. The entries' data are not read; entries need not outlive the call.
typedef struct va_safetensors_writer va_safetensors_writer;
va_status va_safetensors_create(va_ctx *ctx, const char *path, const va_file_tensor *entries,
                                int64_t n, const char *const (*meta)[2], int64_t n_meta,
                                va_safetensors_writer **w);
// Elements [first, first + count) of entry i, in its dtype. VA_ERR_SHAPE unless `first` is where
// that tensor's last ones ended; the commit fails then too.
va_status va_safetensors_put(va_safetensors_writer *w, int64_t i, int64_t first, const void *data,
                             int64_t count);
// VA_ERR_SHAPE unless all elements of all tensors came; *w = NULL also on failure.
va_status va_safetensors_commit(va_safetensors_writer **w);
void va_safetensors_abort(va_safetensors_writer **w); // removes the temporary; NULL is fine

// -- npy -------------------------------------------------------------------------------------

// Little-endian C-order float32/float64/float16 arrays of version 1.0 or 2.0, as float32.
// *data is arena-owned.
va_status va_npy_load(va_ctx *ctx, va_arena *arena, const char *path, int *n_dim,
                      int64_t shape[VA_MAX_DIM], float **data);
// Streams a float32 array: header now, rows as they come, commit at the end.
typedef struct va_npy_writer va_npy_writer;
va_status va_npy_create(va_ctx *ctx, const char *path, int n_dim, const int64_t *shape,
                        va_npy_writer **w);
va_status va_npy_append(va_npy_writer *w, const float *data, int64_t n);
va_status va_npy_commit(va_npy_writer **w); // VA_ERR_SHAPE unless all elements came
void va_npy_abort(va_npy_writer **w);

// -- Matrix Market ---------------------------------------------------------------------------

// A real or integer matrix in coordinates, general or symmetric, as a dense one: A [m, n]
// row-major, arena-owned, at most 2^28 elements. An entry that stands twice is VA_ERR_FORMAT.
va_status va_mtx_load(va_ctx *ctx, va_arena *arena, const char *path, int64_t *m, int64_t *n,
                      float **A);

#ifdef __cplusplus
}
#endif
#endif
