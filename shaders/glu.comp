/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* dst[row][i] = act(gate[row][i], up[row][i]); without a gate act(up). */
#include "common.glsl"
#include "activations.glsl"

PUSH(push_glu);

void main()
{
	for (uint i = thread_index(); i < p.rows * p.width; i += thread_total()) {
		const uint row = i / p.width, c = i % p.width;
		const float u = Floats(floats(p.up, uint64_t(row) * p.up_stride)).v[c];
		const float g = Floats(floats(p.gate, uint64_t(row) * p.gate_stride)).v[c];

		Floats(p.dst).v[i] = activate(p.activation, g, u);
	}
}
