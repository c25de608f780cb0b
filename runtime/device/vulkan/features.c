// SPDX-License-Identifier: MIT
/* What a device has to be able to do, and what it can do beyond that. */
#include "device/vulkan/vulkan.h"

/* Fills in a chain of properties, and one of features with the basic ones. */
static void get_properties(VkPhysicalDevice physical, void *chain)
{
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = chain,
	};

	vkGetPhysicalDeviceProperties2(physical, &properties);
}

static VkPhysicalDeviceFeatures get_features(VkPhysicalDevice physical, void *chain)
{
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = chain,
	};

	vkGetPhysicalDeviceFeatures2(physical, &features);
	return features.features;
}

const char *vulkan_lacks(VkPhysicalDevice physical)
{
	VkPhysicalDeviceSubgroupProperties subgroup = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
	};
	VkPhysicalDeviceVulkan12Features v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
	};
	VkPhysicalDeviceVulkan11Features v11 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
		.pNext = &v12,
	};
	const VkSubgroupFeatureFlags need = VK_SUBGROUP_FEATURE_BASIC_BIT |
					    VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
					    VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
	VkPhysicalDeviceFeatures basic_features;
	VkPhysicalDeviceProperties basic;

	vkGetPhysicalDeviceProperties(physical, &basic);
	if (basic.apiVersion < VK_API_VERSION_1_2)
		return "Vulkan 1.2";
	get_properties(physical, &subgroup);
	basic_features = get_features(physical, &v11);
	if (!basic_features.shaderInt64)
		return "shaderInt64";
	if (!v11.storageBuffer16BitAccess)
		return "storageBuffer16BitAccess";
	if (!v12.bufferDeviceAddress)
		return "bufferDeviceAddress";
	if (!v12.timelineSemaphore)
		return "timelineSemaphore";
	if (subgroup.subgroupSize < 4 || subgroup.subgroupSize > 128)
		return "subgroups of 4 to 128 lanes";
	if ((subgroup.supportedOperations & need) != need ||
	    !(subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT))
		return "subgroup arithmetic and shuffles in compute shaders";
	return NULL;
}

/* How many lanes subgroups have, and whether we may say so. */
static void choose_subgroups(struct vulkan *v)
{
	VkPhysicalDeviceSubgroupSizeControlPropertiesEXT sizes = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT,
	};
	VkPhysicalDeviceSubgroupProperties subgroup = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
	};
	VkPhysicalDeviceSubgroupSizeControlFeaturesEXT control = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT,
	};

	if (vulkan_has_extension(v->physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME) &&
	    !vulkan_wanted("no-control")) {
		subgroup.pNext = &sizes;
		get_features(v->physical, &control);
	}
	get_properties(v->physical, &subgroup);
	v->subgroup_size = subgroup.subgroupSize;
	v->has_control = control.subgroupSizeControl && control.computeFullSubgroups;
	v->pinned_size = v->has_control &&
			 sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT &&
			 sizes.minSubgroupSize <= v->subgroup_size &&
			 v->subgroup_size <= sizes.maxSubgroupSize;
	v->known_size = v->pinned_size ||
			(v->has_control && sizes.minSubgroupSize == sizes.maxSubgroupSize);
	/* without control a driver may choose smaller ones than it reports */
	v->subgroup_min = v->known_size ? v->subgroup_size : MIN(v->subgroup_size, 4u);
}

/* Whether products of four 8-bit codes are an instruction, or two at least by one. */
static void choose_dot(struct vulkan *v)
{
	VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR dot = {
		.sType =
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR,
	};
	VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR feature = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR,
	};

	v->pairs = (v->emulated || vulkan_wanted("pairs")) && !v->base.exact &&
		   !vulkan_wanted("no-pairs");
	if (v->base.exact || vulkan_wanted("no-dot") ||
	    !vulkan_has_extension(v->physical, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME))
		return;
	get_properties(v->physical, &dot);
	get_features(v->physical, &feature);
	v->dot = feature.shaderIntegerDotProduct &&
		 (dot.integerDotProduct4x8BitPackedSignedAccelerated || vulkan_wanted("dot"));
}

/* Cooperative matrices of half floats with 32-bit sums, in a shape that shaders can use. */
static void choose_tensor(struct vulkan *v)
{
#ifdef VK_KHR_cooperative_matrix
	const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR list =
		(PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(void *)
			vkGetInstanceProcAddr(v->instance,
					      "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
	VkPhysicalDeviceVulkan12Features v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
	};
	VkPhysicalDeviceCooperativeMatrixFeaturesKHR feature = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
		.pNext = &v12,
	};
	VkCooperativeMatrixPropertiesKHR shapes[64];
	uint32_t count = ARRAY_SIZE(shapes);

	if (v->base.exact || vulkan_wanted("no-tensor") ||
	    (v->emulated && !vulkan_wanted("tensor")) || !list || !v->pinned_size ||
	    !vulkan_has_extension(v->physical, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
		return;
	for (uint32_t i = 0; i < count; i++)
		shapes[i] = (VkCooperativeMatrixPropertiesKHR){
			.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR,
		};
	get_features(v->physical, &feature);
	if (!feature.cooperativeMatrix || !v12.shaderFloat16 || !v12.vulkanMemoryModel ||
	    list(v->physical, &count, shapes) < 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		const VkCooperativeMatrixPropertiesKHR *s = &shapes[i];

		if (s->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && s->BType == s->AType &&
		    s->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && s->ResultType == s->CType &&
		    s->scope == VK_SCOPE_SUBGROUP_KHR && s->MSize <= 32 && s->NSize <= 32 &&
		    32 % s->KSize == 0 &&
		    s->MSize * s->NSize * s->KSize >
			    v->tensor_shape[0] * v->tensor_shape[1] * v->tensor_shape[2]) {
			v->tensor = true;
			v->tensor_shape[0] = s->MSize;
			v->tensor_shape[1] = s->NSize;
			v->tensor_shape[2] = s->KSize;
		}
	}
#else
	(void)v;
#endif
}

void vulkan_choose_features(struct vulkan *v)
{
	choose_subgroups(v);
	choose_dot(v);
	choose_tensor(v);
}
