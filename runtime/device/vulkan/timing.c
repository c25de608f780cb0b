// SPDX-License-Identifier: MIT
/*
 * What each dispatch of a command buffer took, while the device is profiled: a timestamp before the
 * first and one after each.  Where there is no barrier between two they run at the same time; what
 * the second still took is its time then.
 */
#include "device/vulkan/timing.h"

#include "base/profile.h"

enum { STAMPS = 4096 }; /* of a command buffer; what more there is counts as one */

struct vulkan_timing {
	VkCommandBuffer buffer;
	VkQueryPool pool;
	uint32_t count;
	bool more; /* dispatches than are timed */
	const char *names[STAMPS], *details[STAMPS];
	uint64_t stamps[STAMPS];
};

static void stamp(struct vulkan *v, struct vulkan_timing *t, const char *name, const char *detail)
{
	v->vk.vkCmdWriteTimestamp(t->buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, t->pool,
				  t->count);
	t->names[t->count] = name;
	t->details[t->count++] = detail;
}

int vulkan_timing_begin(struct vulkan *v, struct vulkan_timing **at, VkCommandBuffer buffer,
			struct stoker_error *err)
{
	const VkQueryPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_TIMESTAMP,
		.queryCount = STAMPS,
	};
	struct vulkan_timing *t = *at;
	VkResult result;

	if (!v->base.profile) {
		vulkan_timing_free(v, at);
		return 0;
	}
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
		result = v->vk.vkCreateQueryPool(v->device, &info, NULL, &t->pool);
		if (result != VK_SUCCESS) {
			free(t);
			return vulkan_fail(v, result, "creating a query pool", err);
		}
		*at = t;
	}
	t->buffer = buffer;
	t->count = 0;
	t->more = false;
	/* VUID-vkCmdWriteTimestamp-None-00830: "All queries used ... must be unavailable" */
	v->vk.vkCmdResetQueryPool(buffer, t->pool, 0, STAMPS);
	stamp(v, t, "", NULL);
	return 0;
}

void vulkan_timing_add(struct vulkan *v, struct vulkan_timing *t, const char *name,
		       const char *detail)
{
	if (!v->base.profile || !t)
		return;
	if (t->count + 1 < STAMPS)
		stamp(v, t, name, detail);
	else
		t->more = true;
}

void vulkan_timing_close(struct vulkan *v, struct vulkan_timing *t)
{
	if (v->base.profile && t && t->more)
		stamp(v, t, "more", NULL);
}

/* The device's clock is set against ours by the last dispatch's end, which the host has just seen.
 */
void vulkan_timing_take(struct vulkan *v, struct vulkan_timing *t)
{
	const uint64_t now = profile_now(v->base.profile);
	const double period = (double)v->limits.timestampPeriod;

	if (!v->base.profile || !t || t->count < 2 ||
	    v->vk.vkGetQueryPoolResults(v->device, t->pool, 0, t->count, sizeof(t->stamps),
					t->stamps, sizeof(*t->stamps),
					VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
		return;
	for (uint32_t i = 1; i < t->count; i++) {
		/* of as many bits as the device has, which may begin anew */
		const uint64_t last = t->stamps[t->count - 1];
		const uint64_t before = (last - t->stamps[i - 1]) & v->stamp_mask;
		const uint64_t after = (last - t->stamps[i]) & v->stamp_mask;

		profile_add(v->base.profile, PROFILE_DEVICE, t->names[i], t->details[i],
			    now - (uint64_t)(period * (double)before),
			    now - (uint64_t)(period * (double)after));
	}
}

void vulkan_timing_free(struct vulkan *v, struct vulkan_timing **t)
{
	if (!*t)
		return;
	v->vk.vkDestroyQueryPool(v->device, (*t)->pool, NULL);
	free(*t);
	*t = NULL;
}

int vulkan_profile(struct stoker_device *d, struct stoker_profile *profile,
		   struct stoker_error *err)
{
	struct vulkan *v = vulkan_of(d);

	/* VUID-vkCmdWriteTimestamp-timestampValidBits-00829: "must support a non-zero" one */
	if (profile && !v->stamp_mask)
		return stoker_fail(err, -ENOTSUP, "%s: its queue has no timestamps", v->name);
	return 0;
}
