// SPDX-License-Identifier: MIT
/*
 * Prints what a Vulkan driver says of its devices and "stoker info" leaves out: heaps, memory
 * types, limits, features, and the shapes of cooperative matrices.  One fact a line, so that it can
 * be searched and compared.  It links nothing but the C library: the loader is opened by name.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

enum { MOST = 16 };

static PFN_vkGetInstanceProcAddr get;
static VkInstance instance;

#define FUNCTION(name) PFN_##name name = (PFN_##name)get(instance, #name)

static void print_memory(VkPhysicalDevice physical)
{
	FUNCTION(vkGetPhysicalDeviceMemoryProperties);
	VkPhysicalDeviceMemoryProperties m;

	vkGetPhysicalDeviceMemoryProperties(physical, &m);
	for (uint32_t i = 0; i < m.memoryHeapCount; i++)
		printf("heap %u: %.2f GiB%s\n", i, (double)m.memoryHeaps[i].size / (1 << 30),
		       m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT ? ", the device's"
										: "");
	for (uint32_t i = 0; i < m.memoryTypeCount; i++) {
		static const struct {
			VkMemoryPropertyFlags flag;
			const char *name;
		} names[] = {
			{ VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, "local" },
			{ VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, "visible" },
			{ VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, "coherent" },
			{ VK_MEMORY_PROPERTY_HOST_CACHED_BIT, "cached" },
			{ VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT, "lazy" },
			{ VK_MEMORY_PROPERTY_PROTECTED_BIT, "protected" },
			{ VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD, "device-coherent" },
			{ VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD, "device-uncached" },
		};

		printf("memory type %u: heap %u", i, m.memoryTypes[i].heapIndex);
		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			if (m.memoryTypes[i].propertyFlags & names[k].flag)
				printf(" %s", names[k].name);
		putchar('\n');
	}
}

static void print_queues(VkPhysicalDevice physical)
{
	FUNCTION(vkGetPhysicalDeviceQueueFamilyProperties);
	VkQueueFamilyProperties q[MOST];
	uint32_t count = MOST;

	vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, q);
	for (uint32_t i = 0; i < count; i++)
		printf("queue family %u: %u queues%s%s%s, %u bits of time stamps\n", i,
		       q[i].queueCount, q[i].queueFlags & VK_QUEUE_GRAPHICS_BIT ? ", graphics" : "",
		       q[i].queueFlags & VK_QUEUE_COMPUTE_BIT ? ", compute" : "",
		       q[i].queueFlags & VK_QUEUE_TRANSFER_BIT ? ", transfer" : "",
		       q[i].timestampValidBits);
}

static void print_limits(VkPhysicalDevice physical)
{
	FUNCTION(vkGetPhysicalDeviceProperties2);
	VkPhysicalDeviceSubgroupSizeControlProperties control = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
	};
	VkPhysicalDeviceShaderIntegerDotProductProperties dot = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
		.pNext = &control,
	};
	VkPhysicalDeviceMaintenance4Properties buffers = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
		.pNext = &dot,
	};
	VkPhysicalDeviceMaintenance3Properties allocations = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
		.pNext = &buffers,
	};
	VkPhysicalDeviceSubgroupProperties subgroups = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
		.pNext = &allocations,
	};
	VkPhysicalDeviceDriverProperties driver = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
		.pNext = &subgroups,
	};
	VkPhysicalDeviceProperties2 p = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &driver,
	};

	vkGetPhysicalDeviceProperties2(physical, &p);
	const VkPhysicalDeviceLimits *l = &p.properties.limits;

	printf("device: %s (type %d, vendor %04x, device %04x)\n", p.properties.deviceName,
	       (int)p.properties.deviceType, p.properties.vendorID, p.properties.deviceID);
	printf("driver: %s, %s\n", driver.driverName, driver.driverInfo);
	printf("api: %u.%u.%u\n", VK_API_VERSION_MAJOR(p.properties.apiVersion),
	       VK_API_VERSION_MINOR(p.properties.apiVersion),
	       VK_API_VERSION_PATCH(p.properties.apiVersion));
	printf("subgroup: %u lanes (%u to %u, pinned in stages %x), operations %x\n",
	       subgroups.subgroupSize, control.minSubgroupSize, control.maxSubgroupSize,
	       control.requiredSubgroupSizeStages, subgroups.supportedOperations);
	printf("largest: allocation %.2f GiB, buffer %.2f GiB, storage buffer range %.2f GiB\n",
	       (double)allocations.maxMemoryAllocationSize / (1 << 30),
	       (double)buffers.maxBufferSize / (1 << 30),
	       (double)l->maxStorageBufferRange / (1 << 30));
	printf("workgroup: %u invocations, %u bytes shared; push constants %u bytes\n",
	       l->maxComputeWorkGroupInvocations, l->maxComputeSharedMemorySize,
	       l->maxPushConstantsSize);
	printf("time stamp: %.3f ns\n", (double)l->timestampPeriod);
	printf("4x8 dot accelerated: signed %u, unsigned %u, mixed %u\n",
	       dot.integerDotProduct4x8BitPackedSignedAccelerated,
	       dot.integerDotProduct4x8BitPackedUnsignedAccelerated,
	       dot.integerDotProduct4x8BitPackedMixedSignednessAccelerated);
}

static void print_features(VkPhysicalDevice physical)
{
	FUNCTION(vkGetPhysicalDeviceFeatures2);
	VkPhysicalDeviceVulkan12Features v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
	};
	VkPhysicalDeviceVulkan11Features v11 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
		.pNext = &v12,
	};
	VkPhysicalDeviceFeatures2 f = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &v11,
	};

	vkGetPhysicalDeviceFeatures2(physical, &f);
	printf("features: int64 %u, int16 %u, float16 %u, int8 %u, 16-bit storage %u, 8-bit "
	       "storage "
	       "%u, buffer addresses %u, timelines %u, memory model %u\n",
	       f.features.shaderInt64, f.features.shaderInt16, v12.shaderFloat16, v12.shaderInt8,
	       v11.storageBuffer16BitAccess, v12.storageBuffer8BitAccess, v12.bufferDeviceAddress,
	       v12.timelineSemaphore, v12.vulkanMemoryModel);
}

static void print_extensions(VkPhysicalDevice physical)
{
	FUNCTION(vkEnumerateDeviceExtensionProperties);
	VkExtensionProperties *list;
	uint32_t count = 0;

	vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
	list = calloc(count, sizeof(*list));
	if (!list)
		return;
	vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list);
	for (uint32_t i = 0; i < count; i++)
		printf("extension: %s %u\n", list[i].extensionName, list[i].specVersion);
	free(list);
}

#ifdef VK_KHR_cooperative_matrix
static const char *component_name(VkComponentTypeKHR type)
{
	static const char *const names[] = { "f16", "f32", "f64", "s8",	 "s16", "s32",
					     "s64", "u8",  "u16", "u32", "u64" };
	static char other[16];

	if ((size_t)type < sizeof(names) / sizeof(*names))
		return names[type];
	snprintf(other, sizeof(other), "type%d", (int)type);
	return other;
}

static void print_matrices(VkPhysicalDevice physical)
{
	FUNCTION(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR);
	VkCooperativeMatrixPropertiesKHR list[64];
	uint32_t count = 64;

	if (!vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)
		return;
	for (uint32_t i = 0; i < count; i++)
		list[i] = (VkCooperativeMatrixPropertiesKHR){
			.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR,
		};
	if (vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(physical, &count, list) < 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		printf("cooperative matrix: %ux%ux%u", list[i].MSize, list[i].NSize, list[i].KSize);
		printf(" %s", component_name(list[i].AType));
		printf(" x %s", component_name(list[i].BType));
		printf(" + %s", component_name(list[i].CType));
		printf(" -> %s, scope %d\n", component_name(list[i].ResultType),
		       (int)list[i].scope);
	}
}
#else
static void print_matrices(VkPhysicalDevice physical)
{
	(void)physical;
	puts("cooperative matrix: unknown, these Vulkan headers are too old");
}
#endif

int main(void)
{
	const VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.apiVersion = VK_API_VERSION_1_3,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};
	void *loader = dlopen("libvulkan.so.1", RTLD_NOW);
	VkPhysicalDevice devices[MOST];
	uint32_t count = MOST;

	if (!loader) {
		fprintf(stderr, "gpu_probe: %s\n", dlerror());
		return 1;
	}
	get = (PFN_vkGetInstanceProcAddr)dlsym(loader, "vkGetInstanceProcAddr");
	if (!get)
		return 1;
	FUNCTION(vkCreateInstance);
	if (vkCreateInstance(&info, NULL, &instance) != VK_SUCCESS) {
		fputs("gpu_probe: no Vulkan driver\n", stderr);
		return 1;
	}
	FUNCTION(vkEnumeratePhysicalDevices);
	FUNCTION(vkDestroyInstance);
	if (vkEnumeratePhysicalDevices(instance, &count, devices) < 0)
		count = 0;
	for (uint32_t i = 0; i < count; i++) {
		print_limits(devices[i]);
		print_memory(devices[i]);
		print_queues(devices[i]);
		print_features(devices[i]);
		print_matrices(devices[i]);
		print_extensions(devices[i]);
	}
	vkDestroyInstance(instance, NULL);
	return count ? 0 : 1;
}
