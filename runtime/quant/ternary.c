// SPDX-License-Identifier: MIT
/* TQ1_0 and TQ2_0: values -1, 0, 1 times one half float a block of 256. */
#include "quant/format.h"

static void same_scale(float *scale, float d)
{
	for (int g = 0; g < 8; g++)
		scale[g] = d;
}

/* The @n-th base-3 digit of a byte that stores five of them as a fixed-point fraction, less 1. */
static inline int8_t trit(uint8_t byte, int n)
{
	static const uint8_t power[5] = { 1, 3, 9, 27, 81 };
	const uint8_t shifted = (uint8_t)(byte * power[n]);

	return (int8_t)((shifted * 3 >> 8) - 1);
}

/* TQ1_0: qs[48] of five digits, qh[4] of four, d. */
UNPACK(tq1_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 54, scale += 8) {
		for (int n = 0; n < 5; n++)
			for (int m = 0; m < 32; m++)
				*codes++ = trit(src[m], n);
		for (int n = 0; n < 5; n++)
			for (int m = 0; m < 16; m++)
				*codes++ = trit(src[32 + m], n);
		for (int n = 0; n < 4; n++)
			for (int m = 0; m < 4; m++)
				*codes++ = trit(src[48 + m], n);
		same_scale(scale, f16_to_f32(load_u16(src + 52)));
	}
}

/* TQ2_0: qs[64] of 2-bit codes, d. */
UNPACK(tq2_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 66, scale += 8, codes += 256) {
		for (int half = 0; half < 2; half++)
			for (int part = 0; part < 4; part++)
				for (int i = 0; i < 32; i++)
					codes[128 * half + 32 * part + i] =
						(int8_t)((src[32 * half + i] >> (2 * part) & 3) -
							 1);
		same_scale(scale, f16_to_f32(load_u16(src + 64)));
	}
}
