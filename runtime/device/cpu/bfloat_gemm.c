// SPDX-License-Identifier: MIT
/*
 * Products of BF16 weights with activations that are rounded to BF16, too: see kernels.h.
 *
 * An instruction multiplies pairs of them and adds to floats, at twice the rate of floats.  Weights
 * are read as they are, into the first cache before they are needed; of activation rows so many are
 * rounded at a time that they stay in the second.  For the rest this is float_gemm.c's way.
 */
#include "device/cpu/float_dot.h"
#include "device/cpu/kernels.h"

#if HAVE_VNNI512

#define BFLOAT16 __attribute__((target("avx512bf16")))

enum {
	PAIRS = 32,	    /* values of a vector */
	ROUNDED_ROWS = 128, /* of activations, at most */
	ROUNDED_BYTES = 512 << 10,
	BLOCK_ROWS = 96,     /* of weights */
	BLOCK_VALUES = 2048, /* of a row that are in the first cache */
	SUM_BYTES = BLOCK_ROWS * GX * 64,
	PAD = 32, /* values between rows: neighbours must not meet in the cache */
};

/* Activation rows that fit. */
static size_t rounded_rows(size_t k, size_t stride)
{
	const size_t bytes = MIN(stoker_gemm_scratch(k) - SUM_BYTES, (size_t)ROUNDED_BYTES);

	return MIN(bytes / sizeof(uint16_t) / stride, (size_t)ROUNDED_ROWS);
}

/* With zeros behind the end. */
BFLOAT16 INLINE void round_row(const float *x, size_t k, uint16_t *to)
{
	size_t c = 0;

	for (; c + PAIRS <= k; c += PAIRS)
		_mm512_storeu_si512(to + c,
				    (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + c + 16),
								 _mm512_loadu_ps(x + c)));
	if (c < k) {
		const uint32_t some = (1U << (k - c)) - 1;

		_mm512_storeu_si512(
			to + c, (__m512i)_mm512_cvtne2ps_pbh(
					_mm512_maskz_loadu_ps((__mmask16)(some >> 16), x + c + 16),
					_mm512_maskz_loadu_ps((__mmask16)some, x + c)));
	}
}

/* Values [begin, end) of rows of @k, and the sums of those before. */
struct stretch {
	size_t begin, end, k;
	vec *sums;
};

/*
 * acc[j][i] += the PAIRS of w[j] . x[i] from @at on, of which @some are there; 0: all.  Asks for
 * what is @next bytes farther if not 0.
 */
BFLOAT16 INLINE void add_pairs(const uint8_t *const w[NW], const uint16_t *const *x, int nx,
			       size_t at, __mmask32 some, ptrdiff_t next, vec acc[NW][GX])
{
	__m512bh weights[NW];

	for (int j = 0; j < NW; j++) {
		weights[j] = (__m512bh)(some ? _mm512_maskz_loadu_epi16(some, w[j] + 2 * at)
					     : _mm512_loadu_si512(w[j] + 2 * at));
		if (next)
			__builtin_prefetch((const void *)((uintptr_t)w[j] + 2 * at + next));
	}
#pragma GCC unroll 6
	for (int i = 0; i < nx; i++) {
		const __m512bh v = (__m512bh)_mm512_loadu_si512(x[i] + at);

#pragma GCC unroll 4
		for (int j = 0; j < NW; j++)
			acc[j][i] = (vec)_mm512_dpbf16_ps((__m512)acc[j][i], weights[j], v);
	}
}

/* @nx rounded rows with NW weight rows from @first on, of which @rows are there. */
BFLOAT16 INLINE void multiply_tile(const uint8_t *first, size_t row_bytes, unsigned rows,
				   const uint16_t *const *x, int nx, const struct stretch *s,
				   ptrdiff_t next, float *const *out)
{
	const size_t whole = s->end / PAIRS * PAIRS;
	vec acc[NW][GX] = { 0 };
	const uint8_t *w[NW];
	four_floats y[GX];

	for (unsigned j = 0; j < NW; j++)
		w[j] = first + MIN(j, rows - 1) * row_bytes;
	if (s->begin)
		copy_sums(s->sums, nx, acc, false);
	if (next)
		for (size_t c = s->begin; c < whole; c += PAIRS)
			add_pairs(w, x, nx, c, 0, next, acc);
	else
		for (size_t c = s->begin; c < whole; c += PAIRS)
			add_pairs(w, x, nx, c, 0, 0, acc);
	if (s->end < s->k) {
		copy_sums(s->sums, nx, acc, true);
		return;
	}
	if (whole < s->k)
		add_pairs(w, x, nx, whole, (1U << (s->k - whole)) - 1, 0, acc);
	fold_all_sums(acc, nx, y);
	if (rows >= NW)
		store_sums(y, out, nx, NW);
	else
		store_sums(y, out, nx, rows);
}

/* Functions of their own, so that compilers have registers for all sums. */
typedef void tile_fn(const uint8_t *first, size_t row_bytes, unsigned rows,
		     const uint16_t *const *x, const struct stretch *s, ptrdiff_t next,
		     float *const *out);
#define TILE(N)                                                                                  \
	BFLOAT16 static __attribute__((noinline)) void tile_##N(                                 \
		const uint8_t *first, size_t row_bytes, unsigned rows, const uint16_t *const *x, \
		const struct stretch *s, ptrdiff_t next, float *const *out)                      \
	{                                                                                        \
		multiply_tile(first, row_bytes, rows, x, N, s, next, out);                       \
	}
TILE(2)
TILE(4)
TILE(6)

/* @count rounded rows, up to GX, with @rows weight rows, and as many are there @ahead of them. */
static void multiply_rounded(const uint8_t *w, size_t row_bytes, size_t rows,
			     const uint16_t *const x[GX], size_t count, size_t k, vec *sums,
			     bool ahead, float *const out[GX])
{
	static tile_fn *const tiles[GX + 1] = {
		NULL, tile_2, tile_2, tile_4, tile_4, tile_6, tile_6
	};
	const size_t stretches = (k + BLOCK_VALUES - 1) / BLOCK_VALUES;
	const size_t stretch = round_up(k / stretches + 1, PAIRS);
	/* into the first cache, where it has room for what follows, or from memory */
	const bool asks = stretches == 1 || ahead;

	for (size_t begin = 0; begin < k; begin += stretch) {
		struct stretch s = { begin, MIN(begin + stretch, k), k, sums };

		for (size_t row = 0; row < rows; row += NW, s.sums += NW * GX) {
			const size_t next = row + NW < rows || ahead ? NW : -row;
			float *to[GX];

			for (size_t i = 0; i < GX; i++)
				to[i] = out[i] + row;
			tiles[count](w + row * row_bytes, row_bytes, (unsigned)(rows - row), x, &s,
				     asks ? (ptrdiff_t)(next * row_bytes) : 0, to);
		}
	}
}

BFLOAT16 void ISA_NAME(cpu_gemm_bfloat)(const uint8_t *w, size_t row_bytes, size_t rows,
					const float *x, size_t k, const struct gemm_rows *r,
					void *scratch)
{
	const size_t stride = round_up(k, PAIRS) + PAD, together = rounded_rows(k, stride);
	vec *sums = scratch;
	uint16_t *values = (uint16_t *)((uint8_t *)scratch + SUM_BYTES);

	for (size_t first = 0; first < r->count; first += together) {
		const size_t n = MIN(r->count - first, together);

		for (size_t i = 0; i < n; i++)
			round_row(x + row_of(r->src, first + i) * k, k, values + i * stride);
		for (size_t row = 0; row < rows; row += BLOCK_ROWS)
			for (size_t i = 0, count; i < n; i += count) {
				const uint16_t *from[GX];
				float *out[GX];

				count = rows_together(n - i);
				/* the last one stands in for those that aren't there */
				for (size_t j = 0; j < GX; j++) {
					const size_t at = MIN(i + j, n - 1);

					from[j] = values + at * stride;
					out[j] = r->out + row +
						 row_of(r->dst, first + at) * r->out_stride;
				}
				multiply_rounded(w + row * row_bytes, row_bytes,
						 MIN(rows - row, (size_t)BLOCK_ROWS), from, count,
						 k, sums, !i, out);
			}
	}
}

#endif
