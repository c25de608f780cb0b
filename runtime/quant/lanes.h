/* SPDX-License-Identifier: MIT */
/*
 * Sixteen groups of values at a time, one in each lane: quantizers search a scale for each group
 * without sums across lanes.  Everything rounds alike on every instruction set, so that a file's
 * bytes don't depend on the machine that wrote it.
 */
#ifndef STOKER_QUANT_LANES_H
#define STOKER_QUANT_LANES_H

#include "quant/encode.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { LANES = 16 };

typedef float f32s __attribute__((vector_size(64)));
typedef int32_t i32s __attribute__((vector_size(64)));
/* as it lies in rows */
typedef float f32s_unaligned __attribute__((vector_size(64), aligned(4)));
typedef float f32x4 __attribute__((vector_size(16), may_alias));
typedef float f32x4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint16_t u16s __attribute__((vector_size(32)));

#define LANES_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define LANES_EACH(result, a, b, op512, op256, op128, neon) \
	result = (f32s)op512((__m512)a, (__m512)b)
#elif defined(__AVX__)
#define LANES_PART __m256
#define LANES_EACH(result, a, b, op512, op256, op128, neon) LANES_PARTS(result, a, b, op256)
#elif defined(__x86_64__)
#define LANES_PART __m128
#define LANES_EACH(result, a, b, op512, op256, op128, neon) LANES_PARTS(result, a, b, op128)
#elif defined(__aarch64__)
#define LANES_PART float32x4_t
#define LANES_EACH(result, a, b, op512, op256, op128, neon) LANES_PARTS(result, a, b, neon)
#endif
#define LANES_PARTS(result, a, b, op)                                               \
	do {                                                                        \
		union {                                                             \
			f32s all;                                                   \
			LANES_PART part[sizeof(f32s) / sizeof(LANES_PART)];         \
		} a_ = { .all = a }, b_ = { .all = b };                             \
		for (unsigned p_ = 0; p_ < sizeof(f32s) / sizeof(LANES_PART); p_++) \
			a_.part[p_] = op(a_.part[p_], b_.part[p_]);                 \
		result = a_.all;                                                    \
	} while (0)

/* @a where the mask is all ones, @b where it is 0 */
LANES_INLINE f32s lanes_select(i32s mask, f32s a, f32s b)
{
	return (f32s)((mask & (i32s)a) | (~mask & (i32s)b));
}

LANES_INLINE i32s lanes_select_int(i32s mask, i32s a, i32s b)
{
	return (mask & a) | (~mask & b);
}

LANES_INLINE f32s lanes_min(f32s a, f32s b)
{
#ifdef LANES_EACH
	LANES_EACH(a, a, b, _mm512_min_ps, _mm256_min_ps, _mm_min_ps, vminq_f32);
	return a;
#else
	return lanes_select(a < b, a, b);
#endif
}

LANES_INLINE f32s lanes_max(f32s a, f32s b)
{
#ifdef LANES_EACH
	LANES_EACH(a, a, b, _mm512_max_ps, _mm256_max_ps, _mm_max_ps, vmaxq_f32);
	return a;
#else
	return lanes_select(a > b, a, b);
#endif
}

LANES_INLINE f32s lanes_all(float v)
{
	return (f32s){ 0 } + v;
}

LANES_INLINE f32s lanes_abs(f32s v)
{
	return (f32s)((i32s)v & 0x7fffffff);
}

/* To the nearest integer, ties to even, for magnitudes below 2^22. */
LANES_INLINE f32s lanes_round(f32s v)
{
	return (v + 0x1.8p23f) - 0x1.8p23f;
}

LANES_INLINE f32s lanes_code(f32s v, float least, float most)
{
	return lanes_round(lanes_min(lanes_max(v, lanes_all(least)), lanes_all(most)));
}

/* a / b, 0 where b is 0 */
LANES_INLINE f32s lanes_ratio(f32s a, f32s b)
{
	const i32s nothing = b == 0;

	return (f32s)((i32s)(a / lanes_select(nothing, lanes_all(1), b)) & ~nothing);
}

#define LANES_ACROSS(v, op, group)                                                                \
	do {                                                                                      \
		v = op(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, \
						  12, 15, 14));                                   \
		v = op(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, \
						  15, 12, 13));                                   \
		if (group > 4)                                                                    \
			v = op(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13,   \
							  14, 15, 8, 9, 10, 11));                 \
		if (group > 8)                                                                    \
			v = op(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0,  \
							  1, 2, 3, 4, 5, 6, 7));                  \
	} while (0)

LANES_INLINE f32s lanes_add(f32s a, f32s b)
{
	return a + b;
}

/* The sum and the largest of each 4, 8 or 16 lanes, in all of them. */
LANES_INLINE f32s lanes_sum_across(f32s v, int group)
{
	LANES_ACROSS(v, lanes_add, group);
	return v;
}

LANES_INLINE f32s lanes_max_across(f32s v, int group)
{
	LANES_ACROSS(v, lanes_max, group);
	return v;
}

/*
 * Groups of @n values, a multiple of four, that lie one after the other; lanes without one get
 * @missing.
 */
LANES_INLINE void lanes_load(const float *src, size_t groups, int n, float missing, f32s *out)
{
	float *to = (float *)out;
	size_t lane = 0;

	for (; lane < LANES && lane + 4 <= groups; lane += 4)
		for (int i = 0; i < n; i += 4) {
			const float *from = src + (size_t)n * lane + i;
			const f32x4 a = *(const f32x4_unaligned *)from;
			const f32x4 b = *(const f32x4_unaligned *)(from + n);
			const f32x4 c = *(const f32x4_unaligned *)(from + 2 * n);
			const f32x4 d = *(const f32x4_unaligned *)(from + 3 * n);
			const f32x4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
			const f32x4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
			const f32x4 next_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
			const f32x4 next_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
			f32x4 *at = (f32x4 *)(to + LANES * i + lane);

			at[0] = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
			at[LANES / 4] = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
			at[2 * LANES / 4] = __builtin_shufflevector(next_ab, next_cd, 0, 1, 4, 5);
			at[3 * LANES / 4] = __builtin_shufflevector(next_ab, next_cd, 2, 3, 6, 7);
		}
	for (; lane < LANES; lane++)
		for (int i = 0; i < n; i++)
			to[LANES * i + lane] = lane < groups ? src[(size_t)n * lane + i] : missing;
}

/*
 * How much values count where nothing is known of their columns.  A few large ones carry more of
 * what a model says than the sum of squares tells, and the fewer the bits the more is lost of them.
 */
enum regard {
	ALIKE,	    /* all values */
	LARGE_MORE, /* as their magnitudes plus the root of the mean square */
	LARGE_MOST, /* as their squares plus half the mean square */
};

/*
 * Weights of such groups by @importance, or without it by @regard; @x is near 1, and means are
 * those of @lanes groups.
 */
LANES_INLINE void lanes_load_weights(const float *importance, size_t groups, int n, const f32s *x,
				     enum regard regard, int lanes, f32s *out)
{
	/* so that groups of nothing but zeros have weights, too */
	const float least = 0x1p-20f;
	f32s mean = { 0 };

	if (importance) {
		lanes_load(importance, groups, n, 1, out);
		return;
	}
	for (int i = 0; i < n && regard != ALIKE; i++)
		mean += x[i] * x[i];
	if (lanes > 1)
		mean = lanes_sum_across(mean, lanes);
	mean *= 1.0f / (float)(n * lanes);
	for (int lane = 0; lane < LANES && regard == LARGE_MORE; lane++)
		mean[lane] = sqrtf(mean[lane]);
	for (int i = 0; i < n; i++)
		out[i] = regard == ALIKE	? lanes_all(1)
			 : regard == LARGE_MORE ? mean + lanes_abs(x[i]) + least
						: 0.5f * mean + x[i] * x[i] + least;
}

LANES_INLINE f32s lanes_largest(const f32s *x, int n)
{
	f32s most = { 0 };

	for (int i = 0; i < n; i++)
		most = lanes_max(most, lanes_abs(x[i]));
	return most;
}

/*
 * A power of two that brings values whose largest is @most near 1, so that squares neither overflow
 * nor vanish; *@back undoes it.
 */
LANES_INLINE f32s lanes_normal(f32s most, f32s *back)
{
	const i32s bits = (i32s)most & 0x7f800000;
	const i32s least = (i32s){ 0 } + (1 << 23), limit = (i32s){ 0 } + (253 << 23);
	const i32s exponent =
		lanes_select_int(bits < least, least, lanes_select_int(bits > limit, limit, bits));

	*back = (f32s)exponent;
	return (f32s)((254 << 23) - exponent);
}

/* What half floats keep of @v; numbers beyond them become their largest. */
LANES_INLINE f32s lanes_f16(f32s v, uint16_t bits[LANES])
{
	const int least = 0x38800000; /* 2^-14, below which the half float's are subnormal */
	const int rebias = (127 - 15) << 23;

	v = lanes_min(lanes_max(v, lanes_all(-65504)), lanes_all(65504));
	const i32s sign = (i32s)v & INT32_MIN, magnitude = (i32s)v & 0x7fffffff;
	const i32s normal = (magnitude - rebias + 0xfff + (magnitude >> 13 & 1)) >> 13;
	/* the sum is rounded as a subnormal is */
	const i32s small = (i32s)((f32s)magnitude + 0.5f) - 0x3f000000;
	const i32s half = lanes_select_int(magnitude < least, small, normal);
	const u16s kept = __builtin_convertvector(half | (sign >> 16 & 0x8000), u16s);

	memcpy(bits, &kept, sizeof(kept));
	return (f32s)((i32s)lanes_select(half < 1 << 10,
					 __builtin_convertvector(half, f32s) * 0x1p-24f,
					 (f32s)((half << 13) + rebias)) |
		      sign);
}

/* One number of each lane. */
LANES_INLINE void lanes_store(f32s number, uint8_t out[LANES])
{
	const i32s c = __builtin_convertvector(number, i32s);

	for (int lane = 0; lane < LANES; lane++)
		out[lane] = (uint8_t)c[lane];
}

/* The codes of groups, 0 to 127, one group after the other. */
LANES_INLINE void lanes_store_codes(const f32s *code, int n, uint8_t *codes)
{
	for (int i = 0; i < n; i += 4) {
		const i32s four = __builtin_convertvector(code[i], i32s) |
				  __builtin_convertvector(code[i + 1], i32s) << 8 |
				  __builtin_convertvector(code[i + 2], i32s) << 16 |
				  __builtin_convertvector(code[i + 3], i32s) << 24;

		for (int lane = 0; lane < LANES; lane++)
			memcpy(codes + n * lane + i, (const int32_t *)&four + lane, 4);
	}
}

/* What a scale's codes make of the values: sum w x l and sum w l^2. */
struct lanes_fit {
	f32s xl, ll;
};

/* The squared error falls as xl^2 / ll grows. */
LANES_INLINE i32s lanes_better(struct lanes_fit a, struct lanes_fit b)
{
	return a.xl * a.xl * b.ll > b.xl * b.xl * a.ll;
}

LANES_INLINE void lanes_keep_better(struct lanes_fit *best, struct lanes_fit other)
{
	const i32s better = lanes_better(other, *best);

	best->xl = lanes_select(better, other.xl, best->xl);
	best->ll = lanes_select(better, other.ll, best->ll);
}

/* The number nearest to each that a code stands for. */
typedef f32s lanes_nearest(f32s v);

/* What codes at a scale make of the values. */
LANES_INLINE struct lanes_fit lanes_try(const f32s *x, const f32s *w, int n, f32s inverse,
					lanes_nearest *nearest)
{
	struct lanes_fit fit = { 0 };

	for (int i = 0; i < n; i++) {
		const f32s l = nearest(x[i] * inverse);
		const f32s wl = w[i] * l;

		fit.xl += wl * x[i];
		fit.ll += wl * l;
	}
	return fit;
}

/* The value of the largest magnitude. */
LANES_INLINE f32s lanes_extreme(const f32s *x, int n)
{
	f32s low = x[0], high = x[0];

	for (int i = 1; i < n; i++) {
		low = lanes_min(low, x[i]);
		high = lanes_max(high, x[i]);
	}
	return lanes_select(-low > high, low, high);
}

/*
 * The scale whose codes come closest to the values: the best of those that bring the value of the
 * largest magnitude to one of @steps, each by least squares, and of what follows from it in
 * @rounds.
 */
LANES_INLINE f32s lanes_scale(const f32s *x, const f32s *w, int n, lanes_nearest *nearest,
			      const float *steps, int count, int rounds, f32s *curvature)
{
	struct lanes_fit best = { .ll = lanes_all(1) };
	const f32s inverse = lanes_ratio(lanes_all(1), lanes_extreme(x, n));

	for (int c = 0; c < count; c++)
		lanes_keep_better(&best, lanes_try(x, w, n, inverse * steps[c], nearest));
	for (int r = 0; r < rounds; r++)
		lanes_keep_better(&best,
				  lanes_try(x, w, n, lanes_ratio(best.ll, best.xl), nearest));
	if (curvature)
		*curvature = best.ll;
	return best.xl / best.ll;
}

#endif
