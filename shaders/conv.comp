/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * Depthwise causal convolution: a thread a channel walks over the rows, from sequence to sequence;
 * dst may be src.
 */
#include "common.glsl"

layout(constant_id = 2) const uint TAPS = 4;

PUSH(push_conv);

Floats state_of(uint slot, uint channel)
{
	return Floats(floats(p.state + slot * p.state_stride, uint64_t(channel) * (TAPS - 1)));
}

void main()
{
	Places places = Places(p.places);

	for (uint c = thread_index(); c < p.channels; c += thread_total()) {
		Floats w = Floats(floats(p.weight, uint64_t(c) * TAPS));
		uint slot = places.v[0].state;
		Floats state = state_of(slot, c);
		float window[TAPS]; /* the last is the newest */

		[[unroll]] for (uint j = 1; j < TAPS; j++)
			window[j] = state.v[j - 1];
		for (uint row = 0; row < p.rows; row++) {
			const uint of_row = places.v[row].state;
			float y = 0.0;

			if (of_row != slot) {
				Floats next = state_of(of_row, c);

				[[unroll]] for (uint j = 1; j < TAPS; j++) {
					state.v[j - 1] = window[j];
					window[j] = next.v[j - 1];
				}
				state = next;
				slot = of_row;
			}
			[[unroll]] for (uint j = 1; j < TAPS; j++)
				window[j - 1] = window[j];
			window[TAPS - 1] = Floats(floats(p.src, uint64_t(row) * p.src_stride)).v[c];
			[[unroll]] for (uint j = 0; j < TAPS; j++)
				y += w.v[j] * window[j];
			Floats(floats(p.dst, uint64_t(row) * p.dst_stride)).v[c] =
				p.silu != 0 ? y * sigmoid(y) : y;
		}
		[[unroll]] for (uint j = 1; j < TAPS; j++)
			state.v[j - 1] = window[j];
	}
}
