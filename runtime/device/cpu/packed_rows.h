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
 * What struct q8_rows has of a group, of PACKED_GROUP dwords for each of the rows, which are 4 or
 * 8: a dword of codes of all rows, the next dword, ..., then numbers of all rows.
 */
enum {
	PACKED_D = 8,
	PACKED_CORR32 = 9,
	PACKED_XS32 = 10,
	PACKED_CORR16 = 11, /* two */
	PACKED_XS16 = 13,   /* two */
	PACKED_GROUP = 16,
	PACKED_ROWS = 8,
};

/* The room for @n rows of @k values. */
INLINE size_t packed_rows_dwords(size_t k, int n)
{
	return k / ACTIVATION_GROUP * (size_t)(PACKED_GROUP * n);
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
 * that is its own.
 */
INLINE void pack_numbers(const void *const *rows, int n, size_t count, size_t each, int32_t *dst)
{
	const size_t group = (size_t)(PACKED_GROUP * n);
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

/*
 * @n rows from the @first one of @r on, or the last one of these again.  The numbers are those that
 * products with weights of that kind need.
 */
INLINE void pack_rows(const struct q8_rows *x, const struct gemm_rows *r, size_t first, int n,
		      unsigned group, bool affine, int32_t *dst)
{
	const size_t groups = x->k / ACTIVATION_GROUP;
	const void *rows[PACKED_ROWS];
	size_t row[PACKED_ROWS];

	for (int i = 0; i < n; i++)
		row[i] = row_of(r->src, first + MIN((size_t)i, r->count - first - 1));
	for (size_t g = 0; g < groups; g++) {
		for (int i = 0; i < n; i++)
			rows[i] = x->codes + row[i] * x->k + g * ACTIVATION_GROUP;
		pack_eight(rows, n, dst + g * (size_t)(PACKED_GROUP * n), (size_t)n);
	}
#define PACK(FIELD, PLACE, EACH)                                              \
	do {                                                                  \
		for (int i = 0; i < n; i++)                                   \
			rows[i] = x->FIELD + row[i] * groups * (EACH);        \
		pack_numbers(rows, n, groups *(EACH), EACH, dst + PLACE * n); \
	} while (0)
	PACK(d, PACKED_D, 1);
	if (group == 32)
		PACK(corr32, PACKED_CORR32, 1);
	else
		PACK(corr16, PACKED_CORR16, 2);
	if (affine && group == 32)
		PACK(xs32, PACKED_XS32, 1);
	else if (affine)
		PACK(xs16, PACKED_XS16, 2);
#undef PACK
}

/* What sums begin with, see start_of(), for all @n rows at @corr. */
INLINE void packed_starts(int bias, const int32_t *corr, int n, int32_t *start)
{
	typedef int32_t four __attribute__((vector_size(16), aligned(4), may_alias));

	for (int i = 0; i < n; i += 4) {
		four c = *(const four *)(corr + i);

		if (bias != 128)
			c = (c >> 7) * bias;
		*(four *)(start + i) = c;
	}
	/* compilers would take them apart in registers, which multiply meanwhile */
	__asm__("" : "+m"(*(int32_t(*)[PACKED_ROWS])start));
}

/*
 * add_tile() of a group of 32 values, of the first @n of @packed rows that lie at @x.
 */
INLINE void add_packed(const struct tile *t, unsigned group, bool affine, struct tile_codes c,
		       const int32_t *x, int packed, int n, vec *acc)
{
	static const size_t same[PACKED_ROWS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	/* nothing is made up for where codes aren't too large */
	const struct tile_codes ready = { .bias = c.bias ? 128 : 0, .steps = c.steps };
	const float *const numbers = (const float *)(const void *)x;
	const int halves = 32 / (int)group, step = 4 * packed;
	const int8_t *codes[GEMM_ROWS];

	for (int i = 0; i < n; i++)
		codes[i] = (const int8_t *)(x + i);
#pragma GCC unroll 2
	for (int h = 0; h < halves; h++) {
		const int corr = group == 32 ? PACKED_CORR32 : PACKED_CORR16 + h;
		const int xs = group == 32 ? PACKED_XS32 : PACKED_XS16 + h;
		int32_t starts[PACKED_ROWS];
		const struct tile_starts start = { .corr = c.bias ? starts : x + corr * packed,
						   .at = same,
						   .each = 1 };
		vec p[GEMM_ROWS * TILE_VECTORS];

		if (c.bias)
			packed_starts(c.bias, x + corr * packed, n, starts);
		tile_dots(t->codes + 256 * h, codes, (size_t)(4 * h * step), (int)group, step,
			  ready, &start, n, p);
		add_products(acc, p, t->scale + 16 * h, numbers + PACKED_D * packed, same, 1, n);
		if (affine)
			add_products(acc, NULL, t->offset + 16 * h, numbers + xs * packed, same, 1,
				     n);
	}
}
#else
#define HAVE_PACKED_ROWS 0
#endif

#endif
