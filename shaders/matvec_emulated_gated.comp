/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#define PAIRS
/*
 * Products with a gate for processors that emulate a GPU, which make q8 of what they compute: a
 * subgroup's outputs are 32.
 */
#include "common.glsl"

PUSH(push_matvec_gated);
#include "activations.glsl"
#include "by_lane.glsl"
#include "operands.glsl"

void run_rows(uint job, uint first)
{
	const uint row = job / p.choices, choice = job % p.choices;
	const uint id = Words(p.ids).v[if_has(HAS_IDS, min(job, p.rows * p.choices - 1))];
	const uint matrix = (p.has & HAS_IDS) != 0 ? id : choice;
	const uint64_t src = floats(p.src, uint64_t(row) * p.src_stride);
	Floats dst = Floats(floats(p.dst, uint64_t(job) * p.out_width));
	float y[ROWS], gate[ROWS];

	for (uint pass = 0; pass < 2; pass++) {
		const uint64_t weight =
			address_of(pass == 0 ? p.gate : p.weight, matrix, p.stride);
		uint64_t at[ROWS];

		[[unroll]] for (uint r = 0; r < ROWS; r++)
			at[r] = weight + uint64_t(min(output_of(first, r), p.out_width - 1)) *
						 p.row_bytes;
		multiply(at, src, y);
		[[unroll]] for (uint r = 0; r < ROWS; r++)
			if (pass == 0)
				gate[r] = y[r];
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		y[r] = activate(p.activation, gate[r], y[r]);
		if (output_of(first, r) < p.out_width)
			dst.v[output_of(first, r)] = y[r];
	}
	store_q8(p.dst_q8, (job * p.out_width + first) / 32, y, 32.0);
}

void main()
{
	for (uint first = subgroup_index() * 32; first < p.out_width; first += subgroup_total() * 32)
		for (uint job = gl_WorkGroupID.y; job < p.rows * p.choices;
		     job += gl_NumWorkGroups.y)
			run_rows(job, first);
}
