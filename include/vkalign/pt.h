// pt.h: PyTorch checkpoints (.pt): their values and tensors, read without executing anything.
// Belongs to the io layer; depends on io.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_PT_H
#define VKALIGN_PT_H

#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// What torch.save of PyTorch 1.6 or later writes: a zip archive of one pickle and the storages of
// its tensors. The pickle is a program; here it may build dicts, lists, numbers, strings and
// tensors, and name nothing but what that takes (runtime/io/pt_call.c lists it): any other name is
// refused (VA_ERR_UNSUPPORTED: "global os.system is not allowed") before anything comes of it.
// Refused too: files of PyTorch before 1.6, TorchScript, big-endian and compressed files, integers
// beyond 64 bits, keys that are neither strings nor integers. Malformed files are VA_ERR_FORMAT
// with file, byte, what, expected and got. Memory is in proportion to the file.
typedef struct va_pt va_pt;
va_status va_pt_open(va_ctx *ctx, const char *path, va_pt **pt);
void va_pt_close(va_pt **pt);

typedef enum va_pt_kind {
    VA_PT_ABSENT, // of NULL, the value of an absent key
    VA_PT_NONE,
    VA_PT_BOOL,
    VA_PT_INT,
    VA_PT_FLOAT,
    VA_PT_STRING, // also a dtype ("torch.float16") or device ("cpu")
    VA_PT_LIST,   // also a tuple
    VA_PT_DICT,   // keys are STRING or INT, distinct
    VA_PT_TENSOR, // also a parameter
} va_pt_kind;
// A value: immutable, owned by the file. NULL is taken everywhere. No value contains itself, and
// none is nested deeper than 64; one that stands in two places is the same pointer in both.
typedef struct va_pt_value va_pt_value;
const va_pt_value *va_pt_root(const va_pt *pt);
va_pt_kind va_pt_value_kind(const va_pt_value *v);
const char *va_pt_type_text(const va_pt_value *v); // "dict", "tensor", ..., "nothing"
int64_t va_pt_count(const va_pt_value *v);         // of LIST and DICT; 0 of others
// In the file's order; NULL when i or the kind is wrong.
const va_pt_value *va_pt_at(const va_pt_value *v, int64_t i);
const va_pt_value *va_pt_key_at(const va_pt_value *dict, int64_t i);
const va_pt_value *va_pt_get(const va_pt_value *dict, const char *key); // NULL when absent
const va_pt_value *va_pt_get_int(const va_pt_value *dict, int64_t key);
bool va_pt_as_bool(const va_pt_value *v, bool *out);
bool va_pt_as_int(const va_pt_value *v, int64_t *out);
bool va_pt_as_double(const va_pt_value *v, double *out); // FLOAT as it stands, also NaN; exact INT
const char *va_pt_as_string(const va_pt_value *v);       // NULL too with a NUL in it

// The tensor v of pt under a name that is borrowed. Rows that lie one after another are left in the
// map (t->data: see va_file_tensor), others are copied into the arena in that order.
// VA_ERR_SHAPE: v is no tensor. VA_ERR_FORMAT: its storage does not have the checksum that the file
// gives (files saved without checksums have 0). VA_ERR_UNSUPPORTED: it repeats elements of a
// smaller storage (torch's expand).
va_status va_pt_tensor(va_ctx *ctx, va_arena *arena, va_pt *pt, const va_pt_value *v,
                       const char *name, va_file_tensor *t);

#ifdef __cplusplus
}
#endif
#endif
