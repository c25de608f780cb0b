// SPDX-License-Identifier: MIT
/*
 * Reads and writes of the host's.  Where host and device share memory, it does so directly;
 * elsewhere a ring of staging buffers carries data over the transfer queue.
 */
#include "device/vulkan/vulkan.h"

/* What reads and writes of memory that the host doesn't see need, made on first use. */
static int open_stages(struct vulkan *v, struct stoker_error *err)
{
	const VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = v->transfer.family,
	};
	VkResult result;
	int ret;

	if (v->stages[VULKAN_STAGES - 1].buffer)
		return 0;
	ret = vulkan_queue_open(v, &v->transfer, err);
	if (ret)
		return ret;
	if (!v->transfer_pool) {
		result = v->vk.vkCreateCommandPool(v->device, &pool, NULL, &v->transfer_pool);
		if (result != VK_SUCCESS)
			return vulkan_fail(v, result, "creating a command pool", err);
	}
	for (unsigned i = 0; i < VULKAN_STAGES && !ret; i++) {
		const VkCommandBufferAllocateInfo info = {
			.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
			.commandPool = v->transfer_pool,
			.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
			.commandBufferCount = 1,
		};
		struct vulkan_stage *s = &v->stages[i];

		if (!s->commands.buffer) {
			result = v->vk.vkAllocateCommandBuffers(v->device, &info,
								&s->commands.buffer);
			if (result != VK_SUCCESS) {
				s->commands.buffer = NULL;
				return vulkan_fail(v, result, "allocating a command buffer", err);
			}
		}
		if (!s->buffer)
			ret = vulkan_buffer_create(v, VULKAN_STAGE_BYTES, v->staging_type, true,
						   &s->buffer, err);
	}
	return ret;
}

/* Copies between a staging buffer and a device buffer; the host doesn't wait. */
static int copy(struct vulkan *v, struct vulkan_stage *s, const struct vulkan_buffer *b,
		uint64_t offset, uint64_t bytes, bool to_device, struct stoker_error *err)
{
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	const VkBufferCopy region = { .srcOffset = to_device ? 0 : offset,
				      .dstOffset = to_device ? offset : 0,
				      .size = bytes };
	const VkMemoryBarrier to_host = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
					  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
					  .dstAccessMask = VK_ACCESS_HOST_READ_BIT };
	const VkMemoryBarrier ordered = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
					  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
					  .dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT |
							   VK_ACCESS_TRANSFER_READ_BIT };
	VkResult result = v->vk.vkBeginCommandBuffer(s->commands.buffer, &begin);

	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "recording a transfer", err);
	v->vk.vkCmdPipelineBarrier(s->commands.buffer, VK_PIPELINE_STAGE_TRANSFER_BIT,
				   VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &ordered, 0, NULL, 0,
				   NULL);
	v->vk.vkCmdCopyBuffer(s->commands.buffer, to_device ? s->buffer->buffer : b->buffer,
			      to_device ? b->buffer : s->buffer->buffer, 1, &region);
	if (!to_device)
		v->vk.vkCmdPipelineBarrier(s->commands.buffer, VK_PIPELINE_STAGE_TRANSFER_BIT,
					   VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0, NULL, 0,
					   NULL);
	result = v->vk.vkEndCommandBuffer(s->commands.buffer);
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "transferring data", err);
	return vulkan_queue_submit(v, &v->transfer, s->commands.buffer, &v->compute,
				   VK_PIPELINE_STAGE_TRANSFER_BIT, "transferring data",
				   &s->commands.value, err);
}

static int stage_write(struct vulkan *v, const struct vulkan_buffer *b, uint64_t offset,
		       const uint8_t *src, uint64_t bytes, struct stoker_error *err)
{
	int ret = open_stages(v, err);

	for (uint64_t done = 0, n; done < bytes && !ret; done += n) {
		struct vulkan_stage *s = &v->stages[v->stage_next++ % VULKAN_STAGES];

		n = MIN(bytes - done, (uint64_t)VULKAN_STAGE_BYTES);
		ret = vulkan_queue_wait(v, &v->transfer, s->commands.value, err);
		if (ret)
			break;
		memcpy(s->buffer->map, src + done, n);
		ret = copy(v, s, b, offset + done, n, true, err);
	}
	return ret;
}

static int stage_read(struct vulkan *v, const struct vulkan_buffer *b, uint64_t offset,
		      uint8_t *dst, uint64_t bytes, struct stoker_error *err)
{
	int ret = open_stages(v, err);

	for (uint64_t done = 0, n; done < bytes && !ret; done += n) {
		struct vulkan_stage *s = &v->stages[v->stage_next++ % VULKAN_STAGES];

		n = MIN(bytes - done, (uint64_t)VULKAN_STAGE_BYTES);
		ret = vulkan_queue_wait(v, &v->transfer, s->commands.value, err);
		if (!ret)
			ret = copy(v, s, b, offset + done, n, false, err);
		if (!ret)
			ret = vulkan_queue_wait(v, &v->transfer, s->commands.value, err);
		if (!ret)
			memcpy(dst + done, s->buffer->map, n);
	}
	return ret;
}

int vulkan_write(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		 struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_buffer *b;
	int ret = 0;

	pthread_mutex_lock(&v->lock);
	b = vulkan_buffer_find(v, dst, bytes);
	if (!b)
		ret = stoker_fail(err, -EFAULT, "%s: write outside of the device's memory",
				  v->name);
	else if (!b->map)
		ret = stage_write(v, b, dst - b->at, src, bytes, err);
	pthread_mutex_unlock(&v->lock);
	if (!ret && b->map)
		memcpy((uint8_t *)b->map + (dst - b->at), src, bytes);
	return ret;
}

int vulkan_read(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	const struct vulkan_buffer *b;
	bool staged;
	int ret = 0;

	pthread_mutex_lock(&v->lock);
	b = vulkan_buffer_find(v, src, bytes);
	staged = b && (!b->map || (!v->cached && bytes > 4096));
	if (!b)
		ret = stoker_fail(err, -EFAULT, "%s: read outside of the device's memory", v->name);
	else if (staged)
		ret = stage_read(v, b, src - b->at, dst, bytes, err);
	pthread_mutex_unlock(&v->lock);
	if (!ret && !staged)
		memcpy(dst, (const uint8_t *)b->map + (src - b->at), bytes);
	return ret;
}

void vulkan_transfer_close(struct vulkan *v)
{
	for (unsigned i = 0; i < VULKAN_STAGES; i++)
		if (v->stages[i].buffer)
			vulkan_buffer_free(v, v->stages[i].buffer);
	if (v->transfer_pool)
		v->vk.vkDestroyCommandPool(v->device, v->transfer_pool, NULL);
	vulkan_queue_close(v, &v->transfer);
}
