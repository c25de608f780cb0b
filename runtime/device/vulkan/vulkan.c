// SPDX-License-Identifier: MIT
/* Opens and closes a device: its queues and extensions, and all of its parts in order. */
#include "device/vulkan/commands.h"
#include "device/vulkan/memory.h"
#include "device/vulkan/ops.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/scratch.h"
#include "device/vulkan/transfer.h"
#include "device/vulkan/tuning.h"
#include "device/vulkan/vulkan.h"

#include <stdio.h>

void (*vulkan_table_hook)(struct VolkDeviceTable *table);

static void choose_queues(struct vulkan *v)
{
	VkQueueFamilyProperties families[16];
	uint32_t count = ARRAY_SIZE(families);
	int best = -1;

	vkGetPhysicalDeviceQueueFamilyProperties(v->physical, &count, families);
	v->compute.family = UINT32_MAX;
	for (uint32_t i = 0; i < count; i++) {
		const VkQueueFlags flags = families[i].queueFlags;
		const int good = flags & VK_QUEUE_GRAPHICS_BIT ? 0
							       : 1; /* computes beside a desktop */

		if (flags & VK_QUEUE_COMPUTE_BIT && good > best) {
			best = good;
			v->compute.family = i;
		}
	}
	if (v->compute.family < count && families[v->compute.family].timestampValidBits)
		v->stamp_mask = ~0ull >> (64 - families[v->compute.family].timestampValidBits);
	/* a family for nothing but transfers: others without compute are for video and the like */
	v->transfer.family = v->compute.family;
	for (uint32_t i = 0; i < count; i++) {
		const VkQueueFlags flags = families[i].queueFlags & ~VK_QUEUE_SPARSE_BINDING_BIT;

		if (flags == VK_QUEUE_TRANSFER_BIT)
			v->transfer.family = i;
	}
}

enum { MOST_EXTENSIONS = 8 };

/* Those that the device has and that we use; returns their number. */
static uint32_t list_extensions(const struct vulkan *v, const char *names[MOST_EXTENSIONS])
{
	uint32_t n = 0;

#ifdef VK_KHR_cooperative_matrix
	if (v->tensor)
		names[n++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
#endif
	if (v->dot)
		names[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
	if (v->has_control)
		names[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
	if (v->statistics)
		names[n++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
	if (v->has_budget)
		names[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
	if (v->has_dma_buf) {
		names[n++] = VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME;
		names[n++] = VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME;
	}
	if (v->has_host_memory)
		names[n++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
	return n;
}

static int open_device(struct vulkan *v, struct stoker_error *err)
{
	const float priority = 1;
	const char *extensions[MOST_EXTENSIONS];
	const uint32_t extension_count = list_extensions(v, extensions);
	const VkDeviceQueueCreateInfo queues[] = {
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		  .queueFamilyIndex = v->compute.family,
		  .queueCount = 1,
		  .pQueuePriorities = &priority },
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		  .queueFamilyIndex = v->transfer.family,
		  .queueCount = 1,
		  .pQueuePriorities = &priority },
	};
	VkPhysicalDeviceSubgroupSizeControlFeaturesEXT control = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT,
		.subgroupSizeControl = VK_TRUE,
		.computeFullSubgroups = VK_TRUE,
	};
	VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR,
		.shaderIntegerDotProduct = VK_TRUE,
	};
	VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables = {
		.sType =
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
		.pipelineExecutableInfo = VK_TRUE,
	};
	void *more = NULL;
#ifdef VK_KHR_cooperative_matrix
	VkPhysicalDeviceCooperativeMatrixFeaturesKHR tensor = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
		.cooperativeMatrix = VK_TRUE,
	};

	if (v->tensor)
		more = &tensor;
#endif
	if (v->dot) {
		dot.pNext = more;
		more = &dot;
	}
	if (v->has_control) {
		control.pNext = more;
		more = &control;
	}
	if (v->statistics) {
		executables.pNext = more;
		more = &executables;
	}
	const VkPhysicalDeviceVulkan12Features v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.pNext = more,
		.shaderFloat16 = v->tensor,
		.vulkanMemoryModel = v->tensor,
		.bufferDeviceAddress = VK_TRUE,
		.timelineSemaphore = VK_TRUE,
	};
	const VkPhysicalDeviceVulkan11Features v11 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
		.pNext = (void *)&v12,
		.storageBuffer16BitAccess = VK_TRUE,
	};
	const VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = (void *)&v11,
		.features = { .shaderInt64 = VK_TRUE },
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features,
		.queueCreateInfoCount = v->transfer.family == v->compute.family ? 1 : 2,
		.pQueueCreateInfos = queues,
		.enabledExtensionCount = extension_count,
		.ppEnabledExtensionNames = extensions,
	};
	const VkResult result = vkCreateDevice(v->physical, &info, NULL, &v->device);

	if (result != VK_SUCCESS) {
		v->device = VK_NULL_HANDLE;
		return vulkan_fail(v, result, "opening the device", err);
	}
	volkLoadDeviceTable(&v->vk, v->device);
	if (vulkan_table_hook)
		vulkan_table_hook(&v->vk);
	v->vk.vkGetDeviceQueue(v->device, v->compute.family, 0, &v->compute.queue);
	v->vk.vkGetDeviceQueue(v->device, v->transfer.family, 0, &v->transfer.queue);
	return 0;
}

static void describe(struct vulkan *v)
{
	snprintf(v->base.description, sizeof(v->base.description),
		 "%s: subgroups of %u, %s memory%s%s", v->name, v->subgroup_size,
		 vulkan_memory_is_unified(v) ? "unified" : "separate",
		 v->dot ? ", integer dot products" : "", v->tensor ? ", cooperative matrices" : "");
}

void vulkan_close(struct stoker_device *d)
{
	struct vulkan *v = vulkan_of(d);

	if (v->device) {
		if (v->compute.submitted || v->transfer.submitted)
			v->vk.vkDeviceWaitIdle(v->device);
		vulkan_tuning_close(v);
		vulkan_pipelines_close(v);
		vulkan_scratch_close(v);
		vulkan_ops_close(v);
		vulkan_transfers_close(v);
		vulkan_memory_close(v);
		vulkan_commands_close(v);
		v->vk.vkDestroyDevice(v->device, NULL);
	}
	if (v->messenger)
		vkDestroyDebugUtilsMessengerEXT(v->instance, v->messenger, NULL);
	if (v->instance)
		vkDestroyInstance(v->instance, NULL);
	pthread_mutex_destroy(&d->turn);
	pthread_mutex_destroy(&v->lock);
	free(v->complaint);
	free(v);
}

/* Everything up to the VkDevice.  On failure @v is to be closed. */
static int open_bare(struct vulkan *v, const char *which, VkPhysicalDeviceProperties2 *properties,
		     struct stoker_error *err)
{
	VkPhysicalDeviceMaintenance3Properties largest = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
	};
	pthread_mutexattr_t recursive;
	int ret;

	*properties = (VkPhysicalDeviceProperties2){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &largest,
	};
	strcpy(v->name, "vulkan");
	pthread_mutex_init(&v->base.turn, NULL);
	pthread_mutexattr_init(&recursive); /* ops that are being recorded make memory */
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&v->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	v->base.ops = &vulkan_ops;
	ret = vulkan_open_instance(v, vulkan_wanted("validate") || vulkan_wanted("validate-gpu"),
				   vulkan_wanted("validate-gpu"), err);
	if (!ret)
		ret = vulkan_choose_device(v, which, err);
	if (ret)
		return ret;
	vkGetPhysicalDeviceProperties2(v->physical, properties);
	properties->pNext = NULL;
	v->limits = properties->properties.limits;
	v->emulated = properties->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU &&
		      !vulkan_wanted("as-gpu");
	v->base.max_memory = largest.maxMemoryAllocationSize - 2 * VULKAN_PADDING;
	choose_queues(v);
	vulkan_choose_features(v);
	v->has_budget = vulkan_has_extension(v->physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) &&
			!vulkan_wanted("no-budget");
	v->has_dma_buf =
		vulkan_has_extension(v->physical, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME) &&
		vulkan_has_extension(v->physical, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME);
	v->has_host_memory = vulkan_imports_host_memory(v->physical);
	v->use_cache = !v->statistics && !vulkan_wanted("no-cache");
	if (v->statistics &&
	    !vulkan_has_extension(v->physical,
				  VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME))
		return stoker_fail(err, -ENOTSUP, "%s: its driver has no statistics of shaders",
				   v->name);
	return open_device(v, err);
}

int vulkan_open_compiler(const char *which, struct vulkan **out, struct stoker_error *err)
{
	struct vulkan *v = calloc(1, sizeof(*v));
	VkPhysicalDeviceProperties2 properties;
	int ret;

	*out = NULL;
	if (!v)
		return stoker_fail(err, -ENOMEM, "vulkan: out of memory");
	v->statistics = true;
	ret = open_bare(v, which, &properties, err);
	if (!ret)
		ret = vulkan_pipelines_open(v, &properties.properties, err);
	if (!ret)
		ret = vulkan_tuning_open(v, &properties.properties, err);
	if (ret)
		vulkan_close(&v->base);
	else
		*out = v;
	return ret;
}

int stoker_vulkan_open(const char *which, bool exact, struct stoker_device **device,
		       struct stoker_error *err)
{
	struct vulkan *v = calloc(1, sizeof(*v));
	VkPhysicalDeviceProperties2 properties;
	uint64_t whole;
	int ret;

	if (!v)
		return stoker_fail(err, -ENOMEM, "vulkan: out of memory");
	v->base.exact = exact;
	ret = open_bare(v, which, &properties, err);
	if (!ret)
		ret = vulkan_memory_open(v, vulkan_wanted("separate"), err);
	if (!ret)
		ret = vulkan_transfers_open(v, err);
	if (!ret)
		ret = vulkan_scratch_open(v, err);
	if (!ret)
		ret = vulkan_commands_open(v, err);
	if (!ret)
		ret = vulkan_pipelines_open(v, &properties.properties, err);
	if (!ret)
		ret = vulkan_ops_open(v, err);
	if (!ret)
		ret = vulkan_tuning_open(v, &properties.properties, err);
	if (ret) {
		vulkan_close(&v->base);
		return ret;
	}
	v->base.shares_memory = vulkan_memory_is_unified(v);
	if (!v->base.shares_memory)
		vulkan_local_memory(v->physical, &whole, &v->base.memory_left);
	describe(v);
	*device = &v->base;
	return 0;
}
