/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * The gated delta rule: see struct op_delta_net.  Columns of a head's state don't meet, so a thread
 * walks one of them over the rows.
 */
#include "common.glsl"

PUSH(push_delta_net);

float softplus(float x)
{
	return x > 20.0 ? x : log(1.0 + exp(x));
}

void main()
{
	for (uint i = thread_index(); i < p.value_heads * p.size; i += thread_total()) {
		const uint head = i / p.size, column = i % p.size;
		const uint key_head = p.grouped != 0 ? head / (p.value_heads / p.key_heads)
						     : head % p.key_heads;
		const float a = Floats(p.a).v[head], dt = Floats(p.dt).v[head];

		for (uint row = 0; row < p.rows; row++) {
			const uint64_t slot = p.state + Places(p.places).v[row].state * p.state_stride;
			Floats state =
				Floats(floats(slot, uint64_t(head) * p.size * p.size + column));
			const uint64_t first = uint64_t(row) * p.qkv_stride;
			Floats q = Floats(floats(p.q, first + key_head * p.size));
			Floats k = Floats(floats(p.k, first + key_head * p.size));
			const float v = Floats(floats(p.v, first + head * p.size)).v[column];
			const uint gate = row * p.value_heads + head;
			const float decay = exp(softplus(Floats(p.alpha).v[gate] + dt) * a);
			const float beta = sigmoid(Floats(p.beta).v[gate]);
			float change = v, y = 0.0;

			for (uint c = 0; c < p.size; c++)
				change -= k.v[c] * (decay * state.v[c * p.size]);
			change *= beta;
			for (uint c = 0; c < p.size; c++) {
				const float s = decay * state.v[c * p.size] + k.v[c] * change;

				state.v[c * p.size] = s;
				y += q.v[c] * s;
			}
			Floats(floats(p.dst, uint64_t(row) * p.dst_stride + head * p.size)).v[column] =
				y * inversesqrt(float(p.size));
		}
	}
}
