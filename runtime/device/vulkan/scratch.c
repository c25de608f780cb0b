// SPDX-License-Identifier: MIT
/* Device memory that passes between the dispatches of an op: it grows and is used again. */
#include "device/vulkan/vulkan.h"

stoker_address vulkan_scratch(struct vulkan *v, enum vulkan_scratch which, uint64_t bytes)
{
	struct stoker_memory more, *retired, *scratch = &v->scratch[which];

	if (v->failed || bytes <= scratch->bytes)
		return scratch->at;
	retired = realloc(v->retired, (v->retired_count + 1) * sizeof(*retired));
	if (!retired) {
		v->failed = stoker_fail(&v->failure, -ENOMEM, "%s: out of memory", v->name);
		return 0;
	}
	v->retired = retired;
	/* at least doubled, so that all retired ones together are smaller than the present one */
	v->failed =
		vulkan_memory_create(&v->base, MAX(bytes, 2 * scratch->bytes), &more, &v->failure);
	if (v->failed)
		return 0;
	if (scratch->at)
		v->retired[v->retired_count++] = *scratch;
	*scratch = more;
	return more.at;
}

void vulkan_scratch_close(struct vulkan *v)
{
	for (unsigned i = 0; i < VULKAN_SCRATCHES; i++)
		vulkan_memory_destroy(&v->base, &v->scratch[i]);
	for (size_t i = 0; i < v->retired_count; i++)
		vulkan_memory_destroy(&v->base, &v->retired[i]);
	free(v->retired);
}
