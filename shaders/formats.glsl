/* SPDX-License-Identifier: MIT */
/*
 * Block decoders of the formats in runtime/quant/formats.def; FORMAT_Q4_0, for instance, is defined
 * where shaders are compiled for Q4_0.  The one function is
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
