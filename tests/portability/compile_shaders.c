// compile_shaders.c: has the first Vulkan device's driver compile every shader that vkalign has,
// and prints what the driver says of the result. Nothing is run, so a device without hardware will
// do (ci/portability says how). Prints JSON, one object to a line: the device, then for each
// executable that a shader became
//
//   {"shader": .., "variant": .., "executable": .., "subgroup": .., "registers": .., "spills": ..,
//    "scratch": .., "occupancy": .., "cycles": .., "statistics": {the driver's own names}}
//
// Known statistics are summed under our names, absent where the driver has none. A shader that did
// not compile has "error" instead, one that needs more than the baseline "needs". Each shader's
// name goes to stderr before it is compiled: the last one there is where a driver crashed.
// Status 1: not all compiled; 2: no device.
// SPDX-License-Identifier: Apache-2.0
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vulkan/vulkan.h>

#include "gpu_shader.h"
#include "shader_variants.h"

enum { MAX_EXECUTABLES = 8, MAX_STATISTICS = 128 };

typedef struct compiler {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkPipelineLayout layout;
    bool has_statistics;
    PFN_vkGetPipelineExecutablePropertiesKHR get_executables;
    PFN_vkGetPipelineExecutableStatisticsKHR get_statistics;
    int n_failed;
} compiler;

// What drivers call the figures that every one of them has in some form.
static const struct {
    const char *ours, *theirs;
} known_names[] = {
    // RADV (AMD)
    {"registers", "VGPRs"},
    {"spills", "Spilled VGPRs"},
    {"spills", "Spilled SGPRs"},
    {"scratch", "Scratch size"},
    {"occupancy", "Subgroups per SIMD"},
    {"cycles", "Latency"},
    // ANV (Intel)
    {"registers", "Max live registers"},
    {"spills", "Spills"}, // and Honeykrisp
    {"scratch", "Scratch Memory Size"},
    {"occupancy", "Max dispatch width"},
    {"cycles", "Cycles"},
    // NVK (NVIDIA)
    {"registers", "Number of GPRs"},
    {"spills", "Spills to memory"},
    {"scratch", "SLM size"},
    {"occupancy", "Max warps/SM"},
    {"cycles", "Static cycle count"},
    // Turnip (Adreno): the instructions and what they are expected to wait
    {"registers", "Registers used"},
    {"spills", "STP Count"},
    {"occupancy", "Max Waves Per Core"},
    {"cycles", "Instruction Count"},
    {"cycles", "Estimated cycles stalled on SS"},
    {"cycles", "Estimated cycles stalled on SY"},
    // Honeykrisp (Apple)
    {"registers", "GPRs"},
    {"scratch", "Scratch"},
    {"occupancy", "Threads"},
    {"cycles", "ALU"},
};
static const char *const our_names[] = {"registers", "spills", "scratch", "occupancy", "cycles"};

static void die(const char *what, VkResult result) {
    fprintf(stderr, "compile_shaders: %s: VkResult %d\n", what, (int)result);
    exit(2);
}

#define VK_NEED(call)                                                                              \
    do {                                                                                           \
        VkResult result_ = (call);                                                                 \
        if (result_ < 0)                                                                           \
            die(#call, result_);                                                                   \
    } while (0)

static void print_string(const char *s) {
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar((unsigned char)*s < ' ' ? ' ' : *s);
    }
    putchar('"');
}

// -- the device ------------------------------------------------------------------------------

static bool has_extension(VkPhysicalDevice physical, const char *name) {
    uint32_t n = 0;
    VK_NEED(vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL));
    VkExtensionProperties *list = calloc(n + 1, sizeof *list);
    bool found = false;
    if (list && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, list) >= 0)
        for (uint32_t i = 0; i < n && !found; i++)
            found = !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}

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

// The features of runtime/gpu/gpu_device.c, which decide what code a driver makes, and statistics.
static void open_device(compiler *c) {
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "vkalign",
                             .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo instance = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                     .pApplicationInfo = &app};
    VK_NEED(vkCreateInstance(&instance, NULL, &c->instance));
    uint32_t n = 1;
    VK_NEED(vkEnumeratePhysicalDevices(c->instance, &n, &c->physical));
    if (!n)
        die("no Vulkan device", VK_ERROR_INITIALIZATION_FAILED);
    const char *extension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    c->has_statistics = has_extension(c->physical, extension);
    float priority = 0.5f;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = compute_family(c->physical),
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE};
    VkPhysicalDeviceFeatures features = {.robustBufferAccess = VK_TRUE};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = c->has_statistics ? &statistics : NULL,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = c->has_statistics,
                               .ppEnabledExtensionNames = &extension,
                               .pEnabledFeatures = &features};
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

static void print_device(const compiler *c) {
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &driver};
    vkGetPhysicalDeviceProperties2(c->physical, &all);
    printf("{\"device\": ");
    print_string(all.properties.deviceName);
    printf(", \"driver\": ");
    print_string(driver.driverName);
    printf(", \"version\": ");
    print_string(driver.driverInfo);
    printf(", \"statistics\": %s}\n", c->has_statistics ? "true" : "false");
}

// -- one pipeline ----------------------------------------------------------------------------

static void print_head(const gpu_shader *shader, const char *variant) {
    printf("{\"shader\": ");
    print_string(shader->name);
    printf(", \"variant\": ");
    print_string(variant);
}

static double value_of(const VkPipelineExecutableStatisticKHR *s) {
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        return s->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        return (double)s->value.u64;
    default:
        return s->value.f64;
    }
}

static void print_known(const char *ours, const VkPipelineExecutableStatisticKHR *list,
                        uint32_t n) {
    double sum = 0;
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        for (int64_t k = 0; k < VA_COUNT(known_names); k++)
            if (!strcmp(known_names[k].ours, ours) &&
                !strcmp(known_names[k].theirs, list[i].name)) {
                sum += value_of(&list[i]);
                any = true;
            }
    if (any)
        printf(", \"%s\": %.0f", ours, sum);
}

static void print_statistics(const compiler *c, VkPipeline pipeline, uint32_t index) {
    VkPipelineExecutableStatisticKHR list[MAX_STATISTICS];
    for (int i = 0; i < MAX_STATISTICS; i++)
        list[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    VkPipelineExecutableInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                        .pipeline = pipeline,
                                        .executableIndex = index};
    uint32_t n = MAX_STATISTICS;
    VK_NEED(c->get_statistics(c->device, &info, &n, list));
    for (int64_t i = 0; i < VA_COUNT(our_names); i++)
        print_known(our_names[i], list, n);
    printf(", \"statistics\": {");
    for (uint32_t i = 0; i < n; i++) {
        printf("%s", i ? ", " : "");
        print_string(list[i].name);
        printf(": %.17g", value_of(&list[i]));
    }
    printf("}");
}

static void print_executables(const compiler *c, VkPipeline pipeline, const gpu_shader *shader,
                              const char *variant) {
    VkPipelineExecutablePropertiesKHR list[MAX_EXECUTABLES];
    for (int i = 0; i < MAX_EXECUTABLES; i++)
        list[i] = (VkPipelineExecutablePropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    uint32_t n = MAX_EXECUTABLES;
    if (!c->has_statistics) {
        print_head(shader, variant);
        printf("}\n");
        return;
    }
    VK_NEED(c->get_executables(c->device, &info, &n, list));
    for (uint32_t i = 0; i < n; i++) {
        print_head(shader, variant);
        printf(", \"executable\": ");
        print_string(list[i].name);
        printf(", \"subgroup\": %u", list[i].subgroupSize);
        print_statistics(c, pipeline, i);
        printf("}\n");
    }
}

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
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = c->has_statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = v->n_spec ? &spec : NULL},
        .layout = c->layout};
    result = vkCreateComputePipelines(c->device, VK_NULL_HANDLE, 1, &info, NULL, pipeline);
    vkDestroyShaderModule(c->device, module, NULL);
    return result;
}

// The first SPIR-V capability beyond the baseline (Shader and the group operations), or 0.
static uint32_t further_capability(const gpu_shader *shader) {
    enum {
        HEADER_WORDS = 5,
        OP_CAPABILITY = 17,
        MATRIX = 0,
        SHADER = 1,
        GROUP = 61,
        GROUP_END = 68
    };
    size_t n = shader->size_bytes / 4;
    for (size_t i = HEADER_WORDS; i + 1 < n && (shader->words[i] & 0xffff) == OP_CAPABILITY;
         i += 2) {
        uint32_t capability = shader->words[i + 1];
        if (capability > SHADER && (capability < GROUP || capability > GROUP_END))
            return capability;
    }
    return 0;
}

static void compile(compiler *c, const gpu_shader *shader, const shader_variant *v) {
    fprintf(stderr, "%s %s\n", shader->name, v->label);
    uint32_t capability = further_capability(shader);
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkResult result = capability ? VK_SUCCESS : build(c, shader, v, &pipeline);
    if (pipeline) {
        print_executables(c, pipeline, shader, v->label);
        vkDestroyPipeline(c->device, pipeline, NULL);
    } else {
        print_head(shader, v->label);
        if (capability)
            printf(", \"needs\": %" PRIu32 "}\n", capability);
        else
            printf(", \"error\": %d}\n", (int)result);
        c->n_failed += !capability;
    }
    fflush(stdout);
}

int main(void) {
    static const shader_variant plain = {.label = "-"};
    compiler c = {0};
    open_device(&c);
    make_layout(&c);
    print_device(&c);
    for (const gpu_shader *shader = gpu_shaders; shader < gpu_shaders + gpu_n_shaders; shader++) {
        bool any = false;
        for (int64_t i = 0; i < VA_COUNT(shader_variants); i++)
            if (!fnmatch(shader_variants[i].pattern, shader->name, 0)) {
                compile(&c, shader, &shader_variants[i]);
                any = true;
            }
        if (!any)
            compile(&c, shader, &plain);
    }
    vkDestroyPipelineLayout(c.device, c.layout, NULL);
    vkDestroyDevice(c.device, NULL);
    vkDestroyInstance(c.instance, NULL);
    return c.n_failed ? 1 : 0;
}
