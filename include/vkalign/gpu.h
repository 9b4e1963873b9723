// gpu.h: the Vulkan runtime: devices, memory, buffers, kernels, recording, timing.
//
// Nothing above this layer sees Vulkan. Work is recorded into one implicit command buffer and
// submitted when it is large enough, when va_gpu_flush() is called, or when results are read;
// barriers are put between dispatches whose buffer ranges conflict. One thread per va_gpu.
// Depends on base.h only.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GPU_H
#define VKALIGN_GPU_H

#include "vkalign/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct va_gpu va_gpu;

typedef enum va_gpu_kind {
    VA_GPU_DISCRETE,
    VA_GPU_INTEGRATED,
    VA_GPU_VIRTUAL,
    VA_GPU_CPU,
    VA_GPU_OTHER
} va_gpu_kind;

// A product [m, k] x [k, n] of f16 or bf16 that matrix cores make, with f32 sums. Of a flexible one
// (VK_NV_cooperative_matrix2) m, n and k are what the sizes are multiples of, and elements can be
// reached one by one.
typedef struct va_gpu_matrix {
    uint32_t m, n, k;
    bool bf16; // or f16
    bool flexible;
    uint32_t invocations; // of the workgroup that holds flexible matrices; 0: a subgroup holds them
} va_gpu_matrix;

enum { VA_MAX_MATRIX = 32 };

typedef struct va_gpu_info {
    int index; // place in the list, what --device takes
    char name[256];
    char driver[256]; // driver name and version text
    char uuid[33];    // hex
    va_gpu_kind kind;
    uint32_t vendor_id, device_id, driver_version, api_version;
    int64_t memory_bytes;    // largest device-local heap; three quarters of the host's memory where
                             // the device is the CPU
    int64_t max_range_bytes; // largest storage-buffer binding
    int64_t max_allocation_bytes; // largest single allocation
    int64_t offset_alignment;     // storage-buffer offset alignment in bytes
    uint32_t max_shared_bytes, max_invocations, max_push_bytes;
    uint32_t max_groups[3];
    uint32_t subgroup_size;
    bool has_subgroup_ballot, has_subgroup_shuffle; // subgroupBroadcast and the like, in compute
    bool has_timestamps;
    va_gpu_matrix matrix[VA_MAX_MATRIX];
    int n_matrix;               // 0: no matrix cores, or none that the runtime can use
    uint32_t matrix_subgroup;   // subgroup size of the kernels that use them
    bool matrix_subgroup_asked; // which they must ask for, as the device has several
    uint32_t matrix_max_size;   // of flexible ones, rows or columns,
    int64_t
        matrix_reserved_bytes; // and the shared memory that a workgroup's take beside the kernel's
    bool usable;               // passes the baseline; why_not says what it lacks
    char why_not[256];
} va_gpu_info;

typedef struct va_gpu_params {
    const char *device;    // index or part of the name (case-insensitive); NULL or "": VA_DEVICE
                           // in the environment, else discrete, integrated, virtual, CPU
    bool validation;       // ask for the Khronos validation layer with synchronisation checks;
                           // VA_VALIDATION=1 in the environment does the same
    bool timestamps;       // record the time of every dispatch, by label
    const char *cache_dir; // pipeline cache folder; NULL: $XDG_CACHE_HOME or ~/.cache, /vkalign
    bool no_cache;
    int64_t memory_limit_bytes; // refuse buffers beyond this sum; what lies free between them comes
                                // on top, a few percent; 0 = the device's own limit
} va_gpu_params;

// All devices, usable or not, in the order the loader lists them. VA_ERR_DEVICE when there is no
// Vulkan loader, driver or device, with what to install.
va_status va_gpu_list(va_ctx *ctx, va_arena *arena, va_gpu_info **list, int64_t *n);
// params may be NULL. VA_ERR_DEVICE when nothing matches (the message lists what there is).
va_status va_gpu_open(va_ctx *ctx, const va_gpu_params *params, va_gpu **gpu);
// For looking inside: VA_TRACE=1 in the environment logs every Vulkan call, VA_STAGING=1 moves
// data by staging buffers and splits submissions, as discrete devices need it, on any device,
// VA_REPLAY=0 records everything anew each time.

// Waits, saves the pipeline cache, frees. Asserts that every buffer was destroyed.
void va_gpu_close(va_gpu **gpu);
const va_gpu_info *va_gpu_get_info(const va_gpu *gpu);
va_ctx *va_gpu_ctx(const va_gpu *gpu);
// Validation messages of severity error or warning seen so far (0 without the layer).
int64_t va_gpu_validation_count(const va_gpu *gpu);

// -- buffers ---------------------------------------------------------------------------------

typedef struct va_buffer va_buffer;
// Part of a buffer. offset_bytes is a multiple of the device's offset_alignment where it is bound.
typedef struct va_slice {
    va_buffer *buffer; // borrowed
    int64_t offset_bytes, size_bytes;
} va_slice;

// Device memory, not cleared. size_bytes from 1 to max_allocation_bytes (an unembedding takes more
// than 1 GiB); larger than max_range_bytes is fine (bind parts).
// VA_ERR_MEMORY names asked, in use and available. name is copied.
va_status va_buffer_create(va_gpu *gpu, int64_t size_bytes, const char *name, va_buffer **buffer);
// Valid while recorded work still uses it: the memory is given to others in the order of recording.
// NULL is fine.
void va_buffer_destroy(va_buffer **buffer);
int64_t va_buffer_size(const va_buffer *buffer);
va_slice va_buffer_all(va_buffer *buffer);
// A part of a slice; asserts that it lies inside.
va_slice va_slice_at(va_slice s, int64_t offset_bytes, int64_t size_bytes);
// Host to device, ordered after all recorded work on the range. Any size and 4-byte alignment.
va_status va_gpu_upload(va_gpu *gpu, va_slice dst, const void *src);
// Device to host; flushes and waits.
va_status va_gpu_download(va_gpu *gpu, va_slice src, void *dst);
// Device to device; equal sizes, recorded.
va_status va_gpu_copy(va_gpu *gpu, va_slice dst, va_slice src);
// Sets every 32-bit word; recorded.
va_status va_gpu_fill(va_gpu *gpu, va_slice dst, uint32_t word);

typedef struct va_gpu_memory {
    int64_t used_bytes, peak_bytes;              // live buffers (aligned sizes)
    int64_t reserved_bytes, reserved_peak_bytes; // device memory taken from the driver, staging too
} va_gpu_memory;
// What buffers may take at most: memory_limit_bytes, or the device's memory.
int64_t va_gpu_memory_limit(const va_gpu *gpu);
va_gpu_memory va_gpu_get_memory(const va_gpu *gpu);
void va_gpu_reset_peak(va_gpu *gpu);

// -- kernels ---------------------------------------------------------------------------------

enum { VA_MAX_BIND = 8, VA_MAX_SPEC = 16, VA_MAX_PUSH_BYTES = 128 };

// A compute shader with its interface; static const where it is used. Built lazily, cached by
// shader and specialisation constants.
typedef struct va_kernel {
    const char *shader;  // "op/rmsnorm.VJP": file without .comp, dot, variant (see shaders/)
    uint32_t n_bind;     // storage buffers at bindings 0..n_bind-1 of set 0
    uint32_t write_mask; // bit i: binding i is written (and perhaps read)
    uint32_t push_bytes;
    uint32_t n_spec; // specialisation constants with constant_id 0..n_spec-1
    uint32_t spec[VA_MAX_SPEC];
    bool matrix; // runs on matrix cores: in whole subgroups of matrix_subgroup invocations
} va_kernel;

typedef struct va_dispatch {
    const va_kernel *kernel;
    va_slice bind[VA_MAX_BIND]; // size > 0, at most max_range_bytes each
    const void *push;
    uint32_t groups[3]; // each >= 1 and within the device's limits
    const char *label;  // for timing and debug labels; NULL: the shader's name
} va_dispatch;

va_status va_gpu_dispatch(va_gpu *gpu, const va_dispatch *d);
// Workgroups for n_items one-dimensional items of `local` per group, folded over x and y;
// shaders take the group's number as y * num_groups.x + x and return when past the end.
void va_gpu_groups(const va_gpu *gpu, int64_t n_items, int64_t local, uint32_t groups[3]);
// Submits what is recorded; does not wait.
va_status va_gpu_flush(va_gpu *gpu);
// Submits and waits. VA_ERR_DEVICE when the device was lost.
va_status va_gpu_wait(va_gpu *gpu);
// Is there a shader of that name in this build?
bool va_gpu_has_shader(const char *shader);

// -- facts -----------------------------------------------------------------------------------

// What was found out about this device with this driver and these shaders (which kernels compute
// right, which tiles are fast), kept on disk beside the pipeline cache. key: letters, digits and
// "._/-". Recall is false where nothing is known.
bool va_gpu_recall(const va_gpu *gpu, const char *key, int64_t *value);
// On disk at once, so that a driver which crashes next finds it there; without a cache for this
// process only.
va_status va_gpu_remember(va_gpu *gpu, const char *key, int64_t value);

// -- recordings: work that is recorded once and submitted often ------------------------------

typedef struct va_recording va_recording;
// Whether recordings are of use now: not while dispatches are timed (a recording holds no
// timestamps), nor inside one, nor with VA_REPLAY=0 in the environment. Where this is false,
// va_gpu_record_begin and va_gpu_replay are VA_ERR_USAGE; record in the ordinary way then.
bool va_gpu_can_replay(const va_gpu *gpu);
// Recordings that were not destroyed: they take host and driver memory that no plan counts.
int64_t va_gpu_recording_count(const va_gpu *gpu);
// From here to va_gpu_record_end, dispatches, copies and fills go into a recording and are not run.
// Uploads and downloads are VA_ERR_USAGE meanwhile. Submits what was recorded before.
va_status va_gpu_record_begin(va_gpu *gpu);
// Ends it; the caller owns the recording. NULL drops it, as after a failed call.
va_status va_gpu_record_end(va_gpu *gpu, va_recording **recording);
// Runs it once more, in the order of recorded work and with barriers around it as if its calls had
// been made here; never waits for an earlier run. It reads and writes whatever the buffers hold
// now. VA_ERR_USAGE when one of the buffers was destroyed.
va_status va_gpu_replay(va_gpu *gpu, va_recording *recording);
// All its buffers are there still.
bool va_recording_is_valid(const va_recording *recording);
// Valid while a run of it is under way. NULL is fine. Before va_gpu_close.
void va_recording_destroy(va_recording **recording);

// -- timing ----------------------------------------------------------------------------------

typedef struct va_gpu_timing {
    const char *label; // owned by gpu until va_gpu_reset_timings
    int64_t calls, time_ns;
    double flop, bytes; // of groups alone: as va_gpu_time_group was told
} va_gpu_timing;
// Sorted by time, longest first; empty unless timestamps were asked for. Waits.
va_status va_gpu_get_timings(va_gpu *gpu, const va_gpu_timing **list, int64_t *n);
// Dispatches recorded from now on also count for a group, the derivative of a kind of op, say;
// NULL: for none. Each time adds a call, and the arithmetic and traffic that those dispatches will
// do.
void va_gpu_time_group(va_gpu *gpu, const char *label, double flop, double bytes);
va_status va_gpu_get_group_timings(va_gpu *gpu, const va_gpu_timing **list, int64_t *n);
// Were timestamps asked for, has the device some, and are they not paused?
bool va_gpu_is_timed(const va_gpu *gpu);
void va_gpu_reset_timings(va_gpu *gpu);
// Whether work recorded from now on is timed, where timestamps were asked for; at first it is.
void va_gpu_pause_timings(va_gpu *gpu, bool paused);
int64_t va_gpu_dispatch_count(const va_gpu *gpu);

typedef struct va_gpu_counts {
    int64_t dispatches;  // given to the device, replayed ones too
    int64_t sets;        // descriptor sets written: dispatches that were recorded
    int64_t submissions; // command buffers given to the queue
    int64_t replays;
    int64_t waits; // the host waited for a submission: for results, for a staging chunk or memory
                   // in use, or because it was 64 submissions ahead
} va_gpu_counts;
// va_time_s() when the queue was first given a dispatch; 0: it was not yet.
double va_gpu_first_dispatch_s(const va_gpu *gpu);
// Since the device was opened.
va_gpu_counts va_gpu_get_counts(const va_gpu *gpu);

#ifdef __cplusplus
}
#endif
#endif
