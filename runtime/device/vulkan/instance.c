// SPDX-License-Identifier: MIT
/* The instance with its validation layer, and what results of calls mean. */
#include "device/vulkan/instance.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"

/*
 * STOKER_VULKAN holds words for tests and bug reports, separated by commas:
 *	validate      the Khronos layer with synchronization validation; any message fails submit()
 *	validate-gpu  the same, GPU-assisted: finds addresses out of bounds
 *	separate      treats the device's memory as one that the host doesn't see
 *	as-gpu        doesn't take it for a processor that emulates a GPU
 *	no-control    leaves the subgroup's size to the driver
 *	dot, tensor   integer dot products, cooperative matrices even where they aren't expected to
 *	              pay; no-dot, no-tensor: nowhere
 *	no-pairs      no products in pairs, which emulated devices get
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
	case VK_ERROR_UNKNOWN:
		return "the driver failed and doesn't say why";
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

static void *end_at_once(void *nothing)
{
	return nothing;
}

/*
 * Drivers start threads, and where they can't they say that something failed.  A container's limit
 * of processes is the usual cause.
 */
static const char *thread_hint(void)
{
	struct stoker_thread thread;

	if (stoker_thread_create(&thread, end_at_once, NULL))
		return ": no thread can be started, a limit of processes (pids.max, ulimit -u) is "
		       "reached";
	stoker_thread_join(&thread);
	return "";
}

int vulkan_fail_named(const char *name, VkResult result, const char *doing,
		      struct stoker_error *err)
{
	return stoker_fail(err, errno_of(result), "%s: %s: %s (VkResult %d)%s", name, doing,
			   vulkan_result_name(result), (int)result, thread_hint());
}

static VkBool32 VKAPI_PTR on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
				     VkDebugUtilsMessageTypeFlagsEXT types,
				     const VkDebugUtilsMessengerCallbackDataEXT *data,
				     void *context)
{
	struct vulkan_instance *i = context;
	char *none = NULL, *text;

	(void)types;
	(void)severity;
	text = i->complaint ? NULL : strdup(data->pMessage);
	if (text && !atomic_compare_exchange_strong(&i->complaint, &none, text))
		free(text);
	return VK_FALSE;
}

/* Loads the library and makes the instance; volk keeps its functions in global variables. */
static int load(const VkInstanceCreateInfo *info, VkInstance *instance, struct stoker_error *err)
{
	static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
	VkResult result;

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
	result = vkCreateInstance(info, NULL, instance);
	if (result == VK_SUCCESS)
		volkLoadInstance(*instance);
	pthread_mutex_unlock(&loading);
	if (result == VK_SUCCESS)
		return 0;
	*instance = VK_NULL_HANDLE;
	return stoker_fail(err, result == VK_ERROR_INCOMPATIBLE_DRIVER ? -ENODEV : -EIO,
			   "vulkan: creating an instance: %s%s%s", vulkan_result_name(result),
			   result == VK_ERROR_INCOMPATIBLE_DRIVER
				   ? " (package mesa-vulkan-drivers has some)"
				   : "",
			   thread_hint());
}

int vulkan_instance_open(struct vulkan_instance *i, enum vulkan_validation validation,
			 struct stoker_error *err)
{
	static const char *const layers[] = { "VK_LAYER_KHRONOS_validation" };
	static const char *const extensions[] = { VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
						  VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME };
	const bool validate = validation != VALIDATE_NOTHING;
	const bool addresses = validation == VALIDATE_ADDRESSES;
	const VkValidationFeatureEnableEXT enables[] = {
		addresses ? VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT
			  : VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
		VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT,
	};
	const VkDebugUtilsMessengerCreateInfoEXT messenger = {
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
		.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
				   VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
		.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
		.pfnUserCallback = on_message,
		.pUserData = i,
	};
	const VkValidationFeaturesEXT features = {
		.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
		.pNext = &messenger,
		.enabledValidationFeatureCount = addresses ? 2 : 1,
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
	const int ret = load(&info, &i->handle, err);
	VkResult result;

	if (ret || !validate)
		return ret;
	result = vkCreateDebugUtilsMessengerEXT(i->handle, &messenger, NULL, &i->messenger);
	return result == VK_SUCCESS
		       ? 0
		       : vulkan_fail_named("vulkan", result, "creating a messenger", err);
}

void vulkan_instance_close(struct vulkan_instance *i)
{
	if (i->messenger)
		vkDestroyDebugUtilsMessengerEXT(i->handle, i->messenger, NULL);
	if (i->handle)
		vkDestroyInstance(i->handle, NULL);
	free(i->complaint);
}
