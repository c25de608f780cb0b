// SPDX-License-Identifier: MIT
/* Submission to queues, and waiting for what was submitted. */
#include "device/vulkan/queue.h"

#include "device/vulkan/vulkan.h"

static const uint64_t wait_step_ns = 1000000000;

int vulkan_queue_open(struct vulkan *v, struct vulkan_queue *q, struct stoker_error *err)
{
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	const VkSemaphoreCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
		.pNext = &type,
	};
	VkResult result;

	if (q->timeline)
		return 0;
	result = v->vk.vkCreateSemaphore(v->device, &info, NULL, &q->timeline);
	return result == VK_SUCCESS ? 0 : vulkan_fail(v, result, "creating a semaphore", err);
}

void vulkan_queue_close(struct vulkan *v, struct vulkan_queue *q)
{
	if (q->timeline)
		v->vk.vkDestroySemaphore(v->device, q->timeline, NULL);
}

int vulkan_queue_submit(struct vulkan *v, struct vulkan_queue *q, VkCommandBuffer buffer,
			const struct vulkan_queue *after, VkPipelineStageFlags stage,
			const char *doing, uint64_t *value, struct stoker_error *err)
{
	/* VUID-VkSubmitInfo-pSignalSemaphores-03242: "a value greater than the current value" */
	const uint64_t next = q->submitted + 1;
	const uint32_t waits = after->timeline != VK_NULL_HANDLE;
	const VkTimelineSemaphoreSubmitInfo values = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = waits,
		.pWaitSemaphoreValues = &after->submitted,
		.signalSemaphoreValueCount = 1,
		.pSignalSemaphoreValues = &next,
	};
	const VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.pNext = &values,
		.waitSemaphoreCount = waits,
		.pWaitSemaphores = &after->timeline,
		.pWaitDstStageMask = &stage,
		.commandBufferCount = 1,
		.pCommandBuffers = &buffer,
		.signalSemaphoreCount = 1,
		.pSignalSemaphores = &q->timeline,
	};
	/*
	 * Neither what the host wrote nor what the other queue did needs a barrier.  Vulkan 1.2,
	 * Host Write Ordering Guarantees: "it defines a memory dependency with prior host
	 * operations"; Semaphore Signaling: "includes all memory access performed by the device".
	 */
	const VkResult result = v->vk.vkQueueSubmit(q->queue, 1, &info, VK_NULL_HANDLE);

	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, doing, err);
	q->submitted = *value = next;
	return 0;
}

void vulkan_idle(struct vulkan *v)
{
	/*
	 * vkDeviceWaitIdle: "Host access to all VkQueue objects created from device must be
	 * externally synchronized"
	 */
	pthread_mutex_lock(&v->queue_lock);
	v->vk.vkDeviceWaitIdle(v->device);
	pthread_mutex_unlock(&v->queue_lock);
}

int vulkan_queue_wait(struct vulkan *v, const struct vulkan_queue *q, uint64_t value,
		      struct stoker_error *err)
{
	const VkSemaphoreWaitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &q->timeline,
		.pValues = &value,
	};
	VkResult result;

	if (!value)
		return 0;
	do
		result = v->vk.vkWaitSemaphores(v->device, &info, wait_step_ns);
	while (result == VK_TIMEOUT);
	if (result == VK_SUCCESS)
		return 0;
	/* whatever happened, nothing may run on when memory goes */
	vulkan_idle(v);
	return vulkan_fail(v, result, "waiting for the device", err);
}
