/* SPDX-License-Identifier: MIT */
/* Sixteen bytes at a time, in what the compiler offers for every machine. */
#ifndef STOKER_QUANT_SIMD_H
#define STOKER_QUANT_SIMD_H

#include "quant/format.h"

#if defined(__SSSE3__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));

static inline u8x16 load_bytes(const uint8_t *p)
{
	u8x16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_codes(int8_t *codes, u8x16 v, uint8_t bias)
{
	v -= bias;
	memcpy(codes, &v, sizeof(v));
}

/* table[index[i]] for indices below 16 */
static inline u8x16 look_up(const int8_t table[16], u8x16 index)
{
	const u8x16 t = load_bytes((const uint8_t *)table);

#if defined(__SSSE3__)
	return (u8x16)_mm_shuffle_epi8((__m128i)t, (__m128i)index);
#elif defined(__aarch64__)
	return (u8x16)vqtbl1q_u8((uint8x16_t)t, (uint8x16_t)index);
#else
	u8x16 v = { 0 };

	for (int i = 0; i < 16; i++)
		v[i] = t[index[i] & 15];
	return v;
#endif
}

/* Codes of a 32-value block whose nibbles index a table, low nibbles first. */
static inline void table_nibbles(const int8_t table[16], const uint8_t *qs, int8_t *codes)
{
	const u8x16 q = load_bytes(qs);

	store_codes(codes, look_up(table, q & 15), 0);
	store_codes(codes + 16, look_up(table, q >> 4), 0);
}

#endif
