// compile_print.c: what a driver says of a pipeline, as lines of JSON.
// SPDX-License-Identifier: Apache-2.0
#include "compile_priv.h"

#include <string.h>

enum { MAX_EXECUTABLES = 8, MAX_STATISTICS = 128 };

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

static void print_string(const char *s) {
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar((unsigned char)*s < ' ' ? ' ' : *s);
    }
    putchar('"');
}

static void print_head(const gpu_shader *shader, const char *variant) {
    printf("{\"shader\": ");
    print_string(shader->name);
    printf(", \"variant\": ");
    print_string(variant);
}

void print_device(const compiler *c) {
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

void print_executables(const compiler *c, VkPipeline pipeline, const gpu_shader *shader,
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

void print_error(const gpu_shader *shader, const char *variant, VkResult result) {
    print_head(shader, variant);
    printf(", \"error\": %d}\n", (int)result);
}

void print_needs(const gpu_shader *shader, const char *variant, const char *what) {
    print_head(shader, variant);
    printf(", \"needs\": ");
    print_string(what);
    printf("}\n");
}
