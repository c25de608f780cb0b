/* SPDX-License-Identifier: MIT */
/* What 4-bit codes stand for in the formats whose nibbles index a table, and small floats. */
#ifndef STOKER_QUANT_TABLES_H
#define STOKER_QUANT_TABLES_H

#include "base/base.h"

/* IQ4_NL and IQ4_XS */
static const int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
				       1,    13,   25,	38,  53,  69,  89,  113 };
/* MXFP4 and NVFP4: twice the values of E2M1 */
static const int8_t doubled_e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* 2^(e - 128), subnormal for e < 2; 255 isn't taken as NaN, as in ggml. */
static inline float half_e8m0(uint8_t e)
{
	return float_of_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

static inline float half_ue4m3(uint8_t x)
{
	const int exponent = x >> 3 & 15, mantissa = x & 7;

	if (x == 0 || x == 0x7f)
		return 0;
	if (exponent == 0)
		return (float)mantissa * 0x1p-10f;
	return float_of_bits((uint32_t)(exponent - 8 + 127) << 23 | (uint32_t)mantissa << 20);
}

#endif
