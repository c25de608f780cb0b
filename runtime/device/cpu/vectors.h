/* SPDX-License-Identifier: MIT */
/* Vectors of floats, for files that are compiled once an instruction set. */
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
#elif defined(__AVXVNNI__)
#define HAVE_VNNI256 1
#endif

#if (defined(__AVX2__) && defined(__F16C__)) || defined(__aarch64__)
#define HAVE_HALVES 1 /* they can be loaded as floats at once */
#else
#define HAVE_HALVES 0
#endif

/*
 * Kernels are made of small functions whose arguments are constant where they're called.  With what
 * sanitizers add to each copy, compilers would take minutes a file.
 */
#ifdef STOKER_SANITIZED
#define INLINE static inline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

/* Asks for what will be read some time later. */
INLINE void prefetch_at(uintptr_t at, size_t bytes)
{
	for (size_t b = 0; b < bytes; b += 64)
		__builtin_prefetch((const void *)(at + b), 0, 2);
}

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

/* As many floats as the machine's vectors have. */
#if HAVE_VNNI512
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
enum { QUERIES = LANES < 8 ? LANES : 8 }; /* of attention that go together, at most */
typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float vec_unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));

INLINE vec load(const float *p)
{
	return *(const vec_unaligned *)p;
}

/* Half floats at any address; slow where not HAVE_HALVES. */
INLINE vec load_halves(const uint8_t *at)
{
#if HAVE_VNNI512
	return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)at));
#elif defined(__AVX2__) && defined(__F16C__)
	return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const void *)at));
#elif defined(__aarch64__)
	return (vec)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at)));
#else
	vec v;

	for (int i = 0; i < LANES; i++)
		v[i] = f16_to_f32(load_u16(at + 2 * i));
	return v;
#endif
}

INLINE void store(float *p, vec v)
{
	*(vec_unaligned *)p = v;
}

INLINE vec splat(float f)
{
	return f - (vec){ 0 };
}

/* mask ? a : b, lane by lane; comparisons give masks of all ones or none */
INLINE vec choose(ivec mask, vec a, vec b)
{
	return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
}

/* @b where one of them is a NaN. */
INLINE vec smaller(vec a, vec b)
{
#if HAVE_VNNI512
	return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
	return choose(a < b, a, b);
#endif
}

INLINE vec larger(vec a, vec b)
{
#if HAVE_VNNI512
	return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return choose(a > b, a, b);
#endif
}

INLINE float sum_of(vec v)
{
#if HAVE_VNNI512
	return _mm512_reduce_add_ps((__m512)v);
#elif defined(__AVX2__)
	const __m128 half =
		_mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
	const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));

	return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
#else
	return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

INLINE float dot(const float *a, const float *b, size_t n)
{
	vec sum[4] = { 0 };
	float tail = 0;
	size_t i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
		for (size_t v = 0; v < 4; v++)
			sum[v] += load(a + i + v * LANES) * load(b + i + v * LANES);
	for (; i + LANES <= n; i += LANES)
		sum[0] += load(a + i) * load(b + i);
	for (; i < n; i++)
		tail += a[i] * b[i];
	return sum_of((sum[0] + sum[1]) + (sum[2] + sum[3])) + tail;
}

INLINE float largest_of(vec v)
{
#if HAVE_VNNI512
	return _mm512_reduce_max_ps((__m512)v);
#elif defined(__AVX2__)
	const __m128 half =
		_mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
	const __m128 quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));

	return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
#else
	const float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];

	return a > b ? a : b;
#endif
}

INLINE bool any_of(ivec mask)
{
#if HAVE_VNNI512
	return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#elif defined(__AVX2__)
	return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
	return mask[0] | mask[1] | mask[2] | mask[3];
#endif
}

/* The sums of as many vectors as they have lanes. */
INLINE vec sums_of(vec v[LANES])
{
#if HAVE_VNNI512
	/* neighbours' sums side by side, first in pairs of lanes, then of 128 bits */
	for (int i = 0; i < 8; i++) {
		const __m512 a = (__m512)v[2 * i], b = (__m512)v[2 * i + 1];

		v[i] = (vec)_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
	}
	for (int i = 0; i < 4; i++) {
		const __m512d a = (__m512d)v[2 * i], b = (__m512d)v[2 * i + 1];

		v[i] = (vec)_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)) +
		       (vec)_mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
	}
	for (int i = 0; i < 2; i++) {
		const __m512 a = (__m512)v[2 * i], b = (__m512)v[2 * i + 1];

		v[i] = (vec)_mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88),
					  _mm512_shuffle_f32x4(a, b, 0xdd));
	}
	return (vec)_mm512_add_ps(_mm512_shuffle_f32x4((__m512)v[0], (__m512)v[1], 0x88),
				  _mm512_shuffle_f32x4((__m512)v[0], (__m512)v[1], 0xdd));
#elif defined(__AVX2__)
	for (int i = 0; i < 4; i++)
		v[i] = (vec)_mm256_hadd_ps((__m256)v[2 * i], (__m256)v[2 * i + 1]);
	const __m256 a = _mm256_hadd_ps((__m256)v[0], (__m256)v[1]);
	const __m256 b = _mm256_hadd_ps((__m256)v[2], (__m256)v[3]);

	return (vec)_mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20),
				  _mm256_permute2f128_ps(a, b, 0x31));
#else
	return (vec){ sum_of(v[0]), sum_of(v[1]), sum_of(v[2]), sum_of(v[3]) };
#endif
}

#endif
