/* SPDX-License-Identifier: MIT */
/* Dot products of a tile's 16 weight rows with activations, both 8-bit codes: see kernels.h. */
#ifndef STOKER_CPU_TILE_DOT_H
#define STOKER_CPU_TILE_DOT_H

#include "device/cpu/kernels.h"
#include "device/cpu/vectors.h"

enum { GEMM_ROWS = 8 }; /* activation rows that go through a tile together */

/*
 * acc[16] = the 16 rows' products with @count codes of one activation row.  @corr is -128 times the
 * sum of those codes, for kernels whose weight codes are unsigned.
 */
#if HAVE_VNNI512
INLINE v16 tile_dot(const uint8_t *tile, const int8_t *x, int count, int32_t corr)
{
	__m512i acc = _mm512_set1_epi32(corr);

	for (int j = 0; j < count; j += 4)
		acc = _mm512_dpbusd_epi32(acc, _mm512_load_si512(tile + 16 * j),
					  _mm512_set1_epi32((int)load_u32(x + j)));
	return (v16)_mm512_cvtepi32_ps(acc);
}
#elif defined(__AVX2__)
INLINE v16 tile_dot(const uint8_t *tile, const int8_t *x, int count, int32_t corr)
{
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i acc[2] = { _mm256_setzero_si256(), _mm256_setzero_si256() };
	v16 out;

	(void)corr;
	for (int j = 0; j < count; j += 4) {
		const __m256i b = _mm256_set1_epi32((int)load_u32(x + j));

		for (int h = 0; h < 2; h++) {
			/* |w| <= 128 and |x| <= 127: pairs of products fit 16 bits */
			const __m256i w =
				_mm256_load_si256((const __m256i *)(tile + 16 * j + 32 * h));
			const __m256i p =
				_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(b, w));

			acc[h] = _mm256_add_epi32(acc[h], _mm256_madd_epi16(p, ones));
		}
	}
	const __m256 low = _mm256_cvtepi32_ps(acc[0]), high = _mm256_cvtepi32_ps(acc[1]);

	memcpy(&out, &low, 32);
	memcpy((char *)&out + 32, &high, 32);
	return out;
}
#elif defined(__ARM_FEATURE_DOTPROD)
INLINE v16 tile_dot(const uint8_t *tile, const int8_t *x, int count, int32_t corr)
{
	int32x4_t acc[4] = { vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0) };
	v16 out;

	(void)corr;
	for (int j = 0; j < count; j += 4) {
		const int8x16_t b = vreinterpretq_s8_u32(vdupq_n_u32(load_u32(x + j)));

		for (int q = 0; q < 4; q++)
			acc[q] = vdotq_s32(acc[q], vld1q_s8((const int8_t *)tile + 16 * j + 16 * q),
					   b);
	}
	for (int q = 0; q < 4; q++) {
		const float32x4_t f = vcvtq_f32_s32(acc[q]);

		memcpy((char *)&out + 16 * q, &f, 16);
	}
	return out;
}
#else
INLINE v16 tile_dot(const uint8_t *tile, const int8_t *x, int count, int32_t corr)
{
	int32_t acc[TILE_ROWS] = { 0 };
	v16 out;

	(void)corr;
	for (int j = 0; j < count; j += 4)
		for (int r = 0; r < TILE_ROWS; r++)
			for (int i = 0; i < 4; i++)
				acc[r] += (int8_t)tile[16 * j + 4 * r + i] * x[j + i];
	for (int r = 0; r < TILE_ROWS; r++)
		out[r] = (float)acc[r];
	return out;
}
#endif

/* tile_dot() for @n activation rows side by side, so that none waits for its own last product. */
INLINE void tile_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count,
		      const int32_t *corr, int n, v16 *out)
{
#if HAVE_VNNI512
	__m512i acc[GEMM_ROWS];

	for (int i = 0; i < n; i++)
		acc[i] = _mm512_set1_epi32(corr[i]);
	for (int j = 0; j < count; j += 4) {
		const __m512i w = _mm512_load_si512(tile + 16 * j);

		for (int i = 0; i < n; i++)
			acc[i] = _mm512_dpbusd_epi32(
				acc[i], w, _mm512_set1_epi32((int)load_u32(x[i] + at + j)));
	}
	for (int i = 0; i < n; i++)
		out[i] = (v16)_mm512_cvtepi32_ps(acc[i]);
#else
	for (int i = 0; i < n; i++)
		out[i] = tile_dot(tile, x[i] + at, count, corr[i]);
#endif
}

#endif
