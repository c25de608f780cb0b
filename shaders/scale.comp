/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* x = cap * tanh(x * scale / cap), or x * scale where cap is 0. */
#include "common.glsl"

PUSH(push_scale);

void main()
{
	Floats x = Floats(p.x);

	for (uint i = thread_index(); i < p.count; i += thread_total()) {
		const float y = x.v[i] * p.scale;

		/* tanh of large values overflows on some devices */
		x.v[i] = p.cap > 0.0 ? p.cap * tanh(clamp(y / p.cap, -20.0, 20.0)) : y;
	}
}
