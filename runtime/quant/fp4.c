// SPDX-License-Identifier: MIT
/*
 * MXFP4 (OCP Microscaling 1.0: 32 E2M1 values, one E8M0 scale) and NVFP4 (64 values, one unsigned
 * E4M3 scale for each 16).  Codes hold twice the E2M1 value, scales half of theirs, all exact.
 */
#include "quant/simd.h"
#include "quant/tables.h"

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

/* MXFP4: e, 16 bytes of nibbles (low ones first). */
UNPACK(mxfp4)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 17, codes += 32) {
		scale[b] = half_e8m0(src[0]);
		table_nibbles(doubled_e2m1, src + 1, codes);
	}
}

/* NVFP4: four scales, four sub-blocks of 8 bytes. */
UNPACK(nvfp4)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 36, codes += 64, scale += 4) {
		for (int s = 0; s < 4; s++)
			scale[s] = half_ue4m3(src[s]);
		/* a sub-block is 8 low nibbles, then 8 high ones: two of them share 16 bytes */
		for (int half = 0; half < 2; half++) {
			const u8x16 q = load_bytes(src + 4 + 16 * half);
			const u64x2 low = (u64x2)look_up(doubled_e2m1, q & 15);
			const u64x2 high = (u64x2)look_up(doubled_e2m1, q >> 4);

			store_codes(codes + 32 * half, (u8x16)(u64x2){ low[0], high[0] }, 0);
			store_codes(codes + 32 * half + 16, (u8x16)(u64x2){ low[1], high[1] }, 0);
		}
	}
}
