/* SPDX-License-Identifier: MIT */
/* Queues, each with a timeline that tells how far it has come. */
#ifndef STOKER_VULKAN_QUEUE_H
#define STOKER_VULKAN_QUEUE_H

#define VK_NO_PROTOTYPES
#include <volk.h>

#include "base/base.h"

struct vulkan;

/*
 * Guarded by vulkan.queue_lock, but for waiting.  vkQueueSubmit: "Host access to queue must be
 * externally synchronized"; both of a device's queues may be one VkQueue.
 */
struct vulkan_queue {
	uint32_t family;
	VkQueue queue;
	VkSemaphore timeline; /* VK_NULL_HANDLE: nothing was submitted so far */
	uint64_t submitted;   /* what the timeline comes to when all of it has run */
};

/* Makes the timeline, if there is none yet. */
int vulkan_queue_open(struct vulkan *v, struct vulkan_queue *q, struct stoker_error *err);
void vulkan_queue_close(struct vulkan *v, struct vulkan_queue *q);
/*
 * Runs @buffer once all that was submitted to @after has run, as seen by @stage; @value is what to
 * wait for.  @doing is for the error.
 */
int vulkan_queue_submit(struct vulkan *v, struct vulkan_queue *q, VkCommandBuffer buffer,
			const struct vulkan_queue *after, VkPipelineStageFlags stage,
			const char *doing, uint64_t *value, struct stoker_error *err);
/* Until the queue has come to @value; 0: not at all. */
int vulkan_queue_wait(struct vulkan *v, const struct vulkan_queue *q, uint64_t value,
		      struct stoker_error *err);
/* Waits for all that runs, after a failure. */
void vulkan_idle(struct vulkan *v);

#endif
