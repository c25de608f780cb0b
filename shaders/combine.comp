/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* dst[row] = sum over k of weights[row][k] * src[row][k], in the order of k. */
#include "common.glsl"

PUSH(push_combine);

void main()
{
	for (uint i = thread_index(); i < p.rows * p.width; i += thread_total()) {
		const uint row = i / p.width, column = i % p.width;
		float sum = 0.0;

		for (uint k = 0; k < p.used; k++) {
			const uint entry = row * p.used + k;

			sum += Floats(p.weights).v[entry] *
			       Floats(floats(p.src, uint64_t(entry) * p.width)).v[column];
		}
		Floats(p.dst).v[i] = sum;
	}
}
