// SPDX-License-Identifier: MIT
/*
 * MXFP4 (OCP Microscaling 1.0: 32 E2M1 values, one E8M0 scale) and NVFP4 (64 values, one unsigned
 * E4M3 scale for each 16).  Codes hold twice the E2M1 value, scales half of theirs, all exact.
 */
#include "quant/simd.h"
#include "quant/tables.h"

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
