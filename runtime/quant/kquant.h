/* SPDX-License-Identifier: MIT */
/* The 6-bit scales and minima that Q4_K and Q5_K share. */
#ifndef STOKER_QUANT_KQUANT_H
#define STOKER_QUANT_KQUANT_H

#include "quant/format.h"

/* Scale @sc and minimum @mn of sub-block @j from the 12 packed bytes @s. */
static inline void kquant_scale_pair(const uint8_t *s, int j, uint8_t *sc, uint8_t *mn)
{
	if (j < 4) {
		*sc = s[j] & 63;
		*mn = s[j + 4] & 63;
	} else {
		*sc = (uint8_t)((s[j + 4] & 15) | s[j - 4] >> 6 << 4);
		*mn = (uint8_t)(s[j + 4] >> 4 | s[j] >> 6 << 4);
	}
}

/* A block starts with d, dmin and the packed bytes. */
static inline void kquant_scales(const uint8_t *block, float *scale, float *offset)
{
	const float d = f16_to_f32(load_u16(block)), dmin = f16_to_f32(load_u16(block + 2));

	for (int j = 0; j < 8; j++) {
		uint8_t sc, mn;

		kquant_scale_pair(block + 4, j, &sc, &mn);
		scale[j] = d * (float)sc;
		offset[j] = -(dmin * (float)mn);
	}
}

#endif
