/* SPDX-License-Identifier: MIT */
/* What a device has to be able to do, what it can do beyond that, and asking for it. */
#ifndef STOKER_VULKAN_FEATURES_H
#define STOKER_VULKAN_FEATURES_H

#include "device/vulkan/vulkan.h"

bool vulkan_has_extension(VkPhysicalDevice physical, const char *name);
/* Whether we ask how much memory is left, VK_EXT_memory_budget. */
bool vulkan_has_budget(VkPhysicalDevice physical);
/* The first thing that shaders and host code can't do without and the device hasn't, or NULL. */
const char *vulkan_lacks(VkPhysicalDevice physical);
/* Subgroup sizes, integer dot products, cooperative matrices, kinds of memory. */
void vulkan_choose_features(struct vulkan *v);

/* What a device is opened with: features, chained together, and extensions. */
struct vulkan_request {
	VkPhysicalDeviceFeatures2 features; /* the chain's head */
	VkPhysicalDeviceVulkan11Features v11;
	VkPhysicalDeviceVulkan12Features v12;
	VkPhysicalDeviceSubgroupSizeControlFeaturesEXT control;
	VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot;
	VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables;
#ifdef VK_KHR_cooperative_matrix
	VkPhysicalDeviceCooperativeMatrixFeaturesKHR tensor;
#endif
	const char *extensions[8];
	uint32_t extension_count;
};

/* Asks for what was chosen. */
void vulkan_request_features(const struct vulkan *v, struct vulkan_request *r);

#endif
