// compile_shaders.c: has the first Vulkan device's driver compile every shader that vkalign has,
// and prints what the driver says of the result. Nothing is run, so a device without hardware will
// do (ci/portability says how). Prints JSON, one object to a line: the device, then for each
// executable that a shader became
//
//   {"shader": .., "variant": .., "executable": .., "subgroup": .., "registers": .., "spills": ..,
//    "scratch": .., "occupancy": .., "cycles": .., "statistics": {the driver's own names}}
//
// Known statistics are summed under our names, absent where the driver has none. A shader that did
// not compile has "error" instead, one that the device does not offer everything for "needs": what
// is missing. Each shader's name goes to stderr before it is compiled: the last one there is where
// a driver crashed. Status 1: not all compiled; 2: no device.
// SPDX-License-Identifier: Apache-2.0
#include "compile_priv.h"

#include <fnmatch.h>
#include <string.h>

// -- the device ------------------------------------------------------------------------------

static uint32_t compute_family(VkPhysicalDevice physical) {
    VkQueueFamilyProperties list[32];
    uint32_t n = VA_COUNT(list);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, list);
    for (uint32_t i = 0; i < n; i++)
        if (list[i].queueFlags & VK_QUEUE_COMPUTE_BIT)
            return i;
    die("no compute queue", VK_ERROR_INITIALIZATION_FAILED);
    return 0;
}

static void pick_device(compiler *c) {
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "vkalign",
                             .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo instance = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                     .pApplicationInfo = &app};
    VK_NEED(vkCreateInstance(&instance, NULL, &c->instance));
    uint32_t n = 1;
    VK_NEED(vkEnumeratePhysicalDevices(c->instance, &n, &c->physical));
    if (!n)
        die("no Vulkan device", VK_ERROR_INITIALIZATION_FAILED);
    VkPhysicalDeviceProperties p;
    vkGetPhysicalDeviceProperties(c->physical, &p);
    c->info = (va_gpu_info){.vendor_id = p.vendorID,
                            .max_shared_bytes = p.limits.maxComputeSharedMemorySize,
                            .max_invocations = p.limits.maxComputeWorkGroupInvocations};
    gpu_features_init(&c->features, c->physical);
    gpu_features_describe(&c->features, c->instance, c->physical, &c->info);
}

// With the runtime's own features, which decide what code a driver makes, and statistics.
static void open_device(compiler *c) {
    const char *extension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    c->has_statistics = gpu_device_extension(c->physical, extension);
    float priority = 0.5f;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = compute_family(c->physical),
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pNext = &c->features.all,
        .pipelineExecutableInfo = VK_TRUE};
    const char *extensions[VA_COUNT(c->features.extensions) + 1];
    uint32_t n = c->features.n_extensions;
    memcpy(extensions, c->features.extensions, sizeof c->features.extensions);
    if (c->has_statistics)
        extensions[n++] = extension;
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = c->has_statistics ? (void *)&statistics
                                                          : (void *)&c->features.all,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = extensions};
    VK_NEED(vkCreateDevice(c->physical, &info, NULL, &c->device));
    c->get_executables = (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(
        c->device, "vkGetPipelineExecutablePropertiesKHR");
    c->get_statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(
        c->device, "vkGetPipelineExecutableStatisticsKHR");
}

// The runtime's layout of a kernel with as many buffers as there may be.
static void make_layout(compiler *c) {
    VkDescriptorSetLayoutBinding bindings[VA_MAX_BIND];
    for (uint32_t i = 0; i < VA_MAX_BIND; i++)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo info = {.sType =
                                                VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            .bindingCount = VA_MAX_BIND,
                                            .pBindings = bindings};
    VkDescriptorSetLayout set;
    VK_NEED(vkCreateDescriptorSetLayout(c->device, &info, NULL, &set));
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, VA_MAX_PUSH_BYTES};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &set,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    VK_NEED(vkCreatePipelineLayout(c->device, &layout, NULL, &c->layout));
}

// -- one pipeline ----------------------------------------------------------------------------

static VkResult build(const compiler *c, const gpu_shader *shader, const shader_variant *v,
                      VkPipeline *pipeline) {
    VkShaderModule module;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = shader->size_bytes,
                                     .pCode = shader->words};
    VkResult result = vkCreateShaderModule(c->device, &code, NULL, &module);
    if (result < 0)
        return result;
    VkSpecializationMapEntry entries[VA_MAX_SPEC];
    for (uint32_t i = 0; i < v->n_spec; i++)
        entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
    VkSpecializationInfo spec = {v->n_spec, entries, 4 * v->n_spec, v->spec};
    const bool matrix = compile_on_matrix(shader);
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = c->info.matrix_subgroup};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = c->has_statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = matrix && c->info.matrix_subgroup_asked ? &subgroup : NULL,
                  .flags = matrix ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = v->n_spec ? &spec : NULL},
        .layout = c->layout};
    result = vkCreateComputePipelines(c->device, VK_NULL_HANDLE, 1, &info, NULL, pipeline);
    vkDestroyShaderModule(c->device, module, NULL);
    return result;
}

// -- all ---------------------------------------------------------------------------------------

static void compile(compiler *c, const gpu_shader *shader, const shader_variant *v) {
    char what[64];
    fprintf(stderr, "%s %s\n", shader->name, v->label);
    if (compile_lacks(c, shader, what, sizeof what)) {
        print_needs(shader, v->label, what);
        return;
    }
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkResult result = build(c, shader, v, &pipeline);
    if (pipeline) {
        print_executables(c, pipeline, shader, v->label);
        vkDestroyPipeline(c->device, pipeline, NULL);
    } else {
        print_error(shader, v->label, result);
        c->n_failed++;
    }
    fflush(stdout);
}

// With the shape of the device's matrices in its label, as figures of two shapes do not compare.
static void compile_tile(compiler *c, const gpu_shader *shader, const matmul_kernel *k, va_dtype w,
                         const matmul_tile *t) {
    const bool transpose = strstr(shader->name, ".NT") != NULL;
    const va_kernel kernel = matmul_matrix_kernel(&c->info, k, transpose, w, t);
    char label[96];
    shader_variant v = {.label = label, .n_spec = kernel.n_spec};
    memcpy(v.spec, kernel.spec, sizeof kernel.spec);
    snprintf(label, sizeof label, "%s-%ux%u-%ux%ux%u", w == VA_F32 ? "f32" : "bf16", t->bm, t->bn,
             v.spec[9], v.spec[10], v.spec[11]);
    compile(c, shader, &v);
}

static const matmul_kernel *kernel_of(const gpu_shader *shader) {
    return strstr(shader->name, "coopmat2")       ? &matmul_coopmat2
           : strstr(shader->name, "coopmat_bf16") ? &matmul_coopmat_bf16
                                                  : &matmul_coopmat;
}

// What the runtime would build on this device.
static void compile_matrices(compiler *c, const gpu_shader *shader) {
    static const va_dtype weights[] = {VA_BF16, VA_F32};
    static const int64_t rows[] = {32, 64, 128, 2048};
    const matmul_kernel *k = kernel_of(shader);
    if (!k->offered(&c->info)) {
        print_needs(shader, "-", "matrices that one of its tiles is made of");
        return;
    }
    for (int w = 0; w < VA_COUNT(weights); w++) {
        matmul_tile before = {0};
        for (int r = 0; r < VA_COUNT(rows); r++) {
            const matmul_shape shape = {weights[w], rows[r], 2560, 2560};
            matmul_tile t;
            if (matmul_for(k, &shape) != k || !matmul_default_tile(&c->info, k, &shape, &t) ||
                !memcmp(&t, &before, sizeof t))
                continue;
            compile_tile(c, shader, k, weights[w], &t);
            before = t;
        }
    }
}

static void compile_variants(compiler *c, const gpu_shader *shader) {
    static const shader_variant plain = {.label = "-"};
    bool any = compile_on_matrix(shader);
    if (any)
        compile_matrices(c, shader);
    for (int64_t i = 0; i < VA_COUNT(shader_variants); i++)
        if (!fnmatch(shader_variants[i].pattern, shader->name, 0)) {
            compile(c, shader, &shader_variants[i]);
            any = true;
        }
    if (!any)
        compile(c, shader, &plain);
}

int main(void) {
    compiler c = {0};
    pick_device(&c);
    open_device(&c);
    make_layout(&c);
    print_device(&c);
    for (const gpu_shader *shader = gpu_shaders; shader < gpu_shaders + gpu_n_shaders; shader++)
        compile_variants(&c, shader);
    vkDestroyPipelineLayout(c.device, c.layout, NULL);
    vkDestroyDevice(c.device, NULL);
    vkDestroyInstance(c.instance, NULL);
    return c.n_failed ? 1 : 0;
}
