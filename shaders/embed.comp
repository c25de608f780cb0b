/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* dst[row] = table[ids[row]] * scale: a thread decodes 32 values. */
#include "common.glsl"

PUSH(push_embed);
#include "formats.glsl"

void main()
{
	const uint groups = (p.width + 31) / 32;

	for (uint i = thread_index(); i < p.rows * groups; i += thread_total()) {
		const uint row = i / groups, g = i % groups;
		const uint id = Words(p.ids).v[row];
		Floats dst = Floats(floats(p.dst, row * p.width + 32 * g));
		vec4 value[8];

		decode_values(p.table + uint64_t(id) * p.row_bytes, g, value);
		[[unroll]] for (uint k = 0; k < 32; k++)
			if (32 * g + k < p.width)
				dst.v[k] = value[k / 4][k % 4] * p.scale;
	}
}
