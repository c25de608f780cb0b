/* SPDX-License-Identifier: MIT */
/* TQ1_0 and TQ2_0: see runtime/quant/ternary.c. */
#ifdef FORMAT_TQ1_0

FETCH(8)
FETCH(4)

/* Digit @n of each of four bytes that store five ternary digits, less 1. */
vec4 trits(uint w, uint n)
{
	const uint power = n == 0 ? 1 : n == 1 ? 3 : n == 2 ? 9 : n == 3 ? 27 : 81;
	const uvec4 x = (uvec4(w, w >> 8, w >> 16, w >> 24) & 255u) * power & 255u;

	return vec4(x * 3u >> 8) - 1.0;
}

void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 54ul * (g / 8);
	const uint j = g % 8;

	scale = vec2(half_at(at + 52));
	offset = vec2(0);
	if (j < 5) {
		uint w[8];

		fetch_8(at, w);
		[[unroll]] for (uint i = 0; i < 8; i++)
			code[i] = trits(w[i], j);
	} else {
		const uint last = word_at(at + 48);
		uint w[4];

		fetch_4(at + 32, w);
		[[unroll]] for (uint i = 0; i < 4; i++) {
			code[i] = trits(w[i], 2 * (j - 5));
			code[i + 4] = j < 7 ? trits(w[i], 2 * (j - 5) + 1) : trits(last, i);
		}
	}
}

#elif defined(FORMAT_TQ2_0)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 3

FETCH(8)

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 66ul * (g / 8);
	const uint j = g % 8;
	uint w[8];

	scale = vec2(half_at(at + 64));
	offset = -scale;
	fetch_8(at + 32 * (j / 4), w);
	[[unroll]] for (uint i = 0; i < 8; i++)
		code[i] = w[i] >> 2 * (j % 4) & 0x03030303u;
}

#endif
