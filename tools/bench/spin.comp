/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* Multiplies and adds in registers and does nothing else: what a device can do at most. */
#include "common.glsl"

/* as in spin_vulkan.c */
struct push_spin {
	address dst;
	uint rounds;
};

PUSH(push_spin);

void main()
{
	vec4 acc[8];
	const float factor = 0.5 + 1e-7 * float(thread_index());

	[[unroll]] for (uint i = 0; i < 8; i++)
		acc[i] = vec4(i) * factor;
	for (uint r = 0; r < p.rounds; r++)
		[[unroll]] for (uint i = 0; i < 8; i++)
			acc[i] = fma(acc[i], vec4(factor), vec4(factor));
	[[unroll]] for (uint i = 1; i < 8; i++)
		acc[0] += acc[i];
	/* which never is */
	if (acc[0].x + acc[0].y + acc[0].z + acc[0].w == -1.0)
		Floats(p.dst).v[0] = 0.0;
}
