/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * Products of matrices with many rows.  Each lane owns OUTPUTS rows of weights, which it decodes once
 * for TILE rows of activations; those have the same address in all lanes, so that one load serves
 * the subgroup.  With a list of entries each matrix has its own rows: see push_matmul.
 */
#include "common.glsl"

layout(constant_id = 2) const uint TILE = 8;
layout(constant_id = 3) const uint OUTPUTS = 1;

PUSH(push_matmul);
#include "formats.glsl"

/* The index of an operand that may be missing. */
uint if_has(uint operand, uint index)
{
	return (p.has & operand) != 0 ? index : 0;
}

void run_tile(uint64_t weight, uint matrix, uint first, uint begin, uint end)
{
	const uint groups = (p.width + 31) / 32;
	uint64_t row[OUTPUTS];
	uint64_t src[TILE];
	const bool has_list = (p.has & HAS_LIST) != 0;
	uint entry[TILE];
	float sum[OUTPUTS * TILE];

	[[unroll]] for (uint o = 0; o < OUTPUTS; o++)
		row[o] = weight + uint64_t(min(first + o * gl_SubgroupSize, p.out_width - 1)) * p.row_bytes;
	[[unroll]] for (uint n = 0; n < TILE; n++) {
		const uint i = min(begin + n, end - 1);

		entry[n] = has_list ? Words(p.list).v[if_has(HAS_LIST, i)] : i;
		src[n] = floats(p.src, uint64_t(entry[n] / p.divisor) * p.src_stride);
	}
	[[unroll]] for (uint i = 0; i < OUTPUTS * TILE; i++)
		sum[i] = 0.0;
	for (uint g = 0; g < groups; g++) {
		vec4 w[OUTPUTS * 8];

		[[unroll]] for (uint o = 0; o < OUTPUTS; o++) {
			vec4 part[8];

			decode_values(row[o], g, part);
			[[unroll]] for (uint i = 0; i < 8; i++)
				w[8 * o + i] = part[i];
		}
		[[unroll]] for (uint n = 0; n < TILE; n++) {
			Vectors m = Vectors(src[n] + 128ul * g);
			vec4 y[OUTPUTS];

			[[unroll]] for (uint o = 0; o < OUTPUTS; o++)
				y[o] = vec4(0);
			[[unroll]] for (uint i = 0; i < 8; i++) {
				vec4 x = m.v[i];
#ifdef IS_FLOAT
				if (32 * g + 32 > p.width)
					x = mix(vec4(0), x,
						lessThan(32 * g + 4 * i + uvec4(0, 1, 2, 3),
							 uvec4(p.width)));
#endif
				[[unroll]] for (uint o = 0; o < OUTPUTS; o++)
					y[o] += w[8 * o + i] * x;
			}
			[[unroll]] for (uint o = 0; o < OUTPUTS; o++)
				sum[TILE * o + n] += (y[o].x + y[o].y) + (y[o].z + y[o].w);
		}
	}
	const float scale = Floats(p.scale).v[if_has(HAS_SCALE, matrix)];

	[[unroll]] for (uint o = 0; o < OUTPUTS; o++) {
		const uint out_row = first + o * gl_SubgroupSize;

		if (out_row >= p.out_width)
			break;
		const float bias =
			Floats(p.bias).v[if_has(HAS_BIAS, matrix * p.out_width + out_row)];

		[[unroll]] for (uint n = 0; n < TILE; n++)
			if (begin + n < end)
				Floats(floats(p.dst, uint64_t(entry[n]) * p.dst_stride)).v[out_row] =
					sum[TILE * o + n] * scale + bias;
	}
}

void main()
{
	const uint first =
		subgroup_index() * gl_SubgroupSize * OUTPUTS + gl_SubgroupInvocationID;
	const uint matrix = gl_WorkGroupID.z;
	const uint first_entry = Words(p.offsets).v[if_has(HAS_LIST, matrix)];
	const uint last_entry = Words(p.offsets).v[if_has(HAS_LIST, matrix + 1)];
	const uint begin = (p.has & HAS_LIST) != 0 ? first_entry : 0;
	const uint end = (p.has & HAS_LIST) != 0 ? last_entry : p.rows;

	for (uint at = begin + TILE * gl_WorkGroupID.y; at < end; at += TILE * gl_NumWorkGroups.y)
		run_tile(p.weight + matrix * p.stride, matrix, first, at, end);
}
