/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#define PAIRS
/*
 * Products on their way to the residual for processors that emulate a GPU: x += add_scale * dst, and
 * q8 of x * norm_weight, whose norm is left to what reads it.  A subgroup's outputs are 32.
 */
#include "common.glsl"

PUSH(push_matvec_added);
#include "by_lane.glsl"
#include "operands.glsl"

void run_rows(uint row, uint first)
{
	const float scale = Floats(p.scale).v[0];
	Floats dst = Floats(floats(p.dst, uint64_t(row) * p.out_width));
	Floats residual = Floats(floats(p.x, uint64_t(row) * p.out_width));
	float y[ROWS], squares = 0.0;
	uint64_t at[ROWS];

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		at[r] = p.weight + uint64_t(output_of(first, r)) * p.row_bytes;
	multiply(at, floats(p.src, uint64_t(row) * p.src_stride), y);
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		const uint o = output_of(first, r);

		y[r] = y[r] * scale + Floats(p.bias).v[if_has(HAS_BIAS, o)];
		dst.v[o] = y[r];

		const float x = residual.v[o] + p.add_scale * y[r];

		residual.v[o] = x;
		squares += x * x + p.eps;
		y[r] = x * Floats(p.norm_weight).v[if_has(HAS_NORM_WEIGHT, o)];
	}
	store_q8(p.x_q8, (row * p.out_width + first) / 32, y, subgroupAdd(squares));
}

void main()
{
	for (uint first = subgroup_index() * 32; first < p.out_width; first += subgroup_total() * 32)
		for (uint row = gl_WorkGroupID.y; row < p.rows; row += gl_NumWorkGroups.y)
			run_rows(row, first);
}
