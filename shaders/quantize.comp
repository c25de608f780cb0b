/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* Rows of floats to 8-bit codes; a thread takes 32 values. */
#include "common.glsl"
#include "quantize.glsl"

PUSH(push_quantize);

void main()
{
	const uint groups = p.width / 32;

	for (uint i = thread_index(); i < p.rows * groups; i += thread_total()) {
		const uint row = i / groups, g = i % groups;
		Vectors src = Vectors(floats(p.src, uint64_t(row) * p.src_stride + 32 * g));
		vec4 x[8];

		[[unroll]] for (uint k = 0; k < 8; k++)
			x[k] = src.v[k];
		store_q8(q8_of(p.dst, i), x);
	}
}
