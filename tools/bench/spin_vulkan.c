// SPDX-License-Identifier: MIT
/* A Vulkan device multiplies, by the shader spin.comp of this folder. */
#include "bench/spin.h"
#include "device/vulkan/record.h"
#include "device/vulkan/pipelines.h"

extern const struct stoker_shader spin_shaders[];

/* as in spin.comp */
struct push_spin {
	uint64_t dst;
	uint32_t rounds;
};

/* Multiplications and additions of a thread in each round. */
enum { ROUND = 32 };

double spin_vulkan(struct stoker_device *d, const struct spin *s)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t groups = v->emulated ? 64 : 4096;
	const struct push_spin push = { .dst = s->dst, .rounds = s->rounds };

	if (s->codes)
		return 0;
	RECORD(v, push, groups, .custom = spin_shaders, .threads = threads(v),
	       SPANS(writes(s->dst, 1)));
	return 2.0 * ROUND * (double)s->rounds * groups * threads(v);
}
