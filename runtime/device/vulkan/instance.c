// SPDX-License-Identifier: MIT
/* Finding, choosing, opening and closing Vulkan devices. */
#include "device/vulkan/vulkan.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

void (*vulkan_table_hook)(struct VolkDeviceTable *table);

/*
 * STOKER_VULKAN holds words for tests and bug reports, separated by commas:
 *	validate      the Khronos layer with synchronization validation; any message fails submit()
 *	validate-gpu  the same, GPU-assisted: finds addresses out of bounds
 *	separate      treats the device's memory as one that the host doesn't see
 *	as-gpu        doesn't take it for a processor that emulates a GPU
 *	no-control    leaves the subgroup's size to the driver
 *	dot, tensor,  integer dot products, cooperative matrices, and products in pairs even where
 *	pairs         they aren't expected to pay; no-dot, no-tensor, no-pairs: nowhere
 *	no-budget     doesn't ask how much memory is left
 *	no-cache      neither reads nor writes the cache folder, and so doesn't tune
 */
bool vulkan_wanted(const char *word)
{
	const char *at = getenv("STOKER_VULKAN");
	const size_t length = strlen(word);

	while (at && *at) {
		const size_t n = strcspn(at, ",");

		if (n == length && !strncmp(at, word, n))
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

const char *vulkan_result_name(VkResult result)
{
	switch (result) {
	case VK_ERROR_OUT_OF_HOST_MEMORY:
		return "out of host memory";
	case VK_ERROR_OUT_OF_DEVICE_MEMORY:
		return "out of device memory";
	case VK_ERROR_DEVICE_LOST:
		return "the device was lost";
	case VK_ERROR_INITIALIZATION_FAILED:
		return "initialization failed";
	case VK_ERROR_MEMORY_MAP_FAILED:
		return "memory can't be mapped";
	case VK_ERROR_LAYER_NOT_PRESENT:
		return "the validation layer isn't installed";
	case VK_ERROR_EXTENSION_NOT_PRESENT:
		return "an extension is missing";
	case VK_ERROR_FEATURE_NOT_PRESENT:
		return "a feature is missing";
	case VK_ERROR_INCOMPATIBLE_DRIVER:
		return "no driver";
	case VK_ERROR_TOO_MANY_OBJECTS:
		return "too many objects";
	default:
		return "failed";
	}
}

static int errno_of(VkResult result)
{
	switch (result) {
	case VK_ERROR_OUT_OF_HOST_MEMORY:
	case VK_ERROR_OUT_OF_DEVICE_MEMORY:
		return -ENOMEM;
	case VK_ERROR_DEVICE_LOST:
		return -ENODEV;
	default:
		return -EIO;
	}
}

int vulkan_fail(const struct vulkan *v, VkResult result, const char *doing,
		struct stoker_error *err)
{
	return stoker_fail(err, errno_of(result), "%s: %s: %s (VkResult %d)", v->name, doing,
			   vulkan_result_name(result), (int)result);
}

void vulkan_set_name(const struct vulkan *v, VkObjectType type, uint64_t handle, const char *name)
{
	const VkDebugUtilsObjectNameInfoEXT info = {
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
		.objectType = type,
		.objectHandle = handle,
		.pObjectName = name,
	};

	if (v->messenger)
		vkSetDebugUtilsObjectNameEXT(v->device, &info);
}

/* --- the instance --------------------------------------------------------------------------------
 */

static VkBool32 VKAPI_PTR on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
				     VkDebugUtilsMessageTypeFlagsEXT types,
				     const VkDebugUtilsMessengerCallbackDataEXT *data,
				     void *context)
{
	struct vulkan *v = context;

	(void)types;
	(void)severity;
	if (!v->complaint)
		v->complaint = strdup(data->pMessage);
	return VK_FALSE;
}

int vulkan_open_instance(struct vulkan *v, bool validate, bool validate_gpu,
			 struct stoker_error *err)
{
	static const char *const layers[] = { "VK_LAYER_KHRONOS_validation" };
	static const char *const extensions[] = { VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
						  VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME };
	const VkValidationFeatureEnableEXT enables[] = {
		validate_gpu ? VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT
			     : VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
		VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT,
	};
	const VkDebugUtilsMessengerCreateInfoEXT messenger = {
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
		.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
				   VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
		.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
		.pfnUserCallback = on_message,
		.pUserData = v,
	};
	const VkValidationFeaturesEXT features = {
		.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
		.pNext = &messenger,
		.enabledValidationFeatureCount = validate_gpu ? 2 : 1,
		.pEnabledValidationFeatures = enables,
	};
	const VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "stoker",
		.pEngineName = "stoker",
		.apiVersion = VK_API_VERSION_1_2,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pNext = validate ? &features : NULL,
		.pApplicationInfo = &application,
		.enabledLayerCount = validate ? ARRAY_SIZE(layers) : 0,
		.ppEnabledLayerNames = layers,
		.enabledExtensionCount = validate ? ARRAY_SIZE(extensions) : 0,
		.ppEnabledExtensionNames = extensions,
	};
	static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
	VkResult result;

	/* volk keeps its functions in global variables */
	pthread_mutex_lock(&loading);
	result = volkInitialize();
	if (result != VK_SUCCESS) {
		pthread_mutex_unlock(&loading);
		return stoker_fail(err, -ENODEV,
				   "vulkan: libvulkan.so.1 isn't here (package libvulkan1)");
	}
	if (volkGetInstanceVersion() < VK_API_VERSION_1_2) {
		pthread_mutex_unlock(&loading);
		return stoker_fail(err, -ENODEV, "vulkan: the loader is older than Vulkan 1.2");
	}
	result = vkCreateInstance(&info, NULL, &v->instance);
	if (result == VK_SUCCESS)
		volkLoadInstance(v->instance);
	pthread_mutex_unlock(&loading);
	if (result != VK_SUCCESS) {
		v->instance = VK_NULL_HANDLE;
		return stoker_fail(err, result == VK_ERROR_INCOMPATIBLE_DRIVER ? -ENODEV : -EIO,
				   "vulkan: creating an instance: %s%s", vulkan_result_name(result),
				   result == VK_ERROR_INCOMPATIBLE_DRIVER
					   ? " (package mesa-vulkan-drivers has some)"
					   : "");
	}
	if (validate)
		result = vkCreateDebugUtilsMessengerEXT(v->instance, &messenger, NULL,
							&v->messenger);
	return result == VK_SUCCESS ? 0 : vulkan_fail(v, result, "creating a messenger", err);
}

/* --- choosing ------------------------------------------------------------------------------------
 */

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

void vulkan_local_memory(VkPhysicalDevice physical, uint64_t *bytes, uint64_t *left)
{
	const bool has_budget = vulkan_has_extension(physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
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
}

/* Whether "text" is empty, the device's number or part of its name. */
static bool selects(const char *text, uint32_t index, const char *name)
{
	char *end;
	const unsigned long number = strtoul(text, &end, 10);

	return !*text || (isdigit((unsigned char)*text) && !*end ? number == index
								 : strcasestr(name, text) != NULL);
}

static int choose(struct vulkan *v, const char *which, struct stoker_error *err)
{
	VkPhysicalDevice all[VULKAN_DEVICES_MAX];
	uint32_t count = ARRAY_SIZE(all);
	uint64_t best_memory = 0, memory, left;
	char reason[160] = "";
	int best = -1;
	const VkResult result = vkEnumeratePhysicalDevices(v->instance, &count, all);

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

/* --- the device ----------------------------------------------------------------------------------
 */

static void choose_queues(struct vulkan *v)
{
	VkQueueFamilyProperties families[16];
	uint32_t count = ARRAY_SIZE(families);
	int best = -1;

	vkGetPhysicalDeviceQueueFamilyProperties(v->physical, &count, families);
	v->family = UINT32_MAX;
	for (uint32_t i = 0; i < count; i++) {
		const VkQueueFlags flags = families[i].queueFlags;
		const int good = flags & VK_QUEUE_GRAPHICS_BIT ? 0
							       : 1; /* computes beside a desktop */

		if (flags & VK_QUEUE_COMPUTE_BIT && good > best) {
			best = good;
			v->family = i;
		}
	}
	if (v->family < count && families[v->family].timestampValidBits)
		v->stamp_mask = ~0ull >> (64 - families[v->family].timestampValidBits);
	/* a family for nothing but transfers: others without compute are for video and the like */
	v->transfer_family = v->family;
	for (uint32_t i = 0; i < count; i++) {
		const VkQueueFlags flags = families[i].queueFlags & ~VK_QUEUE_SPARSE_BINDING_BIT;

		if (flags == VK_QUEUE_TRANSFER_BIT)
			v->transfer_family = i;
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
		  .queueFamilyIndex = v->family,
		  .queueCount = 1,
		  .pQueuePriorities = &priority },
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		  .queueFamilyIndex = v->transfer_family,
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
		.queueCreateInfoCount = v->transfer_family == v->family ? 1 : 2,
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
	v->vk.vkGetDeviceQueue(v->device, v->family, 0, &v->queue);
	v->vk.vkGetDeviceQueue(v->device, v->transfer_family, 0, &v->transfer_queue);
	return 0;
}

static void describe(struct vulkan *v)
{
	snprintf(v->base.description, sizeof(v->base.description),
		 "%s: subgroups of %u, %s memory%s%s", v->name, v->subgroup_size,
		 v->unified ? "unified" : "separate", v->dot ? ", integer dot products" : "",
		 v->tensor ? ", cooperative matrices" : "");
}

void vulkan_close(struct stoker_device *d)
{
	struct vulkan *v = vulkan_of(d);

	if (v->device) {
		if (v->timeline_value || v->transfer_value)
			v->vk.vkDeviceWaitIdle(v->device);
		vulkan_tuning_close(v);
		vulkan_pipelines_close(v);
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
		ret = choose(v, which, err);
	if (ret)
		return ret;
	vkGetPhysicalDeviceProperties2(v->physical, properties);
	vkGetPhysicalDeviceMemoryProperties(v->physical, &v->heaps);
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
		ret = vulkan_choose_memory(v, vulkan_wanted("separate"), err);
	if (!ret)
		ret = vulkan_commands_open(v, err);
	if (!ret)
		ret = vulkan_pipelines_open(v, &properties.properties, err);
	if (!ret)
		ret = vulkan_ops_open(v, err);
	if (ret) {
		vulkan_close(&v->base);
		return ret;
	}
	vulkan_tuning_open(v, &properties.properties);
	v->base.shares_memory = v->unified;
	if (!v->unified)
		vulkan_local_memory(v->physical, &whole, &v->base.memory_left);
	describe(v);
	*device = &v->base;
	return 0;
}
