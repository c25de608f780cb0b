/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * Rows of floats to 8-bit codes: a thread makes ten words of 32 values: the codes, four a word, their
 * scale, and the sum of the codes times it.  A value that isn't finite makes the scale NaN.
 */
#include "common.glsl"

PUSH(push_quantize);

void main()
{
	const uint groups = p.width / 32;

	for (uint i = thread_index(); i < p.rows * groups; i += thread_total()) {
		const uint row = i / groups, g = i % groups;
		Vectors src = Vectors(floats(p.src, uint64_t(row) * p.src_stride + 32 * g));
		Words dst = Words(p.dst + 40ul * i);
		vec4 x[8], most = vec4(0);
		bool finite = true;
		int sum = 0;

		[[unroll]] for (uint k = 0; k < 8; k++) {
			x[k] = src.v[k];
			most = max(most, abs(x[k]));
			finite = finite && is_finite(x[k].x) && is_finite(x[k].y) &&
				 is_finite(x[k].z) && is_finite(x[k].w);
		}
		const float largest = max(max(most.x, most.y), max(most.z, most.w));
		const float inverse = finite && largest >= 1e-36 ? 127.0 / largest : 0.0;
		const float scale = !finite ? uintBitsToFloat(0x7fc00000u)
					    : largest >= 1e-36 ? largest / 127.0 : 0.0;

		[[unroll]] for (uint k = 0; k < 8; k++) {
			const ivec4 q = finite ? ivec4(roundEven(x[k] * inverse)) : ivec4(0);

			sum += q.x + q.y + q.z + q.w;
			dst.v[k] = (uint(q.x) & 255u) | (uint(q.y) & 255u) << 8 |
				   (uint(q.z) & 255u) << 16 | uint(q.w) << 24;
		}
		dst.v[8] = floatBitsToUint(scale);
		dst.v[9] = floatBitsToUint(scale * float(sum));
	}
}
