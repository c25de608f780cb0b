/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* Turns pairs by position * frequency: a thread a pair of a row, for all heads. */
#include "common.glsl"
#include "sincos.glsl"

PUSH(push_rope);

void main()
{
	for (uint i = thread_index(); i < p.rows * p.pairs; i += thread_total()) {
		const uint row = i / p.pairs, pair = i % p.pairs;
		const vec2 turn =
			p.magnitude * cos_sin(float(Places(p.places).v[row].position) *
					      Floats(p.frequency).v[pair]);
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
