/* SPDX-License-Identifier: MIT */
/* The 6-bit scales and minima that Q4_K and Q5_K share. */
#ifndef STOKER_QUANT_KQUANT_H
#define STOKER_QUANT_KQUANT_H

#include "quant/format.h"

/* Four bytes to floats. */
static inline void bytes_to_floats(uint32_t bytes, float factor, float *out)
{
	for (int i = 0; i < 4; i++)
		out[i] = factor * (float)(bytes >> (8 * i) & 255);
}

/*
 * A block starts with d, dmin and 12 bytes that hold eight 6-bit scales and eight minima: the first
 * four of each as the low bits of bytes 0-3 and 4-7, the others with their low nibbles in bytes
 * 8-11 and their high bits on top of the first eight bytes.
 */
static inline void kquant_scales(const uint8_t *block, float *scale, float *offset)
{
	const float d = f16_to_f32(load_u16(block)), dmin = f16_to_f32(load_u16(block + 2));
	const uint32_t a = load_u32(block + 4), b = load_u32(block + 8), c = load_u32(block + 12);

	bytes_to_floats(a & 0x3f3f3f3f, d, scale);
	bytes_to_floats((c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4, d, scale + 4);
	bytes_to_floats(b & 0x3f3f3f3f, -dmin, offset);
	bytes_to_floats((c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4, -dmin, offset + 4);
}

#endif
