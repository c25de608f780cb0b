// SPDX-License-Identifier: MIT
/*
 * K-quants: super-blocks of 256 values whose sub-blocks of 16 or 32 have small integer scales (and
 * minima), multiplied by one or two half floats of the super-block.
 */
#include "quant/kquant.h"

/* Q2_K: scales[16] (low nibble scale, high nibble minimum), qs[64] (2 bits), d, dmin. */
UNPACK(q2_k)
{
	for (size_t b = 0; b < blocks; b++, src += 84, codes += 256, scale += 16, offset += 16) {
		const float d = f16_to_f32(load_u16(src + 80));
		const float dmin = f16_to_f32(load_u16(src + 82));

		for (int g = 0; g < 16; g++) {
			scale[g] = d * (float)(src[g] & 15);
			offset[g] = -(dmin * (float)(src[g] >> 4));
		}
		for (int half = 0; half < 2; half++)
			for (int part = 0; part < 4; part++)
				for (int i = 0; i < 32; i++)
					codes[128 * half + 32 * part + i] =
						(int8_t)(src[16 + 32 * half + i] >> (2 * part) & 3);
	}
}

/* Q3_K: hmask[32] (third bit, inverted: clear means -4), qs[64], scales[12] (6 bits), d. */
UNPACK(q3_k)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 110, codes += 256, scale += 16) {
		const uint8_t *s = src + 96;
		const float d = f16_to_f32(load_u16(src + 108));

		for (int g = 0; g < 16; g++) {
			const int low = s[g % 8] >> (4 * (g / 8)) & 15;
			const int high = s[8 + g % 4] >> (2 * (g / 4)) & 3;

			scale[g] = d * (float)((low | high << 4) - 32);
		}
		for (int part = 0; part < 8; part++)
			for (int i = 0; i < 32; i++) {
				const int q = src[32 + 32 * (part / 4) + i] >> (2 * (part % 4)) & 3;

				codes[32 * part + i] = (int8_t)(q - 4 + 4 * (src[i] >> part & 1));
			}
	}
}

/* Q4_K: d, dmin, scales[12], qs[128]; each 32 bytes hold two sub-blocks, low nibbles first. */
UNPACK(q4_k)
{
	for (size_t b = 0; b < blocks; b++, src += 144, codes += 256, scale += 8, offset += 8) {
		kquant_scales(src, scale, offset);
		for (int pair = 0; pair < 4; pair++)
			for (int i = 0; i < 32; i++) {
				const uint8_t q = src[16 + 32 * pair + i];

				codes[64 * pair + i] = q & 15;
				codes[64 * pair + 32 + i] = (int8_t)(q >> 4);
			}
	}
}

/* Q5_K: as Q4_K with qh[32] before qs: bit j of qh[i] is the fifth bit of sub-block j, value i. */
UNPACK(q5_k)
{
	for (size_t b = 0; b < blocks; b++, src += 176, codes += 256, scale += 8, offset += 8) {
		kquant_scales(src, scale, offset);
		for (int j = 0; j < 8; j++)
			for (int i = 0; i < 32; i++) {
				const int q = src[48 + 32 * (j / 2) + i] >> (4 * (j & 1)) & 15;

				codes[32 * j + i] = (int8_t)(q | (src[16 + i] >> j & 1) << 4);
			}
	}
}

/* Q6_K: ql[128] (low 4 bits), qh[64] (high 2), scales[16] (signed), d; d * s * (q - 32). */
UNPACK(q6_k)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 210, codes += 256, scale += 16) {
		const float d = f16_to_f32(load_u16(src + 208));

		for (int g = 0; g < 16; g++)
			scale[g] = d * (float)(int8_t)src[192 + g];
		for (int half = 0; half < 2; half++) {
			const uint8_t *ql = src + 64 * half, *qh = src + 128 + 32 * half;
			int8_t *c = codes + 128 * half;

			for (int i = 0; i < 32; i++) {
				c[i] = (int8_t)(((ql[i] & 15) | (qh[i] & 3) << 4) - 32);
				c[i + 32] =
					(int8_t)(((ql[i + 32] & 15) | (qh[i] >> 2 & 3) << 4) - 32);
				c[i + 64] = (int8_t)((ql[i] >> 4 | (qh[i] >> 4 & 3) << 4) - 32);
				c[i + 96] = (int8_t)((ql[i + 32] >> 4 | qh[i] >> 6 << 4) - 32);
			}
		}
	}
}
