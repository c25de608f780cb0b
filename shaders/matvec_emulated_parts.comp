/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* matvec_parts.comp for processors that emulate a GPU. */
#include "common.glsl"

PUSH(push_matvec_parts);
#include "by_lane.glsl"
#include "parts.glsl"

void run_rows(uint row, uint first)
{
	uint64_t at[ROWS];
	float y[ROWS];

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		at[r] = row_at(min(output_of(first, r), p.end[2] - 1));
	multiply(at, floats(p.src, uint64_t(row) * p.src_stride), y);
	[[unroll]] for (uint r = 0; r < ROWS; r++)
		if (output_of(first, r) < p.end[2])
			store(row, output_of(first, r), y[r]);
}

void main()
{
	const uint taken = ROWS * gl_SubgroupSize;

	for (uint first = subgroup_index() * taken; first < p.end[2];
	     first += subgroup_total() * taken)
		for (uint row = gl_WorkGroupID.y; row < p.rows; row += gl_NumWorkGroups.y)
			run_rows(row, first);
}
