/* SPDX-License-Identifier: MIT */
/*
 * Dot products of a tile's rows with few activation rows where the codes are entries of a codebook,
 * in vectors of 256 bits: entries go from the codebook to registers, eight codes of four rows at a
 * time, and activations take the signs.
 */
#ifndef STOKER_CPU_TILE_GRID_AVX2_H
#define STOKER_CPU_TILE_GRID_AVX2_H

#include "device/cpu/tile_dot.h"
#include "device/cpu/tile_unpack.h"

#define HAVE_GRID_DOTS 1

/* Sums of so many products of pairs fit in 16 bits. */
INLINE int grid_steps(uint32_t id)
{
	return id == FORMAT_IQ3_S || is_ternary_grid(id) ? 4 : 2;
}

/* Whether indices are bytes that lie one after another. */
INLINE bool has_byte_indices(uint32_t id)
{
	return id == FORMAT_IQ2_XXS || id == FORMAT_IQ3_XXS;
}

/* What a part's products need of it: entries' places in the codebook, and a byte for eight signs.
 */
struct grid_part {
	const uint8_t *bytes;
	_Alignas(32) uint16_t index[4][TILE_ROWS][2];
	_Alignas(32) uint32_t signs[TILE_ROWS];
};

INLINE int index_of(uint32_t id, const struct grid_part *g, int row, int i)
{
	if (has_byte_indices(id))
		return g->bytes[64 * (i / 4) + 4 * row + (i & 3)];
	return id == FORMAT_IQ2_XS ? g->index[i / 2][row][i & 1]
				   : g->index[i / 4 * 2 + (i & 1)][row][i >> 1 & 1];
}

/* Which byte has the signs of the @l-th eight codes. */
INLINE int sign_byte(uint32_t id, int l)
{
	return id == FORMAT_IQ2_XS ? l / 2 + l % 2 * 2 : l;
}

/* Bytes of seven bits, whose eighth bits make the number of those that are set even. */
INLINE __m256i even_bits(__m256i v)
{
	const __m256i odd = _mm256_broadcastsi128_si256(
		_mm_set_epi32(0x00808000, (int)0x80000080, (int)0x80000080, 0x00808000));
	const __m256i four = _mm256_and_si256(_mm256_xor_si256(v, _mm256_srli_epi16(v, 4)),
					      _mm256_set1_epi8(15));

	return _mm256_or_si256(v, _mm256_shuffle_epi8(odd, four));
}

/* The same of dwords, of which the lower 28 bits count. */
INLINE __m256i even_sevens(__m256i v)
{
	const __m256i pairs = _mm256_blend_epi16(v, _mm256_slli_epi32(v, 2), 0xaa);

	return even_bits(_mm256_or_si256(_mm256_and_si256(pairs, _mm256_set1_epi16(0x7f)),
					 _mm256_and_si256(_mm256_slli_epi16(pairs, 1),
							  _mm256_set1_epi16(0x7f00))));
}

INLINE __m256i signs_of(uint32_t id, const uint8_t *b, int row, int part)
{
	switch (id) {
	case FORMAT_IQ1_S:
	case FORMAT_IQ1_M: /* what is added, and what makes codes positive */
		return _mm256_sub_epi8(_mm256_set1_epi8(10),
				       (__m256i)(grid_signs(id, b, row, part) & 0x02020202));
	case FORMAT_IQ2_XXS:
		return even_sevens((__m256i)dwords(b + 16 * (6 + 8 * part), row));
	case FORMAT_IQ2_XS: {
		const __m256i first = (__m256i)dwords(b + 16 * (2 + 8 * part), row);
		const __m256i second = (__m256i)dwords(b + 16 * (6 + 8 * part), row);

		return even_bits(
			_mm256_or_si256(_mm256_srli_epi16(first, 9),
					_mm256_slli_epi16(_mm256_srli_epi16(second, 9), 8)));
	}
	case FORMAT_IQ3_XXS:
		return even_sevens((__m256i)dwords(b + 16 * (66 + 4 * part), row));
	default:
		return (__m256i)grid_signs(id, b, row, part);
	}
}

/* Indices of four entries from bytes at @low, @bits more each, @apart, from both halves of @high.
 */
INLINE void store_indices(struct grid_part *g, int first, int row, ivec low, word_vec high,
			  int bits, int apart)
{
	const ivec times = (ivec){ 0 } + (256 | 1 << (24 - 2 * apart));
	const word_vec mask = (word_vec){ 0 } + (uint16_t)((1 << (8 + bits)) - 256);

	*(word_vec *)(void *)g->index[first][row] = ((word_vec)low & 255) |
						    (high * (word_vec)times & mask);
	*(word_vec *)(void *)g->index[first + 1][row] = ((word_vec)low >> 8) |
							((high >> apart) * (word_vec)times & mask);
}

INLINE void make_indices(uint32_t id, struct grid_part *g, const uint8_t *b, int row, int part)
{
	const ivec low = dwords(b + 32 + 64 * part, row);
	ivec high;

	switch (id) {
	case FORMAT_IQ1_S:
		high = word_field(b + 16 * 34, row, part);
		store_indices(g, 0, row, low, (word_vec)(high | high << 16), 3, 3);
		break;
	case FORMAT_IQ1_M:
		high = word_field(b + 16 * 32, row, part);
		store_indices(g, 0, row, dwords(b + 64 * part, row), (word_vec)(high | high << 16),
			      3, 4);
		break;
	case FORMAT_IQ2_XS:
		for (int h = 0; h < 2; h++)
			*(word_vec *)(void *)g->index[h][row] =
				(word_vec)dwords(b + 32 + 128 * part + 64 * h, row) & 511;
		break;
	case FORMAT_IQ2_S:
		high = byte_field(b + 16 * 66, row, part);
		store_indices(g, 0, row, low, (word_vec)(high | high << 16), 2, 2);
		break;
	case FORMAT_IQ3_S:
		high = byte_field(b + 16 * 66, row, part);
		for (int h = 0; h < 2; h++)
			store_indices(g, 2 * h, row, dwords(b + 32 + 128 * part + 64 * h, row),
				      (word_vec)(high | high << 16) >> (4 * h), 1, 1);
		break;
	}
}

INLINE void take_part(uint32_t id, const uint8_t *b, int part, struct grid_part *g)
{
	g->bytes = b + 32 + 128 * part;
	for (int row = 0; row < TILE_ROWS; row += LANES) {
		make_indices(id, g, b, row, part);
		_mm256_store_si256((__m256i *)(void *)(g->signs + row), signs_of(id, b, row, part));
	}
}

/* The @l-th eight codes of a row. */
INLINE long long eight_codes(uint32_t id, const struct grid_part *g, int row, int l)
{
	switch (id) {
	case FORMAT_IQ2_XXS:
		return (long long)cpu_grid_iq2xxs[index_of(id, g, row, l)];
	case FORMAT_IQ2_XS:
		return (long long)cpu_grid_iq2xs[index_of(id, g, row, l)];
	case FORMAT_IQ2_S:
		return (long long)cpu_grid_iq2s[index_of(id, g, row, l)];
	default:
		return (long long)cpu_grid_iq1s[index_of(id, g, row, l)];
	}
}

INLINE int four_codes(uint32_t id, const struct grid_part *g, int row, int i)
{
	return (int)(id == FORMAT_IQ3_S ? cpu_grid_iq3s : cpu_grid_iq3xxs)[index_of(id, g, row, i)];
}

/* The same of rows @row, @row + 1, @row + 4 and @row + 5. */
INLINE __m256i entries_of(uint32_t id, const struct grid_part *g, int row, int l)
{
	if (entry_values(id) == 8)
		return _mm256_set_epi64x(eight_codes(id, g, row + 5, l),
					 eight_codes(id, g, row + 4, l),
					 eight_codes(id, g, row + 1, l),
					 eight_codes(id, g, row, l));
	return _mm256_set_epi32(
		four_codes(id, g, row + 5, 2 * l + 1), four_codes(id, g, row + 5, 2 * l),
		four_codes(id, g, row + 4, 2 * l + 1), four_codes(id, g, row + 4, 2 * l),
		four_codes(id, g, row + 1, 2 * l + 1), four_codes(id, g, row + 1, 2 * l),
		four_codes(id, g, row, 2 * l + 1), four_codes(id, g, row, 2 * l));
}

INLINE __m256i broadcast_eight(const int8_t *x)
{
	return _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)x));
}

/* Of eight rows' @signs those of the same codes, each byte eight times. */
INLINE __m256i spread_signs(__m256i signs, int pair, int byte)
{
	const int first = 8 * pair + byte;
	const long long low = first * 0x0101010101010101, high = low + 0x0404040404040404;

	return _mm256_shuffle_epi8(signs, _mm256_set_epi64x(high, low, high, low));
}

/*
 * out[i] = the products of codes [8 @first, 8 @end) of a part's 16 rows with those of activation
 * row i of @n at @at; sums begin with @start.
 */
INLINE void grid_dots(uint32_t id, const struct grid_part *g, const int8_t *const *x, size_t at,
		      int first, int end, const int32_t *start, int n, vec *out)
{
	const __m256i ones = _mm256_set1_epi16(1);
	const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
	const int steps = grid_steps(id);

/* not unrolled: the code would fill caches */
#pragma GCC unroll 1
	for (int row = 0; row < TILE_ROWS; row += 8) {
		const __m256i signs = _mm256_load_si256((const __m256i *)(g->signs + row));
		__m256i sum[2][GEMM_ROWS] = { 0 };

#pragma GCC unroll 2
		for (int pair = 0; pair < 2; pair++)
#pragma GCC unroll 2
			for (int from = first; from < end; from += steps) {
				__m256i part[GEMM_ROWS] = { 0 };

#pragma GCC unroll 4
				for (int l = from; l < MIN(from + steps, end); l++) {
					__m256i w = entries_of(id, g, row + 2 * pair, l);
					__m256i s = spread_signs(signs, pair, sign_byte(id, l));

					if (is_ternary_grid(id))
						w = _mm256_add_epi8(w, s);
					else
						s = _mm256_or_si256(
							_mm256_cmpeq_epi8(_mm256_and_si256(s, bit),
									  bit),
							_mm256_set1_epi8(1));
#pragma GCC unroll 4
					for (int i = 0; i < n; i++) {
						const __m256i v =
							broadcast_eight(x[i] + at + 8 * l);
						const __m256i p = _mm256_maddubs_epi16(
							w, is_ternary_grid(id)
								   ? v
								   : _mm256_sign_epi8(v, s));

						part[i] = l == from ? p
								    : _mm256_add_epi16(part[i], p);
					}
				}
#pragma GCC unroll 4
				for (int i = 0; i < n; i++) {
					const __m256i p = _mm256_madd_epi16(part[i], ones);

					sum[pair][i] = from == first
							       ? p
							       : _mm256_add_epi32(sum[pair][i], p);
				}
			}
#pragma GCC unroll 4
		for (int i = 0; i < n; i++) {
			const __m256i all = _mm256_hadd_epi32(sum[0][i], sum[1][i]);

			out[TILE_VECTORS * i + row / LANES] = (vec)_mm256_cvtepi32_ps(
				is_ternary_grid(id)
					? _mm256_add_epi32(all, _mm256_set1_epi32(start[i]))
					: all);
		}
	}
}

/* add_tile() of the @h-th group of a part, whose codes from @from on the activation rows have. */
INLINE void add_grid_group(uint32_t id, const struct grid_part *g, unsigned group, int h,
			   const float *scale, const struct q8_rows *x, const struct tile_input *in,
			   size_t from, int n, vec *acc)
{
	const int bias = is_ternary_grid(id) ? 9 : 0, each = (int)group / 8;
	const size_t at = from / ACTIVATION_GROUP;
	int32_t start[GEMM_ROWS] = { 0 };
	vec dots[GEMM_ROWS * TILE_VECTORS] = { 0 };

	for (int i = 0; bias && i < n; i++) {
		const size_t row = in->at[i] + at;

		start[i] = bias * ((group == 32 ? x->corr32[row] : x->corr16[2 * row + h]) >> 7);
	}
	grid_dots(id, g, in->codes, from, each * h, each * (h + 1), start, n, dots);
	add_products(acc, dots, scale + TILE_ROWS * h, x->d + at, in->at, 1, n);
}

/* The same of a block. */
INLINE void add_grid_block(uint32_t id, const uint8_t *b, unsigned group, const struct q8_rows *x,
			   const struct tile_input *in, size_t from, int n, vec *acc)
{
	enum { PARTS = 8 };
	const size_t part_bytes = TILE_ROWS * tile_format(id).block_bytes / PARTS;
	struct grid_part parts[PARTS];
	_Alignas(64) float scale[32];

	/* all of them, as it takes a while until memory gives back what was just written */
#pragma GCC unroll 1
	for (int p = 0; p < PARTS; p++) {
		prefetch_ahead(b + (size_t)p * part_bytes, part_bytes);
		take_part(id, b, p, &parts[p]);
	}
#pragma GCC unroll 1
	for (int p = 0; p < PARTS; p++, from += TILE_PART) {
		unpack_scales(id, b, p, 0, scale, NULL);
		add_grid_group(id, &parts[p], group, 0, scale, x, in, from, n, acc);
		if (group == 16)
			add_grid_group(id, &parts[p], group, 1, scale, x, in, from, n, acc);
	}
}

/* Codes of eight rows of a part from @row on, larger by @bias: [8][16][4]. */
INLINE void store_eight_rows(uint32_t id, const struct grid_part *g, int row, int bias,
			     uint8_t *codes)
{
	const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
	const __m256i signs = _mm256_load_si256((const __m256i *)(g->signs + row));
	const __m256i more = _mm256_set1_epi8((char)bias);

#pragma GCC unroll 4
	for (int l = 0; l < 4; l++) {
		float *const to = (float *)(void *)(codes + 128 * l + 4 * row);
		__m256 w[2];

#pragma GCC unroll 2
		for (int pair = 0; pair < 2; pair++) {
			const __m256i v = entries_of(id, g, row + 2 * pair, l);
			const __m256i s = spread_signs(signs, pair, sign_byte(id, l));
			const __m256i less = _mm256_cmpeq_epi8(_mm256_and_si256(s, bit), bit);

			w[pair] = _mm256_castsi256_ps(
				is_ternary_grid(id) ? _mm256_add_epi8(v, s)
						    : _mm256_add_epi8(_mm256_xor_si256(v, less),
								      _mm256_sub_epi8(more, less)));
		}
		_mm256_store_ps(to, _mm256_shuffle_ps(w[0], w[1], 0x88));
		_mm256_store_ps(to + 16, _mm256_shuffle_ps(w[0], w[1], 0xdd));
	}
}

/* Those of a block; in formats whose codes aren't signed @bias is what signs_of() makes of it. */
INLINE void store_grid_block(uint32_t id, const uint8_t *b, int bias, uint8_t *codes)
{
	enum { PARTS = 8 };
	struct grid_part parts[PARTS];

#pragma GCC unroll 1
	for (int p = 0; p < PARTS; p++)
		take_part(id, b, p, &parts[p]);
#pragma GCC unroll 1
	for (int p = 0; p < PARTS; p++, codes += 16 * TILE_PART)
#pragma GCC unroll 1
		for (int row = 0; row < TILE_ROWS; row += 8)
			store_eight_rows(id, &parts[p], row, bias, codes);
}

#endif
