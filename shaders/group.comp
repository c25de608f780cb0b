/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * Sorts entries by expert: one workgroup, a thread an expert counts its own, one thread adds up, and
 * each thread then lists its own in order.  Reads are the same in all threads.
 */
#include "common.glsl"

PUSH(push_group);

void main()
{
	Words ids = Words(p.ids), offsets = Words(p.offsets), list = Words(p.list);

	for (uint e = gl_LocalInvocationID.x; e < p.experts; e += gl_WorkGroupSize.x) {
		uint before = 0, count = 0;

		for (uint i = 0; i < p.count; i++) {
			const uint id = ids.v[i];

			before += id < e ? 1 : 0;
		}
		offsets.v[e] = before;
		for (uint i = 0; i < p.count; i++)
			if (ids.v[i] == e)
				list.v[before + count++] = i;
		if (e == p.experts - 1)
			offsets.v[p.experts] = before + count;
	}
}
