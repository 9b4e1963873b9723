// gpu_dispatch.c: checking and recording a dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_replay.h"

static va_status check_dispatch(va_gpu *gpu, const va_dispatch *d) {
    va_status st = VA_OK;
    const va_kernel *k = d->kernel;
#define VA_NEED(cond, ...)                                                                         \
    if (!(cond))                                                                                   \
    VA_TRY(va_fail(gpu->ctx, VA_ERR_USAGE, __VA_ARGS__))
    VA_NEED(k->n_bind >= 1 && k->n_bind <= VA_MAX_BIND, "%s: 1 to %d bindings expected, got %u",
            k->shader, VA_MAX_BIND, k->n_bind);
    VA_NEED(k->n_spec <= VA_MAX_SPEC, "%s: at most %d constants expected, got %u", k->shader,
            VA_MAX_SPEC, k->n_spec);
    VA_NEED(k->push_bytes <= VA_MAX_PUSH_BYTES && k->push_bytes % 4 == 0,
            "%s: at most %d bytes of push constants expected, got %u", k->shader, VA_MAX_PUSH_BYTES,
            k->push_bytes);
    VA_NEED(!k->push_bytes || d->push, "%s: push constants are missing", k->shader);
    for (int i = 0; i < 3; i++)
        VA_NEED(d->groups[i] >= 1 && d->groups[i] <= gpu->info.max_groups[i],
                "%s: 1 to %u workgroups along %c expected, got %u", k->shader,
                gpu->info.max_groups[i], "xyz"[i], d -> groups[i]);
    for (uint32_t i = 0; i < k->n_bind; i++) {
        va_slice s = d->bind[i];
        VA_TRY(gpu_check_slice(gpu, s, k->shader));
        VA_NEED(s.size_bytes > 0 && s.size_bytes <= gpu->info.max_range_bytes,
                "%s: binding %u of buffer \"%s\" has %lld bytes, 1 to %lld expected", k->shader, i,
                s.buffer->name, (long long)s.size_bytes, (long long)gpu->info.max_range_bytes);
        VA_NEED(s.offset_bytes % gpu->info.offset_alignment == 0,
                "%s: binding %u of buffer \"%s\" begins at %lld, a multiple of %lld expected",
                k->shader, i, s.buffer->name, (long long)s.offset_bytes,
                (long long)gpu->info.offset_alignment);
    }
#undef VA_NEED
done:
    return st;
}

static void write_set(va_gpu *gpu, VkDescriptorSet set, const gpu_access *access, uint32_t n) {
    VkDescriptorBufferInfo buffers[VA_MAX_BIND];
    for (uint32_t i = 0; i < n; i++)
        buffers[i] = (VkDescriptorBufferInfo){
            .buffer = access[i].buffer,
            .offset = (VkDeviceSize)access[i].range.begin,
            .range = (VkDeviceSize)(access[i].range.end - access[i].range.begin),
        };
    VkWriteDescriptorSet write = {
        // one write fills consecutive bindings
        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
        .dstSet = set,
        .descriptorCount = n,
        .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .pBufferInfo = buffers,
    };
    VK_DO(gpu, vkUpdateDescriptorSets(gpu->device, 1, &write, 0, NULL));
}

va_status va_gpu_dispatch(va_gpu *gpu, const va_dispatch *d) {
    va_status st = VA_OK;
    const va_kernel *k = d->kernel;
    const char *label = d->label ? d->label : k->shader;
    VkPipeline pipeline;
    VkCommandBuffer cmd;
    VkDescriptorSet set;
    gpu_access access[VA_MAX_BIND];
    VA_TRY(check_dispatch(gpu, d));
    VA_TRY(gpu_pipeline_get(gpu, k, &pipeline));
    VA_TRY(gpu_begin(gpu, &cmd));
    const gpu_layout *layout = &gpu->layouts[k->n_bind];
    VA_TRY(gpu_sets_allocate(gpu, gpu->capture ? &gpu->capture->sets : &gpu->open->sets,
                             layout->set, &set));
    for (uint32_t i = 0; i < k->n_bind; i++) {
        bool write = k->write_mask >> i & 1;
        access[i] = gpu_access_of(d->bind[i], write);
        VA_TRY(gpu_touch(gpu, d->bind[i], write));
    }
    write_set(gpu, set, access, k->n_bind);
    gpu_label_begin(gpu, cmd, label);
    gpu_sync(gpu, cmd, access, (int)k->n_bind);
    VK_DO(gpu, vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline));
    VK_DO(gpu, vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, layout->pipeline, 0, 1,
                                       &set, 0, NULL));
    if (k->push_bytes)
        VK_DO(gpu, vkCmdPushConstants(cmd, layout->pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                      k->push_bytes, d->push));
    gpu_timing_start(gpu, gpu->open, label); // never while capturing
    VK_DO(gpu, vkCmdDispatch(cmd, d->groups[0], d->groups[1], d->groups[2]));
    gpu_timing_stop(gpu, gpu->open);
    gpu_label_end(gpu, cmd);
    *(gpu->capture ? &gpu->capture->n_dispatch : &gpu->counts.dispatches) += 1;
    VA_TRY(gpu_recorded(gpu, (int64_t)d->groups[0] * d->groups[1] * d->groups[2]));
done:
    return st;
}

void va_gpu_groups(const va_gpu *gpu, int64_t n_items, int64_t local, uint32_t groups[3]) {
    int64_t n = n_items > 0 ? (n_items - 1) / local + 1 : 1;
    int64_t most = VA_MIN(gpu->info.max_groups[0], 65535); // so that y * x stays within 32 bits
    int64_t y = (n - 1) / most + 1;
    groups[0] = (uint32_t)((n - 1) / y + 1);
    groups[1] = (uint32_t)VA_MIN(y, UINT32_MAX); // too many: va_gpu_dispatch says so
    groups[2] = 1;
}

int64_t va_gpu_dispatch_count(const va_gpu *gpu) {
    return gpu->counts.dispatches;
}

double va_gpu_first_dispatch_s(const va_gpu *gpu) {
    return gpu->first_dispatch_s;
}

va_gpu_counts va_gpu_get_counts(const va_gpu *gpu) {
    return gpu->counts;
}
