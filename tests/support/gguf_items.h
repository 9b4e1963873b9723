// gguf_items.h: small GGUF models written as text.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_GGUF_ITEMS_H
#define VA_GGUF_ITEMS_H

#include "vkalign/base.h"

// Items "key=VALUE" between spaces. A key that begins with a dot is the architecture's. VALUE: u8
// UINT32, i-1 INT32, f0.5 FLOAT32, b1 BOOL, slinear STRING, B1101 ARRAY of BOOL, U1101 ARRAY of
// UINT32; - leaves the key out. "name*N" is a tensor: a vector of N numbers 1, 2, ...
// Builds a file of four blocks, 32 wide with 4 heads and a table of 10 embeddings, of the
// architecture, with more items, which replace others.
void gguf_put_model(va_strbuf *b, const char *arch, const char *more);

#endif
