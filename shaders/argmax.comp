/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* The position of each row's largest value, the first of equals; NaN is no value.  A subgroup a row. */
#include "common.glsl"

PUSH(push_argmax);

void main()
{
	for (uint row = subgroup_index(); row < p.rows; row += subgroup_total()) {
		Floats src = Floats(floats(p.src, uint64_t(row) * p.width));
		float best = -INFINITY;
		uint index = 0xffffffffu;

		for (uint c = gl_SubgroupInvocationID; c < p.width; c += gl_SubgroupSize)
			if (!is_nan(src.v[c]) && (src.v[c] > best || index == 0xffffffffu)) {
				best = src.v[c];
				index = c;
			}
		const float most = subgroupMax(best);
		const uint first = subgroupMin(best == most ? index : 0xffffffffu);

		if (gl_SubgroupInvocationID == 0)
			Words(p.ids).v[row] = first == 0xffffffffu ? 0 : first;
	}
}
