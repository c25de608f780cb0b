// SPDX-License-Identifier: MIT
/* Buffers with device addresses: of which memory they are, and how they get it. */
#include "device/vulkan/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/vulkan/choose.h"
#include "device/vulkan/features.h"

/*
 * What else is here is chosen once, by vulkan_memory_open(); the list of buffers is guarded by
 * vulkan.queue_lock.
 */
struct vulkan_memory {
	VkPhysicalDeviceMemoryProperties heaps;
	uint32_t types[VK_MAX_MEMORY_TYPES]; /* in the order in which they're tried */
	uint32_t type_count, staging_type;
	bool unified, cached; /* see vulkan_memory_is_unified(), vulkan_memory_is_cached() */
	struct vulkan_buffer *buffers;
};

static const VkBufferUsageFlags buffer_usage =
	VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
	VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;

static bool has_flags(const struct vulkan_memory *m, uint32_t type, VkMemoryPropertyFlags flags)
{
	return (m->heaps.memoryTypes[type].propertyFlags & flags) == flags;
}

static uint64_t heap_size(const struct vulkan_memory *m, uint32_t type)
{
	return m->heaps.memoryHeaps[m->heaps.memoryTypes[type].heapIndex].size;
}

/* Adds the types that have all of @flags and aren't in the list, those of larger heaps first. */
static void add_types(struct vulkan_memory *m, uint32_t allowed, VkMemoryPropertyFlags flags)
{
	const uint32_t first = m->type_count;

	for (uint32_t i = 0; i < m->heaps.memoryTypeCount; i++) {
		uint32_t at;

		if (!(allowed & 1u << i) || !has_flags(m, i, flags))
			continue;
		for (at = 0; at < m->type_count && m->types[at] != i;)
			at++;
		if (at < m->type_count)
			continue;
		for (; at > first && heap_size(m, m->types[at - 1]) < heap_size(m, i); at--)
			m->types[at] = m->types[at - 1];
		m->types[at] = i;
		m->type_count++;
	}
}

/* @more goes into the chain of the call. */
static int create_buffer(struct vulkan *v, uint64_t bytes, const void *more, VkBuffer *buffer)
{
	/* VUID-VkBufferCreateInfo-sharingMode-00914: queueFamilyIndexCount "greater than 1" */
	const uint32_t families[] = { v->compute.family, v->transfer.family };
	const bool shared = v->compute.family != v->transfer.family;
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.pNext = more,
		.size = bytes,
		.usage = buffer_usage,
		.sharingMode = shared ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE,
		.queueFamilyIndexCount = shared ? 2 : 0,
		.pQueueFamilyIndices = families,
	};

	return v->vk.vkCreateBuffer(v->device, &info, NULL, buffer);
}

/* Whether the host sees (nearly) all of the device's memory, and not just a window. */
static bool is_unified(const struct vulkan_memory *m)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < m->heaps.memoryHeapCount; i++)
		if (m->heaps.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
			most = MAX(most, m->heaps.memoryHeaps[i].size);
	return m->type_count && heap_size(m, m->types[0]) >= most / 4 * 3;
}

/* Which types of memory a buffer of ours can be of; a bit each. */
static int probe_types(struct vulkan *v, uint32_t *allowed, struct stoker_error *err)
{
	VkMemoryRequirements need;
	VkBuffer probe;
	const VkResult result = create_buffer(v, 4096, NULL, &probe);

	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "creating a buffer", err);
	v->vk.vkGetBufferMemoryRequirements(v->device, probe, &need);
	v->vk.vkDestroyBuffer(v->device, probe, NULL);
	*allowed = need.memoryTypeBits;
	return 0;
}

int vulkan_memory_open(struct vulkan *v, bool separate, struct stoker_error *err)
{
	const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
	/*
	 * VK_MEMORY_PROPERTY_HOST_COHERENT_BIT: "vkFlushMappedMemoryRanges and
	 * vkInvalidateMappedMemoryRanges are not needed"
	 */
	const VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					      VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
	struct vulkan_memory *m = calloc(1, sizeof(*m));
	uint32_t allowed = 0;
	int ret;

	v->memory = m;
	if (!m)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	vkGetPhysicalDeviceMemoryProperties(v->physical, &m->heaps);
	ret = probe_types(v, &allowed, err);
	if (ret)
		return ret;
	/* for staging: what the host reads fast, anywhere */
	add_types(m, allowed, visible | cached);
	add_types(m, allowed, visible);
	if (!m->type_count)
		return stoker_fail(err, -ENOTSUP, "%s: no memory that the host can use", v->name);
	m->staging_type = m->types[0];

	m->type_count = 0;
	add_types(m, allowed, local | visible);
	m->unified = !separate && is_unified(m);
	if (m->unified) {
		add_types(m, allowed, visible); /* an APU's other heap */
	} else {
		m->type_count = 0;
		add_types(m, allowed, local);
	}
	if (!m->type_count)
		return stoker_fail(err, -ENOTSUP, "%s: no memory that shaders can use", v->name);
	m->cached = m->unified;
	for (uint32_t i = 0; i < m->type_count; i++)
		m->cached = m->cached && has_flags(m, m->types[i], cached);
	return 0;
}

void vulkan_memory_close(struct vulkan *v)
{
	free(v->memory);
}

bool vulkan_memory_is_unified(const struct vulkan *v)
{
	return v->memory->unified;
}

bool vulkan_memory_is_cached(const struct vulkan *v)
{
	return v->memory->cached;
}

bool vulkan_memory_left(const struct stoker_device *d, uint64_t *bytes)
{
	uint64_t whole;

	return vulkan_local_memory(((const struct vulkan *)d)->physical, &whole, bytes);
}

/* Bytes that the heap still has for us, as far as the driver says. */
static uint64_t heap_left(const struct vulkan *v, uint32_t type)
{
	const uint32_t heap = v->memory->heaps.memoryTypes[type].heapIndex;
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
	};
	VkPhysicalDeviceMemoryProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
		.pNext = &budget,
	};

	/* "The budget includes any currently allocated device memory." */
	if (!v->has_budget)
		return v->memory->heaps.memoryHeaps[heap].size;
	vkGetPhysicalDeviceMemoryProperties2(v->physical, &properties);
	return budget.heapBudget[heap] > budget.heapUsage[heap]
		       ? budget.heapBudget[heap] - budget.heapUsage[heap]
		       : 0;
}

static void release_buffer(struct vulkan *v, const struct vulkan_buffer *b)
{
	if (b->memory)
		v->vk.vkFreeMemory(v->device, b->memory, NULL);
	if (b->buffer)
		v->vk.vkDestroyBuffer(v->device, b->buffer, NULL);
	if (b->pages)
		munmap(b->pages, b->bytes + HUGE_PAGE);
}

void vulkan_buffer_free(struct vulkan *v, struct vulkan_buffer *b)
{
	release_buffer(v, b);
	free(b);
}

/* Gives a buffer its memory and learns its address. */
static VkResult allocate_buffer(struct vulkan *v, struct vulkan_buffer *b, uint64_t bytes,
				uint32_t type, const void *import)
{
	/*
	 * VUID-vkBindBufferMemory-bufferDeviceAddress-03339: "memory must have been allocated with
	 * the VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT bit set"
	 */
	const VkMemoryAllocateFlagsInfo flags = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
		.pNext = import,
		.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
	};
	const VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &flags,
		.allocationSize = bytes,
		.memoryTypeIndex = type,
	};

	return v->vk.vkAllocateMemory(v->device, &allocate, NULL, &b->memory);
}

static VkResult bind_buffer(struct vulkan *v, struct vulkan_buffer *b)
{
	const VkBufferDeviceAddressInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
		.buffer = b->buffer,
	};
	const VkResult result = v->vk.vkBindBufferMemory(v->device, b->buffer, b->memory, 0);

	/* VUID-VkBufferDeviceAddressInfo-buffer-02600: "bound completely and contiguously" */
	if (result == VK_SUCCESS)
		b->at = v->vk.vkGetBufferDeviceAddress(v->device, &info);
	return result;
}

/*
 * The first type that we would choose of those that the buffer and what backs it allow, and that
 * have all of @flags.
 */
static bool import_type(const struct vulkan_memory *m, uint32_t allowed,
			VkMemoryPropertyFlags flags, uint32_t *type)
{
	for (uint32_t i = 0; i < m->type_count + m->heaps.memoryTypeCount; i++) {
		*type = i < m->type_count ? m->types[i] : i - m->type_count;
		if (allowed & 1u << *type && has_flags(m, *type, flags))
			return true;
	}
	return false;
}

static VkResult create_external_buffer(struct vulkan *v, struct vulkan_buffer *b,
				       VkExternalMemoryHandleTypeFlagBits handle,
				       VkMemoryRequirements *need)
{
	/*
	 * VUID-vkBindBufferMemory-memory-02985: "the external handle type of the imported memory
	 * must also have been set in VkExternalMemoryBufferCreateInfo::handleTypes"
	 */
	const VkExternalMemoryBufferCreateInfo external = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
		.handleTypes = handle,
	};
	const VkResult result = create_buffer(v, b->bytes, &external, &b->buffer);

	if (result == VK_SUCCESS)
		v->vk.vkGetBufferMemoryRequirements(v->device, b->buffer, need);
	return result;
}

static VkResult back_with_dma_buf(struct vulkan *v, struct vulkan_buffer *b, int fd)
{
	const VkExternalMemoryHandleTypeFlagBits handle =
		VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT;
	VkMemoryFdPropertiesKHR properties = { .sType =
						       VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR };
	VkImportMemoryFdInfoKHR import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR,
		.handleType = handle,
	};
	VkMemoryRequirements need;
	uint32_t type;
	VkResult result = create_external_buffer(v, b, handle, &need);

	if (result == VK_SUCCESS)
		result = v->vk.vkGetMemoryFdPropertiesKHR(v->device, handle, fd, &properties);
	if (result != VK_SUCCESS)
		return result;
	if (!import_type(v->memory, need.memoryTypeBits & properties.memoryTypeBits, 0, &type))
		return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	/*
	 * VkImportMemoryFdInfoKHR: "The application must not perform any operations on the file
	 * descriptor after a successful import."  So it gets a copy, which is ours if it fails.
	 */
	import.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (import.fd < 0)
		return VK_ERROR_TOO_MANY_OBJECTS;
	result = allocate_buffer(v, b, need.size, type, &import);
	if (result != VK_SUCCESS) {
		close(import.fd);
		return result;
	}
	return bind_buffer(v, b);
}

bool vulkan_imports_host_memory(VkPhysicalDevice physical)
{
	const VkPhysicalDeviceExternalBufferInfo info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
		.usage = buffer_usage,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
	};
	VkExternalBufferProperties buffers = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES
	};
	VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &host,
	};

	if (!vulkan_has_extension(physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME))
		return false;
	vkGetPhysicalDeviceExternalBufferProperties(physical, &info, &buffers);
	vkGetPhysicalDeviceProperties2(physical, &properties);
	/* VUID-VkMemoryAllocateInfo-allocationSize-01745: "must be an integer multiple" of it */
	return buffers.externalMemoryProperties.externalMemoryFeatures &
		       VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT &&
	       host.minImportedHostPointerAlignment &&
	       HUGE_PAGE % host.minImportedHostPointerAlignment == 0;
}

/*
 * Drivers that emulate a GPU keep buffers in small pages; lanes that each read a row of their own
 * then miss the processor's TLB.  Memory of the host's may lie in huge ones.
 */
static VkResult back_with_huge_pages(struct vulkan *v, struct vulkan_buffer *b)
{
	const VkExternalMemoryHandleTypeFlagBits handle =
		VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
	VkMemoryHostPointerPropertiesEXT properties = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT,
	};
	VkImportMemoryHostPointerInfoEXT import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.handleType = handle,
	};
	VkMemoryRequirements need;
	uint32_t type;
	VkResult result;

	b->bytes = round_up(b->bytes, HUGE_PAGE);
	b->pages = mmap(NULL, b->bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->pages == MAP_FAILED) {
		b->pages = NULL;
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	/* VUID-VkImportMemoryHostPointerInfoEXT-pHostPointer-01749: "aligned to" multiples of it */
	b->map = (char *)b->pages + (HUGE_PAGE - (uintptr_t)b->pages % HUGE_PAGE) % HUGE_PAGE;
	import.pHostPointer = b->map;
	madvise(b->map, b->bytes, MADV_HUGEPAGE);
	result = create_external_buffer(v, b, handle, &need);
	if (result == VK_SUCCESS)
		result = v->vk.vkGetMemoryHostPointerPropertiesEXT(v->device, handle, b->map,
								   &properties);
	if (result != VK_SUCCESS)
		return result;
	if (need.size > b->bytes ||
	    !import_type(v->memory, need.memoryTypeBits & properties.memoryTypeBits,
			 VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, &type))
		return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	result = allocate_buffer(v, b, b->bytes, type, &import);
	return result == VK_SUCCESS ? bind_buffer(v, b) : result;
}

static int back_buffer(struct vulkan *v, struct vulkan_buffer *b, uint32_t type, bool mapped,
		       const char **doing)
{
	VkMemoryRequirements need;
	VkResult result = create_buffer(v, b->bytes, NULL, &b->buffer);

	*doing = "creating a buffer";
	if (result != VK_SUCCESS)
		return result;
	v->vk.vkGetBufferMemoryRequirements(v->device, b->buffer, &need);
	*doing = "allocating memory";
	result = allocate_buffer(v, b, need.size, type, NULL);
	if (result != VK_SUCCESS)
		return result;
	*doing = "binding memory";
	result = bind_buffer(v, b);
	if (result != VK_SUCCESS)
		return result;
	if (mapped) {
		*doing = "mapping memory";
		result = v->vk.vkMapMemory(v->device, b->memory, 0, VK_WHOLE_SIZE, 0, &b->map);
	}
	return result;
}

static int buffer_create(struct vulkan *v, uint64_t bytes, uint32_t type, bool mapped,
			 struct vulkan_buffer **out, struct stoker_error *err)
{
	const uint64_t whole = round_up(MAX(bytes, (uint64_t)1), VULKAN_PADDING) + VULKAN_PADDING;
	struct vulkan_buffer *b = calloc(1, sizeof(*b));
	const char *doing;
	VkResult result;

	*out = NULL;
	if (!b)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	b->bytes = whole;
	if (v->emulated && v->has_host_memory && mapped && bytes >= 4 * HUGE_PAGE &&
	    back_with_huge_pages(v, b) == VK_SUCCESS) {
		*out = b;
		return 0;
	}
	release_buffer(v, b);
	*b = (struct vulkan_buffer){ .bytes = whole };
	result = back_buffer(v, b, type, mapped, &doing);
	if (result != VK_SUCCESS) {
		vulkan_buffer_free(v, b);
		return vulkan_fail(v, result, doing, err);
	}
	*out = b;
	return 0;
}

int vulkan_staging_create(struct vulkan *v, uint64_t bytes, struct vulkan_buffer **out,
			  struct stoker_error *err)
{
	return buffer_create(v, bytes, v->memory->staging_type, true, out, err);
}

/* From there on known to the device, as where copies go. */
static void add_buffer(struct vulkan *v, struct vulkan_buffer *b)
{
	pthread_mutex_lock(&v->queue_lock);
	b->next = v->memory->buffers;
	v->memory->buffers = b;
	pthread_mutex_unlock(&v->queue_lock);
}

int vulkan_memory_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			 struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_buffer *b = NULL;
	char want[16], have[16];
	uint64_t most = 0;
	int ret = -ENOMEM;

	*m = (struct stoker_memory){ 0 };
	for (uint32_t i = 0; i < v->memory->type_count && ret == -ENOMEM; i++) {
		const uint64_t left = MIN(heap_left(v, v->memory->types[i]), d->max_memory);

		most = MAX(most, left);
		if (bytes <= left)
			ret = buffer_create(v, bytes, v->memory->types[i], v->memory->unified, &b,
					    err);
	}
	if (bytes > most)
		return stoker_fail(err, -ENOMEM, "%s: no memory for %s, %s %s", v->name,
				   stoker_human_size(bytes, want), stoker_human_size(most, have),
				   most < d->max_memory ? "are left" : "is the largest block");
	if (ret)
		return ret;
	add_buffer(v, b);
	*m = (struct stoker_memory){ .at = b->at, .bytes = bytes, .host = b->map, .private = b };
	return 0;
}

int vulkan_memory_import(struct stoker_device *d, void *host, int fd, uint64_t bytes,
			 struct stoker_memory *m, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_buffer *b;
	VkResult result;

	*m = (struct stoker_memory){ 0 };
	if (!v->has_dma_buf)
		return stoker_fail(err, -ENOTSUP,
				   "%s: doesn't import memory of other drivers "
				   "(VK_EXT_external_memory_dma_buf)",
				   v->name);
	b = calloc(1, sizeof(*b));
	if (!b)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	b->bytes = round_up(bytes, VULKAN_PADDING) + VULKAN_PADDING;
	result = back_with_dma_buf(v, b, fd);
	if (result != VK_SUCCESS) {
		vulkan_buffer_free(v, b);
		return vulkan_fail(v, result, "importing a dma-buf", err);
	}
	b->map = host;
	add_buffer(v, b);
	*m = (struct stoker_memory){ .at = b->at, .bytes = bytes, .host = host, .private = b };
	return 0;
}

void vulkan_memory_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_buffer *b = m->private;

	*m = (struct stoker_memory){ 0 };
	if (!b)
		return;
	pthread_mutex_lock(&v->queue_lock);
	/*
	 * VUID-vkFreeMemory-memory-00677: "All submitted commands that refer to memory (via images
	 * or buffers) must have completed execution".  Those of ops have: submit() waits.
	 */
	vulkan_queue_wait(v, &v->transfer, v->transfer.submitted, NULL);
	for (struct vulkan_buffer **at = &v->memory->buffers; *at; at = &(*at)->next)
		if (*at == b) {
			*at = b->next;
			break;
		}
	pthread_mutex_unlock(&v->queue_lock);
	vulkan_buffer_free(v, b);
}

struct vulkan_buffer *vulkan_buffer_find(const struct vulkan *v, stoker_address at, uint64_t bytes)
{
	for (struct vulkan_buffer *b = v->memory->buffers; b; b = b->next)
		if (at >= b->at && at - b->at <= b->bytes && bytes <= b->bytes - (at - b->at))
			return b;
	return NULL;
}
