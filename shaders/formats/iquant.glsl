/* SPDX-License-Identifier: MIT */
/*
 * IQ formats: see runtime/quant/iquant.c.  Codebooks are in device memory, two 16-bit entries a
 * word.  A group is four groups of eight values.
 */
#if defined(FORMAT_IQ4_NL) || defined(FORMAT_IQ4_XS)

/* The table of 16 signed values, four a word. */
float iq4_value(uint q)
{
	const uint w = q < 8u ? q < 4u ? 0xbfad9881u : 0xf6eaddcfu
			      : q < 12u ? 0x26190d01u : 0x71594535u;

	return float(int(w << (24u - 8u * (q & 3u))) >> 24);
}

vec4 iq4_values(uint w)
{
	return vec4(iq4_value(w & 15u), iq4_value(w >> 8 & 15u), iq4_value(w >> 16 & 15u),
		    iq4_value(w >> 24 & 15u));
}

FETCH(4)

void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	uint q[4];

#ifdef FORMAT_IQ4_NL
	scale = vec2(half_at(row + 18ul * g));
	fetch_4(row + 18ul * g + 2, q);
#else
	const uint64_t at = row + 136ul * (g / 8);
	Words m = Words(at);
	const uint j = g % 8, head = m.v[0];
	const uint s = (m.v[1] >> 4 * j & 15u) | (head >> (16 + 2 * j) & 3u) << 4;

	scale = vec2(unpackHalf2x16(head).x * (float(s) - 32.0));
	fetch_4(at + 8 + 16 * j, q);
#endif
	offset = vec2(0);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		code[i] = iq4_values(q[i]);
		code[i + 4] = iq4_values(q[i] >> 4);
	}
}

#elif defined(FORMAT_IQ1_S) || defined(FORMAT_IQ1_M) || defined(FORMAT_IQ2_XXS) || \
	defined(FORMAT_IQ2_XS) || defined(FORMAT_IQ2_S) || defined(FORMAT_IQ3_XXS) || \
	defined(FORMAT_IQ3_S)
#if defined(FORMAT_IQ1_M) || defined(FORMAT_IQ2_XS) || defined(FORMAT_IQ2_S)
#define GROUP_16
#endif

uint codebook(uint i)
{
	return Words(p.codebook).v[i >> 1] >> 16 * (i & 1u) & 65535u;
}

/* Seven sign bits; the eighth makes their number even. */
uint even_signs(uint bits)
{
	bits &= 127u;
	return bits | uint(bitCount(bits) & 1) << 7;
}

/* Values 8, 25, 43 of 2-bit codes 0, 1, 2. */
vec4 grid_iq2(uint entry)
{
	const uvec4 c = uvec4(entry, entry >> 2, entry >> 4, entry >> 6) & 3u;

	return vec4(8u + 17u * c + (c >> 1));
}

uvec4 grid_iq3(uint entry)
{
	return uvec4(entry, entry >> 3, entry >> 6, entry >> 9) & 7u;
}

FETCH(2)

#ifdef FORMAT_IQ2_XXS
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint b = g / 8, k = g % 8;

	offset = vec2(0);
	const uint64_t at = row + 66ul * b;
	uint w[2];

	fetch_2(at + 2 + 8 * k, w);
	scale = vec2(half_at(at) * (0.5 + float(w[1] >> 28)) * 0.25);
	[[unroll]] for (uint l = 0; l < 4; l++) {
		const uint entry = codebook(w[0] >> 8 * l & 255u), signs = even_signs(w[1] >> 7 * l);

		code[2 * l] = with_signs(grid_iq2(entry), signs);
		code[2 * l + 1] = with_signs(grid_iq2(entry >> 8), signs >> 4);
	}
}
#elif defined(FORMAT_IQ2_XS)
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint b = g / 8, k = g % 8;

	offset = vec2(0);
	const uint64_t at = row + 74ul * b;
	const uint s = byte_at(at + 66 + k);
	uint w[2];

	fetch_2(at + 2 + 8 * k, w);
	scale = half_at(at) * 0.25 * (0.5 + vec2(s & 15u, s >> 4));
	[[unroll]] for (uint l = 0; l < 4; l++) {
		const uint q = w[l / 2] >> 16 * (l & 1) & 65535u;
		const uint entry = codebook(q & 511u), signs = even_signs(q >> 9);

		code[2 * l] = with_signs(grid_iq2(entry), signs);
		code[2 * l + 1] = with_signs(grid_iq2(entry >> 8), signs >> 4);
	}
}
#elif defined(FORMAT_IQ2_S)
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint b = g / 8, k = g % 8;

	offset = vec2(0);
	const uint64_t at = row + 82ul * b;
	const uint low = word_at(at + 2 + 4 * k), signs = word_at(at + 34 + 4 * k);
	const uint high = byte_at(at + 66 + k), s = byte_at(at + 74 + k);

	scale = half_at(at) * 0.25 * (0.5 + vec2(s & 15u, s >> 4));
	[[unroll]] for (uint l = 0; l < 4; l++) {
		const uint entry =
			codebook((low >> 8 * l & 255u) | (high >> 2 * l & 3u) << 8);

		code[2 * l] = with_signs(grid_iq2(entry), signs >> 8 * l);
		code[2 * l + 1] = with_signs(grid_iq2(entry >> 8), signs >> (8 * l + 4));
	}
}
#elif defined(FORMAT_IQ3_XXS)
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint b = g / 8, k = g % 8;

	offset = vec2(0);
	const uint64_t at = row + 98ul * b;
	const uint w = word_at(at + 66 + 4 * k);
	uint entries[2];

	fetch_2(at + 2 + 8 * k, entries);
	scale = vec2(half_at(at) * (0.5 + float(w >> 28)) * 0.5);
	[[unroll]] for (uint i = 0; i < 8; i++) {
		const uvec4 c = grid_iq3(codebook(entries[i / 4] >> 8 * (i % 4) & 255u));

		code[i] = with_signs(vec4(4u + 8u * c + ((c + 1u) >> 3 << 1)),
				     even_signs(w >> 7 * (i / 2)) >> 4 * (i & 1));
	}
}
#elif defined(FORMAT_IQ3_S)
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint b = g / 8, k = g % 8;

	offset = vec2(0);
	const uint64_t at = row + 110ul * b;
	const uint high = byte_at(at + 66 + k), signs = word_at(at + 74 + 4 * k);
	const uint s = byte_at(at + 106 + k / 2) >> 4 * (k & 1) & 15u;
	uint entries[2];

	fetch_2(at + 2 + 8 * k, entries);
	scale = vec2(half_at(at) * float(1u + 2u * s));
	[[unroll]] for (uint i = 0; i < 8; i++) {
		const uint low = entries[i / 4] >> 8 * (i % 4) & 255u;
		const uvec4 c = grid_iq3(codebook(low | (high >> i & 1u) << 8));

		code[i] = with_signs(vec4(2u * c + 1u), signs >> 4 * i);
	}
}
#else
/* IQ1: ternary entries plus or minus an eighth, as eighths */
void decode(uint64_t row, uint g, out vec4 code[8], out vec2 scale, out vec2 offset)
{
	const uint b = g / 8, k = g % 8;

	offset = vec2(0);
#ifdef FORMAT_IQ1_S
	const uint64_t at = row + 50ul * b;
	const uint h = short_at(at + 34 + 2 * k), low = word_at(at + 2 + 4 * k);

	scale = vec2(half_at(at) * float(2u * (h >> 12 & 7u) + 1u) * 0.125);
#else
	const uint64_t at = row + 56ul * b;
	const uint s01 = word_at(at + 48), s23 = word_at(at + 52), low = word_at(at + 4 * k);
	const uint bits = (s01 >> 12 & 15u) | (s01 >> 28) << 4 | (s23 >> 12 & 15u) << 8 |
			  (s23 >> 28) << 12;
	const uint s = (k < 4 ? s01 : s23) >> (16 * (k / 2 & 1) + 6 * (k & 1));
	const uint h = short_at(at + 32 + 2 * k);

	scale = unpackHalf2x16(bits).x * 0.125 *
		vec2(2u * (s & 7u) + 1u, 2u * (s >> 3 & 7u) + 1u);
#endif
	[[unroll]] for (uint l = 0; l < 4; l++) {
#ifdef FORMAT_IQ1_S
		const uint entry = codebook((low >> 8 * l & 255u) | (h >> 3 * l & 7u) << 8);
		const float delta = (h & 0x8000u) != 0u ? -9.0 : -7.0;
#else
		const uint entry = codebook((low >> 8 * l & 255u) | (h >> 4 * l & 7u) << 8);
		const float delta = (h >> 4 * l & 8u) != 0u ? -9.0 : -7.0;
#endif
		const uvec4 c0 = uvec4(entry, entry >> 2, entry >> 4, entry >> 6) & 3u;
		const uvec4 c1 = uvec4(entry >> 8, entry >> 10, entry >> 12, entry >> 14) & 3u;

		code[2 * l] = 8.0 * vec4(c0) + delta;
		code[2 * l + 1] = 8.0 * vec4(c1) + delta;
	}
}
#endif

#endif
