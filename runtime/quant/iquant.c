// SPDX-License-Identifier: MIT
/*
 * IQ formats: groups of 4 or 8 values are codebook entries with separate sign bits; IQ4 looks
 * single values up in a non-linear table.  Block layouts are given as byte offsets.
 */
#include "quant/iq_grids.h"
#include "quant/simd.h"
#include "quant/tables.h"

/* Seven sign bits; the eighth makes their number even. */
static inline uint8_t even_signs(unsigned bits)
{
	return (uint8_t)(bits | (unsigned)__builtin_parity(bits) << 7);
}

typedef int8_t i8x8 __attribute__((vector_size(8)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));

/* Bytes of all ones where a bit of @bits is set. */
static inline i8x8 spread_bits(uint8_t bits)
{
	const uint64_t copies = bits * 0x0101010101010101u;
	const i8x8 select = { 1, 2, 4, 8, 16, 32, 64, -128 };
	i8x8 spread;

	memcpy(&spread, &copies, sizeof(spread));
	return (spread & select) == select;
}

static inline void store_signed(int8_t *codes, i8x8 v, uint8_t signs)
{
	const i8x8 negative = spread_bits(signs);

	v = (v ^ negative) - negative;
	memcpy(codes, &v, sizeof(v));
}

/* Values 8, 25, 43 of codes 0, 1, 2: 8 + 17 c + (c >> 1). */
static inline void grid8_iq2(uint16_t entry, uint8_t signs, int8_t *codes)
{
	const u16x8 shift = { 0, 2, 4, 6, 8, 10, 12, 14 };
	const u16x8 c = ((u16x8){ 0 } + entry) >> shift & 3;

	store_signed(codes, __builtin_convertvector(8 + 17 * c + (c >> 1), i8x8), signs);
}

/* Eight values of two entries with 3 bits each, 0 to 7. */
static inline u16x8 grid4_pair(uint16_t first, uint16_t second)
{
	const u16x8 shift = { 0, 3, 6, 9, 0, 3, 6, 9 };
	const u16x8 e = { first, first, first, first, second, second, second, second };

	return e >> shift & 7;
}

/* IQ2_XXS: d, then for each 32 values four entry numbers and a word of signs and scale. */
UNPACK(iq2_xxs)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 66) {
		const float d = f16_to_f32(load_u16(src));

		for (int k = 0; k < 8; k++) {
			const uint8_t *entry = src + 2 + 8 * k;
			const uint32_t w = load_u32(entry + 4);

			*scale++ = d * (0.5f + (float)(w >> 28)) * 0.25f;
			for (int l = 0; l < 4; l++, codes += 8)
				grid8_iq2(iq2xxs_grid[entry[l]], even_signs(w >> (7 * l) & 127),
					  codes);
		}
	}
}

/* IQ2_XS: d, 32 words of entry (9 bits) and signs (7), 8 bytes with a scale for each 16. */
UNPACK(iq2_xs)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 74) {
		const float d = f16_to_f32(load_u16(src));

		for (int n = 0; n < 32; n++, codes += 8) {
			const uint16_t q = load_u16(src + 2 + 2 * n);

			if (n % 2 == 0)
				*scale++ = d * 0.25f *
					   (0.5f + (float)(src[66 + n / 4] >> (2 * (n & 2)) & 15));
			grid8_iq2(iq2xs_grid[q & 511], even_signs(q >> 9), codes);
		}
	}
}

/* IQ2_S: d, 32 low bytes of entries, 32 of signs, 8 of high bits, 8 of scales. */
UNPACK(iq2_s)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 82) {
		const float d = f16_to_f32(load_u16(src));

		for (int n = 0; n < 32; n++, codes += 8) {
			const int high = src[66 + n / 4] >> (2 * (n % 4)) & 3;

			if (n % 2 == 0)
				*scale++ = d * 0.25f *
					   (0.5f + (float)(src[74 + n / 4] >> (2 * (n & 2)) & 15));
			grid8_iq2(iq2s_grid[src[2 + n] | high << 8], src[34 + n], codes);
		}
	}
}

/* IQ3_XXS: d, 64 entry numbers of 4 values, 8 words of signs and scale. */
UNPACK(iq3_xxs)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 98) {
		const float d = f16_to_f32(load_u16(src));

		for (int k = 0; k < 8; k++) {
			const uint32_t w = load_u32(src + 66 + 4 * k);

			*scale++ = d * (0.5f + (float)(w >> 28)) * 0.5f;
			for (int l = 0; l < 4; l++, codes += 8) {
				const uint8_t *entry = src + 2 + 8 * k + 2 * l;
				const u16x8 c =
					grid4_pair(iq3xxs_grid[entry[0]], iq3xxs_grid[entry[1]]);

				/* 4, 12, 20 ... 52 and then 62 */
				store_signed(codes,
					     __builtin_convertvector(
						     4 + 8 * c + ((c + 1) >> 3 << 1), i8x8),
					     even_signs(w >> (7 * l) & 127));
			}
		}
	}
}

/* IQ3_S: d, 64 low bytes of entries, 8 of high bits, 32 of signs, 4 of scales. */
UNPACK(iq3_s)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 110) {
		const float d = f16_to_f32(load_u16(src));

		for (int k = 0; k < 8; k++) {
			const int s = src[106 + k / 2] >> (4 * (k & 1)) & 15;

			*scale++ = d * (float)(1 + 2 * s);
			for (int l = 0; l < 4; l++, codes += 8) {
				const uint8_t *entry = src + 2 + 8 * k + 2 * l;
				const int high = src[66 + k] >> (2 * l);
				const u16x8 c = grid4_pair(iq3s_grid[entry[0] | (high & 1) << 8],
							   iq3s_grid[entry[1] | (high & 2) << 7]);

				store_signed(codes, __builtin_convertvector(2 * c + 1, i8x8),
					     src[74 + 4 * k + l]);
			}
		}
	}
}

/* Ternary entry plus or minus 1/8, as eighths. */
static inline void grid8_iq1(uint16_t entry, int delta, int8_t *codes)
{
	const u16x8 shift = { 0, 2, 4, 6, 8, 10, 12, 14 };
	const u16x8 c = ((u16x8){ 0 } + entry) >> shift & 3;
	const i8x8 v = __builtin_convertvector(8 * c, i8x8) + (int8_t)(delta - 8);

	memcpy(codes, &v, sizeof(v));
}

/* IQ1_S: d, 32 low bytes of entries, 8 words of high bits, scale and the sign of the delta. */
UNPACK(iq1_s)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 50) {
		const float d = f16_to_f32(load_u16(src));

		for (int k = 0; k < 8; k++) {
			const uint16_t h = load_u16(src + 34 + 2 * k);

			*scale++ = d * (float)(2 * (h >> 12 & 7) + 1) * 0.125f;
			for (int l = 0; l < 4; l++, codes += 8)
				grid8_iq1(iq1s_grid[src[2 + 4 * k + l] | (h >> (3 * l) & 7) << 8],
					  h & 0x8000 ? -1 : 1, codes);
		}
	}
}

/* IQ1_M: 32 low bytes of entries, 16 of high bits and delta signs, 4 words of 3-bit scales whose
 * top nibbles are the half float d. */
UNPACK(iq1_m)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 56) {
		uint16_t s[4], bits = 0;

		for (int i = 0; i < 4; i++) {
			s[i] = load_u16(src + 48 + 2 * i);
			bits |= (uint16_t)(s[i] >> 12 << (4 * i));
		}
		const float d = f16_to_f32(bits);

		for (int n = 0; n < 32; n++, codes += 8) {
			const int high = src[32 + n / 2] >> (4 * (n & 1)) & 15, g = n / 2;

			if (n % 2 == 0)
				*scale++ = d * 0.125f *
					   (float)(2 * (s[g / 4] >> (3 * (g % 4)) & 7) + 1);
			grid8_iq1(iq1s_grid[src[n] | (high & 7) << 8], high & 8 ? -1 : 1, codes);
		}
	}
}

/* IQ4_NL: d, 16 bytes of nibbles. */
UNPACK(iq4_nl)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 18, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		table_nibbles(iq4_values, src + 2, codes);
	}
}

/* IQ4_XS: d, 16 high bits and 4 bytes of low nibbles of the 6-bit scales, 128 bytes of nibbles. */
UNPACK(iq4_xs)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 136) {
		const float d = f16_to_f32(load_u16(src));
		const uint16_t high = load_u16(src + 2);

		for (int k = 0; k < 8; k++, codes += 32) {
			const int low = src[4 + k / 2] >> (4 * (k & 1)) & 15;

			*scale++ = d * (float)((low | (high >> (2 * k) & 3) << 4) - 32);
			table_nibbles(iq4_values, src + 8 + 16 * k, codes);
		}
	}
}
