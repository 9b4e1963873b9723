// vec_priv.h: what the files of runtime/vec share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_VEC_PRIV_H
#define VKALIGN_VEC_PRIV_H

#include "vkalign/vec.h"

// VA_ERR_SHAPE unless the block has a shape, memory for it, and fits one binding.
va_status vec_check(va_gpu *gpu, const va_block *x, const char *what);
// The bytes of the block and no more.
va_slice vec_slice(const va_block *x);

#endif
