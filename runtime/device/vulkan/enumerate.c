// SPDX-License-Identifier: MIT
/* What Vulkan says of the machine's devices, without opening any. */
#include <stdio.h>

#include "device/enumerate.h"
#include "device/vulkan/choose.h"
#include "device/vulkan/features.h"

static const char *type_name(VkPhysicalDeviceType type)
{
	switch (type) {
	case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
		return "discrete GPU";
	case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
		return "integrated GPU";
	case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
		return "virtual GPU";
	case VK_PHYSICAL_DEVICE_TYPE_CPU:
		return "processor";
	default:
		return "GPU";
	}
}

static void place(VkPhysicalDevice physical, struct stoker_device_info *i, uint64_t *number)
{
	const bool has_pci = vulkan_has_extension(physical, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
	const bool has_drm =
		vulkan_has_extension(physical, VK_EXT_PHYSICAL_DEVICE_DRM_EXTENSION_NAME);
	VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT,
	};
	VkPhysicalDeviceDrmPropertiesEXT drm = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT,
		.pNext = has_pci ? &pci : NULL,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = has_drm ? (void *)&drm : drm.pNext,
	};

	vkGetPhysicalDeviceProperties2(physical, &properties);
	if (has_pci)
		snprintf(i->bus, sizeof(i->bus), "pci %04x:%02x:%02x.%x", pci.pciDomain, pci.pciBus,
			 pci.pciDevice, pci.pciFunction);
	if (drm.hasRender)
		*number = (uint64_t)drm.renderMajor << 32 | (uint64_t)drm.renderMinor;
	else if (drm.hasPrimary)
		*number = (uint64_t)drm.primaryMajor << 32 | (uint64_t)drm.primaryMinor;
}

static void describe(VkPhysicalDevice physical, uint32_t index, struct stoker_device_info *i,
		     uint64_t *number)
{
	const char *lacks = vulkan_lacks(physical);
	VkPhysicalDeviceProperties properties;

	vkGetPhysicalDeviceProperties(physical, &properties);
	snprintf(i->title, sizeof(i->title), "%.127s", properties.deviceName);
	snprintf(i->type, sizeof(i->type), "%s", type_name(properties.deviceType));
	i->computes = !lacks;
	if (lacks)
		snprintf(i->lacks, sizeof(i->lacks), "%s", lacks);
	else
		snprintf(i->name, sizeof(i->name), "vulkan:%u", index);
	i->imports_host_memory =
		vulkan_has_extension(physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
	i->imports_dma_buf =
		vulkan_has_extension(physical, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME);
	vulkan_local_memory(physical, &i->memory, &i->memory_left);
	place(physical, i, number);
}

void stoker_vulkan_list(struct device_list *list)
{
	struct vulkan_instance instance = { .handle = VK_NULL_HANDLE };
	VkPhysicalDevice all[VULKAN_DEVICES_MAX];
	uint32_t count = ARRAY_SIZE(all);
	VkResult result;

	if (vulkan_instance_open(&instance, VALIDATE_NOTHING, NULL))
		return;
	result = vkEnumeratePhysicalDevices(instance.handle, &count, all);
	for (uint32_t k = 0; k < count && (result == VK_SUCCESS || result == VK_INCOMPLETE); k++) {
		struct stoker_device_info *i = device_list_add(list);

		if (i)
			describe(all[k], k, i, &list->number[list->count - 1]);
	}
	vulkan_instance_close(&instance);
}
