/* SPDX-License-Identifier: MIT */
/* Floats of any width in vectors, and their products with rows of activations. */
#ifndef STOKER_CPU_FLOAT_DOT_H
#define STOKER_CPU_FLOAT_DOT_H

#include "device/cpu/vectors.h"
#include "quant/format.h"

#if HAVE_VNNI512 || defined(__aarch64__)
#define MANY_REGISTERS 1 /* 32 vectors, not 16 */
#else
#define MANY_REGISTERS 0
#endif

/* What weights are where a product reads them. */
enum width { WIDTH_F32, WIDTH_F16, WIDTH_BF16, WIDTH_OTHER };

enum {
	NX = 4,			   /* activation rows that go together */
	NW = LANES == 8 ? 3 : 4,   /* weight rows that do: so many sums stay in registers */
	GX = LANES == 16 ? 6 : NX, /* the same of products with many, which have the registers */
	NDOT = MANY_REGISTERS
		       ? 4
		       : 2, /* activation rows of dot_vectors(), which has four sums of each */
};

/* Where a product may read them in the file's order; WIDTH_OTHER: floats are made of them first. */
INLINE enum width width_in_place(const struct stoker_format *f, const uint8_t *w)
{
	if (f->id == FORMAT_F32 &&
	    (uintptr_t)w % sizeof(float) == 0) /* a file's offsets may be odd */
		return WIDTH_F32;
	if (f->id == FORMAT_F16 && HAVE_HALVES)
		return WIDTH_F16;
	return f->id == FORMAT_BF16 ? WIDTH_BF16 : WIDTH_OTHER;
}

INLINE size_t width_bytes(enum width width)
{
	return width == WIDTH_F32 ? sizeof(float) : sizeof(uint16_t);
}

INLINE vec load_bfloats(const uint8_t *at)
{
#if HAVE_VNNI512
	return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)at)),
				      16);
#elif defined(__AVX2__)
	return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)at)), 16);
#elif defined(__SSE2__)
	return (vec)_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const void *)at));
#elif defined(__aarch64__)
	return (vec)vshlq_n_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(at))), 16);
#else
	vec v;

	for (int i = 0; i < LANES; i++)
		v[i] = bf16_to_f32(load_u16(at + 2 * i));
	return v;
#endif
}

/* Weights from the @i-th on, at an address that fits their width or any where it is less than 4. */
INLINE vec load_wide(enum width width, const uint8_t *w, size_t i)
{
	switch (width) {
	case WIDTH_F16:
		return load_halves(w + 2 * i);
	case WIDTH_BF16:
		return load_bfloats(w + 2 * i);
	default:
		return load((const float *)(const void *)w + i);
	}
}

INLINE float load_one(enum width width, const uint8_t *w, size_t i)
{
	switch (width) {
	case WIDTH_F16:
		return f16_to_f32(load_u16(w + 2 * i));
	case WIDTH_BF16:
		return bf16_to_f32(load_u16(w + 2 * i));
	default:
		return ((const float *)(const void *)w)[i];
	}
}

/*
 * Vectors whose sums are dot() of @n weights, a multiple of LANES, with the values of @count
 * activation rows from the column @from on.
 */
INLINE void dot_vectors(enum width width, const uint8_t *w, const float *const *x, size_t from,
			size_t n, int count, vec *out)
{
	vec sum[NX][4] = { 0 };
	size_t c = 0;

	for (; c + 4 * LANES <= n; c += 4 * LANES)
		for (size_t v = 0; v < 4; v++) {
			const vec weights = load_wide(width, w, c + v * LANES);

			for (int i = 0; i < count; i++)
				sum[i][v] += weights * load(x[i] + from + c + v * LANES);
		}
	for (; c < n; c += LANES)
		for (int i = 0; i < count; i++)
			sum[i][0] += load_wide(width, w, c) * load(x[i] + from + c);
	for (int i = 0; i < count; i++)
		out[i] = (sum[i][0] + sum[i][1]) + (sum[i][2] + sum[i][3]);
}

/* The same of up to NX rows, of which no more go together than there are registers for. */
INLINE void dot_vectors_all(enum width width, const uint8_t *w, const float *const *x, size_t from,
			    size_t n, int count, vec *out)
{
	int i = 0;

	for (; i + NDOT <= count; i += NDOT)
		dot_vectors(width, w, x + i, from, n, NDOT, out + i);
	for (; NDOT > 3 && i + 3 <= count; i += 3)
		dot_vectors(width, w, x + i, from, n, 3, out + i);
	for (; i + 2 <= count; i += 2)
		dot_vectors(width, w, x + i, from, n, 2, out + i);
	for (; i < count; i++)
		dot_vectors(width, w, x + i, from, n, 1, out + i);
}

/* What vectors don't reach: the products of values [from, to), one after another. */
INLINE float tail_of(enum width width, const uint8_t *w, const float *x, size_t from, size_t to)
{
	float tail = 0;

	for (size_t t = from; t < to; t++)
		tail += load_one(width, w, t) * x[t];
	return tail;
}

/* dot() of @n weights with each of @count rows, up to NX. */
INLINE void dot_with_all(enum width width, const uint8_t *w, const float *const *x, size_t from,
			 size_t n, int count, float *out)
{
	const size_t whole = n / LANES * LANES;
	vec sum[NX];

	dot_vectors_all(width, w, x, from, whole, count, sum);
	for (int i = 0; i < count; i++)
		out[i] = sum_of(sum[i]) + tail_of(width, w, x[i] + from, whole, n);
}

/* How many of @left activation rows go together next: no few ones shall be left for the end. */
INLINE size_t rows_together(size_t left)
{
	return left > GX && left <= 2 * NX ? NX : MIN(left, (size_t)GX);
}

/*
 * acc[j][i] += w[j] . x[i], for @nx activation rows and vectors from @begin on, @step apart.  Those
 * of which there are fewer stay in registers.
 */
INLINE void add_products(enum width width, const uint8_t *const w[NW], const float *const *x,
			 int nx, size_t begin, size_t end, size_t step, vec acc[NW][GX])
{
	for (size_t c = begin; c < end; c += step) {
		vec v[GX], weights[NW];

		if (nx > NX) {
			for (int j = 0; j < NW; j++)
				weights[j] = load_wide(width, w[j], c);
#pragma GCC unroll 6
			for (int i = 0; i < nx; i++) {
				const vec values = load(x[i] + c);

#pragma GCC unroll 4
				for (int j = 0; j < NW; j++)
					acc[j][i] += weights[j] * values;
			}
			continue;
		}
		for (int i = 0; i < nx; i++)
			v[i] = load(x[i] + c);
		for (int j = 0; j < NW; j++) {
			weights[j] = load_wide(width, w[j], c);
			for (int i = 0; i < nx; i++)
				acc[j][i] += weights[j] * v[i];
		}
	}
}

/* Sums that aren't complete from memory to registers, or back. */
INLINE void copy_sums(vec *sums, int nx, vec acc[NW][GX], bool back)
{
#pragma GCC unroll 4
	for (int j = 0; j < NW; j++)
#pragma GCC unroll 6
		for (int i = 0; i < nx; i++)
			if (back)
				sums[j * nx + i] = acc[j][i];
			else
				acc[j][i] = sums[j * nx + i];
}

typedef float four_floats __attribute__((vector_size(16)));
typedef float four_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

/* Of each 128 bits of @a and @b: their lanes 0 and 1, 2 and 3; 0 and 2, 1 and 3. */
#if HAVE_VNNI512
#define LANES_OF(a, b, which) ((vec)_mm512_shuffle_ps((__m512)(a), (__m512)(b), which))
#elif defined(__AVX2__)
#define LANES_OF(a, b, which) ((vec)_mm256_shuffle_ps((__m256)(a), (__m256)(b), which))
#else
#define LANES_OF(a, b, which)                                                              \
	__builtin_shufflevector(a, b, (which)&3, (which) >> 2 & 3, 4 + ((which) >> 4 & 3), \
				4 + ((which) >> 6))
#endif

enum { QUARTERS = 16 / LANES }; /* vectors that NX sums of four lanes fill */

/* What is left of NX vectors when halves are added until they have four lanes. */
INLINE void fold_to_quarters(const vec v[NX], vec quarter[QUARTERS])
{
#if HAVE_VNNI512
	const __m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3];
	const __m512 ab =
		_mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
	const __m512 cd =
		_mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));

	quarter[0] = (vec)_mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
					_mm512_shuffle_f32x4(ab, cd, 0xdd));
#elif defined(__AVX2__)
	for (int i = 0; i < 2; i++) {
		const __m256 a = (__m256)v[2 * i], b = (__m256)v[2 * i + 1];

		quarter[i] = (vec)_mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20),
						_mm256_permute2f128_ps(a, b, 0x31));
	}
#else
	for (int i = 0; i < NX; i++)
		quarter[i] = v[i];
#endif
}

/* y[i][j] = sum_of(v[j][i]) in its order of adding, but for all @n times NX of them at once. */
INLINE void fold_sums(vec v[][NX], int n, four_floats y[NX])
{
	vec part[4][QUARTERS];

	for (int j = 0; j < 4; j++)
		fold_to_quarters(v[MIN(j, n - 1)], part[j]);
	for (int q = 0; q < QUARTERS; q++) {
		const vec a = LANES_OF(part[0][q], part[1][q], 0x44) +
			      LANES_OF(part[0][q], part[1][q], 0xee);
		const vec b = LANES_OF(part[2][q], part[3][q], 0x44) +
			      LANES_OF(part[2][q], part[3][q], 0xee);
		const vec all = LANES_OF(a, b, 0x88) + LANES_OF(a, b, 0xdd);

		memcpy(y + q * (LANES / 4), &all, sizeof(all));
	}
}

/* fold_sums() of @nx activation rows, up to GX. */
INLINE void fold_all_sums(vec acc[NW][GX], int nx, four_floats *y)
{
#pragma GCC unroll 2
	for (int first = 0; first < nx; first += NX) {
		const int n = MIN(nx - first, (int)NX);
		four_floats part[NX];
		vec v[NW][NX];

#pragma GCC unroll 4
		for (int j = 0; j < NW; j++)
#pragma GCC unroll 4
			for (int i = 0; i < NX; i++)
				v[j][i] = acc[j][first + i % n];
		fold_sums(v, NW, part);
#pragma GCC unroll 4
		for (int i = 0; i < n; i++)
			y[first + i] = part[i];
	}
}

/* The first @rows sums of each activation row to where they go; inlined, a full set is constant. */
INLINE void store_sums(const four_floats *y, float *const out[NX], int count, unsigned rows)
{
	for (int i = 0; i < count; i++)
		if (rows == 4)
			*(four_unaligned *)out[i] = y[i];
		else
			for (unsigned j = 0; j < rows; j++)
				out[i][j] = y[i][j];
}

#endif
