/* SPDX-License-Identifier: MIT */
/* Dot products of a tile's 16 weight rows with activations, both 8-bit codes: see kernels.h. */
#ifndef STOKER_CPU_TILE_DOT_H
#define STOKER_CPU_TILE_DOT_H

#include "device/cpu/kernels.h"
#include "device/cpu/vectors.h"

/*
 * How a tile keeps its codes.  Where an instruction multiplies unsigned bytes by signed ones they
 * are @bias too large, and sums begin with what makes up for it.  With AVX2 that instruction adds
 * pairs of products to 16 bits: @steps says how many such sums fit in there, 0 that not even one
 * does, so that codes stay signed.
 */
struct tile_codes {
	int bias, steps;
};

#if HAVE_VNNI512 || HAVE_VNNI256
INLINE struct tile_codes tile_codes_of(const struct stoker_format *f)
{
	(void)f;
	return (struct tile_codes){ .bias = 128 };
}
#elif defined(__AVX2__)
INLINE struct tile_codes tile_codes_of(const struct stoker_format *f)
{
	const int range = f->most - f->least; /* 2 * 127 * range * steps < 2^15 */

	return range > 127 ? (struct tile_codes){ 0 }
			   : (struct tile_codes){ .bias = -f->least,
						  .steps = range <= 15	 ? 8
							   : range <= 31 ? 4
							   : range <= 63 ? 2
									 : 1 };
}
#else
INLINE struct tile_codes tile_codes_of(const struct stoker_format *f)
{
	(void)f;
	return (struct tile_codes){ 0 };
}
#endif

#if defined(__AVX2__) && !HAVE_VNNI512 && !HAVE_VNNI256
/* @corr, see start_of(), is loaded into all lanes at once: a multiple of 128. */
INLINE __m256i starts_of(int bias, const int32_t *corr)
{
	const __m256i all = _mm256_set1_epi32(*corr);
	__m256i sum = _mm256_setzero_si256();

	for (int bit = 0; bit < 8; bit++)
		if (bias >> bit & 1)
			sum = _mm256_add_epi32(sum, _mm256_srai_epi32(all, 7 - bit));
	return sum;
}

/*
 * What sums of 16 bits begin with where codes are @bias too large: they wrap on their way, and are
 * right if what the real codes give fits.
 */
INLINE __m256i word_starts(int bias, const int16_t *pairs)
{
	return _mm256_mullo_epi16(_mm256_set1_epi32((int)load_u32((const uint8_t *)pairs)),
				  _mm256_set1_epi16((int16_t)-bias));
}
#endif

/* The same where codes are made for few products: with the smallest bias. */
INLINE struct tile_codes tile_codes_of_one(const struct stoker_format *f)
{
	struct tile_codes c = tile_codes_of(f);

	if (c.bias == 128)
		c.bias = -f->least;
	return c;
}

/* @corr is -128 times the sum of an activation row's codes. */
INLINE int32_t start_of(struct tile_codes c, int32_t corr)
{
	return c.bias == 128 ? corr : (corr >> 7) * c.bias;
}

/* Where activation rows' corr is, see struct q8_rows: of row i at @corr[@each * @at[i]]. */
struct tile_starts {
	const int32_t *corr;
	const size_t *at;
	size_t each;
};

INLINE const int32_t *start_at(const struct tile_starts *s, int row)
{
	return s->corr + s->at[row] * s->each;
}

/* Activation rows that go through a tile together, which is a matter of registers. */
#if HAVE_VNNI512
enum { GEMM_ROWS = 8 };
#elif HAVE_VNNI256
enum { GEMM_ROWS = 6 };
#else
enum { GEMM_ROWS = 4 };
#endif

enum { TILE_VECTORS = TILE_ROWS / LANES }; /* a float for each of a tile's rows */

/*
 * out[i] = the products of the tile's 16 rows with @count codes from @at on of activation row i of
 * @n, four of which are @step bytes from the next four; sums begin with what @start says.
 */
#if HAVE_VNNI512
INLINE void tile_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count, int step,
		      struct tile_codes c, const struct tile_starts *start, int n, vec *out)
{
	__m512i acc[GEMM_ROWS];

	for (int i = 0; i < n; i++)
		acc[i] = _mm512_set1_epi32(start_of(c, *start_at(start, i)));
	for (int j = 0; j < count; j += 4) {
		const __m512i w = _mm512_load_si512(tile + 16 * j);

		for (int i = 0; i < n; i++)
			acc[i] = _mm512_dpbusd_epi32(
				acc[i], w,
				_mm512_set1_epi32((int)load_u32(x[i] + at + j / 4 * step)));
	}
	for (int i = 0; i < n; i++)
		out[i] = (vec)_mm512_cvtepi32_ps(acc[i]);
}
#elif defined(__AVX2__)
INLINE __m256i broadcast_codes(const int8_t *x)
{
	return _mm256_set1_epi32((int)load_u32(x));
}

#if HAVE_VNNI256
INLINE void tile_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count, int step,
		      struct tile_codes c, const struct tile_starts *start, int n, vec *out)
{
	__m256i low[GEMM_ROWS], high[GEMM_ROWS];

	for (int i = 0; i < n; i++)
		low[i] = high[i] = _mm256_set1_epi32(start_of(c, *start_at(start, i)));
	for (int j = 0; j < count; j += 4) {
		const __m256i w0 = _mm256_load_si256((const __m256i *)(tile + 16 * j));
		const __m256i w1 = _mm256_load_si256((const __m256i *)(tile + 16 * j + 32));

		for (int i = 0; i < n; i++) {
			const __m256i b = broadcast_codes(x[i] + at + j / 4 * step);

			low[i] = _mm256_dpbusd_avx_epi32(low[i], w0, b);
			high[i] = _mm256_dpbusd_avx_epi32(high[i], w1, b);
		}
	}
	for (int i = 0; i < n; i++) {
		out[2 * i] = (vec)_mm256_cvtepi32_ps(low[i]);
		out[2 * i + 1] = (vec)_mm256_cvtepi32_ps(high[i]);
	}
}
#else
/*
 * a + b, in the order in which it is written: compilers would add in another one, for which there
 * aren't enough registers.
 */
INLINE __m256i add_words(__m256i a, __m256i b)
{
	__m256i sum;

	__asm__("vpaddw %2, %1, %0" : "=x"(sum) : "x"(a), "x"(b));
	return sum;
}

/*
 * Adds to sums of 16 bits the products of four codes of a tile's rows at @codes with those of @n
 * activation rows at @at.  Compilers aren't let reorder it: they'd have more in registers than
 * there are.
 */
INLINE void add_pairs(const uint8_t *codes, const int8_t *const *x, size_t at, int n, bool is_first,
		      __m256i *sum)
{
	const __m256i *w = (const __m256i *)codes;
	__m256i code[2] = { _mm256_load_si256(w), _mm256_load_si256(w + 1) };

	__asm__("" : "+x"(code[0]), "+x"(code[1]));
#pragma GCC unroll 8
	for (int i = 0; i < n; i++) {
		const __m256i b = broadcast_codes(x[i] + at);

#pragma GCC unroll 2
		for (int h = 0; h < 2; h++) {
			__m256i *const s = &sum[2 * i + h];
			const __m256i p = _mm256_maddubs_epi16(code[h], b);

			*s = is_first ? p : _mm256_add_epi16(*s, p);
			__asm__("" : "+x"(*s));
		}
	}
}

/*
 * tile_dots() of signed codes, of which not even two sums of pairs fit in 16 bits: eight of the
 * tile's rows after the others, for which there are enough registers.
 */
INLINE void signed_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count, int step,
			int n, vec *out)
{
	const __m256i ones = _mm256_set1_epi16(1);

#pragma GCC unroll 2
	for (int h = 0; h < 2; h++) {
		__m256i acc[GEMM_ROWS] = { 0 };

#pragma GCC unroll 8
		for (int j = 0; j < count; j += 4) {
			__m256i w = _mm256_load_si256((const __m256i *)(tile + 16 * j + 32 * h));
			__m256i positive = _mm256_abs_epi8(w);

			__asm__("" : "+x"(w), "+x"(positive));
#pragma GCC unroll 8
			for (int i = 0; i < n; i++) {
				const __m256i b = broadcast_codes(x[i] + at + j / 4 * step);

				/* |code| <= 128 and |x| <= 127, a pair fits */
				acc[i] = _mm256_add_epi32(
					acc[i],
					_mm256_madd_epi16(_mm256_maddubs_epi16(
								  positive, _mm256_sign_epi8(b, w)),
							  ones));
				__asm__("" : "+x"(acc[i]));
			}
		}
#pragma GCC unroll 8
		for (int i = 0; i < n; i++)
			out[2 * i + h] = (vec)_mm256_cvtepi32_ps(acc[i]);
	}
}

INLINE void tile_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count, int step,
		      struct tile_codes c, const struct tile_starts *start, int n, vec *out)
{
	if (!c.steps) {
		signed_dots(tile, x, at, count, step, n, out);
		return;
	}

	const __m256i ones = _mm256_set1_epi16(1);
	const int span = 4 * c.steps;
	__m256i acc[2 * GEMM_ROWS];

	for (int i = 0; i < n; i++)
		acc[2 * i] = acc[2 * i + 1] = starts_of(c.bias, start_at(start, i));
#pragma GCC unroll 8
	for (int from = 0; from < count; from += span) {
		__m256i sum[2 * GEMM_ROWS] = { 0 };

#pragma GCC unroll 8
		for (int j = from; j < MIN(from + span, count); j += 4)
			add_pairs(tile + 16 * j, x, at + (size_t)(j / 4 * step), n, j == from, sum);
#pragma GCC unroll 8
		for (int i = 0; i < 2 * n; i++)
			acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(sum[i], ones));
	}
	for (int i = 0; i < 2 * n; i++)
		out[i] = (vec)_mm256_cvtepi32_ps(acc[i]);
}
#endif
#else
#if defined(__ARM_FEATURE_DOTPROD)
INLINE void tile_dot(const uint8_t *tile, const int8_t *x, int count, vec *out)
{
	int32x4_t acc[4] = { vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0) };

	for (int j = 0; j < count; j += 4) {
		const int8x16_t b = vreinterpretq_s8_u32(vdupq_n_u32(load_u32(x + j)));

		for (int q = 0; q < 4; q++)
			acc[q] = vdotq_s32(acc[q], vld1q_s8((const int8_t *)tile + 16 * j + 16 * q),
					   b);
	}
	for (int q = 0; q < 4; q++)
		out[q] = (vec)vcvtq_f32_s32(acc[q]);
}
#else
typedef int16_t short_vec __attribute__((vector_size(4 * LANES)));
typedef ivec codes_vec __attribute__((may_alias));

/* Codes 0 and 2 of dwords of four as words, and 1 and 3. */
INLINE void split_codes(ivec four, short_vec *even, short_vec *odd)
{
	*even = ((short_vec)four << 8) >> 8;
	*odd = (short_vec)four >> 8;
}

/* Compilers alone make of this what takes several times as long. */
INLINE void tile_dot(const uint8_t *tile, const int8_t *x, int count, vec *out)
{
	ivec acc[TILE_VECTORS] = { 0 };

	for (int j = 0; j < count; j += 4) {
		const ivec all = (ivec){ 0 } + (int32_t)load_u32(x + j);
		const codes_vec *codes = (const codes_vec *)(const void *)(tile + 16 * j);
		short_vec even_x, odd_x, even, odd;

		split_codes(all, &even_x, &odd_x);
		for (int v = 0; v < TILE_VECTORS; v++) {
			split_codes(codes[v], &even, &odd);
			/* |code| <= 128 and |x| <= 127, two products fit */
			const ivec p = (ivec)(even * even_x + odd * odd_x);

			acc[v] += (p << 16 >> 16) + (p >> 16);
		}
	}
	for (int v = 0; v < TILE_VECTORS; v++)
		out[v] = __builtin_convertvector(acc[v], vec);
}
#endif

INLINE void tile_dots(const uint8_t *tile, const int8_t *const *x, size_t at, int count, int step,
		      struct tile_codes c, const struct tile_starts *start, int n, vec *out)
{
	(void)c, (void)start, (void)step;
	for (int i = 0; i < n; i++)
		tile_dot(tile, x[i] + at, count, out + TILE_VECTORS * i);
}
#endif

/* Weights of 16 rows as codes and scales. */
struct tile {
	uint8_t *codes;	       /* [k / 4][16][4] */
	float *scale, *offset; /* [k / group][16]; no offset: NULL */
};

INLINE void store_rows(float *dst, const vec *v, unsigned rows)
{
	float part[TILE_ROWS];

	for (int i = 0; i < TILE_VECTORS; i++)
		store((rows == TILE_ROWS ? dst : part) + LANES * i, v[i]);
	if (rows < TILE_ROWS)
		memcpy(dst, part, rows * sizeof(float));
}

/* acc[i] += (p[i] or 1) * numbers * x[at[i] * each], for @n activation rows. */
INLINE void add_products(vec *acc, const vec *p, const float *numbers, const float *x,
			 const size_t *at, size_t each, int n)
{
	for (int h = 0; h < TILE_VECTORS; h++) {
		const vec s = load(numbers + LANES * h);

		for (int i = 0; i < n; i++) {
			const vec y = s * x[at[i] * each];
			const int v = TILE_VECTORS * i + h;

			acc[v] += p ? p[v] * y : y;
		}
	}
}

/* Codes and numbers of groups that activation rows take to a tile. */
struct tile_input {
	const int8_t *codes[GEMM_ROWS];
	size_t at[GEMM_ROWS]; /* of their first groups */
};

/* Of @n rows from @first on; where there are fewer @left, the last one again. */
INLINE struct tile_input take_input(const struct q8_rows *x, const uint32_t *rows, size_t first,
				    int n, size_t left)
{
	struct tile_input in = { 0 };

	for (int i = 0; i < n; i++) {
		const size_t row = row_of(rows, first + MIN((size_t)i, left - 1));

		in.codes[i] = x->codes + row * x->k;
		in.at[i] = row * (x->k / ACTIVATION_GROUP);
	}
	return in;
}

/* add_tile() of half @h of 32 values from @from on, whose codes are at @at in the tile. */
INLINE void add_half(const struct tile *t, bool affine, struct tile_codes c,
		     const struct q8_rows *x, const struct tile_input *in, size_t from, int h,
		     size_t at, size_t code, int n, vec *acc)
{
	const size_t g = from / ACTIVATION_GROUP, half = at / 16 + 16 * (size_t)h;
	const struct tile_starts start = { .corr = x->corr16 + 2 * g + (size_t)h,
					   .at = in->at,
					   .each = 2 };
	vec p[GEMM_ROWS * TILE_VECTORS];

	tile_dots(t->codes + 16 * half, in->codes, code + 16 * (size_t)h, 16, 4, c, &start, n, p);
	add_products(acc, p, t->scale + half, x->d + g, in->at, 1, n);
	if (affine)
		add_products(acc, NULL, t->offset + half, x->xs16 + 2 * g + (size_t)h, in->at, 2,
			     n);
}

/*
 * Adds what a tile of @values values has in common with those of @n activation rows from value
 * @from on, whose code is the @code-th that they have.  Inlined, all that says how is constant.
 */
INLINE void add_tile(const struct tile *t, unsigned group, bool affine, struct tile_codes c,
		     const struct q8_rows *x, const struct tile_input *in, size_t from, size_t code,
		     size_t values, int n, vec *acc)
{
	vec p[GEMM_ROWS * TILE_VECTORS];

#pragma GCC unroll 1
	for (size_t at = 0; at < values; at += ACTIVATION_GROUP) {
		const size_t g = (from + at) / ACTIVATION_GROUP;

		if (group == 32) {
			const struct tile_starts start = { .corr = x->corr32 + g,
							   .at = in->at,
							   .each = 1 };

			tile_dots(t->codes + 16 * at, in->codes, code + at, 32, 4, c, &start, n, p);
			add_products(acc, p, t->scale + at / 2, x->d + g, in->at, 1, n);
			if (affine)
				add_products(acc, NULL, t->offset + at / 2, x->xs32 + g, in->at, 1,
					     n);
			continue;
		}
		if (n > 1 && GEMM_ROWS < 8) {
			for (int h = 0; h < 2; h++)
				add_half(t, affine, c, x, in, from + at, h, 16 * at, code + at, n,
					 acc);
			continue;
		}
		/* what is known of each one when kernels are compiled may be in registers */
		add_half(t, affine, c, x, in, from + at, 0, 16 * at, code + at, n, acc);
		add_half(t, affine, c, x, in, from + at, 1, 16 * at, code + at, n, acc);
	}
}

#endif
