// SPDX-License-Identifier: MIT
/* Which of the machine's Vulkan devices is taken, and how much memory it has. */
#include "device/vulkan/choose.h"

#include <stdio.h>
#include <strings.h>

#include "device/vulkan/features.h"

static int rank(VkPhysicalDeviceType type)
{
	switch (type) {
	case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
		return 4;
	case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
		return 3;
	case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
		return 2;
	case VK_PHYSICAL_DEVICE_TYPE_CPU:
		return 0;
	default:
		return 1;
	}
}

bool vulkan_local_memory(VkPhysicalDevice physical, uint64_t *bytes, uint64_t *left)
{
	const bool has_budget = vulkan_has_budget(physical);
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
	};
	VkPhysicalDeviceMemoryProperties2 heaps = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
		.pNext = has_budget ? &budget : NULL,
	};

	*bytes = *left = 0;
	vkGetPhysicalDeviceMemoryProperties2(physical, &heaps);
	for (uint32_t i = 0; i < heaps.memoryProperties.memoryHeapCount; i++) {
		const VkMemoryHeap *h = &heaps.memoryProperties.memoryHeaps[i];

		if (!(h->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || h->size <= *bytes)
			continue;
		*bytes = h->size;
		*left = budget.heapBudget[i] > budget.heapUsage[i]
				? budget.heapBudget[i] - budget.heapUsage[i]
				: 0;
	}
	return has_budget && *bytes;
}

/* Whether "text" is empty, the device's number or part of its name. */
static bool selects(const char *text, uint32_t index, const char *name)
{
	char *end;
	const unsigned long number = strtoul(text, &end, 10);

	return !*text || (ascii_is_digit(*text) && !*end ? number == index : ascii_has(name, text));
}

int vulkan_choose_device(struct vulkan *v, const char *which, struct stoker_error *err)
{
	VkPhysicalDevice all[VULKAN_DEVICES_MAX];
	uint32_t count = ARRAY_SIZE(all);
	uint64_t best_memory = 0, memory, left;
	char reason[160] = "";
	int best = -1;
	const VkResult result = vkEnumeratePhysicalDevices(v->instance.handle, &count, all);

	if (result != VK_SUCCESS && result != VK_INCOMPLETE)
		return vulkan_fail(v, result, "looking for devices", err);
	for (uint32_t i = 0; i < count; i++) {
		VkPhysicalDeviceProperties p;
		const char *lack = vulkan_lacks(all[i]);

		vkGetPhysicalDeviceProperties(all[i], &p);
		if (!selects(which, i, p.deviceName))
			continue;
		if (lack) {
			snprintf(reason, sizeof(reason), "%.80s lacks %s", p.deviceName, lack);
			continue;
		}
		vulkan_local_memory(all[i], &memory, &left);
		if (rank(p.deviceType) > best ||
		    (rank(p.deviceType) == best && memory > best_memory)) {
			best = rank(p.deviceType);
			best_memory = memory;
			v->physical = all[i];
			snprintf(v->name, sizeof(v->name), "vulkan:%u %.72s", i, p.deviceName);
		}
	}
	if (v->physical)
		return 0;
	if (*reason)
		return stoker_fail(err, -ENODEV, "vulkan: %s", reason);
	if (!count)
		return stoker_fail(err, -ENODEV,
				   "vulkan: no device (package mesa-vulkan-drivers has drivers)");
	return stoker_fail(err, -ENODEV, "vulkan: no device \"%s\" among the %u here", which,
			   count);
}
