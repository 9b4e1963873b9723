// gpu_pipeline.c: layouts and compute pipelines, built when first used.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <stdlib.h>
#include <string.h>

const gpu_shader *gpu_shader_find(const char *name) {
    int64_t lo = 0, hi = gpu_n_shaders;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        int order = strcmp(gpu_shaders[mid].name, name);
        if (order == 0)
            return &gpu_shaders[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

bool va_gpu_has_shader(const char *shader) {
    return gpu_shader_find(shader) != NULL;
}

static va_status layout_init(va_gpu *gpu, gpu_layout *layout, uint32_t n_bind) {
    va_status st = VA_OK;
    VkDescriptorSetLayoutBinding bindings[VA_MAX_BIND];
    for (uint32_t i = 0; i < n_bind; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = n_bind,
        .pBindings = bindings,
    };
    VK_TRY(gpu, vkCreateDescriptorSetLayout(gpu->device, &set, NULL, &layout->set));
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, VA_MAX_PUSH_BYTES};
    VkPipelineLayoutCreateInfo pipeline = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &layout->set,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push,
    };
    VK_TRY(gpu, vkCreatePipelineLayout(gpu->device, &pipeline, NULL, &layout->pipeline));
done:
    return st;
}

va_status gpu_pipeline_init(va_gpu *gpu) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(gpu->ctx, gpu->pipelines,
                 calloc((size_t)gpu_n_shaders + 1, sizeof *gpu->pipelines));
    for (uint32_t n = 1; n <= VA_MAX_BIND; n++)
        VA_TRY(layout_init(gpu, &gpu->layouts[n], n));
done:
    return st;
}

void gpu_pipeline_free(va_gpu *gpu) {
    for (int64_t i = 0; gpu->pipelines && i < gpu_n_shaders; i++) {
        for (gpu_pipeline *p = gpu->pipelines[i], *next; p; p = next) {
            next = p->next;
            vkDestroyPipeline(gpu->device, p->handle, NULL);
            free(p);
        }
    }
    free(gpu->pipelines);
    for (uint32_t n = 1; n <= VA_MAX_BIND; n++) {
        vkDestroyPipelineLayout(gpu->device, gpu->layouts[n].pipeline, NULL);
        vkDestroyDescriptorSetLayout(gpu->device, gpu->layouts[n].set, NULL);
    }
}

// Builds p->handle from a shader and the constants in p.
static va_status build(va_gpu *gpu, const gpu_shader *shader, gpu_pipeline *p) {
    va_status st = VA_OK;
    VkShaderModule module = VK_NULL_HANDLE;
    double start = va_time_s();
    VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = shader->size_bytes,
        .pCode = shader->words,
    };
    VK_TRY(gpu, vkCreateShaderModule(gpu->device, &code, NULL, &module));
    VkSpecializationMapEntry entries[VA_MAX_SPEC];
    for (uint32_t i = 0; i < p->n_spec; i++)
        entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
    VkSpecializationInfo spec = {p->n_spec, entries, 4 * p->n_spec, p->spec};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = gpu->info.matrix_subgroup,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = p->matrix && gpu->info.matrix_subgroup_asked ? &subgroup : NULL,
                .flags = p->matrix ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = p->n_spec ? &spec : NULL,
            },
        .layout = gpu->layouts[p->n_bind].pipeline,
    };
    VK_TRY(gpu, vkCreateComputePipelines(gpu->device, gpu->cache, 1, &info, NULL, &p->handle));
    gpu->cache_dirty = true;
    gpu_name(gpu, VK_OBJECT_TYPE_PIPELINE, (uint64_t)p->handle, "%s", shader->name);
    if (gpu->trace)
        va_log(gpu->ctx, VA_LOG_DEBUG, "pipeline %s built in %.1f ms", shader->name,
               (va_time_s() - start) * 1e3);
done:
    vkDestroyShaderModule(gpu->device, module, NULL);
    if (st != VA_OK)
        va_fail_in(gpu->ctx, st, "pipeline %s", shader->name);
    return st;
}

static bool is_for(const gpu_pipeline *p, const va_kernel *kernel) {
    return p->n_bind == kernel->n_bind && p->n_spec == kernel->n_spec &&
           p->matrix == kernel->matrix &&
           !memcmp(p->spec, kernel->spec, kernel->n_spec * sizeof *p->spec);
}

va_status gpu_pipeline_get(va_gpu *gpu, const va_kernel *kernel, VkPipeline *pipeline) {
    va_status st = VA_OK;
    gpu_pipeline *p = NULL;
    const gpu_shader *shader = gpu_shader_find(kernel->shader);
    if (!shader)
        return va_fail(gpu->ctx, VA_ERR_UNSUPPORTED, "no shader \"%s\" in this build",
                       kernel->shader);
    gpu_pipeline **list = &gpu->pipelines[shader - gpu_shaders];
    for (p = *list; p; p = p->next) {
        if (is_for(p, kernel)) {
            *pipeline = p->handle;
            return VA_OK;
        }
    }
    VA_TRY_ALLOC(gpu->ctx, p, calloc(1, sizeof *p));
    p->n_bind = kernel->n_bind;
    p->n_spec = kernel->n_spec;
    p->matrix = kernel->matrix;
    memcpy(p->spec, kernel->spec, kernel->n_spec * sizeof *p->spec);
    VA_TRY(build(gpu, shader, p));
    p->next = *list;
    *list = p;
    *pipeline = p->handle;
done:
    if (st != VA_OK)
        free(p);
    return st;
}
