/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* Turns pairs by position * frequency: a thread a pair of a row, for all heads. */
#include "common.glsl"

PUSH(push_rope);

/*
 * cos and sin of a float angle up to 2^25 and beyond: its quadrant and what is left of it come from
 * the product with 2 / pi in 64-bit integers, so that nothing depends on how floats are rounded.
 */
vec2 cos_sin(float angle)
{
	const uint bits = floatBitsToUint(abs(angle));
	uint quadrant = 0;
	float r = abs(angle);

	if (r >= 0.785) {
		const uint64_t m = uint64_t((bits & 0x7fffffu) | 0x800000u);
		/* m * 2/pi * 2^39; 2/pi is 0.A2F9836E 4E441529 in hexadecimal */
		const uint64_t x = (m * 0xa2f9836eul << 7) + (m * 0x4e441529ul >> 25);
		const uint shift = uint(max(189 - int(bits >> 23), 31)); /* of the unit's place */
		const uint64_t n = (x + (1ul << (shift - 1))) >> shift;
		const int64_t left = int64_t(x - (n << shift));

		quadrant = uint(n) & 3u;
		r = float(int(left >> (shift - 30))) * 1.4629180792671596e-9; /* pi / 2 / 2^30 */
	}
	const float z = r * r;
	const float s = r + r * z * (-1.6666666e-1 + z * (8.333331e-3 + z * (-1.984126e-4 + z * 2.7525562e-6)));
	const float c = 1.0 + z * (-0.5 + z * (4.16666418e-2 + z * (-1.388676377e-3 + z * 2.44331571e-5)));
	const vec2 v = (quadrant & 1u) != 0u ? vec2(-s, c) : vec2(c, s);
	const vec2 turn = (quadrant & 2u) != 0u ? -v : v;

	return vec2(turn.x, angle < 0.0 ? -turn.y : turn.y);
}

void main()
{
	const uint position = Words(p.position).v[0];

	for (uint i = thread_index(); i < p.rows * p.pairs; i += thread_total()) {
		const uint row = i / p.pairs, pair = i % p.pairs;
		const vec2 turn =
			p.magnitude * cos_sin(float(position + row) * Floats(p.frequency).v[pair]);
		const uint apart = p.interleaved != 0 ? 1 : p.pairs;
		const uint first = p.interleaved != 0 ? 2 * pair : pair;

		for (uint h = 0; h < p.heads; h++) {
			Floats x = Floats(floats(p.x, uint64_t(row) * p.stride + h * p.head_stride + first));
			const float a = x.v[0], b = x.v[apart];

			x.v[0] = a * turn.x - b * turn.y;
			x.v[apart] = a * turn.y + b * turn.x;
		}
	}
}
