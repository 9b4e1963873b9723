// op_check.h: holds one op, on one set of shapes, to its reference.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_CHECK_H
#define VA_OP_CHECK_H

#include "op_ref.h"
#include "test_gpu.h"

typedef struct op_case {
    va_op_id op;
    va_op_attr attr;
    va_tensor x[VA_OP_MAX_IN];  // shapes and dtypes; n_dim 0: an optional input is absent
    int64_t k;                  // 0 = 3
    double sigma[VA_OP_MAX_IN]; // standard deviation of the input's values; 0 = 1
    uint32_t no_tangent;        // inputs whose tangent is zero and whose cotangent is not wanted
    uint32_t accumulate;        // inputs whose cotangent is added to what is there
    uint32_t factors;           // VA_FACTOR_IN, VA_FACTOR_OUT: those that the derivatives get
    double tolerance;           // of errors relative to the largest value; 0 = OP_TOLERANCE
    double floor;               // the largest value counts as at least this
    uint64_t seed;
} op_case;

// f32 rounds to 6e-8; sums of up to 300 terms and a division or two lose another 1.5 digits.
#define OP_TOLERANCE 2e-6

#define OP_F32_1(n0)                                                                               \
    {                                                                                              \
        .dtype = VA_F32, .n_dim = 1, .shape = { n0 }                                               \
    }
#define OP_F32_2(n0, n1)                                                                           \
    {                                                                                              \
        .dtype = VA_F32, .n_dim = 2, .shape = { n0, n1 }                                           \
    }
#define OP_F32_3(n0, n1, n2)                                                                       \
    {                                                                                              \
        .dtype = VA_F32, .n_dim = 3, .shape = { n0, n1, n2 }                                       \
    }

// For cmocka's group set-up and tear-down: *state is the va_gpu.
int op_test_setup(void **state);
int op_test_teardown(void **state);

// The reference's derivatives against finite differences of its forward, both modes. No device.
void op_check_formulas(const op_case *c);
// The device against the reference: forward; jvp and vjp in both modes; what derivatives may not
// read is withheld; outputs hold NaN before; the adjoint identity.
void op_check_device(va_gpu *gpu, const op_case *c);
// A NaN in an input or a tangent reaches the same outputs as in the reference.
void op_check_nan(va_gpu *gpu, const op_case *c);
// All three.
void op_check_all(va_gpu *gpu, const op_case *c);

// Forward alone, without an optional auxiliary tensor: inputs x as given (host data of the dtype),
// y read back. malloc'ed.
float *op_run_forward(va_gpu *gpu, va_op_id op, const va_op_attr *attr, const va_tensor *x,
                      const void *const *data, va_tensor *y);

#endif
