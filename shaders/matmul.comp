/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * Products of matrices with many rows.  Each lane owns OUTPUTS rows of weights, which it decodes once
 * for TILE rows of activations.  Those are the same for all lanes: where the subgroup's size is known
 * lanes load a part each and pass it on, elsewhere each lane loads all.  With a list of entries each
 * matrix has its own rows: see push_matmul.
 */
#include "common.glsl"

layout(constant_id = 2) const uint TILE = 8;
layout(constant_id = 3) const uint OUTPUTS = 1;
layout(constant_id = 4) const uint LANES = 0; /* of a subgroup: a power of two up to 64, or 0 */
const uint PARTS = LANES == 0 ? 1 : 32 * TILE / LANES;

PUSH(push_matmul);
#include "formats.glsl"
#include "operands.glsl"

/* Value @k of group @g of a row; zero behind the row's end. */
float activation(uint64_t src, uint g, uint k)
{
#ifdef IS_FLOAT
	return 32 * g + k < p.width ? Floats(src).v[32 * g + k] : 0.0;
#else
	return Floats(src).v[32 * g + k];
#endif
}

void run_tile(uint64_t weight, uint matrix, uint first, uint begin, uint end)
{
	const uint groups = (p.width + 31) / 32;
	const bool has_list = (p.has & HAS_LIST) != 0;
	uint64_t row[OUTPUTS];
	uint64_t src[TILE];
	uint entry[TILE];
	float sum[OUTPUTS * TILE];

	[[unroll]] for (uint o = 0; o < OUTPUTS; o++)
		row[o] = weight + uint64_t(min(first + o * gl_SubgroupSize, p.out_width - 1)) * p.row_bytes;
	[[unroll]] for (uint n = 0; n < TILE; n++) {
		const uint i = min(begin + n, max(end, 1u) - 1);

		entry[n] = has_list ? Words(p.list).v[if_has(HAS_LIST, i)] : i;
		src[n] = floats(p.src, uint64_t(entry[n] / p.divisor) * p.src_stride);
	}
	[[unroll]] for (uint i = 0; i < OUTPUTS * TILE; i++)
		sum[i] = 0.0;
	for (uint g = 0; g < groups; g++) {
		vec4 w[OUTPUTS * 8];
		float part[PARTS]; /* value 32 n + k of the tile is in lane (32 n + k) % LANES */

		[[unroll]] for (uint o = 0; o < OUTPUTS; o++) {
			vec4 value[8];

			decode_values(row[o], g, value);
			[[unroll]] for (uint i = 0; i < 8; i++)
				w[8 * o + i] = value[i];
		}
		if (LANES > 0) {
			[[unroll]] for (uint j = 0; j < PARTS; j++) {
				const uint n = j * LANES / 32; /* with 64 lanes n + 1 is in the upper half */
				const uint64_t at = LANES > 32 && gl_SubgroupInvocationID >= 32
					? src[min(n + 1, TILE - 1)] : src[n];

				part[j] = activation(at, g, (j * LANES + gl_SubgroupInvocationID) % 32);
			}
		}
		[[unroll]] for (uint n = 0; n < TILE; n++)
			[[unroll]] for (uint k = 0; k < 32; k++) {
				const uint i = 32 * n + k;
				const float x = LANES > 0
					? subgroupShuffle(part[LANES > 0 ? i / LANES : 0],
							  LANES > 0 ? i % LANES : 0)
					: activation(src[n], g, k);

				[[unroll]] for (uint o = 0; o < OUTPUTS; o++)
					sum[TILE * o + n] =
						fma(w[8 * o + k / 4][k % 4], x, sum[TILE * o + n]);
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
	const uint step = gl_SubgroupSize * OUTPUTS;
	const uint matrix = gl_WorkGroupID.z;
	const uint first_entry = Words(p.offsets).v[if_has(HAS_LIST, matrix)];
	const uint last_entry = Words(p.offsets).v[if_has(HAS_LIST, matrix + 1)];
	const uint begin = (p.has & HAS_LIST) != 0 ? first_entry : 0;
	const uint end = (p.has & HAS_LIST) != 0 ? last_entry : p.rows;

	for (uint at = begin + TILE * gl_WorkGroupID.y; at < end; at += TILE * gl_NumWorkGroups.y)
		for (uint first = subgroup_index() * step; first < p.out_width;
		     first += subgroup_total() * step)
			run_tile(address_of(p.weight, matrix, p.stride), matrix,
				 first + gl_SubgroupInvocationID, at, end);
}
