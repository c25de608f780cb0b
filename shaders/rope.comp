/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* Turns pairs by position * frequency: a thread a pair of a row, for all heads. */
#include "common.glsl"

PUSH(push_rope);

/*
 * cos and sin of a float angle of any size: reduced by multiples of pi / 2, whose 53-odd bits are
 * split into parts that are exact when multiplied by the quotient (under 2^16).
 */
vec2 cos_sin(float angle)
{
	const float n = round(angle * 0.636619772);
	float r = fma(n, -1.5703125, angle);

	r = fma(n, -4.837512969970703125e-4, r);
	r = fma(n, -7.549789948768648e-8, r);
	const float z = r * r;
	const float s = r + r * z * (-1.6666666e-1 + z * (8.333331e-3 + z * (-1.984126e-4 + z * 2.7525562e-6)));
	const float c = 1.0 + z * (-0.5 + z * (4.16666418e-2 + z * (-1.388676377e-3 + z * 2.44331571e-5)));
	const uint quadrant = uint(int(n)) & 3u;
	const vec2 v = (quadrant & 1u) != 0u ? vec2(-s, c) : vec2(c, s);

	return (quadrant & 2u) != 0u ? -v : v;
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
