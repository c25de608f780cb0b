/* SPDX-License-Identifier: MIT */
/*
 * Sixteen groups of values at a time, one in each lane: quantizers search a scale for each group
 * without sums across lanes.  Everything rounds alike on every instruction set, so that a file's
 * bytes don't depend on the machine that wrote it.
 */
#ifndef STOKER_QUANT_LANES_H
#define STOKER_QUANT_LANES_H

#include "quant/encode.h"

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

/* Groups of @n values that lie one after the other; lanes without one get @missing. */
LANES_INLINE void lanes_load(const float *src, size_t groups, int n, float missing, f32s *out)
{
	float *to = (float *)out;

	for (int lane = 0; lane < LANES; lane++)
		for (int i = 0; i < n; i++)
			to[LANES * i + lane] = (size_t)lane < groups ? src[n * lane + i] : missing;
}

/* Weights of such groups; all are alike without @importance. */
LANES_INLINE void lanes_load_weights(const float *importance, size_t groups, int n, f32s *out)
{
	if (importance) {
		lanes_load(importance, groups, n, 1, out);
		return;
	}
	for (int i = 0; i < n; i++)
		out[i] = lanes_all(1);
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
	f32s kept = { 0 };

	v = lanes_min(lanes_max(v, lanes_all(-65504)), lanes_all(65504));
	for (int lane = 0; lane < LANES; lane++) {
		bits[lane] = f32_to_f16(v[lane]);
		kept[lane] = f16_to_f32(bits[lane]);
	}
	return kept;
}

/* Codes of value @i of each group, for blocks of @n codes. */
LANES_INLINE void lanes_store(f32s code, int i, int n, uint8_t *codes)
{
	const i32s c = __builtin_convertvector(code, i32s);

	for (int lane = 0; lane < LANES; lane++)
		codes[n * lane + i] = (uint8_t)c[lane];
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
