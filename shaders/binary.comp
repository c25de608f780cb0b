/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* Two operands, value by value: see enum binary_kind. */
#include "common.glsl"

PUSH(push_binary);

const uint ADD = 0, MUL_SIGMOID = 1, MUL_SILU = 2, MUL = 3, ADD_GATED = 4;

void main()
{
	for (uint i = thread_index(); i < p.rows * p.width; i += thread_total()) {
		const uint row = i / p.width, c = i % p.width;
		const float a = Floats(floats(p.a, uint64_t(row) * p.a_stride)).v[c];
		const float b = Floats(floats(p.b, uint64_t(row) * p.b_stride)).v[c];
		float y;

		switch (p.kind) {
		case ADD:
			y = a + p.scale * b;
			break;
		case MUL_SIGMOID:
			y = a * sigmoid(b);
			break;
		case MUL_SILU:
			y = a * b * sigmoid(b);
			break;
		case MUL:
			y = a * b;
			break;
		default:
			y = a + sigmoid(Floats(p.gate).v[row]) * b;
			break;
		}
		Floats(floats(p.dst, uint64_t(row) * p.dst_stride)).v[c] = y;
	}
}
