/* SPDX-License-Identifier: MIT */
/* F32, F16 and BF16: groups are 32 values; those behind the row's end are zeros. */
#if defined(FORMAT_F32) || defined(FORMAT_F16) || defined(FORMAT_BF16)
#define IS_FLOAT

FETCH(16)

void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	scale = vec2(1);
	offset = vec2(0);
#ifdef FORMAT_F32
	Vectors m = Vectors(row + 128ul * g);

	[[unroll]] for (uint i = 0; i < 8; i++)
		code[i] = m.v[i];
#else
	uint w[16];

	fetch_16(row + 64ul * g, w);
	[[unroll]] for (uint i = 0; i < 8; i++)
#ifdef FORMAT_F16
		code[i] = vec4(unpackHalf2x16(w[2 * i]), unpackHalf2x16(w[2 * i + 1]));
#else
		code[i] = uintBitsToFloat(uvec4(w[2 * i] << 16, w[2 * i] & 0xffff0000u,
						w[2 * i + 1] << 16, w[2 * i + 1] & 0xffff0000u));
#endif
#endif
	if (32 * g + 32 > p.width) {
		[[unroll]] for (uint i = 0; i < 8; i++)
			code[i] = mix(vec4(0), code[i],
				      lessThan(32 * g + 4 * i + uvec4(0, 1, 2, 3), uvec4(p.width)));
	}
}

#endif
