/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
/* matvec.comp for matrices that share their input, in one dispatch. */
#include "common.glsl"

PUSH(push_matvec_parts);
#include "matvec.glsl"
#include "parts.glsl"

void run_rows(uint row, uint first)
{
	uint64_t at[ROWS];
	float sum[ROWS];

	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at[r] = row_at(min(first + r, p.end[2] - 1));
		sum[r] = 0.0;
	}
	add_groups(at, floats(p.src, uint64_t(row) * p.src_stride), gl_SubgroupInvocationID,
		   gl_SubgroupSize, sum);
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		sum[r] = subgroupAdd(sum[r]);
		if (gl_SubgroupInvocationID == 0 && first + r < p.end[2])
			store(row, first + r, sum[r]);
	}
}

void main()
{
	for (uint first = subgroup_index() * ROWS; first < p.end[2];
	     first += subgroup_total() * ROWS)
		for (uint row = gl_WorkGroupID.y; row < p.rows; row += gl_NumWorkGroups.y)
			run_rows(row, first);
}
