// SPDX-License-Identifier: MIT
/*
 * The simple formats: blocks of values with one half-float scale d and, in the _1 forms, a minimum
 * m.  Four-bit codes keep values 0..15 in the low nibbles and 16..31 in the high ones; one- and
 * two-bit codes lie in order, from the lowest bits of each byte up.
 */
#include "quant/simd.h"

static inline void nibbles(const uint8_t *qs, int8_t *codes, uint8_t bias)
{
	const u8x16 q = load_bytes(qs);

	store_codes(codes, q & 15, bias);
	store_codes(codes + 16, q >> 4, bias);
}

/* Sixteen bits to bytes of 0 or 255. */
static inline u8x16 spread_bits(uint32_t bits)
{
	const u8x16 select = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
	const u64x2 spread = { (bits & 255) * 0x0101010101010101u,
			       (bits >> 8 & 255) * 0x0101010101010101u };

	return (u8x16)(((u8x16)spread & select) == select);
}

static inline u8x16 fifth_bits(uint32_t bits)
{
	return spread_bits(bits) & 16;
}

/* Adds bit i of @high as bit 4 of code i. */
static inline void nibbles_and_bit(const uint8_t *qs, uint32_t high, int8_t *codes, uint8_t bias)
{
	const u8x16 q = load_bytes(qs);

	store_codes(codes, (q & 15) | fifth_bits(high), bias);
	store_codes(codes + 16, q >> 4 | fifth_bits(high >> 16), bias);
}

/* Q1_0: d, 128 bits; d where one is set, -d elsewhere. */
UNPACK(q1_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 18, codes += 128, scale += 4) {
		scale[0] = scale[1] = scale[2] = scale[3] = f16_to_f32(load_u16(src));
		for (int i = 0; i < 8; i++)
			store_codes(codes + 16 * i, spread_bits(load_u16(src + 2 + 2 * i)) & 2, 1);
	}
}

/* Q2_0: d, 64 codes of two bits; d * (q - 1). */
UNPACK(q2_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 18, codes += 64, scale += 2) {
		scale[0] = scale[1] = f16_to_f32(load_u16(src));
		for (int i = 0; i < 16; i += 4) {
			const uint8_t *q = src + 2 + i;
			const u32x4 bytes = { q[0], q[1], q[2], q[3] };
			const u32x4 apart = bytes | bytes << 6 | bytes << 12 | bytes << 18;

			store_codes(codes + 4 * i, (u8x16)apart & 3, 1);
		}
	}
}

/* Q4_0: d, 16 bytes of nibbles; d * (q - 8). */
UNPACK(q4_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 18, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		nibbles(src + 2, codes, 8);
	}
}

/* Q4_1: d, m, 16 bytes of nibbles; d * q + m. */
UNPACK(q4_1)
{
	for (size_t b = 0; b < blocks; b++, src += 20, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		offset[b] = f16_to_f32(load_u16(src + 2));
		nibbles(src + 4, codes, 0);
	}
}

/* Q5_0: d, 32 fifth bits, 16 bytes of nibbles; d * (q - 16). */
UNPACK(q5_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 22, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		nibbles_and_bit(src + 6, load_u32(src + 2), codes, 16);
	}
}

/* Q5_1: d, m, 32 fifth bits, 16 bytes of nibbles; d * q + m. */
UNPACK(q5_1)
{
	for (size_t b = 0; b < blocks; b++, src += 24, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		offset[b] = f16_to_f32(load_u16(src + 2));
		nibbles_and_bit(src + 8, load_u32(src + 4), codes, 0);
	}
}

/* Q8_0: d, 32 signed bytes. */
UNPACK(q8_0)
{
	(void)offset;
	for (size_t b = 0; b < blocks; b++, src += 34, codes += 32) {
		scale[b] = f16_to_f32(load_u16(src));
		memcpy(codes, src + 2, 32);
	}
}
