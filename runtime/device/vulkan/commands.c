// SPDX-License-Identifier: MIT
/*
 * Recording and submission.  A barrier is recorded only where a dispatch touches memory that one
 * since the last barrier wrote, or writes what one read.  Submissions signal a timeline semaphore.
 */
#include "device/vulkan/commands.h"

#include "base/profile.h"
#include "device/vulkan/memory.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/timing.h"

enum {
	RING = 3,   /* command buffers in flight */
	SPANS = 64, /* memory touched since the last barrier */
	UPDATE_BYTES = 65536,
};

struct command_buffer {
	VkCommandBuffer handle;
	struct vulkan_timing *timing; /* NULL: not profiled */
	uint64_t value;		      /* of the queue when it has run */
};

/* What a recorded command buffer is kept as, for replay(). */
struct stoker_recording {
	struct command_buffer commands;
};

/*
 * All of it belongs to whoever has the device's lock, from begin() to submit().  The pool, and
 * thereby recording, is also guarded by vulkan.lock, since recordings are freed at any time.
 * vkCmdDispatch and the like: "Host access to the VkCommandPool that commandBuffer was allocated
 * from must be externally synchronized".
 */
struct vulkan_commands {
	VkCommandPool pool;
	struct command_buffer ring[RING];
	unsigned next;		   /* of the ring */
	VkCommandBuffer recording; /* NULL: not between begin() and submit() */
	bool split;		   /* what is recorded was submitted in parts */
	VkPipeline bound;
	uint64_t begun_ns; /* recording, when profiled */
	struct vulkan_span spans[SPANS];
	size_t span_count;
	int failed; /* first failure since begin(), told by @failure */
	struct stoker_error failure;
};

static int allocate(struct vulkan *v, VkCommandBuffer *buffer, struct stoker_error *err)
{
	const VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = v->commands->pool,
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
	struct vulkan_commands *c = calloc(1, sizeof(*c));
	VkResult result;
	int ret;

	v->commands = c;
	if (!c)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	result = v->vk.vkCreateCommandPool(v->device, &pool, NULL, &c->pool);
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "creating a command pool", err);
	ret = vulkan_queue_open(v, &v->compute, err);
	for (unsigned i = 0; i < RING && !ret; i++)
		ret = allocate(v, &c->ring[i].handle, err);
	return ret;
}

void vulkan_commands_close(struct vulkan *v)
{
	struct vulkan_commands *c = v->commands;

	if (!c)
		return;
	for (unsigned i = 0; i < RING; i++)
		vulkan_timing_free(v, &c->ring[i].timing);
	if (c->pool)
		v->vk.vkDestroyCommandPool(v->device, c->pool, NULL);
	vulkan_queue_close(v, &v->compute);
	free(c);
}

static void barrier(struct vulkan *v, VkPipelineStageFlags to, VkAccessFlags access)
{
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = access,
	};

	v->vk.vkCmdPipelineBarrier(v->commands->recording, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, to,
				   0, 1, &memory, 0, NULL, 0, NULL);
	v->commands->span_count = 0;
}

/* Starts the next command buffer of the ring; success holds the lock until finish(). */
static int start(struct vulkan *v, bool again, struct stoker_error *err)
{
	const VkCommandBufferBeginInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
	};
	struct vulkan_commands *c = v->commands;
	struct command_buffer *b = &c->ring[c->next];
	/* VUID-vkBeginCommandBuffer-commandBuffer-00049: not in "recording or pending state" */
	int ret = vulkan_queue_wait(v, &v->compute, b->value, err);
	VkResult result;

	if (ret)
		return ret;
	pthread_mutex_lock(&v->lock);
	if (!b->handle) /* the last one was kept */
		ret = allocate(v, &b->handle, err);
	if (!ret) {
		result = v->vk.vkBeginCommandBuffer(b->handle, &info);
		if (result != VK_SUCCESS)
			ret = vulkan_fail(v, result, "recording", err);
	}
	if (ret) {
		pthread_mutex_unlock(&v->lock);
		return ret;
	}
	ret = vulkan_timing_begin(v, &b->timing, b->handle, err);
	if (ret) {
		v->vk.vkEndCommandBuffer(b->handle);
		pthread_mutex_unlock(&v->lock);
		return ret;
	}
	c->recording = b->handle;
	c->begun_ns = profile_now(v->base.profile);
	c->bound = VK_NULL_HANDLE;
	c->span_count = 0;
	/* vkCmdPipelineBarrier: "all commands that occur earlier in submission order" */
	if (again)
		barrier(v, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
			VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
	return 0;
}

int vulkan_begin(struct stoker_device *d, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);

	v->commands->failed = 0;
	v->commands->split = false;
	return start(v, false, err);
}

static int run(struct vulkan *v, struct command_buffer *b, struct stoker_error *err)
{
	const uint64_t began = profile_now(v->base.profile);
	int ret;

	pthread_mutex_lock(&v->queue_lock);
	/* after writes through the staging ring */
	ret = vulkan_queue_submit(v, &v->compute, b->handle, &v->transfer,
				  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, "submitting work",
				  &b->value, err);
	pthread_mutex_unlock(&v->queue_lock);
	profile_add(v->base.profile, PROFILE_HOST, "submit", NULL, began,
		    profile_now(v->base.profile));
	return ret;
}

/* Waits for what run() submitted. */
static int wait_for(struct vulkan *v, struct command_buffer *b, struct stoker_error *err)
{
	const uint64_t began = profile_now(v->base.profile);
	const int ret = vulkan_queue_wait(v, &v->compute, b->value, err);

	if (!ret && v->base.profile) {
		vulkan_timing_take(v, b->timing);
		profile_add(v->base.profile, PROFILE_HOST, "wait", NULL, began, stoker_now_ns());
	}
	return ret;
}

static int tell_failure(const struct vulkan_commands *c, struct stoker_error *err)
{
	if (err)
		*err = c->failure;
	return c->failed;
}

/* Ends and submits what is recorded. */
static int end_and_run(struct vulkan *v, struct stoker_error *err)
{
	struct vulkan_commands *c = v->commands;
	struct command_buffer *b = &c->ring[c->next];
	VkResult result;

	/* Semaphore Signaling: "The second access scope is empty", so the host's has to be named */
	barrier(v, VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
	vulkan_timing_close(v, b->timing);
	result = v->vk.vkEndCommandBuffer(b->handle);
	c->recording = VK_NULL_HANDLE;
	profile_add(v->base.profile, PROFILE_HOST, "record", NULL, c->begun_ns,
		    profile_now(v->base.profile));
	if (c->failed)
		return tell_failure(c, err);
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "recording", err);
	return run(v, b, err);
}

static int finish(struct vulkan *v, struct stoker_error *err)
{
	int ret;

	if (!v->commands->recording) /* it couldn't be begun again */
		return tell_failure(v->commands, err);
	ret = end_and_run(v, err);
	pthread_mutex_unlock(&v->lock);
	return ret;
}

int vulkan_flush(struct stoker_device *d, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_commands *c = v->commands;
	int ret = finish(v, err);

	if (!ret && v->base.profile) /* its times are read before it is used again */
		ret = wait_for(v, &c->ring[c->next], err);
	if (!ret) {
		c->split = true;
		c->next = (c->next + 1) % RING;
		ret = start(v, true, err);
	}
	if (ret) /* earlier parts may still run */
		vulkan_idle(v);
	return ret;
}

int vulkan_sync(struct stoker_device *d, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_commands *c = v->commands;

	if (!c->failed) {
		c->failed = finish(v, &c->failure);
		if (!c->failed)
			c->failed = wait_for(v, &c->ring[c->next], &c->failure);
		c->split = true;
		c->next = (c->next + 1) % RING;
		/* recording goes on even after a failure, for submit() to end */
		if (c->failed)
			start(v, true, NULL);
		else
			c->failed = start(v, true, &c->failure);
	}
	return c->failed ? tell_failure(c, err) : 0;
}

int vulkan_submit(struct stoker_device *d, struct stoker_recording **keep, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_commands *c = v->commands;
	struct command_buffer *b = &c->ring[c->next];
	int ret = finish(v, err);

	if (ret) {
		vulkan_idle(v); /* earlier parts may still run */
		return ret;
	}
	ret = wait_for(v, b, err);
	if (!ret && v->instance.complaint)
		ret = stoker_fail(err, -EPROTO, "%s", v->instance.complaint);
	if (!ret && keep && !c->split) {
		*keep = malloc(sizeof(**keep));
		if (*keep) {
			(*keep)->commands = *b;
			*b = (struct command_buffer){ 0 };
		}
	}
	c->next = (c->next + 1) % RING;
	return ret;
}

int vulkan_replay(struct stoker_device *d, struct stoker_recording *r, struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);
	int ret;

	/* VUID-vkQueueSubmit-pCommandBuffers-00071: not "in the pending state": it has ended */
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
	/* VUID-vkFreeCommandBuffers-pCommandBuffers-00047: "must not be in the pending state" */
	vulkan_queue_wait(v, &v->compute, r->commands.value, NULL);
	pthread_mutex_lock(&v->lock);
	v->vk.vkFreeCommandBuffers(v->device, v->commands->pool, 1, &r->commands.handle);
	vulkan_timing_free(v, &r->commands.timing);
	pthread_mutex_unlock(&v->lock);
	free(r);
}

bool vulkan_has_failed(const struct vulkan *v)
{
	return v->commands->failed;
}

void vulkan_keep_failure(struct vulkan *v, int ret, const struct stoker_error *err)
{
	if (!ret || v->commands->failed)
		return;
	v->commands->failed = ret;
	v->commands->failure = *err;
}

/* Whether the order of two dispatches that touch these matters. */
static bool conflict(const struct vulkan_span *a, const struct vulkan_span *b)
{
	return (a->write || b->write) && a->at < b->at + b->bytes && b->at < a->at + a->bytes;
}

static void order(struct vulkan *v, const struct vulkan_span *spans, size_t count)
{
	struct vulkan_commands *c = v->commands;
	bool wait = c->span_count + count > SPANS;

	for (size_t i = 0; i < c->span_count && !wait; i++)
		for (size_t j = 0; j < count && !wait; j++)
			wait = conflict(&c->spans[i], &spans[j]);
	if (wait)
		barrier(v, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
			VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
	memcpy(c->spans + c->span_count, spans, count * sizeof(*spans));
	c->span_count += count;
}

void vulkan_record(struct vulkan *v, const struct vulkan_dispatch *d)
{
	struct vulkan_commands *c = v->commands;
	const uint32_t *most = v->limits.maxComputeWorkGroupCount;
	VkPipeline pipeline;

	if (c->failed || !d->x)
		return;
	c->failed = vulkan_pipeline(v, d, &pipeline, &c->failure);
	if (c->failed)
		return;
	order(v, d->spans, d->span_count);
	if (pipeline != c->bound)
		v->vk.vkCmdBindPipeline(c->recording, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	c->bound = pipeline;
	v->vk.vkCmdPushConstants(c->recording, vulkan_pipeline_layout(v),
				 VK_SHADER_STAGE_COMPUTE_BIT, 0, d->push_bytes, d->push);
	/* VUID-vkCmdDispatch-groupCountX-00386 to 00388: maxComputeWorkGroupCount */
	v->vk.vkCmdDispatch(c->recording, MIN(d->x, most[0]), MIN(MAX(d->y, 1u), most[1]),
			    MIN(MAX(d->z, 1u), most[2]));
	vulkan_timing_add(v, c->ring[c->next].timing,
			  d->custom ? d->custom->name : vulkan_shader_name(d->shader),
			  d->format ? d->format->name : NULL);
}

void vulkan_update(struct vulkan *v, stoker_address at, const void *data, uint64_t bytes)
{
	const VkMemoryBarrier written = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
					  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
					  .dstAccessMask = VK_ACCESS_SHADER_READ_BIT };
	const VkCommandBuffer recording = v->commands->recording;
	const struct vulkan_buffer *b;

	if (v->commands->failed)
		return;
	pthread_mutex_lock(&v->queue_lock);
	b = vulkan_buffer_find(v, at, bytes);
	pthread_mutex_unlock(&v->queue_lock);
	/* what was recorded before reads what was there before */
	v->vk.vkCmdPipelineBarrier(recording, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
				   VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 0, NULL);
	/* VUID-vkCmdUpdateBuffer-dataSize-00037: "less than or equal to 65536" */
	for (uint64_t done = 0, n; done < bytes; done += n) {
		n = MIN(bytes - done, (uint64_t)UPDATE_BYTES);
		v->vk.vkCmdUpdateBuffer(recording, b->buffer, at - b->at + done, n,
					(const uint8_t *)data + done);
	}
	v->vk.vkCmdPipelineBarrier(recording, VK_PIPELINE_STAGE_TRANSFER_BIT,
				   VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &written, 0, NULL, 0,
				   NULL);
}
