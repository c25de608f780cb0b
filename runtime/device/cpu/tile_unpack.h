/* SPDX-License-Identifier: MIT */
/*
 * Weights that lie in tiles of 16 rows, as tiles.h says, to codes and scales of a struct tile.
 *
 * A field is there 16 times in a row, so that a vector loads the same dword of all rows, at 16
 * times its place in a reordered block: see tiles.c.
 */
#ifndef STOKER_CPU_TILE_UNPACK_H
#define STOKER_CPU_TILE_UNPACK_H

#include "device/cpu/tile_dot.h"
#include "device/cpu/tile_grid.h"
#include "device/cpu/tiles.h"
#include "quant/tables.h"

enum { TILE_PART = 32 }; /* values that are unpacked together */

/* What the format of that number, one of which there are tiles, is known for when kernels are
 * compiled. */
INLINE struct stoker_format tile_format(uint32_t id)
{
	switch (id) {
#define GRID(BYTES, GROUP, MOST, TABLE) CODES(256, BYTES, GROUP, -MOST, MOST)
#define BLOCK_none(...)
#define BLOCK_plain(ID, ...) \
	case ID:             \
		return (struct stoker_format){ .id = ID, __VA_ARGS__ };
#define BLOCK_ended BLOCK_plain
#define BLOCK_reordered BLOCK_plain
#define FORMAT(NAME, kernel, ID, file_type, shader, tiles, bytes, fields, ...) \
	BLOCK_##tiles(ID, __VA_ARGS__)
#include "quant/formats.def"
	}
	__builtin_unreachable();
}

/* Group @g of Q4_K and Q5_K, see quant/kquant.h. */
INLINE void kquant_tile_scales(const uint8_t *b, int row, int g, float *scale, float *offset)
{
	const vec d = halves(b, row), less = -halves(b + 32, row);
	const ivec s = dwords(b + 64, row), m = dwords(b + 128, row), both = dwords(b + 192, row);
	const int j = 8 * (g & 3);

	if (g < 4) {
		store(scale, d * floats(s >> j & 63));
		store(offset, less * floats(m >> j & 63));
	} else {
		store(scale, d * floats((both >> j & 15) | (s >> (j + 6) & 3) << 4));
		store(offset, less * floats((both >> (j + 4) & 15) | (m >> (j + 6) & 3) << 4));
	}
}

INLINE vec iq4_xs_tile_scale(const uint8_t *b, int row, int g)
{
	const ivec low = dwords(b + 64, row) >> (4 * g) & 15;
	lane_words high;

	memcpy(&high, b + 32 + 2 * row, sizeof(high));
	return halves(b, row) *
	       floats((low | (__builtin_convertvector(high, ivec) >> (2 * g) & 3) << 4) - 32);
}

/* Half of 2^(e - 127), see quant/fp4.c. */
INLINE vec mxfp4_tile_scale(const uint8_t *b, int row)
{
	lane_bytes rows;

	memcpy(&rows, b + row, sizeof(rows));
	const ivec e = __builtin_convertvector(rows, ivec);

	return choose(e < 2, (vec)((e * 0x00200000) + 0x00200000), (vec)((e - 1) << 23));
}

/*
 * Half of an unsigned E4M3, see quant/fp4.c, that is byte @byte of each lane: its bits lie as a
 * float's do but for the exponent.  With that made larger 0 stands for 2^-8 and what is small for
 * half as much more; floats that are as small as their bits say would take much longer.
 */
INLINE vec nvfp4_tile_scale(ivec lanes, int byte)
{
	const int left = 20 - 8 * byte;
	const ivec nan = (ivec)((byte_vec)lanes == 0x7f), e = lanes & ~nan;
	const vec f = (vec)(((left < 0 ? e >> -left : e << left) & 0x07f00000) + (119 << 23));

	return smaller(f, 2 * f - 0x1p-7f);
}

/*
 * @d times the number less @less whose @bits bits begin at bit @at of each lane.  Instead of the
 * number @d moves, which is the same for all numbers at that place.
 */
INLINE vec times_field(vec d, ivec lanes, int at, int bits, int less)
{
	const ivec field = at + bits < 32 ? lanes & ((1 << bits) - 1) << at
					  : (ivec)((uvec)lanes >> at);

	if (at + bits == 32)
		return d * floats(field - less);
	return d * (1.0f / (float)(1 << at)) * floats(field - (less << at));
}

/* Group @g of Q3_K, @span in groups of eight. */
INLINE vec q3_k_tile_scale(const uint8_t *b, int row, int span, int g)
{
	const uint8_t *scales = b + 32;
	const ivec low = dwords(scales + 64 * (g / 4), row) >> (4 * span) & 0x0f0f0f0f;
	const ivec high = dwords(scales + 128, row);
	const int left = 4 - 4 * span - 2 * (g / 4);

	return times_field(halves(b, row),
			   low | ((left < 0 ? high >> -left : high << left) & 0x30303030),
			   8 * (g & 3), 6, 32);
}

/* Parts of a block that are unpacked with what is common to them known when kernels are compiled:
 * the first one of so many is a multiple of that. */
INLINE int parts_together(uint32_t id)
{
	return id == FORMAT_TQ1_0					      ? 8
	       : id == FORMAT_Q2_K || id == FORMAT_Q3_K || id == FORMAT_TQ2_0 ? 4
	       : id == FORMAT_NVFP4 || id == FORMAT_Q6_K		      ? 2
									      : 1;
}

/* Bytes of a tile's block that are read with its first part, though they'd be a later one's share.
 */
INLINE size_t read_early(uint32_t id)
{
	return id == FORMAT_Q3_K ? 768 : 0;
}

/*
 * Of 32 values of the block of each row, which are part @first + @more of it, the groups' scales:
 * [groups][16].
 */
INLINE void unpack_scales(uint32_t id, const uint8_t *b, int first, int more, float *scale,
			  float *offset)
{
	const int part = first + more;

	for (int row = 0; row < TILE_ROWS; row += LANES)
		switch (id) {
		case FORMAT_Q4_1:
		case FORMAT_Q5_1:
			store(scale + row, halves(b, row));
			store(offset + row, halves(b + 32, row));
			break;
		case FORMAT_Q2_K:
			for (int g = 2 * more; g < 2 * more + 2; g++) {
				const ivec s = dwords(b + 64 + 32 * first + 64 * (g / 4), row) >>
					       (8 * (g & 3));
				const int at = 16 * (g & 1) + row;

				store(scale + at, halves(b, row) * floats(s & 15));
				store(offset + at, -halves(b + 32, row) * floats(s >> 4 & 15));
			}
			break;
		case FORMAT_Q3_K:
			for (int g = 0; g < 2; g++)
				store(scale + 16 * g + row,
				      q3_k_tile_scale(b, row, first / 4, 2 * more + g));
			break;
		case FORMAT_NVFP4:
			for (int g = 0; g < 2; g++)
				store(scale + 16 * g + row,
				      nvfp4_tile_scale(dwords(b, row), 2 * more + g));
			break;
		case FORMAT_Q4_K:
		case FORMAT_Q5_K:
			kquant_tile_scales(b, row, part, scale + row, offset + row);
			break;
		case FORMAT_Q6_K:
			for (int h = 0; h < 2; h++) {
				/* @first is a multiple of two */
				const int byte = 2 * more + h;
				const ivec four = dwords(b + 32 + 32 * first, row);

				store(scale + 16 * h + row,
				      halves(b, row) * floats(four << (24 - 8 * byte) >> 24));
			}
			break;
		case FORMAT_IQ4_XS:
			store(scale + row, iq4_xs_tile_scale(b, row, part));
			break;
		case FORMAT_MXFP4:
			store(scale + row, mxfp4_tile_scale(b, row));
			break;
		default:
			if (!is_grid(id)) {
				store(scale + row, halves(b, row));
				break;
			}
			store(scale + row, grid_tile_scale(id, b, row, part, 0));
			if (id == FORMAT_IQ1_M || id == FORMAT_IQ2_XS || id == FORMAT_IQ2_S)
				store(scale + 16 + row, grid_tile_scale(id, b, row, part, 1));
		}
}

INLINE byte_vec load_bytes(const uint8_t *p)
{
	return *(const byte_vec_unaligned *)p;
}

INLINE void store_codes(uint8_t *codes, byte_vec v, int more)
{
	*(byte_vec *)(void *)codes = more ? v + (uint8_t)more : v;
}

/* Each byte's bits of @mask, after those @from have been moved @to. */
INLINE byte_vec bits(byte_vec v, int from, int to, int mask)
{
	const word_vec moved = from > to ? (word_vec)v >> (from - to) : (word_vec)v << (to - from);

	return (byte_vec)moved & (uint8_t)mask;
}

/* table[v[i]] for v[i] below 16 */
INLINE byte_vec look_up(const int8_t table[16], int more, byte_vec v)
{
	uint8_t t[16];

	for (int i = 0; i < 16; i++)
		t[i] = (uint8_t)(table[i] + more);
#if HAVE_VNNI512
	return (byte_vec)_mm512_shuffle_epi8(
		_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)t)), (__m512i)v);
#elif defined(__AVX2__)
	return (byte_vec)_mm256_shuffle_epi8(
		_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)t)), (__m256i)v);
#elif defined(__aarch64__)
	return (byte_vec)vqtbl1q_u8(vld1q_u8(t), (uint8x16_t)v);
#else
	byte_vec out;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = t[v[i]];
	return out;
#endif
}

/* 32 values, a bit each: twice that. */
INLINE void one_bit_codes(const uint8_t *src, int more, uint8_t *codes)
{
	for (int at = 0; at < 512; at += (int)sizeof(byte_vec))
		store_codes(codes + at, bits(load_bytes(src + at % 64), at / 64, 1, 2), more);
}

/*
 * Of 128 values that lie in eight dwords, two bits each, those 32 that are in the @pair-th bits of
 * every byte.
 */
INLINE void pair_codes(const uint8_t *src, int pair, int more, uint8_t *codes)
{
	for (int at = 0; at < 512; at += (int)sizeof(byte_vec))
		store_codes(codes + at, bits(load_bytes(src + at), 2 * pair, 0, 3), more);
}

/* Codes of part 6 or 7 of Q3_K: two bits of @low, 6 and 7, and bit @part of @thirds. */
INLINE byte_vec q3_k_last(byte_vec low, byte_vec thirds, int part)
{
#if HAVE_VNNI512
	/* what else is moved goes with the last mask */
	const __m512i both = _mm512_ternarylogic_epi32((__m512i)((word_vec)low >> 6),
						       (__m512i)((word_vec)thirds >> (part - 2)),
						       _mm512_set1_epi8(3), 0xe4);

	return (byte_vec)both & 7;
#else
	return bits(low, 6, 0, 3) | bits(thirds, part, 2, 4);
#endif
}

/* 32 values that are part @part of a block of Q3_K: see tiles.c. */
INLINE void q3_k_codes(const uint8_t *src, int part, int more, uint8_t *codes)
{
	const uint8_t *from = src + 512 * (part < 6 ? part / 2 : part - 6);

	for (int at = 0; at < 512; at += (int)sizeof(byte_vec)) {
		const byte_vec v = load_bytes(from + at);

		store_codes(codes + at,
			    part < 6 ? bits(v, 3 * (part & 1), 0, 7)
				     : q3_k_last(v, load_bytes(src + 1024 + at), part),
			    more);
	}
}

/* 3 v / 256 for each byte */
INLINE byte_vec three_256ths(byte_vec v)
{
#if HAVE_VNNI512
	const __m512i none = _mm512_setzero_si512();
	const __m512i less = _mm512_subs_epu8((__m512i)v, _mm512_set1_epi8(1));

	return bits((byte_vec)_mm512_avg_epu8(less, _mm512_avg_epu8(less, none)), 6, 0, 3);
#elif defined(__AVX2__)
	const __m256i none = _mm256_setzero_si256();
	const __m256i less = _mm256_subs_epu8((__m256i)v, _mm256_set1_epi8(1));

	return bits((byte_vec)_mm256_avg_epu8(less, _mm256_avg_epu8(less, none)), 6, 0, 3);
#else
	return (byte_vec)((v > 85) & 1) + (byte_vec)((v > 170) & 1);
#endif
}

/* 4 @dwords values of TQ1_0, see quant/ternary.c, that are the @digit-th of their bytes. */
INLINE void digit_codes(const uint8_t *src, int dwords, int digit, int more, uint8_t *codes)
{
	for (int at = 0; at < 64 * dwords; at += (int)sizeof(byte_vec)) {
		byte_vec v = load_bytes(src + at);

		for (int i = 0; i < digit; i++)
			v += v + v;
		store_codes(codes + at, three_256ths(v), more);
	}
}

INLINE void tq1_0_codes(const uint8_t *src, int part, int more, uint8_t *codes)
{
	if (part < 5) {
		digit_codes(src, 8, part, more, codes);
		return;
	}
	for (int half = 0; half < 2; half++)
		if (2 * (part - 5) + half < 5)
			digit_codes(src + 512, 4, 2 * (part - 5) + half, more, codes + 256 * half);
	for (int digit = 0; part == 7 && digit < 4; digit++)
		digit_codes(src + 768, 1, digit, more, codes + 256 + 64 * digit);
}

/* 32 values, two bits each. */
INLINE void two_bit_codes(const uint8_t *src, int more, uint8_t *codes)
{
	for (int at = 0; at < 512; at += (int)sizeof(byte_vec))
		store_codes(codes + at,
			    bits(load_bytes(src + at / 256 * 64 + at % 64), at % 256 / 64 * 2, 0,
				 3),
			    more);
}

/* 8 @dwords values: the low nibbles of as many dwords, then the high ones. */
INLINE void nibbles_of(const uint8_t *src, int dwords, const int8_t *table, int more,
		       uint8_t *codes)
{
	for (int at = 0; at < 64 * dwords; at += (int)sizeof(byte_vec)) {
		const byte_vec q = load_bytes(src + at);
		const byte_vec low = q & 15, high = bits(q, 4, 0, 15);

		store_codes(codes + at, table ? look_up(table, more, low) : low, table ? 0 : more);
		store_codes(codes + 64 * dwords + at, table ? look_up(table, more, high) : high,
			    table ? 0 : more);
	}
}

INLINE void nibble_codes(const uint8_t *src, const int8_t *table, int more, uint8_t *codes)
{
	nibbles_of(src, 4, table, more, codes);
}

/* The same where a dword has the fifth bits. */
INLINE void fifth_codes(const uint8_t *src, const uint8_t *fifths, int more, uint8_t *codes)
{
	for (int at = 0; at < 256; at += (int)sizeof(byte_vec)) {
		const byte_vec q = load_bytes(src + at);
		const byte_vec fifth = load_bytes(fifths + at % 64);

		store_codes(codes + at, (q & 15) | bits(fifth, at / 64, 4, 16), more);
		store_codes(codes + 256 + at, bits(q, 4, 0, 15) | bits(fifth, 4 + at / 64, 4, 16),
			    more);
	}
}

/* 32 values of Q6_K: see tiles.c. */
INLINE void q6_k_codes(const uint8_t *src, int more, uint8_t *codes)
{
	for (int at = 0; at < 64; at += (int)sizeof(byte_vec)) {
		byte_vec v[6];

		for (int i = 0; i < 6; i++) {
			v[i] = load_bytes(src + 64 * i + at);
			store_codes(codes + 64 * i + at, v[i] & 63, more);
		}
		for (int i = 0; i < 2; i++)
			store_codes(codes + 64 * (6 + i) + at,
				    bits(v[3 * i], 6, 0, 3) | bits(v[3 * i + 1], 6, 2, 12) |
					    bits(v[3 * i + 2], 6, 4, 48),
				    more);
	}
}

/* The codes of these values, larger by @bias: [TILE_PART / 4][16][4]. */
INLINE void unpack_codes(uint32_t id, const uint8_t *b, int first, int more, int bias,
			 uint8_t *codes)
{
	const int part = first + more;

	switch (id) {
	case FORMAT_Q1_0:
		one_bit_codes(b + 16 * (2 + 4 * part), bias - 1, codes);
		break;
	case FORMAT_Q2_0:
		two_bit_codes(b + 16 * (2 + 8 * part), bias - 1, codes);
		break;
	case FORMAT_Q4_0:
		nibble_codes(b + 32, NULL, bias - 8, codes);
		break;
	case FORMAT_Q4_1:
		nibble_codes(b + 64, NULL, bias, codes);
		break;
	case FORMAT_Q5_0:
		fifth_codes(b + 96, b + 32, bias - 16, codes);
		break;
	case FORMAT_Q5_1:
		fifth_codes(b + 128, b + 64, bias, codes);
		break;
	case FORMAT_Q2_K:
		pair_codes(b + 16 * (4 + 16 + 8 * first), more, bias, codes);
		break;
	case FORMAT_Q3_K:
		q3_k_codes(b + 16 * 14, part, bias - 4, codes);
		break;
	case FORMAT_TQ1_0:
		tq1_0_codes(b + 32, more, bias - 1, codes);
		break;
	case FORMAT_TQ2_0:
		pair_codes(b + 16 * (2 + 8 * first), more, bias - 1, codes);
		break;
	case FORMAT_NVFP4:
		for (int half = 0; half < 2; half++)
			nibbles_of(b + 16 * (4 + 16 * part + 8 * half), 2, doubled_e2m1, bias,
				   codes + 256 * half);
		break;
	case FORMAT_Q8_0:
		for (int at = 0; at < 512; at += (int)sizeof(byte_vec))
			store_codes(codes + at, load_bytes(b + 32 + at), bias);
		break;
	case FORMAT_Q4_K:
		nibble_codes(b + 16 * (16 + 16 * part), NULL, bias, codes);
		break;
	case FORMAT_Q5_K:
		fifth_codes(b + 16 * (16 + 20 * part), b + 16 * (32 + 20 * part), bias, codes);
		break;
	case FORMAT_Q6_K:
		q6_k_codes(b + 16 * (18 + 24 * part), bias - 32, codes);
		break;
	case FORMAT_IQ4_NL:
		nibble_codes(b + 32, iq4_values, bias, codes);
		break;
	case FORMAT_IQ4_XS:
		nibble_codes(b + 16 * (8 + 16 * part), iq4_values, bias, codes);
		break;
	case FORMAT_MXFP4:
		nibble_codes(b + 16, doubled_e2m1, bias, codes);
		break;
	default:
		grid_codes(id, b, part, bias, codes);
	}
}

#endif
