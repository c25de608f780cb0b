// SPDX-License-Identifier: MIT
/*
 * IQ formats: groups of 4 or 8 values are codebook entries with separate sign bits; IQ4 looks
 * single values up in a non-linear table.  Block layouts are given as byte offsets.
 */
#include "quant/format.h"
#include "quant/iq_grids.h"

static const int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
				       1,    13,   25,	38,  53,  69,  89,  113 };
static const int8_t iq2_values[4] = { 8, 25, 43, 0 };
static const int8_t iq3xxs_values[8] = { 4, 12, 20, 28, 36, 44, 52, 62 };

/* Seven sign bits; the eighth makes their number even. */
static inline uint8_t even_signs(unsigned bits)
{
	return (uint8_t)(bits | (unsigned)__builtin_parity(bits) << 7);
}

static inline void grid8_iq2(uint16_t entry, uint8_t signs, int8_t *codes)
{
	for (int j = 0; j < 8; j++) {
		const int8_t v = iq2_values[entry >> (2 * j) & 3];

		codes[j] = (int8_t)(signs >> j & 1 ? -v : v);
	}
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
			for (int j = 0; j < 32; j++) {
				const uint16_t entry = iq3xxs_grid[src[2 + 8 * k + j / 4]];
				const int8_t v = iq3xxs_values[entry >> (3 * (j % 4)) & 7];
				const uint8_t signs = even_signs(w >> (7 * (j / 8)) & 127);

				*codes++ = (int8_t)(signs >> (j % 8) & 1 ? -v : v);
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
			for (int j = 0; j < 32; j++) {
				const int high = src[66 + k] >> (j / 4) & 1;
				const uint16_t entry = iq3s_grid[src[2 + 8 * k + j / 4] | high << 8];
				const int v = 2 * (entry >> (3 * (j % 4)) & 7) + 1;
				const int negative = src[74 + 4 * k + j / 8] >> (j % 8) & 1;

				*codes++ = (int8_t)(negative ? -v : v);
			}
		}
	}
}

/* Ternary entry plus or minus 1/8, as eighths. */
static inline void grid8_iq1(uint16_t entry, int delta, int8_t *codes)
{
	for (int j = 0; j < 8; j++)
		codes[j] = (int8_t)(8 * ((entry >> (2 * j) & 3) - 1) + delta);
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

static inline void iq4_nibbles(const uint8_t *qs, int8_t *codes)
{
	for (int i = 0; i < 16; i++) {
		codes[i] = iq4_values[qs[i] & 15];
		codes[i + 16] = iq4_values[qs[i] >> 4];
	}
}

/* IQ4_NL: d, 16 bytes of nibbles. */
UNPACK(iq4_nl)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 18, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		iq4_nibbles(src + 2, codes);
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
			iq4_nibbles(src + 8 + 16 * k, codes);
		}
	}
}
