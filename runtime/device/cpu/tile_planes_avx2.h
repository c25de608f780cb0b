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

/*
 * How many bits codes of part @p are too far to the left where nothing moves them: what comes of
 * them is moved instead.
 */
INLINE int part_shift(uint32_t id, int p)
{
	if (id == FORMAT_Q3_K)
		return p & 1 && p < 6 ? 3 : 0;
	return p & 1 ? 2 : 0;
}

/* Bits of each byte after they have been moved to the right. */
INLINE __m256i moved_bits(__m256i v, int by, int mask)
{
	return _mm256_and_si256(_mm256_srli_epi16(v, by), _mm256_set1_epi8((char)mask));
}

/* Codes of Q3_K, see tiles.c, that begin at @codes. */
INLINE __m256i q3_k_part(const uint8_t *codes, int p)
{
	const __m256i v = (__m256i)load_bytes(codes + 512 * (p < 6 ? p / 2 : p - 6));

	if (p > 5)
		return _mm256_or_si256(moved_bits(v, 6, 3),
				       moved_bits((__m256i)load_bytes(codes + 1024), p - 2, 4));
	return _mm256_and_si256(v, _mm256_set1_epi8((char)(7 << part_shift(FORMAT_Q3_K, p))));
}

/* Codes of part @p, which begin at @codes; of four parts that lie in the same bytes. */
INLINE __m256i part_codes(uint32_t id, const uint8_t *codes, int p)
{
	if (id == FORMAT_Q3_K)
		return q3_k_part(codes, p);

	const __m256i v = (__m256i)load_bytes(codes + 512 * (p / 4));

	return _mm256_and_si256(p & 2 ? _mm256_srli_epi16(v, 4) : v,
				_mm256_set1_epi8((char)(3 << part_shift(id, p))));
}

/* Where a block's codes begin. */
INLINE size_t first_codes(uint32_t id)
{
	return 16 * (size_t)(id == FORMAT_Q3_K ? 14 : id == FORMAT_Q2_K ? 20 : 2);
}

/*
 * sum[p][i]: of part @first + p the products of those codes of 16 rows that are in group i of its
 * @groups, for parts [@begin, @end); those of Q3_K are of codes as they really are.
 */
INLINE void sum_parts(uint32_t id, const uint8_t *b, int first, int begin, int end, int groups,
		      const int8_t *x, const int16_t *pairs, __m256i sum[4][2][2])
{
	const int least = -tile_format(id).least;

	/* or what was loaded before would be kept, in memory again */
	__asm__("" : "+r"(b));
#pragma GCC unroll 8
	for (int d = 0; d < 8; d++)
#pragma GCC unroll 2
		for (int h = 0; h < 2; h++) {
			const uint8_t *codes = b + first_codes(id) + (size_t)(64 * d + 32 * h);

#pragma GCC unroll 4
			for (int p = begin; p < MIN(end, 4); p++) {
				const int group = d * groups / 8;
				const __m256i products =
					_mm256_maddubs_epi16(part_codes(id, codes, first + p),
							     broadcast_codes(x + 32 * p + 4 * d));
				__m256i *const s = &sum[p][group][h];

				if (d % (8 / groups))
					*s = add_words(*s, products);
				else if (id == FORMAT_Q3_K)
					*s = add_words(
						word_starts(least << part_shift(id, first + p),
							    pairs + 2 * (2 * p + group)),
						products);
				else
					*s = products;
			}
		}
}

/* add_tile() of a block with one activation row. */
INLINE void add_plane_block(uint32_t id, const uint8_t *b, const struct q8_rows *x,
			    const struct tile_input *in, size_t from, vec *acc)
{
	const struct stoker_format f = tile_format(id);
	const int bias = id == FORMAT_Q3_K ? 0 : tile_codes_of_one(&f).bias;
	const int groups = 32 / f.group, each = groups == 2 ? 2 : 4;
	const size_t part_bytes = TILE_ROWS * f.block_bytes / 8;
	const __m256i ones = _mm256_set1_epi16(1);

#pragma GCC unroll 2
	for (int first = 0; first < 8; first += 4, from += 128) {
		const size_t row_group = in->at[0] + from / ACTIVATION_GROUP;
		__m256i sum[4][2][2] = { 0 };

		prefetch_ahead(b + (size_t)first * part_bytes + read_early(id), 4 * part_bytes);
#pragma GCC unroll 4
		for (int p = 0; p < 4; p++) {
			const size_t g = from / ACTIVATION_GROUP + (size_t)p;
			_Alignas(64) float scale[32], offset[32] = { 0 };

			if (p % each == 0)
				sum_parts(id, b, first, p, p + each, groups, in->codes[0] + from,
					  x->pairs16 + 4 * row_group, sum);
			unpack_scales(id, b, first, p, scale, offset);
#pragma GCC unroll 2
			for (int i = 0; i < groups; i++) {
				const int32_t *corr = groups == 1
							      ? x->corr32 + in->at[0] + g
							      : x->corr16 + 2 * (in->at[0] + g) + i;
				const __m256i start = starts_of(bias, corr);
				vec dots[2];

#pragma GCC unroll 2
				for (int h = 0; h < 2; h++) {
					const __m256i s = _mm256_srai_epi16(
						sum[p][i][h], part_shift(id, first + p));

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
