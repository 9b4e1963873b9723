// gpu_priv.h: what the files of runtime/gpu share.
//
// Life of a command: gpu_begin() opens a command buffer in a slot that is free, gpu_sync() puts
// a barrier when byte ranges conflict, gpu_recorded() counts it and submits when there is enough.
// Submissions are numbered by serials 1, 2, ... which complete in order; blocks and buffers
// remember the serial of their last use, so the host knows what it must wait for. Between
// va_gpu_record_begin and va_gpu_record_end the same calls fill a va_recording instead, whose
// command buffers get a slot and a serial each time they are submitted.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GPU_PRIV_H
#define VKALIGN_GPU_PRIV_H

#include <vulkan/vulkan.h>

#include "vkalign/gpu.h"

#include "gpu_features.h"
#include "gpu_shader.h"

enum {
    GPU_MAX_SLOTS = 64,      // submissions in flight or recording; then the host waits
    GPU_MAX_COMMANDS = 128,  // per submission
    GPU_EARLY_COMMANDS = 16, // submit this early when the device has nothing to do
    GPU_MAX_TRACKED = 128,   // byte ranges since the last barrier
    GPU_STAGING_CHUNKS = 4,
};
#define GPU_BLOCK_BYTES (INT64_C(64) << 20)
#define GPU_BLOCK_GRAIN (INT64_C(64) << 10)
#define GPU_STAGING_BYTES (INT64_C(8) << 20) // per chunk
// vkCmdUpdateBuffer carries at most this much.
#define GPU_INLINE_BYTES INT64_C(65536)
// Workgroups per submission on devices with a watchdog: a tile of 128 x 128 over an inner index of
// 2560 is 84 MFLOP, so many of them some 500 ms at one TFLOP/s.
#define GPU_MAX_WORKGROUPS INT64_C(6144)

typedef struct gpu_range {
    int64_t begin, end; // bytes
} gpu_range;

// One VkDeviceMemory with one VkBuffer over it.
typedef struct gpu_block {
    VkDeviceMemory memory;
    VkBuffer buffer;
    int64_t size_bytes, used_bytes;
    uint8_t *mapped; // NULL: not visible to the host
    bool dedicated;  // to one large buffer
    gpu_range *free; // sorted, coalesced
    int64_t n_free, cap_free;
    uint64_t last_use;  // serial, of the whole block
    uint64_t freed_use; // of buffers that lay in it and were destroyed
    struct gpu_block *next;
} gpu_block;

struct va_buffer {
    va_gpu *gpu;
    gpu_block *block;
    gpu_range range; // in the block, aligned
    int64_t size_bytes;
    uint64_t last_use, last_write; // serials
    int64_t n_recordings;          // that use it
    uint64_t recording;            // number of the last one that touched it,
    int64_t use;                   // and where it stands there
    char *name;
    struct va_buffer *prev, *next; // all live buffers
};

typedef struct gpu_pipeline {
    uint32_t n_bind, n_spec, spec[VA_MAX_SPEC];
    bool matrix;
    VkPipeline handle;
    struct gpu_pipeline *next; // of the same shader
} gpu_pipeline;

// Set and pipeline layout for a number of bindings.
typedef struct gpu_layout {
    VkDescriptorSetLayout set;
    VkPipelineLayout pipeline;
} gpu_layout;

// Descriptor pools, filled one after the other.
typedef struct gpu_sets {
    VkDescriptorPool *pool;
    int64_t n, cap, at;
} gpu_sets;

// What a submission needs. That of a recording uses the fence alone.
typedef struct gpu_slot {
    VkCommandPool pool;
    VkCommandBuffer cmd;
    VkFence fence;
    gpu_sets sets;                    // all reset when the slot is used again
    VkQueryPool queries;              // 2 per dispatch; null without timestamps
    int labels[GPU_MAX_COMMANDS + 1]; // timing entry of each timed dispatch,
    int groups[GPU_MAX_COMMANDS + 1]; // and that of its group; -1: none
    uint32_t n_timed;
    struct gpu_slot *next; // in the list of those in flight or spare
} gpu_slot;

// A byte range touched since the last barrier.
typedef struct gpu_access {
    VkBuffer buffer;
    gpu_range range;
    bool write;
} gpu_access;

typedef struct gpu_timings {
    va_gpu_timing *list, *sorted; // [n], and room for as many
    int64_t n, cap;
} gpu_timings;

typedef struct gpu_staging {
    VkDeviceMemory memory;
    VkBuffer buffer;
    uint8_t *mapped;
    uint64_t serial[GPU_STAGING_CHUNKS]; // last use of each chunk
    int at;                              // current chunk
    int64_t fill_bytes;                  // used of it
} gpu_staging;

typedef struct gpu_fact {
    char *key;
    int64_t value;
    bool own; // found out by this process
} gpu_fact;

typedef struct gpu_functions { // of VK_EXT_debug_utils; NULL without it
    PFN_vkSetDebugUtilsObjectNameEXT set_name;
    PFN_vkCmdBeginDebugUtilsLabelEXT begin_label;
    PFN_vkCmdEndDebugUtilsLabelEXT end_label;
} gpu_functions;

struct va_gpu {
    va_ctx *ctx;
    va_gpu_info info;
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    VkPhysicalDevice physical;
    VkPhysicalDeviceMemoryProperties memory_types;
    VkDevice device;
    VkQueue queue;
    uint32_t queue_family;
    gpu_functions fn;
    bool validation, timestamps, trace, no_cache;
    bool lost; // device lost or a submission failed: nothing works any more
    int64_t n_validation;

    uint32_t memory_type; // of blocks
    bool mapped;          // blocks are mapped,
    bool mapped_reads;    // and reading them is fast
    int64_t alignment;    // of buffers in blocks
    int64_t limit_bytes;  // of all buffers together; 0: none
    int64_t block_bytes;  // of all blocks together
    gpu_block *blocks;
    int n_blocks_made; // so far, for their names
    va_buffer *buffers;
    gpu_staging staging;
    va_gpu_memory usage;

    gpu_layout layouts[VA_MAX_BIND + 1];
    gpu_pipeline **pipelines; // [gpu_n_shaders] lists
    VkPipelineCache cache;
    char *cache_path; // NULL: none
    bool cache_dirty;
    char *facts_path; // NULL: none
    gpu_fact *facts;
    int64_t n_facts;

    gpu_slot *open;     // being recorded, with the last serial; NULL: none
    gpu_slot *inflight; // oldest first
    gpu_slot *spare;
    int n_slots;
    uint64_t serial, completed;       // last begun, last finished
    int64_t n_commands, n_workgroups; // of the command buffer being recorded
    gpu_access tracked[GPU_MAX_TRACKED];
    int n_tracked;
    va_gpu_counts counts;
    double first_dispatch_s; // 0: none yet

    bool replay;                // not switched off
    va_recording *capture;      // being recorded; then there is no open slot
    bool part_open;             // its last part
    va_recording *recordings;   // all alive
    va_recording *dying;        // destroyed, still in flight
    uint64_t n_recordings_made; // so far

    bool timing_paused;
    double timestamp_ns; // one tick
    uint64_t timestamp_mask;
    gpu_timings labels, groups;
    int group; // of what is recorded now; -1: none
};

// -- gpu_debug.c -----------------------------------------------------------------------------

// Every fallible Vulkan call goes through VK_TRY, or through VK_CHECK where some of
// its failures are expected; the others go through VK_DO.
#define VK_TRY(gpu, call)                                                                          \
    VA_TRY((gpu_trace((gpu), #call), gpu_check((gpu), (call), #call, __FILE__, __LINE__)))
#define VK_CHECK(gpu, result, name) VA_TRY(gpu_check((gpu), (result), name, __FILE__, __LINE__))
#define VK_DO(gpu, call) (gpu_trace((gpu), #call), (call))

void gpu_trace(const va_gpu *gpu, const char *call);
va_status gpu_check(va_gpu *gpu, VkResult result, const char *call, const char *file, int line);
const char *gpu_result_text(VkResult result);
void gpu_name(va_gpu *gpu, VkObjectType type, uint64_t handle, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void gpu_label_begin(va_gpu *gpu, VkCommandBuffer cmd, const char *label);
void gpu_label_end(va_gpu *gpu, VkCommandBuffer cmd);
// For VkInstanceCreateInfo.pNext and the messenger; user is the va_gpu.
VkDebugUtilsMessengerCreateInfoEXT gpu_messenger_info(va_gpu *gpu);
void gpu_debug_init(va_gpu *gpu);
void gpu_debug_free(va_gpu *gpu);

// -- gpu_list.c ------------------------------------------------------------------------------

// debug: NULL, or the va_gpu whose fields validation and messages are for.
va_status gpu_instance_create(va_ctx *ctx, va_gpu *debug, VkInstance *instance);
// Devices of an instance with what va_gpu_info says of each; arrays from the arena.
va_status gpu_enumerate(va_ctx *ctx, VkInstance instance, va_arena *arena,
                        VkPhysicalDevice **devices, va_gpu_info **list, int64_t *n);
va_status gpu_choose(va_ctx *ctx, const char *wanted, const va_gpu_info *list, int64_t n,
                     int64_t *chosen);
// The queue family to use, -1 when none computes. timestamp_bits may be NULL.
int gpu_queue_family(VkPhysicalDevice physical, uint32_t *timestamp_bits);

// -- gpu_memory.c ----------------------------------------------------------------------------

void gpu_memory_init(va_gpu *gpu);
void gpu_memory_free(va_gpu *gpu);
va_status gpu_suballocate(va_gpu *gpu, int64_t size_bytes, gpu_block **block, gpu_range *range);
void gpu_release(va_gpu *gpu, gpu_block *block, gpu_range range);
// A VkBuffer with memory of a type; mapped may be NULL.
va_status gpu_allocate(va_gpu *gpu, int64_t size_bytes, uint32_t memory_type, VkBuffer *buffer,
                       VkDeviceMemory *memory, uint8_t **mapped);
// First memory type with all of the flags, -1 when there is none.
int gpu_memory_type(const va_gpu *gpu, VkMemoryPropertyFlags flags);

// -- gpu_staging.c ---------------------------------------------------------------------------

va_status gpu_staged_upload(va_gpu *gpu, va_slice dst, const void *src);
va_status gpu_staged_download(va_gpu *gpu, va_slice src, void *dst);
void gpu_staging_free(va_gpu *gpu);

// -- gpu_record.c ----------------------------------------------------------------------------

void gpu_record_free(va_gpu *gpu);
va_status gpu_begin(va_gpu *gpu, VkCommandBuffer *cmd);
// The barriers that stand at both ends of every command buffer.
va_status gpu_open_commands(va_gpu *gpu, VkCommandBuffer cmd, VkCommandBufferUsageFlags flags);
va_status gpu_close_commands(va_gpu *gpu, VkCommandBuffer cmd);
// Whether the workgroups since the command buffer was opened are enough for one submission.
bool gpu_watchdog(const va_gpu *gpu);
// Submits a command buffer under the next serial. On failure the device counts as lost.
va_status gpu_submit_next(va_gpu *gpu, VkCommandBuffer cmd);
// Barrier when one of the n accesses conflicts with what was recorded since the last one.
void gpu_sync(va_gpu *gpu, VkCommandBuffer cmd, const gpu_access *access, int n);
gpu_access gpu_access_of(va_slice s, bool write);
// Counts one command; submits when there is enough.
va_status gpu_recorded(va_gpu *gpu, int64_t n_workgroups);
// Waits until a submission has finished; submits it when it is still recording.
va_status gpu_wait_serial(va_gpu *gpu, uint64_t serial);
// Notices finished submissions without waiting.
va_status gpu_poll(va_gpu *gpu);
va_status gpu_check_slice(va_gpu *gpu, va_slice s, const char *what);
va_status gpu_touch(va_gpu *gpu, va_slice s, bool write);

// -- gpu_sets.c ------------------------------------------------------------------------------

va_status gpu_sets_allocate(va_gpu *gpu, gpu_sets *sets, VkDescriptorSetLayout layout,
                            VkDescriptorSet *set);
va_status gpu_sets_reset(va_gpu *gpu, gpu_sets *sets);
void gpu_sets_free(va_gpu *gpu, gpu_sets *sets);

// -- gpu_pipeline.c --------------------------------------------------------------------------

va_status gpu_pipeline_init(va_gpu *gpu);
void gpu_pipeline_free(va_gpu *gpu);
va_status gpu_pipeline_get(va_gpu *gpu, const va_kernel *kernel, VkPipeline *pipeline);
const gpu_shader *gpu_shader_find(const char *name);

// -- gpu_cache.c -----------------------------------------------------------------------------

// A file of this device, driver and build in the cache folder; NULL when there is none. Free it.
char *gpu_cache_path(const va_gpu *gpu, const char *dir, const char *what, const char *extension);
// Writes a head and data to a name of our own and renames, so that readers see a whole file or
// none. What fails is logged: a cache only saves time.
void gpu_cache_write(va_gpu *gpu, const char *path, const void *head, size_t head_size,
                     const void *data, size_t size);
va_status gpu_cache_open(va_gpu *gpu, const char *dir);
void gpu_cache_close(va_gpu *gpu); // saves when pipelines were built

// -- gpu_facts.c -----------------------------------------------------------------------------

va_status gpu_facts_open(va_gpu *gpu, const char *dir);
void gpu_facts_close(va_gpu *gpu);

// -- gpu_timing.c ----------------------------------------------------------------------------

void gpu_timing_init(va_gpu *gpu);
va_status gpu_timing_slot(va_gpu *gpu, gpu_slot *slot); // its queries, where timestamps are wanted
void gpu_timing_free(va_gpu *gpu);
bool gpu_timing_runs(const va_gpu *gpu);
void gpu_timing_start(va_gpu *gpu, gpu_slot *slot, const char *label);
void gpu_timing_stop(va_gpu *gpu, gpu_slot *slot);
va_status gpu_timing_collect(va_gpu *gpu, gpu_slot *slot);

#endif
