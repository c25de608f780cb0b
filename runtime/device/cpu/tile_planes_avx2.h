/* SPDX-License-Identifier: MIT */
/*
 * Products of a tile's rows with one activation row where the codes are fields of two or three
 * bits, in vectors of 256 bits.  What is loaded has codes of four parts, whose sums grow side by
 * side; codes are never in memory.
 */
#ifndef STOKER_CPU_TILE_PLANES_AVX2_H
#define STOKER_CPU_TILE_PLANES_AVX2_H

#include "device/cpu/tile_dot.h"
#include "device/cpu/tile_unpack.h"

#define HAVE_PLANE_DOTS 1

/* Whether add_plane_block() takes them. */
INLINE bool has_planes(uint32_t id)
{
	return id == FORMAT_Q2_K || id == FORMAT_Q3_K || id == FORMAT_TQ2_0;
}

/* Bits of each byte after they have been moved to the left, or by a negative number to the right.
 */
INLINE __m256i moved_bits(__m256i v, int left, int mask)
{
	return _mm256_and_si256(left < 0 ? _mm256_srli_epi16(v, -left) : _mm256_slli_epi16(v, left),
				_mm256_set1_epi8((char)mask));
}

/*
 * Codes of the @p-th of four parts from @first on, which lie in the same bytes, @v, and @v moved by
 * four bits, @high: those of odd parts are four times as large, as nothing moves them.
 */
INLINE __m256i part_codes(uint32_t id, __m256i v, __m256i high, __m256i thirds, int first, int p)
{
	const __m256i two = _mm256_and_si256(p & 2 ? high : v, _mm256_set1_epi8(p & 1 ? 12 : 3));

	if (id != FORMAT_Q3_K)
		return two;
	return _mm256_or_si256(two,
			       moved_bits(thirds, (p & 1 ? 4 : 2) - first - p, p & 1 ? 16 : 4));
}

/*
 * sum[p][i]: of part @first + p the products of those codes of 16 rows that are in group i of its
 * @groups, for parts [@begin, @end).
 */
INLINE void sum_parts(uint32_t id, const uint8_t *b, int first, int begin, int end, int groups,
		      const int8_t *x, __m256i sum[4][2][2])
{
	const size_t pairs = 16 * (size_t)(id == FORMAT_Q3_K   ? 46
					   : id == FORMAT_Q2_K ? 20
							       : 2) +
			     128 * (size_t)first;

	/* or what was loaded before would be kept, in memory again */
	__asm__("" : "+r"(b));
#pragma GCC unroll 8
	for (int d = 0; d < 8; d++)
#pragma GCC unroll 2
		for (int h = 0; h < 2; h++) {
			const size_t at = (size_t)(64 * d + 32 * h);
			__m256i v = (__m256i)load_bytes(b + pairs + at), high = v, thirds = v;

			if (end > 2)
				high = _mm256_srli_epi16(v, 4);
			if (id == FORMAT_Q3_K)
				thirds = (__m256i)load_bytes(b + 16 * 14 + at);
#pragma GCC unroll 4
			for (int p = begin; p < MIN(end, 4); p++) {
				const __m256i products = _mm256_maddubs_epi16(
					part_codes(id, v, high, thirds, first, p),
					broadcast_codes(x + 32 * p + 4 * d));
				__m256i *const s = &sum[p][d * groups / 8][h];

				if (d % (8 / groups) == 0) {
					*s = products;
				} else if (id == FORMAT_Q3_K) {
					*s = add_words(*s, products);
				} else {
					*s = _mm256_add_epi16(*s, products);
					__asm__("" : "+x"(*s));
				}
			}
		}
}

/* add_tile() of a block with one activation row. */
INLINE void add_plane_block(uint32_t id, const uint8_t *b, const struct q8_rows *x,
			    const struct tile_input *in, size_t from, vec *acc)
{
	const struct stoker_format f = tile_format(id);
	const struct tile_codes c = tile_codes_of_one(&f);
	const int groups = 32 / f.group, each = groups == 2 ? 2 : 4;
	const size_t part_bytes = TILE_ROWS * f.block_bytes / 8;
	const __m256i ones = _mm256_set1_epi16(1);

#pragma GCC unroll 2
	for (int first = 0; first < 8; first += 4, from += 128) {
		__m256i sum[4][2][2] = { 0 };

		prefetch_ahead(b + (size_t)first * part_bytes + read_early(id), 4 * part_bytes);
#pragma GCC unroll 4
		for (int p = 0; p < 4; p++) {
			const size_t g = from / ACTIVATION_GROUP + (size_t)p;
			_Alignas(64) float scale[32], offset[32] = { 0 };

			if (p % each == 0)
				sum_parts(id, b, first, p, p + each, groups, in->codes[0] + from,
					  sum);
			unpack_scales(id, b, first, p, scale, offset);
#pragma GCC unroll 2
			for (int i = 0; i < groups; i++) {
				const int32_t *corr = groups == 1
							      ? x->corr32 + in->at[0] + g
							      : x->corr16 + 2 * (in->at[0] + g) + i;
				const __m256i start = starts_of(c.bias, corr);
				vec dots[2];

#pragma GCC unroll 2
				for (int h = 0; h < 2; h++) {
					__m256i s = sum[p][i][h];

					if (p & 1)
						s = _mm256_srai_epi16(s, 2);
					dots[h] = (vec)_mm256_cvtepi32_ps(_mm256_add_epi32(
						start, _mm256_madd_epi16(s, ones)));
				}
				add_products(acc, dots, scale + 16 * i, x->d + g, in->at, 1, 1);
				if (f.affine)
					add_products(acc, NULL, offset + 16 * i,
						     x->xs16 + 2 * g + (size_t)i, in->at, 2, 1);
			}
		}
	}
}

#endif
