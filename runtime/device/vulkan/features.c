// SPDX-License-Identifier: MIT
/* What a device has to be able to do, what it can do beyond that, and asking for it. */
#include "device/vulkan/features.h"

#include "device/vulkan/memory.h"

bool vulkan_has_extension(VkPhysicalDevice physical, const char *name)
{
	AUTO_FREE VkExtensionProperties *all = NULL;
	uint32_t count = 0;

	vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
	all = calloc(MAX(count, 1u), sizeof(*all));
	if (!all || vkEnumerateDeviceExtensionProperties(physical, NULL, &count, all) < 0)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(all[i].extensionName, name))
			return true;
	return false;
}

bool vulkan_has_budget(VkPhysicalDevice physical)
{
	return !vulkan_wanted("no-budget") &&
	       vulkan_has_extension(physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}

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
	/*
	 * VUID-VkPipelineShaderStageCreateInfo-pNext-02755: "stage must be a valid bit specified in
	 * requiredSubgroupSizeStages"; VUID-VkPipelineShaderStageRequiredSubgroupSizeCreateInfo-
	 * requiredSubgroupSize-02761 and 02762: from minSubgroupSize to maxSubgroupSize
	 */
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

	v->pairs = v->emulated && !v->base.exact && !vulkan_wanted("no-pairs");
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
			vkGetInstanceProcAddr(v->instance.handle,
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

/* How much of it is left, and whose else's can be imported. */
static void choose_memory_extensions(struct vulkan *v)
{
	v->has_budget = vulkan_has_budget(v->physical);
	v->has_dma_buf =
		vulkan_has_extension(v->physical, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME) &&
		vulkan_has_extension(v->physical, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME);
	v->has_host_memory = vulkan_imports_host_memory(v->physical);
}

void vulkan_choose_features(struct vulkan *v)
{
	choose_subgroups(v);
	choose_dot(v);
	choose_tensor(v);
	choose_memory_extensions(v);
}

static void request_extension(struct vulkan_request *r, bool wanted, const char *name)
{
	if (wanted)
		r->extensions[r->extension_count++] = name;
}

static void request_extensions(const struct vulkan *v, struct vulkan_request *r)
{
#ifdef VK_KHR_cooperative_matrix
	request_extension(r, v->tensor, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
#endif
	request_extension(r, v->dot, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
	request_extension(r, v->has_control, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
	request_extension(r, v->statistics, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
	request_extension(r, v->has_budget, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
	request_extension(r, v->has_dma_buf, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME);
	request_extension(r, v->has_dma_buf, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME);
	request_extension(r, v->has_host_memory, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
}

/* Puts a feature's struct behind the chain's head. */
static void chain(struct vulkan_request *r, bool wanted, void *feature)
{
	VkBaseOutStructure *s = feature;

	if (!wanted)
		return;
	s->pNext = r->features.pNext;
	r->features.pNext = s;
}

void vulkan_request_features(const struct vulkan *v, struct vulkan_request *r)
{
	*r = (struct vulkan_request){
		.features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
			      .features = { .shaderInt64 = VK_TRUE } },
		.v11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
			 .storageBuffer16BitAccess = VK_TRUE },
		.v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
			 .shaderFloat16 = v->tensor,
			 .vulkanMemoryModel = v->tensor,
			 .bufferDeviceAddress = VK_TRUE,
			 .timelineSemaphore = VK_TRUE },
		.control = { .subgroupSizeControl = VK_TRUE, .computeFullSubgroups = VK_TRUE },
		.dot = { .shaderIntegerDotProduct = VK_TRUE },
		.executables = { .pipelineExecutableInfo = VK_TRUE },
	};
	r->control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
	r->dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
	r->executables.sType =
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
	chain(r, true, &r->v11);
	chain(r, true, &r->v12);
	chain(r, v->has_control, &r->control);
	chain(r, v->dot, &r->dot);
	chain(r, v->statistics, &r->executables);
#ifdef VK_KHR_cooperative_matrix
	r->tensor.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
	r->tensor.cooperativeMatrix = VK_TRUE;
	chain(r, v->tensor, &r->tensor);
#endif
	request_extensions(v, r);
}
