// SPDX-License-Identifier: MIT
/* Device memory that passes between the dispatches of an op: it grows and is used again. */
#include "device/vulkan/scratch.h"

#include "device/vulkan/commands.h"
#include "device/vulkan/memory.h"

/* Used only while ops are recorded, which vulkan.lock is held for. */
struct vulkan_scratches {
	struct stoker_memory now[SCRATCHES];
	struct stoker_memory *retired; /* earlier ones, which recordings may still use */
	size_t retired_count;
};

int vulkan_scratch_open(struct vulkan *v, struct stoker_error *err)
{
	v->scratches = calloc(1, sizeof(*v->scratches));
	return v->scratches ? 0 : stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
}

static int grow(struct vulkan *v, struct stoker_memory *now, uint64_t bytes,
		struct stoker_error *err)
{
	struct vulkan_scratches *s = v->scratches;
	struct stoker_memory more, *retired;
	int ret;

	retired = realloc(s->retired, (s->retired_count + 1) * sizeof(*retired));
	if (!retired)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	s->retired = retired;
	/*
	 * The first is as large as is asked for, which is what a session reserves.  Later ones are
	 * at least doubled, so that all retired ones together are smaller than the present one.
	 */
	ret = vulkan_memory_create(&v->base, MAX(bytes, 2 * now->bytes), &more, err);
	if (ret)
		return ret;
	if (now->at)
		s->retired[s->retired_count++] = *now;
	*now = more;
	return 0;
}

stoker_address vulkan_scratch(struct vulkan *v, enum vulkan_scratch which, uint64_t bytes)
{
	struct stoker_memory *now = &v->scratches->now[which];
	struct stoker_error err;
	int ret;

	if (vulkan_has_failed(v) || bytes <= now->bytes)
		return now->at;
	ret = grow(v, now, bytes, &err);
	if (!ret)
		return now->at;
	vulkan_keep_failure(v, ret, &err);
	return 0;
}

int vulkan_scratch_reserve(struct vulkan *v, enum vulkan_scratch which, uint64_t bytes,
			   struct stoker_error *err)
{
	struct stoker_memory *now = &v->scratches->now[which];
	int ret = 0;

	pthread_mutex_lock(&v->lock);
	if (bytes > now->bytes)
		ret = grow(v, now, bytes, err);
	pthread_mutex_unlock(&v->lock);
	return ret;
}

void vulkan_scratch_close(struct vulkan *v)
{
	struct vulkan_scratches *s = v->scratches;

	if (!s)
		return;
	for (unsigned i = 0; i < SCRATCHES; i++)
		vulkan_memory_destroy(&v->base, &s->now[i]);
	for (size_t i = 0; i < s->retired_count; i++)
		vulkan_memory_destroy(&v->base, &s->retired[i]);
	free(s->retired);
	free(s);
}
