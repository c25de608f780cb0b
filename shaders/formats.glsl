/* SPDX-License-Identifier: MIT */
/*
 * Block decoders: the registry of runtime/quant/format.c once more, for shaders.  FORMAT is one of
 * the numbers below, GGUF's own.  The one function is
 *
 *	void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
 *
 * for values 32 g to 32 g + 31 of a row: value = scale * code + offset, where .x is for the first
 * 16 values and .y for the others.  GROUP_16 says that the two differ, AFFINE that there are
 * offsets (the constant that codes are too large by is one, too); IS_FLOAT that rows may end within
 * a group.
 *
 * Most formats have decode_words() instead, which leaves four codes in each word: unsigned ones under
 * 128 (IN_PLACE; the largest is CODE_MAX) or signed ones (SIGNED_WORDS).  For the former decode() makes code .y, .z and .w
 * 2^8, 2^16 and 2^24 times too large: they stay where they are in the word, and since powers of two
 * are exact, BYTE_PLACE can wait until later.
 *
 * Weights are read as aligned 32-bit words only; blocks of other sizes are shifted into place.
 */
#define FORMAT_F32 0
#define FORMAT_F16 1
#define FORMAT_Q4_0 2
#define FORMAT_Q4_1 3
#define FORMAT_Q5_0 6
#define FORMAT_Q5_1 7
#define FORMAT_Q8_0 8
#define FORMAT_Q2_K 10
#define FORMAT_Q3_K 11
#define FORMAT_Q4_K 12
#define FORMAT_Q5_K 13
#define FORMAT_Q6_K 14
#define FORMAT_IQ2_XXS 16
#define FORMAT_IQ2_XS 17
#define FORMAT_IQ3_XXS 18
#define FORMAT_IQ1_S 19
#define FORMAT_IQ4_NL 20
#define FORMAT_IQ3_S 21
#define FORMAT_IQ2_S 22
#define FORMAT_IQ4_XS 23
#define FORMAT_IQ1_M 29
#define FORMAT_BF16 30
#define FORMAT_TQ1_0 34
#define FORMAT_TQ2_0 35
#define FORMAT_MXFP4 39
#define FORMAT_NVFP4 40

/* The 32-bit word at any byte address. */
uint word_at(uint64_t at)
{
	Words m = Words(at & ~3ul);
	const uint shift = 8u * (uint(at) & 3u);

	return shift == 0u ? m.v[0] : m.v[0] >> shift | m.v[1] << (32u - shift);
}

/* fetch_N(): N consecutive words from any byte address on. */
#define FETCH(N)                                                                     \
	void fetch_##N(uint64_t at, out uint w[N])                                   \
	{                                                                            \
		Words m = Words(at & ~3ul);                                    \
		const uint shift = 8u * (uint(at) & 3u);                             \
		uint next;                                                           \
                                                                                     \
		[[unroll]] for (uint i = 0; i < N; i++)                              \
			w[i] = m.v[i];                                               \
		if (shift != 0u) {                                                   \
			next = m.v[N];                                               \
			[[unroll]] for (uint i = 0; i + 1 < N; i++)                  \
				w[i] = w[i] >> shift | w[i + 1] << (32u - shift);    \
			w[N - 1] = w[N - 1] >> shift | next << (32u - shift);        \
		}                                                                    \
	}

/* A byte, and the half float at an even address. */
uint byte_at(uint64_t at)
{
	return Words(at & ~3ul).v[0] >> 8u * (uint(at) & 3u) & 255u;
}

uint short_at(uint64_t at)
{
	return Words(at & ~3ul).v[0] >> 8u * (uint(at) & 2u) & 65535u;
}

float half_at(uint64_t at)
{
	return unpackHalf2x16(short_at(at)).x;
}

const vec4 BYTE_PLACE = vec4(1.0, 0.00390625, 1.52587890625e-5, 5.9604644775390625e-8);

/* The bytes of a word, all under 128, in place: see above.  Signed, since not every machine
 * converts unsigned numbers. */
vec4 bytes_in_place(uint w)
{
	return vec4(ivec4(w & uvec4(0x7fu, 0x7f00u, 0x7f0000u, 0x7f000000u)));
}

/* The bytes of a word, signed. */
vec4 signed_bytes_of(uint w)
{
	return vec4(ivec4(int(w << 24), int(w << 16), int(w << 8), int(w)) >> 24);
}

/* @v with the signs of four bits: one is minus. */
vec4 with_signs(vec4 v, uint bits)
{
	return mix(v, -v, notEqual(uvec4(bits) & uvec4(1, 2, 4, 8), uvec4(0)));
}

#include "formats/float.glsl"
#include "formats/legacy.glsl"
#include "formats/kquant.glsl"
#include "formats/iquant.glsl"
#include "formats/ternary.glsl"
#include "formats/fp4.glsl"

#if defined(IN_PLACE) || defined(SIGNED_WORDS)
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	uint word[8];

	decode_words(row, g, word, scale, offset);
	[[unroll]] for (uint i = 0; i < 8; i++)
#ifdef IN_PLACE
		code[i] = bytes_in_place(word[i]);
#else
		code[i] = signed_bytes_of(word[i]);
#endif
}
#endif

/* Values 32 g to 32 g + 31 of a row. */
void decode_values(uint64_t row, uint g, out vec4 value[8])
{
	vec2 scale, offset;

	decode(row, g, value, scale, offset);
#ifndef IS_FLOAT
#ifdef IN_PLACE
	const vec4 low = scale.x * BYTE_PLACE, high = scale.y * BYTE_PLACE;
#else
	const vec4 low = vec4(scale.x), high = vec4(scale.y);
#endif

	[[unroll]] for (uint i = 0; i < 8; i++) {
		value[i] *= i < 4 ? low : high;
#ifdef AFFINE
		value[i] += i < 4 ? offset.x : offset.y;
#endif
	}
#endif
}
