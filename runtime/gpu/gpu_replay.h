// gpu_replay.h: recordings as the files of runtime/gpu see them.
// SPDX-License-Identifier: Apache-2.0
#ifndef GPU_REPLAY_H
#define GPU_REPLAY_H

#include "gpu_priv.h"

typedef struct gpu_use {
    va_buffer *buffer;
    bool write;
} gpu_use;

struct va_recording {
    va_gpu *gpu;
    uint64_t number; // from 1 on
    VkCommandPool pool;
    VkCommandBuffer *parts; // submitted one by one
    int64_t n_parts, cap_parts;
    gpu_sets sets;
    gpu_use *uses; // each buffer once
    int64_t n_uses, cap_uses;
    int64_t n_dispatch;
    uint64_t last_use;         // serial
    bool is_lost;              // cannot be replayed: a buffer it used was destroyed,
    char lost_name[64];        // this one
    struct va_recording *next; // in the list of those alive or dying
};

// gpu_begin, gpu_recorded and gpu_touch for what is being captured.
va_status gpu_capture_begin(va_gpu *gpu, VkCommandBuffer *cmd);
va_status gpu_capture_recorded(va_gpu *gpu);
va_status gpu_capture_touch(va_gpu *gpu, va_buffer *buffer, bool write);
// Recordings that use the buffer cannot be replayed any more.
void gpu_forget_buffer(va_buffer *buffer);
// Frees what was destroyed in flight and has finished.
void gpu_free_dying(va_gpu *gpu);
void gpu_replay_free(va_gpu *gpu);

#endif
