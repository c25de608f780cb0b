/* SPDX-License-Identifier: MIT */
/* Buffers with addresses: of which memory they are, and which of them an address is in. */
#ifndef STOKER_VULKAN_MEMORY_H
#define STOKER_VULKAN_MEMORY_H

#include "device/vulkan/vulkan.h"

enum { VULKAN_PADDING = 256 }; /* behind each buffer: shaders read whole groups of values */

/* stoker_memory.private points to one. */
struct vulkan_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	VkDeviceAddress at;
	uint64_t bytes;
	void *map;   /* NULL: the host doesn't see it */
	void *pages; /* of ours that the device reads, or NULL */
	struct vulkan_buffer *next;
};

/* Chooses the kinds of memory; @separate: as if the host didn't see the device's. */
int vulkan_memory_open(struct vulkan *v, bool separate, struct stoker_error *err);
void vulkan_memory_close(struct vulkan *v);
/* Of the device's largest heap; false: the driver doesn't say. */
bool vulkan_memory_left(const struct stoker_device *d, uint64_t *bytes);
/* Whether the host writes into the memory that shaders read. */
bool vulkan_memory_is_unified(const struct vulkan *v);
/* And whether it reads it back at full speed. */
bool vulkan_memory_is_cached(const struct vulkan *v);
/* Whether buffers can be made of the host's pages, huge ones. */
bool vulkan_imports_host_memory(VkPhysicalDevice physical);

int vulkan_memory_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			 struct stoker_error *err);
int vulkan_memory_import(struct stoker_device *d, void *host, int fd, uint64_t bytes,
			 struct stoker_memory *m, struct stoker_error *err);
void vulkan_memory_destroy(struct stoker_device *d, struct stoker_memory *m);

/* The buffer in which so many bytes are, or NULL; with vulkan.queue_lock. */
struct vulkan_buffer *vulkan_buffer_find(const struct vulkan *v, stoker_address at, uint64_t bytes);
/* A mapped buffer that the host reads fast and that vulkan_buffer_find() doesn't know. */
int vulkan_staging_create(struct vulkan *v, uint64_t bytes, struct vulkan_buffer **out,
			  struct stoker_error *err);
void vulkan_buffer_free(struct vulkan *v, struct vulkan_buffer *b);

#endif
