/* SPDX-License-Identifier: MIT */
/* MXFP4 and NVFP4: see runtime/quant/fp4.c.  Codes hold twice the E2M1 value. */
#if defined(FORMAT_MXFP4) || defined(FORMAT_NVFP4)

/* 0, 1, 2, 3, 4, 6, 8, 12: mantissa bit m and exponent e give (2 + m) << (e - 1), or m for e = 0 */
vec4 doubled_e2m1(uint w)
{
	const uvec4 x = uvec4(w, w >> 8, w >> 16, w >> 24);
	const uvec4 e = x >> 1 & 3u, m = x & 1u;
	const vec4 v = vec4(mix((2u + m) << e >> 1, m, equal(e, uvec4(0))));

	return mix(v, -v, notEqual(x & 8u, uvec4(0)));
}

#ifdef FORMAT_MXFP4

FETCH(4)

void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 17ul * g;
	const uint e = byte_at(at);
	uint q[4];

	/* 2^(e - 128); under 2 it is subnormal */
	scale = vec2(uintBitsToFloat(e < 2u ? 0x00200000u << e : (e - 1u) << 23));
	offset = vec2(0);
	fetch_4(at + 1, q);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		code[i] = doubled_e2m1(q[i]);
		code[i + 4] = doubled_e2m1(q[i] >> 4);
	}
}

#else
#define GROUP_16

float half_ue4m3(uint x)
{
	const uint exponent = x >> 3 & 15u, mantissa = x & 7u;

	if (x == 0u || x == 0x7fu)
		return 0.0;
	if (exponent == 0u)
		return float(mantissa) * 0.0009765625;
	return uintBitsToFloat((exponent + 119u) << 23 | mantissa << 20);
}

void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	Words m = Words(row + 36ul * (g / 2));
	const uint half_ = g % 2, s = m.v[0] >> 16 * half_;

	scale = vec2(half_ue4m3(s & 255u), half_ue4m3(s >> 8 & 255u));
	offset = vec2(0);
	/* a sub-block of 16 is 8 bytes: low nibbles first, then the high ones */
	[[unroll]] for (uint b = 0; b < 2; b++)
		[[unroll]] for (uint i = 0; i < 2; i++) {
			const uint q = m.v[1 + 4 * half_ + 2 * b + i];

			code[4 * b + i] = doubled_e2m1(q);
			code[4 * b + 2 + i] = doubled_e2m1(q >> 4);
		}
}

#endif
#endif
