/* SPDX-License-Identifier: MIT */
/*
 * A few activation rows side by side, and their products with a tile: for each group all that is
 * needed of it lies together, so that one address leads to everything.
 */
#ifndef STOKER_CPU_PACKED_ROWS_H
#define STOKER_CPU_PACKED_ROWS_H

#include "device/cpu/tile_dot.h"

#ifndef HAVE_VNNI512
#define HAVE_VNNI512 0
#endif

#if defined(__AVX2__) && !HAVE_VNNI256
#define HAVE_PACKED_ROWS 1

/*
 * What struct q8_rows has of a group, for each of the rows, which are 4 or 8: a dword of codes of
 * all rows, the next dword, ..., then numbers of all rows.  Where weights have offsets their codes
 * aren't too large: there are never both sums and starts.
 */
enum {
	PACKED_D = 8,
	PACKED_SUMS = 9, /* one or two, as weights' groups are of 32 or 16: what sums begin with */
	PACKED_ROWS = 8,
};

/*
 * Sums of 16 bits may wrap on their way if what they are in the end fits: when they begin with what
 * makes up for codes that are too large, only the largest codes as they really are count.  So many
 * pairs of products are added so, of which none is too large; 0: no more than in tile_dots().
 */
INLINE int wrapping_steps(struct tile_codes c, const struct stoker_format *f)
{
	const int largest = MAX(c.bias, f->most), range = f->most - f->least;

	return HAVE_VNNI512 || !c.bias || range <= 31 || range > 127 ? 0
	       : largest <= 32					     ? 4
	       : largest <= 64					     ? 2
								     : 0;
}

/* Dwords that a row has of a group. */
INLINE size_t packed_group(unsigned group, int wrapping)
{
	return PACKED_SUMS + (wrapping ? 8 / (size_t)wrapping : ACTIVATION_GROUP / group);
}

/* The room for @n rows of @k values. */
INLINE size_t packed_rows_dwords(size_t k, size_t group_dwords, int n)
{
	return k / ACTIVATION_GROUP * group_dwords * (size_t)n;
}

/* Eight dwords of @n rows: dword j of row i to @dst[j * stride + i]. */
INLINE void pack_eight(const void *const *rows, int n, int32_t *dst, size_t stride)
{
	__m256i a[PACKED_ROWS], b[PACKED_ROWS];

	for (int i = 0; i < n; i++)
		a[i] = _mm256_loadu_si256((const __m256i *)rows[i]);
	for (int i = 0; i < n; i += 2) {
		b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
		b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
	}
	/* four rows of dwords j and 4 + j */
	for (int q = 0; q < n; q += 4) {
		a[q] = _mm256_unpacklo_epi64(b[q], b[q + 2]);
		a[q + 1] = _mm256_unpackhi_epi64(b[q], b[q + 2]);
		a[q + 2] = _mm256_unpacklo_epi64(b[q + 1], b[q + 3]);
		a[q + 3] = _mm256_unpackhi_epi64(b[q + 1], b[q + 3]);
	}
	for (size_t j = 0; j < 4; j++) {
		__m256i *const low = (__m256i *)(void *)(dst + j * stride);
		__m256i *const high = (__m256i *)(void *)(dst + (4 + j) * stride);

		if (n == 4) {
			_mm_storeu_si128((__m128i *)low, _mm256_castsi256_si128(a[j]));
			_mm_storeu_si128((__m128i *)high, _mm256_extracti128_si256(a[j], 1));
		} else {
			_mm256_storeu_si256(low, _mm256_permute2x128_si256(a[j], a[4 + j], 0x20));
			_mm256_storeu_si256(high, _mm256_permute2x128_si256(a[j], a[4 + j], 0x31));
		}
	}
}

/*
 * Numbers of @n rows, of which each has @count, @each of a group: number j to @dst, in the group
 * that is its own; groups are @group dwords apart.
 */
INLINE void pack_numbers(const void *const *rows, int n, size_t count, size_t each, size_t group,
			 int32_t *dst)
{
	const void *at[PACKED_ROWS];
	size_t j = 0;

	for (; j + 8 <= count; j += 8) {
		int32_t eight[8 * PACKED_ROWS];

		for (int i = 0; i < n; i++)
			at[i] = (const int32_t *)rows[i] + j;
		pack_eight(at, n, eight, (size_t)n);
		for (size_t m = 0; m < 8; m++)
			memcpy(dst + (j + m) / each * group + (j + m) % each * (size_t)n,
			       eight + m * (size_t)n, (size_t)n * sizeof(*dst));
	}
	for (; j < count; j++)
		for (int i = 0; i < n; i++)
			dst[j / each * group + j % each * (size_t)n + (size_t)i] =
				((const int32_t *)rows[i])[j];
}

/* What sums of products with codes @bias too large begin with, see start_of(), from corr. */
INLINE void make_starts(int32_t *corr, size_t count, int bias)
{
	for (size_t i = 0; i < count; i++)
		corr[i] = (corr[i] >> 7) * bias;
}

/*
 * The same of sums of 16 bits, of @steps pairs of products each: of @n rows whose codes are at
 * @codes.
 */
INLINE void make_wrapping_starts(const int32_t *codes, int n, int steps, int bias, int32_t *dst)
{
	const __m128i ones = _mm_set1_epi8(1);

	for (int d = 0; d < 8; d += steps, dst += n)
		for (int i = 0; i < n; i += 4) {
			__m128i sum = _mm_setzero_si128();

			for (int j = d; j < d + steps; j++)
				sum = _mm_add_epi16(
					sum,
					_mm_maddubs_epi16(
						ones, _mm_loadu_si128(
							      (const void *)(codes + j * n + i))));
			_mm_storeu_si128((void *)(dst + i),
					 _mm_mullo_epi16(sum, _mm_set1_epi16((int16_t)-bias)));
		}
}

/* Puts codes of a group of each of @n rows in another order, at @ordered, where @rows says then. */
typedef void order_fn(const void **rows, int n, int8_t (*ordered)[ACTIVATION_GROUP]);

/*
 * @n rows from the @first one of @r on, or the last one of these again.  The numbers are those that
 * products with weights of that kind need; codes have the order that @order makes, if not NULL.
 */
INLINE void pack_rows(const struct q8_rows *x, const struct gemm_rows *r, size_t first, int n,
		      unsigned group, bool affine, int bias, int wrapping, order_fn *order,
		      int32_t *dst)
{
	const size_t stride = packed_group(group, wrapping) * (size_t)n;
	const size_t each = ACTIVATION_GROUP / group;
	const size_t groups = x->k / ACTIVATION_GROUP;
	_Alignas(32) int8_t ordered[PACKED_ROWS][ACTIVATION_GROUP];
	const void *rows[PACKED_ROWS];
	size_t row[PACKED_ROWS];

	assert(!affine || !bias);
	for (int i = 0; i < n; i++)
		row[i] = row_of(r->src, first + MIN((size_t)i, r->count - first - 1));
	for (size_t g = 0; g < groups; g++) {
		for (int i = 0; i < n; i++)
			rows[i] = x->codes + row[i] * x->k + g * ACTIVATION_GROUP;
		if (order)
			order(rows, n, ordered);
		pack_eight(rows, n, dst + g * stride, (size_t)n);
		if (wrapping)
			make_wrapping_starts(dst + g * stride, n, wrapping, bias,
					     dst + g * stride + PACKED_SUMS * n);
	}
#define PACK(FIELD, PLACE, EACH)                                                      \
	do {                                                                          \
		for (int i = 0; i < n; i++)                                           \
			rows[i] = x->FIELD + row[i] * groups * (EACH);                \
		pack_numbers(rows, n, groups *(EACH), EACH, stride, dst + PLACE * n); \
	} while (0)
	PACK(d, PACKED_D, 1);
	if (wrapping)
		return;
	if (affine && group == 32)
		PACK(xs32, PACKED_SUMS, 1);
	else if (affine)
		PACK(xs16, PACKED_SUMS, 2);
	else if (bias && group == 32)
		PACK(corr32, PACKED_SUMS, 1);
	else if (bias)
		PACK(corr16, PACKED_SUMS, 2);
	for (size_t g = 0; bias && g < groups; g++)
		make_starts(dst + g * stride + PACKED_SUMS * n, each * (size_t)n, bias);
#undef PACK
}

#if !HAVE_VNNI512
/* tile_dots() with sums of @steps pairs of products that begin at @starts. */
INLINE void wrapping_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count,
			  int step, int steps, const int32_t *starts, int packed, int n, vec *out)
{
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i acc[2 * GEMM_ROWS];

#pragma GCC unroll 4
	for (int from = 0; from < count; from += 4 * steps, starts += packed) {
		__m256i sum[2 * GEMM_ROWS];

#pragma GCC unroll 8
		for (int i = 0; i < n; i++)
			sum[2 * i] = sum[2 * i + 1] = _mm256_set1_epi32(starts[i]);
#pragma GCC unroll 4
		for (int j = from; j < from + 4 * steps; j += 4)
			add_pairs(tile + 16 * j, x, at + (size_t)(j / 4 * step), n, false, sum);
#pragma GCC unroll 8
		for (int i = 0; i < 2 * n; i++) {
			const __m256i p = _mm256_madd_epi16(sum[i], ones);

			acc[i] = from ? _mm256_add_epi32(acc[i], p) : p;
		}
	}
	for (int i = 0; i < 2 * n; i++)
		out[i] = (vec)_mm256_cvtepi32_ps(acc[i]);
}
#endif

/*
 * add_tile() of a group of 32 values, of the first @n of @packed rows that lie at @x.
 */
INLINE void add_packed(const struct tile *t, unsigned group, bool affine, struct tile_codes c,
		       int wrapping, const int32_t *x, int packed, int n, vec *acc)
{
	static const size_t same[PACKED_ROWS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	/* what sums begin with is packed as it is needed */
	const struct tile_codes ready = { .bias = c.bias ? 128 : 0, .steps = c.steps };
	const float *const numbers = (const float *)(const void *)x;
	const int halves = 32 / (int)group, step = 4 * packed;
	const int8_t *codes[GEMM_ROWS];

	assert(!HAVE_VNNI512 || !wrapping);
	for (int i = 0; i < n; i++)
		codes[i] = (const int8_t *)(x + i);
#pragma GCC unroll 2
	for (int h = 0; h < halves; h++) {
		const int sums = (PACKED_SUMS + h) * packed;
		const struct tile_starts start = { .corr = x + sums, .at = same, .each = 1 };
		vec p[GEMM_ROWS * TILE_VECTORS];

#if !HAVE_VNNI512
		if (wrapping)
			wrapping_dots(t->codes + 256 * h, codes, (size_t)(4 * h * step), (int)group,
				      step, wrapping, x + (PACKED_SUMS + 4 / wrapping * h) * packed,
				      packed, n, p);
		else
#endif
			tile_dots(t->codes + 256 * h, codes, (size_t)(4 * h * step), (int)group,
				  step, ready, &start, n, p);
		add_products(acc, p, t->scale + 16 * h, numbers + PACKED_D * packed, same, 1, n);
		if (affine)
			add_products(acc, NULL, t->offset + 16 * h, numbers + sums, same, 1, n);
	}
}
#else
#define HAVE_PACKED_ROWS 0
#endif

#endif
