// SPDX-License-Identifier: MIT
/*
 * Recording and submission.  A barrier is recorded only where a dispatch touches memory that one
 * since the last barrier wrote, or writes what one read.  Submissions signal a timeline semaphore.
 */
#include "base/profile.h"
#include "device/vulkan/vulkan.h"

static int allocate(struct vulkan *v, VkCommandBuffer *buffer, struct stoker_error *err)
{
	const VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = v->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};
	const VkResult result = v->vk.vkAllocateCommandBuffers(v->device, &info, buffer);

	if (result == VK_SUCCESS)
		return 0;
	*buffer = NULL;
	return vulkan_fail(v, result, "allocating a command buffer", err);
}

int vulkan_commands_open(struct vulkan *v, struct stoker_error *err)
{
	const VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = v->compute.family,
	};
	const VkResult result = v->vk.vkCreateCommandPool(v->device, &pool, NULL, &v->pool);
	int ret;

	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "creating a command pool", err);
	ret = vulkan_queue_open(v, &v->compute, err);
	for (unsigned i = 0; i < VULKAN_RING && !ret; i++)
		ret = allocate(v, &v->ring[i].buffer, err);
	return ret;
}

void vulkan_commands_close(struct vulkan *v)
{
	for (unsigned i = 0; i < VULKAN_RING; i++)
		vulkan_timing_end(v, &v->ring[i]);
	if (v->pool)
		v->vk.vkDestroyCommandPool(v->device, v->pool, NULL);
	vulkan_queue_close(v, &v->compute);
}

static void barrier(struct vulkan *v, VkPipelineStageFlags to, VkAccessFlags access)
{
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = access,
	};

	v->vk.vkCmdPipelineBarrier(v->recording, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, to, 0, 1,
				   &memory, 0, NULL, 0, NULL);
	v->span_count = 0;
}

/* Starts the next command buffer of the ring; success holds the lock until finish(). */
static int start(struct vulkan *v, bool again, struct stoker_error *err)
{
	const VkCommandBufferBeginInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
	};
	struct vulkan_commands *c = &v->ring[v->ring_next];
	int ret = vulkan_queue_wait(v, &v->compute, c->value, err);
	VkResult result;

	if (ret)
		return ret;
	pthread_mutex_lock(&v->lock);
	if (!c->buffer) /* the last one was kept */
		ret = allocate(v, &c->buffer, err);
	if (!ret) {
		result = v->vk.vkBeginCommandBuffer(c->buffer, &info);
		if (result != VK_SUCCESS)
			ret = vulkan_fail(v, result, "recording", err);
	}
	if (ret) {
		pthread_mutex_unlock(&v->lock);
		return ret;
	}
	v->recording = c->buffer;
	ret = vulkan_timing_begin(v, c, err);
	if (ret) {
		v->vk.vkEndCommandBuffer(c->buffer);
		v->recording = VK_NULL_HANDLE;
		pthread_mutex_unlock(&v->lock);
		return ret;
	}
	v->begun_ns = profile_now(v->base.profile);
	v->bound = VK_NULL_HANDLE;
	v->coded.src = 0;
	v->span_count = 0;
	if (again)
		barrier(v, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
			VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
	return 0;
}

int vulkan_begin(struct stoker_device *d, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);

	v->failed = 0;
	v->held = (struct vulkan_held){ 0 };
	v->foreseen.source = NULL;
	v->split = false;
	return start(v, false, err);
}

static int run(struct vulkan *v, struct vulkan_commands *c, struct stoker_error *err)
{
	const uint64_t began = profile_now(v->base.profile);
	/* after writes through the staging ring */
	const int ret = vulkan_queue_submit(v, &v->compute, c->buffer, &v->transfer,
					    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, "submitting work",
					    &c->value, err);

	profile_add(v->base.profile, PROFILE_HOST, "submit", NULL, began,
		    profile_now(v->base.profile));
	return ret;
}

/* Waits for what run() submitted. */
static int wait_for(struct vulkan *v, struct vulkan_commands *c, struct stoker_error *err)
{
	const uint64_t began = profile_now(v->base.profile);
	const int ret = vulkan_queue_wait(v, &v->compute, c->value, err);

	if (!ret && v->base.profile) {
		vulkan_timing_take(v, c);
		profile_add(v->base.profile, PROFILE_HOST, "wait", NULL, began, stoker_now_ns());
	}
	return ret;
}

/* Ends and submits what is recorded. */
static int end_and_run(struct vulkan *v, struct stoker_error *err)
{
	struct vulkan_commands *c = &v->ring[v->ring_next];
	VkResult result;

	barrier(v, VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
	vulkan_timing_close(v, c);
	result = v->vk.vkEndCommandBuffer(c->buffer);
	v->recording = VK_NULL_HANDLE;
	profile_add(v->base.profile, PROFILE_HOST, "record", NULL, v->begun_ns,
		    profile_now(v->base.profile));
	if (v->failed) {
		if (err)
			*err = v->failure;
		return v->failed;
	}
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "recording", err);
	return run(v, c, err);
}

static int finish(struct vulkan *v, struct stoker_error *err)
{
	int ret;

	vulkan_settle_all(v);
	if (!v->recording) { /* it couldn't be begun again */
		if (err)
			*err = v->failure;
		return v->failed;
	}
	ret = end_and_run(v, err);

	pthread_mutex_unlock(&v->lock);
	return ret;
}

int vulkan_flush(struct stoker_device *d, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	int ret = finish(v, err);

	if (!ret && v->base.profile) /* its times are read before it is used again */
		ret = wait_for(v, &v->ring[v->ring_next], err);
	if (!ret) {
		v->split = true;
		v->ring_next = (v->ring_next + 1) % VULKAN_RING;
		ret = start(v, true, err);
	}
	if (ret) /* earlier parts may still run */
		v->vk.vkDeviceWaitIdle(v->device);
	return ret;
}

void vulkan_sync(struct vulkan *v)
{
	struct vulkan_commands *c = &v->ring[v->ring_next];

	if (v->failed)
		return;
	v->failed = finish(v, &v->failure);
	if (!v->failed)
		v->failed = wait_for(v, c, &v->failure);
	v->split = true;
	v->ring_next = (v->ring_next + 1) % VULKAN_RING;
	/* recording goes on even after a failure, for submit() to end */
	if (v->failed)
		start(v, true, NULL);
	else
		v->failed = start(v, true, &v->failure);
}

int vulkan_submit(struct stoker_device *d, struct stoker_recording **keep, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_commands *c = &v->ring[v->ring_next];
	int ret = finish(v, err);

	if (ret) {
		v->vk.vkDeviceWaitIdle(v->device); /* earlier parts may still run */
		return ret;
	}
	ret = wait_for(v, c, err);
	if (!ret && v->complaint)
		ret = stoker_fail(err, -EPROTO, "%s", v->complaint);
	if (!ret && keep && !v->split) {
		*keep = malloc(sizeof(**keep));
		if (*keep) {
			(*keep)->commands = *c;
			*c = (struct vulkan_commands){ 0 };
		}
	}
	v->ring_next = (v->ring_next + 1) % VULKAN_RING;
	return ret;
}

int vulkan_replay(struct stoker_device *d, struct stoker_recording *r, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	int ret;

	pthread_mutex_lock(&v->lock);
	ret = run(v, &r->commands, err);
	pthread_mutex_unlock(&v->lock);
	return ret ? ret : wait_for(v, &r->commands, err);
}

void vulkan_recording_free(struct stoker_device *d, struct stoker_recording *r)
{
	struct vulkan *v = vulkan_of(d);

	if (!r)
		return;
	vulkan_queue_wait(v, &v->compute, r->commands.value, NULL);
	pthread_mutex_lock(&v->lock);
	v->vk.vkFreeCommandBuffers(v->device, v->pool, 1, &r->commands.buffer);
	vulkan_timing_end(v, &r->commands);
	pthread_mutex_unlock(&v->lock);
	free(r);
}

bool vulkan_conflict(const struct vulkan_span *a, const struct vulkan_span *b)
{
	return (a->write || b->write) && a->at < b->at + b->bytes && b->at < a->at + a->bytes;
}

static void order(struct vulkan *v, const struct vulkan_span *spans, size_t count)
{
	bool wait = v->span_count + count > VULKAN_SPANS;

	for (size_t i = 0; i < v->span_count && !wait; i++)
		for (size_t j = 0; j < count && !wait; j++)
			wait = vulkan_conflict(&v->spans[i], &spans[j]);
	if (wait)
		barrier(v, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
			VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
	for (size_t i = 0; i < count; i++) {
		const struct vulkan_codes *c = &v->coded;
		const struct vulkan_span kept[] = {
			{ .at = c->src, .bytes = 4 * (uint64_t)c->rows * c->width },
			{ .at = c->codes, .bytes = 1 },
		};

		if (spans[i].write &&
		    (vulkan_conflict(&spans[i], &kept[0]) || vulkan_conflict(&spans[i], &kept[1])))
			v->coded.src = 0;
	}
	memcpy(v->spans + v->span_count, spans, count * sizeof(*spans));
	v->span_count += count;
}

void vulkan_record(struct vulkan *v, const struct vulkan_dispatch *d)
{
	VkPipeline pipeline;

	vulkan_settle(v, d->spans, d->span_count);
	if (v->failed || !d->x)
		return;
	v->failed = vulkan_pipeline(v, d, &pipeline, &v->failure);
	if (v->failed)
		return;
	order(v, d->spans, d->span_count);
	if (pipeline != v->bound)
		v->vk.vkCmdBindPipeline(v->recording, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	v->bound = pipeline;
	v->vk.vkCmdPushConstants(v->recording, v->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
				 d->push_bytes, d->push);
	v->vk.vkCmdDispatch(v->recording, MIN(d->x, v->limits.maxComputeWorkGroupCount[0]),
			    MIN(MAX(d->y, 1u), v->limits.maxComputeWorkGroupCount[1]),
			    MIN(MAX(d->z, 1u), v->limits.maxComputeWorkGroupCount[2]));
	vulkan_timing_add(v, &v->ring[v->ring_next], vulkan_shader_name(d->shader),
			  d->format ? d->format->name : NULL);
}
