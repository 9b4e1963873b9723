// gpu_debug.c: checked and traced Vulkan calls, object names, validation messages.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <stdio.h>
#include <string.h>

const char *gpu_result_text(VkResult result) {
    switch (result) {
#define VA_X(name)                                                                                 \
    case name:                                                                                     \
        return #name;
        VA_X(VK_SUCCESS)
        VA_X(VK_NOT_READY)
        VA_X(VK_TIMEOUT)
        VA_X(VK_INCOMPLETE)
        VA_X(VK_ERROR_OUT_OF_HOST_MEMORY)
        VA_X(VK_ERROR_OUT_OF_DEVICE_MEMORY)
        VA_X(VK_ERROR_INITIALIZATION_FAILED)
        VA_X(VK_ERROR_DEVICE_LOST)
        VA_X(VK_ERROR_MEMORY_MAP_FAILED)
        VA_X(VK_ERROR_LAYER_NOT_PRESENT)
        VA_X(VK_ERROR_EXTENSION_NOT_PRESENT)
        VA_X(VK_ERROR_FEATURE_NOT_PRESENT)
        VA_X(VK_ERROR_INCOMPATIBLE_DRIVER)
        VA_X(VK_ERROR_TOO_MANY_OBJECTS)
        VA_X(VK_ERROR_FRAGMENTED_POOL)
        VA_X(VK_ERROR_OUT_OF_POOL_MEMORY)
        VA_X(VK_ERROR_FRAGMENTATION)
#undef VA_X
    default:
        return "an unknown VkResult";
    }
}

void gpu_trace(const va_gpu *gpu, const char *call) {
    if (gpu->trace)
        va_log(gpu->ctx, VA_LOG_DEBUG, "%s", call);
}

va_status gpu_check(va_gpu *gpu, VkResult result, const char *call, const char *file, int line) {
    if (result >= 0)
        return VA_OK;
    // The function's name is enough: arguments are our own expressions.
    int n = (int)strcspn(call, "(");
    if (result == VK_ERROR_DEVICE_LOST) {
        gpu->lost = true;
        return va_fail(gpu->ctx, VA_ERR_DEVICE,
                       "device lost: the driver reset %s (%.*s). A dispatch took longer than the "
                       "system's watchdog allows, or the driver has a bug; try smaller chunks, "
                       "another device (--device), or VA_VALIDATION=1",
                       gpu->info.name, n, call);
    }
    bool memory = result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
    return va_fail(gpu->ctx, memory ? VA_ERR_MEMORY : VA_ERR_DEVICE, "%.*s: %s (%d) on %s (%s:%d)",
                   n, call, gpu_result_text(result), (int)result, gpu->info.name, file, line);
}

void gpu_name(va_gpu *gpu, VkObjectType type, uint64_t handle, const char *fmt, ...) {
    if (!gpu->fn.set_name)
        return;
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    VkDebugUtilsObjectNameInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
        .objectType = type,
        .objectHandle = handle,
        .pObjectName = text,
    };
    gpu->fn.set_name(gpu->device, &info); // a name that cannot be set harms nothing
}

// Labels cost time in some drivers, so they are kept for the runs that look at them.
static bool labels_wanted(const va_gpu *gpu) {
    return gpu->fn.begin_label && (gpu->validation || gpu->timestamps);
}

void gpu_label_begin(va_gpu *gpu, VkCommandBuffer cmd, const char *label) {
    if (!labels_wanted(gpu))
        return;
    VkDebugUtilsLabelEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT,
        .pLabelName = label,
    };
    gpu->fn.begin_label(cmd, &info);
}

void gpu_label_end(va_gpu *gpu, VkCommandBuffer cmd) {
    if (labels_wanted(gpu))
        gpu->fn.end_label(cmd);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                 void *user) {
    va_gpu *gpu = user;
    (void)severity;
    // The loader speaks through the same callback (a driver it cannot load, say); only the layer's
    // messages are about what we do.
    if (types & (VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                 VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT)) {
        gpu->n_validation++;
        va_log(gpu->ctx, VA_LOG_ERROR, "validation: %s", data->pMessage);
    } else {
        va_log(gpu->ctx, VA_LOG_DEBUG, "Vulkan loader: %s", data->pMessage);
    }
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT gpu_messenger_info(va_gpu *gpu) {
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = gpu,
    };
}

void gpu_debug_init(va_gpu *gpu) {
#define VA_LOAD(type, name) (type) vkGetInstanceProcAddr(gpu->instance, name)
    gpu->fn.set_name = VA_LOAD(PFN_vkSetDebugUtilsObjectNameEXT, "vkSetDebugUtilsObjectNameEXT");
    gpu->fn.begin_label = VA_LOAD(PFN_vkCmdBeginDebugUtilsLabelEXT, "vkCmdBeginDebugUtilsLabelEXT");
    gpu->fn.end_label = VA_LOAD(PFN_vkCmdEndDebugUtilsLabelEXT, "vkCmdEndDebugUtilsLabelEXT");
    if (!gpu->validation)
        return;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        VA_LOAD(PFN_vkCreateDebugUtilsMessengerEXT, "vkCreateDebugUtilsMessengerEXT");
    VkDebugUtilsMessengerCreateInfoEXT info = gpu_messenger_info(gpu);
    if (!create || create(gpu->instance, &info, NULL, &gpu->messenger) != VK_SUCCESS)
        va_log(gpu->ctx, VA_LOG_WARN, "validation messages cannot be received");
}

void gpu_debug_free(va_gpu *gpu) {
    PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        VA_LOAD(PFN_vkDestroyDebugUtilsMessengerEXT, "vkDestroyDebugUtilsMessengerEXT");
#undef VA_LOAD
    if (gpu->messenger && destroy)
        destroy(gpu->instance, gpu->messenger, NULL);
    gpu->messenger = VK_NULL_HANDLE;
}

int64_t va_gpu_validation_count(const va_gpu *gpu) {
    return gpu->n_validation;
}
