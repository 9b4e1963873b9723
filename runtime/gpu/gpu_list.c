// gpu_list.c: the Vulkan instance, what each device can do, and the choice of one.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

enum { MIN_SHARED_BYTES = 32 << 10, MIN_INVOCATIONS = 256, MIN_GROUPS = 65535 };

static bool has_instance_extension(const char *layer, const char *name) {
    VkExtensionProperties list[256];
    uint32_t n = VA_COUNT(list);
    if (vkEnumerateInstanceExtensionProperties(layer, &n, list) < 0)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(list[i].extensionName, name))
            return true;
    return false;
}

static bool has_layer(const char *name) {
    VkLayerProperties list[128];
    uint32_t n = VA_COUNT(list);
    if (vkEnumerateInstanceLayerProperties(&n, list) < 0)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(list[i].layerName, name))
            return true;
    return false;
}

static va_status no_device(va_ctx *ctx, const char *what) {
    return va_fail(ctx, VA_ERR_DEVICE,
                   "%s: install the Vulkan driver of your GPU, or Mesa's lavapipe to run on the "
                   "CPU (package mesa-vulkan-drivers; Arch: vulkan-swrast); vulkaninfo --summary "
                   "lists what the loader sees; VK_ICD_FILENAMES%s",
                   what,
                   getenv("VK_ICD_FILENAMES") || getenv("VK_DRIVER_FILES")
                       ? " or VK_DRIVER_FILES is set and restricts it"
                       : " is not set");
}

// Turns validation off, and says so once, where the layer is missing.
static void check_validation(va_ctx *ctx, va_gpu *debug, bool debug_utils) {
    if (!debug || !debug->validation)
        return;
    if (has_layer(VALIDATION_LAYER) && debug_utils)
        return;
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&warned))
        va_log(ctx, VA_LOG_WARN,
               "validation asked for, but " VALIDATION_LAYER
               " is not installed (Debian: vulkan-validationlayers); going on without");
    debug->validation = false;
}

va_status gpu_instance_create(va_ctx *ctx, va_gpu *debug, VkInstance *instance) {
    const char *extensions[4], *layer = VALIDATION_LAYER;
    uint32_t n = 0;
    bool debug_utils = has_instance_extension(NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    bool portability = has_instance_extension(NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    check_validation(ctx, debug, debug_utils);
    bool validation = debug && debug->validation;
    if (debug && debug_utils)
        extensions[n++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (portability)
        extensions[n++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    if (validation && has_instance_extension(layer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME))
        extensions[n++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;

    VkValidationFeatureEnableEXT enable =
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = &enable,
    };
    VkDebugUtilsMessengerCreateInfoEXT messenger = gpu_messenger_info(debug);
    messenger.pNext = &features;
    VkApplicationInfo app = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "vkalign",
        .apiVersion = VK_API_VERSION_1_3,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validation ? &messenger : NULL,
        .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
        .pApplicationInfo = &app,
        .enabledLayerCount = validation,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = n,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult result = vkCreateInstance(&info, NULL, instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return no_device(ctx, "no Vulkan driver found");
    if (result < 0)
        return va_fail(ctx, VA_ERR_DEVICE, "vkCreateInstance: %s (%d)", gpu_result_text(result),
                       (int)result);
    return VA_OK;
}

int gpu_queue_family(VkPhysicalDevice physical, uint32_t *timestamp_bits) {
    VkQueueFamilyProperties list[32];
    uint32_t n = VA_COUNT(list);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, list);
    int best = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (!(list[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
            continue;
        // A queue without graphics leaves the desktop responsive.
        bool alone = !(list[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) && list[i].timestampValidBits;
        if (best < 0 || (alone && (list[best].queueFlags & VK_QUEUE_GRAPHICS_BIT)))
            best = (int)i;
    }
    if (best >= 0 && timestamp_bits)
        *timestamp_bits = list[best].timestampValidBits;
    return best;
}

// The largest device-local heap. Drivers that run on the CPU report a token heap (lavapipe and
// SwiftShader 2 GiB) and allocate beyond it, so there it is three quarters of the host's memory.
static void describe_memory(VkPhysicalDevice physical, va_gpu_info *info) {
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            info->memory_bytes =
                VA_MAX(info->memory_bytes,
                       (int64_t)VA_MIN(memory.memoryHeaps[i].size, (uint64_t)INT64_MAX));
    int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (info->kind == VA_GPU_CPU && pages > 0)
        info->memory_bytes = VA_MAX(info->memory_bytes, pages / 4 * 3 * page_bytes);
}

static va_gpu_kind kind_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return VA_GPU_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return VA_GPU_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return VA_GPU_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return VA_GPU_CPU;
    default:
        return VA_GPU_OTHER;
    }
}

// The baseline of DESIGN section 4; the first thing missing goes to why_not.
static void judge(const VkPhysicalDeviceLimits *limits, int queue_family, va_gpu_info *info) {
#define VA_NEED(cond, ...)                                                                         \
    if (!info->why_not[0] && !(cond))                                                              \
    snprintf(info->why_not, sizeof info->why_not, __VA_ARGS__)
    VA_NEED(info->api_version >= VK_API_VERSION_1_1, "Vulkan 1.1 expected, got 1.%u",
            VK_API_VERSION_MINOR(info->api_version));
    VA_NEED(queue_family >= 0, "it has no compute queue");
    VA_NEED(info->max_shared_bytes >= MIN_SHARED_BYTES,
            "32 KiB of shared memory expected, got %u bytes", info->max_shared_bytes);
    VA_NEED(info->max_invocations >= MIN_INVOCATIONS,
            "256 invocations per workgroup expected, got %u", info->max_invocations);
    VA_NEED(limits->maxComputeWorkGroupSize[0] >= MIN_INVOCATIONS,
            "256 invocations along x expected, got %u", limits->maxComputeWorkGroupSize[0]);
    uint32_t bindings =
        VA_MIN(limits->maxPerStageDescriptorStorageBuffers, limits->maxDescriptorSetStorageBuffers);
    VA_NEED(bindings >= VA_MAX_BIND, "%d storage buffers per shader expected, got %u", VA_MAX_BIND,
            bindings);
    VA_NEED(info->max_push_bytes >= VA_MAX_PUSH_BYTES,
            "128 bytes of push constants expected, got %u", info->max_push_bytes);
    for (int i = 0; i < 3; i++)
        VA_NEED(info->max_groups[i] >= MIN_GROUPS, "65535 workgroups along %c expected, got %u",
                "xyz"[i], info -> max_groups[i]);
#undef VA_NEED
    info->usable = !info->why_not[0];
}

static bool has_subgroups(const VkPhysicalDeviceSubgroupProperties *p,
                          VkSubgroupFeatureFlags operations) {
    return p->supportedStages & VK_SHADER_STAGE_COMPUTE_BIT && p->supportedOperations & operations;
}

static void describe(VkInstance instance, VkPhysicalDevice physical, int index, va_gpu_info *info) {
    VkPhysicalDeviceProperties old;
    vkGetPhysicalDeviceProperties(physical, &old);
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = old.apiVersion >= VK_API_VERSION_1_2 ? &driver : NULL};
    VkPhysicalDeviceMaintenance3Properties maintenance = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = &subgroup};
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
                                       .pNext = &maintenance};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &id};
    if (old.apiVersion >= VK_API_VERSION_1_1)
        vkGetPhysicalDeviceProperties2(physical, &all);
    const VkPhysicalDeviceLimits *limits = &old.limits;
    uint32_t timestamp_bits = 0;
    int family = gpu_queue_family(physical, &timestamp_bits);

    *info = (va_gpu_info){
        .index = index,
        .kind = kind_of(old.deviceType),
        .vendor_id = old.vendorID,
        .device_id = old.deviceID,
        .driver_version = old.driverVersion,
        .api_version = old.apiVersion,
        .max_range_bytes = limits->maxStorageBufferRange,
        .max_allocation_bytes =
            (int64_t)VA_MIN(maintenance.maxMemoryAllocationSize, (uint64_t)INT64_MAX),
        .offset_alignment = (int64_t)limits->minStorageBufferOffsetAlignment,
        .max_shared_bytes = limits->maxComputeSharedMemorySize,
        .max_invocations = limits->maxComputeWorkGroupInvocations,
        .max_push_bytes = limits->maxPushConstantsSize,
        .subgroup_size = subgroup.subgroupSize,
        .has_subgroup_ballot = has_subgroups(&subgroup, VK_SUBGROUP_FEATURE_BALLOT_BIT),
        .has_subgroup_shuffle = has_subgroups(&subgroup, VK_SUBGROUP_FEATURE_SHUFFLE_BIT),
        .has_timestamps = timestamp_bits > 0 && limits->timestampPeriod > 0,
    };
    memcpy(info->max_groups, limits->maxComputeWorkGroupCount, sizeof info->max_groups);
    snprintf(info->name, sizeof info->name, "%s", old.deviceName);
    if (driver.driverName[0])
        snprintf(info->driver, sizeof info->driver, "%.120s %.120s", driver.driverName,
                 driver.driverInfo);
    else
        snprintf(info->driver, sizeof info->driver, "version %#x", old.driverVersion);
    for (int i = 0; i < (int)VK_UUID_SIZE; i++)
        snprintf(info->uuid + 2 * i, 3, "%02x", id.deviceUUID[i]);
    describe_memory(physical, info);
    gpu_features features;
    gpu_features_init(&features, physical);
    gpu_features_describe(&features, instance, physical, info);
    judge(limits, family, info);
}

va_status gpu_enumerate(va_ctx *ctx, VkInstance instance, va_arena *arena,
                        VkPhysicalDevice **devices, va_gpu_info **list, int64_t *n) {
    va_status st = VA_OK;
    uint32_t count = 0;
    VkResult result = vkEnumeratePhysicalDevices(instance, &count, NULL);
    if (result < 0 || !count)
        return no_device(ctx, "no Vulkan device found");
    VA_TRY_ALLOC(ctx, *devices, VA_NEW_ARRAY(arena, VkPhysicalDevice, count));
    VA_TRY_ALLOC(ctx, *list, VA_NEW_ARRAY(arena, va_gpu_info, count));
    result = vkEnumeratePhysicalDevices(instance, &count, *devices);
    if (result < 0)
        return va_fail(ctx, VA_ERR_DEVICE, "vkEnumeratePhysicalDevices: %s",
                       gpu_result_text(result));
    for (uint32_t i = 0; i < count; i++)
        describe(instance, (*devices)[i], (int)i, &(*list)[i]);
    *n = count;
done:
    return st;
}

va_status va_gpu_list(va_ctx *ctx, va_arena *arena, va_gpu_info **list, int64_t *n) {
    va_status st = VA_OK;
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice *devices;
    VA_TRY(gpu_instance_create(ctx, NULL, &instance));
    VA_TRY(gpu_enumerate(ctx, instance, arena, &devices, list, n));
done:
    if (instance)
        vkDestroyInstance(instance, NULL);
    return st;
}

// "0: NAME; 1: NAME (unusable: WHY)"
static va_status none_matches(va_ctx *ctx, const char *wanted, const va_gpu_info *list, int64_t n) {
    va_strbuf all = {0};
    for (int64_t i = 0; i < n; i++) {
        va_strbuf_printf(&all, "%s%d: %s", i ? "; " : "", list[i].index, list[i].name);
        if (!list[i].usable)
            va_strbuf_printf(&all, " (unusable: %s)", list[i].why_not);
    }
    va_status st = va_fail(ctx, VA_ERR_DEVICE, "no usable device%s%s%s; there is %s",
                           wanted ? " matches \"" : "", wanted ? wanted : "", wanted ? "\"" : "",
                           all.data && !all.failed ? all.data : "none");
    va_strbuf_free(&all);
    return st;
}

// "0" is an index; "4090" a name, as there are not so many devices.
static bool matches(const va_gpu_info *info, const char *wanted, int64_t n) {
    size_t digits = strspn(wanted, "0123456789");
    if (digits > 0 && digits < 9 && !wanted[digits] && atoi(wanted) < n)
        return info->index == atoi(wanted);
    return strcasestr(info->name, wanted) != NULL;
}

va_status gpu_choose(va_ctx *ctx, const char *wanted, const va_gpu_info *list, int64_t n,
                     int64_t *chosen) {
    int64_t best = -1;
    if (!wanted || !wanted[0])
        wanted = getenv("VA_DEVICE");
    if (wanted && !wanted[0])
        wanted = NULL;
    for (int64_t i = 0; i < n; i++) {
        if (!list[i].usable || (wanted && !matches(&list[i], wanted, n)))
            continue;
        if (best < 0 || list[i].kind < list[best].kind) // va_gpu_kind is in order of preference
            best = i;
    }
    if (best < 0)
        return none_matches(ctx, wanted, list, n);
    *chosen = best;
    return VA_OK;
}
