/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* matvec.comp for processors that emulate a GPU. */
#include "common.glsl"

PUSH(push_matvec);
#include "activations.glsl"
#include "by_lane.glsl"
#include "operands.glsl"

/* This lane's outputs over the terms of a job: one row of one choice. */
void add_up(uint64_t weights, uint job, uint first, out float total[ROWS])
{
	const uint row = job / p.choices, choice = job % p.choices;

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		total[r] = 0.0;
	for (uint t = 0; t < p.terms; t++) {
		/* a loop may run once more with no lane active, in which loads are real */
		const uint entry = min(job * p.terms + t, p.rows * p.choices * p.terms - 1);
		const uint id = Words(p.ids).v[if_has(HAS_IDS, entry)];
		const uint matrix = (p.has & HAS_IDS) != 0 ? id : choice;
		const uint64_t weight = address_of(weights, matrix, p.stride);
		const float factor = Floats(p.mix).v[if_has(HAS_MIX, entry)];
		const float scale = Floats(p.scale).v[if_has(HAS_SCALE, matrix)];
		uint64_t at[ROWS];
		float y[ROWS];

		[[unroll]] for (uint r = 0; r < ROWS; r++)
			at[r] = weight + uint64_t(min(output_of(first, r), p.out_width - 1)) *
						 p.row_bytes;
		multiply(at, floats(p.src, uint64_t(row) * p.src_stride + choice * p.src_choice_stride +
				    t * p.src_term_stride), y);
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const uint o = min(output_of(first, r), p.out_width - 1);
			const float bias =
				Floats(p.bias).v[if_has(HAS_BIAS, matrix * p.out_width + o)];

			total[r] += factor * (y[r] * scale + bias);
		}
	}
}

void run_rows(uint first)
{
	const bool gated = (p.has & HAS_GATE) != 0;

	for (uint job = gl_WorkGroupID.y; job < p.rows * p.choices; job += gl_NumWorkGroups.y) {
		float total[ROWS], gate[ROWS];

		for (uint pass = gated ? 0 : 1; pass < 2; pass++) {
			add_up(pass == 0 ? p.gate : p.weight, job, first, total);
			[[unroll]] for (uint r = 0; r < ROWS; r++)
				if (pass == 0)
					gate[r] = total[r];
		}
		Floats dst = Floats(floats(p.dst, uint64_t(job / p.choices) * p.dst_stride +
					   job % p.choices * p.dst_choice_stride));

		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const uint o = output_of(first, r);

			if (gated)
				total[r] = activate(p.has >> ACTIVATION_SHIFT, gate[r], total[r]);
			if (o < p.out_width)
				dst.v[o] = total[r];
		}
	}
}

void main()
{
	const uint taken = ROWS * gl_SubgroupSize;

	for (uint first = subgroup_index() * taken; first < p.out_width;
	     first += subgroup_total() * taken)
		run_rows(first);
}
