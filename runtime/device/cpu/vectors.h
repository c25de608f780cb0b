/* SPDX-License-Identifier: MIT */
/* Vectors of 16 floats, for files that are compiled once an instruction set. */
#ifndef STOKER_CPU_VECTORS_H
#define STOKER_CPU_VECTORS_H

#include "base/base.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#define HAVE_VNNI512 1
#endif

#define INLINE static inline __attribute__((always_inline))

/*
 * Asks for what is some way behind @at, in step with the reading of @bytes there.  Processors do so
 * by themselves, but begin anew on each page; much farther ahead than they are would slow them.
 */
enum { PREFETCH_BYTES = 2048 };

INLINE void prefetch_ahead(const void *at, size_t bytes)
{
	const uintptr_t ahead = (uintptr_t)at + PREFETCH_BYTES;

	for (size_t b = 0; b < bytes; b += 64)
		__builtin_prefetch((const void *)(ahead + b));
}

/* 16 floats; the compiler splits it into what the machine has. */
typedef float v16 __attribute__((vector_size(64)));
typedef float v16_unaligned __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t i16x32 __attribute__((vector_size(64)));

INLINE v16 load16(const float *p)
{
	return *(const v16_unaligned *)p;
}

INLINE void store16(float *p, v16 v)
{
	*(v16_unaligned *)p = v;
}

INLINE v16 splat(float f)
{
	return f - (v16){ 0 };
}

/* mask ? a : b, lane by lane; comparisons give masks of all ones or none */
INLINE v16 select16(i16x32 mask, v16 a, v16 b)
{
	i16x32 x, y;

	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	x = (mask & x) | (~mask & y);
	memcpy(&a, &x, sizeof(a));
	return a;
}

INLINE v16 min16(v16 a, v16 b)
{
	return select16(a < b, a, b);
}

INLINE v16 max16(v16 a, v16 b)
{
	return select16(a > b, a, b);
}

INLINE float sum16(v16 v)
{
	float s = 0;

	for (int i = 0; i < 8; i++)
		v[i] += v[i + 8];
	for (int i = 0; i < 4; i++)
		v[i] += v[i + 4];
	s = (v[0] + v[2]) + (v[1] + v[3]);
	return s;
}

INLINE bool any16(i16x32 mask)
{
#if HAVE_VNNI512
	return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#else
	int32_t all = 0;

	for (int i = 0; i < 16; i++)
		all |= mask[i];
	return all;
#endif
}

/* The sums of 16 vectors. */
INLINE v16 sums16(v16 *v)
{
#if HAVE_VNNI512
	/* neighbours' sums side by side, first in pairs of lanes, then of 128 bits */
	for (int i = 0; i < 8; i++) {
		const __m512 a = (__m512)v[2 * i], b = (__m512)v[2 * i + 1];

		v[i] = (v16)_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
	}
	for (int i = 0; i < 4; i++) {
		const __m512d a = (__m512d)v[2 * i], b = (__m512d)v[2 * i + 1];

		v[i] = (v16)_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)) +
		       (v16)_mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
	}
	for (int i = 0; i < 2; i++) {
		const __m512 a = (__m512)v[2 * i], b = (__m512)v[2 * i + 1];

		v[i] = (v16)_mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88),
					  _mm512_shuffle_f32x4(a, b, 0xdd));
	}
	return (v16)_mm512_add_ps(_mm512_shuffle_f32x4((__m512)v[0], (__m512)v[1], 0x88),
				  _mm512_shuffle_f32x4((__m512)v[0], (__m512)v[1], 0xdd));
#else
	v16 sums;

	for (int i = 0; i < 16; i++)
		sums[i] = sum16(v[i]);
	return sums;
#endif
}

#endif
