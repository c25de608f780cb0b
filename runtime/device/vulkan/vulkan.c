// SPDX-License-Identifier: MIT
/* Opens and closes a device: its queues, and all of its parts in order. */
#include "device/vulkan/vulkan.h"

#include <stdio.h>

#include "device/vulkan/choose.h"
#include "device/vulkan/commands.h"
#include "device/vulkan/features.h"
#include "device/vulkan/memory.h"
#include "device/vulkan/ops.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/scratch.h"
#include "device/vulkan/transfer.h"
#include "device/vulkan/tuning.h"

void (*vulkan_table_hook)(struct VolkDeviceTable *table);

int vulkan_fail(const struct vulkan *v, VkResult result, const char *doing,
		struct stoker_error *err)
{
	return vulkan_fail_named(v->name, result, doing, err);
}

void vulkan_set_name(const struct vulkan *v, VkObjectType type, uint64_t handle, const char *name)
{
	const VkDebugUtilsObjectNameInfoEXT info = {
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
		.objectType = type,
		.objectHandle = handle,
		.pObjectName = name,
	};

	if (v->instance.messenger)
		vkSetDebugUtilsObjectNameEXT(v->device, &info);
}

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
	/*
	 * A family for nothing but transfers; others without compute are for video and the like.
	 * VkQueueFlagBits: of those that compute "reporting the VK_QUEUE_TRANSFER_BIT capability
	 * separately ... is optional".
	 */
	v->transfer.family = v->compute.family;
	for (uint32_t i = 0; i < count; i++) {
		const VkQueueFlags flags = families[i].queueFlags & ~VK_QUEUE_SPARSE_BINDING_BIT;

		if (flags == VK_QUEUE_TRANSFER_BIT)
			v->transfer.family = i;
	}
}

static int open_device(struct vulkan *v, struct stoker_error *err)
{
	const float priority = 1;
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
	struct vulkan_request request;
	VkResult result;

	vulkan_request_features(v, &request);

	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &request.features,
		/* VUID-VkDeviceCreateInfo-queueFamilyIndex-02802: "must be unique" */
		.queueCreateInfoCount = v->transfer.family == v->compute.family ? 1 : 2,
		.pQueueCreateInfos = queues,
		.enabledExtensionCount = request.extension_count,
		.ppEnabledExtensionNames = request.extensions,
	};

	result = vkCreateDevice(v->physical, &info, NULL, &v->device);

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
		/* VUID-vkDestroyPipeline-pipeline-00765 and others: "must have completed" */
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
	vulkan_instance_close(&v->instance);
	pthread_mutex_destroy(&d->exclusive);
	process_mark_free(&d->process);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->queue_lock);
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
	pthread_mutex_init(&v->base.exclusive, NULL);
	pthread_mutexattr_init(&recursive); /* ops that are being recorded make memory */
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&v->lock, &recursive);
	pthread_mutex_init(&v->queue_lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	v->base.ops = &vulkan_ops;
	if (!process_mark_make(&v->base.process))
		return stoker_fail(err, -ENOMEM, "vulkan: out of memory");
	ret = vulkan_instance_open(&v->instance,
				   vulkan_wanted("validate-gpu") ? VALIDATE_ADDRESSES
				   : vulkan_wanted("validate")	 ? VALIDATE_CALLS
								 : VALIDATE_NOTHING,
				   err);
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

int stoker_vulkan_open(const char *which, bool exact, const struct device_settings *settings,
		       struct stoker_device **device, struct stoker_error *err)
{
	struct vulkan *v = calloc(1, sizeof(*v));
	VkPhysicalDeviceProperties2 properties;
	int ret;

	if (!v)
		return stoker_fail(err, -ENOMEM, "vulkan: out of memory");
	v->base.exact = exact;
	v->base.settings = *settings;
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
	describe(v);
	*device = &v->base;
	return 0;
}
