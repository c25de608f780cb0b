// SPDX-License-Identifier: MIT
/*
 * Reads and writes of the host's.  Where host and device share memory, it does so directly;
 * elsewhere a ring of staging buffers carries data over the transfer queue.  Any thread may call
 * them, whatever another one is recording.
 */
#include "device/vulkan/transfer.h"

#include "device/vulkan/memory.h"

enum { STAGES = 2, STAGE_BYTES = 8 << 20 };

struct stage {
	struct vulkan_buffer *buffer;
	VkCommandBuffer commands;
	uint64_t value; /* of the queue when they have run */
};

/*
 * Guarded by a lock of its own, which is held while stages are waited for: what another thread
 * submits meanwhile takes vulkan.queue_lock only.
 */
struct vulkan_transfers {
	pthread_mutex_t lock;
	VkCommandPool pool;
	struct stage stages[STAGES];
	unsigned next;
};

int vulkan_transfers_open(struct vulkan *v, struct stoker_error *err)
{
	v->transfers = calloc(1, sizeof(*v->transfers));
	if (!v->transfers)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	pthread_mutex_init(&v->transfers->lock, NULL);
	return 0;
}

/* What reads and writes of memory that the host doesn't see need, made on first use. */
static int open_stages(struct vulkan *v, struct stoker_error *err)
{
	const VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = v->transfer.family,
	};
	struct vulkan_transfers *t = v->transfers;
	VkResult result;
	int ret;

	if (t->stages[STAGES - 1].buffer)
		return 0;
	pthread_mutex_lock(&v->queue_lock);
	ret = vulkan_queue_open(v, &v->transfer, err);
	pthread_mutex_unlock(&v->queue_lock);
	if (ret)
		return ret;
	if (!t->pool) {
		result = v->vk.vkCreateCommandPool(v->device, &pool, NULL, &t->pool);
		if (result != VK_SUCCESS)
			return vulkan_fail(v, result, "creating a command pool", err);
	}
	for (unsigned i = 0; i < STAGES && !ret; i++) {
		const VkCommandBufferAllocateInfo info = {
			.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
			.commandPool = t->pool,
			.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
			.commandBufferCount = 1,
		};
		struct stage *s = &t->stages[i];

		if (!s->commands) {
			result = v->vk.vkAllocateCommandBuffers(v->device, &info, &s->commands);
			if (result != VK_SUCCESS) {
				s->commands = NULL;
				return vulkan_fail(v, result, "allocating a command buffer", err);
			}
		}
		if (!s->buffer)
			ret = vulkan_staging_create(v, STAGE_BYTES, &s->buffer, err);
	}
	return ret;
}

/* Copies between a staging buffer and a device buffer; the host doesn't wait. */
static int copy(struct vulkan *v, struct stage *s, const struct vulkan_buffer *b, uint64_t offset,
		uint64_t bytes, bool to_device, struct stoker_error *err)
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
	VkResult result = v->vk.vkBeginCommandBuffer(s->commands, &begin);
	int ret;

	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "recording a transfer", err);
	v->vk.vkCmdPipelineBarrier(s->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
				   VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &ordered, 0, NULL, 0,
				   NULL);
	v->vk.vkCmdCopyBuffer(s->commands, to_device ? s->buffer->buffer : b->buffer,
			      to_device ? b->buffer : s->buffer->buffer, 1, &region);
	/* Semaphore Signaling: "The second access scope is empty", so the host's has to be named */
	if (!to_device)
		v->vk.vkCmdPipelineBarrier(s->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
					   VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0, NULL, 0,
					   NULL);
	result = v->vk.vkEndCommandBuffer(s->commands);
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "transferring data", err);
	pthread_mutex_lock(&v->queue_lock);
	ret = vulkan_queue_submit(v, &v->transfer, s->commands, &v->compute,
				  VK_PIPELINE_STAGE_TRANSFER_BIT, "transferring data", &s->value,
				  err);
	pthread_mutex_unlock(&v->queue_lock);
	return ret;
}

static int stage_write(struct vulkan *v, const struct vulkan_buffer *b, uint64_t offset,
		       const uint8_t *src, uint64_t bytes, struct stoker_error *err)
{
	int ret = open_stages(v, err);

	for (uint64_t done = 0, n; done < bytes && !ret; done += n) {
		struct stage *s = &v->transfers->stages[v->transfers->next++ % STAGES];

		n = MIN(bytes - done, (uint64_t)STAGE_BYTES);
		ret = vulkan_queue_wait(v, &v->transfer, s->value, err);
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
		struct stage *s = &v->transfers->stages[v->transfers->next++ % STAGES];

		n = MIN(bytes - done, (uint64_t)STAGE_BYTES);
		ret = vulkan_queue_wait(v, &v->transfer, s->value, err);
		if (!ret)
			ret = copy(v, s, b, offset + done, n, false, err);
		if (!ret)
			ret = vulkan_queue_wait(v, &v->transfer, s->value, err);
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
	int ret;

	pthread_mutex_lock(&v->queue_lock);
	b = vulkan_buffer_find(v, dst, bytes);
	pthread_mutex_unlock(&v->queue_lock);
	if (!b)
		return stoker_fail(err, -EFAULT, "%s: write outside of the device's memory",
				   v->name);
	if (b->map) {
		memcpy((uint8_t *)b->map + (dst - b->at), src, bytes);
		return 0;
	}
	pthread_mutex_lock(&v->transfers->lock);
	ret = stage_write(v, b, dst - b->at, src, bytes, err);
	pthread_mutex_unlock(&v->transfers->lock);
	return ret;
}

int vulkan_read(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	const struct vulkan_buffer *b;
	int ret;

	pthread_mutex_lock(&v->queue_lock);
	b = vulkan_buffer_find(v, src, bytes);
	pthread_mutex_unlock(&v->queue_lock);
	if (!b)
		return stoker_fail(err, -EFAULT, "%s: read outside of the device's memory",
				   v->name);
	if (b->map && (vulkan_memory_is_cached(v) || bytes <= 4096)) {
		memcpy(dst, (const uint8_t *)b->map + (src - b->at), bytes);
		return 0;
	}
	pthread_mutex_lock(&v->transfers->lock);
	ret = stage_read(v, b, src - b->at, dst, bytes, err);
	pthread_mutex_unlock(&v->transfers->lock);
	return ret;
}

void vulkan_transfers_close(struct vulkan *v)
{
	struct vulkan_transfers *t = v->transfers;

	if (!t)
		return;
	for (unsigned i = 0; i < STAGES; i++)
		if (t->stages[i].buffer)
			vulkan_buffer_free(v, t->stages[i].buffer);
	if (t->pool)
		v->vk.vkDestroyCommandPool(v->device, t->pool, NULL);
	vulkan_queue_close(v, &v->transfer);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
