// pt_priv.h: what the files that read PyTorch checkpoints share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_PT_PRIV_H
#define VA_PT_PRIV_H

#include "io_priv.h"
#include "vkalign/pt.h"

// -- container (pt_zip.c) ----------------------------------------------------------------------

// A member of the archive. Its name is in the map, without a NUL behind it.
typedef struct va_pt_entry {
    const char *name;
    int64_t name_bytes;
    int64_t header_at, size_bytes;
    uint32_t crc;
    uint16_t method, flags;
    bool checked; // has the checksum that the directory gives
} va_pt_entry;

typedef struct va_pt_zip {
    const char *path;   // borrowed
    va_map map;         // borrowed
    va_pt_entry *entry; // sorted by name
    int64_t n;
    uint32_t (*crc_table)[256];
    const char *root; // the folder in which all that torch reads lies, with its '/'
    int64_t root_bytes;
} va_pt_zip;

// Reads the directory; zip->path and zip->map are given.
va_status va_pt_zip_read(va_ctx *ctx, va_arena *arena, va_pt_zip *zip);
// The member root/folder/name (folder: "" or "data/"), or NULL.
va_pt_entry *va_pt_zip_find(const va_pt_zip *zip, const char *folder, const char *name);
// Where its bytes lie in the map: checked to be there, stored as they are and not encrypted.
va_status va_pt_zip_bytes(va_ctx *ctx, const va_pt_zip *zip, const va_pt_entry *e,
                          const uint8_t **data);
// Its bytes have the checksum of the directory; reads them once.
va_status va_pt_zip_check(va_ctx *ctx, const va_pt_zip *zip, va_pt_entry *e);

// -- values (pt_value.c) -----------------------------------------------------------------------

// Kinds that a finished tree does not have.
enum {
    PT_GLOBAL = VA_PT_TENSOR + 1,
    PT_STORAGE,
    PT_BYTES,
    PT_NUMPY_TYPE,
};

enum {
    PT_MAX_PICKLE = 64 * 1024 * 1024, // bytes; a parameter takes about 250
    PT_MAX_VALUES = 1 << 21,
    PT_MAX_STACK = 1 << 20,
    PT_MAX_MARKS = 256,
    PT_MAX_DEPTH = 64,
};

// What a name that the pickle may use stands for (pt_call.c).
typedef enum va_pt_callee {
    PT_CALL_TENSOR,    // of a storage
    PT_CALL_PARAMETER, // of a tensor
    PT_CALL_DICT,      // empty
    PT_CALL_SIZE,      // of a tuple
    PT_CALL_DEVICE,
    PT_CALL_BYTES, // of a string: as protocol 2 writes them
    PT_CALL_NUMPY_TYPE,
    PT_CALL_NUMPY_SCALAR,
    PT_STORAGE_TYPE, // not called: in a storage's description
    PT_DTYPE,        // not called: a value
} va_pt_callee;
typedef struct va_pt_global {
    const char *module, *name;
    va_pt_callee callee;
    va_dtype dtype; // PT_STORAGE_TYPE
} va_pt_global;

typedef struct va_pt_storage {
    va_pt_entry *entry;
    const uint8_t *data;
    va_dtype dtype;
    int64_t n_elem;
} va_pt_storage;

typedef struct va_pt_view {
    const va_pt_storage *storage;
    int n_dim;
    int64_t shape[VA_MAX_DIM], stride[VA_MAX_DIM]; // in elements, strides not negative
    int64_t offset, n_elem;                        // all within the storage
} va_pt_view;

struct va_pt_value {
    uint8_t kind;    // va_pt_kind or one of the above
    bool is_ordered; // DICT of collections.OrderedDict, which has attributes
    bool on_path;    // while the tree is checked
    uint8_t height;  // 1 + that of the highest child; 0: not yet checked
    int64_t n, cap;  // LIST, DICT: items; STRING, BYTES: n bytes
    union {
        bool b;
        int64_t i;
        double f;
        const char *s; // a NUL behind it
        const va_pt_global *global;
        const va_pt_storage *storage;
        const va_pt_view *view;
        struct {
            va_pt_value **item, **key; // key: DICT
            struct va_pt_pair *sorted; // DICT: by key
        };
    };
};

typedef struct va_pt_pair {
    const va_pt_value *key, *item;
} va_pt_pair;

struct va_pt {
    va_arena *arena;
    const char *path;
    va_map map;
    va_pt_zip zip;
    const va_pt_value *root;
};

// The pickle being read.
typedef struct va_pt_machine {
    va_ctx *ctx;
    va_pt *file;
    const uint8_t *p;
    int64_t size, at;
    int64_t op_at; // where the operation at hand begins, for messages
    va_pt_value **stack;
    int64_t n_stack, cap_stack;
    int64_t mark[PT_MAX_MARKS]; // heights of the stack
    int n_marks;
    va_pt_value **memo;
    int64_t n_memo, cap_memo; // MEMOIZE puts at n_memo
    int64_t n_values;
} va_pt_machine;

// VA_ERR_FORMAT or another code with file and byte.
va_status va_pt_fail(const va_pt_machine *m, va_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
va_status va_pt_new(va_pt_machine *m, int kind, va_pt_value **v);
// v->s and v->n: a copy of n bytes.
va_status va_pt_set_text(va_pt_machine *m, va_pt_value *v, const char *s, int64_t n);
// Adds an item; key is NULL for LIST.
va_status va_pt_add(va_pt_machine *m, va_pt_value *v, va_pt_value *key, va_pt_value *item);
// Checks the finished tree: kinds, cycles, depth, distinct keys. Orders the keys.
va_status va_pt_finish(va_pt_machine *m, va_pt_value *root);

// -- the machine (pt_pickle.c, pt_items.c, pt_call.c) ------------------------------------------

va_status va_pt_run(va_pt_machine *m, const va_pt_value **root);
// The next n bytes of the pickle.
va_status va_pt_take(va_pt_machine *m, int64_t n, const uint8_t **p);
// A little-endian number of n <= 8 bytes; one over INT64_MAX is too large for any use.
va_status va_pt_take_length(va_pt_machine *m, int n, int64_t *length);
va_status va_pt_push(va_pt_machine *m, va_pt_value *v);
va_status va_pt_push_new(va_pt_machine *m, int kind, va_pt_value **v);
// At least n values stand above the last mark.
va_status va_pt_need(const va_pt_machine *m, int64_t n);
// Takes the last mark away: the values from *from on stood above it.
va_status va_pt_take_mark(va_pt_machine *m, int64_t *from);

// Operations; the argument tells apart those that share one.
va_status va_pt_op_none(va_pt_machine *m, int arg);
va_status va_pt_op_bool(va_pt_machine *m, int b);
va_status va_pt_op_unsigned(va_pt_machine *m, int n);
va_status va_pt_op_signed(va_pt_machine *m, int n);
va_status va_pt_op_long(va_pt_machine *m, int length_bytes);
va_status va_pt_op_float(va_pt_machine *m, int n);
va_status va_pt_op_text(va_pt_machine *m, int length_bytes);
va_status va_pt_op_bytes(va_pt_machine *m, int length_bytes);
va_status va_pt_op_empty(va_pt_machine *m, int kind);
va_status va_pt_op_tuple(va_pt_machine *m, int arg);
va_status va_pt_op_tuple_of(va_pt_machine *m, int n);
va_status va_pt_op_add_one(va_pt_machine *m, int kind);
va_status va_pt_op_add_all(va_pt_machine *m, int kind);

// What module.name is, or VA_ERR_UNSUPPORTED.
va_status va_pt_name(va_pt_machine *m, const char *module, const char *name, va_pt_value **v);
// callee(*args)
va_status va_pt_call(va_pt_machine *m, const va_pt_value *callee, va_pt_value *args,
                     va_pt_value **v);
// The storage that a persistent id describes.
va_status va_pt_persistent(va_pt_machine *m, const va_pt_value *id, va_pt_value **v);
// v.__setstate__(state)
va_status va_pt_set_state(va_pt_machine *m, va_pt_value *v, const va_pt_value *state);

#endif
