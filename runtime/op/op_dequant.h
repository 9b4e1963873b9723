// op_dequant.h: ranges of rows of a quantised weight as f32.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_DEQUANT_H
#define VA_OP_DEQUANT_H

#include "op_common.h"

// Rows of w [n_out, n_in] that one range takes, at least one: w stays packed in memory, and only a
// range of it is unpacked at a time.
int64_t op_dequant_rows(const va_tensor *w);
// Bytes of one range; 0 unless w is quantised.
int64_t op_dequant_bytes(const va_tensor *w);
// Rows first..first+n-1 of w, n at most op_dequant_rows, as f32 at the beginning of `to`, which is
// bindable. Bit for bit what va_convert_to_f32 gives. is_cpu: in the way that suits processors.
va_status op_dequant_run(const va_op_call *c, const va_tensor *w, int64_t first, int64_t n,
                         va_slice to, bool is_cpu);

#endif
